/* A slow peer of one member, and all members have more to say than it takes: the members on other
 * shards get like shares of its room. (Who sends on the peer's own shard gets more of it, the
 * smaller the messages: his next is there at once, theirs are a way through the mesh behind.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS  3u
#define WARM    10000u /* messages until all have begun */
#define COUNTED 60000u
#define PACE    100u /* messages between two rests of the peer */

static struct {
    enum mcq_sock_type type;
    struct mcq_shard *shards[SHARDS];
    struct mcq_sock *socks[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, up;
    atomic_bool on;
    unsigned long heard[SHARDS];
} w;

static void fill(struct mcq_sock *sock)
{
    const uint8_t from = (uint8_t)mcq_shard_id(mcq_sock_shard(sock));
    while (atomic_load(&w.on) && mcq_send_bytes(sock, &from, 1) == MCQ_OK)
        ;
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    (void)ctx;
    fill(sock);
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

static void begin(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    fill(w.socks[mcq_shard_id(shard)]);
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
    int fd = mcq_raw_open(w.endpoint, w.type == MCQ_PUSH ? "PULL" : "SUB");
    if (w.type == MCQ_PUB)
        CHECK(mcq_raw_write(fd, "\0\1\1", 3));
    CHECK(mcq_trial_wait(&w.up, 1));
    usleep(100000); /* what it wants is known everywhere; if not, the warming takes longer */
    atomic_store(&w.on, true);
    for (uint32_t i = 0; i < SHARDS; i++)
        CHECK(mcq_post(w.shards[i], begin, NULL) == MCQ_OK);
    for (unsigned i = 0; i < WARM + COUNTED; i++) {
        if (!CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 1))
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
    CHECK(w.heard[1] <= 3 * w.heard[2] && w.heard[2] <= 3 * w.heard[1]);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    run("PUSH", MCQ_PUSH);
    run("PUB", MCQ_PUB);
    return mcq_trial_end();
}
