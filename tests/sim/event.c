#include "tests/sim/event.h"

#include "tests/sim/kernel.h"

#define ARITY 4u

static struct mcq_sim_event *heap[MCQ_SIM_EVENTS_MAX];
static uint32_t heap_cnt;
static uint64_t next_number;

void mcq_sim_event_reset(void)
{
    heap_cnt = 0;
    next_number = 0;
}

static bool is_before(const struct mcq_sim_event *a, const struct mcq_sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static void put(uint32_t pos, struct mcq_sim_event *e)
{
    heap[pos] = e;
    e->pos = pos + 1;
}

static void sift_up(uint32_t pos, struct mcq_sim_event *e)
{
    while (pos != 0) {
        uint32_t parent = (pos - 1) / ARITY;
        if (!is_before(e, heap[parent]))
            break;
        put(pos, heap[parent]);
        pos = parent;
    }
    put(pos, e);
}

static uint32_t first_child(uint32_t pos)
{
    uint32_t best = pos * ARITY + 1;
    uint32_t end = best + ARITY < heap_cnt ? best + ARITY : heap_cnt;
    for (uint32_t i = best + 1; i < end; i++)
        if (is_before(heap[i], heap[best]))
            best = i;
    return best;
}

static void sift_down(uint32_t pos, struct mcq_sim_event *e)
{
    while (pos * ARITY + 1 < heap_cnt) {
        uint32_t child = first_child(pos);
        if (!is_before(heap[child], e))
            break;
        put(pos, heap[child]);
        pos = child;
    }
    put(pos, e);
}

static void place(uint32_t pos, struct mcq_sim_event *e)
{
    if (pos != 0 && is_before(e, heap[(pos - 1) / ARITY]))
        sift_up(pos, e);
    else
        sift_down(pos, e);
}

void mcq_sim_event_arm(struct mcq_sim_event *e, uint64_t at_ns, mcq_sim_event_fn *fn)
{
    e->at_ns = at_ns;
    e->fn = fn;
    e->number = next_number++;
    if (e->pos != 0) {
        place(e->pos - 1, e);
        return;
    }
    if (heap_cnt == MCQ_SIM_EVENTS_MAX)
        mcq_sim_fail("the simulation has more than %u events", MCQ_SIM_EVENTS_MAX);
    heap_cnt++;
    sift_up(heap_cnt - 1, e);
}

void mcq_sim_event_disarm(struct mcq_sim_event *e)
{
    if (e->pos == 0)
        return;
    uint32_t pos = e->pos - 1;
    struct mcq_sim_event *last = heap[--heap_cnt];
    e->pos = 0;
    if (last != e)
        place(pos, last);
}

struct mcq_sim_event *mcq_sim_event_first(void)
{
    return heap_cnt == 0 ? NULL : heap[0];
}
