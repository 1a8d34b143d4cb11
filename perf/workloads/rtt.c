#include "perf/workloads/rtt.h"

#include "perf/options.h"
#include "perf/output/report.h"
#include "perf/peers/peer.h"
#include "perf/workloads/closed.h"
#include "perf/workloads/rtt_node.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WARMUP_MIN 1000u

/* What a run may take besides its trips, and the slowest average trip that is waited for. */
#define BASE_TIMEOUT_NS (10 * PERF_SECOND_NS)
#define TRIP_TIMEOUT_NS UINT64_C(500000)

/* The percentiles in the order of enum perf_rtt_point; the maximum is not one of them. */
static const uint32_t point_ppm[PERF_RTT_MAX] = {500000, 900000, 990000, 999000, 999900};

static const char *const point_names[PERF_RTT_POINT_CNT] = {
    "p50_us", "p90_us", "p99_us", "p999_us", "p9999_us", "max_us",
};

/* Of a traced run, which is slow. */
#define TRACED_COUNT 500u

/* What both children of a measurement start from, and what the client leaves. */
struct rtt_run {
    const struct perf_peer *peer;
    const struct perf_rtt_job *job;
    struct mcq_hdr *hist; /* shared, too */
};

const char *perf_rtt_point_name(enum perf_rtt_point point)
{
    return point_names[point];
}

const char *perf_idle_name(enum perf_idle idle)
{
    return idle == PERF_IDLE_SPIN ? "spin" : "block";
}

uint64_t perf_rtt_warmup(const struct perf_rtt_job *job)
{
    uint64_t tenth = job->count / 10;
    return tenth > WARMUP_MIN ? tenth : WARMUP_MIN;
}

uint64_t perf_rtt_trips(const struct perf_rtt_job *job)
{
    return perf_rtt_warmup(job) + job->count;
}

static bool meter_open(struct perf_rtt_meter *meter, struct perf_child *child,
                       const struct perf_rtt_job *job)
{
    size_t counts_cnt = mcq_hdr_counts_cnt(PERF_HIST_MAX_NS);
    uint64_t *counts = calloc(counts_cnt, sizeof *counts);
    if (counts == NULL) {
        return perf_child_fail(child, "no memory for the histogram");
    }
    *meter = (struct perf_rtt_meter){
        .warmup = perf_rtt_warmup(job),
        .trips = perf_rtt_trips(job),
        .mark = perf_rtt_warmup(job),
        .size = job->size,
        .child = child,
    };
    return mcq_hdr_init(&meter->hdr, counts, counts_cnt, PERF_HIST_MAX_NS);
}

void *perf_rtt_body(struct perf_child *child, struct perf_rtt_meter *meter)
{
    void *body = perf_child_alloc(child, meter->size);
    if (body != NULL) {
        perf_stamper_init(&meter->stamper, body, meter->size);
    }
    return body;
}

bool perf_rtt_marked(struct perf_rtt_meter *meter)
{
    if (meter->seq == meter->trips) {
        perf_crew_end(meter->child);
        return false;
    }
    meter->mark = meter->trips;
    mcq_hdr_reset(&meter->hdr);
    perf_crew_begin(meter->child);
    perf_rtt_start(meter);
    return true;
}

static void result_take(struct perf_rtt_result *result, const struct mcq_hdr *hdr)
{
    uint64_t cnt = mcq_hdr_cnt(hdr);
    result->count = cnt;
    for (size_t i = 0; i < PERF_RTT_MAX; i++) {
        bool told = cnt - mcq_hdr_rank(cnt, point_ppm[i]) >= PERF_RTT_ABOVE_MIN;
        result->us[i] = told ? (double)mcq_hdr_percentile(hdr, point_ppm[i]) / 1000.0 : (double)NAN;
    }
    result->us[PERF_RTT_MAX] = (double)hdr->max / 1000.0;
}

/* A server that isn't ours, or that has a handler to play, is the business of nodes. */
static bool by_nodes(const struct perf_peer *peer, const struct perf_rtt_job *job)
{
    return peer->rtt_run == NULL || job->endpoint != NULL || job->handler.delay_ns > 0 ||
           job->handler.stall_ns > 0;
}

static bool client_run(struct perf_child *child, void *arg)
{
    struct rtt_run *run = arg;
    struct perf_rtt_meter meter;
    if (!meter_open(&meter, child, run->job)) {
        return false;
    }
    bool ok = by_nodes(run->peer, run->job) ? perf_rtt_node_run(child, run->peer, run->job, &meter)
                                            : run->peer->rtt_run(child, run->job, &meter);
    if (ok && meter.seq != meter.trips) {
        ok = perf_child_fail(child, "ended after %llu of %llu trips", (unsigned long long)meter.seq,
                             (unsigned long long)meter.trips);
    }
    ok = ok && mcq_hdr_merge(run->hist, &meter.hdr);
    free(meter.hdr.counts);
    return ok;
}

static bool server_run(struct perf_child *child, void *arg)
{
    struct rtt_run *run = arg;
    return by_nodes(run->peer, run->job) ? perf_rtt_node_serve(child, run->peer, run->job)
                                         : run->peer->rtt_serve(child, run->job);
}

/* Two sides that spin on one CPU wait for each other's time slices: milliseconds per trip. */
bool perf_rtt_can(const struct perf_peer *peer, const struct perf_rtt_job *job, char *reason)
{
    struct perf_cpus cpus = {0};
    if (peer->missing != NULL) {
        snprintf(reason, PERF_REASON_MAX, "%s", peer->missing);
        return false;
    }
    if ((peer->transports & 1u << job->transport) == 0) {
        snprintf(reason, PERF_REASON_MAX, "%s has no %s", peer->name,
                 perf_transport_name(job->transport));
        return false;
    }
    if (by_nodes(peer, job) && !(perf_peer_has_role(peer, PERF_ROLE_CLIENT) &&
                                 perf_peer_has_role(peer, PERF_ROLE_SERVER))) {
        snprintf(reason, PERF_REASON_MAX, "%s isn't made for that", peer->name);
        return false;
    }
    if (job->idle == PERF_IDLE_SPIN && perf_cpus_find(&cpus) && cpus.allowed_cnt < 2) {
        snprintf(reason, PERF_REASON_MAX,
                 "spinning needs two CPUs and one is allowed: use "
                 "--idle block, or allow more (taskset, cpuset)");
        return false;
    }
    return true;
}

static void crew_make(struct perf_crew *crew, struct rtt_run *run, enum perf_place place)
{
    perf_crew_pair(crew, server_run, client_run, run, PERF_CLIENT);
    if (run->job->endpoint != NULL) {
        crew->posts[0] = crew->posts[PERF_CLIENT];
        crew->cnt = 1;
        crew->measures = 0;
    }
    crew->place = place;
    crew->trace = run->job->trace;
    uint64_t per_trip_ns = TRIP_TIMEOUT_NS + run->job->handler.delay_ns;
    crew->timeout_ns = BASE_TIMEOUT_NS + perf_rtt_trips(run->job) * per_trip_ns;
}

static void cost_take(struct perf_cost *cost, const struct perf_rtt_job *job,
                      const struct perf_usage *usage, uint64_t count)
{
    const struct perf_usage *client = &usage[job->endpoint != NULL ? 0 : PERF_CLIENT];
    perf_cost_init(cost);
    perf_cost_take(&cost->sides[PERF_CLIENT], client, count);
    perf_cost_calls(&cost->sides[PERF_CLIENT], client, count);
    if (job->endpoint == NULL) {
        perf_cost_take(&cost->sides[PERF_SERVER], &usage[PERF_SERVER], count);
        perf_cost_calls(&cost->sides[PERF_SERVER], &usage[PERF_SERVER], count);
    }
}

bool perf_rtt_measure(const struct perf_peer *peer, const struct perf_rtt_job *job,
                      enum perf_place place, struct perf_rtt_result *result, struct mcq_hdr *hist,
                      char *reason)
{
    struct perf_usage usage[PERF_CREW_MAX];
    struct perf_crew crew;
    struct rtt_run run = {.peer = peer, .job = job};
    if (!perf_rtt_can(peer, job, reason)) {
        return false;
    }
    void *shared = perf_shared_new(perf_hist_len());
    if (shared == NULL) {
        snprintf(reason, PERF_REASON_MAX, "no memory for the histogram");
        return false;
    }
    run.hist = perf_hist_at(shared);
    crew_make(&crew, &run, place);
    bool ok = perf_crew_run(&crew, usage, reason);
    if (ok) {
        result_take(result, run.hist);
        result->place = place;
        result->seconds = (double)usage[crew.measures].wall_ns / (double)PERF_SECOND_NS;
        cost_take(&result->cost, job, usage, result->count);
        ok = hist == NULL || mcq_hdr_merge(hist, run.hist);
    }
    perf_shared_end(shared, perf_hist_len());
    return ok;
}

void perf_rtt_trace(const struct perf_peer *peer, const struct perf_rtt_job *job,
                    struct perf_rtt_result *result)
{
    struct perf_rtt_job traced = *job;
    struct perf_rtt_result seen;
    char reason[PERF_REASON_MAX];
    traced.trace = true;
    traced.count = TRACED_COUNT;
    if (!perf_rtt_measure(peer, &traced, result->place, &seen, NULL, reason)) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        result->cost.sides[i].calls_per_msg = seen.cost.sides[i].calls_per_msg;
    }
}

bool perf_rtt_measure_best(const struct perf_peer *peer, const struct perf_rtt_job *job,
                           struct perf_rtt_result *result, struct mcq_hdr *hist, char *reason)
{
    struct mcq_hdr *hists[2] = {perf_hist_new(), perf_hist_new()};
    struct perf_rtt_result results[2];
    unsigned best = 0;
    bool ok = perf_rtt_measure(peer, job, PERF_PLACE_PINNED, &results[0], hists[0], reason);
    if (ok && peer->has_threads) {
        ok = perf_rtt_measure(peer, job, PERF_PLACE_FREE, &results[1], hists[1], reason);
        best = ok && results[1].us[PERF_RTT_P50] < results[0].us[PERF_RTT_P50] ? 1 : 0;
    }
    if (ok) {
        *result = results[best];
        ok = hist == NULL || mcq_hdr_merge(hist, hists[best]);
    }
    perf_hist_end(hists[0]);
    perf_hist_end(hists[1]);
    return ok;
}

struct perf_rtt_job perf_rtt_job_of(const struct perf_options *options,
                                    const struct perf_peer *peer, enum perf_idle idle)
{
    struct perf_rtt_job job = {
        .size = options->size,
        .count = options->count,
        .idle = perf_peer_idle(peer, idle),
        .transport = options->transport,
        .endpoint = options->connect,
        .socket_type = options->socket_type,
        .handler = perf_options_handler(options),
    };
    if (job.count == 0) {
        job.count = job.idle == PERF_IDLE_SPIN ? PERF_RTT_COUNT_SPIN : PERF_RTT_COUNT_BLOCK;
    }
    return job;
}

int perf_rtt_main(const struct perf_options *options)
{
    if (perf_closed_several(options)) {
        return perf_closed_main(options);
    }
    const struct perf_peer *peer = options->peer != NULL ? options->peer : &perf_peer_mcq;
    struct perf_rtt_job job = perf_rtt_job_of(options, peer, options->idle);
    struct perf_rtt_result result;
    char reason[PERF_REASON_MAX];
    struct mcq_hdr *hist = perf_hist_new();
    bool ok = perf_rtt_measure_best(peer, &job, &result, hist, reason);
    if (!ok) {
        perf_report_missing("rtt", peer, reason, options->json);
    } else {
        if (!options->no_trace) {
            perf_rtt_trace(peer, &job, &result);
        }
        perf_report_rtt(peer, &job, &result, options->json);
        ok = perf_closed_save_rtt(options, peer, &job, &result, hist);
    }
    perf_hist_end(hist);
    return ok ? PERF_EXIT_MEASURED : PERF_EXIT_MISSING;
}
