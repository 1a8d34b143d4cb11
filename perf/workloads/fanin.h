/*
 * fanin: many clients of one process, one server (workloads/gather.h).
 *
 * For each number of clients: PUSH to PULL as fast as it goes; the same at a share of what the
 * slowest peer of the field reached there; and requests that are answered, each client with
 * PERF_FANIN_DEPTH of them under way.
 */
#ifndef MCQ_PERF_WORKLOADS_FANIN_H
#define MCQ_PERF_WORKLOADS_FANIN_H

#include "perf/options.h"

#define PERF_FANIN_LOAD  0.1
#define PERF_FANIN_DEPTH 16u

int perf_fanin_main(const struct perf_options *options);

#endif
