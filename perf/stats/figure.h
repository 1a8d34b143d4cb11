/*
 * figure: what runs are compared by: each metric, and each percentile of each histogram, one value
 * per run. A figure is named by its number, 0 .. PERF_FIGURES_CNT-1.
 */
#ifndef MCQ_PERF_STATS_FIGURE_H
#define MCQ_PERF_STATS_FIGURE_H

#include "perf/output/result.h"

#define PERF_FIGURES_CNT ((unsigned)PERF_METRIC_CNT + PERF_HIST_CNT * PERF_POINT_CNT)

enum perf_better perf_figure_better(unsigned figure);
/* "msgs_per_s", "response p99"; name has PERF_TEXT_MAX bytes. */
void perf_figure_name(unsigned figure, char *name);
/* NAN: this run doesn't have it. */
double perf_figure_of(const struct perf_run *run, unsigned figure);
/* Of the valid runs in their order, into values[PERF_RUNS_MAX], NAN where one lacks it. Returns how
 * many runs are valid; *there_cnt of them have it. */
unsigned perf_figure_values(const struct perf_result *r, unsigned figure, double *values,
                            unsigned *there_cnt);

#endif
