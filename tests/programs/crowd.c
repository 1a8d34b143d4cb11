/* A crowd comes at once to a logical socket with placement `least`: however it was accepted, the
 * members have equally many in the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS 2u
#define CROWD  1000u
#define WAVES  4u
#define OFF    (CROWD * 3 / 100) /* from an equal share */

static struct {
    struct mcq_shard *shards[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, up, ups[SHARDS], downs;
    bool one_door; /* shard 0 accepts all */
} w;

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *ev)
{
    (void)ctx;
    if (ev->kind == MCQ_EVENT_LISTENING)
        atomic_fetch_add(&w.listening, 1);
    if (ev->kind == MCQ_EVENT_DISCONNECTED)
        atomic_fetch_add(&w.downs, 1);
    if (ev->kind != MCQ_EVENT_UP)
        return;
    atomic_fetch_add(&w.ups[mcq_shard_id(mcq_sock_shard(sock))], 1);
    atomic_fetch_add(&w.up, 1);
}

static int start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers handlers = {.event = on_event};
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_sock *sock;
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    opts.logical = "crowd";
    opts.placement = MCQ_PLACEMENT_LEAST;
    w.shards[id] = shard;
    CHECK(mcq_sock_open(shard, MCQ_PULL, &opts, &handlers, NULL, &sock, NULL) == MCQ_OK);
    if (id != 0 && w.one_door)
        return 0;
    CHECK(mcq_sock_bind(sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    if (id == 0)
        snprintf(w.endpoint, sizeof(w.endpoint), "%s", mcq_sock_endpoint(sock));
    return 0;
}

static unsigned long apart(void)
{
    unsigned long a = atomic_load(&w.ups[0]), b = atomic_load(&w.ups[1]);
    return a > b ? a - b : b - a;
}

/* They come in waves, each before the one ahead of it is through; greeting and READY in one. */
static void *crowd(void *arg)
{
    static int fds[CROWD];
    struct mcq_text hello = {NULL, 0, 0};
    (void)arg;
    mcq_raw_greeting(&hello);
    mcq_raw_ready(&hello, "PUSH", NULL);
    CHECK(mcq_trial_wait(&w.listening, 1));
    for (unsigned wave = 0; wave < WAVES; wave++) {
        const unsigned from = wave * (CROWD / WAVES), to = from + CROWD / WAVES;
        for (unsigned i = from; i < to; i++)
            fds[i] = mcq_raw_connect(w.endpoint, 0);
        for (unsigned i = from; i < to; i++)
            CHECK(fds[i] >= 0 && mcq_raw_write(fds[i], hello.ptr, hello.len));
    }
    CHECK(mcq_trial_wait(&w.up, CROWD));
    if (!CHECK(apart() <= 2 * OFF))
        printf("  %lu and %lu\n", atomic_load(&w.ups[0]), atomic_load(&w.ups[1]));
    for (unsigned i = 0; i < CROWD; i++)
        mcq_raw_close(fds[i]);
    CHECK(mcq_trial_wait(&w.downs, CROWD));
    mcq_text_fini(&hello);
    mcq_stop(w.shards[0]);
    return NULL;
}

static void run(const char *name, bool one_door)
{
    struct mcq_trial trial = {
        .name = name, .opts = mcq_trial_opts(), .start = start, .peer = crowd};
    memset(&w, 0, sizeof(w));
    w.one_door = one_door;
    trial.opts.shards = SHARDS;
    trial.opts.arena_bytes = 64u << 20;
    trial.opts.connections_max = CROWD + 100;
    mcq_trial_run(&trial);
    printf("%s: %lu and %lu\n", name, atomic_load(&w.ups[0]), atomic_load(&w.ups[1]));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    run("all accepted by one", true);
    run("accepted by both", false);
    return mcq_trial_end();
}
