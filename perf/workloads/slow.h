/*
 * slow: what one stopped subscriber costs the others.
 *
 * First the greatest rate is found at which every subscriber gets everything (no drop is allowed
 * then; with several peers of the slowest one). At a share of it runs with and without a stop
 * alternate; the runs without one, among themselves, show what the machine alone does.
 *
 * With --peers or --out every peer is measured over nodes (workloads/feed.h), and what the stopped
 * one missed is counted by itself. Otherwise mcq alone is (workloads/stopped.h), with what its
 * library tells of the stopped one and of its own memory.
 */
#ifndef MCQ_PERF_SLOW_H
#define MCQ_PERF_SLOW_H

#include "perf/options.h"

#define PERF_SLOW_SUBS_DEFAULT 100u
#define PERF_SLOW_RUNS_DEFAULT 5u
#define PERF_SLOW_LOAD_DEFAULT 0.3

/* Prints the comparison. PERF_EXIT_MISSING: something couldn't be measured, which is told on
 * stderr. */
int perf_slow_own_main(const struct perf_options *options);
int perf_slow_main(const struct perf_options *options);

#endif
