/* Workloads of many connections against servers with planted faults. No speed is judged. */
#include "perf/workloads/feed.h"
#include "perf/workloads/gather.h"
#include "perf/workloads/idlers.h"
#include "perf/workloads/logon.h"
#include "planted.h"

#include <criterion/criterion.h>
#include <string.h>

#define SIZE 32u
#define KEPT (64u * 1024)

static struct perf_result *result;
static struct perf_run *run;
static char reason[PERF_REASON_MAX];

static void begin(void)
{
    planted = (struct planted){.keeps = 0};
    result = perf_result_new("test", "planted");
    run = perf_run_add(result);
    reason[0] = '\0';
}

static void end(void)
{
    perf_result_end(result);
}

TestSuite(many, .init = begin, .fini = end, .timeout = 100);

static bool gather(enum perf_gather how, double rate)
{
    struct perf_gather_job job = {
        .how = how,
        .peer = &planted_peer,
        .idle = PERF_IDLE_BLOCK,
        .place = PERF_PLACE_FREE,
        .conns = 4,
        .depth = 8,
        .size = SIZE,
        .seconds = 0.1,
        .warmup_s = 0.02,
        .rate = rate,
    };
    return perf_gather_measure(&job, run, reason);
}

static bool feed(enum perf_victim victim, double rate)
{
    struct perf_feed_job job = {
        .peer = &planted_peer,
        .idle = PERF_IDLE_BLOCK,
        .place = PERF_PLACE_FREE,
        .subs = 3,
        .size = SIZE,
        .seconds = 0.1,
        .warmup_s = 0.02,
        .schedule = {.pace = PERF_PACE_FIXED, .rate = rate, .burst = 1},
        .victim = victim,
    };
    return perf_feed_measure(&job, run, reason);
}

static bool logon(void)
{
    struct perf_logon_job job = {
        .peer = &planted_peer,
        .wire = PERF_WIRE_BARE,
        .idle = PERF_IDLE_BLOCK,
        .place = PERF_PLACE_FREE,
        .size = SIZE,
        .conns = 8,
        .seconds = 0.1,
        .warmup_s = 0.02,
        .patience_ns = 300000000,
    };
    return perf_logon_measure(&job, run, reason);
}

static bool idlers(void)
{
    struct perf_idlers_job job = {
        .peer = &planted_peer,
        .wire = PERF_WIRE_BARE,
        .idle = PERF_IDLE_BLOCK,
        .place = PERF_PLACE_FREE,
        .size = SIZE,
        .active = 4,
        .idle_cnt = 200,
        .rate = 1000,
        .seconds = 0.1,
        .warmup_s = 0.02,
    };
    return perf_idlers_measure(&job, run, reason);
}

static double metric(enum perf_metric which)
{
    return run->metrics[which];
}

/* A generator that was held up refuses a run, which is no fault of what is tested. */
static bool fine(void)
{
    return run->valid || strstr(run->reason, "asked for") != NULL;
}

Test(many, an_honest_server_is_believed)
{
    cr_expect(gather(PERF_GATHER_ECHO, 0) && fine(), "%s%s", reason, run->reason);
    cr_expect_gt(metric(PERF_METRIC_MSGS), 0);
    cr_expect(metric(PERF_METRIC_FAIRNESS) >= 0 && metric(PERF_METRIC_FAIRNESS) <= 1);
    cr_expect_not_null(run->hists[PERF_HIST_SERVICE]);
    cr_expect(gather(PERF_GATHER_PUSH, 0) && fine(), "%s%s", reason, run->reason);
    cr_expect(gather(PERF_GATHER_PUSH, 1000) && fine(), "%s%s", reason, run->reason);
    cr_expect_eq(metric(PERF_METRIC_MSGS), 100);
    cr_expect_eq(metric(PERF_METRIC_FAIRNESS), 1);
    cr_expect_eq(mcq_hdr_cnt(run->hists[PERF_HIST_ONE_WAY]), 100);
}

Test(many, who_is_held_back_shows_in_fairness)
{
    planted.held_for = 60;
    cr_expect(gather(PERF_GATHER_ECHO, 0) && run->valid, "%s%s", reason, run->reason);
    cr_expect_lt(metric(PERF_METRIC_FAIRNESS), 0.2);
}

Test(many, bent_answers_refuse_a_gathering)
{
    planted.damage_at = 40;
    cr_expect(gather(PERF_GATHER_ECHO, 0) && !run->valid, "%s", reason);
    cr_expect_eq(metric(PERF_METRIC_DAMAGED), 1);
}

Test(many, missing_answers_refuse_a_gathering)
{
    planted.drop_at = 40;
    cr_expect(gather(PERF_GATHER_ECHO, 0) && !run->valid, "%s", reason);
    cr_expect_eq(metric(PERF_METRIC_LOST), 1);
}

Test(many, doubled_answers_refuse_a_gathering)
{
    planted.double_at = 40;
    cr_expect(gather(PERF_GATHER_ECHO, 0) && !run->valid, "%s", reason);
    cr_expect_eq(metric(PERF_METRIC_DOUBLED), 1);
}

Test(many, every_subscriber_gets_every_message)
{
    cr_expect(feed(PERF_VICTIM_NONE, 0) && fine(), "%s%s", reason, run->reason);
    cr_expect_gt(metric(PERF_METRIC_MSGS), 0);
    cr_expect(feed(PERF_VICTIM_NONE, 1000) && fine(), "%s%s", reason, run->reason);
    cr_expect_eq(metric(PERF_METRIC_MSGS), 300);
    cr_expect_eq(metric(PERF_METRIC_FAIRNESS), 1);
    cr_expect_eq(mcq_hdr_cnt(run->hists[PERF_HIST_ONE_WAY]), 300);
    cr_expect_eq(mcq_hdr_cnt(run->hists[PERF_HIST_LAST]), 100);
    cr_expect_leq(run->hists[PERF_HIST_ONE_WAY]->max, run->hists[PERF_HIST_LAST]->max);
    cr_expect_leq(run->hists[PERF_HIST_SKEW]->max, run->hists[PERF_HIST_LAST]->max);
}

Test(many, a_publisher_that_lies_is_refused)
{
    planted.drop_at = 60;
    cr_expect(feed(PERF_VICTIM_NONE, 1000) && !run->valid, "%s", reason);
    cr_expect_geq(metric(PERF_METRIC_LOST), 1);
}

Test(many, a_stopped_subscriber_holds_nobody_up)
{
    cr_expect(feed(PERF_VICTIM_STOPS, 1000) && fine(), "%s%s", reason, run->reason);
    cr_expect_eq(metric(PERF_METRIC_MSGS), 300);
    cr_expect_eq(metric(PERF_METRIC_DROPPED), 0, "the buffers have room for a hundred");
    cr_expect_eq(mcq_hdr_cnt(run->hists[PERF_HIST_OTHERS]), 300);
}

Test(many, logons_are_counted_once_they_are_answered)
{
    cr_expect(logon() && run->valid, "%s%s", reason, run->reason);
    cr_expect_gt(metric(PERF_METRIC_CONNECT_RATE), 0);
    cr_expect_eq(mcq_hdr_cnt(run->hists[PERF_HIST_RESPONSE]), metric(PERF_METRIC_MSGS));
}

Test(many, a_server_that_never_answers_is_refused)
{
    planted.silent_after = 5;
    cr_expect_not(logon());
    cr_expect_str_eq(reason, "client: the server doesn't answer a message");
}

Test(many, a_logon_with_a_wrong_answer_is_refused)
{
    planted.damage_at = 12;
    cr_expect(logon() && !run->valid, "%s", reason);
}

Test(many, memory_of_a_connection_is_what_the_server_keeps)
{
    planted.keeps = KEPT;
    cr_expect(idlers() && fine(), "%s%s", reason, run->reason);
    double each = metric(PERF_METRIC_CONN_BYTES);
    cr_expect(each > KEPT * 0.95 && each < KEPT * 1.25, "%.0f bytes of %u", each, KEPT);
    cr_expect_eq(metric(PERF_METRIC_MSGS), 100);
    cr_expect_gt(metric(PERF_METRIC_CONN_SHARE), KEPT);
}
