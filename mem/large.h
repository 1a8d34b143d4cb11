/* Large: a region cut into runs of whole granules, for bodies too big for a pool.
 *
 * First fit over boundary tags: runs cover the region without a gap, and two free neighbours never
 * stay apart, so what was given back is whole again at once. The walk passes at most one run per
 * granule, which bounds it by the region's size; a body of 256 KiB and more pays it once.
 * Owning shard only. ASan poisons what is free.
 */
#ifndef MCQ_MEM_LARGE_H
#define MCQ_MEM_LARGE_H

#include "mem/arena.h"

#define MCQ_LARGE_GRANULE_LEN 262144u

struct mcq_large {
    uint8_t *base;
    uint32_t *tags; /* at a run's first and last granule: its granules * 2 + used */
    uint32_t granule_cnt;
};

/* Bytes of arena that a region of len bytes takes. */
size_t mcq_large_footprint(size_t len);
/* Carves a region of the whole granules in len. false: the arena is too small. */
MCQ_MUST_USE bool mcq_large_init(struct mcq_large *l, struct mcq_arena *arena, size_t len);
/* Gives a run of at least len bytes, its true length in *run_len; NULL if none is free. */
uint8_t *mcq_large_take(struct mcq_large *l, size_t len, size_t *run_len);
/* Makes a given run at least len bytes long where it is, its true length in *run_len; false if what
 * follows it isn't free: nothing changed. */
MCQ_MUST_USE bool mcq_large_grow(struct mcq_large *l, const uint8_t *run, size_t len,
                                 size_t *run_len);
/* Takes back a run that take gave. */
void mcq_large_give(struct mcq_large *l, const uint8_t *run);

#endif
