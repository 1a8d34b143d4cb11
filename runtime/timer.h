/* Timers: a bounded heap of deadlines. Lazy: traffic stores a time, expiry re-checks it and arms
 * again; no timer is touched per message. */
#ifndef MCQ_RUNTIME_TIMER_H
#define MCQ_RUNTIME_TIMER_H

#include "mem/arena.h"

struct mcq_timer_node;
typedef void mcq_timer_node_fn(struct mcq_timer_node *t, uint64_t now_ns);

/* Embedded in what it belongs to; zero is a disarmed timer without a function. */
struct mcq_timer_node {
    uint64_t at_ns;
    mcq_timer_node_fn *fn;
    uint32_t heap_pos; /* 1-based; 0: disarmed */
};

struct mcq_timers {
    struct mcq_timer_node **heap;
    uint32_t cnt, max;
};

#define MCQ_TIMERS_PER_TURN_MAX 256u

size_t mcq_timers_footprint(uint32_t max);
MCQ_MUST_USE bool mcq_timers_init(struct mcq_timers *ts, struct mcq_arena *arena, uint32_t max);
/* Arms or moves. The heap has room for every timer the shard's pools can hold: asserts. O(log n).
 */
void mcq_timer_node_arm(struct mcq_timers *ts, struct mcq_timer_node *t, uint64_t at_ns);
void mcq_timer_node_disarm(struct mcq_timers *ts, struct mcq_timer_node *t);
/* Deadline of the first, UINT64_MAX if none. */
uint64_t mcq_timers_next(const struct mcq_timers *ts);
/* Runs what is due, each disarmed first, at most MCQ_TIMERS_PER_TURN_MAX; returns how many. */
uint32_t mcq_timers_expire(struct mcq_timers *ts, uint64_t now_ns);

#endif
