/* idlers_run: what the two processes of idlers share. Private to idlers*.c. */
#ifndef MCQ_PERF_WORKLOADS_IDLERS_RUN_H
#define MCQ_PERF_WORKLOADS_IDLERS_RUN_H

#include "perf/run/stamp.h"
#include "perf/workloads/footprint.h"
#include "perf/workloads/idlers.h"

#include <stdatomic.h>

enum { IDLERS_RESPONSE, IDLERS_SERVICE, IDLERS_LAG, IDLERS_HIST_CNT };

struct perf_idlers_run {
    const struct perf_idlers_job *job;
    struct mcq_hdr *hists[IDLERS_HIST_CNT]; /* shared, too */
    _Atomic int server_pid;
    _Atomic uint64_t buffers; /* the server's library's; PERF_FOOTPRINT_NONE: not told */
    /* the client's */
    struct perf_footprint before, after;
    uint64_t buffers_before, buffers_after;
    uint64_t asked, answered;
    double seconds;
    uint64_t lost, old, damaged;
    char fault[PERF_STAMP_TEXT];
};

bool perf_idlers_hold(struct perf_child *child, void *arg);

#endif
