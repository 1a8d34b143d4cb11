/*
 * field: who is measured in a workload of many connections, how long, and what is left of it.
 *
 * Each case of a workload (so many subscribers, at a rate) is taken by every peer that has the
 * roles for it: one arm, or two of a peer with threads of its own, pinned and free, since either
 * may be the better for it. Both stay, and both are compared with the first peer. Without --seconds
 * a command takes about as long whatever its arms: each window is
 * what is left of PERF_FIELD_BUDGET_S.
 *
 * A workload is: begin, expect, add all cases, run, perhaps once more with cases that follow from
 * the first, and end.
 */
#ifndef MCQ_PERF_WORKLOADS_FIELD_H
#define MCQ_PERF_WORKLOADS_FIELD_H

#include "perf/options.h"
#include "perf/workloads/arms.h"

#define PERF_FIELD_BUDGET_S 40.0
#define PERF_FIELD_QUICK_S  6.0
/* Fewer give no verdict. */
#define PERF_FIELD_RUNS 5u

struct perf_field {
    const struct perf_options *options;
    struct perf_artefact *artefact;
    const struct perf_peer *peers[PERF_PEERS_MAX];
    unsigned peer_cnt;
    struct perf_arm *arms;
    unsigned cnt;
    unsigned begun; /* arms that have had their runs */
    unsigned runs;
    double seconds, warmup_s; /* of each run */
    bool trace;               /* this run is one for counting system calls, under ptrace */
    bool ok;
};

/* roles: bits of what a peer must have to be in it, unless it was asked for by name. */
void perf_field_begin(struct perf_field *f, const struct perf_options *options, unsigned roles);
/* How many cases there will be, of all peers. */
void perf_field_expect(struct perf_field *f, unsigned cases);

/* Params of the result of a case, besides those that all have. */
typedef void perf_case_fn(void *ctx, uint64_t param, struct perf_result *r);

/* One case: param is what the arms carry. */
void perf_field_add(struct perf_field *f, unsigned roles, uint64_t param, perf_case_fn *params,
                    void *ctx);
/* All arms that were added since the last call: runs, and one more each that is traced. */
void perf_field_run(struct perf_field *f, perf_measure_fn *measure, void *ctx);
/* The least median rate of the arms with this param that were run, 0 if there is none; of a peer
 * with two places its better. */
double perf_field_rate_least(const struct perf_field *f, uint64_t param);
/* Verdicts, outputs, exit status. */
int perf_field_end(struct perf_field *f);

/* Helps to make rates that a reader can remember: two digits, none but zeros behind. */
double perf_rate_rounded(double rate);

#endif
