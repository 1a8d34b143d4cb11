#include "perf/workloads/slow.h"

#include "perf/workloads/feed.h"
#include "perf/workloads/field.h"

#define ROLES (1u << PERF_ROLE_PUB | 1u << PERF_ROLE_SUB)

/* Of an arm. */
enum { CASE_FLOOD, CASE_RUNS, CASE_STOPS };

struct slow {
    struct perf_field field;
    uint32_t subs; /* the victim included */
    double load, rate;
};

static void params(void *ctx, uint64_t param, struct perf_result *r)
{
    const struct slow *slow = ctx;
    perf_result_number(r, "subs", slow->subs);
    if (param == CASE_FLOOD) {
        perf_result_text(r, "pace", "flood");
        return;
    }
    perf_result_number(r, "rate", slow->rate);
    perf_result_number(r, "load", slow->load);
    perf_result_text(r, "stopped", param == CASE_STOPS ? "one" : "none");
}

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct slow *slow = ctx;
    const struct perf_options *options = slow->field.options;
    bool floods = arm->param == CASE_FLOOD;
    struct perf_feed_job job = {
        .peer = arm->peer,
        .idle = arm->idle,
        .place = arm->place,
        .transport = options->transport,
        .subs = floods ? slow->subs : slow->subs - 1,
        .size = options->size,
        .seconds = slow->field.seconds,
        .warmup_s = slow->field.warmup_s,
        .schedule = {.pace = PERF_PACE_FIXED, .rate = floods ? 0 : slow->rate},
        .trace = slow->field.trace,
    };
    /* A process that is followed can't be stopped by another one. */
    if (!floods) {
        job.victim = arm->param == CASE_STOPS && !job.trace ? PERF_VICTIM_STOPS : PERF_VICTIM_RUNS;
    }
    return perf_feed_measure(&job, run, reason);
}

static void cases_run(struct slow *slow)
{
    perf_field_add(&slow->field, ROLES, CASE_FLOOD, params, slow);
    perf_field_run(&slow->field, measure, slow);
    slow->rate = perf_field_rate_least(&slow->field, CASE_FLOOD) * slow->load;
    if (slow->rate > 0) {
        slow->rate = perf_rate_rounded(slow->rate);
        perf_field_add(&slow->field, ROLES, CASE_RUNS, params, slow);
        perf_field_add(&slow->field, ROLES, CASE_STOPS, params, slow);
        perf_field_run(&slow->field, measure, slow);
    }
}

int perf_slow_main(const struct perf_options *options)
{
    if (options->peer_cnt == 0 && options->out == NULL) {
        return perf_slow_own_main(options);
    }
    struct slow slow = {
        .subs = options->subs != 0 ? options->subs : PERF_SLOW_SUBS_DEFAULT,
        .load = options->load > 0 ? options->load : PERF_SLOW_LOAD_DEFAULT,
    };
    perf_field_begin(&slow.field, options, ROLES);
    perf_field_expect(&slow.field, 3);
    cases_run(&slow);
    return perf_field_end(&slow.field);
}
