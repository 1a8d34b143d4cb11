/*
 * compare: round trips and throughput of every peer there is, in turns.
 *
 * Round trips are two groups, in which all spin or all block; throughput is one group per size. A
 * peer that this build can't run stays in the table with its reason.
 */
#ifndef MCQ_PERF_COMPARE_H
#define MCQ_PERF_COMPARE_H

#include "perf/options.h"

/* Measures, and prints the table, or its rows as JSON. PERF_EXIT_MISSING when an arm that this
 * build can run failed in any run. */
int perf_compare_main(const struct perf_options *options);

#endif
