/* Binding, connecting, refusing and leaving through the public API; who may call; time; the end. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define POSTERS 4u
#define POSTS   20000u

struct life {
    struct mcq_shard *shard;
    struct mcq_sock *sock, *other;
    struct mcq_timer *timer;
    struct mcq_diary diary, other_diary;
    struct mcq_peer peer;
    char endpoint[64], other_endpoint[64];
    atomic_ulong ready, step, got, closed, timeouts, ran[POSTERS], wrong;
    uint64_t armed_ns;
    struct mcq_shard_stats mid;
    bool stop_by_signal;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct life *l = ctx;
    if (event->kind == MCQ_EVENT_UP)
        l->peer = event->peer;
    mcq_diary_add(sock == l->other ? &l->other_diary : &l->diary, event);
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct life *l = ctx;
    (void)sock;
    (void)from;
    (void)msg;
    atomic_fetch_add(&l->got, 1);
    return MCQ_CONTINUE;
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct life *l = ctx;
    (void)sock;
    atomic_fetch_add(&l->closed, 1);
}

static const struct mcq_sock_handlers watching = {
    .message = on_message, .event = on_event, .closed = on_closed};

static void close_all(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    mcq_shard_stats(shard, &l->mid);
    if (l->sock != NULL)
        mcq_sock_close(l->sock);
    if (l->other != NULL)
        mcq_sock_close(l->other);
}

static void post(struct life *l, mcq_post_fn *fn)
{
    CHECK(mcq_post(l->shard, fn, l) == MCQ_OK);
}

static struct mcq_sock *bound(struct mcq_shard *shard, struct life *l, enum mcq_sock_type type,
                              char endpoint[64])
{
    struct mcq_sock *sock;
    l->shard = shard;
    CHECK(mcq_sock_open(shard, type, NULL, &watching, l, &sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(endpoint, 64, "%s", mcq_sock_endpoint(sock));
    return sock;
}

static void trial(const char *name, int (*start)(struct mcq_shard *, void *), void *(*peer)(void *),
                  struct life *l)
{
    struct mcq_trial t = {name, mcq_trial_opts(), start, peer, l};
    mcq_trial_run(&t);
    mcq_diary_end(&l->diary);
    mcq_diary_end(&l->other_diary);
}

/* --- unbind, disconnect, peer_close ---------------------------------------------------------- */

static int start_pull(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    l->sock = bound(shard, l, MCQ_PULL, l->endpoint);
    atomic_store(&l->ready, 1);
    return 0;
}

static void unbind(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    struct mcq_detail detail = {.text = ""};
    (void)shard;
    CHECK(mcq_sock_unbind(l->sock, "tcp://127.0.0.1:1", &detail) == MCQ_ENOENT &&
          detail.text[0] != '\0');
    CHECK(mcq_sock_unbind(l->sock, l->endpoint, NULL) == MCQ_OK);
    CHECK(mcq_sock_unbind(l->sock, l->endpoint, NULL) == MCQ_ENOENT);
}

static void drop_peer(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    (void)shard;
    CHECK(mcq_peer_close(l->sock, l->peer) == MCQ_OK);
}

static void check_stale(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    struct mcq_frame id;
    (void)shard;
    CHECK(mcq_peer_close(l->sock, l->peer) == MCQ_ESTALE);
    CHECK(mcq_peer_resume(l->sock, l->peer) == MCQ_ESTALE);
    CHECK(mcq_peer_identity(l->sock, l->peer, &id) == MCQ_ESTALE);
    CHECK(mcq_peer_user(l->sock, l->peer) == NULL);
    CHECK(mcq_peer_set_user(l->sock, l->peer, l) == MCQ_ESTALE);
    CHECK(mcq_peer_endpoint(l->sock, l->peer)[0] == '\0');
    CHECK(mcq_sock_peer_cnt(l->sock) == 0);
}

static void send_one(int fd)
{
    struct mcq_text out = {NULL, 0, 0};
    mcq_raw_frame(&out, 0, "hello", 5);
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

static void *leave(void *arg)
{
    struct life *l = arg;
    mcq_trial_wait(&l->ready, 1);
    int fd = mcq_raw_open(l->endpoint, "PUSH");
    send_one(fd);
    CHECK(mcq_trial_wait(&l->got, 1));
    post(l, unbind);
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_UNBOUND], 1));
    CHECK(mcq_raw_connect(l->endpoint, 0) < 0);
    send_one(fd); /* established peers stay */
    CHECK(mcq_trial_wait(&l->got, 2));
    post(l, drop_peer);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&l->diary.reasons[MCQ_REASON_LOCAL], 1));
    post(l, check_stale);
    post(l, close_all);
    return NULL;
}

static int start_push(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.reconnect_min_ms = 5;
    opts.reconnect_max_ms = 5;
    l->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &watching, l, &l->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(l->sock, l->endpoint, NULL) == MCQ_OK);
    for (unsigned i = 0; i < 3; i++)
        CHECK(mcq_send_bytes(l->sock, "before", 6) == MCQ_OK);
    atomic_store(&l->ready, 1);
    return 0;
}

static void disconnect(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    (void)shard;
    CHECK(mcq_sock_disconnect(l->sock, "tcp://127.0.0.1:1", NULL) == MCQ_ENOENT);
    CHECK(mcq_send_bytes(l->sock, "last", 4) == MCQ_OK);
    CHECK(mcq_sock_disconnect(l->sock, l->endpoint, NULL) == MCQ_OK);
    CHECK(mcq_sock_disconnect(l->sock, l->endpoint, NULL) == MCQ_ENOENT);
}

/* What was queued before the disconnect still comes; then nobody connects any more. */
static void *be_left(void *arg)
{
    struct life *l = arg;
    char endpoint[64];
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags, cnt = 0;
    int listener = mcq_raw_listen(mcq_raw_port(l->endpoint), endpoint);
    int fd = mcq_raw_accept(listener);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_UP], 1));
    post(l, disconnect);
    while (mcq_raw_next_message(fd, &flags, &body))
        cnt++;
    CHECK(cnt == 4 && body.len == 0);
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    CHECK(l->diary.reasons[MCQ_REASON_LOCAL] == 1 && l->diary.dropped == 0);
    post(l, close_all);
    CHECK(mcq_trial_wait(&l->closed, 1));
    CHECK(l->diary.cnt[MCQ_EVENT_RETRY] == 0 || l->diary.cnt[MCQ_EVENT_UP] == 1);
    mcq_raw_close(listener);
    mcq_text_fini(&body);
    return NULL;
}

/* --- who is refused -------------------------------------------------------------------------- */

static int start_pair(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    l->sock = bound(shard, l, MCQ_PAIR, l->endpoint);
    l->other = bound(shard, l, MCQ_ROUTER, l->other_endpoint);
    atomic_store(&l->ready, 1);
    return 0;
}

static int open_as(const char *endpoint, const char *type, const char *identity)
{
    int fd = mcq_raw_connect(endpoint, 0);
    CHECK(fd >= 0 && mcq_raw_hello(fd, type, identity));
    return fd;
}

static void *refused(void *arg)
{
    struct life *l = arg;
    mcq_trial_wait(&l->ready, 1);
    int first = open_as(l->endpoint, "PAIR", NULL);
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_UP], 1));
    int second = mcq_raw_connect(l->endpoint, 0);
    mcq_raw_hello(second, "PAIR", NULL); /* may be refused before it has read all of it */
    CHECK(mcq_raw_ended(second));
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_REFUSED], 1));
    CHECK(l->diary.reasons[MCQ_REASON_LIMIT] == 1);
    send_one(first);
    CHECK(mcq_trial_wait(&l->got, 1));
    int wrong = mcq_raw_connect(l->endpoint, 0);
    mcq_raw_hello(wrong, "SUB", NULL);
    CHECK(mcq_raw_ended(wrong));
    CHECK(mcq_trial_wait(&l->diary.reasons[MCQ_REASON_INCOMPATIBLE], 1));
    int me = open_as(l->other_endpoint, "DEALER", "me");
    CHECK(mcq_trial_wait(&l->other_diary.cnt[MCQ_EVENT_UP], 1));
    int twin = mcq_raw_connect(l->other_endpoint, 0);
    mcq_raw_hello(twin, "DEALER", "me");
    CHECK(mcq_raw_ended(twin));
    CHECK(mcq_trial_wait(&l->other_diary.cnt[MCQ_EVENT_REFUSED], 1));
    CHECK(l->other_diary.reasons[MCQ_REASON_IDENTITY] == 1);
    mcq_raw_close(me);
    CHECK(mcq_trial_wait(&l->other_diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    me = open_as(l->other_endpoint, "DEALER", "me"); /* free again */
    CHECK(mcq_trial_wait(&l->other_diary.cnt[MCQ_EVENT_UP], 2));
    mcq_raw_close(first);
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    first = open_as(l->endpoint, "PAIR", NULL);
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_UP], 2));
    post(l, close_all);
    const int fds[] = {first, second, wrong, me, twin};
    CHECK(mcq_raw_ended(first) && mcq_raw_ended(me));
    for (unsigned i = 0; i < 5; i++)
        mcq_raw_close(fds[i]);
    return NULL;
}

/* --- foreign threads ------------------------------------------------------------------------- */

static void *trespass(void *arg)
{
    struct life *l = arg;
    struct mcq_sock *s;
    struct mcq_timer *t;
    struct mcq_msg m = mcq_msg_of("x", 1), kept;
    size_t sent;
    void *at;
    struct mcq_frame id;
    struct mcq_peer p = {1};
    mcq_trial_wait(&l->ready, 1);
    CHECK(mcq_sock_open(l->shard, MCQ_PULL, NULL, &watching, l, &s, NULL) == MCQ_ETHREAD);
    CHECK(mcq_sock_bind(l->sock, "tcp://127.0.0.1:*", NULL) == MCQ_ETHREAD);
    CHECK(mcq_sock_connect(l->sock, "tcp://127.0.0.1:1", NULL) == MCQ_ETHREAD);
    CHECK(mcq_sock_unbind(l->sock, l->endpoint, NULL) == MCQ_ETHREAD);
    CHECK(mcq_sock_disconnect(l->sock, l->endpoint, NULL) == MCQ_ETHREAD);
    CHECK(mcq_send(l->sock, &m) == MCQ_ETHREAD);
    CHECK(mcq_send_to(l->sock, p, &m) == MCQ_ETHREAD);
    CHECK(mcq_send_bytes(l->sock, "x", 1) == MCQ_ETHREAD);
    CHECK(mcq_send_many(l->sock, &m, 1, &sent) == MCQ_ETHREAD && sent == 0);
    CHECK(mcq_tx_reserve(l->sock, 1, &at) == MCQ_ETHREAD);
    CHECK(mcq_tx_commit(l->sock, 1) == MCQ_ETHREAD);
    CHECK(mcq_flush(l->sock) == MCQ_ETHREAD);
    CHECK(mcq_subscribe(l->sock, "", 0) == MCQ_ETHREAD);
    CHECK(mcq_unsubscribe(l->sock, "", 0) == MCQ_ETHREAD);
    CHECK(mcq_peer_find(l->sock, "x", 1, &p) == MCQ_ETHREAD);
    CHECK(mcq_peer_identity(l->sock, p, &id) == MCQ_ETHREAD);
    CHECK(mcq_peer_resume(l->sock, p) == MCQ_ETHREAD);
    CHECK(mcq_peer_close(l->sock, p) == MCQ_ETHREAD);
    CHECK(mcq_peer_set_user(l->sock, p, NULL) == MCQ_ETHREAD);
    CHECK(mcq_timer_open(l->shard, NULL, NULL, &t) == MCQ_ETHREAD);
    CHECK(mcq_msg_keep(l->shard, &m, &kept) == MCQ_ETHREAD);
    CHECK(mcq_msg_from_memory(l->shard, "x", 1, NULL, NULL, &kept) == MCQ_ETHREAD);
    mcq_sock_close(l->sock); /* ignored */
    int fd = mcq_raw_open(l->endpoint, "PUSH");
    send_one(fd);
    CHECK(mcq_trial_wait(&l->got, 1));
    post(l, close_all);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

/* --- posts ----------------------------------------------------------------------------------- */

struct numbered {
    struct life *life;
    unsigned from, nr;
};

static void run_post(struct mcq_shard *shard, void *arg)
{
    struct numbered *n = arg;
    (void)shard;
    if (n->life->ran[n->from] != n->nr)
        atomic_fetch_add(&n->life->wrong, 1);
    atomic_fetch_add(&n->life->ran[n->from], 1);
}

static void *poster(void *arg)
{
    struct numbered *first = arg;
    struct numbered *all = calloc(POSTS, sizeof(*all));
    for (unsigned i = 0; i < POSTS; i++) {
        all[i] = (struct numbered){first->life, first->from, i};
        while (mcq_post(first->life->shard, run_post, &all[i]) == MCQ_EAGAIN)
            sched_yield();
    }
    CHECK(mcq_trial_wait(&first->life->ran[first->from], POSTS));
    free(all);
    return NULL;
}

static void *post_from_four(void *arg)
{
    struct life *l = arg;
    struct numbered first[POSTERS];
    pthread_t threads[POSTERS];
    mcq_trial_wait(&l->ready, 1);
    for (unsigned i = 0; i < POSTERS; i++) {
        first[i] = (struct numbered){l, i, 0};
        if (pthread_create(&threads[i], NULL, poster, &first[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(l->wrong == 0);
    post(l, close_all);
    return NULL;
}

/* --- the end by signal and by stop ----------------------------------------------------------- */

static struct mcq_shard *to_stop;

static void stop_it(int sig)
{
    (void)sig;
    mcq_stop(to_stop);
}

static void *end_by_signal(void *arg)
{
    struct life *l = arg;
    mcq_trial_wait(&l->ready, 1);
    int fd = mcq_raw_open(l->endpoint, "PUSH");
    send_one(fd);
    CHECK(mcq_trial_wait(&l->got, 1));
    if (l->stop_by_signal) {
        to_stop = l->shard;
        signal(SIGUSR1, stop_it);
        raise(SIGUSR1);
    } else {
        kill(getpid(), SIGTERM);
    }
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

/* Opening when the app already ends must not keep it alive. */
static void open_again(void *ctx, struct mcq_sock *sock)
{
    struct life *l = ctx;
    struct mcq_sock *s;
    struct mcq_detail detail = {.text = ""};
    (void)sock;
    atomic_fetch_add(&l->closed, 1);
    CHECK(mcq_sock_open(l->shard, MCQ_PULL, NULL, &watching, l, &s, &detail) == MCQ_ESTATE);
    CHECK(detail.text[0] != '\0');
}

static const struct mcq_sock_handlers stubborn = {.event = on_event, .closed = open_again};

static void stop_soon(void *ctx, struct mcq_timer *timer)
{
    struct life *l = ctx;
    (void)timer; /* stays open: a stop doesn't wait for timers */
    mcq_stop(l->shard);
}

static int start_stubborn(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    l->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &stubborn, l, &l->sock, NULL) == MCQ_OK);
    CHECK(mcq_timer_open(shard, stop_soon, l, &l->timer) == MCQ_OK);
    mcq_timer_arm(l->timer, mcq_shard_now(shard) + 1000000);
    return 0;
}

/* --- timers ---------------------------------------------------------------------------------- */

static void tick(void *ctx, struct mcq_timer *timer)
{
    struct life *l = ctx;
    uint64_t now = mcq_shard_now(l->shard);
    CHECK(now >= l->armed_ns && mcq_shard_clock(l->shard) >= now);
    if (atomic_fetch_add(&l->got, 1) == 19) {
        mcq_timer_close(timer);
        return;
    }
    l->armed_ns = now + 500000;
    mcq_timer_arm(timer, now + 10000000000);
    mcq_timer_arm(timer, l->armed_ns); /* moves it */
}

static void never(void *ctx, struct mcq_timer *timer)
{
    (void)ctx;
    (void)timer;
    CHECK(false);
}

static int start_timers(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    struct mcq_timer *off;
    l->shard = shard;
    CHECK(mcq_timer_open(shard, tick, l, &l->timer) == MCQ_OK);
    CHECK(mcq_timer_open(shard, never, l, &off) == MCQ_OK);
    mcq_timer_arm(l->timer, 0);
    mcq_timer_arm(off, 0);
    mcq_timer_disarm(off);
    mcq_timer_disarm(off);
    mcq_timer_arm(off, mcq_shard_now(shard));
    mcq_timer_close(off);
    return 0;
}

/* --- REQ: no reply in time ------------------------------------------------------------------- */

static void on_timeout(void *ctx, struct mcq_sock *sock)
{
    struct life *l = ctx;
    atomic_fetch_add(&l->timeouts, 1);
    CHECK(mcq_send_bytes(sock, "second", 6) == MCQ_OK);
    CHECK(mcq_send_bytes(sock, "third", 5) == MCQ_ESTATE);
}

static enum mcq_flow on_reply(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *msg)
{
    struct life *l = ctx;
    (void)from;
    CHECK(msg->frame_cnt == 1 && msg->len == 2 && memcmp(msg->data, "r2", 2) == 0);
    atomic_fetch_add(&l->got, 1);
    mcq_shard_stats(l->shard, &l->mid);
    mcq_sock_close(sock);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers asking = {
    .message = on_reply, .event = on_event, .timeout = on_timeout};

static int start_req(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.request_timeout_ms = 1000; /* beyond any stall: the second reply has to be in time */
    l->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_REQ, &opts, &asking, l, &l->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(l->sock, l->endpoint, NULL) == MCQ_OK);
    CHECK(mcq_send_bytes(l->sock, "first", 5) == MCQ_OK);
    CHECK(mcq_send_bytes(l->sock, "again", 5) == MCQ_ESTATE);
    return 0;
}

static void expect_request(int fd, const char *text)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags = 0;
    CHECK(mcq_raw_next_message(fd, &flags, &body) && flags == MCQ_RAW_MORE && body.len == 0);
    CHECK(mcq_raw_next_message(fd, &flags, &body) && flags == 0 && body.len == strlen(text) &&
          memcmp(body.ptr, text, body.len) == 0);
    mcq_text_fini(&body);
}

static void reply(int fd, const char *text)
{
    struct mcq_text out = {NULL, 0, 0};
    mcq_raw_frame(&out, MCQ_RAW_MORE, "", 0);
    mcq_raw_frame(&out, 0, text, strlen(text));
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

static void *answer_late(void *arg)
{
    struct life *l = arg;
    char endpoint[64];
    int listener = mcq_raw_listen(mcq_raw_port(l->endpoint), endpoint);
    int fd = mcq_raw_accept(listener);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "REP", NULL));
    expect_request(fd, "first");
    CHECK(mcq_trial_wait(&l->timeouts, 1));
    reply(fd, "r1"); /* too late */
    expect_request(fd, "second");
    reply(fd, "r2");
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    mcq_raw_close(listener);
    return NULL;
}

/* --- a reservation --------------------------------------------------------------------------- */

static void commit_late(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    (void)shard;
    CHECK(mcq_tx_commit(l->sock, 5) == MCQ_ESTATE); /* forgotten with its turn */
    if (mcq_sock_peer_cnt(l->sock) != 0)
        CHECK(mcq_send_bytes(l->sock, "later", 5) == MCQ_OK);
}

static void reserve(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    void *at;
    (void)shard;
    CHECK(mcq_tx_commit(l->sock, 0) == MCQ_ESTATE);
    CHECK(mcq_tx_reserve(l->sock, 5, &at) == MCQ_OK);
    memcpy(at, "right", 5);
    CHECK(mcq_tx_commit(l->sock, 6) == MCQ_EINVAL);
    CHECK(mcq_tx_commit(l->sock, 5) == MCQ_OK);
    CHECK(mcq_tx_commit(l->sock, 5) == MCQ_ESTATE);
    CHECK(mcq_tx_reserve(l->sock, 300, &at) == MCQ_OK);
    memcpy(at, "short", 5);
    CHECK(mcq_tx_commit(l->sock, 5) == MCQ_OK);
    CHECK(mcq_tx_reserve(l->sock, 16385, &at) == MCQ_ETOOBIG);
    CHECK(mcq_tx_reserve(l->sock, 5, &at) == MCQ_OK);
    memcpy(at, "wrong", 5);
    CHECK(mcq_send_bytes(l->sock, "other", 5) == MCQ_OK);
    CHECK(mcq_tx_commit(l->sock, 5) == MCQ_ESTATE); /* forgotten with the send */
    CHECK(mcq_tx_reserve(l->sock, 5, &at) == MCQ_OK);
    memcpy(at, "wrong", 5);
}

static void reserve_only(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    void *at;
    (void)shard;
    CHECK(mcq_tx_reserve(l->sock, 5, &at) == MCQ_OK);
    atomic_fetch_add(&l->got, 1);
}

static int start_reserve(struct mcq_shard *shard, void *arg)
{
    struct life *l = arg;
    l->sock = bound(shard, l, MCQ_PUSH, l->endpoint);
    atomic_store(&l->ready, 1);
    return 0;
}

static void *take_reserved(void *arg)
{
    struct life *l = arg;
    struct mcq_text body = {NULL, 0, 0};
    const char *const texts[] = {"right", "short", "other"};
    unsigned flags;
    mcq_trial_wait(&l->ready, 1);
    int fd = mcq_raw_open(l->endpoint, "PULL");
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_UP], 1));
    post(l, reserve);
    for (unsigned i = 0; i < 3; i++)
        CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 5 &&
              memcmp(body.ptr, texts[i], 5) == 0);
    post(l, reserve_only);
    CHECK(mcq_trial_wait(&l->got, 1));
    post(l, commit_late);
    CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 5 &&
          memcmp(body.ptr, "later", 5) == 0);
    post(l, reserve_only);
    CHECK(mcq_trial_wait(&l->got, 2));
    mcq_raw_reset(fd);
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(l, commit_late); /* its peer is gone */
    post(l, close_all);
    mcq_text_fini(&body);
    return NULL;
}

static struct life *life_new(void)
{
    static struct life life; /* one trial at a time */
    memset(&life, 0, sizeof(life));
    return &life;
}

int main(void)
{
    struct life *l = life_new();
    trial("unbind and peer_close", start_pull, leave, l);
    CHECK(l->closed == 1);
    l = life_new();
    mcq_raw_close(mcq_raw_listen(0, l->endpoint));
    trial("disconnect", start_push, be_left, l);
    trial("refused", start_pair, refused, life_new());
    trial("foreign threads", start_pull, trespass, life_new());
    trial("posts from four threads", start_pull, post_from_four, life_new());
    trial("SIGTERM", start_pull, end_by_signal, life_new());
    l = life_new();
    l->stop_by_signal = true;
    trial("stop from a signal handler", start_pull, end_by_signal, l);
    l = life_new();
    trial("open while stopping", start_stubborn, NULL, l);
    CHECK(l->closed == 1);
    l = life_new();
    trial("timers", start_timers, NULL, l);
    CHECK(l->got == 20);
    l = life_new();
    mcq_raw_close(mcq_raw_listen(0, l->endpoint));
    trial("no reply in time", start_req, answer_late, l);
    CHECK(l->got == 1 && l->timeouts == 1 && l->mid.pattern.drops_pattern == 1);
    trial("reservations", start_reserve, take_reserved, life_new());
    return mcq_trial_end();
}
