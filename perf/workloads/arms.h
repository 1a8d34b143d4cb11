/*
 * arms: what one workload compares, measured in turns.
 *
 * An arm is a peer with parameters: one result, so many runs. Runs of all arms are interleaved, so
 * that a drift of the machine meets all alike: in each pair of rounds the second goes backwards
 * through the order of the first (ABBA), and the order turns from one pair to the next, so that no
 * arm always follows the same other one.
 */
#ifndef MCQ_PERF_WORKLOADS_ARMS_H
#define MCQ_PERF_WORKLOADS_ARMS_H

#include "perf/output/artefact.h"
#include "perf/peers/peer.h"

/* An arm that failed this often is not tried again: each try may last until its deadline. */
#define PERF_ARM_FAILURES_MAX 2u

/* So many runs there are, whatever they take. */
#define PERF_ARM_RUNS_MIN 3u

struct perf_arm {
    const struct perf_peer *peer;
    enum perf_idle idle;
    enum perf_place place;
    struct perf_result *result; /* borrowed: where its runs go */
    uint64_t param;             /* the workload's own */
    unsigned failures;
    char reason[PERF_REASON_MAX]; /* of the last failure, or why it can't be measured at all */
};

/* One run of one arm. False: it couldn't be measured, and reason[PERF_REASON_MAX] says why; the
 * run is then refused. A run that was measured and mustn't be believed is refused by the workload
 * (perf_run_refuse) and is true here. */
typedef bool perf_measure_fn(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason);

/* Runs each arm `runs` times, with a line of progress on stderr unless quiet. An arm that has a
 * reason before is left out. False: at least one run of one arm isn't there, or is refused. */
bool perf_arms_run(struct perf_arm *arms, unsigned cnt, unsigned runs, perf_measure_fn *measure,
                   void *ctx, bool quiet);

/* The same, but after PERF_ARM_RUNS_MIN rounds none is begun that would likely end after budget_ns
 * from now: a slow machine gets fewer runs rather than a longer wait. */
bool perf_arms_run_within(struct perf_arm *arms, unsigned cnt, unsigned runs, uint64_t budget_ns,
                          perf_measure_fn *measure, void *ctx, bool quiet);

/* Which arm is the place-th of a round. */
unsigned perf_arms_order(unsigned cnt, unsigned round, unsigned place);

#endif
