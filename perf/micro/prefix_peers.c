#include "prefix_peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "patterns/psock.h"
#include "patterns/tables.h"

#define ROUNDS 3

/* A PUB without a shard: nobody listens above. */
struct world {
    struct mcq_psock s;
    struct mcq_psock_opts opts;
    struct mcq_pattern_stats stats;
    struct mcq_mem_stats mem;
    struct mcq_pipe_env env;
    struct mcq_arena arena;
    struct mcq_buf_heap *heap;
    struct mcq_pattern_shared *shared;
    struct mcq_pipe *pipes;
    uint32_t pipe_cnt;
};

static void on_subscription(void *ctx, struct mcq_peer peer, bool added, struct mcq_slice topic)
{
    (void)ctx;
    (void)peer;
    (void)added;
    (void)topic;
}

static void on_nothing(void *ctx)
{
    (void)ctx;
}

static const struct mcq_psock_up UP = {
    .subscription = on_subscription, .sweep = on_nothing, .writable = on_nothing};

static struct mcq_pattern_plan plan_of(uint32_t peers, uint32_t subs)
{
    return (struct mcq_pattern_plan){.connections_max = peers,
                                     .peer_subs_max = subs,
                                     .own_subs_max = 1,
                                     .long_topics_max = 1,
                                     .hash_seed = 88172645463325252u};
}

static bool world_open(struct world *w, uint32_t peers, uint32_t subs)
{
    const struct mcq_buf_plan bufs = {{64, 64, 0, 0}, 0, 0};
    const struct mcq_pattern_plan plan = plan_of(peers, subs);
    size_t len = mcq_buf_heap_footprint(&bufs) + mcq_pattern_shared_footprint(&plan) + 4096;
    *w = (struct world){.opts = {.subs_max = UINT32_MAX,
                                 .subs_max_bytes = UINT32_MAX,
                                 .subs_sock_max = UINT32_MAX,
                                 .subs_sock_max_bytes = UINT32_MAX,
                                 .slow = MCQ_SLOW_DROP_NEW}};
    if (mcq_arena_init(&w->arena, len, MCQ_NODE_ANY, NULL) != MCQ_OK)
        return false;
    w->heap = mcq_buf_heap_init(&w->arena, &bufs, &w->mem);
    w->shared = mcq_pattern_shared_init(&w->arena, &plan, w->heap);
    w->pipes = calloc(peers, sizeof(*w->pipes));
    if (w->heap == NULL || w->shared == NULL || w->pipes == NULL)
        return false;
    mcq_arena_seal(&w->arena, false, NULL);
    w->env = (struct mcq_pipe_env){.heap = w->heap, .stats = &w->stats};
    const struct mcq_psock_config config = {
        .up = &UP, .up_ctx = w, .env = &w->env, .shared = w->shared, .opts = &w->opts};
    mcq_psock_init(&w->s, &mcq_pattern_pub, &config);
    for (; w->pipe_cnt < peers; w->pipe_cnt++) {
        struct mcq_pipe *p = &w->pipes[w->pipe_cnt];
        mcq_pipe_init(p, &w->env, &w->s, 1000, UINT64_MAX);
        p->peer.bits = w->pipe_cnt + 1;
        w->s.pattern->add(&w->s, p);
        if (w->s.pattern->attach(&w->s, p) != MCQ_REASON_NONE)
            return false;
    }
    return true;
}

static void world_close(struct world *w)
{
    for (uint32_t i = 0; i < w->pipe_cnt; i++)
        w->s.pattern->remove(&w->s, &w->pipes[i]);
    if (w->s.pattern != NULL)
        mcq_psock_fini(&w->s);
    free(w->pipes);
    mcq_arena_fini(&w->arena);
}

/* The i-th subscription: peers take turns, and so do the topics, out of step with them. */
static bool change(struct world *w, const struct prefix_keys *k, bool add, uint32_t i,
                   const struct prefix_peers *r, struct prefix_times *times)
{
    uint32_t round = i / r->peers;
    uint32_t key = (uint32_t)(((uint64_t)i + round) % r->prefixes);
    struct mcq_slice topic = prefix_obj_key(&k->objs[key]);
    uint64_t begin = prefix_clock_ns();
    enum mcq_reason reason = mcq_fanout_change(&w->s, &w->pipes[i % r->peers], add, topic);
    prefix_times_note(times, i, prefix_clock_ns() - begin);
    return reason == MCQ_REASON_NONE;
}

/* In the middle of a round, when all are subscribed. */
static void weigh(const struct world *w, struct prefix_peers *r)
{
    const struct mcq_prefix_table *t = &w->shared->prefixes;
    const struct mcq_fanout_pools *f = &w->shared->fanout;
    const struct mcq_pattern_plan plan = plan_of(r->peers, r->peers * r->per_peer);
    double subs = f->subs.in_use;
    double map = (double)t->map.bucket_cnt * (double)sizeof(struct mcq_prefix_bucket);
    double forks = (double)t->forks.in_use * (double)t->forks.obj_len;
    r->prefix_bytes = (double)f->topics.obj_len + map / t->forks.max + forks / f->topics.in_use;
    r->sub_bytes = (double)f->subs.obj_len +
                   (double)f->bucket_cnt * (double)sizeof(f->buckets[0]) / subs +
                   (double)f->subscribers.in_use * (double)f->subscribers.obj_len / subs;
    r->reserved_bytes = (double)mcq_pattern_shared_footprint(&plan) / subs;
}

static bool rounds(const struct prefix_keys *k, struct prefix_peers *r, struct prefix_times *sub,
                   struct prefix_times *cancel)
{
    uint32_t subs = r->peers * r->per_peer;
    bool ok = true;
    for (int round = 0; ok && round < ROUNDS; round++) {
        struct world w;
        ok = world_open(&w, r->peers, subs);
        for (uint32_t i = 0; ok && i < subs; i++)
            ok = change(&w, k, true, i, r, sub);
        ok = ok && w.shared->fanout.subs.in_use == subs;
        if (ok)
            weigh(&w, r);
        for (uint32_t i = 0; ok && i < subs; i++)
            ok = change(&w, k, false, i, r, cancel);
        ok = ok && w.shared->fanout.topics.in_use == 0;
        world_close(&w);
    }
    return ok;
}

bool prefix_peers_measure(const struct prefix_keys *k, uint32_t peers, uint32_t per_peer,
                          uint32_t prefixes, struct prefix_peers *result)
{
    struct prefix_times sub;
    struct prefix_times cancel;
    *result = (struct prefix_peers){.peers = peers, .per_peer = per_peer, .prefixes = prefixes};
    bool opened = prefix_times_open(&sub, peers * per_peer);
    opened = prefix_times_open(&cancel, peers * per_peer) && opened;
    bool ok = opened && rounds(k, result, &sub, &cancel);
    if (ok) {
        result->subscribe = prefix_times_spread(&sub);
        result->cancel = prefix_times_spread(&cancel);
    } else {
        fprintf(stderr, "mcq-micro: %u peers with %u subscriptions each don't fit\n", peers,
                per_peer);
    }
    prefix_times_close(&sub);
    prefix_times_close(&cancel);
    return ok;
}
