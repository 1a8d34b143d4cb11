#include "perf/workloads/fanout.h"

#include "perf/workloads/feed.h"
#include "perf/workloads/field.h"

#define ROLES (1u << PERF_ROLE_PUB | 1u << PERF_ROLE_SUB)

static const uint32_t subs_default[] = {1, 8, 100};
#define CASES_MAX (sizeof subs_default / sizeof subs_default[0])

/* Of an arm: how many subscribers, and which of the cases. */
#define PARAM_FLOOD (UINT64_C(1) << 32)

struct fanout {
    struct perf_field field;
    uint32_t subs[CASES_MAX];
    double rates[CASES_MAX]; /* 0: none could be found */
    unsigned cnt;
};

static double rate_of(const struct fanout *f, uint64_t param)
{
    for (unsigned i = 0; i < f->cnt; i++) {
        if (f->subs[i] == param) {
            return f->rates[i];
        }
    }
    return 0;
}

static struct perf_schedule_spec schedule_of(const struct perf_options *options, double rate)
{
    return (struct perf_schedule_spec){
        .pace = options->pace,
        .rate = rate,
        .burst = options->burst != 0 ? options->burst : 1,
        .seed = options->seed,
    };
}

static void params(void *ctx, uint64_t param, struct perf_result *r)
{
    const struct fanout *f = ctx;
    perf_result_number(r, "subs", (double)(param & UINT32_MAX));
    if ((param & PARAM_FLOOD) != 0) {
        perf_result_text(r, "pace", "flood");
        return;
    }
    perf_result_text(r, "pace", perf_pace_name(f->field.options->pace));
    perf_result_number(r, "rate", rate_of(f, param));
}

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct fanout *f = ctx;
    const struct perf_options *options = f->field.options;
    bool floods = (arm->param & PARAM_FLOOD) != 0;
    struct perf_feed_job job = {
        .peer = arm->peer,
        .idle = arm->idle,
        .place = arm->place,
        .transport = options->transport,
        .subs = (uint32_t)(arm->param & UINT32_MAX),
        .size = options->size,
        .seconds = f->field.seconds,
        .warmup_s = f->field.warmup_s,
        .schedule = schedule_of(options, floods ? 0 : rate_of(f, arm->param)),
        .trace = f->field.trace,
    };
    return perf_feed_measure(&job, run, reason);
}

static void cases_make(struct fanout *f)
{
    const struct perf_options *options = f->field.options;
    if (options->subs != 0) {
        f->subs[f->cnt++] = options->subs;
        return;
    }
    for (unsigned i = 0; i < CASES_MAX; i++) {
        f->subs[f->cnt++] = subs_default[i];
    }
}

static void flood(struct fanout *f)
{
    for (unsigned i = 0; i < f->cnt; i++) {
        perf_field_add(&f->field, ROLES, f->subs[i] | PARAM_FLOOD, params, f);
    }
    perf_field_run(&f->field, measure, f);
}

/* What nobody could be flooded with has no share. */
static void by_rate(struct fanout *f)
{
    const struct perf_options *options = f->field.options;
    double load = options->load > 0 ? options->load : PERF_FANOUT_LOAD;
    for (unsigned i = 0; i < f->cnt; i++) {
        double most = perf_field_rate_least(&f->field, f->subs[i] | PARAM_FLOOD);
        f->rates[i] = options->rate > 0 ? options->rate
                      : most > 0        ? perf_rate_rounded(most * load)
                                        : 0;
        if (f->rates[i] > 0) {
            perf_field_add(&f->field, ROLES, f->subs[i], params, f);
        }
    }
    perf_field_run(&f->field, measure, f);
}

int perf_fanout_main(const struct perf_options *options)
{
    struct fanout f = {.cnt = 0};
    perf_field_begin(&f.field, options, ROLES);
    cases_make(&f);
    perf_field_expect(&f.field, 2 * f.cnt);
    flood(&f);
    by_rate(&f);
    return perf_field_end(&f.field);
}
