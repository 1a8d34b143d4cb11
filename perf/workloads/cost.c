#include "perf/workloads/cost.h"

#include <math.h>

void perf_cost_init(struct perf_cost *cost)
{
    for (unsigned i = 0; i < 2; i++) {
        cost->sides[i] =
            (struct perf_side_cost){(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    }
}

static double known(uint64_t value)
{
    return value == PERF_USAGE_NONE ? (double)NAN : (double)value;
}

void perf_cost_take(struct perf_side_cost *side, const struct perf_usage *usage, uint64_t msgs)
{
    double cpu_ns = known(usage->cpu_ns);
    side->cpu_s = cpu_ns / 1e9;
    side->cpu_ns_per_msg = msgs > 0 ? cpu_ns / (double)msgs : (double)NAN;
    side->switches_forced = known(usage->switches_forced);
}

void perf_cost_calls(struct perf_side_cost *side, const struct perf_usage *usage, uint64_t msgs)
{
    side->calls_per_msg = msgs > 0 ? known(usage->syscalls) / (double)msgs : (double)NAN;
}

void perf_cost_run(const struct perf_cost *cost, struct perf_run *run)
{
    const struct perf_side_cost *server = &cost->sides[PERF_SERVER];
    const struct perf_side_cost *client = &cost->sides[PERF_CLIENT];
    run->metrics[PERF_METRIC_SERVER_CPU] = server->cpu_s;
    run->metrics[PERF_METRIC_CLIENT_CPU] = client->cpu_s;
    run->metrics[PERF_METRIC_SERVER_CPU_MSG] = server->cpu_ns_per_msg;
    run->metrics[PERF_METRIC_CLIENT_CPU_MSG] = client->cpu_ns_per_msg;
    run->metrics[PERF_METRIC_SERVER_CALLS] = server->calls_per_msg;
    run->metrics[PERF_METRIC_CLIENT_CALLS] = client->calls_per_msg;
    run->metrics[PERF_METRIC_SERVER_SWITCHES] = server->switches_forced;
    run->metrics[PERF_METRIC_CLIENT_SWITCHES] = client->switches_forced;
}
