#include "perf/workloads/open.h"

#include "perf/run/clock.h"
#include "perf/workloads/cost.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BASE_TIMEOUT_NS (30 * PERF_SECOND_NS)
#define P50_PPM         500000u
#define P99_PPM         990000u

#define TRACED_WARMUP_NS (100 * PERF_MS_NS)
#define TRACED_WINDOW_NS (400 * PERF_MS_NS)

struct perf_open_job perf_open_job_make(const struct perf_options *options)
{
    return (struct perf_open_job){
        .size = options->size,
        .conns = options->conns != 0 ? options->conns : 1,
        .transport = options->transport,
        .endpoint = options->connect,
        .socket_type = options->socket_type,
        .handler = perf_options_handler(options),
        .generator =
            {
                .drain_ns = PERF_DRAIN_NS + options->stall_ms * PERF_MS_NS,
                /* A REQ asks once at a time. */
                .flights_max =
                    options->socket_type != NULL && strcmp(options->socket_type, "req") == 0
                        ? 1
                        : PERF_FLIGHTS_MAX,
            },
    };
}

/* --- memory ------------------------------------------------------------------------------------
 */

static size_t counts_len(void)
{
    return mcq_hdr_counts_cnt(PERF_HIST_MAX_NS) * sizeof(uint64_t);
}

static size_t head_len(void)
{
    return (sizeof(struct perf_open) + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);
}

static size_t open_len(const struct perf_open_job *job)
{
    size_t interval_len = sizeof(struct mcq_hdr) + counts_len();
    return head_len() + 3 * perf_hist_len() + job->interval_cnt * interval_len;
}

/* Not by mcq_hdr_init, which would touch all of their pages, and most stay empty. */
static void intervals_lay(struct perf_tally *tally, const struct perf_open_job *job, char *at)
{
    tally->intervals = (struct mcq_hdr *)(void *)at;
    tally->interval_cnt = job->interval_cnt;
    tally->interval_ns = job->interval_ns;
    char *counts = at + job->interval_cnt * sizeof(struct mcq_hdr);
    for (uint32_t i = 0; i < job->interval_cnt; i++, counts += counts_len()) {
        tally->intervals[i] = (struct mcq_hdr){
            .counts = (uint64_t *)(void *)counts, .value_max = PERF_HIST_MAX_NS, .min = UINT64_MAX};
    }
}

struct perf_open *perf_open_new(const struct perf_open_job *job, const struct perf_arm *arm,
                                char *reason)
{
    char *at = perf_shared_new(open_len(job));
    if (at == NULL) {
        snprintf(reason, PERF_REASON_MAX, "no memory for the histograms");
        return NULL;
    }
    struct perf_open *open = (struct perf_open *)(void *)at;
    open->job = job;
    open->arm = arm;
    atomic_store(&open->buffers, UINT64_MAX);
    at += head_len();
    open->tally.response = perf_hist_at(at);
    open->tally.service = perf_hist_at(at + perf_hist_len());
    open->tally.lag = perf_hist_at(at + 2 * perf_hist_len());
    if (job->interval_cnt > 0) {
        intervals_lay(&open->tally, job, at + 3 * perf_hist_len());
    }
    return open;
}

void perf_open_end(struct perf_open *open)
{
    if (open != NULL) {
        perf_shared_end(open, open_len(open->job));
    }
}

/* --- the crew ----------------------------------------------------------------------------------
 */

static struct perf_node_spec node_spec(const struct perf_open *open, enum perf_role role)
{
    const struct perf_open_job *job = open->job;
    return (struct perf_node_spec){
        .role = role,
        .binds = role == PERF_ROLE_SERVER,
        .transport = job->transport,
        .size = job->size,
        .conns = job->conns,
        .spin = open->arm->idle == PERF_IDLE_SPIN,
        .socket_type = job->socket_type,
    };
}

static bool server_run(struct perf_child *child, void *arg)
{
    struct perf_open *open = arg;
    struct perf_node_spec spec = node_spec(open, PERF_ROLE_SERVER);
    struct perf_handler handler = open->job->handler;
    handler.buffers = &open->buffers;
    atomic_store(&open->pids[PERF_SERVER], getpid());
    return perf_node_echo(child, open->arm->peer->node, &spec, &handler);
}

static bool client_run(struct perf_child *child, void *arg)
{
    struct perf_open *open = arg;
    const struct perf_open_job *job = open->job;
    struct perf_node_spec spec = node_spec(open, PERF_ROLE_CLIENT);
    char endpoint[PERF_ENDPOINT_MAX];
    if (job->endpoint == NULL && !perf_child_take_endpoint(child, PERF_SERVER, endpoint)) {
        return false;
    }
    spec.endpoint = job->endpoint != NULL ? job->endpoint : endpoint;
    atomic_store(&open->pids[PERF_CLIENT], getpid());
    return perf_generator_run(child, open->arm->peer->node, &spec, &job->generator, &open->tally);
}

static void on_tick(void *ctx)
{
    const struct perf_open *open = ctx;
    open->job->tick(open->job->tick_ctx, open);
}

static void crew_make(struct perf_crew *crew, struct perf_open *open)
{
    const struct perf_open_job *job = open->job;
    const struct perf_generator_spec *spec = &job->generator;
    perf_crew_pair(crew, server_run, client_run, open, PERF_CLIENT);
    if (job->endpoint != NULL) {
        crew->posts[0] = crew->posts[PERF_CLIENT];
        crew->cnt = 1;
        crew->measures = 0;
    }
    crew->place = open->arm->place;
    crew->trace = job->trace;
    crew->timeout_ns = BASE_TIMEOUT_NS + spec->warmup_ns + spec->window_ns + spec->drain_ns;
    if (job->tick != NULL) {
        crew->tick = on_tick;
        crew->tick_ctx = open;
    }
}

/* --- what came out -----------------------------------------------------------------------------
 */

uint64_t perf_open_lag_max(enum perf_idle idle, uint64_t service_p50_ns)
{
    if (idle == PERF_IDLE_SPIN) {
        uint64_t half_ns = service_p50_ns / 2;
        return half_ns > PERF_LAG_SPIN_NS ? half_ns : PERF_LAG_SPIN_NS;
    }
    return service_p50_ns > PERF_LAG_BLOCK_NS ? service_p50_ns : PERF_LAG_BLOCK_NS;
}

/* Of what was due in the window, per second: until the last of it was there. */
static double pace_of(const struct perf_generator_spec *spec, uint64_t cnt, uint64_t last_ns)
{
    uint64_t end_ns = spec->warmup_ns + spec->window_ns;
    uint64_t took_ns = (last_ns > end_ns ? last_ns : end_ns) - spec->warmup_ns;
    return (double)cnt * 1e9 / (double)took_ns;
}

static double share_of(const struct perf_tally *tally, const struct perf_generator_spec *spec)
{
    double asked = pace_of(spec, tally->asked_cnt, 0);
    return asked > 0 ? pace_of(spec, tally->sent_cnt, tally->last_sent_ns) / asked : 0;
}

static void numbers_judge(const struct perf_tally *tally, struct perf_run *run)
{
    if (tally->damaged_cnt > 0 || tally->old_cnt > 0 || tally->lost_cnt > 0) {
        perf_run_refuse(run,
                        "of %llu messages %llu were lost, %llu doubled or out of order, %llu "
                        "damaged",
                        (unsigned long long)tally->all_cnt, (unsigned long long)tally->lost_cnt,
                        (unsigned long long)tally->old_cnt, (unsigned long long)tally->damaged_cnt);
    }
}

static void pace_judge(const struct perf_tally *tally, const struct perf_generator_spec *spec,
                       struct perf_run *run)
{
    uint64_t end_ns = spec->warmup_ns + spec->window_ns;
    uint64_t behind_ns = tally->last_answer_ns > end_ns ? tally->last_answer_ns - end_ns : 0;
    double share = share_of(tally, spec);
    if (share < PERF_SHARE_MIN) {
        perf_run_refuse(run,
                        "%.2f %% of the rate asked was achieved, and %.1f %% is the least: %llu "
                        "messages found no room when they were due",
                        share * 100, PERF_SHARE_MIN * 100, (unsigned long long)tally->late_cnt);
    }
    if ((double)behind_ns > PERF_BEHIND_MAX * (double)end_ns) {
        perf_run_refuse(run, "the server fell behind: its answers went on for %.2f s",
                        (double)behind_ns / 1e9);
    }
}

void perf_open_judge(const struct perf_tally *tally, const struct perf_generator_spec *spec,
                     enum perf_idle idle, struct perf_run *run)
{
    uint64_t lag_ns = mcq_hdr_percentile(tally->lag, P99_PPM);
    uint64_t max_ns = perf_open_lag_max(idle, mcq_hdr_percentile(tally->service, P50_PPM));
    numbers_judge(tally, run);
    if (tally->asked_cnt == 0) {
        perf_run_refuse(run, "no message was due in the window: it wants a higher rate or more "
                             "seconds");
    }
    if (!spec->saturate && lag_ns > max_ns) {
        perf_run_refuse(run,
                        "the generator didn't keep up: its lag has a p99 of %.1f us, and %.1f "
                        "us is the most",
                        (double)lag_ns / 1e3, (double)max_ns / 1e3);
    }
    pace_judge(tally, spec, run);
}

static void metrics_take(const struct perf_open *open, struct perf_run *run)
{
    const struct perf_tally *tally = &open->tally;
    const struct perf_generator_spec *spec = &open->job->generator;
    double rate = pace_of(spec, tally->answered_cnt, tally->last_answer_ns);
    run->metrics[PERF_METRIC_RATE] = rate;
    run->metrics[PERF_METRIC_BYTES_RATE] = rate * (double)open->job->size / 1e6;
    run->metrics[PERF_METRIC_RATE_ASKED] = pace_of(spec, tally->asked_cnt, 0);
    run->metrics[PERF_METRIC_RATE_SHARE] = share_of(tally, spec);
    run->metrics[PERF_METRIC_MSGS] = (double)tally->answered_cnt;
    run->metrics[PERF_METRIC_LATE] = (double)tally->late_cnt;
    run->metrics[PERF_METRIC_LOST] = (double)tally->lost_cnt;
    run->metrics[PERF_METRIC_DOUBLED] = (double)tally->old_cnt;
    run->metrics[PERF_METRIC_DAMAGED] = (double)tally->damaged_cnt;
}

/* The crew's window is the whole run, so what a message cost is of all messages. */
static void cost_take(const struct perf_open *open, const struct perf_usage *usage,
                      struct perf_run *run)
{
    bool ours = open->job->endpoint == NULL;
    const struct perf_usage *client = &usage[ours ? PERF_CLIENT : 0];
    uint64_t cnt = open->tally.all_cnt;
    struct perf_cost cost;
    perf_cost_init(&cost);
    perf_cost_take(&cost.sides[PERF_CLIENT], client, cnt);
    perf_cost_calls(&cost.sides[PERF_CLIENT], client, cnt);
    if (ours) {
        perf_cost_take(&cost.sides[PERF_SERVER], &usage[PERF_SERVER], cnt);
        perf_cost_calls(&cost.sides[PERF_SERVER], &usage[PERF_SERVER], cnt);
    }
    perf_cost_run(&cost, run);
}

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

bool perf_open_measure(struct perf_open *open, struct perf_run *run, char *reason)
{
    struct perf_usage usage[PERF_CREW_MAX];
    struct perf_crew crew;
    crew_make(&crew, open);
    run->start_s = now_s();
    if (!perf_crew_run(&crew, usage, reason)) {
        return false;
    }
    run->seconds = (double)open->job->generator.window_ns / 1e9;
    run->main = PERF_HIST_RESPONSE;
    metrics_take(open, run);
    cost_take(open, usage, run);
    perf_run_hist(run, PERF_HIST_RESPONSE, open->tally.response);
    perf_run_hist(run, PERF_HIST_SERVICE, open->tally.service);
    perf_run_hist(run, PERF_HIST_LAG, open->tally.lag);
    perf_open_judge(&open->tally, &open->job->generator, open->arm->idle, run);
    return true;
}

bool perf_open_run(const struct perf_open_job *job, const struct perf_arm *arm,
                   struct perf_run *run, char *reason)
{
    struct perf_open *open = perf_open_new(job, arm, reason);
    bool ok = open != NULL && perf_open_measure(open, run, reason);
    perf_open_end(open);
    return ok;
}

double perf_open_traced_rate(const struct perf_open_job *job)
{
    const struct perf_schedule_spec *spec = &job->generator.schedule;
    bool slower = spec->pace != PERF_PACE_TRACE && spec->rate < PERF_TRACED_RATE;
    return slower ? spec->rate : PERF_TRACED_RATE;
}

void perf_open_trace(const struct perf_open_job *job, struct perf_arm *arm)
{
    struct perf_open_job traced = *job;
    struct perf_result *seen = perf_result_new("traced", "");
    struct perf_run *run = perf_run_add(seen);
    char reason[PERF_REASON_MAX];
    traced.trace = true;
    traced.interval_cnt = 0;
    traced.tick = NULL;
    traced.generator.schedule = (struct perf_schedule_spec){.rate = perf_open_traced_rate(job)};
    traced.generator.warmup_ns = TRACED_WARMUP_NS;
    traced.generator.window_ns = TRACED_WINDOW_NS;
    if (arm->reason[0] == '\0' && perf_open_run(&traced, arm, run, reason)) {
        for (unsigned i = 0; i < arm->result->run_cnt; i++) {
            double *metrics = arm->result->runs[i].metrics;
            metrics[PERF_METRIC_SERVER_CALLS] = run->metrics[PERF_METRIC_SERVER_CALLS];
            metrics[PERF_METRIC_CLIENT_CALLS] = run->metrics[PERF_METRIC_CLIENT_CALLS];
        }
    }
    perf_result_end(seen);
}
