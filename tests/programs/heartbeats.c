/* Heartbeats over real connections: a silent peer ends, by our patience or by its own word, one
 * that speaks in bytes doesn't, nor one whose user has paused it; and the PINGs between large
 * messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mem/base.h"
#include "tests/support/body.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define PERIOD_MS 20u
#define DRIPS     200u
#define DRIP_NS   10000000
#define PINGS     70u
#define LONG_MS   1000u /* so long nobody here is held up by the machine */
#define RECV_HWM  4096u
#define BIG_LEN   (16u << 20)
#define PIECE_LEN 32768u
#define PIECE_NS  3000000

struct beat {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    struct mcq_peer peer;
    char endpoint[64];
    atomic_ulong ready, got, resumes;
    uint32_t timeout_ms, ttl_ms;
    bool pause;
    bool quiet; /* without heartbeats of our own */
    uint8_t *memory;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct beat *b = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        b->peer = event->peer;
    mcq_diary_add(&b->diary, event);
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct beat *b = ctx;
    (void)sock;
    (void)from;
    (void)msg;
    bool pause = b->pause && b->got == 0;
    atomic_fetch_add(&b->got, 1);
    return pause ? MCQ_PAUSE : MCQ_CONTINUE;
}

static const struct mcq_sock_handlers handlers = {.message = on_message, .event = on_event};

static int start(struct mcq_shard *shard, void *arg)
{
    struct beat *b = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.heartbeat_ms = b->quiet ? MCQ_NONE : PERIOD_MS;
    opts.heartbeat_timeout_ms = b->timeout_ms;
    opts.heartbeat_ttl_ms = b->ttl_ms;
    opts.recv_hwm_bytes = RECV_HWM;
    opts.send_hwm_bytes = 4 * BIG_LEN;
    opts.send_buffer_bytes = 2 * PIECE_LEN; /* what the kernel has delays a PING, too */
    b->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PAIR, &opts, &handlers, b, &b->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(b->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(b->endpoint, sizeof(b->endpoint), "%s", mcq_sock_endpoint(b->sock));
    atomic_store(&b->ready, 1);
    return 0;
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct beat *b = arg;
    (void)shard;
    mcq_sock_close(b->sock);
}

static int meet(struct beat *b)
{
    CHECK(mcq_trial_wait(&b->ready, 1));
    return mcq_raw_open(b->endpoint, "PAIR");
}

static void finish(struct beat *b, int fd)
{
    CHECK(mcq_post(b->shard, close_sock, b) == MCQ_OK);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
}

static bool is_ping(unsigned flags, const struct mcq_text *body, unsigned ttl)
{
    return flags == MCQ_RAW_COMMAND && body->len == 7 && memcmp(body->ptr, "\4PING", 5) == 0 &&
           (unsigned char)body->ptr[5] == ttl >> 8 && (unsigned char)body->ptr[6] == (ttl & 255);
}

static void answer(int fd)
{
    struct mcq_text out = {NULL, 0, 0};
    mcq_raw_command(&out, "PONG", "", 0);
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

/* --- silence --------------------------------------------------------------------------------- */

/* One PING, no second, then the end. */
static void *say_nothing(void *arg)
{
    struct beat *b = arg;
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags = 0;
    int fd = meet(b);
    CHECK(mcq_raw_next(fd, &flags, &body) && is_ping(flags, &body, 0));
    CHECK(!mcq_raw_next(fd, &flags, &body));
    CHECK(mcq_trial_wait(&b->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    CHECK(mcq_post(b->shard, close_sock, b) == MCQ_OK);
    mcq_raw_close(fd);
    mcq_text_fini(&body);
    return NULL;
}

static void silence(void)
{
    struct beat *b = calloc(1, sizeof(*b));
    const struct mcq_trial trial = {"silence", mcq_trial_opts(), start, say_nothing, b};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.proto.pings_out == 1 && stats.proto.heartbeats_expired == 1);
    CHECK(b->diary.reasons[MCQ_REASON_HEARTBEAT] == 1);
    CHECK(stats.disconnects[MCQ_REASON_HEARTBEAT] == 1);
    mcq_diary_end(&b->diary);
    free(b);
}

/* --- a promise ------------------------------------------------------------------------------- */

/* Who has said how long its silence may last is taken at its word, whatever we do ourselves. */
static void *promise(void *arg)
{
    struct beat *b = arg;
    struct mcq_text ping = {NULL, 0, 0}, body = {NULL, 0, 0};
    unsigned flags = 0;
    int fd = meet(b);
    mcq_raw_command(&ping, "PING", "\0\1!", 3);
    CHECK(mcq_raw_write(fd, ping.ptr, ping.len));
    CHECK(mcq_raw_next(fd, &flags, &body) && flags == MCQ_RAW_COMMAND && body.len == 6);
    CHECK(memcmp(body.ptr, "\4PONG!", 6) == 0);
    CHECK(!mcq_raw_next(fd, &flags, &body));
    CHECK(mcq_trial_wait(&b->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    CHECK(mcq_post(b->shard, close_sock, b) == MCQ_OK);
    mcq_raw_close(fd);
    mcq_text_fini(&ping);
    mcq_text_fini(&body);
    return NULL;
}

static void promises(void)
{
    struct beat *b = calloc(1, sizeof(*b));
    b->quiet = true;
    const struct mcq_trial trial = {"promises", mcq_trial_opts(), start, promise, b};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.proto.pings_out == 0 && stats.proto.heartbeats_expired == 1);
    CHECK(b->diary.reasons[MCQ_REASON_HEARTBEAT] == 1);
    mcq_diary_end(&b->diary);
    free(b);
}

/* --- a long frame, byte by byte --------------------------------------------------------------- */

static void *drip(void *arg)
{
    struct beat *b = arg;
    const struct timespec pause = {0, DRIP_NS};
    struct mcq_text frame = {NULL, 0, 0};
    char bytes[DRIPS];
    int fd = meet(b);
    mcq_body_fill(bytes, sizeof(bytes), 1);
    mcq_raw_frame(&frame, 0, bytes, sizeof(bytes));
    for (size_t i = 0; i < frame.len; i++) {
        CHECK(mcq_raw_write(fd, frame.ptr + i, 1));
        nanosleep(&pause, NULL);
    }
    CHECK(mcq_trial_wait(&b->got, 1));
    mcq_text_fini(&frame);
    finish(b, fd);
    return NULL;
}

/* It takes twice as long as would do, if whole messages alone were life. */
static void dripping(void)
{
    struct beat *b = calloc(1, sizeof(*b));
    b->timeout_ms = LONG_MS;
    const struct mcq_trial trial = {"dripping", mcq_trial_opts(), start, drip, b};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.proto.heartbeats_expired == 0 && stats.proto.pings_out > 0);
    CHECK(b->diary.reasons[MCQ_REASON_HEARTBEAT] == 0);
    free(b);
}

/* --- paused by its user ----------------------------------------------------------------------- */

static void resume(struct mcq_shard *shard, void *arg)
{
    struct beat *b = arg;
    (void)shard;
    CHECK(mcq_peer_resume(b->sock, b->peer) == MCQ_OK);
}

/* PINGs go on, though nobody listens to the answers, for longer than any timeout of either side. */
static void *be_paused(void *arg)
{
    struct beat *b = arg;
    struct mcq_text out = {NULL, 0, 0}, body = {NULL, 0, 0};
    static const char second[RECV_HWM - 100];
    unsigned flags = 0;
    int fd = meet(b);
    mcq_raw_command(&out, "PING", "\0\x0a", 2); /* a second: our silence would be fatal, too */
    mcq_raw_frame(&out, 0, "first", 5);
    mcq_raw_frame(&out, 0, second, sizeof(second)); /* as much as waits here: it goes deaf */
    CHECK(mcq_raw_write(fd, out.ptr, out.len) && mcq_trial_wait(&b->got, 1));
    for (unsigned pings = 0; pings < PINGS;) {
        if (!CHECK(mcq_raw_next(fd, &flags, &body)))
            break;
        if (!is_ping(flags, &body, 3))
            continue;
        answer(fd);
        pings++;
    }
    CHECK(b->got == 1 && b->diary.cnt[MCQ_EVENT_DISCONNECTED] == 0);
    CHECK(mcq_post(b->shard, resume, b) == MCQ_OK && mcq_trial_wait(&b->got, 2));
    CHECK(b->diary.cnt[MCQ_EVENT_DISCONNECTED] == 0);
    mcq_text_fini(&out);
    mcq_text_fini(&body);
    finish(b, fd);
    return NULL;
}

static void paused(void)
{
    struct beat *b = calloc(1, sizeof(*b));
    b->pause = true;
    b->timeout_ms = LONG_MS;
    b->ttl_ms = 300;
    const struct mcq_trial trial = {"paused", mcq_trial_opts(), start, be_paused, b};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.proto.heartbeats_expired == 0 && stats.proto.pings_out >= PINGS);
    free(b);
}

/* --- large messages out ----------------------------------------------------------------------- */

static void send_big(struct mcq_shard *shard, void *arg)
{
    struct beat *b = arg;
    struct mcq_msg m;
    CHECK(mcq_msg_from_memory(shard, b->memory, BIG_LEN, NULL, NULL, &m) == MCQ_OK);
    CHECK(mcq_send(b->sock, &m) == MCQ_OK);
}

static bool read_slowly(int fd, uint8_t *at, size_t len)
{
    const struct timespec pause = {0, PIECE_NS};
    for (size_t done = 0; done < len;) {
        size_t n = mcq_min(PIECE_LEN, len - done);
        if (!mcq_raw_read(fd, at + done, n))
            return false;
        done += n;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* The head of the large message; PINGs may come before it. */
static bool read_big_head(int fd)
{
    uint8_t head[9];
    while (mcq_raw_read(fd, head, sizeof(head)) && head[0] == MCQ_RAW_COMMAND)
        answer(fd);
    return head[0] == 2;
}

/* It takes longer than a PING and its answer may, in which the peer says nothing: the PING has to
 * wait for the end of the message, so the answer is not late. */
static void *take_big(void *arg)
{
    struct beat *b = arg;
    struct mcq_text body = {NULL, 0, 0};
    uint8_t *big = malloc(BIG_LEN);
    unsigned flags = 0;
    int fd = mcq_trial_wait(&b->ready, 1) ? mcq_raw_connect(b->endpoint, PIECE_LEN) : -1;
    CHECK(fd >= 0 && mcq_raw_hello(fd, "PAIR", NULL));
    CHECK(mcq_post(b->shard, send_big, b) == MCQ_OK);
    CHECK(read_big_head(fd) && read_slowly(fd, big, BIG_LEN));
    CHECK(mcq_body_right(big, BIG_LEN, 5));
    CHECK(mcq_raw_next(fd, &flags, &body) && is_ping(flags, &body, 0));
    answer(fd);
    CHECK(b->diary.cnt[MCQ_EVENT_DISCONNECTED] == 0);
    mcq_text_fini(&body);
    free(big);
    finish(b, fd);
    return NULL;
}

static void large(void)
{
    struct beat *b = calloc(1, sizeof(*b));
    b->timeout_ms = LONG_MS;
    b->memory = malloc(BIG_LEN);
    mcq_body_fill(b->memory, BIG_LEN, 5);
    const struct mcq_trial trial = {"large", mcq_trial_opts(), start, take_big, b};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.proto.heartbeats_expired == 0 && stats.proto.pings_out >= 1);
    free(b->memory);
    free(b);
}

int main(void)
{
    silence();
    promises();
    dripping();
    paused();
    large();
    return mcq_trial_end();
}
