/*
 * permutation: how often chance alone would part the runs of two sides as far as they are.
 *
 * Columns are figures, rows are runs; the first a_cnt rows are side A. A relabelling swaps rows, so
 * all figures of a run stay together. What is counted, and why, is said in stats/verdict.h.
 */
#ifndef MCQ_PERF_STATS_PERMUTATION_H
#define MCQ_PERF_STATS_PERMUTATION_H

#include "perf/output/result.h"

#define PERF_ROWS_MAX (2 * PERF_RUNS_MAX)

struct perf_column {
    double values[PERF_ROWS_MAX]; /* NAN: this run doesn't have it */
    double p_value;               /* filled in, adjusted for all columns together */
    double share;                 /* filled in: of the variance, between the sides; 0 .. 1 */
    bool b_above;                 /* filled in: by means */
};

void perf_permutation_test(struct perf_column *columns, unsigned cnt, unsigned a_cnt,
                           unsigned b_cnt);

#endif
