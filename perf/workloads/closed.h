/*
 * closed: arms of the closed loops, rtt and throughput, over any peers, and what they leave.
 *
 * An arm is a peer with a placement, a size and, for round trips, an idle policy; what it is asked
 * for stands in its result's parameters. A peer with threads of its own is two arms, pinned and
 * free. System calls are counted in a run of their own behind an arm's first one, and stand there.
 */
#ifndef MCQ_PERF_WORKLOADS_CLOSED_H
#define MCQ_PERF_WORKLOADS_CLOSED_H

#include "perf/options.h"
#include "perf/workloads/arms.h"

#include <string.h>

#define PERF_CLOSED_ARMS_MAX 96u

/* Of a comparison by percentiles and rates the fewest that allow a verdict. */
#define PERF_CLOSED_RUNS_DEFAULT PERF_VERDICT_RUNS_MIN

struct perf_closed {
    const struct perf_options *options;
    double seconds;                      /* of a window of throughput */
    uint64_t trips[PERF_IDLE_BLOCK + 1]; /* of a run of round trips, by enum perf_idle */
    bool trace;
    struct perf_arm arms[PERF_CLOSED_ARMS_MAX];
    unsigned cnt;
};

/* How long runs are: what the command line says, else so long as is usual, or shorter (--quick). */
void perf_closed_init(struct perf_closed *closed, const struct perf_options *options);

/* Adds a peer, in both placements where it has a choice. A peer that can't take part is an arm with
 * a reason. apart: arms of one idle policy aren't compared with those of the other. */
void perf_closed_add(struct perf_closed *closed, enum perf_command workload,
                     const struct perf_peer *peer, enum perf_idle idle, size_t size, bool apart);

static inline bool perf_closed_is_rtt(const struct perf_arm *arm)
{
    return strcmp(arm->result->workload, "rtt") == 0;
}

/* A measure function for arms; ctx is a struct perf_closed. */
bool perf_closed_measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason);

/* Gives the results that have a run to the artefact and ends the others. The arms' results are the
 * artefact's then. */
void perf_closed_give(struct perf_closed *closed, struct perf_artefact *a);

/* rtt or throughput of several peers, or in several runs: the whole command. */
bool perf_closed_several(const struct perf_options *options);
int perf_closed_main(const struct perf_options *options);

/* One peer, one run: what --out gets. Without --out nothing is done. False with a sentence on
 * stderr. hist: all trips. */
bool perf_closed_save_rtt(const struct perf_options *options, const struct perf_peer *peer,
                          const struct perf_rtt_job *job, const struct perf_rtt_result *result,
                          const struct mcq_hdr *hist);
bool perf_closed_save_rate(const struct perf_options *options, const struct perf_peer *peer,
                           const struct perf_rate_job *job, const struct perf_rate_result *result);

#endif
