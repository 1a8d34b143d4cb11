/*
 * scale: busy connections beside more and more idle ones (workloads/idlers.h): what an idle one
 * costs in memory, and what it does to the others' latency.
 */
#ifndef MCQ_PERF_WORKLOADS_SCALE_H
#define MCQ_PERF_WORKLOADS_SCALE_H

#include "perf/options.h"

#define PERF_SCALE_ACTIVE 64u
#define PERF_SCALE_RATE   5000.0

int perf_scale_main(const struct perf_options *options);

#endif
