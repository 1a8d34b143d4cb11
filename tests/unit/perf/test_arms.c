#include "perf/workloads/arms.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ARMS_MAX 12u

/* Each round has each arm once, and each second round is the first one backwards. */
Test(arms, order_is_fair)
{
    for (unsigned cnt = 1; cnt <= ARMS_MAX; cnt++) {
        unsigned firsts[ARMS_MAX] = {0};
        for (unsigned round = 0; round < 2 * cnt; round++) {
            unsigned seen = 0;
            for (unsigned place = 0; place < cnt; place++) {
                unsigned arm = perf_arms_order(cnt, round, place);
                cr_assert_lt(arm, cnt);
                seen |= 1u << arm;
                if (round % 2 == 1) {
                    cr_assert_eq(arm, perf_arms_order(cnt, round - 1, cnt - 1 - place));
                }
            }
            cr_assert_eq(seen, (1u << cnt) - 1);
            firsts[perf_arms_order(cnt, round, 0)]++;
        }
        for (unsigned arm = 0; arm < cnt; arm++) {
            cr_assert_eq(firsts[arm], 2, "of %u arms, arm %u is first %u times", cnt, arm,
                         firsts[arm]);
        }
    }
}

struct script {
    char log[256];
    bool (*play)(struct perf_arm *arm, struct perf_run *run, char *reason);
};

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct script *script = ctx;
    snprintf(script->log + strlen(script->log), sizeof script->log - strlen(script->log), "%s",
             arm->result->arm);
    return script->play(arm, run, reason);
}

static void arms_make(struct perf_arm *arms, unsigned cnt)
{
    for (unsigned i = 0; i < cnt; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        arms[i] = (struct perf_arm){.result = perf_result_new("test", name)};
    }
}

static bool all_well(struct perf_arm *arm, struct perf_run *run, char *reason)
{
    (void)arm, (void)run, (void)reason;
    return true;
}

static bool b_fails(struct perf_arm *arm, struct perf_run *run, char *reason)
{
    (void)run;
    snprintf(reason, PERF_REASON_MAX, "it broke");
    return arm->result->arm[0] != 'b';
}

static bool b_is_refused(struct perf_arm *arm, struct perf_run *run, char *reason)
{
    (void)reason;
    if (arm->result->arm[0] == 'b') {
        perf_run_refuse(run, "too slow");
    }
    return true;
}

Test(arms, two_go_abba)
{
    struct script script = {.play = all_well};
    struct perf_arm arms[2];
    arms_make(arms, 2);
    cr_assert(perf_arms_run(arms, 2, 4, measure, &script, true));
    cr_assert_str_eq(script.log, "abbaabba");
    cr_assert_eq(arms[0].result->run_cnt, 4);
}

Test(arms, one_that_fails_is_given_up)
{
    struct script script = {.play = b_fails};
    struct perf_arm arms[2];
    arms_make(arms, 2);
    cr_assert_not(perf_arms_run(arms, 2, 4, measure, &script, true));
    cr_assert_str_eq(script.log, "abbaaa");
    cr_assert_eq(arms[1].failures, PERF_ARM_FAILURES_MAX);
    cr_assert_not(arms[1].result->runs[0].valid);
    cr_assert_str_eq(arms[1].result->runs[0].reason, "it broke");
}

Test(arms, one_that_is_refused_goes_on)
{
    struct script script = {.play = b_is_refused};
    struct perf_arm arms[2];
    arms_make(arms, 2);
    cr_assert_not(perf_arms_run(arms, 2, 2, measure, &script, true));
    cr_assert_str_eq(script.log, "abba");
    cr_assert_str_eq(arms[1].result->runs[1].reason, "too slow");
}

Test(arms, one_that_is_missing_is_left_out)
{
    struct script script = {.play = all_well};
    struct perf_arm arms[2];
    arms_make(arms, 2);
    snprintf(arms[0].reason, sizeof arms[0].reason, "not installed");
    cr_assert_not(perf_arms_run(arms, 2, 2, measure, &script, true));
    cr_assert_str_eq(script.log, "bb");
    cr_assert_eq(arms[0].result->run_cnt, 0);
}
