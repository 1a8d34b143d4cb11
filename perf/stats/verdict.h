/*
 * verdict: is B better or worse than A, judged by runs.
 *
 * Samples within a run hang together, so the unit is the run: each gives one figure. The ratio of
 * medians has a bootstrap interval over runs (95 %, percentile method, fixed seed, so that the same
 * files give the same verdict); a permutation test of the same statistic must agree before
 * anything but "no evidence" is said. Too few runs never are evidence.
 */
#ifndef MCQ_PERF_STATS_VERDICT_H
#define MCQ_PERF_STATS_VERDICT_H

#include "perf/output/result.h"

#define PERF_VERDICT_RUNS_MIN 5u

enum perf_judgement { PERF_NO_EVIDENCE, PERF_B_BETTER, PERF_B_WORSE };

struct perf_verdict {
    double median_a, median_b;
    double ratio;     /* b / a */
    double low, high; /* 95 % of the ratio */
    double p_value;
    unsigned runs_a, runs_b;
    enum perf_judgement judgement;
};

struct perf_verdict perf_verdict_of(const double *a, unsigned a_cnt, const double *b,
                                    unsigned b_cnt, enum perf_better better);
const char *perf_judgement_name(
    enum perf_judgement judgement); /* "better", "worse", "no evidence" */

#endif
