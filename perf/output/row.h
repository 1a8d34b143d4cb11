/*
 * row: what a comparison says of one workload of one peer: medians over runs, spread and ratios.
 *
 * A percentile's figure is the median of the runs' percentiles; a maximum's is the worst of all
 * runs. Of a peer measured in two placements the better median makes the row.
 */
#ifndef MCQ_PERF_ROW_H
#define MCQ_PERF_ROW_H

#include "perf/workloads/compare.h"

struct perf_row {
    const struct perf_cell *cell;
    double figures[PERF_FIGURE_CNT]; /* the first is the median that is compared */
    double low;                      /* the first figure's least over the runs, and its greatest */
    double high;
    /* NAN where there is nothing to compare with. */
    double ratio_raw;        /* figure over that of raw: round trip with the same idle policy */
    double ratio_raw_frames; /* throughput only */
    double ratio_libzmq;     /* how many times better than libzmq */
};

/* rows has room for one per cell. Returns how many there are. */
size_t perf_rows_make(struct perf_row *rows, const struct perf_cell *cells, size_t cell_cnt);

#endif
