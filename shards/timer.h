/* The user's timers: a node in the loop's heap with the user's function. */
#ifndef MCQ_SHARDS_TIMER_H
#define MCQ_SHARDS_TIMER_H

#include <monocoque/shard.h>

#include "runtime/timer.h"

struct mcq_timer {
    struct mcq_timer_node node;
    struct mcq_shard *shard;
    mcq_timer_fn *fn;
    void *ctx;
};

#endif
