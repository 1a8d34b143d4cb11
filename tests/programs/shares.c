/* A slow peer of one member, and all members have more to say than it takes: each gets a like share
 * of its room, on the peer's own shard or not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS  3u
#define WARM    10000u /* messages until all have begun */
#define COUNTED 40000u
#define LEN     50u   /* bytes of a message */
#define MANY    5000u /* messages of a turn */
#define PACE    100u  /* messages between two rests of the peer */

static struct {
    enum mcq_sock_type type;
    struct mcq_shard *shards[SHARDS];
    struct mcq_sock *socks[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, up;
    atomic_bool on;
    unsigned long heard[SHARDS];
} w;

/* A publisher nobody listens to yet is never refused: more in the next turn. */
static void fill(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock *sock = w.socks[mcq_shard_id(shard)];
    const uint8_t body[LEN] = {(uint8_t)mcq_shard_id(shard)};
    enum mcq_error err = MCQ_OK;
    (void)arg;
    for (unsigned i = 0; i < MANY && atomic_load(&w.on) && err == MCQ_OK; i++)
        err = mcq_send_bytes(sock, body, LEN);
    if (err == MCQ_OK && atomic_load(&w.on))
        CHECK(mcq_post(shard, fill, NULL) == MCQ_OK);
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    (void)ctx;
    if (atomic_load(&w.on))
        fill(mcq_sock_shard(sock), NULL);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *ev)
{
    (void)ctx;
    (void)sock;
    if (ev->kind == MCQ_EVENT_LISTENING)
        atomic_fetch_add(&w.listening, 1);
    if (ev->kind == MCQ_EVENT_UP)
        atomic_fetch_add(&w.up, 1);
}

static int start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers handlers = {.writable = on_writable, .event = on_event};
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    opts.logical = "shares";
    opts.slow = MCQ_SLOW_BLOCK;
    opts.linger_ms = 0;
    opts.send_buffer_bytes = 16384; /* or all there is to share is the kernel's at the start */
    opts.notsent_lowat_bytes = 8192;
    w.shards[id] = shard;
    CHECK(mcq_sock_open(shard, w.type, &opts, &handlers, NULL, &w.socks[id], NULL) == MCQ_OK);
    if (id == 0) {
        CHECK(mcq_sock_bind(w.socks[0], "tcp://127.0.0.1:*", NULL) == MCQ_OK);
        snprintf(w.endpoint, sizeof(w.endpoint), "%s", mcq_sock_endpoint(w.socks[0]));
    }
    return 0;
}

static void *slow_peer(void *arg)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_connect(w.endpoint, 8192);
    CHECK(fd >= 0 && mcq_raw_hello(fd, w.type == MCQ_PUSH ? "PULL" : "SUB", NULL));
    if (w.type == MCQ_PUB)
        CHECK(mcq_raw_write(fd, "\0\1\1", 3));
    CHECK(mcq_trial_wait(&w.up, 1));
    usleep(100000); /* what it wants is known everywhere; if not, the warming takes longer */
    atomic_store(&w.on, true);
    for (uint32_t i = 0; i < SHARDS; i++)
        CHECK(mcq_post(w.shards[i], fill, NULL) == MCQ_OK);
    for (unsigned i = 0; i < WARM + COUNTED; i++) {
        if (!CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == LEN))
            break;
        if (i >= WARM)
            w.heard[(uint8_t)body.ptr[0] % SHARDS]++;
        if (i % PACE == 0)
            usleep(1000);
    }
    atomic_store(&w.on, false);
    mcq_stop(w.shards[0]);
    mcq_raw_close(fd);
    mcq_text_fini(&body);
    return NULL;
}

static void run(const char *name, enum mcq_sock_type type)
{
    memset(&w, 0, sizeof(w));
    w.type = type;
    struct mcq_trial trial = {
        .name = name, .opts = mcq_trial_opts(), .start = start, .peer = slow_peer};
    trial.opts.shards = SHARDS;
    mcq_trial_run(&trial);
    printf("%s: %lu of its own shard, %lu and %lu of others\n", name, w.heard[0], w.heard[1],
           w.heard[2]);
    for (uint32_t i = 0; i < SHARDS; i++)
        CHECK(w.heard[i] <= 3 * w.heard[(i + 1) % SHARDS] &&
              w.heard[i] <= 3 * w.heard[(i + 2) % SHARDS]);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    run("PUSH", MCQ_PUSH);
    run("PUB", MCQ_PUB);
    return mcq_trial_end();
}
