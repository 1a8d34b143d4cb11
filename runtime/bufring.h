/* Bufring: the receive blocks the kernel may fill, and how many of them there are.
 *
 * Occupancy is a control variable: few blocks that stay in cache, more when they ran out. The
 * target starts at half the level 2 cache, is raised when a receive found the ring empty, lowered
 * slowly after quiet, and bounded by cnt_max and by half of the heap's blocks: what is in the ring
 * can't be taken back, and leaves it only when something is received. Blocks come from the heap's
 * LIFO at the turn's end, so the hottest goes in first.
 *
 *      heap --topup--> ring (kernel) --take--> application --unref--> heap
 *
 * Incremental: a block is filled piecemeal by many connections, in the order of the completions;
 * it is the kernel's and the application's at once until it is full.
 *
 * Thread: the loop's. Cost: O(1) per block.
 */
#ifndef MCQ_RUNTIME_BUFRING_H
#define MCQ_RUNTIME_BUFRING_H

#include "mem/buf.h"
#include "runtime/uring.h"

#define MCQ_BUFRING_START_MIN 8u /* blocks */

struct mcq_bufring {
    struct mcq_uring *u;
    struct mcq_buf_heap *heap;
    struct mcq_loop_stats *stats;
    void *mem;             /* the kernel's entries */
    struct mcq_buf **bufs; /* by bid; NULL: not in the ring */
    uint16_t *free_bids;
    uint32_t free_cnt;
    uint32_t cnt; /* blocks in the ring */
    uint32_t target, target_min, target_max, cnt_max;
    bool inc;
    bool filled;       /* reached the target since it was last raised */
    uint64_t relax_ns; /* when the target may next be lowered */
};

/* cnt_max: blocks, at most 32,768. */
size_t mcq_bufring_footprint(uint32_t cnt_max);
/* Carves; nothing is registered yet. false: the arena is too small. */
MCQ_MUST_USE bool mcq_bufring_init(struct mcq_bufring *r, struct mcq_arena *arena,
                                   struct mcq_buf_heap *heap, uint32_t cnt_max);
/* Registers and fills up. 0, or -errno. */
MCQ_MUST_USE int mcq_bufring_open(struct mcq_bufring *r, struct mcq_uring *u, bool inc,
                                  struct mcq_loop_stats *stats);
/* With no receive in flight. Blocks in the ring go back to the heap. */
void mcq_bufring_close(struct mcq_bufring *r);

/* What a receive's completion brought: its buf with one app reference and *off, or NULL if it
 * brought no bytes. Settles the block in any case. */
struct mcq_buf *mcq_bufring_take(struct mcq_bufring *r, const struct mcq_done *done, uint32_t *off);
/* A receive found the ring empty. */
void mcq_bufring_starved(struct mcq_bufring *r, uint64_t now_ns);
/* Fills up to the target; false: not one block is there. */
bool mcq_bufring_topup(struct mcq_bufring *r);
/* Lowers the target if it was quiet. */
void mcq_bufring_relax(struct mcq_bufring *r, uint64_t now_ns);

#endif
