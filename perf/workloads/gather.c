#include "perf/workloads/gather.h"

#include "perf/workloads/cost.h"
#include "perf/workloads/gather_run.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define BASE_TIMEOUT_S 40.0
#define HEAD_LEN       4096u

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static size_t hist_len(void)
{
    return (perf_hist_len() + 63) / 64 * 64;
}

/* The window has one message at least. */
static void plan(struct perf_gather_run *run)
{
    const struct perf_gather_job *job = run->job;
    if (job->rate > 0) {
        run->open = (uint64_t)(job->rate * job->warmup_s);
        run->close = (uint64_t)(job->rate * (job->warmup_s + job->seconds));
        run->close = run->close <= run->open ? run->open + 1 : run->close;
    }
}

static struct perf_gather_run *run_new(const struct perf_gather_job *job, size_t *len, char *reason)
{
    struct perf_gather_run planned = {.job = job};
    plan(&planned);
    *len = HEAD_LEN + GATHER_HIST_CNT * hist_len() + planned.close * sizeof(uint64_t);
    struct perf_gather_run *run =
        planned.close <= PERF_GATHER_MSGS_MAX ? perf_shared_new(*len) : NULL;
    if (run == NULL) {
        snprintf(reason, PERF_REASON_MAX,
                 "no room for the times of %llu messages: fewer seconds, or a lower rate",
                 (unsigned long long)planned.close);
        return NULL;
    }
    *run = planned;
    char *at = (char *)run + HEAD_LEN;
    for (unsigned i = 0; i < GATHER_HIST_CNT; i++, at += hist_len()) {
        run->hists[i] = perf_hist_at(at);
    }
    run->sent_ns = (void *)at;
    return run;
}

static void crew_make(struct perf_crew *crew, struct perf_gather_run *run)
{
    const struct perf_gather_job *job = run->job;
    if (job->how == PERF_GATHER_PUSH) {
        perf_crew_pair(crew, perf_gather_pull, perf_gather_push, run, PERF_SERVER);
    } else {
        perf_crew_pair(crew, perf_gather_serve, perf_gather_ask, run, PERF_CLIENT);
    }
    crew->place = job->place;
    crew->trace = job->trace;
    double timeout_s = BASE_TIMEOUT_S + job->warmup_s + job->seconds;
    crew->timeout_ns = (uint64_t)(timeout_s * (double)PERF_SECOND_NS);
}

static void rate_take(const struct perf_gather_run *run, struct perf_run *to)
{
    const struct perf_gather_job *job = run->job;
    double rate = (double)run->received / run->seconds;
    if (job->rate > 0) {
        uint64_t open_ns = perf_gather_due_ns(run, run->open);
        uint64_t last_ns = atomic_load(&run->last_sent_ns) - atomic_load(&run->begin_ns);
        double took_s = (double)(last_ns - open_ns) / 1e9;
        double share = took_s > run->seconds ? run->seconds / took_s : 1;
        rate *= share;
        to->metrics[PERF_METRIC_RATE_ASKED] = job->rate;
        to->metrics[PERF_METRIC_RATE_SHARE] = share;
        if (share < PERF_GATHER_SHARE_MIN) {
            perf_run_refuse(to, "%.0f messages per second were asked for and %.1f %% of that sent",
                            job->rate, share * 100);
        }
    }
    to->metrics[PERF_METRIC_RATE] = rate;
    to->metrics[PERF_METRIC_BYTES_RATE] = rate * (double)job->size / 1e6;
}

static void counts_take(const struct perf_gather_run *run, struct perf_run *to)
{
    to->metrics[PERF_METRIC_MSGS] = (double)run->received;
    to->metrics[PERF_METRIC_LOST] = (double)run->lost;
    to->metrics[PERF_METRIC_DOUBLED] = (double)run->old;
    to->metrics[PERF_METRIC_DAMAGED] = (double)run->damaged;
    to->metrics[PERF_METRIC_FAIRNESS] =
        run->most > 0 ? (double)run->least / (double)run->most : NAN;
    if (run->fault[0] != '\0') {
        perf_run_refuse(to, "%s", run->fault);
    }
}

static void hists_take(const struct perf_gather_run *run, struct perf_run *to)
{
    if (run->job->how == PERF_GATHER_ECHO) {
        to->main = PERF_HIST_SERVICE;
        perf_run_hist(to, PERF_HIST_SERVICE, run->hists[GATHER_SERVICE]);
    } else if (run->job->rate > 0) {
        to->main = PERF_HIST_ONE_WAY;
        perf_run_hist(to, PERF_HIST_ONE_WAY, run->hists[GATHER_ONE_WAY]);
        perf_run_hist(to, PERF_HIST_RESPONSE, run->hists[GATHER_RESPONSE]);
        perf_run_hist(to, PERF_HIST_LAG, run->hists[GATHER_LAG]);
    }
}

static void usage_take(const struct perf_gather_run *run, const struct perf_usage *usage,
                       struct perf_run *to)
{
    struct perf_cost cost;
    perf_cost_init(&cost);
    for (unsigned i = 0; i < 2; i++) {
        perf_cost_take(&cost.sides[i], &usage[i], run->received);
        perf_cost_calls(&cost.sides[i], &usage[i], run->received);
    }
    perf_cost_run(&cost, to);
}

bool perf_gather_measure(const struct perf_gather_job *job, struct perf_run *to, char *reason)
{
    struct perf_usage usage[PERF_CREW_MAX];
    struct perf_crew crew;
    size_t len;
    struct perf_gather_run *run = run_new(job, &len, reason);
    if (run == NULL) {
        return false;
    }
    crew_make(&crew, run);
    to->start_s = now_s();
    bool ok = perf_crew_run(&crew, usage, reason);
    if (ok) {
        to->seconds = run->seconds;
        counts_take(run, to);
        hists_take(run, to);
        usage_take(run, usage, to);
        if (run->seconds > 0) {
            rate_take(run, to);
        }
    }
    perf_shared_end(run, len);
    return ok;
}
