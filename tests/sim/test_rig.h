/* Rig: whole loops of runtime/ on the simulated machine, one per process, and what they need. */
#ifndef MCQ_TESTS_SIM_TEST_RIG_H
#define MCQ_TESTS_SIM_TEST_RIG_H

#include <criterion/criterion.h>

#include "mem/arena.h"
#include "runtime/loop.h"
#include "tests/sim/kernel.h"

#define RIG_NODES_MAX 4u

struct rig_node;
typedef void rig_event_fn(struct rig_node *n, const struct mcq_io_event *ev);

/* One process with its loop. */
struct rig_node {
    uint32_t process;
    struct mcq_arena arena;
    struct mcq_mem_stats mem;
    struct mcq_loop_stats stats;
    struct mcq_buf_heap *heap;
    struct mcq_loop *loop;
    rig_event_fn *on_event;
    void *user;
};

/* Starts a loop on the process; idle: MCQ_IDLE_BLOCK or another. blocks: of 32 KiB. */
void rig_node_open(struct rig_node *n, uint32_t process, const char *features, enum mcq_idle idle,
                   uint32_t blocks);
/* Asserts that every block came home and no descriptor is left. */
void rig_node_close(struct rig_node *n);
/* After mcq_sim_kill: gives the memory back. */
void rig_node_forget(struct rig_node *n);
/* One turn of the loop. */
void rig_node_turn(struct rig_node *n);
/* One step of the world: a turn of a runnable node, or an advance. False: nothing will happen. */
bool rig_step(struct rig_node *nodes, uint32_t cnt);

#endif
