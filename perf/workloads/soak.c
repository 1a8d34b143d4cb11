#include "perf/workloads/soak.h"

#include "perf/run/clock.h"
#include "perf/workloads/flatness.h"
#include "perf/workloads/lineup.h"
#include "perf/workloads/load.h"
#include "perf/workloads/open.h"
#include "perf/workloads/tell.h"

#include <math.h>

#define RATE_DEFAULT    10000.0
#define SECONDS_DEFAULT 15.0
#define SECONDS_QUICK   2.0

#define P50_PPM 500000u
#define P99_PPM 990000u

struct soak {
    const struct perf_options *options;
    struct perf_open_job job;
    struct perf_flatness flatness; /* of the run that is going on */
    uint64_t seed;
};

double perf_soak_interval(double seconds)
{
    double interval_s = seconds < 10 ? seconds / 10 : 1;
    double least = ceil(seconds / PERF_SOAK_INTERVALS_MAX);
    interval_s = interval_s < PERF_SOAK_INTERVAL_MIN ? PERF_SOAK_INTERVAL_MIN : interval_s;
    return seconds > PERF_SOAK_INTERVALS_MAX ? least : interval_s;
}

static void on_tick(void *ctx, const struct perf_open *open)
{
    struct soak *soak = ctx;
    uint64_t begin_ns = atomic_load(&open->tally.start_ns);
    uint64_t now_ns = perf_clock_ns();
    pid_t pids[2] = {atomic_load(&open->pids[PERF_SERVER]), atomic_load(&open->pids[PERF_CLIENT])};
    begin_ns += begin_ns != 0 ? soak->job.generator.warmup_ns : 0;
    if (begin_ns != 0 && now_ns >= begin_ns) {
        perf_flatness_look(&soak->flatness, (uint32_t)((now_ns - begin_ns) / soak->job.interval_ns),
                           pids, atomic_load(&open->buffers));
    }
}

/* Reads no more of src than has something in it: its other pages aren't there yet. */
static struct mcq_hdr *hist_copy(const struct mcq_hdr *src)
{
    struct mcq_hdr *h = perf_hist_new();
    uint64_t *counts = h->counts;
    uint64_t most = src->max < src->value_max ? src->max : src->value_max;
    *h = *src;
    h->counts = counts;
    for (size_t i = mcq_hdr_cnt(src) == 0 || src->min > most ? 1 : mcq_hdr_index(src->min);
         mcq_hdr_cnt(src) > 0 && i <= mcq_hdr_index(most); i++) {
        counts[i] = src->counts[i];
    }
    return h;
}

static double us_at(const struct mcq_hdr *h, uint32_t ppm)
{
    return mcq_hdr_cnt(h) == 0 ? (double)NAN : (double)mcq_hdr_percentile(h, ppm) / 1e3;
}

static void intervals_take(const struct perf_tally *tally, struct perf_run *run)
{
    uint32_t cnt = tally->interval_cnt;
    run->interval_cnt = cnt;
    run->interval_s = (double)tally->interval_ns / 1e9;
    run->intervals = perf_zeroed(cnt, sizeof(struct mcq_hdr *));
    for (unsigned i = PERF_SERIES_RATE; i <= PERF_SERIES_MAX; i++) {
        run->series[i] = perf_zeroed(cnt, sizeof(double));
    }
    for (uint32_t i = 0; i < cnt; i++) {
        struct mcq_hdr *h = run->intervals[i] = hist_copy(&tally->intervals[i]);
        run->series[PERF_SERIES_RATE][i] = (double)mcq_hdr_cnt(h) / run->interval_s;
        run->series[PERF_SERIES_P50][i] = us_at(h, P50_PPM);
        run->series[PERF_SERIES_P99][i] = us_at(h, P99_PPM);
        run->series[PERF_SERIES_MAX][i] = us_at(h, MCQ_HDR_PPM_MAX);
    }
}

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct soak *soak = ctx;
    struct perf_open_job job = soak->job;
    job.generator.schedule.seed = soak->seed + arm->result->run_cnt;
    struct perf_open *open = perf_open_new(&job, arm, reason);
    perf_flatness_init(&soak->flatness, job.interval_cnt, (double)job.interval_ns / 1e9);
    bool ok = open != NULL && perf_open_measure(open, run, reason);
    if (ok) {
        intervals_take(&open->tally, run);
        perf_flatness_tell(&soak->flatness, run);
    }
    perf_flatness_end(&soak->flatness);
    perf_open_end(open);
    return ok;
}

/* Whole intervals: a trace's last one may be short, and then has a lower rate. */
static void intervals_plan(struct soak *soak)
{
    struct perf_open_job *job = &soak->job;
    double seconds = (double)job->generator.window_ns / 1e9;
    double interval_s = perf_soak_interval(seconds);
    job->interval_ns = (uint64_t)(interval_s * (double)PERF_SECOND_NS);
    job->interval_cnt = (uint32_t)ceil(seconds / interval_s);
    job->tick = on_tick;
    job->tick_ctx = soak;
}

static int soak_run(struct soak *soak)
{
    const struct perf_options *options = soak->options;
    struct perf_artefact *a = perf_tell_begin(options);
    struct perf_arm arms[2 * PERF_PEERS_MAX];
    struct perf_lineup lineup;
    perf_lineup_make(&lineup, options);
    for (unsigned i = 0; i < lineup.cnt; i++) {
        struct perf_result *r = perf_lineup_result(options, "soak", &lineup.entrants[i]);
        perf_load_params(r, options, &soak->job.generator);
        perf_lineup_arm(&arms[i], &lineup.entrants[i], r, 0);
        perf_artefact_add(a, r);
    }
    bool ok = perf_arms_run(arms, lineup.cnt, options->runs != 0 ? options->runs : 1, measure, soak,
                            options->quiet);
    perf_lineup_missing(arms, lineup.cnt);
    return perf_tell(options, a, ok);
}

int perf_soak_main(const struct perf_options *options)
{
    struct soak soak = {.options = options,
                        .job = perf_open_job_make(options),
                        .seed = options->seed != 0 ? options->seed : 1};
    if (!perf_load_plan(options, options->quick ? SECONDS_QUICK : SECONDS_DEFAULT, RATE_DEFAULT,
                        &soak.job.generator)) {
        return PERF_EXIT_USAGE;
    }
    intervals_plan(&soak);
    int status = soak_run(&soak);
    perf_load_plan_end(&soak.job.generator);
    return status;
}
