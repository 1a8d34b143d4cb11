/* cost: what a message cost each of the two sides, besides time. */
#ifndef MCQ_PERF_WORKLOADS_COST_H
#define MCQ_PERF_WORKLOADS_COST_H

#include "perf/output/result.h"
#include "perf/run/crew.h"

/* NAN: not measured. */
struct perf_side_cost {
    double cpu_s;
    double cpu_ns_per_msg;
    double calls_per_msg; /* system calls; of a run of its own, under ptrace */
    double switches_forced;
};

struct perf_cost {
    struct perf_side_cost sides[2]; /* PERF_SERVER, PERF_CLIENT */
};

void perf_cost_init(struct perf_cost *cost);
/* What one side used in a window of so many messages; all but the calls. */
void perf_cost_take(struct perf_side_cost *side, const struct perf_usage *usage, uint64_t msgs);
/* The calls, of a traced run. */
void perf_cost_calls(struct perf_side_cost *side, const struct perf_usage *usage, uint64_t msgs);
/* Into the run's metrics. */
void perf_cost_run(const struct perf_cost *cost, struct perf_run *run);

#endif
