/*
 * soak: load, for long, with a histogram per second and a look at whether memory, descriptors and
 * buffers stay flat (workloads/flatness.h).
 *
 * A message belongs to the second in which it was due. Above PERF_SOAK_INTERVALS_MAX seconds an
 * interval is longer than a second, and below ten it is a tenth of the run, but never shorter than
 * the parent's look.
 */
#ifndef MCQ_PERF_WORKLOADS_SOAK_H
#define MCQ_PERF_WORKLOADS_SOAK_H

#include "perf/options.h"

/* An hour; some 100 KB each. */
#define PERF_SOAK_INTERVALS_MAX 3600u
#define PERF_SOAK_INTERVAL_MIN  0.25

int perf_soak_main(const struct perf_options *options);

/* Seconds. */
double perf_soak_interval(double seconds);

#endif
