/*
 * family: pairs of results of the same two arms, and all the figures they are judged by together.
 *
 * Pairs are added one by one; then all figures that both results of a pair have are judged as one
 * family (stats/verdict.h), so that one odd figure of many isn't taken for news. Takes nothing:
 * results must outlive the family.
 */
#ifndef MCQ_PERF_STATS_FAMILY_H
#define MCQ_PERF_STATS_FAMILY_H

#include "perf/stats/verdict.h"

struct perf_member {
    unsigned pair;   /* the how manieth pair */
    unsigned figure; /* stats/figure.h */
};

struct perf_family {
    struct perf_trial *trials; /* cnt of them, and members beside; owned */
    struct perf_member *members;
    unsigned cnt, cap;
    unsigned pair_cnt;
    unsigned a_cnt, b_cnt; /* runs of the pair that has most */
};

/* A family starts zeroed. */
void perf_family_add(struct perf_family *family, const struct perf_result *a,
                     const struct perf_result *b);
void perf_family_judge(struct perf_family *family);
void perf_family_end(struct perf_family *family);

#endif
