/* slow of mcq alone, over its own interface: with the events and counters that nodes do not have.
 */
#include "perf/workloads/slow.h"

#include "perf/output/artefact.h"
#include "perf/output/report.h"
#include "perf/workloads/stopped.h"

#include <stdio.h>
#include <stdlib.h>

#define RUNS_MAX 100u
#define KINDS    2 /* without a stop, with one */
#define SECONDS  2.0

struct slow {
    struct perf_stopped_job job;
    double max_msgs_per_s;
    unsigned runs;
    struct perf_stopped_result results[KINDS][RUNS_MAX];
};

enum figure { RATE, P50, P99, FIGURES };

static const char *const figure_names[FIGURES] = {"msgs_per_s", "p50_us", "p99_us"};
static const char *const kind_names[KINDS] = {"all run", "one stopped"};

struct spread {
    double median, low, high;
};

static double figure_of(const struct perf_stopped_result *r, enum figure figure)
{
    return figure == RATE ? r->msgs_per_s : figure == P50 ? r->p50_us : r->p99_us;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct spread spread_of(const struct slow *slow, int kind, enum figure figure)
{
    double values[RUNS_MAX];
    unsigned n = slow->runs;
    for (unsigned i = 0; i < n; i++) {
        values[i] = figure_of(&slow->results[kind][i], figure);
    }
    qsort(values, n, sizeof values[0], ascending);
    double median = n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    return (struct spread){median, values[0], values[n - 1]};
}

static bool measure(const struct perf_stopped_job *job, struct perf_stopped_result *result)
{
    char reason[PERF_REASON_MAX];
    if (perf_stopped_measure(job, result, reason)) {
        return true;
    }
    fprintf(stderr, "mcq-perf: slow: %s\n", reason);
    return false;
}

/* ABBA, so that a drift of the machine meets both alike. */
static bool runs_measure(struct slow *slow)
{
    for (unsigned i = 0; i < slow->runs; i++) {
        for (int k = 0; k < KINDS; k++) {
            int kind = i % 2 == 0 ? k : KINDS - 1 - k;
            slow->job.stop = kind == 1;
            fprintf(stderr, "slow: run %u of %u, %s\n", i + 1, slow->runs, kind_names[kind]);
            if (!measure(&slow->job, &slow->results[kind][i])) {
                return false;
            }
        }
    }
    return true;
}

/* Messages that others than the victim should have got and didn't. */
static uint64_t lost_of(const struct slow *slow, const struct perf_stopped_result *r)
{
    uint64_t due = r->seen.published * (slow->job.subs - 1);
    return due > r->received ? due - r->received : 0;
}

static void text_tell(const struct slow *slow)
{
    printf("%u subscribers, %zu B, published at %.0f/s: %.0f %% of the %.0f/s that all of them "
           "take\n",
           slow->job.subs, slow->job.size, slow->job.msgs_per_s,
           100 * slow->job.msgs_per_s / slow->max_msgs_per_s, slow->max_msgs_per_s);
    perf_report_machine(stdout);
    printf("\n%-12s %12s %21s %21s\n", "median", kind_names[0], "(least-most)", kind_names[1]);
    for (int f = 0; f < FIGURES; f++) {
        struct spread a = spread_of(slow, 0, (enum figure)f);
        struct spread b = spread_of(slow, 1, (enum figure)f);
        printf("%-12s %12.1f (%.1f-%.1f) %12.1f (%.1f-%.1f)   ratio %.3f\n", figure_names[f],
               a.median, a.low, a.high, b.median, b.low, b.high, b.median / a.median);
    }
    for (int k = 0; k < KINDS; k++) {
        const struct perf_stopped_result *r = &slow->results[k][slow->runs - 1];
        printf("\n%s, last run: %llu published, %llu lost by the others, least %llu and most %llu "
               "of one\n  events: slow %llu (others %llu), dropped %llu (others %llu), counted "
               "%llu; blocks held at once %llu, takes that found none %llu\n",
               kind_names[k], (unsigned long long)r->seen.published,
               (unsigned long long)lost_of(slow, r), (unsigned long long)r->least,
               (unsigned long long)r->most, (unsigned long long)r->seen.slow_victim,
               (unsigned long long)r->seen.slow_others, (unsigned long long)r->seen.dropped_victim,
               (unsigned long long)r->seen.dropped_others,
               (unsigned long long)r->seen.dropped_counted, (unsigned long long)r->seen.blocks_peak,
               (unsigned long long)r->seen.blocks_empty);
    }
}

static void json_run(const struct slow *slow, int kind, unsigned i)
{
    const struct perf_stopped_result *r = &slow->results[kind][i];
    printf("%s{\"stopped\": %s, \"msgs_per_s\": %.1f, \"p50_us\": %.3f, \"p99_us\": %.3f, "
           "\"max_us\": %.3f, \"lost\": %llu, \"slow\": [%llu, %llu], \"dropped\": [%llu, %llu], "
           "\"dropped_counted\": %llu, \"blocks_peak\": %llu, \"blocks_empty\": %llu}",
           kind + (int)i == 0 ? "" : ", ", kind == 1 ? "true" : "false", r->msgs_per_s, r->p50_us,
           r->p99_us, r->max_us, (unsigned long long)lost_of(slow, r),
           (unsigned long long)r->seen.slow_victim, (unsigned long long)r->seen.slow_others,
           (unsigned long long)r->seen.dropped_victim, (unsigned long long)r->seen.dropped_others,
           (unsigned long long)r->seen.dropped_counted, (unsigned long long)r->seen.blocks_peak,
           (unsigned long long)r->seen.blocks_empty);
}

static void json_tell(const struct slow *slow)
{
    printf("{\"subs\": %u, \"size\": %zu, \"max_msgs_per_s\": %.1f, \"load_msgs_per_s\": %.1f, "
           "\"runs\": [",
           slow->job.subs, slow->job.size, slow->max_msgs_per_s, slow->job.msgs_per_s);
    for (int kind = 0; kind < KINDS; kind++) {
        for (unsigned i = 0; i < slow->runs; i++) {
            json_run(slow, kind, i);
        }
    }
    printf("]");
    for (int f = 0; f < FIGURES; f++) {
        struct spread a = spread_of(slow, 0, (enum figure)f);
        struct spread b = spread_of(slow, 1, (enum figure)f);
        printf(", \"%s\": {\"all_run\": %.3f, \"least\": %.3f, \"most\": %.3f, \"one_stopped\": "
               "%.3f, \"ratio\": %.4f}",
               figure_names[f], a.median, a.low, a.high, b.median, b.median / a.median);
    }
    printf(", \"schema\": \"mcq-perf\", \"version\": %d}\n", PERF_SCHEMA_VERSION);
}

int perf_slow_own_main(const struct perf_options *options)
{
    struct slow *slow = calloc(1, sizeof *slow);
    struct perf_stopped_result most;
    if (slow == NULL) {
        fputs("mcq-perf: slow: no memory for the results\n", stderr);
        return PERF_EXIT_MISSING;
    }
    slow->runs = options->runs != 0 ? options->runs : PERF_SLOW_RUNS_DEFAULT;
    slow->job = (struct perf_stopped_job){
        .subs = options->subs != 0 ? options->subs : PERF_SLOW_SUBS_DEFAULT,
        .size = options->size,
        .seconds = options->seconds > 0 ? options->seconds : SECONDS,
    };
    bool ok = measure(&slow->job, &most);
    if (ok) {
        slow->max_msgs_per_s = most.msgs_per_s;
        double load = options->load > 0 ? options->load : PERF_SLOW_LOAD_DEFAULT;
        slow->job.msgs_per_s = most.msgs_per_s * load;
        ok = runs_measure(slow);
    }
    if (ok && options->json) {
        json_tell(slow);
    } else if (ok) {
        text_tell(slow);
    }
    free(slow);
    return ok ? PERF_EXIT_MEASURED : PERF_EXIT_MISSING;
}
