/* summary: what the valid runs of a result say together: median, least and most of each figure. */
#ifndef MCQ_PERF_OUTPUT_SUMMARY_H
#define MCQ_PERF_OUTPUT_SUMMARY_H

#include "perf/output/result.h"

struct perf_summary {
    double median, low, high; /* NAN when no valid run has the figure */
    unsigned cnt;             /* runs that have it */
};

/* figure: stats/figure.h */
struct perf_summary perf_summary_of(const struct perf_result *r, unsigned figure);
unsigned perf_summary_metric(enum perf_metric metric);
unsigned perf_summary_point(enum perf_hist kind, unsigned point);

/* A valid run has it. */
bool perf_summary_has(const struct perf_result *r, enum perf_hist kind);
/* Records of all valid runs. */
uint64_t perf_summary_records(const struct perf_result *r, enum perf_hist kind);
unsigned perf_summary_valid(const struct perf_result *r);

#endif
