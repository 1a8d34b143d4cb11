#include "runtime/timer.h"

/* A heap of four children per node: half as deep as two, and the four lie on one cache line. */
#define ARITY 4u

size_t mcq_timers_footprint(uint32_t max)
{
    return ((size_t)max + 1) * sizeof(struct mcq_timer_node *) + MCQ_CACHE_LINE;
}

bool mcq_timers_init(struct mcq_timers *ts, struct mcq_arena *arena, uint32_t max)
{
    ts->heap =
        mcq_arena_carve(arena, ((size_t)max + 1) * sizeof(struct mcq_timer_node *), MCQ_CACHE_LINE);
    ts->cnt = 0;
    ts->max = max;
    return ts->heap != NULL;
}

/* Positions are 0-based here, heap_pos is one more. */
static void put(struct mcq_timers *ts, uint32_t pos, struct mcq_timer_node *t)
{
    ts->heap[pos] = t;
    t->heap_pos = pos + 1;
}

static void sift_up(struct mcq_timers *ts, uint32_t pos, struct mcq_timer_node *t)
{
    while (pos != 0) {
        uint32_t parent = (pos - 1) / ARITY;
        if (ts->heap[parent]->at_ns <= t->at_ns)
            break;
        put(ts, pos, ts->heap[parent]);
        pos = parent;
    }
    put(ts, pos, t);
}

static uint32_t first_child(const struct mcq_timers *ts, uint32_t pos)
{
    uint32_t best = pos * ARITY + 1;
    uint32_t end = (uint32_t)mcq_min(ts->cnt, (size_t)best + ARITY);
    for (uint32_t i = best + 1; i < end; i++)
        if (ts->heap[i]->at_ns < ts->heap[best]->at_ns)
            best = i;
    return best;
}

static void sift_down(struct mcq_timers *ts, uint32_t pos, struct mcq_timer_node *t)
{
    while (pos * ARITY + 1 < ts->cnt) {
        uint32_t child = first_child(ts, pos);
        if (ts->heap[child]->at_ns >= t->at_ns)
            break;
        put(ts, pos, ts->heap[child]);
        pos = child;
    }
    put(ts, pos, t);
}

static void place(struct mcq_timers *ts, uint32_t pos, struct mcq_timer_node *t)
{
    if (pos != 0 && ts->heap[(pos - 1) / ARITY]->at_ns > t->at_ns)
        sift_up(ts, pos, t);
    else
        sift_down(ts, pos, t);
}

void mcq_timer_node_arm(struct mcq_timers *ts, struct mcq_timer_node *t, uint64_t at_ns)
{
    t->at_ns = at_ns;
    if (t->heap_pos == 0) {
        MCQ_ASSERT(ts->cnt < ts->max);
        ts->cnt++;
        sift_up(ts, ts->cnt - 1, t);
    } else {
        place(ts, t->heap_pos - 1, t);
    }
}

void mcq_timer_node_disarm(struct mcq_timers *ts, struct mcq_timer_node *t)
{
    if (t->heap_pos == 0)
        return;
    uint32_t pos = t->heap_pos - 1;
    struct mcq_timer_node *last = ts->heap[--ts->cnt];
    t->heap_pos = 0;
    if (last != t)
        place(ts, pos, last);
}

uint64_t mcq_timers_next(const struct mcq_timers *ts)
{
    return ts->cnt == 0 ? UINT64_MAX : ts->heap[0]->at_ns;
}

uint32_t mcq_timers_expire(struct mcq_timers *ts, uint64_t now_ns)
{
    uint32_t fired = 0;
    while (fired < MCQ_TIMERS_PER_TURN_MAX && mcq_timers_next(ts) <= now_ns) {
        struct mcq_timer_node *t = ts->heap[0];
        mcq_timer_node_disarm(ts, t);
        t->fn(t, now_ns);
        fired++;
    }
    return fired;
}
