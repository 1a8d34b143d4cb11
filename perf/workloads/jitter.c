#include "perf/workloads/jitter.h"

#include "perf/run/affinity.h"
#include "perf/run/clock.h"
#include "perf/stats/verdict.h"
#include "perf/workloads/tell.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_DEFAULT 2.0
#define SECONDS_QUICK   0.5
#define CALIBRATIONS    10000u
#define THRESHOLD_TIMES 8u

struct spinner {
    struct perf_jitter_core *core;
    uint64_t ns;
    pthread_t thread;
    bool started;
};

unsigned perf_jitter_cores(struct perf_jitter_core *cores)
{
    cpu_set_t allowed;
    unsigned cnt = 0;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return 0;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE && cnt < PERF_JITTER_CORES_MAX; cpu++) {
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            cores[cnt++] = (struct perf_jitter_core){.cpu = cpu};
        }
    }
    return cnt;
}

static uint64_t threshold_find(void)
{
    uint64_t least_ns = UINT64_MAX, before_ns = perf_clock_ns();
    for (unsigned i = 0; i < CALIBRATIONS; i++) {
        uint64_t now_ns = perf_clock_ns();
        uint64_t gap_ns = now_ns - before_ns;
        least_ns = gap_ns > 0 && gap_ns < least_ns ? gap_ns : least_ns;
        before_ns = now_ns;
    }
    uint64_t threshold_ns = least_ns == UINT64_MAX ? 0 : THRESHOLD_TIMES * least_ns;
    return threshold_ns > PERF_JITTER_LEAST_NS ? threshold_ns : PERF_JITTER_LEAST_NS;
}

static void gap_take(struct perf_jitter_core *core, uint64_t gap_ns)
{
    core->gap_cnt++;
    core->lost_ns += gap_ns;
    core->max_ns = gap_ns > core->max_ns ? gap_ns : core->max_ns;
    if (core->hist != NULL) {
        mcq_hdr_record(core->hist, gap_ns);
    }
}

static void *spin(void *arg)
{
    struct spinner *spinner = arg;
    struct perf_jitter_core *core = spinner->core;
    core->ok = perf_cpus_pin(core->cpu);
    if (!core->ok) {
        return NULL;
    }
    core->threshold_ns = threshold_find();
    uint64_t begin_ns = perf_clock_ns();
    uint64_t before_ns = begin_ns;
    while (before_ns - begin_ns < spinner->ns) {
        uint64_t now_ns = perf_clock_ns();
        if (now_ns - before_ns > core->threshold_ns) {
            gap_take(core, now_ns - before_ns);
        }
        before_ns = now_ns;
    }
    core->took_ns = before_ns - begin_ns;
    return NULL;
}

bool perf_jitter_look(struct perf_jitter_core *cores, unsigned cnt, uint64_t ns)
{
    struct spinner *spinners = perf_zeroed(cnt == 0 ? 1 : cnt, sizeof *spinners);
    bool ok = cnt > 0;
    for (unsigned i = 0; i < cnt; i++) {
        spinners[i] = (struct spinner){.core = &cores[i], .ns = ns};
        spinners[i].started = pthread_create(&spinners[i].thread, NULL, spin, &spinners[i]) == 0;
    }
    for (unsigned i = 0; i < cnt; i++) {
        if (spinners[i].started) {
            pthread_join(spinners[i].thread, NULL);
        }
        ok = ok && spinners[i].started && cores[i].ok;
    }
    free(spinners);
    return ok;
}

static double lost_percent(const struct perf_jitter_core *core)
{
    return (double)core->lost_ns * 100 / (double)core->took_ns;
}

static double gaps_per_s(const struct perf_jitter_core *core)
{
    return (double)core->gap_cnt * 1e9 / (double)core->took_ns;
}

void perf_jitter_fact(struct perf_environment *env)
{
    struct perf_jitter_core cores[PERF_JITTER_CORES_MAX];
    unsigned cnt = perf_jitter_cores(cores);
    char text[PERF_FACT_MAX] = "";
    size_t len = 0;
    bool ok = perf_jitter_look(cores, cnt, PERF_JITTER_FACT_NS);
    for (unsigned i = 0; i < cnt && ok && len < sizeof text; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "%scpu %d: %.0f gaps/s, at most %.1f us, %.3f %% lost",
                                i == 0 ? "" : "; ", cores[i].cpu, gaps_per_s(&cores[i]),
                                (double)cores[i].max_ns / 1e3, lost_percent(&cores[i]));
    }
    perf_environment_add(env, "jitter", "cores", "%s", text);
}

/* --- the workload ------------------------------------------------------------------------------
 */

static struct perf_result *result_of(const struct perf_jitter_core *core)
{
    char name[PERF_TEXT_MAX];
    snprintf(name, sizeof name, "cpu %d", core->cpu);
    struct perf_result *r = perf_result_new("jitter", name);
    perf_result_number(r, "cpu", core->cpu);
    return r;
}

static void run_fill(struct perf_run *run, const struct perf_jitter_core *core)
{
    run->seconds = (double)core->took_ns / 1e9;
    run->start_s = (double)time(NULL) - run->seconds;
    run->main = PERF_HIST_GAP;
    if (!core->ok) {
        perf_run_refuse(run, "a thread couldn't be started on this core");
        return;
    }
    run->metrics[PERF_METRIC_GAP_RATE] = gaps_per_s(core);
    run->metrics[PERF_METRIC_LOST_TIME] = lost_percent(core);
    perf_run_hist(run, PERF_HIST_GAP, core->hist);
}

static void cores_run(struct perf_jitter_core *cores, unsigned cnt, double seconds,
                      const struct perf_artefact *a)
{
    for (unsigned i = 0; i < cnt; i++) {
        cores[i] = (struct perf_jitter_core){.cpu = cores[i].cpu, .hist = perf_hist_new()};
    }
    perf_jitter_look(cores, cnt, (uint64_t)(seconds * (double)PERF_SECOND_NS));
    for (unsigned i = 0; i < cnt; i++) {
        run_fill(perf_run_add(a->results[i]), &cores[i]);
        perf_hist_end(cores[i].hist);
    }
}

int perf_jitter_main(const struct perf_options *options)
{
    struct perf_jitter_core cores[PERF_JITTER_CORES_MAX];
    struct perf_artefact *a = perf_tell_begin(options);
    unsigned cnt = perf_jitter_cores(cores);
    unsigned usual = options->quick ? 1 : PERF_VERDICT_RUNS_MIN;
    unsigned runs = options->runs != 0 ? options->runs : usual;
    double seconds = options->quick ? SECONDS_QUICK : SECONDS_DEFAULT;
    for (unsigned i = 0; i < cnt; i++) {
        perf_artefact_add(a, result_of(&cores[i]));
    }
    for (unsigned run = 0; run < runs; run++) {
        cores_run(cores, cnt, options->seconds > 0 ? options->seconds : seconds, a);
        if (!options->quiet) {
            fprintf(stderr, "run %u of %u: %u cores\n", run + 1, runs, cnt);
        }
    }
    return perf_tell(options, a, cnt > 0);
}
