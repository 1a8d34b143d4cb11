/*
 * ab: two commands, run in turns (ABBA), and whether the second does better or worse.
 *
 * Each prints, on stdout, an artefact's JSON or the flat object of rtt, throughput and hop. A call
 * of a command is one unit: several runs inside it are put together (medians of metrics, histograms
 * merged), since they share a process's fortune. All figures are one family (stats/verdict.h). A
 * command that fails, or an artefact that isn't valid, ends it with a sentence and status 1. With
 * --out, artefacts are saved as one of two arms, A and B.
 */
#ifndef MCQ_PERF_STATS_AB_H
#define MCQ_PERF_STATS_AB_H

#include "perf/options.h"

#define PERF_AB_RUNS_DEFAULT 10u

/* words: the two commands, for sh -c. Returns enum perf_exit. */
int perf_ab_main(const struct perf_options *options);

#endif
