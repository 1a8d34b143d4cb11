/* What the tests of mem/ share: seeded randomness, a heap over a fresh arena, poison checks. */
#ifndef MCQ_TEST_MEM_FIXTURE_H
#define MCQ_TEST_MEM_FIXTURE_H

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "mem/arena.h"
#include "mem/buf.h"
#include "mem/poison.h"

#define SEEDS 20u /* every random test runs with the seeds [1, SEEDS] and names the failing one */

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [0, max). */
static inline uint32_t rng_below(struct rng *r, uint32_t max)
{
    return (uint32_t)(rng_next(r) % max);
}

/* Without ASan nothing is poisoned and every expectation of poison is taken as met. */
static inline bool is_poisoned(const void *ptr)
{
#ifdef MCQ_POISON_ON
    return __asan_address_is_poisoned(ptr) != 0;
#else
    (void)ptr;
    return true;
#endif
}

static inline bool is_open(const void *ptr, size_t len)
{
#ifdef MCQ_POISON_ON
    return __asan_region_is_poisoned((void *)(uintptr_t)ptr, len) == NULL;
#else
    (void)ptr;
    (void)len;
    return true;
#endif
}

struct heap_fixture {
    struct mcq_arena arena;
    struct mcq_mem_stats stats;
    struct mcq_buf_heap *heap;
};

static inline struct mcq_buf_heap *fixture_open(struct heap_fixture *f,
                                                const struct mcq_buf_plan *plan)
{
    memset(f, 0, sizeof(*f));
    size_t cap = mcq_buf_heap_footprint(plan);
    cr_assert_eq(mcq_arena_init(&f->arena, cap, MCQ_NODE_ANY, NULL), MCQ_OK);
    f->heap = mcq_buf_heap_init(&f->arena, plan, &f->stats);
    cr_assert_not_null(f->heap);
    mcq_arena_seal(&f->arena, false, NULL);
    return f->heap;
}

/* Every test ends with every buf back and every gauge at zero. */
static inline void fixture_close(struct heap_fixture *f)
{
    cr_assert_eq(mcq_buf_heap_in_use(f->heap), 0);
    cr_assert_eq(f->stats.blocks_now, 0);
    cr_assert_eq(f->stats.large_now, 0);
    cr_assert_eq(f->stats.pinned_now, 0);
    mcq_arena_fini(&f->arena);
}

#endif
