/*
 * gate: has anything become worse since a baseline, for CI.
 *
 * Each result of the baseline is compared with that of the same workload, arm and parameters now;
 * all figures of all of them are one family (stats/verdict.h). Exit status 3 when a figure is
 * worse, and its whole interval is more than the percentage away. What can't be compared honestly
 * isn't: other workloads or parameters, runs that aren't valid, fewer runs than
 * PERF_VERDICT_RUNS_MIN (status 1, with a sentence). Another environment is named on stderr,
 * difference by difference, and compared all the same.
 */
#ifndef MCQ_PERF_STATS_GATE_H
#define MCQ_PERF_STATS_GATE_H

#include "perf/options.h"
#include "perf/output/artefact.h"

/* The command: words are the two files. Returns enum perf_exit. */
int perf_gate_main(const struct perf_options *options);

/* The same on artefacts; tables go to `to`, sentences and differences to `complain`. */
int perf_gate_judge(const struct perf_artefact *baseline, const struct perf_artefact *now,
                    double percent, FILE *to, FILE *complain);

#endif
