#include "perf/workloads/arms.h"

#include "perf/run/clock.h"

#include <stdio.h>
#include <string.h>

/* How far the order is turned from one pair of rounds to the next. */
#define ROTATION 5u

struct progress {
    bool quiet;
    uint64_t start_ns;
    uint64_t before_ns; /* from the start to the last round's end */
    unsigned done, all;
};

static unsigned divisor_common(unsigned a, unsigned b)
{
    while (b != 0) {
        unsigned rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A turn that shares a divisor with the count would leave some arms always first. */
static unsigned turn_of(unsigned cnt)
{
    unsigned turn = ROTATION % cnt;
    while (divisor_common(turn, cnt) != 1) {
        turn++;
    }
    return turn;
}

unsigned perf_arms_order(unsigned cnt, unsigned round, unsigned place)
{
    unsigned in_order = round % 2 == 0 ? place : cnt - 1 - place;
    return cnt < 3 ? in_order : (in_order + round / 2 * turn_of(cnt)) % cnt;
}

static void progress_tell(struct progress *progress, const struct perf_arm *arm, unsigned round,
                          unsigned runs, const char *end)
{
    if (progress->quiet) {
        return;
    }
    uint64_t spent_ns = perf_clock_ns() - progress->start_ns;
    fprintf(stderr, "[%4.0f s, %3u %%] run %u of %u: %s %s, %s: %s\n",
            (double)spent_ns / (double)PERF_SECOND_NS, progress->done * 100 / progress->all,
            round + 1, runs, arm->result->workload, arm->result->arm, perf_place_name(arm->place),
            end);
}

static bool arm_run(struct perf_arm *arm, perf_measure_fn *measure, void *ctx)
{
    struct perf_run *run = perf_run_add(arm->result);
    if (run == NULL) {
        snprintf(arm->reason, sizeof arm->reason, "more runs than a result takes");
        return false;
    }
    if (!measure(ctx, arm, run, arm->reason)) {
        arm->failures++;
        perf_run_refuse(run, "%s", arm->reason);
        return false;
    }
    return run->valid;
}

static bool arm_can(const struct perf_arm *arm, bool missing)
{
    return !missing && arm->failures < PERF_ARM_FAILURES_MAX;
}

static bool round_run(struct perf_arm *arms, const bool *missing, unsigned cnt, unsigned round,
                      unsigned runs, perf_measure_fn *measure, void *ctx, struct progress *progress)
{
    bool ok = true;
    for (unsigned place = 0; place < cnt; place++, progress->done++) {
        unsigned which = perf_arms_order(cnt, round, place);
        struct perf_arm *arm = &arms[which];
        if (!arm_can(arm, missing[which])) {
            continue;
        }
        bool good = arm_run(arm, measure, ctx);
        const struct perf_run *run = &arm->result->runs[arm->result->run_cnt - 1];
        progress_tell(progress, arm, round, runs,
                      good                     ? "done"
                      : run->reason[0] != '\0' ? run->reason
                                               : arm->reason);
        ok = ok && good;
    }
    return ok;
}

/* The next round takes as long as the last one did; the first may have had more to do. */
static bool time_is_up(struct progress *progress, unsigned round, uint64_t budget_ns)
{
    uint64_t spent_ns = perf_clock_ns() - progress->start_ns;
    uint64_t last_ns = spent_ns - progress->before_ns;
    progress->before_ns = spent_ns;
    if (round < PERF_ARM_RUNS_MIN || spent_ns + last_ns <= budget_ns) {
        return false;
    }
    fprintf(stderr, "mcq-perf: ending after %u runs: the time is up\n", round);
    return true;
}

bool perf_arms_run_within(struct perf_arm *arms, unsigned cnt, unsigned runs, uint64_t budget_ns,
                          perf_measure_fn *measure, void *ctx, bool quiet)
{
    struct progress progress = {
        .quiet = quiet, .start_ns = perf_clock_ns(), .all = cnt * runs == 0 ? 1 : cnt * runs};
    bool missing[PERF_RESULTS_MAX] = {false};
    bool ok = cnt > 0;
    for (unsigned i = 0; i < cnt; i++) {
        missing[i] = arms[i].reason[0] != '\0';
        ok = ok && !missing[i];
    }
    for (unsigned round = 0; round < runs && !time_is_up(&progress, round, budget_ns); round++) {
        ok = round_run(arms, missing, cnt, round, runs, measure, ctx, &progress) && ok;
    }
    return ok;
}

bool perf_arms_run(struct perf_arm *arms, unsigned cnt, unsigned runs, perf_measure_fn *measure,
                   void *ctx, bool quiet)
{
    return perf_arms_run_within(arms, cnt, runs, UINT64_MAX / 2, measure, ctx, quiet);
}
