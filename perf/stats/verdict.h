/*
 * verdict: is B better or worse than A, judged by runs.
 *
 * Samples within a run hang together, so the unit is the run: each gives one value per figure.
 * "Better" and "worse" are said of a figure only when all of this holds, else "no evidence":
 *   - both sides have PERF_VERDICT_RUNS_MIN runs;
 *   - its adjusted p-value is at most PERF_VERDICT_ALPHA;
 *   - the bootstrap interval (95 %, percentile method, over runs) of the difference of medians is
 * on one side of zero;
 *   - the medians are PERF_VERDICT_EFFECT_MIN apart: less is what the layout of a process's memory
 *     makes, whichever its code.
 *
 * Many figures are compared at once, and one of them is always odd. So all figures of one
 * comparison (two arms, with all their workloads and parameters) are one family: runs are
 * relabelled as wholes, with all their figures, and what a figure must beat is the greatest
 * statistic of any figure under each relabelling (step-down maxT, after Westfall and Young). That
 * holds the chance that a comparison of equals says anything at all to PERF_VERDICT_ALPHA, however
 * the figures hang together, and unlike a division by their number it can be reached with five
 * runs: of the 252 ways to label ten runs, the two best splits and their mirrors are 0.0159. The
 * statistic is the share of the runs' variance that lies between the sides, after runs further than
 * PERF_VERDICT_OUTLIER_MADS median deviations from the median of all were drawn in to there, so
 * that one disturbed run of many doesn't hide a difference. Up to PERF_VERDICT_SPLITS_MAX
 * relabellings all are tried, else so many at random. Seeds are fixed: the same files give the same
 * verdict.
 */
#ifndef MCQ_PERF_STATS_VERDICT_H
#define MCQ_PERF_STATS_VERDICT_H

#include "perf/output/result.h"

#define PERF_VERDICT_RUNS_MIN     5u
#define PERF_VERDICT_ALPHA        0.016
#define PERF_VERDICT_EFFECT_MIN   0.01
#define PERF_VERDICT_OUTLIER_MADS 3.0
#define PERF_VERDICT_SPLITS_MAX   10000u

enum perf_judgement { PERF_NO_EVIDENCE, PERF_B_BETTER, PERF_B_WORSE };

struct perf_verdict {
    double median_a, median_b;
    double ratio;     /* b / a; NAN when a isn't above zero */
    double low, high; /* 95 % of the ratio */
    double p_value;   /* adjusted for the family; NAN with too few runs */
    unsigned runs_a, runs_b;
    enum perf_judgement judgement;
};

/* One figure of a comparison: a value per run, NAN where a run doesn't have it. */
struct perf_trial {
    enum perf_better better;
    double a[PERF_RUNS_MAX], b[PERF_RUNS_MAX];
    struct perf_verdict verdict;
};

/* Judges trials[cnt] as one family: a[i] of all of them is one run, and so is b[i]. */
void perf_verdicts_judge(struct perf_trial *trials, unsigned cnt, unsigned a_cnt, unsigned b_cnt);

/* A family of one. */
struct perf_verdict perf_verdict_of(const double *a, unsigned a_cnt, const double *b,
                                    unsigned b_cnt, enum perf_better better);

/* "better", "worse", "no evidence" */
const char *perf_judgement_name(enum perf_judgement judgement);

#endif
