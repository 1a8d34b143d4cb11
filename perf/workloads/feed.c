#include "perf/workloads/feed.h"

#include "perf/workloads/cost.h"
#include "perf/workloads/feed_run.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define BASE_TIMEOUT_S 40.0

static const enum perf_hist kinds[FEED_HIST_CNT] = {
    [FEED_ONE_WAY] = PERF_HIST_ONE_WAY, [FEED_RESPONSE] = PERF_HIST_RESPONSE,
    [FEED_LAST] = PERF_HIST_LAST,       [FEED_SKEW] = PERF_HIST_SKEW,
    [FEED_LAG] = PERF_HIST_LAG,
};

/* What parent and children share, in one piece. */
struct memory {
    void *data;
    size_t len;
};

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t msgs_due(const struct perf_feed_job *job)
{
    double msgs = job->schedule.rate * (job->warmup_s + job->seconds);
    return job->schedule.rate <= 0 ? 0 : msgs < 1 ? 1 : (uint64_t)msgs;
}

static struct perf_feed_run *run_new(const struct perf_feed_job *job, struct memory *memory,
                                     char *reason)
{
    uint64_t msgs = msgs_due(job);
    size_t hist_len = (perf_hist_len() + 63) / 64 * 64;
    memory->len = 4096 + FEED_HIST_CNT * hist_len + msgs * sizeof(struct perf_feed_time);
    memory->data = msgs <= PERF_FEED_MSGS_MAX ? perf_shared_new(memory->len) : NULL;
    if (memory->data == NULL) {
        snprintf(reason, PERF_REASON_MAX,
                 "no room for the times of %llu messages: fewer seconds, "
                 "or a lower rate",
                 (unsigned long long)msgs);
        return NULL;
    }
    struct perf_feed_run *run = memory->data;
    char *at = (char *)memory->data + 4096;
    run->job = job;
    for (unsigned i = 0; i < FEED_HIST_CNT; i++, at += hist_len) {
        run->hists[i] = perf_hist_at(at);
    }
    run->times = (void *)at;
    return run;
}

/* The window is what is due after the warm-up; it has one message at least. */
static void plan(struct perf_feed_run *run)
{
    struct perf_schedule schedule;
    uint64_t warmup_ns = (uint64_t)(run->job->warmup_s * (double)PERF_SECOND_NS);
    run->close = msgs_due(run->job);
    run->open = run->close > 0 ? run->close - 1 : 0;
    perf_schedule_init(&schedule, &run->job->schedule);
    for (uint64_t i = 0; i < run->close; i++) {
        run->times[i].due_ns = perf_schedule_next(&schedule);
        if (i < run->open && run->times[i].due_ns >= warmup_ns) {
            run->open = i;
        }
    }
}

static void crew_make(struct perf_crew *crew, struct perf_feed_run *run)
{
    const struct perf_feed_job *job = run->job;
    *crew = (struct perf_crew){.measures = PERF_FEED_SUBSCRIBERS, .place = job->place};
    crew->posts[PERF_FEED_PUBLISHER] =
        (struct perf_post){"publisher", perf_feed_publish, run, PERF_SEAT_SERVER};
    crew->posts[PERF_FEED_SUBSCRIBERS] =
        (struct perf_post){"subscribers", perf_feed_subscribe, run, PERF_SEAT_CLIENT};
    crew->posts[PERF_FEED_VICTIM] =
        (struct perf_post){"victim", perf_feed_suffer, run, PERF_SEAT_CLIENT};
    crew->cnt = job->victim == PERF_VICTIM_NONE ? 2 : 3;
    crew->trace = job->trace;
    double timeout_s = BASE_TIMEOUT_S + job->warmup_s + job->seconds;
    crew->timeout_ns = (uint64_t)(timeout_s * (double)PERF_SECOND_NS);
}

/* --- what came of it ---------------------------------------------------------------------------
 */

static void rate_take(const struct perf_feed_run *run, struct perf_run *to)
{
    const struct perf_feed_job *job = run->job;
    double each = (double)run->received / job->subs / run->seconds;
    to->metrics[PERF_METRIC_RATE] = each;
    to->metrics[PERF_METRIC_BYTES_RATE] = each * (double)job->size / 1e6;
    if (perf_feed_floods(run)) {
        return;
    }
    uint64_t last_ns = atomic_load(&run->last_sent_ns) - atomic_load(&run->begin_ns);
    double due_s = (double)(run->times[run->close - 1].due_ns - run->times[run->open].due_ns) / 1e9;
    double took_s = (double)(last_ns - run->times[run->open].due_ns) / 1e9;
    double asked = (double)(run->close - run->open) / due_s;
    double share = took_s > due_s ? due_s / took_s : 1;
    to->metrics[PERF_METRIC_RATE] = each * share;
    to->metrics[PERF_METRIC_RATE_ASKED] = asked;
    to->metrics[PERF_METRIC_RATE_SHARE] = share;
    if (share < PERF_FEED_SHARE_MIN) {
        perf_run_refuse(to, "%.0f messages per second were asked for and %.1f %% of that sent",
                        asked, share * 100);
    }
}

/* What the others missed is theirs to tell; what the victim missed was dropped for it. */
static void counts_take(const struct perf_feed_run *run, struct perf_run *to)
{
    to->metrics[PERF_METRIC_MSGS] = (double)run->received;
    to->metrics[PERF_METRIC_LOST] = (double)run->lost;
    to->metrics[PERF_METRIC_DOUBLED] = (double)run->old;
    to->metrics[PERF_METRIC_DAMAGED] = (double)run->damaged;
    to->metrics[PERF_METRIC_FAIRNESS] =
        run->most > 0 ? (double)run->least / (double)run->most : NAN;
    if (run->job->victim != PERF_VICTIM_NONE && atomic_load(&run->caught_up)) {
        to->metrics[PERF_METRIC_DROPPED] = (double)run->victim_lost;
    }
    if (run->fault[0] != '\0') {
        perf_run_refuse(to, "%s", run->fault);
    }
}

static void hists_take(const struct perf_feed_run *run, struct perf_run *to)
{
    if (perf_feed_floods(run)) {
        return;
    }
    if (run->job->victim != PERF_VICTIM_NONE) {
        to->main = PERF_HIST_OTHERS;
        perf_run_hist(to, PERF_HIST_OTHERS, run->hists[FEED_RESPONSE]);
        perf_run_hist(to, PERF_HIST_LAG, run->hists[FEED_LAG]);
        return;
    }
    to->main = PERF_HIST_ONE_WAY;
    for (unsigned i = 0; i < FEED_HIST_CNT; i++) {
        perf_run_hist(to, kinds[i], run->hists[i]);
    }
}

static void usage_take(const struct perf_feed_run *run, const struct perf_usage *usage,
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

bool perf_feed_measure(const struct perf_feed_job *job, struct perf_run *to, char *reason)
{
    struct memory memory;
    struct perf_usage usage[PERF_CREW_MAX];
    struct perf_crew crew;
    struct perf_feed_run *run = run_new(job, &memory, reason);
    if (run == NULL) {
        return false;
    }
    plan(run);
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
    perf_shared_end(memory.data, memory.len);
    return ok;
}
