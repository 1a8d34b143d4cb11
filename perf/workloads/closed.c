#include "perf/workloads/closed.h"

#include "perf/workloads/tell.h"

#include <time.h>

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct perf_result *perf_closed_new(enum perf_command workload, const char *arm, size_t size,
                                    enum perf_transport transport)
{
    struct perf_result *r = perf_result_new(perf_command_name(workload), arm);
    perf_result_number(r, "size", (double)size);
    perf_result_text(r, "transport", perf_transport_name(transport));
    return r;
}

void perf_closed_rtt_run(struct perf_result *r, const struct perf_rtt_result *result,
                         const struct mcq_hdr *hist)
{
    struct perf_run *run = perf_run_add(r);
    if (run == NULL) {
        return;
    }
    run->start_s = now_s() - result->seconds;
    run->seconds = result->seconds;
    run->main = PERF_HIST_RTT;
    run->metrics[PERF_METRIC_MSGS] = (double)result->count;
    perf_cost_run(&result->cost, run);
    perf_run_hist(run, PERF_HIST_RTT, hist);
}

void perf_closed_rate_run(struct perf_result *r, const struct perf_rate_result *result, size_t size)
{
    struct perf_run *run = perf_run_add(r);
    if (run == NULL) {
        return;
    }
    run->start_s = now_s() - result->seconds;
    run->seconds = result->seconds;
    run->metrics[PERF_METRIC_RATE] = perf_rate_msgs_per_s(result);
    run->metrics[PERF_METRIC_BYTES_RATE] = perf_rate_mb_per_s(result, size);
    run->metrics[PERF_METRIC_MSGS] = (double)result->msgs;
    perf_cost_run(&result->cost, run);
}

static bool save(const struct perf_options *options, struct perf_result *result)
{
    struct perf_artefact *a = perf_tell_begin(options);
    perf_artefact_add(a, result);
    bool ok = perf_artefact_save(a, options->out);
    perf_artefact_end(a);
    return ok;
}

bool perf_closed_save_rtt(const struct perf_options *options, const struct perf_peer *peer,
                          const struct perf_rtt_job *job, const struct perf_rtt_result *result,
                          const struct mcq_hdr *hist)
{
    if (options->out == NULL) {
        return true;
    }
    struct perf_result *r =
        perf_closed_new(PERF_COMMAND_RTT, peer->name, job->size, job->transport);
    perf_result_text(r, "placement", perf_place_name(result->place));
    perf_result_text(r, "idle", perf_idle_name(job->idle));
    perf_result_number(r, "count", (double)job->count);
    perf_closed_rtt_run(r, result, hist);
    return save(options, r);
}

bool perf_closed_save_rate(const struct perf_options *options, const struct perf_peer *peer,
                           const struct perf_rate_job *job, const struct perf_rate_result *result)
{
    if (options->out == NULL) {
        return true;
    }
    struct perf_result *r =
        perf_closed_new(PERF_COMMAND_THROUGHPUT, peer->name, job->size, job->transport);
    perf_result_text(r, "placement", perf_place_name(result->place));
    perf_closed_rate_run(r, result, job->size);
    return save(options, r);
}
