#include "perf/workloads/sweep.h"

#include "perf/run/clock.h"
#include "perf/workloads/lineup.h"
#include "perf/workloads/load.h"
#include "perf/workloads/open.h"
#include "perf/workloads/tell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SECONDS_DEFAULT 0.8
#define SECONDS_QUICK   0.25

/* The search: what it keeps under way, how long a try lasts, how far it goes down, and how long
 * answers may go on after the last send. */
#define SATURATE_FLIGHTS 512u
#define TRY_WARMUP_NS    (50 * PERF_MS_NS)
#define TRY_WINDOW_NS    (250 * PERF_MS_NS)
#define TRIES_MAX        12u
#define TRY_STEP         0.9
#define BOUND_NS         (10 * PERF_MS_NS)

static const double shares_usual[] = {0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95};
static const double shares_quick[] = {0.25, 0.5, 0.9};

struct point {
    double rate;
};

struct sweep {
    const struct perf_options *options;
    struct perf_open_job job;
    const double *shares;
    unsigned share_cnt;
    struct perf_lineup lineup;
    struct point points[PERF_RESULTS_MAX];
    struct perf_arm arms[PERF_RESULTS_MAX];
    unsigned arm_cnt;
    uint64_t seed;
};

/* --- the greatest rate -------------------------------------------------------------------------
 */

/* The answers' rate; 0 with a reason when there is none. */
static double try_rate(const struct perf_open_job *job, const struct perf_arm *arm, bool *bounded,
                       char *reason)
{
    struct perf_open *open = perf_open_new(job, arm, reason);
    struct perf_result *seen = perf_result_new("try", "");
    struct perf_run *run = perf_run_add(seen);
    double rate = 0;
    if (open != NULL && perf_open_measure(open, run, reason)) {
        uint64_t end_ns = job->generator.warmup_ns + job->generator.window_ns;
        rate = run->metrics[PERF_METRIC_RATE];
        *bounded = run->metrics[PERF_METRIC_RATE_SHARE] >= PERF_SHARE_MIN &&
                   open->tally.lost_cnt == 0 && open->tally.last_answer_ns < end_ns + BOUND_NS;
    }
    perf_open_end(open);
    perf_result_end(seen);
    return rate;
}

/* Three digits: what can be said again. */
static double rounded_down(double rate)
{
    double unit = pow(10, floor(log10(rate)) - 2);
    return floor(rate / unit) * unit;
}

static double greatest_rate(const struct sweep *sweep, const struct perf_arm *arm, char *reason)
{
    struct perf_open_job job = sweep->job;
    bool bounded = false;
    job.generator.warmup_ns = TRY_WARMUP_NS;
    job.generator.window_ns = TRY_WINDOW_NS;
    job.generator.saturate = true;
    job.generator.flights_max =
        job.generator.flights_max < SATURATE_FLIGHTS ? job.generator.flights_max : SATURATE_FLIGHTS;
    double rate = try_rate(&job, arm, &bounded, reason);
    job.generator.saturate = false;
    job.generator.flights_max = sweep->job.generator.flights_max;
    for (unsigned i = 0; i < TRIES_MAX && rate > 0; i++, rate *= TRY_STEP) {
        job.generator.schedule.rate = rounded_down(rate);
        if (try_rate(&job, arm, &bounded, reason) <= 0) {
            return 0;
        }
        if (bounded) {
            return job.generator.schedule.rate;
        }
    }
    if (rate > 0) {
        snprintf(reason, PERF_REASON_MAX, "there is no rate at which its answers stay bounded");
    }
    return 0;
}

/* --- the points --------------------------------------------------------------------------------
 */

static void point_add(struct sweep *sweep, struct perf_artefact *a,
                      const struct perf_entrant *entrant, double share, double rate_max)
{
    unsigned idx = sweep->arm_cnt++;
    struct perf_generator_spec spec = sweep->job.generator;
    struct perf_result *r = perf_lineup_result(sweep->options, "sweep", entrant);
    sweep->points[idx].rate = spec.schedule.rate = rate_max * share;
    perf_load_params(r, sweep->options, &spec);
    perf_result_number(r, "share", round(share * 1000) / 10);
    perf_lineup_arm(&sweep->arms[idx], entrant, r, idx);
    perf_artefact_add(a, r);
}

static void entrant_add(struct sweep *sweep, struct perf_artefact *a, struct perf_entrant *entrant)
{
    struct perf_arm arm;
    double rate_max = sweep->options->rate;
    perf_lineup_arm(&arm, entrant, NULL, 0);
    if (rate_max <= 0 && entrant->reason[0] == '\0') {
        rate_max = greatest_rate(sweep, &arm, entrant->reason);
        if (!sweep->options->quiet && rate_max > 0) {
            fprintf(stderr, "%s %s: at most %.0f/s\n", entrant->peer->name,
                    perf_place_name(entrant->place), rate_max);
        }
    }
    for (unsigned i = 0; i < sweep->share_cnt; i++) {
        point_add(sweep, a, entrant, sweep->shares[i], rate_max);
    }
}

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct sweep *sweep = ctx;
    struct perf_open_job job = sweep->job;
    job.generator.schedule.rate = sweep->points[arm->param].rate;
    job.generator.schedule.seed = sweep->seed + arm->result->run_cnt;
    return perf_open_run(&job, arm, run, reason);
}

static int sweep_run(struct sweep *sweep)
{
    const struct perf_options *options = sweep->options;
    struct perf_artefact *a = perf_tell_begin(options);
    for (unsigned i = 0; i < sweep->lineup.cnt; i++) {
        entrant_add(sweep, a, &sweep->lineup.entrants[i]);
    }
    bool ok = perf_arms_run(sweep->arms, sweep->arm_cnt, options->runs != 0 ? options->runs : 1,
                            measure, sweep, options->quiet);
    perf_lineup_missing(sweep->arms, sweep->arm_cnt);
    return perf_tell(options, a, ok);
}

static void shares_take(struct sweep *sweep)
{
    const struct perf_options *options = sweep->options;
    sweep->shares = options->quick ? shares_quick : shares_usual;
    sweep->share_cnt = options->quick ? sizeof shares_quick / sizeof shares_quick[0]
                                      : sizeof shares_usual / sizeof shares_usual[0];
    if (options->shares.cnt > 0) {
        sweep->shares = options->shares.values;
        sweep->share_cnt = options->shares.cnt;
    }
}

int perf_sweep_main(const struct perf_options *options)
{
    struct sweep *sweep = perf_zeroed(1, sizeof *sweep);
    int status = PERF_EXIT_USAGE;
    sweep->options = options;
    sweep->job = perf_open_job_make(options);
    sweep->seed = options->seed != 0 ? options->seed : 1;
    shares_take(sweep);
    perf_lineup_make(&sweep->lineup, options);
    if (sweep->lineup.cnt * sweep->share_cnt > PERF_RESULTS_MAX) {
        fprintf(stderr, "mcq-perf: %u peers at %u shares are more than %u results\n",
                sweep->lineup.cnt, sweep->share_cnt, PERF_RESULTS_MAX);
    } else if (perf_load_plan(options, options->quick ? SECONDS_QUICK : SECONDS_DEFAULT, 1,
                              &sweep->job.generator)) {
        status = sweep_run(sweep);
    }
    free(sweep);
    return status;
}
