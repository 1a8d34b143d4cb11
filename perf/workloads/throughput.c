#include "perf/workloads/throughput.h"

#include "perf/options.h"
#include "perf/output/report.h"
#include "perf/peers/peer.h"
#include "perf/run/clock.h"
#include "perf/workloads/closed.h"
#include "perf/workloads/throughput_node.h"

#include <stdio.h>

/* The clock is looked at once per this many bytes, within the limits below. */
#define LOOK_BYTES    ((size_t)1 << 20)
#define LOOK_MSGS_MIN 16u
#define LOOK_MSGS_MAX 4096u

#define WARMUP_SHARE  0.2
#define WARMUP_MIN_S  0.1
#define WARMUP_MAX_S  0.5
#define RUN_TIMEOUT_S 15.0

#define HWM_BYTES    ((size_t)8 * 1024 * 1024)
#define HWM_MSGS_MIN 16u
#define HWM_MSGS_MAX 10000u

/* Of a traced run. */
#define TRACED_SECONDS 0.05

/* In shared memory: what both children start from, and what the receiver leaves. */
struct rate_run {
    const struct perf_peer *peer;
    const struct perf_rate_job *job;
    struct perf_rate_result result;
};

static uint64_t seconds_to_ns(double seconds)
{
    return (uint64_t)(seconds * (double)PERF_SECOND_NS);
}

static void meter_open(struct perf_rate_meter *meter, struct perf_child *child,
                       const struct perf_rate_job *job)
{
    size_t step = LOOK_BYTES / job->size;
    step = step < LOOK_MSGS_MIN ? LOOK_MSGS_MIN : step;
    step = step > LOOK_MSGS_MAX ? LOOK_MSGS_MAX : step;
    double warmup = job->seconds * WARMUP_SHARE;
    warmup = warmup < WARMUP_MIN_S ? WARMUP_MIN_S : warmup;
    warmup = warmup > WARMUP_MAX_S ? WARMUP_MAX_S : warmup;
    *meter = (struct perf_rate_meter){
        .look_cnt = 1,
        .look_step = step,
        .window_ns = seconds_to_ns(job->seconds),
        .warmup_ns = seconds_to_ns(warmup),
        .size = job->size,
        .child = child,
    };
}

/* Looking at what the processes cost takes a moment, which isn't to be in the window. */
static void window_open(struct perf_rate_meter *meter)
{
    perf_crew_begin(meter->child);
    meter->open_ns = perf_clock_ns();
    meter->open_cnt = meter->cnt;
}

bool perf_rate_look(struct perf_rate_meter *meter)
{
    uint64_t now_ns = perf_clock_ns();
    meter->look_cnt = meter->cnt + meter->look_step;
    if (meter->first_ns == 0) {
        meter->first_ns = now_ns;
    } else if (meter->open_ns == 0) {
        if (now_ns - meter->first_ns >= meter->warmup_ns) {
            window_open(meter);
        }
    } else if (meter->close_ns == 0 && now_ns - meter->open_ns >= meter->window_ns) {
        meter->close_ns = now_ns;
        perf_crew_end(meter->child);
        return false;
    }
    return meter->close_ns == 0;
}

bool perf_rate_fault(struct perf_child *child, const struct perf_rate_meter *meter)
{
    char text[PERF_STAMP_TEXT];
    const char *fault = perf_stamp_fault(&meter->check, text, sizeof text);
    return perf_child_fail(child, "%s", fault != NULL ? fault : "a message isn't what was sent");
}

void *perf_rate_body(struct perf_child *child, const struct perf_rate_job *job,
                     struct perf_rate_stamps *stamps)
{
    void *body = perf_child_alloc(child, job->size);
    stamps->next = 0;
    if (body != NULL) {
        perf_stamper_init(&stamps->stamper, body, job->size);
    }
    return body;
}

uint32_t perf_rate_hwm_msgs(size_t size)
{
    size_t msgs = HWM_BYTES / size;
    msgs = msgs < HWM_MSGS_MIN ? HWM_MSGS_MIN : msgs;
    return (uint32_t)(msgs > HWM_MSGS_MAX ? HWM_MSGS_MAX : msgs);
}

double perf_rate_msgs_per_s(const struct perf_rate_result *result)
{
    return (double)result->msgs / result->seconds;
}

double perf_rate_mb_per_s(const struct perf_rate_result *result, size_t size)
{
    return perf_rate_msgs_per_s(result) * (double)size / 1e6;
}

static bool receiver_run(struct perf_child *child, void *arg)
{
    struct rate_run *run = arg;
    struct perf_rate_meter meter;
    meter_open(&meter, child, run->job);
    bool ok = run->peer->rate_receive != NULL
                  ? run->peer->rate_receive(child, run->job, &meter)
                  : perf_rate_node_receive(child, run->peer, run->job, &meter);
    if (!ok) {
        return false;
    }
    if (meter.close_ns == 0) {
        return perf_child_fail(child, "the stream ended before the window was over");
    }
    run->result.msgs = meter.cnt - meter.open_cnt;
    run->result.seconds = (double)(meter.close_ns - meter.open_ns) / (double)PERF_SECOND_NS;
    return true;
}

static bool sender_run(struct perf_child *child, void *arg)
{
    struct rate_run *run = arg;
    return run->peer->rate_send != NULL ? run->peer->rate_send(child, run->job)
                                        : perf_rate_node_send(child, run->peer, run->job);
}

static void cost_take(struct perf_rate_result *result, const struct perf_usage *usage)
{
    perf_cost_init(&result->cost);
    for (unsigned i = 0; i < 2; i++) {
        perf_cost_take(&result->cost.sides[i], &usage[i], result->msgs);
        perf_cost_calls(&result->cost.sides[i], &usage[i], result->msgs);
    }
}

bool perf_rate_can(const struct perf_peer *peer, const struct perf_rate_job *job, char *reason)
{
    if (peer->missing != NULL) {
        snprintf(reason, PERF_REASON_MAX, "%s", peer->missing);
        return false;
    }
    if ((peer->transports & 1u << job->transport) == 0) {
        snprintf(reason, PERF_REASON_MAX, "%s has no %s", peer->name,
                 perf_transport_name(job->transport));
        return false;
    }
    if (!perf_peer_has_rate(peer)) {
        snprintf(reason, PERF_REASON_MAX, "%s isn't made for that", peer->name);
        return false;
    }
    return true;
}

bool perf_rate_measure(const struct perf_peer *peer, const struct perf_rate_job *job,
                       enum perf_place place, struct perf_rate_result *result, char *reason)
{
    if (!perf_rate_can(peer, job, reason)) {
        return false;
    }
    struct rate_run *run = perf_shared_new(sizeof *run);
    if (run == NULL) {
        snprintf(reason, PERF_REASON_MAX, "no memory for a result");
        return false;
    }
    *run = (struct rate_run){.peer = peer, .job = job};
    struct perf_crew crew;
    struct perf_usage usage[PERF_CREW_MAX];
    perf_crew_pair(&crew, receiver_run, sender_run, run, PERF_SERVER);
    crew.place = place;
    crew.trace = job->trace;
    crew.timeout_ns = seconds_to_ns(job->seconds + WARMUP_MAX_S + RUN_TIMEOUT_S);
    bool ok = perf_crew_run(&crew, usage, reason);
    if (ok) {
        *result = run->result;
        result->place = place;
        cost_take(result, usage);
    }
    perf_shared_end(run, sizeof *run);
    return ok;
}

void perf_rate_trace(const struct perf_peer *peer, const struct perf_rate_job *job,
                     struct perf_rate_result *result)
{
    struct perf_rate_job traced = *job;
    struct perf_rate_result seen;
    char reason[PERF_REASON_MAX];
    traced.trace = true;
    traced.seconds = TRACED_SECONDS;
    if (!perf_rate_measure(peer, &traced, result->place, &seen, reason)) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        result->cost.sides[i].calls_per_msg = seen.cost.sides[i].calls_per_msg;
    }
}

bool perf_rate_measure_best(const struct perf_peer *peer, const struct perf_rate_job *job,
                            struct perf_rate_result *result, char *reason)
{
    if (!perf_rate_measure(peer, job, PERF_PLACE_PINNED, result, reason)) {
        return false;
    }
    struct perf_rate_result free_result;
    if (!peer->has_threads) {
        return true;
    }
    if (!perf_rate_measure(peer, job, PERF_PLACE_FREE, &free_result, reason)) {
        return false;
    }
    if (perf_rate_msgs_per_s(&free_result) > perf_rate_msgs_per_s(result)) {
        *result = free_result;
    }
    return true;
}

int perf_throughput_main(const struct perf_options *options)
{
    if (perf_closed_several(options)) {
        return perf_closed_main(options);
    }
    const struct perf_peer *peer = options->peer;
    struct perf_rate_job job = {
        .size = options->size,
        .transport = options->transport,
        .seconds = options->seconds > 0 ? options->seconds : PERF_SECONDS_DEFAULT,
    };
    struct perf_rate_result result;
    char reason[PERF_REASON_MAX];
    if (!perf_rate_measure_best(peer, &job, &result, reason)) {
        perf_report_missing("throughput", peer, reason, options->json);
        return PERF_EXIT_MISSING;
    }
    if (!options->no_trace) {
        perf_rate_trace(peer, &job, &result);
    }
    perf_report_rate(peer, &job, &result, options->json);
    return perf_closed_save_rate(options, peer, &job, &result) ? PERF_EXIT_MEASURED
                                                               : PERF_EXIT_MISSING;
}
