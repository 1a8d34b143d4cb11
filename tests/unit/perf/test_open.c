#include "perf/run/clock.h"
#include "perf/workloads/open.h"

#include <criterion/criterion.h>
#include <string.h>

#define MSGS 1000u

struct bench {
    struct perf_result *result;
    struct perf_run *run;
    struct perf_tally tally;
    struct perf_generator_spec spec;
};

/* A second of 1,000 messages in which all was well, after a warm-up of as long. */
static struct bench bench_make(void)
{
    struct bench b = {.result = perf_result_new("load", "test")};
    b.run = perf_run_add(b.result);
    b.spec.warmup_ns = PERF_SECOND_NS;
    b.spec.window_ns = PERF_SECOND_NS;
    b.tally.asked_cnt = b.tally.sent_cnt = b.tally.answered_cnt = MSGS;
    b.tally.all_cnt = 2 * MSGS;
    b.tally.last_sent_ns = b.tally.last_answer_ns = 2 * PERF_SECOND_NS - 1;
    b.tally.response = perf_hist_new();
    b.tally.service = perf_hist_new();
    b.tally.lag = perf_hist_new();
    for (unsigned i = 0; i < MSGS; i++) {
        mcq_hdr_record(b.tally.service, 20000);
        mcq_hdr_record(b.tally.lag, 50);
    }
    return b;
}

static void bench_judge(struct bench *b, enum perf_idle idle, const char *said)
{
    perf_open_judge(&b->tally, &b->spec, idle, b->run);
    cr_assert_eq(b->run->valid, said == NULL, "%s", b->run->reason);
    cr_assert(said == NULL || strstr(b->run->reason, said) != NULL, "%s", b->run->reason);
    perf_hist_end(b->tally.response);
    perf_hist_end(b->tally.service);
    perf_hist_end(b->tally.lag);
    perf_result_end(b->result);
}

Test(open, a_good_run_is_believed)
{
    struct bench b = bench_make();
    bench_judge(&b, PERF_IDLE_SPIN, NULL);
}

Test(open, one_lost_message_is_enough)
{
    struct bench b = bench_make();
    b.tally.lost_cnt = 1;
    bench_judge(&b, PERF_IDLE_SPIN, "1 were lost");
}

Test(open, one_doubled_message_is_enough)
{
    struct bench b = bench_make();
    b.tally.old_cnt = 1;
    bench_judge(&b, PERF_IDLE_SPIN, "1 doubled or out of order");
}

Test(open, one_damaged_message_is_enough)
{
    struct bench b = bench_make();
    b.tally.damaged_cnt = 1;
    bench_judge(&b, PERF_IDLE_SPIN, "1 damaged");
}

/* One of 1,000 is what may be missing, and two are too many. */
Test(open, share_at_its_limit)
{
    struct bench b = bench_make();
    b.tally.sent_cnt = MSGS - 1;
    bench_judge(&b, PERF_IDLE_SPIN, NULL);
    b = bench_make();
    b.tally.sent_cnt = MSGS - 2;
    bench_judge(&b, PERF_IDLE_SPIN, "99.80 % of the rate asked");
}

/* All was sent, but it took longer than the window. */
Test(open, sent_late_is_not_the_rate_asked)
{
    struct bench b = bench_make();
    b.tally.last_sent_ns = 2 * PERF_SECOND_NS + 20 * PERF_MS_NS;
    bench_judge(&b, PERF_IDLE_SPIN, "98.04 % of the rate asked");
}

Test(open, a_server_that_falls_behind)
{
    struct bench b = bench_make();
    b.tally.last_answer_ns = 2 * PERF_SECOND_NS + 300 * PERF_MS_NS;
    bench_judge(&b, PERF_IDLE_SPIN, NULL); /* as a stall would have it */
    b = bench_make();
    b.tally.last_answer_ns = 2 * PERF_SECOND_NS + 500 * PERF_MS_NS;
    bench_judge(&b, PERF_IDLE_SPIN, "fell behind");
}

Test(open, nothing_was_due)
{
    struct bench b = bench_make();
    b.tally.asked_cnt = b.tally.sent_cnt = b.tally.answered_cnt = 0;
    bench_judge(&b, PERF_IDLE_SPIN, "no message was due");
}

/* Eleven late ones of a thousand move a p99, nine don't. */
Test(open, lag_counts_by_its_p99)
{
    struct bench b = bench_make();
    for (unsigned i = 0; i < 9; i++) {
        mcq_hdr_record(b.tally.lag, PERF_SECOND_NS);
    }
    bench_judge(&b, PERF_IDLE_SPIN, NULL);
    b = bench_make();
    for (unsigned i = 0; i < 11; i++) {
        mcq_hdr_record(b.tally.lag, PERF_SECOND_NS);
    }
    bench_judge(&b, PERF_IDLE_SPIN, "didn't keep up");
}

/* What a sleeper may be late by is too much for one that spins. */
Test(open, lag_limits)
{
    cr_assert_eq(perf_open_lag_max(PERF_IDLE_SPIN, 4000), PERF_LAG_SPIN_NS);
    cr_assert_eq(perf_open_lag_max(PERF_IDLE_SPIN, 400000), 200000);
    cr_assert_eq(perf_open_lag_max(PERF_IDLE_BLOCK, 4000), PERF_LAG_BLOCK_NS);
    cr_assert_eq(perf_open_lag_max(PERF_IDLE_BLOCK, 400000), 400000);
    struct bench b = bench_make();
    mcq_hdr_reset(b.tally.lag);
    for (unsigned i = 0; i < MSGS; i++) {
        mcq_hdr_record(b.tally.lag, 60000);
    }
    bench_judge(&b, PERF_IDLE_BLOCK, NULL);
    b = bench_make();
    mcq_hdr_reset(b.tally.lag);
    for (unsigned i = 0; i < MSGS; i++) {
        mcq_hdr_record(b.tally.lag, 60000);
    }
    bench_judge(&b, PERF_IDLE_SPIN, "25.0 us is the most");
}
