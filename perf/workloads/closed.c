#include "perf/workloads/closed.h"

#include "perf/workloads/tell.h"

#include <stdio.h>
#include <time.h>

/* With --quick: enough for p99.9 of one and p99 of the other. */
#define QUICK_TRIPS_SPIN  30000u
#define QUICK_TRIPS_BLOCK 6000u
#define QUICK_SECONDS     0.2

void perf_closed_init(struct perf_closed *closed, const struct perf_options *options)
{
    bool quick = options->quick;
    *closed = (struct perf_closed){
        .options = options,
        .seconds = quick ? QUICK_SECONDS : PERF_SECONDS_DEFAULT,
        .trips = {[PERF_IDLE_SPIN] = quick ? QUICK_TRIPS_SPIN : PERF_RTT_COUNT_SPIN,
                  [PERF_IDLE_BLOCK] = quick ? QUICK_TRIPS_BLOCK : PERF_RTT_COUNT_BLOCK},
        .trace = !options->no_trace,
    };
    if (options->seconds > 0) {
        closed->seconds = options->seconds;
    }
    if (options->count > 0) {
        closed->trips[PERF_IDLE_SPIN] = options->count;
        closed->trips[PERF_IDLE_BLOCK] = options->count;
    }
}

/* --- arms --------------------------------------------------------------------------------------
 */

static struct perf_rtt_job rtt_job(const struct perf_closed *closed, const struct perf_peer *peer,
                                   enum perf_idle idle, size_t size)
{
    struct perf_rtt_job job = perf_rtt_job_of(closed->options, peer, idle);
    job.size = size;
    job.count = closed->trips[job.idle];
    return job;
}

static struct perf_rate_job rate_job(const struct perf_closed *closed, size_t size)
{
    return (struct perf_rate_job){
        .size = size, .seconds = closed->seconds, .transport = closed->options->transport};
}

static struct perf_result *result_new(const struct perf_options *options,
                                      enum perf_command workload, const struct perf_peer *peer,
                                      size_t size)
{
    struct perf_result *r = perf_result_new(perf_command_name(workload), peer->name);
    perf_result_number(r, "size", (double)size);
    if (options->connect == NULL) {
        perf_result_text(r, "transport", perf_transport_name(options->transport));
    } else {
        perf_result_text(r, "connect", options->connect);
        perf_result_text(r, "type", options->socket_type != NULL ? options->socket_type : "dealer");
    }
    return r;
}

static void rtt_tell(struct perf_result *r, const struct perf_rtt_job *job, bool apart)
{
    perf_result_text(r, apart ? "wait" : "idle", perf_idle_name(job->idle));
    if (job->handler.delay_ns > 0) {
        perf_result_number(r, "delay_ns", (double)job->handler.delay_ns);
    }
    if (job->handler.stall_ns > 0) {
        perf_result_number(r, "stall_ms", (double)(job->handler.stall_ns / PERF_MS_NS));
        perf_result_number(r, "stall_every_ms", (double)(job->handler.stall_every_ns / PERF_MS_NS));
    }
}

static void arm_add(struct perf_closed *closed, struct perf_arm arm, enum perf_command workload,
                    bool apart)
{
    if (closed->cnt == PERF_CLOSED_ARMS_MAX) {
        fprintf(stderr, "mcq-perf: %s is left out: at most %u arms\n", arm.peer->name,
                PERF_CLOSED_ARMS_MAX);
        return;
    }
    arm.result = result_new(closed->options, workload, arm.peer, (size_t)arm.param);
    if (arm.peer->has_threads) {
        perf_result_text(arm.result, "placement", perf_place_name(arm.place));
    }
    if (workload == PERF_COMMAND_RTT) {
        struct perf_rtt_job job = rtt_job(closed, arm.peer, arm.idle, (size_t)arm.param);
        rtt_tell(arm.result, &job, apart);
        perf_rtt_can(arm.peer, &job, arm.reason);
    } else {
        struct perf_rate_job job = rate_job(closed, (size_t)arm.param);
        perf_rate_can(arm.peer, &job, arm.reason);
    }
    closed->arms[closed->cnt++] = arm;
}

void perf_closed_add(struct perf_closed *closed, enum perf_command workload,
                     const struct perf_peer *peer, enum perf_idle idle, size_t size, bool apart)
{
    struct perf_arm arm = {.peer = peer,
                           .idle = perf_peer_idle(peer, idle),
                           .place = PERF_PLACE_PINNED,
                           .param = size};
    arm_add(closed, arm, workload, apart);
    if (peer->has_threads && peer->missing == NULL) {
        arm.place = PERF_PLACE_FREE;
        arm_add(closed, arm, workload, apart);
    }
}

/* --- runs --------------------------------------------------------------------------------------
 */

static void run_place(struct perf_run *run, double seconds)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    run->start_s = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9 - seconds;
    run->seconds = seconds;
}

static void rtt_run_fill(struct perf_run *run, const struct perf_rtt_result *result,
                         const struct mcq_hdr *hist)
{
    run_place(run, result->seconds);
    run->main = PERF_HIST_RTT;
    run->metrics[PERF_METRIC_MSGS] = (double)result->count;
    perf_cost_run(&result->cost, run);
    perf_run_hist(run, PERF_HIST_RTT, hist);
}

static void rate_run_fill(struct perf_run *run, const struct perf_rate_result *result, size_t size)
{
    run_place(run, result->seconds);
    run->metrics[PERF_METRIC_RATE] = perf_rate_msgs_per_s(result);
    run->metrics[PERF_METRIC_BYTES_RATE] = perf_rate_mb_per_s(result, size);
    run->metrics[PERF_METRIC_MSGS] = (double)result->msgs;
    perf_cost_run(&result->cost, run);
}

static bool traces(const struct perf_closed *closed, const struct perf_arm *arm)
{
    return closed->trace && arm->result->run_cnt == 1;
}

static bool rtt_measure(const struct perf_closed *closed, const struct perf_arm *arm,
                        struct perf_run *run, char *reason)
{
    struct perf_rtt_job job = rtt_job(closed, arm->peer, arm->idle, (size_t)arm->param);
    struct perf_rtt_result result;
    struct mcq_hdr *hist = perf_hist_new();
    bool ok = perf_rtt_measure(arm->peer, &job, arm->place, &result, hist, reason);
    if (ok && traces(closed, arm)) {
        perf_rtt_trace(arm->peer, &job, &result);
    }
    if (ok) {
        rtt_run_fill(run, &result, hist);
    }
    perf_hist_end(hist);
    return ok;
}

static bool rate_measure(const struct perf_closed *closed, const struct perf_arm *arm,
                         struct perf_run *run, char *reason)
{
    struct perf_rate_job job = rate_job(closed, (size_t)arm->param);
    struct perf_rate_result result;
    bool ok = perf_rate_measure(arm->peer, &job, arm->place, &result, reason);
    if (ok && traces(closed, arm)) {
        perf_rate_trace(arm->peer, &job, &result);
    }
    if (ok) {
        rate_run_fill(run, &result, job.size);
    }
    return ok;
}

bool perf_closed_measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    const struct perf_closed *closed = ctx;
    return perf_closed_is_rtt(arm) ? rtt_measure(closed, arm, run, reason)
                                   : rate_measure(closed, arm, run, reason);
}

void perf_closed_give(struct perf_closed *closed, struct perf_artefact *a)
{
    for (unsigned i = 0; i < closed->cnt; i++) {
        struct perf_arm *arm = &closed->arms[i];
        if (arm->result->run_cnt > 0) {
            perf_artefact_add(a, arm->result);
        } else {
            perf_result_end(arm->result);
            arm->result = NULL;
        }
    }
}

/* --- the command, with several peers or runs ---------------------------------------------------
 */

bool perf_closed_several(const struct perf_options *options)
{
    return options->peers_listed || options->runs > 0;
}

/* A line for each arm that couldn't take part, or failed. */
static void missing_tell(const struct perf_closed *closed)
{
    for (unsigned i = 0; i < closed->cnt; i++) {
        const struct perf_arm *arm = &closed->arms[i];
        if (arm->reason[0] != '\0') {
            fprintf(stderr, "mcq-perf: %s of %s is missing%s: %s\n", arm->result->workload,
                    arm->peer->name, arm->result->run_cnt > 0 ? " in some runs" : "", arm->reason);
        }
    }
}

int perf_closed_main(const struct perf_options *options)
{
    static struct perf_closed closed; /* too large for a stack */
    const struct perf_peer *const usual[] = {&perf_peer_mcq};
    const struct perf_peer *const *peers = options->peer_cnt > 0 ? options->peers : usual;
    unsigned cnt = options->peer_cnt > 0 ? options->peer_cnt : 1;
    unsigned runs = cnt > 1 ? PERF_CLOSED_RUNS_DEFAULT : 1;
    struct perf_artefact *a = perf_tell_begin(options);
    perf_closed_init(&closed, options);
    for (unsigned i = 0; i < cnt; i++) {
        perf_closed_add(&closed, options->command, peers[i], options->idle, options->size, false);
    }
    bool ok = perf_arms_run(closed.arms, closed.cnt, options->runs > 0 ? options->runs : runs,
                            perf_closed_measure, &closed, options->quiet);
    missing_tell(&closed);
    perf_closed_give(&closed, a);
    return perf_tell(options, a, ok);
}

/* --- one peer, one run -------------------------------------------------------------------------
 */

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
    struct perf_result *r = result_new(options, PERF_COMMAND_RTT, peer, job->size);
    perf_result_text(r, "placement", perf_place_name(result->place));
    rtt_tell(r, job, false);
    perf_result_number(r, "count", (double)job->count);
    rtt_run_fill(perf_run_add(r), result, hist);
    return save(options, r);
}

bool perf_closed_save_rate(const struct perf_options *options, const struct perf_peer *peer,
                           const struct perf_rate_job *job, const struct perf_rate_result *result)
{
    if (options->out == NULL) {
        return true;
    }
    struct perf_result *r = result_new(options, PERF_COMMAND_THROUGHPUT, peer, job->size);
    perf_result_text(r, "placement", perf_place_name(result->place));
    rate_run_fill(perf_run_add(r), result, job->size);
    return save(options, r);
}
