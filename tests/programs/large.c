/* Large bodies and the user's own memory: whole, once, in bounded room, freed exactly once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define KIB         1024u
#define MIB         (1024u * KIB)
#define PUSHERS_MAX 4u
#define OWN_MAX     512u

struct large {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    char endpoint[64];
    atomic_ulong ready, got, wrong, freed, step, pushers;
    size_t len;      /* of each message */
    uint32_t rounds; /* messages of each pusher */
    uint32_t peers;
    uint32_t kept_max;
    uint32_t recv_hwm;
    struct mcq_msg kept[8];
    struct mcq_timer *timer;
    uint32_t own; /* messages from memory made so far */
    uint32_t chain;
    bool freed_twice;
    uint8_t *memory[OWN_MAX];
    struct mcq_shard_stats mid;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct large *l = ctx;
    (void)sock;
    mcq_diary_add(&l->diary, event);
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct large *l = arg;
    mcq_shard_stats(shard, &l->mid);
    mcq_sock_close(l->sock);
}

static struct mcq_sock *open_sock(struct mcq_shard *shard, struct large *l, enum mcq_sock_type type,
                                  const struct mcq_sock_handlers *handlers, uint32_t linger_ms)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = linger_ms;
    opts.reconnect_min_ms = 10;
    opts.send_hwm_bytes = 256 * MIB;
    opts.recv_hwm_bytes = l->recv_hwm;
    l->shard = shard;
    CHECK(mcq_sock_open(shard, type, &opts, handlers, l, &l->sock, NULL) == MCQ_OK);
    return l->sock;
}

static void bind_sock(struct large *l)
{
    CHECK(mcq_sock_bind(l->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(l->endpoint, sizeof(l->endpoint), "%s", mcq_sock_endpoint(l->sock));
    atomic_store(&l->ready, 1);
}

/* --- large bodies in ------------------------------------------------------------------------- */

static size_t take(void *ctx, struct mcq_sock *sock, struct mcq_peer from, struct mcq_msg *msgs,
                   size_t n)
{
    struct large *l = ctx;
    (void)from;
    for (size_t i = 0; i < n; i++) {
        uint32_t seq;
        memcpy(&seq, msgs[i].data, 4);
        const uint8_t *at = msgs[i].data;
        if (msgs[i].len != l->len || !mcq_body_right(at + 4, l->len - 4, seq))
            atomic_fetch_add(&l->wrong, 1);
        if (l->got < l->kept_max)
            CHECK(mcq_msg_keep(l->shard, &msgs[i], &l->kept[l->got]) == MCQ_OK);
        if (atomic_fetch_add(&l->got, 1) + 1 == (unsigned long)l->rounds * l->peers)
            mcq_sock_close(sock);
    }
    return n;
}

/* What is kept holds the others up until a timer lets it go. */
static void let_go(void *ctx, struct mcq_timer *timer)
{
    struct large *l = ctx;
    struct mcq_shard_stats stats;
    mcq_shard_stats(l->shard, &stats);
    if (stats.proto.large_waits == 0 || l->got < l->kept_max) {
        mcq_timer_arm(timer, mcq_shard_now(l->shard) + 1000000);
        return;
    }
    for (uint32_t i = 0; i < l->kept_max; i++)
        mcq_msg_drop(l->shard, &l->kept[i]);
    mcq_timer_close(timer);
}

static const struct mcq_sock_handlers taking = {.messages = take, .event = on_event};

static int start_pull(struct mcq_shard *shard, void *arg)
{
    struct large *l = arg;
    open_sock(shard, l, MCQ_PULL, &taking, 1000);
    bind_sock(l);
    if (l->kept_max != 0) {
        CHECK(mcq_timer_open(shard, let_go, l, &l->timer) == MCQ_OK);
        mcq_timer_arm(l->timer, 0);
    }
    return 0;
}

static void *push(void *arg)
{
    struct large *l = arg;
    uint8_t *body = malloc(l->len);
    struct mcq_text out = {NULL, 0, 0};
    uint32_t nr = (uint32_t)atomic_fetch_add(&l->pushers, 1);
    mcq_trial_wait(&l->ready, 1);
    int fd = mcq_raw_open(l->endpoint, "PUSH");
    for (uint32_t i = 0; i < l->rounds; i++) {
        uint32_t seq = nr * 1000 + i;
        memcpy(body, &seq, 4);
        mcq_body_fill(body + 4, l->len - 4, seq);
        out.len = 0;
        mcq_raw_frame(&out, 0, body, l->len);
        CHECK(mcq_raw_write(fd, out.ptr, out.len));
    }
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    mcq_text_fini(&out);
    free(body);
    return NULL;
}

static void *push_all(void *arg)
{
    struct large *l = arg;
    pthread_t threads[PUSHERS_MAX];
    for (uint32_t i = 0; i < l->peers; i++)
        if (pthread_create(&threads[i], NULL, push, l) != 0)
            abort();
    for (uint32_t i = 0; i < l->peers; i++)
        pthread_join(threads[i], NULL);
    return NULL;
}

static void bodies(size_t len, uint32_t peers, uint32_t rounds, uint32_t kept, uint64_t region,
                   uint32_t recv_hwm)
{
    struct large *l = calloc(1, sizeof(*l));
    char name[80];
    snprintf(name, sizeof(name), "%u peers send %u of %zu bytes", peers, rounds, len);
    struct mcq_trial trial = {name, mcq_trial_opts(), start_pull, push_all, l};
    l->len = len;
    l->peers = peers;
    l->rounds = rounds;
    l->kept_max = kept;
    l->recv_hwm = recv_hwm;
    trial.opts.large_bytes = region;
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(l->got == peers * rounds && l->wrong == 0);
    CHECK(kept == 0 || stats.proto.large_waits != 0);
    CHECK(len < 600000 || recv_hwm != 0 || stats.proto.large_in == peers * rounds);
    mcq_diary_end(&l->diary);
    free(l);
}

/* --- no room ever ---------------------------------------------------------------------------- */

static void *push_too_large(void *arg)
{
    struct large *l = arg;
    uint8_t head[9] = {2};
    uint8_t chunk[4096] = {0};
    mcq_trial_wait(&l->ready, 1);
    int fd = mcq_raw_open(l->endpoint, "PUSH");
    for (unsigned i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)((uint64_t)l->len >> (56 - 8 * i));
    CHECK(mcq_raw_write(fd, head, 9));
    while (mcq_raw_write(fd, chunk, sizeof(chunk)))
        ;
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    mcq_raw_close(fd);
    CHECK(mcq_post(l->shard, close_sock, l) == MCQ_OK);
    return NULL;
}

static void no_room(void)
{
    struct large *l = calloc(1, sizeof(*l));
    struct mcq_trial trial = {"no room ever", mcq_trial_opts(), start_pull, push_too_large, l};
    l->len = 8 * MIB;
    l->rounds = 1;
    l->peers = 1;
    trial.opts.large_bytes = 4 * MIB;
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(l->got == 0 && l->diary.reasons[MCQ_REASON_LIMIT] == 1 && stats.proto.large_waits == 1);
    mcq_diary_end(&l->diary);
    free(l);
}

/* --- the user's own memory ------------------------------------------------------------------- */

static void on_free(void *data, size_t len, void *hint)
{
    struct large *l = hint;
    uint32_t i = 0;
    CHECK(len == l->len);
    while (i < l->own && l->memory[i] != data)
        i++;
    if (!CHECK(i < l->own))
        return;
    free(data); /* a second one would find it gone */
    l->memory[i] = NULL;
    atomic_fetch_add(&l->freed, 1);
}

static struct mcq_msg own_message(struct large *l, mcq_free_fn *fn)
{
    struct mcq_msg m;
    uint8_t *data = malloc(l->len);
    if (data == NULL || l->own == OWN_MAX)
        abort();
    memcpy(data, &l->own, 4);
    mcq_body_fill(data + 4, l->len - 4, l->own);
    l->memory[l->own++] = data;
    CHECK(mcq_msg_from_memory(l->shard, data, l->len, fn, l, &m) == MCQ_OK);
    return m;
}

static const struct mcq_sock_handlers telling = {.event = on_event};

static void send_own(struct large *l, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        struct mcq_msg m = own_message(l, on_free);
        CHECK(mcq_send(l->sock, &m) == MCQ_OK && m.data == NULL && m.owner == 0);
    }
}

static int start_own(struct mcq_shard *shard, void *arg)
{
    struct large *l = arg;
    open_sock(shard, l, MCQ_PUSH, &telling, 8000);
    struct mcq_msg m = own_message(l, on_free);
    CHECK(mcq_send(l->sock, &m) == MCQ_EAGAIN && m.len == l->len && l->freed == 0);
    mcq_msg_drop(shard, &m);
    CHECK(l->freed == 1 && m.data == NULL);
    CHECK(mcq_sock_connect(l->sock, l->endpoint, NULL) == MCQ_OK);
    send_own(l, 20);
    if (l->step == 1) {
        mcq_sock_close(l->sock);
        m = own_message(l, on_free);
        CHECK(mcq_send(l->sock, &m) == MCQ_ESTATE);
        mcq_msg_drop(shard, &m);
    }
    return 0;
}

static void expect(struct large *l, int fd, uint32_t first, uint32_t last)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    for (uint32_t i = first; i < last; i++) {
        if (!CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == l->len))
            break;
        CHECK(memcmp(body.ptr, &i, 4) == 0 && mcq_body_right(body.ptr + 4, l->len - 4, i));
    }
    mcq_text_fini(&body);
}

static void *pull_own(void *arg)
{
    struct large *l = arg;
    char endpoint[64];
    int listener = mcq_raw_listen(mcq_raw_port(l->endpoint), endpoint);
    int fd = mcq_raw_accept(listener);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "PULL", NULL));
    expect(l, fd, 1, 21);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    mcq_raw_close(listener);
    return NULL;
}

/* Reads a part and resets; then doesn't come back. */
static void *cut_own(void *arg)
{
    struct large *l = arg;
    char endpoint[64];
    int listener = mcq_raw_listen(mcq_raw_port(l->endpoint), endpoint);
    int fd = mcq_raw_accept(listener);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "PULL", NULL));
    expect(l, fd, 0, 1);
    mcq_raw_reset(fd);
    fd = mcq_raw_accept(listener);
    mcq_raw_close(listener);
    mcq_raw_reset(fd);
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    CHECK(mcq_post(l->shard, close_sock, l) == MCQ_OK);
    return NULL;
}

static int start_own_cut(struct mcq_shard *shard, void *arg)
{
    struct large *l = arg;
    open_sock(shard, l, MCQ_PUSH, &telling, 50);
    CHECK(mcq_sock_connect(l->sock, l->endpoint, NULL) == MCQ_OK);
    send_own(l, 1);
    send_own(l, 60);
    return 0;
}

static void own_memory(const char *name, size_t len, int (*start)(struct mcq_shard *, void *),
                       void *(*peer)(void *), unsigned long step)
{
    struct large *l = calloc(1, sizeof(*l));
    struct mcq_trial trial = {name, mcq_trial_opts(), start, peer, l};
    l->len = len;
    l->step = step;
    mcq_raw_close(mcq_raw_listen(0, l->endpoint));
    mcq_trial_run(&trial);
    CHECK(l->freed == l->own);
    for (uint32_t i = 0; i < l->own; i++)
        CHECK(l->memory[i] == NULL);
    mcq_diary_end(&l->diary);
    free(l);
}

/* --- to several, and never sent at all ------------------------------------------------------- */

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct large *l = ctx;
    (void)sock;
    (void)peer;
    (void)topic;
    (void)len;
    if (!added || ++l->peers != 3)
        return;
    send_own(l, 20);
    mcq_sock_close(l->sock);
}

static const struct mcq_sock_handlers publishing = {.event = on_event,
                                                    .subscription = on_subscription};

static int start_pub(struct mcq_shard *shard, void *arg)
{
    struct large *l = arg;
    open_sock(shard, l, MCQ_PUB, &publishing, 8000);
    struct mcq_msg m = own_message(l, on_free);
    CHECK(mcq_send(l->sock, &m) == MCQ_OK && l->freed == 1); /* nobody wants it */
    bind_sock(l);
    return 0;
}

static void *subscribe(void *arg)
{
    struct large *l = arg;
    struct mcq_text out = {NULL, 0, 0};
    int fd[3];
    mcq_trial_wait(&l->ready, 1);
    mcq_raw_command(&out, "SUBSCRIBE", "", 0);
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = mcq_raw_open(l->endpoint, "SUB");
        CHECK(mcq_raw_write(fd[i], out.ptr, out.len));
    }
    for (unsigned i = 0; i < 3; i++) {
        if (i == 1)
            mcq_raw_reset(fd[i]);
        else
            expect(l, fd[i], 1, 21);
    }
    CHECK(mcq_raw_ended(fd[0]) && mcq_raw_ended(fd[2]));
    mcq_raw_close(fd[0]);
    mcq_raw_close(fd[2]);
    mcq_text_fini(&out);
    return NULL;
}

/* --- the free callback sends ----------------------------------------------------------------- */

/* Each message's end sends the next. */
static void free_and_send(void *data, size_t len, void *hint)
{
    struct large *l = hint;
    on_free(data, len, hint);
    if (l->own < l->chain) {
        struct mcq_msg m = own_message(l, free_and_send);
        if (!CHECK(mcq_send(l->sock, &m) == MCQ_OK))
            mcq_msg_drop(l->shard, &m);
    }
}

static void up(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct large *l = ctx;
    on_event(ctx, sock, event);
    if (event->kind != MCQ_EVENT_UP)
        return;
    for (unsigned i = 0; i < l->peers && l->own < l->chain; i++) {
        struct mcq_msg m = own_message(l, free_and_send);
        CHECK(mcq_send(l->sock, &m) == MCQ_OK);
    }
}

static const struct mcq_sock_handlers chaining = {.event = up};

static int start_chain(struct mcq_shard *shard, void *arg)
{
    struct large *l = arg;
    open_sock(shard, l, MCQ_PUSH, &chaining, 8000);
    bind_sock(l);
    return 0;
}

static void *pull_chain(void *arg)
{
    struct large *l = arg;
    mcq_trial_wait(&l->ready, 1);
    int fd = mcq_raw_open(l->endpoint, "PULL");
    expect(l, fd, 0, l->chain);
    CHECK(mcq_post(l->shard, close_sock, l) == MCQ_OK);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static void chain(size_t len, uint32_t at_once)
{
    struct large *l = calloc(1, sizeof(*l));
    struct mcq_trial trial = {"the free callback sends", mcq_trial_opts(), start_chain, pull_chain,
                              l};
    l->len = len;
    l->chain = 300;
    l->peers = at_once;
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(l->own == l->chain && stats.pattern.drops_end == 0);
    CHECK(l->freed == l->chain);
    mcq_diary_end(&l->diary);
    free(l);
}

int main(void)
{
    const size_t around[] = {256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 1 * MIB};
    for (unsigned i = 0; i < 4; i++) {
        bodies(around[i], 1, 20, 0, 32 * MIB, 0);
        bodies(around[i], 4, 20, 0, 4 * MIB, 0);
    }
    bodies(16 * MIB, 1, 3, 0, 32 * MIB, 0);
    bodies(16 * MIB, 4, 2, 0, 32 * MIB, 0);
    bodies(3 * MIB, 4, 4, 2, 7 * MIB, 0);
    bodies(600 * KIB, 2, 40, 2, 2304 * KIB, 2 * MIB);
    bodies(600 * KIB, 2, 40, 1, 768 * KIB, 0);
    own_memory("own memory", 20000, start_own, pull_own, 0 + 1);
    own_memory("own memory, small", 100, start_own, pull_own, 1);
    own_memory("own memory, large", 1 * MIB, start_own, pull_own, 1);
    own_memory("own memory, cut", 300000, start_own_cut, cut_own, 0);
    own_memory("own memory, nobody there", 50000, start_own_cut, cut_own, 0);
    own_memory("own memory, published", 30000, start_pub, subscribe, 0);
    own_memory("own memory, published, large", 400000, start_pub, subscribe, 0);
    chain(100, 1);
    chain(20000, 3);
    chain(20000, 1);
    no_room();
    return mcq_trial_end();
}
