#include "perf/workloads/fanin.h"

#include "perf/workloads/field.h"
#include "perf/workloads/gather.h"

#include <stdio.h>

#define PUSHES (1u << PERF_ROLE_PUSH | 1u << PERF_ROLE_PULL)
#define ECHOES (1u << PERF_ROLE_CLIENT | 1u << PERF_ROLE_SERVER)

static const uint32_t conns_default[] = {8, 64};
#define CASES_MAX (sizeof conns_default / sizeof conns_default[0])

/* Of an arm, above the number of clients. */
#define PARAM_FLOOD (UINT64_C(1) << 32)
#define PARAM_ECHO  (UINT64_C(2) << 32)

struct fanin {
    struct perf_field field;
    uint32_t conns[CASES_MAX];
    double rates[CASES_MAX]; /* 0: none could be found */
    unsigned cnt;
};

static double rate_of(const struct fanin *f, uint64_t param)
{
    for (unsigned i = 0; i < f->cnt; i++) {
        if (f->conns[i] == param) {
            return f->rates[i];
        }
    }
    return 0;
}

static void params(void *ctx, uint64_t param, struct perf_result *r)
{
    const struct fanin *f = ctx;
    perf_result_number(r, "conns", (double)(param & UINT32_MAX));
    if ((param & PARAM_ECHO) != 0) {
        perf_result_text(r, "pattern", "echo");
        perf_result_number(r, "depth", PERF_FANIN_DEPTH);
    } else if ((param & PARAM_FLOOD) != 0) {
        perf_result_text(r, "pattern", "push");
        perf_result_text(r, "pace", "flood");
    } else {
        perf_result_text(r, "pattern", "push");
        perf_result_number(r, "rate", rate_of(f, param));
    }
}

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct fanin *f = ctx;
    const struct perf_options *options = f->field.options;
    struct perf_gather_job job = {
        .how = (arm->param & PARAM_ECHO) != 0 ? PERF_GATHER_ECHO : PERF_GATHER_PUSH,
        .peer = arm->peer,
        .idle = arm->idle,
        .place = arm->place,
        .transport = options->transport,
        .conns = (uint32_t)(arm->param & UINT32_MAX),
        .depth = PERF_FANIN_DEPTH,
        .size = options->size,
        .seconds = f->field.seconds,
        .warmup_s = f->field.warmup_s,
        .rate = rate_of(f, arm->param),
        .trace = f->field.trace,
    };
    return perf_gather_measure(&job, run, reason);
}

static void cases_make(struct fanin *f)
{
    const struct perf_options *options = f->field.options;
    if (options->conns != 0) {
        f->conns[f->cnt++] = options->conns;
        return;
    }
    for (unsigned i = 0; i < CASES_MAX; i++) {
        f->conns[f->cnt++] = conns_default[i];
    }
}

static void at_once(struct fanin *f)
{
    for (unsigned i = 0; i < f->cnt; i++) {
        perf_field_add(&f->field, PUSHES, f->conns[i] | PARAM_FLOOD, params, f);
        perf_field_add(&f->field, ECHOES, f->conns[i] | PARAM_ECHO, params, f);
    }
    perf_field_run(&f->field, measure, f);
}

static void by_rate(struct fanin *f)
{
    const struct perf_options *options = f->field.options;
    double load = options->load > 0 ? options->load : PERF_FANIN_LOAD;
    for (unsigned i = 0; i < f->cnt; i++) {
        double most = perf_field_rate_least(&f->field, f->conns[i] | PARAM_FLOOD);
        double rate = most > 0 ? perf_rate_rounded(most * load) : 0;
        f->rates[i] = options->rate > 0 ? options->rate : rate;
        if (f->rates[i] > 0) {
            perf_field_add(&f->field, PUSHES, f->conns[i], params, f);
        }
    }
    perf_field_run(&f->field, measure, f);
}

int perf_fanin_main(const struct perf_options *options)
{
    struct fanin f = {.cnt = 0};
    if (options->size < PERF_GATHER_SIZE_MIN) {
        fprintf(stderr, "mcq-perf: fanin: --size wants at least %u: a message says whose it is\n",
                PERF_GATHER_SIZE_MIN);
        return PERF_EXIT_USAGE;
    }
    perf_field_begin(&f.field, options, PUSHES | ECHOES);
    cases_make(&f);
    perf_field_expect(&f.field, 3 * f.cnt);
    at_once(&f);
    by_rate(&f);
    return perf_field_end(&f.field);
}
