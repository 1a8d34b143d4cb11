#include "tests/sim/test_rig.h"

#include <string.h>

void rig_node_open(struct rig_node *n, uint32_t process, const char *features, enum mcq_idle idle,
                   uint32_t blocks)
{
    struct mcq_detail d;
    memset(n, 0, sizeof(*n));
    n->process = process;
    struct mcq_buf_plan plan = {.cnt = {16, 16, blocks, 2}, .external_cnt = 16};
    struct mcq_loop_opts lo = {
        .idle = idle,
        .conns_max = 64,
        .timers_max = 16,
        .features = features,
        .stats = &n->stats,
    };
    size_t len = mcq_buf_heap_footprint(&plan) + mcq_loop_footprint(&lo) + 65536;
    mcq_sim_select(process);
    cr_assert_eq(mcq_arena_init(&n->arena, len, MCQ_NODE_ANY, &d), MCQ_OK, "%s", d.text);
    n->heap = mcq_buf_heap_init(&n->arena, &plan, &n->mem);
    cr_assert_not_null(n->heap);
    lo.heap = n->heap;
    cr_assert_eq(mcq_loop_init(&n->arena, &lo, &n->loop, &d), MCQ_OK, "%s", d.text);
}

void rig_node_forget(struct rig_node *n)
{
    mcq_arena_fini(&n->arena);
}

void rig_node_close(struct rig_node *n)
{
    mcq_sim_select(n->process);
    mcq_loop_fini(n->loop);
    cr_assert_eq(mcq_buf_heap_in_use(n->heap), 0, "%u blocks lost", mcq_buf_heap_in_use(n->heap));
    cr_assert_eq(mcq_sim_open_fds(n->process), 0);
    mcq_arena_fini(&n->arena);
}

void rig_node_turn(struct rig_node *n)
{
    struct mcq_io_event ev[16];
    size_t cnt;
    bool busy = false;
    mcq_sim_select(n->process);
    mcq_loop_begin(n->loop);
    while ((cnt = mcq_loop_reap(n->loop, ev, 16)) != 0) {
        busy = true;
        for (size_t i = 0; i < cnt; i++)
            if (ev[i].conn != NULL)
                n->on_event(n, &ev[i]);
    }
    busy |= mcq_timers_expire(mcq_loop_timers(n->loop), mcq_loop_now(n->loop)) != 0;
    mcq_loop_end(n->loop, busy, UINT64_MAX);
}

bool rig_step(struct rig_node *nodes, uint32_t cnt)
{
    uint32_t first = (uint32_t)(mcq_sim_random() % cnt);
    if (mcq_sim_random() % 4 != 0)
        for (uint32_t i = 0; i < cnt; i++) {
            struct rig_node *n = &nodes[(first + i) % cnt];
            if (!mcq_sim_runnable(n->process))
                continue;
            rig_node_turn(n);
            return true;
        }
    return mcq_sim_advance();
}
