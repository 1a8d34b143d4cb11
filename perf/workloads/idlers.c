#include "perf/workloads/idlers.h"

#include "perf/run/clock.h"
#include "perf/run/descriptors.h"
#include "perf/workloads/cost.h"
#include "perf/workloads/idlers_run.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BASE_TIMEOUT_S 40.0
#define HEAD_LEN       4096u
/* Of the server, besides the connections that come. */
#define CONNS_SPARE 16u

static bool serve(struct perf_child *child, void *arg)
{
    struct perf_idlers_run *run = arg;
    const struct perf_idlers_job *job = run->job;
    struct perf_handler handler = job->handler;
    struct perf_node_spec spec = {
        .role = PERF_ROLE_SERVER,
        .binds = true,
        .transport = job->transport,
        .size = job->size,
        .conns = job->active + job->idle_cnt + CONNS_SPARE,
        .spin = job->idle == PERF_IDLE_SPIN,
    };
    atomic_store(&run->server_pid, getpid());
    handler.buffers = &run->buffers;
    return perf_descriptors_need(child, spec.conns) &&
           perf_node_echo(child, job->peer->node, &spec, &handler);
}

static void memory_take(const struct perf_idlers_run *run, struct perf_run *to)
{
    const struct perf_footprint *a = &run->before, *b = &run->after;
    uint32_t cnt = run->job->idle_cnt;
    to->metrics[PERF_METRIC_CONN_BYTES] = perf_footprint_each(a->rss_bytes, b->rss_bytes, cnt);
    to->metrics[PERF_METRIC_CONN_PSS_BYTES] = perf_footprint_each(a->pss_bytes, b->pss_bytes, cnt);
    to->metrics[PERF_METRIC_CONN_BUFFERS] =
        perf_footprint_each(run->buffers_before, run->buffers_after, cnt);
    if (b->rss_bytes != PERF_FOOTPRINT_NONE) {
        to->metrics[PERF_METRIC_SERVER_RSS] = (double)b->rss_bytes;
        to->metrics[PERF_METRIC_CONN_SHARE] =
            perf_footprint_each(0, b->rss_bytes, cnt + run->job->active);
    }
    if (cnt >= PERF_IDLERS_KERNEL_MIN) {
        to->metrics[PERF_METRIC_CONN_KERNEL_BYTES] =
            perf_footprint_each(a->slab_bytes, b->slab_bytes, cnt) +
            perf_footprint_each(a->tcp_bytes, b->tcp_bytes, cnt);
    }
}

static void result_take(const struct perf_idlers_run *run, const struct perf_usage *usage,
                        struct perf_run *to)
{
    struct perf_cost cost;
    to->seconds = run->seconds;
    to->main = PERF_HIST_RESPONSE;
    to->metrics[PERF_METRIC_MSGS] = (double)run->answered;
    to->metrics[PERF_METRIC_RATE_ASKED] = run->job->rate;
    to->metrics[PERF_METRIC_LOST] = (double)run->lost;
    to->metrics[PERF_METRIC_DOUBLED] = (double)run->old;
    to->metrics[PERF_METRIC_DAMAGED] = (double)run->damaged;
    perf_run_hist(to, PERF_HIST_RESPONSE, run->hists[IDLERS_RESPONSE]);
    perf_run_hist(to, PERF_HIST_SERVICE, run->hists[IDLERS_SERVICE]);
    perf_run_hist(to, PERF_HIST_LAG, run->hists[IDLERS_LAG]);
    memory_take(run, to);
    perf_cost_init(&cost);
    for (unsigned i = 0; i < 2; i++) {
        perf_cost_take(&cost.sides[i], &usage[i], run->answered);
        perf_cost_calls(&cost.sides[i], &usage[i], run->answered);
    }
    perf_cost_run(&cost, to);
    if (run->fault[0] != '\0') {
        perf_run_refuse(to, "%s", run->fault);
    } else if (run->answered != run->asked) {
        perf_run_refuse(to, "%llu of %llu requests were answered",
                        (unsigned long long)run->answered, (unsigned long long)run->asked);
    }
}

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

bool perf_idlers_measure(const struct perf_idlers_job *job, struct perf_run *to, char *reason)
{
    struct perf_usage usage[PERF_CREW_MAX];
    struct perf_crew crew;
    size_t hist_len = (perf_hist_len() + 63) / 64 * 64;
    size_t len = HEAD_LEN + IDLERS_HIST_CNT * hist_len;
    struct perf_idlers_run *run = perf_shared_new(len);
    if (run == NULL) {
        snprintf(reason, PERF_REASON_MAX, "no memory for the histograms");
        return false;
    }
    run->job = job;
    atomic_store(&run->buffers, PERF_FOOTPRINT_NONE);
    for (unsigned i = 0; i < IDLERS_HIST_CNT; i++) {
        run->hists[i] = perf_hist_at((char *)run + HEAD_LEN + i * hist_len);
    }
    perf_crew_pair(&crew, serve, perf_idlers_hold, run, PERF_CLIENT);
    crew.place = job->place;
    crew.trace = job->trace;
    double timeout_s = BASE_TIMEOUT_S + job->warmup_s + job->seconds;
    crew.timeout_ns = (uint64_t)(timeout_s * (double)PERF_SECOND_NS);
    to->start_s = now_s();
    bool ok = perf_crew_run(&crew, usage, reason);
    if (ok) {
        result_take(run, usage, to);
    }
    perf_shared_end(run, len);
    return ok;
}
