/* Pool (slab): a named number of objects of one size, carved from the arena at start.
 *
 * Free objects are a LIFO, so the hot ones stay in cache. take returns NULL when all are in use,
 * which every caller answers; it is counted. ASan poisons what is free. Owning shard only. O(1).
 */
#ifndef MCQ_MEM_POOL_H
#define MCQ_MEM_POOL_H

#include "mem/arena.h"

struct mcq_pool {
    const char *name;
    uint8_t *base;
    uint32_t *free_idx; /* stack of free objects */
    uint8_t *taken;     /* by object: 1 while in use */
    uint64_t obj_inv;   /* 2^64 / (obj_len / 8), rounded up */
    uint32_t free_cnt, max;
    size_t obj_len; /* bytes, a multiple of 16 */
    uint32_t in_use, in_use_peak;
    uint64_t empty_cnt; /* takes that found nothing */
};

/* Bytes of arena that a pool of max objects of obj_len takes, alignment included. */
size_t mcq_pool_footprint(size_t obj_len, uint32_t max);
/* Carves. false: the arena is too small. name: borrowed for the pool's life. */
MCQ_MUST_USE bool mcq_pool_init(struct mcq_pool *p, const char *name, struct mcq_arena *arena,
                                size_t obj_len, uint32_t max);
/* Gives an object, not zeroed; NULL if none is left. */
void *mcq_pool_take(struct mcq_pool *p);
/* Takes obj back. Asserts that it is an object of this pool and in use. */
void mcq_pool_give(struct mcq_pool *p, void *obj);
/* Position of obj in [0, max), and back. Objects never move. */
uint32_t mcq_pool_idx(const struct mcq_pool *p, const void *obj);
void *mcq_pool_at(const struct mcq_pool *p, uint32_t idx);

#endif
