/* Shared: the pools and tables of a shard that its sockets' patterns use together. Carved once
 * from the arena; nothing is allocated afterwards. Every maximum is named in the plan, and an
 * empty pool is an answer (MCQ_ELIMIT, a peer refused with reason `limit`), never a failure.
 *
 * Thread: the shard's. Ownership: the arena's.
 */
#ifndef MCQ_PATTERNS_SHARED_H
#define MCQ_PATTERNS_SHARED_H

#include "mem/arena.h"
#include "mem/buf.h"
#include "patterns/fanout.h"
#include "patterns/prefix.h"
#include "patterns/registry.h"

struct mcq_pattern_plan {
    uint32_t connections_max; /* pipes with an identity at a time */
    uint32_t peer_subs_max;   /* what all peers of all PUB sockets may be subscribed to */
    uint32_t own_subs_max; /* subscriptions of all SUB sockets, ended ones not yet told included */
    uint32_t long_topics_max; /* bufs that topics over MCQ_PREFIX_INLINE_MAX bytes may hold */
    uint64_t hash_seed;       /* random, so that no peer can aim at a bucket */
};

struct mcq_pattern_shared {
    struct mcq_registry registry;
    struct mcq_prefix_table prefixes;
    struct mcq_fanout_pools fanout;
    struct mcq_pool own_subs; /* of struct mcq_own_sub */
};

/* Bytes of arena the plan takes. */
size_t mcq_pattern_shared_footprint(const struct mcq_pattern_plan *plan);
/* Gives the tables, NULL if the arena is too small. heap: borrowed for their life. */
struct mcq_pattern_shared *mcq_pattern_shared_init(struct mcq_arena *arena,
                                                   const struct mcq_pattern_plan *plan,
                                                   struct mcq_buf_heap *heap);

#endif
