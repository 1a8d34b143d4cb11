/*
 * compare_rows: what a comparison says of one workload of one peer: medians over runs, spread and
 * ratios.
 *
 * A percentile's figure is the median of the runs' percentiles; a maximum's is the worst of all
 * runs. Of a peer measured in two placements the better median makes the row.
 */
#ifndef MCQ_PERF_COMPARE_ROWS_H
#define MCQ_PERF_COMPARE_ROWS_H

#include "perf/workloads/closed.h"

/* For a round trip the figures are the points of enum perf_rtt_point; for throughput only the first
 * is used, messages per second. The first is the one that is compared. */
#define PERF_FIGURE_CNT PERF_RTT_POINT_CNT

struct perf_row {
    bool rtt; /* else throughput */
    const struct perf_peer *peer;
    enum perf_idle idle;
    enum perf_place place;
    size_t size;
    unsigned runs, failures;
    char reason[PERF_REASON_MAX];    /* of the last failure, or why the row is missing */
    double figures[PERF_FIGURE_CNT]; /* the first is the median that is compared */
    double low;                      /* the first figure's least over the runs, and its greatest */
    double high;
    /* NAN where there is nothing to compare with. */
    double ratio_raw;        /* figure over that of raw: round trip with the same idle policy */
    double ratio_raw_frames; /* throughput only */
    double ratio_libzmq;     /* how many times better than libzmq */
};

/* rows has room for one per arm; both placements of a peer are neighbours. Returns how many there
 * are. */
size_t perf_rows_make(struct perf_row *rows, const struct perf_arm *arms, size_t arm_cnt);

#endif
