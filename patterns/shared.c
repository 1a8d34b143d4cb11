#include "patterns/shared.h"

#include "patterns/subs.h"

/* Every peer's subscription may be the only one to its topic, and a SUB's own ones are in the same
 * table. */
static uint32_t prefixes_max(const struct mcq_pattern_plan *plan)
{
    return plan->peer_subs_max + plan->own_subs_max;
}

size_t mcq_pattern_shared_footprint(const struct mcq_pattern_plan *plan)
{
    return sizeof(struct mcq_pattern_shared) + MCQ_CACHE_LINE +
           mcq_registry_footprint(plan->connections_max) +
           mcq_prefix_table_footprint(prefixes_max(plan)) +
           mcq_fanout_pools_footprint(plan->peer_subs_max, plan->connections_max) +
           mcq_pool_footprint(sizeof(struct mcq_own_sub), plan->own_subs_max);
}

struct mcq_pattern_shared *mcq_pattern_shared_init(struct mcq_arena *arena,
                                                   const struct mcq_pattern_plan *plan,
                                                   struct mcq_buf_heap *heap)
{
    struct mcq_pattern_shared *shared = mcq_arena_carve(arena, sizeof(*shared), MCQ_CACHE_LINE);
    if (shared == NULL)
        return NULL;
    bool ok =
        mcq_registry_init(&shared->registry, arena, plan->connections_max, plan->hash_seed) &&
        mcq_prefix_table_init(&shared->prefixes, arena, heap, prefixes_max(plan),
                              plan->long_topics_max, plan->hash_seed) &&
        mcq_fanout_pools_init(&shared->fanout, arena, plan->peer_subs_max, plan->connections_max) &&
        mcq_pool_init(&shared->own_subs, "own subscriptions", arena, sizeof(struct mcq_own_sub),
                      plan->own_subs_max);
    return ok ? shared : NULL;
}
