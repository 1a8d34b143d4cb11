/* No peer holds up another: stalled readers, floods of every kind, a direction that is full. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define STALLED 60u

struct fair {
    struct mcq_shard *shard;
    struct mcq_sock *sock, *other;
    struct mcq_timer *timer;
    struct mcq_diary diary;
    char endpoint[64], other_endpoint[64];
    atomic_ulong ready, subscribed, sent, got, stop, writables, flooded;
    atomic_ulong quiet_got, got_before_quiet;
    size_t len;
    enum mcq_sock_type type;
    const char *peer_type; /* of those who flood */
    const struct mcq_text *flood;
    bool one_byte;
    char *body;
    struct mcq_shard_stats mid;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct fair *f = ctx;
    if (sock == f->sock)
        mcq_diary_add(&f->diary, event);
}

static void finish(struct mcq_shard *shard, void *arg)
{
    struct fair *f = arg;
    mcq_shard_stats(shard, &f->mid);
    atomic_store(&f->stop, 1);
    mcq_stop(shard);
}

static struct mcq_sock *open_bound(struct mcq_shard *shard, struct fair *f, enum mcq_sock_type type,
                                   const struct mcq_sock_handlers *h, char endpoint[64])
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_sock *sock;
    opts.linger_ms = MCQ_NONE;
    f->shard = shard;
    CHECK(mcq_sock_open(shard, type, &opts, h, f, &sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(endpoint, 64, "%s", mcq_sock_endpoint(sock));
    return sock;
}

static enum mcq_flow echo(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msg)
{
    (void)ctx;
    CHECK(mcq_send_to(sock, from, msg) == MCQ_OK);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers echoing = {.message = echo, .event = on_event};

static bool round_trip(int fd, uint32_t n, size_t len)
{
    struct mcq_text out = {NULL, 0, 0};
    char body[8192] = {0};
    unsigned flags = 0;
    memcpy(body, &n, sizeof(n));
    mcq_raw_frame(&out, 0, body, len);
    bool ok = mcq_raw_write(fd, out.ptr, out.len) && mcq_raw_next_message(fd, &flags, &out) &&
              (flags & MCQ_RAW_MORE) == 0 && out.len == len && memcmp(out.ptr, body, len) == 0;
    mcq_text_fini(&out);
    return CHECK(ok);
}

static void round_trips(const char *endpoint, uint32_t cnt)
{
    int fd = mcq_raw_open(endpoint, "DEALER");
    for (uint32_t i = 0; i < cnt && round_trip(fd, i, 16 + i * 31 % 8000); i++)
        ;
    mcq_raw_close(fd);
}

/* --- readers that stall ---------------------------------------------------------------------- */

static void publish(void *ctx, struct mcq_timer *timer)
{
    struct fair *f = ctx;
    if (f->stop != 0)
        return;
    for (unsigned i = 0; i < 100; i++) {
        struct mcq_msg m = mcq_msg_of(f->body, f->len);
        CHECK(mcq_send(f->sock, &m) == MCQ_OK);
        atomic_fetch_add(&f->sent, 1);
    }
    mcq_timer_arm(timer, mcq_shard_now(f->shard) + 1000000);
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct fair *f = ctx;
    (void)sock;
    (void)peer;
    (void)topic;
    (void)len;
    if (added && atomic_fetch_add(&f->subscribed, 1) + 1 == STALLED)
        mcq_timer_arm(f->timer, 0);
}

static const struct mcq_sock_handlers publishing = {.event = on_event,
                                                    .subscription = on_subscription};

static int start_pub(struct mcq_shard *shard, void *arg)
{
    struct fair *f = arg;
    f->sock = open_bound(shard, f, MCQ_PUB, &publishing, f->endpoint);
    f->other = open_bound(shard, f, MCQ_DEALER, &echoing, f->other_endpoint);
    CHECK(mcq_timer_open(shard, publish, f, &f->timer) == MCQ_OK);
    atomic_store(&f->ready, 1);
    return 0;
}

static void *stall(void *arg)
{
    struct fair *f = arg;
    struct mcq_text out = {NULL, 0, 0};
    int fds[STALLED];
    mcq_trial_wait(&f->ready, 1);
    mcq_raw_command(&out, "SUBSCRIBE", "", 0);
    for (unsigned i = 0; i < STALLED; i++) {
        fds[i] = mcq_raw_connect(f->endpoint, 4096);
        CHECK(fds[i] >= 0 && mcq_raw_hello(fds[i], "SUB", NULL));
        CHECK(mcq_raw_write(fds[i], out.ptr, out.len));
    }
    CHECK(mcq_trial_wait(&f->subscribed, STALLED));
    CHECK(mcq_trial_wait(&f->diary.dropped, 10000));
    round_trips(f->other_endpoint, 400);
    /* A new one gets everything from now on. */
    int fd = mcq_raw_open(f->endpoint, "SUB");
    unsigned flags;
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    for (unsigned i = 0; i < 100; i++)
        CHECK(mcq_raw_next_message(fd, &flags, &out) && out.len == f->len);
    round_trips(f->other_endpoint, 400);
    CHECK(mcq_post(f->shard, finish, f) == MCQ_OK);
    CHECK(mcq_raw_ended(fd));
    for (unsigned i = 0; i < STALLED; i++)
        mcq_raw_close(fds[i]);
    mcq_raw_close(fd);
    mcq_text_fini(&out);
    return NULL;
}

static void stalled(size_t len)
{
    struct fair *f = calloc(1, sizeof(*f));
    struct mcq_trial trial = {"stalled readers", mcq_trial_opts(), start_pub, stall, f};
    f->len = len;
    f->body = calloc(1, len);
    trial.opts.arena_bytes = 16u << 20;
    mcq_trial_run(&trial);
    CHECK(f->mid.pattern.drops_hwm == f->diary.dropped || f->mid.pattern.drops_hwm > 10000);

    mcq_diary_end(&f->diary);
    free(f->body);
    free(f);
}

/* --- floods ---------------------------------------------------------------------------------- */

static enum mcq_flow echo_own(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *msg)
{
    struct fair *f = ctx;
    atomic_fetch_add(&f->got, 1);
    if (msg->frame_cnt != 1 || msg->len < 16)
        return MCQ_CONTINUE;
    CHECK(mcq_send_to(sock, from, msg) == MCQ_OK);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers echoing_own = {.message = echo_own, .event = on_event};

static int start_flooded(struct mcq_shard *shard, void *arg)
{
    struct fair *f = arg;
    f->sock = open_bound(shard, f, MCQ_DEALER, &echoing_own, f->endpoint);
    atomic_store(&f->ready, 1);
    return 0;
}

static void wait_for(int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    poll(&p, 1, 100);
}

static void *flood(void *arg)
{
    struct fair *f = arg;
    static __thread char sink[65536];
    int fd = mcq_raw_open(f->endpoint, f->peer_type);
    size_t at = 0;
    while (f->stop == 0) {
        size_t n = f->one_byte ? 1 : f->flood->len - at;
        size_t k = mcq_raw_write_some(fd, f->flood->ptr + at, n);
        atomic_fetch_add(&f->flooded, k);
        at = (at + k) % f->flood->len;
        if (mcq_raw_read_some(fd, sink, sizeof(sink)) == 0 && k == 0)
            wait_for(fd);
    }
    mcq_raw_reset(fd);
    return NULL;
}

static void *flood_and_trip(void *arg)
{
    struct fair *f = arg;
    pthread_t threads[2];
    mcq_trial_wait(&f->ready, 1);
    for (unsigned i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, flood, f) != 0)
            abort();
    CHECK(mcq_trial_wait(&f->flooded, f->one_byte ? 1000 : 1000000));
    round_trips(f->endpoint, 50);
    atomic_store(&f->stop, 1);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(mcq_post(f->shard, finish, f) == MCQ_OK);
    return NULL;
}

static void flooded(const char *name, const struct mcq_text *bytes, bool one_byte)
{
    struct fair *f = calloc(1, sizeof(*f));
    struct mcq_trial trial = {name, mcq_trial_opts(), start_flooded, flood_and_trip, f};
    f->flood = bytes;
    f->peer_type = "DEALER";
    f->one_byte = one_byte;
    mcq_trial_run(&trial);
    CHECK(f->mid.proto.errors == 0);
    mcq_diary_end(&f->diary);
    free(f);
}

static void floods(void)
{
    struct mcq_text pings = {NULL, 0, 0}, unknown = {NULL, 0, 0}, empty = {NULL, 0, 0};
    struct mcq_text frames = {NULL, 0, 0};
    for (unsigned i = 0; i < 1000; i++) {
        mcq_raw_command(&pings, "PING", "\0\12sixteen bytes ok", 18);
        mcq_raw_command(&unknown, "HOWDY", "", 0);
        mcq_raw_frame(&empty, 0, "", 0);
    }
    for (unsigned i = 0; i < 1023; i++)
        mcq_raw_frame(&frames, MCQ_RAW_MORE, "", 0);
    mcq_raw_frame(&frames, 0, "", 0);
    flooded("a flood of PING", &pings, false);
    flooded("a flood of unknown commands", &unknown, false);
    flooded("a flood of empty messages", &empty, false);
    flooded("a flood of 1,024 empty frames", &frames, false);
    flooded("a flood of single bytes", &empty, true);
    mcq_text_fini(&pings);
    mcq_text_fini(&unknown);
    mcq_text_fini(&empty);
    mcq_text_fini(&frames);
}

/* --- a quiet peer beside two firehoses ------------------------------------------------------- */

#define QUIET      200u
#define QUIET_LEN  24u
#define HOSE_LEN   16u
#define HOSE_BURST 1000u
/* Messages of the firehoses that may come before one of the quiet peer's which the kernel has: what
 * two of them may have received and not delivered, twice over, and the turn that was under way. */
#define HOSE_MAX (2u * 4u * 262144u / HOSE_LEN)

static enum mcq_flow on_hose(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *msg)
{
    struct fair *f = ctx;
    bool quiet = mcq_msg_bytes(msg) == QUIET_LEN;
    (void)from;
    if (mcq_sock_type(sock) == MCQ_REP) {
        struct mcq_msg reply = mcq_msg_of("", 0);
        CHECK(mcq_send(sock, &reply) == MCQ_OK || f->stop != 0);
    }
    if (quiet) {
        f->got_before_quiet = f->got;
        atomic_fetch_add(&f->quiet_got, 1);
    } else {
        atomic_fetch_add(&f->got, 1);
    }
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers hosed = {.message = on_hose, .event = on_event};

static int start_hosed(struct mcq_shard *shard, void *arg)
{
    struct fair *f = arg;
    f->sock = open_bound(shard, f, f->type, &hosed, f->endpoint);
    atomic_store(&f->ready, 1);
    return 0;
}

static void put_message(struct mcq_text *out, enum mcq_sock_type type, size_t len)
{
    static const char body[QUIET_LEN];
    if (type == MCQ_REP)
        mcq_raw_frame(out, MCQ_RAW_MORE, "", 0);
    mcq_raw_frame(out, 0, body, len);
}

/* The count is read after the kernel has the message: a pause of this thread's can't spoil it. */
static void send_quietly(struct fair *f)
{
    struct mcq_text out = {NULL, 0, 0};
    int fd = mcq_raw_open(f->endpoint, f->peer_type);
    put_message(&out, f->type, QUIET_LEN);
    for (unsigned long i = 1; i <= QUIET; i++) {
        if (!CHECK(mcq_raw_write(fd, out.ptr, out.len)))
            break;
        unsigned long before = f->got;
        if (!CHECK(mcq_trial_wait_quick(&f->quiet_got, i)))
            break;
        CHECK(f->got_before_quiet < before + HOSE_MAX);
    }
    mcq_raw_reset(fd);
    mcq_text_fini(&out);
}

static void *hose_and_send(void *arg)
{
    struct fair *f = arg;
    pthread_t threads[2];
    mcq_trial_wait(&f->ready, 1);
    for (unsigned i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, flood, f) != 0)
            abort();
    CHECK(mcq_trial_wait(&f->got, 1000));
    send_quietly(f);
    atomic_store(&f->stop, 1);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(mcq_post(f->shard, finish, f) == MCQ_OK);
    return NULL;
}

static void beside_firehoses(const char *name, enum mcq_sock_type type, const char *peer_type)
{
    struct fair *f = calloc(1, sizeof(*f));
    struct mcq_text burst = {NULL, 0, 0};
    struct mcq_trial trial = {name, mcq_trial_opts(), start_hosed, hose_and_send, f};
    for (unsigned i = 0; i < HOSE_BURST; i++)
        put_message(&burst, type, HOSE_LEN);
    f->type = type;
    f->peer_type = peer_type;
    f->flood = &burst;
    mcq_trial_run(&trial);
    mcq_diary_end(&f->diary);
    mcq_text_fini(&burst);
    free(f);
}

/* --- PING while the other direction is full -------------------------------------------------- */

static void fill(void *ctx, struct mcq_sock *sock)
{
    struct fair *f = ctx;
    for (;;) {
        struct mcq_msg m = mcq_msg_of(f->body, f->len);
        if (mcq_send(sock, &m) != MCQ_OK)
            return;
        atomic_fetch_add(&f->sent, 1);
    }
}

static const struct mcq_sock_handlers filling = {.writable = fill, .event = on_event};

static int start_full(struct mcq_shard *shard, void *arg)
{
    struct fair *f = arg;
    f->sock = open_bound(shard, f, MCQ_PUSH, &filling, f->endpoint);
    atomic_store(&f->ready, 1);
    return 0;
}

/* The pong comes between two messages, and before more than the buffers hold has come. */
static void expect_pong(struct fair *f, int fd, const char *context)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    size_t bytes = 0;
    do {
        if (!CHECK(mcq_raw_next(fd, &flags, &body) && bytes < 40u << 20))
            break;
        CHECK((flags & MCQ_RAW_COMMAND) != 0 || body.len == f->len);
        bytes += body.len;
    } while ((flags & MCQ_RAW_COMMAND) == 0);
    CHECK(body.len == 5 + strlen(context) && memcmp(body.ptr, "\4PONG", 5) == 0 &&
          memcmp(body.ptr + 5, context, strlen(context)) == 0);
    mcq_text_fini(&body);
}

static void *ping(void *arg)
{
    struct fair *f = arg;
    struct mcq_text out = {NULL, 0, 0};
    mcq_trial_wait(&f->ready, 1);
    int fd = mcq_raw_open(f->endpoint, "PULL");
    CHECK(mcq_trial_wait(&f->sent, 5));
    for (unsigned i = 0; i < 10; i++) {
        char data[2 + 16] = {0, 0};
        snprintf(data + 2, 16, "context %u", i);
        out.len = 0;
        mcq_raw_command(&out, "PING", data, 2 + strlen(data + 2));
        CHECK(mcq_raw_write(fd, out.ptr, out.len));
        expect_pong(f, fd, data + 2);
    }
    CHECK(mcq_post(f->shard, finish, f) == MCQ_OK);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    mcq_text_fini(&out);
    return NULL;
}

static void full(size_t len)
{
    struct fair *f = calloc(1, sizeof(*f));
    struct mcq_trial trial = {"PING against a full direction", mcq_trial_opts(), start_full, ping,
                              f};
    f->len = len;
    f->body = calloc(1, len);
    mcq_trial_run(&trial);
    mcq_diary_end(&f->diary);
    free(f->body);
    free(f);
}

int main(void)
{
    stalled(1000);
    stalled(20000);
    floods();
    beside_firehoses("PULL beside firehoses", MCQ_PULL, "PUSH");
    beside_firehoses("DEALER beside firehoses", MCQ_DEALER, "DEALER");
    beside_firehoses("ROUTER beside firehoses", MCQ_ROUTER, "DEALER");
    beside_firehoses("REP beside firehoses", MCQ_REP, "REQ");
    full(16);
    full(3000);
    full(1000000);
    return mcq_trial_end();
}
