/*
 * compare: every workload of every peer in one run, interleaved.
 *
 * A cell is one workload of one peer in one placement. Each round runs every cell once, each in two
 * new processes, in the order of arms (perf/workloads/arms.h). A cell that can't run stays in the
 * table with its reason.
 */
#ifndef MCQ_PERF_COMPARE_H
#define MCQ_PERF_COMPARE_H

#include "perf/options.h"
#include "perf/output/result.h"

enum perf_workload { PERF_WORKLOAD_RTT, PERF_WORKLOAD_THROUGHPUT };

#define PERF_CELLS_MAX 32u

/* For a round trip the figures are the points of enum perf_rtt_point; for throughput only the first
 * is used, messages per second. The first is the one that is compared. */
#define PERF_FIGURE_CNT PERF_RTT_POINT_CNT

struct perf_cell {
    enum perf_workload workload;
    const struct perf_peer *peer;
    enum perf_idle idle;
    enum perf_place place;
    size_t size;
    unsigned runs; /* that succeeded */
    double figures[PERF_FIGURE_CNT][PERF_RUNS_MAX];
    struct perf_result *result; /* the same, with all there is to say of a run */
    unsigned failures;
    char reason[PERF_REASON_MAX]; /* of the last failure, or why the cell is missing */
};

const char *perf_workload_name(enum perf_workload workload);

/* Measures and prints the table. PERF_EXIT_MISSING when a cell that this build can run
 * failed in any run. */
int perf_compare_main(const struct perf_options *options);

#endif
