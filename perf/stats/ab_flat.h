/*
 * ab flat: the figures of flat objects ({"p50_us": 12.3, ...}), call by call, and their verdicts.
 *
 * Which way is better is known by the name: a metric of output/result.h, or a time ("..._us").
 * Other numbers are parameters and are passed over.
 */
#ifndef MCQ_PERF_STATS_AB_FLAT_H
#define MCQ_PERF_STATS_AB_FLAT_H

#include "perf/output/json_read.h"
#include "perf/stats/verdict.h"

struct perf_ab_flat {
    char names[PERF_FLAT_MAX][PERF_TEXT_MAX];
    struct perf_trial trials[PERF_FLAT_MAX];
    unsigned cnt;
};

/* Zeroed before the first. side 0 is A; run < PERF_RUNS_MAX. */
void perf_ab_flat_add(struct perf_ab_flat *all, const struct perf_flat *flat, unsigned side,
                      unsigned run);
/* runs of each side; the table goes to `to`. False when there was no figure. */
bool perf_ab_flat_judge(struct perf_ab_flat *all, unsigned runs, FILE *to);

#endif
