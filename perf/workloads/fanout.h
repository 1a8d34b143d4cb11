/*
 * fanout: one publisher, many subscribers (workloads/feed.h).
 *
 * For each number of subscribers first the rate that each of them gets when the publisher floods,
 * and how evenly; then, at a share of what the slowest peer of the field reached there, so that all
 * carry the same, how long a message takes to one and to the last of them.
 */
#ifndef MCQ_PERF_WORKLOADS_FANOUT_H
#define MCQ_PERF_WORKLOADS_FANOUT_H

#include "perf/options.h"

#define PERF_FANOUT_LOAD 0.3

int perf_fanout_main(const struct perf_options *options);

#endif
