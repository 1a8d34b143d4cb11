/*
 * slow: what one stopped subscriber costs the others.
 *
 * First the greatest rate is found at which every subscriber gets everything (no drop is allowed
 * then). At a share of it runs with and without a stop alternate; the runs without one, among
 * themselves, show what the machine alone does.
 */
#ifndef MCQ_PERF_SLOW_H
#define MCQ_PERF_SLOW_H

#include "perf/options.h"

#define PERF_SLOW_SUBS_DEFAULT 100u
#define PERF_SLOW_RUNS_DEFAULT 5u
#define PERF_SLOW_LOAD_DEFAULT 0.3

/* Prints the comparison. PERF_EXIT_MISSING: something couldn't be measured, which is told on
 * stderr. */
int perf_slow_main(const struct perf_options *options);

#endif
