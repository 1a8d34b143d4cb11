/* A pipe against its reference (pipe_model.h), at random, and by hand at its edges. */
#include "pipe_model.h"

#include "mem/pool.h"

#include <stdlib.h>

/* --- at random ------------------------------------------------------------------------------- */

struct plan {
    uint32_t seeds, steps;
    bool small, sheds, conflates, lends;
    uint32_t hwm_msgs;
    uint64_t hwm_bytes;
};

/* A put of a socket whose peers lose their oldest. */
static void put_newest(struct world *w)
{
    uint64_t refused = w->refused;
    size_t need = w->p.conflates ? SIZE_MAX : 2 + world_below(w, 200);
    if (world_below(w, 4) == 0)
        world_put(w);
    else
        world_put_bytes(w);
    if (w->refused == refused)
        return;
    world_drop_old(w, need);
    world_put_bytes(w);
}

/* Flights of a pipe that drops what is old go one by one. */
static void step_lent(struct world *w)
{
    if (world_below(w, 30) == 0)
        world_recall(w);
    else if (w->in_flight && (world_below(w, 2) == 0 || w->p.sheds || w->p.conflates))
        world_taken(w);
    else
        world_lend(w);
}

static void end_connection(struct world *w)
{
    if (w->p.lends)
        world_recall(w);
    world_rewind(w);
    if (world_below(w, 3) == 0)
        world_fini(w);
    if (world_below(w, 2) == 0)
        world_probe(w);
}

static void step(struct world *w)
{
    switch (world_below(w, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        world_put_bytes(w);
        break;
    case 4:
    case 5:
        world_put(w);
        break;
    case 6:
        put_newest(w);
        break;
    case 7:
        world_reserve(w);
        break;
    case 8:
        if (world_below(w, 12) == 0)
            world_hoard(w);
        break;
    case 9:
        if (world_below(w, 8) == 0)
            end_connection(w);
        break;
    case 10:
        world_drop_old(w,
                       world_below(w, 8) == 0 ? SIZE_MAX : world_below(w, w->small ? 300 : 40000));
        break;
    default:
        if (w->p.lends)
            step_lent(w);
        else if (w->in_flight)
            world_sent(w);
        else
            world_gather(w);
        break;
    }
    w->steps++;
    world_check(w);
}

static void run(const struct plan *plan, uint64_t seed)
{
    struct world *w = world_new(seed);
    mcq_pipe_init(&w->p, &w->env, NULL, plan->hwm_msgs, plan->hwm_bytes);
    w->small = plan->small;
    w->p.sheds = plan->sheds;
    w->p.conflates = plan->conflates;
    w->p.whole = plan->lends;
    w->p.lends = plan->lends;
    for (uint32_t i = 0; i < plan->steps; i++)
        step(w);
    want(w, w->dropped > plan->steps / 1000 && w->m.out > plan->steps / 1000);
    if (plan->lends)
        world_recall(w);
    if ((seed & 1) != 0)
        world_drain(w);
    else if (w->in_flight)
        world_sent(w);
    world_fini(w);
    world_end(w);
}

static void runs(struct plan plan)
{
    for (uint64_t seed = 1; seed <= plan.seeds; seed++) {
        struct plan p = plan;
        if (p.hwm_msgs == 0)
            p.hwm_msgs = 1 + (uint32_t)(seed * 7 % 40);
        if (p.hwm_bytes == 0)
            p.hwm_bytes = 1 + seed * 3001 % (p.small ? 2000 : 100000);
        run(&p, seed);
    }
}

#define NO_MSGS  .hwm_msgs = MCQ_UNLIMITED
#define NO_BYTES .hwm_bytes = UINT64_MAX
#define SMALL    .seeds = 12, .steps = 25000, .small = true
#define LARGE    .seeds = 40, .steps = 1500

Test(pipe, random_against_a_reference)
{
    runs((struct plan){LARGE, NO_MSGS, NO_BYTES});
    runs((struct plan){SMALL, NO_MSGS, NO_BYTES});
}

Test(pipe, random_with_few_messages)
{
    runs((struct plan){LARGE, NO_BYTES});
    runs((struct plan){SMALL, NO_BYTES});
}

Test(pipe, random_with_few_bytes)
{
    runs((struct plan){LARGE, NO_MSGS});
    runs((struct plan){SMALL, NO_MSGS});
}

Test(pipe, random_lent)
{
    runs((struct plan){LARGE, NO_MSGS, NO_BYTES, .lends = true});
    runs((struct plan){SMALL, NO_MSGS, NO_BYTES, .lends = true});
    runs((struct plan){SMALL, .lends = true});
    runs((struct plan){SMALL, .lends = true, .sheds = true});
    runs((struct plan){SMALL, NO_MSGS, NO_BYTES, .lends = true, .conflates = true});
}

Test(pipe, random_dropping_the_oldest)
{
    runs((struct plan){LARGE, .sheds = true});
    runs((struct plan){SMALL, .sheds = true});
    runs((struct plan){SMALL, NO_BYTES, .sheds = true});
    runs((struct plan){SMALL, NO_MSGS, .sheds = true});
}

Test(pipe, random_conflating)
{
    runs((struct plan){LARGE, NO_MSGS, .conflates = true});
    runs((struct plan){SMALL, NO_BYTES, .conflates = true});
    runs((struct plan){SMALL, .conflates = true, .hwm_msgs = 1, .hwm_bytes = 1});
}

Test(pipe, high_water_mark_is_exact)
{
    struct world *w = world_new(1);
    mcq_pipe_init(&w->p, &w->env, NULL, 1000, 10000);
    for (unsigned i = 0; i < 9; i++)
        want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 998) == MCQ_OK); /* 1,007 bytes each */
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 998) == MCQ_EAGAIN);
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 928) == MCQ_OK); /* exactly full */
    want(w, mcq_pipe_queued_bytes(&w->p) == 10000);
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 0) == MCQ_EAGAIN);
    want(w, !mcq_pipe_has_room(&w->p, 0));
    want(w, mcq_pipe_fini(&w->p) == 10);
    world_end(w);
}

/* A message beyond the mark goes alone into an empty queue. */
Test(pipe, larger_than_the_mark)
{
    struct world *w = world_new(1);
    struct mcq_msg m = mcq_msg_of(w->scratch, 300000);
    const struct mcq_slice none = {NULL, 0};
    mcq_pipe_init(&w->p, &w->env, NULL, 1000, 10000);
    want(w, mcq_pipe_has_room(&w->p, 300000));
    want(w, mcq_pipe_put(&w->p, none, &m, 0) == MCQ_OK);
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 0) == MCQ_EAGAIN);
    want(w, mcq_pipe_put(&w->p, none, &m, 0) == MCQ_EAGAIN);
    want(w, mcq_pipe_fini(&w->p) == 1);
    world_end(w);
}

/* Every number of segments and blocks that may be left, for a message that needs several: taken
 * whole, or not at all. */
Test(pipe, spread_is_all_or_nothing)
{
    const size_t lens[] = {10, 20000, 70000, 300000, 5};
    for (uint32_t kind = 0; kind < 4; kind++) {
        for (uint32_t left = 0; left < 16; left++) {
            static const size_t classes[] = {4096, MCQ_BUF_RX_LEN, MCQ_BUF_LARGE_MIN};
            struct world *w = world_new(1 + left);
            struct mcq_frame frames[5];
            struct bytes msg = {NULL, 0, 0};
            mcq_pipe_init(&w->p, &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
            world_put_bytes(w);
            for (uint32_t i = 0; i < 5; i++) {
                frames[i] = (struct mcq_frame){w->scratch + i, lens[i]};
                world_add_frame(&msg, i < 4, frames[i].data, lens[i]);
            }
            if (kind == 3)
                while (w->segs.max - w->segs.in_use > left)
                    w->seg_hoard[w->seg_hoard_cnt++] = mcq_pool_take(&w->segs);
            else
                for (struct mcq_buf *b; (b = mcq_buf_take(w->heap, classes[kind])) != NULL;)
                    w->hoard[w->hoard_cnt++] = b;
            for (uint32_t i = 0; kind != 3 && i < left && w->hoard_cnt != 0; i++)
                mcq_buf_unref(w->heap, w->hoard[--w->hoard_cnt]);
            uint32_t in_use = w->segs.in_use;
            struct mcq_msg m = mcq_msg_of_frames(frames, 5);
            enum mcq_error err = mcq_pipe_put(&w->p, mcq_slice_of(NULL, 0), &m, 0);
            /* sealing what was there and one in advance is all that may stay */
            want(w, err == MCQ_OK || w->segs.in_use <= in_use + 2);
            world_settle(w, err, &msg);
            world_check(w);
            world_drain(w);
            mcq_pipe_fini(&w->p);
            world_end(w);
        }
    }
}

/* Queues that nobody empties leave blocks and segments to one that is new. */
Test(pipe, stalled_queues_leave_room)
{
    struct world *w = world_new(1);
    struct mcq_pipe stalled[12];
    struct mcq_msg m = mcq_msg_of(w->scratch, 20000);
    const struct mcq_slice none = {NULL, 0};
    for (size_t i = 0; i < MCQ_CNT_OF(stalled); i++)
        mcq_pipe_init(&stalled[i], &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
    for (unsigned round = 0; round < 2000; round++)
        for (size_t i = 0; i < MCQ_CNT_OF(stalled); i++)
            if (mcq_pipe_put_bytes(&stalled[i], w->scratch, 1000) != MCQ_OK)
                want(w, stalled[i].starved);
    mcq_pipe_init(&w->p, &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 100) == MCQ_OK);
    want(w, mcq_pipe_put(&w->p, none, &m, 0) == MCQ_OK);
    for (size_t i = 0; i < MCQ_CNT_OF(stalled); i++)
        mcq_pipe_fini(&stalled[i]);
    mcq_pipe_fini(&w->p);
    world_end(w);
}

/* A body of the user's memory is shared, never copied; its end is told once, after the last of
 * those who share it. */
Test(pipe, memory_is_shared_and_freed_once)
{
    struct world *w = world_new(1);
    struct mcq_pipe other;
    struct mcq_msg m;
    const struct mcq_slice none = {NULL, 0};
    mcq_pipe_init(&w->p, &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
    mcq_pipe_init(&other, &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
    want(w, mcq_buf_msg_external(w->heap, w->scratch, 50000, world_freed, w, &m) == MCQ_OK);
    w->externs = 1;
    want(w, mcq_pipe_put(&w->p, none, &m, 0) == MCQ_OK);
    want(w, mcq_pipe_put(&other, none, &m, 0) == MCQ_OK);
    mcq_buf_msg_drop(w->heap, &m);
    size_t len = mcq_pipe_gather(&w->p, w->flight, 64, SIZE_MAX / 2, &w->flight_cnt);
    want(w, w->flight_cnt == 2 && len == 50009 && w->flight[1].ptr == w->scratch);
    mcq_pipe_sent(&w->p, len);
    want(w, w->freed == 0);
    mcq_pipe_fini(&other);
    want(w, w->freed == 1);
    mcq_pipe_fini(&w->p);
    world_end(w);
}
