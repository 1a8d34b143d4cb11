#include "perf/workloads/scale.h"

#include "perf/workloads/field.h"
#include "perf/workloads/idlers.h"

#define ROLES (1u << PERF_ROLE_SERVER)

static const uint32_t idle_default[] = {10, 1000, 10000};
#define CASES       (sizeof idle_default / sizeof idle_default[0])
#define CASES_QUICK 2u

/* Under ptrace each logon is slow; what the active ones do is the same with fewer idle ones. */
#define TRACED_MAX 100u

static uint32_t active_of(const struct perf_options *options)
{
    return options->conns != 0 ? options->conns : PERF_SCALE_ACTIVE;
}

static double rate_of(const struct perf_options *options)
{
    return options->rate > 0 ? options->rate : PERF_SCALE_RATE;
}

static void params(void *ctx, uint64_t param, struct perf_result *r)
{
    const struct perf_field *field = ctx;
    perf_result_number(r, "idle_conns", (double)param);
    perf_result_number(r, "conns", active_of(field->options));
    perf_result_number(r, "rate", rate_of(field->options));
}

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct perf_field *field = ctx;
    const struct perf_options *options = field->options;
    struct perf_idlers_job job = {
        .peer = arm->peer,
        .wire = perf_wire_of(arm->peer, options->transport, NULL),
        .idle = arm->idle,
        .place = arm->place,
        .transport = options->transport,
        .handler = perf_options_handler(options),
        .size = options->size,
        .active = active_of(options),
        .idle_cnt = (uint32_t)arm->param,
        .rate = rate_of(options),
        .seconds = field->seconds,
        .warmup_s = field->warmup_s,
        .trace = field->trace,
    };
    if (job.trace && job.idle_cnt > TRACED_MAX) {
        job.idle_cnt = TRACED_MAX;
    }
    return perf_idlers_measure(&job, run, reason);
}

int perf_scale_main(const struct perf_options *options)
{
    struct perf_field field;
    const struct perf_list *list = &options->idle_conns;
    unsigned usual = options->quick ? CASES_QUICK : (unsigned)CASES;
    unsigned cnt = list->cnt > 0 ? list->cnt : usual;
    perf_field_begin(&field, options, ROLES);
    perf_field_expect(&field, cnt);
    for (unsigned i = 0; i < cnt; i++) {
        uint64_t idle = list->cnt > 0 ? (uint64_t)list->values[i] : idle_default[i];
        perf_field_add(&field, ROLES, idle, params, &field);
    }
    perf_field_run(&field, measure, &field);
    return perf_field_end(&field);
}
