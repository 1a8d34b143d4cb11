/*
 * sweep: latency under load. Each arm's greatest rate first: what a saturating closed loop gives is
 * tried as an open loop, and a tenth less each time until the answers stay bounded. Then open loops
 * at shares of it; what is compared between arms is latency at the same share, or, with --rate
 * given as the greatest for all, at the same rate.
 */
#ifndef MCQ_PERF_WORKLOADS_SWEEP_H
#define MCQ_PERF_WORKLOADS_SWEEP_H

#include "perf/options.h"

int perf_sweep_main(const struct perf_options *options);

#endif
