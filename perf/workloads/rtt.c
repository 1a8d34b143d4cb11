#include "perf/workloads/rtt.h"

#include "perf/options.h"
#include "perf/output/report.h"
#include "perf/peers/peer.h"

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

/* What both children of a measurement start from. */
struct rtt_run {
    const struct perf_peer *peer;
    const struct perf_rtt_job *job;
    struct perf_rtt_result result;
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

static bool meter_open(struct perf_rtt_meter *meter, const struct perf_rtt_job *job)
{
    size_t counts_cnt = mcq_hdr_counts_cnt(PERF_RTT_VALUE_MAX_NS);
    uint64_t *counts = calloc(counts_cnt, sizeof *counts);
    if (counts == NULL) {
        return false;
    }
    meter->seq = 0;
    meter->warmup = perf_rtt_warmup(job);
    meter->trips = perf_rtt_trips(job);
    meter->size = job->size;
    meter->seq_len = job->size < sizeof meter->seq ? job->size : sizeof meter->seq;
    return mcq_hdr_init(&meter->hdr, counts, counts_cnt, PERF_RTT_VALUE_MAX_NS);
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

static bool client_run(struct perf_child *child, void *arg)
{
    struct rtt_run *run = arg;
    struct perf_rtt_meter meter;
    if (!meter_open(&meter, run->job)) {
        return perf_child_fail(child, "no memory for the histogram");
    }
    bool ok = run->peer->rtt_run(child, run->job, &meter);
    if (ok && meter.seq != meter.trips) {
        ok = perf_child_fail(child, "ended after %llu of %llu trips", (unsigned long long)meter.seq,
                             (unsigned long long)meter.trips);
    }
    result_take(&run->result, &meter.hdr);
    free(meter.hdr.counts);
    return ok;
}

static bool server_run(struct perf_child *child, void *arg)
{
    struct rtt_run *run = arg;
    return run->peer->rtt_serve(child, run->job);
}

/* Two sides that spin on one CPU wait for each other's time slices: milliseconds per trip. */
static bool rtt_possible(const struct perf_peer *peer, const struct perf_rtt_job *job, char *reason)
{
    struct perf_cpus cpus = {0};
    if (peer->missing != NULL) {
        snprintf(reason, PERF_REASON_MAX, "%s", peer->missing);
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

bool perf_rtt_measure(const struct perf_peer *peer, const struct perf_rtt_job *job,
                      enum perf_place place, struct perf_rtt_result *result, char *reason)
{
    if (!rtt_possible(peer, job, reason)) {
        return false;
    }
    struct rtt_run *run = perf_shared_new(sizeof *run);
    if (run == NULL) {
        snprintf(reason, PERF_REASON_MAX, "no memory for a result");
        return false;
    }
    *run = (struct rtt_run){.peer = peer, .job = job};
    struct perf_crew crew;
    struct perf_usage usage[PERF_CREW_MAX];
    perf_crew_pair(&crew, server_run, client_run, run, PERF_CLIENT);
    crew.place = place;
    crew.timeout_ns = BASE_TIMEOUT_NS + perf_rtt_trips(job) * TRIP_TIMEOUT_NS;
    bool ok = perf_crew_run(&crew, usage, reason);
    if (ok) {
        *result = run->result;
        result->place = place;
    }
    perf_shared_end(run, sizeof *run);
    return ok;
}

bool perf_rtt_measure_best(const struct perf_peer *peer, const struct perf_rtt_job *job,
                           struct perf_rtt_result *result, char *reason)
{
    if (!perf_rtt_measure(peer, job, PERF_PLACE_PINNED, result, reason)) {
        return false;
    }
    struct perf_rtt_result free_result;
    if (!peer->has_threads) {
        return true;
    }
    if (!perf_rtt_measure(peer, job, PERF_PLACE_FREE, &free_result, reason)) {
        return false;
    }
    if (free_result.us[PERF_RTT_P50] < result->us[PERF_RTT_P50]) {
        *result = free_result;
    }
    return true;
}

int perf_rtt_main(const struct perf_options *options)
{
    const struct perf_peer *peer = options->peer;
    struct perf_rtt_job job = {
        .size = options->size,
        .count = options->count,
        .transport = options->transport,
        .idle = perf_peer_idle(peer, options->idle),
    };
    struct perf_rtt_result result;
    char reason[PERF_REASON_MAX];
    if (job.count == 0) {
        job.count = job.idle == PERF_IDLE_SPIN ? PERF_RTT_COUNT_SPIN : PERF_RTT_COUNT_BLOCK;
    }
    if (!perf_rtt_measure_best(peer, &job, &result, reason)) {
        perf_report_missing("rtt", peer, reason, options->json);
        return PERF_EXIT_MISSING;
    }
    perf_report_rtt(peer, &job, &result, options->json);
    return PERF_EXIT_MEASURED;
}
