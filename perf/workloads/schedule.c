#include "perf/workloads/schedule.h"

#include <math.h>

/* Seeds 1, 2, 3 lie too close together for a generator whose state they are. */
static uint64_t seed_spread(uint64_t seed)
{
    uint64_t mixed = seed * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed ^= mixed >> 31;
    return mixed == 0 ? 1 : mixed;
}

void perf_schedule_init(struct perf_schedule *s, const struct perf_schedule_spec *spec)
{
    *s = (struct perf_schedule){.spec = *spec, .random = {seed_spread(spec->seed)}};
}

/* From the message's index, not from the one before it, so that no rounding adds up. */
static uint64_t even_ns(uint64_t idx, double rate)
{
    return (uint64_t)((long double)idx * 1e9L / (long double)rate);
}

static uint64_t poisson_ns(struct perf_schedule *s)
{
    s->sum_ns -= log1p(-perf_random_share(&s->random)) * 1e9 / s->spec.rate;
    return (uint64_t)s->sum_ns;
}

uint64_t perf_schedule_next(struct perf_schedule *s)
{
    const struct perf_schedule_spec *spec = &s->spec;
    uint64_t idx = s->idx++;
    switch (spec->pace) {
    case PERF_PACE_FIXED:
        return even_ns(idx, spec->rate);
    case PERF_PACE_BURST:
        return even_ns(idx - idx % spec->burst, spec->rate);
    case PERF_PACE_POISSON:
        return poisson_ns(s);
    case PERF_PACE_TRACE:
        return idx < spec->offsets.cnt ? spec->offsets.ns[idx] : PERF_SCHEDULE_END;
    }
    return PERF_SCHEDULE_END;
}
