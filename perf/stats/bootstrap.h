/*
 * bootstrap: how far medians over runs may be off, by drawing the runs again, with replacement.
 *
 * Percentile method, 95 %, PERF_BOOTSTRAP_CNT draws, fixed seed. Cost: some milliseconds.
 */
#ifndef MCQ_PERF_STATS_BOOTSTRAP_H
#define MCQ_PERF_STATS_BOOTSTRAP_H

#define PERF_BOOTSTRAP_CNT 1000u

struct perf_interval {
    double low, high;
};

/* Both with 1 .. PERF_RUNS_MAX values. ratio is NAN on both sides when a median of A that was drawn
 * isn't above zero. */
void perf_bootstrap_medians(const double *a, unsigned a_cnt, const double *b, unsigned b_cnt,
                            struct perf_interval *ratio, struct perf_interval *difference);

/* The middle of cnt values, NAN of none. Sorts them. */
double perf_median_sort(double *values, unsigned cnt);
/* The same and leaves them as they are; up to 2 * PERF_RUNS_MAX values. */
double perf_median(const double *values, unsigned cnt);

#endif
