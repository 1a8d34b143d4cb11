#include "perf/workloads/load.h"

#include "perf/run/clock.h"
#include "perf/stats/verdict.h"
#include "perf/workloads/lineup.h"
#include "perf/workloads/open.h"
#include "perf/workloads/tell.h"

#include <stdio.h>
#include <string.h>

#define RATE_DEFAULT    10000.0
#define BURST_DEFAULT   16u
#define SECONDS_DEFAULT 2.0
#define SECONDS_QUICK   0.5
#define RUNS_QUICK      1u

/* A tenth of what is measured, within these. */
#define WARMUP_SHARE 0.1
#define WARMUP_MIN_S 0.1
#define WARMUP_MAX_S 1.0

struct load {
    const struct perf_options *options;
    struct perf_open_job job;
    uint64_t seed;
};

static uint64_t seconds_ns(double seconds)
{
    return (uint64_t)(seconds * (double)PERF_SECOND_NS);
}

static double warmup_of(const struct perf_options *options, double seconds)
{
    double warmup_s = seconds * WARMUP_SHARE;
    warmup_s = warmup_s < WARMUP_MIN_S ? WARMUP_MIN_S : warmup_s;
    warmup_s = warmup_s > WARMUP_MAX_S ? WARMUP_MAX_S : warmup_s;
    return options->warmup_s >= 0 ? options->warmup_s : warmup_s;
}

/* A trace is as long as it is: its first tenth warms up, and --seconds may end it early. */
static bool trace_plan(const struct perf_options *options, struct perf_generator_spec *spec)
{
    char reason[PERF_OFFSETS_TEXT];
    struct perf_offsets *offsets = &spec->schedule.offsets;
    if (!perf_offsets_read(offsets, options->trace_file, reason)) {
        fprintf(stderr, "mcq-perf: --trace %s\n", reason);
        return false;
    }
    uint64_t all_ns = offsets->ns[offsets->cnt - 1] + 1;
    double tenth_s = (double)all_ns / 1e9 * WARMUP_SHARE;
    spec->warmup_ns = seconds_ns(options->warmup_s >= 0   ? options->warmup_s
                                 : tenth_s < WARMUP_MAX_S ? tenth_s
                                                          : WARMUP_MAX_S);
    if (spec->warmup_ns >= all_ns) {
        fprintf(stderr, "mcq-perf: --trace: all of it is warm-up; use --warmup\n");
        perf_load_plan_end(spec);
        return false;
    }
    spec->window_ns = all_ns - spec->warmup_ns;
    if (options->seconds > 0 && seconds_ns(options->seconds) < spec->window_ns) {
        spec->window_ns = seconds_ns(options->seconds);
    }
    return true;
}

bool perf_load_plan(const struct perf_options *options, double seconds, double rate,
                    struct perf_generator_spec *spec)
{
    spec->schedule = (struct perf_schedule_spec){
        .pace = options->pace,
        .rate = options->rate > 0 ? options->rate : rate,
        .burst = options->burst != 0 ? options->burst : BURST_DEFAULT,
        .seed = options->seed,
    };
    if (options->pace == PERF_PACE_TRACE) {
        return trace_plan(options, spec);
    }
    seconds = options->seconds > 0 ? options->seconds : seconds;
    spec->warmup_ns = seconds_ns(warmup_of(options, seconds));
    spec->window_ns = seconds_ns(seconds);
    return true;
}

void perf_load_plan_end(struct perf_generator_spec *spec)
{
    perf_offsets_end(&spec->schedule.offsets);
}

void perf_load_params(struct perf_result *r, const struct perf_options *options,
                      const struct perf_generator_spec *spec)
{
    const struct perf_schedule_spec *schedule = &spec->schedule;
    perf_result_number(r, "conns", options->conns != 0 ? options->conns : 1);
    perf_result_text(r, "pace", perf_pace_name(schedule->pace));
    if (schedule->pace == PERF_PACE_TRACE) {
        perf_result_text(r, "trace", options->trace_file);
    } else {
        perf_result_number(r, "rate", schedule->rate);
    }
    if (schedule->pace == PERF_PACE_BURST) {
        perf_result_number(r, "burst", (double)schedule->burst);
    }
    perf_result_number(r, "warmup", (double)spec->warmup_ns / 1e9);
}

/* The same plan for all arms of a round, and another one for the next. */
static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    struct load *load = ctx;
    struct perf_open_job job = load->job;
    job.generator.schedule.seed = load->seed + arm->result->run_cnt;
    return perf_open_run(&job, arm, run, reason);
}

static int load_run(struct load *load)
{
    const struct perf_options *options = load->options;
    unsigned usual = options->quick ? RUNS_QUICK : PERF_VERDICT_RUNS_MIN;
    struct perf_artefact *a = perf_tell_begin(options);
    struct perf_arm arms[2 * PERF_PEERS_MAX];
    struct perf_lineup lineup;
    perf_lineup_make(&lineup, options);
    for (unsigned i = 0; i < lineup.cnt; i++) {
        struct perf_result *r = perf_lineup_result(options, "load", &lineup.entrants[i]);
        perf_load_params(r, options, &load->job.generator);
        if (!options->no_trace) {
            perf_result_number(r, "syscalls_at_rate", perf_open_traced_rate(&load->job));
        }
        perf_lineup_arm(&arms[i], &lineup.entrants[i], r, 0);
        perf_artefact_add(a, r);
    }
    bool ok = perf_arms_run(arms, lineup.cnt, options->runs != 0 ? options->runs : usual, measure,
                            load, options->quiet);
    for (unsigned i = 0; i < lineup.cnt && !options->no_trace; i++) {
        perf_open_trace(&load->job, &arms[i]);
    }
    perf_lineup_missing(arms, lineup.cnt);
    return perf_tell(options, a, ok);
}

int perf_load_main(const struct perf_options *options)
{
    struct load load = {.options = options,
                        .job = perf_open_job_make(options),
                        .seed = options->seed != 0 ? options->seed : 1};
    if (!perf_load_plan(options, options->quick ? SECONDS_QUICK : SECONDS_DEFAULT, RATE_DEFAULT,
                        &load.job.generator)) {
        return PERF_EXIT_USAGE;
    }
    int status = load_run(&load);
    perf_load_plan_end(&load.job.generator);
    return status;
}
