/*
 * schedule: when messages are due. A plan made of nothing but its parameters: what is really sent,
 * and when, doesn't move it, so a generator or a server that stalls can't hide what it delayed.
 *
 * Times are offsets in ns from the beginning, never decreasing. The same parameters and seed give
 * the same plan. A schedule is a value: a copy goes on from where it was made, by itself.
 */
#ifndef MCQ_PERF_WORKLOADS_SCHEDULE_H
#define MCQ_PERF_WORKLOADS_SCHEDULE_H

#include "perf/options.h"
#include "perf/stats/random.h"
#include "perf/workloads/offsets.h"

#define PERF_SCHEDULE_END UINT64_MAX

struct perf_schedule_spec {
    enum perf_pace pace;
    double rate;                 /* messages per second; fixed, poisson, burst */
    uint64_t burst;              /* due at once; the bursts keep the rate */
    uint64_t seed;               /* poisson */
    struct perf_offsets offsets; /* trace: borrowed */
};

struct perf_schedule {
    struct perf_schedule_spec spec;
    struct perf_random random;
    uint64_t idx;  /* of the message that comes next */
    double sum_ns; /* poisson */
};

void perf_schedule_init(struct perf_schedule *s, const struct perf_schedule_spec *spec);
/* When the next message is due; PERF_SCHEDULE_END once a trace has no more. Cost: 10 to 30 ns. */
uint64_t perf_schedule_next(struct perf_schedule *s);
#endif
