#include "perf/workloads/throughput.h"

#include "perf/options.h"
#include "perf/output/report.h"
#include "perf/peers/peer.h"
#include "perf/run/clock.h"

#include <stdio.h>

/* The clock is looked at once per this many bytes, within the limits below. */
#define LOOK_BYTES    ((size_t)1 << 20)
#define LOOK_MSGS_MIN 16u
#define LOOK_MSGS_MAX 4096u

#define WARMUP_SHARE  0.2
#define WARMUP_MIN_S  0.1
#define WARMUP_MAX_S  0.5
#define RUN_TIMEOUT_S 15.0

#define HWM_BYTES    ((size_t)64 * 1024 * 1024)
#define HWM_MSGS_MIN 16u
#define HWM_MSGS_MAX 10000u

struct rate_run {
    const struct perf_peer *peer;
    const struct perf_rate_job *job;
    struct perf_rate_result result;
};

static uint64_t seconds_to_ns(double seconds)
{
    return (uint64_t)(seconds * (double)PERF_SECOND_NS);
}

static void meter_open(struct perf_rate_meter *meter, const struct perf_rate_job *job)
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
    };
}

bool perf_rate_look(struct perf_rate_meter *meter)
{
    uint64_t now_ns = perf_clock_ns();
    meter->look_cnt = meter->cnt + meter->look_step;
    if (meter->first_ns == 0) {
        meter->first_ns = now_ns;
    } else if (meter->open_ns == 0) {
        if (now_ns - meter->first_ns >= meter->warmup_ns) {
            meter->open_ns = now_ns;
            meter->open_cnt = meter->cnt;
        }
    } else if (meter->close_ns == 0 && now_ns - meter->open_ns >= meter->window_ns) {
        meter->close_ns = now_ns;
        return false;
    }
    return meter->close_ns == 0;
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
    meter_open(&meter, run->job);
    if (!run->peer->rate_receive(child, run->job, &meter)) {
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
    return run->peer->rate_send(child, run->job);
}

bool perf_rate_measure(const struct perf_peer *peer, const struct perf_rate_job *job,
                       enum perf_place place, struct perf_rate_result *result, char *reason)
{
    if (peer->missing != NULL) {
        snprintf(reason, PERF_REASON_MAX, "%s", peer->missing);
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
    crew.timeout_ns = seconds_to_ns(job->seconds + WARMUP_MAX_S + RUN_TIMEOUT_S);
    bool ok = perf_crew_run(&crew, usage, reason);
    if (ok) {
        *result = run->result;
        result->place = place;
    }
    perf_shared_end(run, sizeof *run);
    return ok;
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
    perf_report_rate(peer, &job, &result, options->json);
    return PERF_EXIT_MEASURED;
}
