/* hist: what outputs want to know of a histogram beside its percentiles. Values in us. */
#ifndef MCQ_PERF_OUTPUT_HIST_H
#define MCQ_PERF_OUTPUT_HIST_H

#include "perf/output/result.h"

struct perf_moments {
    double mean_us, stddev_us; /* by the middle of each step; NAN when empty */
};
struct perf_moments perf_hist_moments(const struct mcq_hdr *h);

/* All valid runs of a result together; NULL when none has one. To be given to perf_hist_end. */
struct mcq_hdr *perf_hist_together(const struct perf_result *r, enum perf_hist kind);

/* Walks up the percentiles in ever smaller steps: per_half of them to 50 %, as many to 75 %, to
 * 87.5 %, and so on. Starts zeroed but for h and per_half. */
struct perf_climb {
    const struct mcq_hdr *h;
    unsigned per_half;
    bool steady; /* don't end where the last record is reached: the caller ends it */
    unsigned tick;
    size_t idx;        /* of the step the last one fell into */
    uint64_t seen_cnt; /* records up to that step's end */
    /* What next found. */
    double percentile; /* 0 .. 100; 100 is the last */
    double value_us;
    uint64_t cnt; /* records at or below value */
};
/* False after the last. */
bool perf_climb_next(struct perf_climb *climb);

#endif
