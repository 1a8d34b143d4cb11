#include "perf/workloads/hop.h"

#include "perf/output/report.h"
#include "perf/run/clock.h"
#include "perf/workloads/tell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIPS_SPIN    UINT64_C(1000000)
#define TRIPS_BLOCK   UINT64_C(50000)
#define MSGS_PER_TRIP 20u
#define ROUNDS        3u
#define VALUE_MAX_NS  PERF_HIST_MAX_NS
#define ARENA_BYTES   (UINT64_C(64) << 20)
#define LARGE_BYTES   (UINT64_C(1) << 20)

typedef bool hop_run_fn(const struct mcq_opts *opts, struct perf_hop_meter *meter);

static const struct via {
    const char *name;
    hop_run_fn *run;
} vias[] = {
    [PERF_VIA_POST] = {"post", perf_hop_post_run},
    [PERF_VIA_INPROC] = {"inproc", perf_hop_inproc_run},
};

/* One way's figures over all rounds. */
struct hop {
    struct perf_hop_meter meter;
    uint64_t *counts;
    double rates[ROUNDS];
};

/* --- what every way calls -------------------------------------------------------------------- */

void perf_hop_ask(struct perf_hop_meter *m)
{
    memcpy(m->body, &m->trip, sizeof m->trip);
}

bool perf_hop_answered(struct perf_hop_meter *m, const void *data, size_t len)
{
    uint64_t now_ns = perf_clock_ns();
    uint64_t trip;
    memcpy(&trip, data, sizeof trip);
    m->wrong = m->wrong || trip != m->trip || len != m->size;
    if (m->trip > m->warmup) {
        mcq_hdr_record(&m->hdr, now_ns - m->last_ns);
    }
    m->last_ns = now_ns;
    m->trip++;
    return m->trip == m->warmup + m->trips;
}

bool perf_hop_received(struct perf_hop_meter *m, const void *data, size_t len)
{
    uint64_t seq;
    memcpy(&seq, data, sizeof seq);
    m->wrong = m->wrong || seq != m->received || len != m->size;
    return ++m->received == m->msgs;
}

/* --- one run --------------------------------------------------------------------------------- */

static bool hdr_open(struct mcq_hdr *hdr, uint64_t **counts)
{
    size_t cnt = mcq_hdr_counts_cnt(VALUE_MAX_NS);
    *counts = calloc(cnt, sizeof **counts);
    return *counts != NULL && mcq_hdr_init(hdr, *counts, cnt, VALUE_MAX_NS);
}

static bool hop_round(struct hop *hop, const struct via *via, const struct perf_options *options,
                      unsigned round)
{
    struct perf_hop_meter *m = &hop->meter;
    struct mcq_opts opts = MCQ_OPTS_INIT;
    opts.shards = 2;
    opts.idle = options->idle == PERF_IDLE_SPIN ? MCQ_IDLE_SPIN : MCQ_IDLE_BLOCK;
    opts.arena_bytes = ARENA_BYTES;
    opts.large_bytes = LARGE_BYTES;
    opts.log = mcq_log_stderr;
    m->trip = m->sent = m->received = m->answered = 0;
    if (!via->run(&opts, m)) {
        fprintf(stderr, "mcq-perf: hop: via %s failed%s\n", via->name,
                m->wrong ? ": a message was lost, doubled or out of order" : "");
        return false;
    }
    hop->rates[round] = (double)m->msgs * 1e9 / (double)m->stream_ns;
    return true;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double percentile_us(const struct mcq_hdr *hdr, uint32_t ppm)
{
    return (double)mcq_hdr_percentile(hdr, ppm) / 1000.0;
}

static void tell(const struct perf_options *options, const struct via *via, struct hop *hop,
                 const struct mcq_hdr *floor)
{
    qsort(hop->rates, ROUNDS, sizeof hop->rates[0], ascending);
    double p50_us = percentile_us(&hop->meter.hdr, 500000);
    double p99_us = percentile_us(&hop->meter.hdr, 990000);
    double floor_us = percentile_us(floor, 500000);
    if (options->json) {
        printf("{\"via\": \"%s\", \"size\": %zu, \"p50_us\": %.3f, \"p99_us\": %.3f, "
               "\"floor_us\": %.3f, \"msgs_per_s\": %.0f, \"idle\": \"%s\", "
               "\"schema\": \"mcq-perf\", \"version\": %d}\n",
               via->name, options->size, p50_us, p99_us, floor_us, hop->rates[ROUNDS / 2],
               perf_idle_name(options->idle), PERF_SCHEMA_VERSION);
        return;
    }
    printf("%-7s %4zu B   p50 %8.3f us   p99 %8.3f us   floor %8.3f us   ratio %6.2f   stream "
           "%12.0f msg/s (%.0f-%.0f)\n",
           via->name, options->size, p50_us, p99_us, floor_us, p50_us / floor_us,
           hop->rates[ROUNDS / 2], hop->rates[0], hop->rates[ROUNDS - 1]);
}

/* All rounds are one run: their trips are in one histogram. */
static struct perf_result *result_new(const struct perf_options *options, const struct via *via,
                                      const struct hop *hop, const struct mcq_hdr *floor)
{
    struct perf_result *r = perf_result_new("hop", "mcq");
    struct perf_run *run = perf_run_add(r);
    perf_result_text(r, "via", via->name);
    perf_result_number(r, "size", (double)options->size);
    perf_result_text(r, "idle", perf_idle_name(options->idle));
    run->main = PERF_HIST_RTT;
    run->metrics[PERF_METRIC_RATE] = hop->rates[ROUNDS / 2];
    run->metrics[PERF_METRIC_MSGS] = (double)hop->meter.msgs * ROUNDS;
    run->metrics[PERF_METRIC_FLOOR] = percentile_us(floor, 500000);
    perf_run_hist(run, PERF_HIST_RTT, &hop->meter.hdr);
    return r;
}

static bool save(const struct perf_options *options, const struct hop *hops,
                 const struct mcq_hdr *floor)
{
    if (options->out == NULL) {
        return true;
    }
    struct perf_artefact *a = perf_tell_begin(options);
    for (unsigned i = 0; i < sizeof vias / sizeof vias[0]; i++) {
        if ((options->via & 1u << i) != 0) {
            perf_artefact_add(a, result_new(options, &vias[i], &hops[i], floor));
        }
    }
    bool ok = perf_artefact_save(a, options->out);
    perf_artefact_end(a);
    return ok;
}

/* Floor and ways in turns, so that a drift of the machine meets all alike. */
static bool rounds_run(const struct perf_options *options, struct hop *hops, struct mcq_hdr *floor)
{
    const bool spin = options->idle == PERF_IDLE_SPIN;
    const uint64_t trips = options->count != 0 ? options->count : spin ? TRIPS_SPIN : TRIPS_BLOCK;
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (!perf_hop_floor(options->idle, trips, floor)) {
            fputs("mcq-perf: hop: it wants two CPUs and two threads\n", stderr);
            return false;
        }
        for (unsigned i = 0; i < sizeof vias / sizeof vias[0]; i++) {
            struct perf_hop_meter *m = &hops[i].meter;
            m->size = options->size;
            m->trips = trips;
            m->warmup = trips / 10 + 1;
            m->msgs = trips * MSGS_PER_TRIP;
            if ((options->via & 1u << i) != 0 && !hop_round(&hops[i], &vias[i], options, round)) {
                return false;
            }
        }
    }
    return true;
}

int perf_hop_main(const struct perf_options *options)
{
    const unsigned cnt = sizeof vias / sizeof vias[0];
    struct hop *hops = aligned_alloc(_Alignof(struct hop), cnt * sizeof *hops);
    struct mcq_hdr floor;
    uint64_t *floor_counts = NULL;
    bool ok = hops != NULL && hdr_open(&floor, &floor_counts);
    if (hops != NULL) {
        memset(hops, 0, cnt * sizeof *hops);
    }
    for (unsigned i = 0; ok && i < cnt; i++) {
        ok = hdr_open(&hops[i].meter.hdr, &hops[i].counts);
    }
    if (!ok) {
        fputs("mcq-perf: hop: no memory for the results\n", stderr);
    }
    ok = ok && rounds_run(options, hops, &floor);
    if (ok && !options->json) {
        perf_report_machine(stdout);
    }
    for (unsigned i = 0; i < cnt && hops != NULL; i++) {
        if (ok && (options->via & 1u << i) != 0) {
            tell(options, &vias[i], &hops[i], &floor);
        }
    }
    ok = ok && save(options, hops, &floor);
    for (unsigned i = 0; i < cnt && hops != NULL; i++) {
        free(hops[i].counts);
    }
    free(hops);
    free(floor_counts);
    return ok ? PERF_EXIT_MEASURED : PERF_EXIT_MISSING;
}
