#include "perf/workloads/connect.h"

#include "perf/workloads/field.h"
#include "perf/workloads/logon.h"

#define ROLES (1u << PERF_ROLE_SERVER)

static const uint32_t conns_default[] = {1, 64, 512};
#define CASES_MAX (sizeof conns_default / sizeof conns_default[0])

static void params(void *ctx, uint64_t param, struct perf_result *r)
{
    const struct perf_field *field = ctx;
    perf_result_number(r, "conns", (double)param);
    if (field->options->connect != NULL) {
        perf_result_text(r, "connect", field->options->connect);
    }
}

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct perf_field *field = ctx;
    const struct perf_options *options = field->options;
    struct perf_logon_job job = {
        .peer = arm->peer,
        .wire = perf_wire_of(arm->peer, options->transport, options->socket_type),
        .endpoint = options->connect,
        .idle = arm->idle,
        .place = arm->place,
        .transport = options->transport,
        .size = options->size,
        .conns = (uint32_t)arm->param,
        .count = options->count,
        .seconds = field->seconds,
        .warmup_s = field->warmup_s,
        .trace = field->trace,
    };
    return perf_logon_measure(&job, run, reason);
}

int perf_connect_main(const struct perf_options *options)
{
    struct perf_field field;
    unsigned cnt = options->conns != 0 ? 1 : CASES_MAX;
    perf_field_begin(&field, options, ROLES);
    perf_field_expect(&field, cnt);
    for (unsigned i = 0; i < cnt; i++) {
        uint32_t conns = options->conns != 0 ? options->conns : conns_default[i];
        perf_field_add(&field, ROLES, conns, params, &field);
    }
    perf_field_run(&field, measure, &field);
    return perf_field_end(&field);
}
