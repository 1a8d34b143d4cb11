/* libzmq's SUBs at one address of a logical XPUB over two shards: whichever shard has accepted one,
 * it gets what both publish and it asked for, in the order of each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "tests/support/trial.h"

#define SHARDS 2u
#define SUBS   16u
#define TOPICS 4u
#define EACH   800u /* messages of a shard */

struct feed {
    struct mcq_shard *shards[SHARDS];
    struct mcq_sock *members[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, known, peers[SHARDS], dropped;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct feed *f = ctx;
    if (event->kind == MCQ_EVENT_LISTENING) {
        snprintf(f->endpoint, sizeof(f->endpoint), "%s", event->endpoint);
        f->listening++;
    }
    if (event->kind == MCQ_EVENT_UP)
        f->peers[mcq_shard_id(mcq_sock_shard(sock))]++;
    if (event->kind == MCQ_EVENT_DROPPED)
        f->dropped += event->cnt;
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct feed *f = ctx;
    (void)sock;
    (void)peer;
    (void)topic;
    CHECK(len == 2);
    f->known += added ? 1 : 0;
}

static const struct mcq_sock_handlers handlers = {.event = on_event,
                                                  .subscription = on_subscription};

static int start(struct mcq_shard *shard, void *arg)
{
    struct feed *f = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    uint32_t id = mcq_shard_id(shard);
    f->shards[id] = shard;
    opts.logical = "feed";
    opts.verbose = true;
    return CHECK(mcq_sock_open(shard, MCQ_XPUB, &opts, &handlers, f, &f->members[id], NULL) ==
                 MCQ_OK) &&
                   CHECK(mcq_sock_bind(f->members[id], "tcp://127.0.0.1:*", NULL) == MCQ_OK)
               ? 0
               : 1;
}

static void publish(struct mcq_shard *shard, void *arg)
{
    struct feed *f = arg;
    uint32_t id = mcq_shard_id(shard);
    for (unsigned nr = 0; nr < EACH; nr++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "t%u %u %u", nr % TOPICS, id, nr);
        CHECK(mcq_send_bytes(f->members[id], text, (size_t)len) == MCQ_OK);
    }
}

static void *open_sub(void *ctx, const struct feed *f, unsigned i)
{
    char topic[8];
    void *sub = zmq_socket(ctx, ZMQ_SUB);
    int wait_ms = 10000;
    snprintf(topic, sizeof(topic), "t%u", i % TOPICS);
    CHECK(sub != NULL && zmq_setsockopt(sub, ZMQ_SUBSCRIBE, topic, 2) == 0);
    CHECK(zmq_setsockopt(sub, ZMQ_RCVTIMEO, &wait_ms, sizeof(wait_ms)) == 0);
    CHECK(zmq_connect(sub, f->endpoint) == 0);
    return sub;
}

/* All of its topic, of each shard in order. */
static void drain(void *sub, unsigned i)
{
    unsigned next[SHARDS] = {i % TOPICS, i % TOPICS};
    for (unsigned got = 0; got < SHARDS * EACH / TOPICS; got++) {
        char text[32] = "";
        unsigned topic, id, nr;
        if (!CHECK(zmq_recv(sub, text, sizeof(text) - 1, 0) > 0) ||
            !CHECK(sscanf(text, "t%u %u %u", &topic, &id, &nr) == 3 && id < SHARDS))
            return;
        CHECK(topic == i % TOPICS && nr == next[id]);
        next[id] = nr + TOPICS;
    }
}

static void *peers(void *arg)
{
    struct feed *f = arg;
    void *ctx = zmq_ctx_new();
    void *subs[SUBS];
    if (CHECK(mcq_trial_wait(&f->listening, 1))) {
        for (unsigned i = 0; i < SUBS; i++)
            subs[i] = open_sub(ctx, f, i);
        CHECK(mcq_trial_wait(&f->known, SUBS));
        for (unsigned id = 0; id < SHARDS; id++)
            CHECK(mcq_post(f->shards[id], publish, f) == MCQ_OK);
        for (unsigned i = 0; i < SUBS; i++)
            drain(subs[i], i);
        for (unsigned i = 0; i < SUBS; i++)
            zmq_close(subs[i]);
    }
    zmq_ctx_term(ctx);
    mcq_stop(f->shards[0]);
    return NULL;
}

int main(void)
{
#ifdef __SANITIZE_THREAD__ /* libzmq isn't built for it */
    printf("SKIP members_zmq: libzmq isn't built for ThreadSanitizer\n");
    return 77;
#endif
    static struct feed f;
    struct mcq_trial trial = {"libzmq's subscribers", mcq_trial_opts(), start, peers, &f};
    trial.opts.shards = SHARDS;
    mcq_trial_run(&trial);
    CHECK(f.peers[0] + f.peers[1] == SUBS && f.dropped == 0 && f.known == SUBS);
    printf("# peers of each shard: %lu %lu\n", f.peers[0], f.peers[1]);
    return mcq_trial_end();
}
