#include "shards/timer.h"

#include "shards/shard.h"

static void timer_tick(struct mcq_timer_node *node, uint64_t now_ns)
{
    struct mcq_timer *t = MCQ_CONTAINER_OF(node, struct mcq_timer, node);
    (void)now_ns;
    t->fn(t->ctx, t);
}

enum mcq_error mcq_timer_open(struct mcq_shard *sh, mcq_timer_fn *fn, void *ctx,
                              struct mcq_timer **timer)
{
    if (sh != mcq_shard_here)
        return MCQ_ETHREAD;
    struct mcq_timer *t = mcq_pool_take(&sh->timers);
    if (t == NULL)
        return MCQ_ELIMIT;
    *t = (struct mcq_timer){.node = {.fn = timer_tick}, .shard = sh, .fn = fn, .ctx = ctx};
    sh->timers_open++;
    *timer = t;
    return MCQ_OK;
}

void mcq_timer_arm(struct mcq_timer *t, uint64_t at_ns)
{
    /* Not in this turn: a timer that arms itself for the past would leave no other its turn. */
    uint64_t soonest = mcq_shard_now_ns(t->shard) + 1;
    mcq_timer_node_arm(mcq_loop_timers(t->shard->loop), &t->node,
                       at_ns > soonest ? at_ns : soonest);
}

void mcq_timer_disarm(struct mcq_timer *t)
{
    mcq_timer_node_disarm(mcq_loop_timers(t->shard->loop), &t->node);
}

void mcq_timer_close(struct mcq_timer *t)
{
    struct mcq_shard *sh = t->shard;
    mcq_timer_disarm(t);
    sh->timers_open--;
    mcq_pool_give(&sh->timers, t);
}
