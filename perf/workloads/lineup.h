/*
 * lineup: the arms of a workload over nodes, from the command line: each peer, and a peer that has
 * threads of its own twice, pinned and free, since either may be the better for it. Both stay in
 * the artefact, which compares the better one.
 */
#ifndef MCQ_PERF_WORKLOADS_LINEUP_H
#define MCQ_PERF_WORKLOADS_LINEUP_H

#include "perf/options.h"
#include "perf/workloads/arms.h"

struct perf_entrant {
    const struct perf_peer *peer;
    enum perf_idle idle; /* in effect, of this peer */
    enum perf_place place;
    char reason[PERF_REASON_MAX]; /* why it can't take part, or "" */
};

struct perf_lineup {
    struct perf_entrant entrants[2 * PERF_PEERS_MAX];
    unsigned cnt;
};

/* Who isn't asked for is mcq, and libzmq beside it; a stranger's server is met by mcq alone. */
void perf_lineup_make(struct perf_lineup *lineup, const struct perf_options *options);

/* Of CLIENT and SERVER: what all results of such a workload say of themselves, in this order. */
struct perf_result *perf_lineup_result(const struct perf_options *options, const char *workload,
                                       const struct perf_entrant *entrant);
/* A sentence on stderr for each that couldn't take part, or failed. */
void perf_lineup_missing(const struct perf_arm *arms, unsigned cnt);
void perf_lineup_arm(struct perf_arm *arm, const struct perf_entrant *entrant,
                     struct perf_result *result, uint64_t param);

#endif
