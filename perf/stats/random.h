/* random: a small generator (xorshift64*), so that verdicts depend on nothing but their figures. */
#ifndef MCQ_PERF_STATS_RANDOM_H
#define MCQ_PERF_STATS_RANDOM_H

#include <stdint.h>

struct perf_random {
    uint64_t state; /* never zero */
};

#define PERF_RANDOM_INIT                      \
    {                                         \
        .state = UINT64_C(0x9e3779b97f4a7c15) \
    }

static inline uint64_t perf_random_next(struct perf_random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 .. cnt-1; the bias is below cnt / 2^32. */
static inline uint32_t perf_random_below(struct perf_random *r, uint32_t cnt)
{
    return (uint32_t)(((perf_random_next(r) >> 32) * cnt) >> 32);
}

/* 0 <= x < 1 */
static inline double perf_random_share(struct perf_random *r)
{
    return (double)(perf_random_next(r) >> 11) * 0x1p-53;
}

#endif
