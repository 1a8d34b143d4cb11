#include "perf/workloads/compare.h"

#include "perf/output/row.h"
#include "perf/output/table.h"
#include "perf/workloads/arms.h"
#include "perf/workloads/closed.h"
#include "perf/workloads/tell.h"

#include <stdio.h>

#define QUICK_RUNS   5u
#define FULL_RUNS    7u
#define QUICK_WINDOW 0.4
#define FULL_WINDOW  1.0

/* A slow machine gets fewer rounds rather than a longer wait, but no fewer than ROUNDS_MIN. */
#define QUICK_BUDGET_NS (UINT64_C(80) * PERF_SECOND_NS)
#define FULL_BUDGET_NS  (UINT64_C(280) * PERF_SECOND_NS)
#define ROUNDS_MIN      3u

#define RTT_SIZE 16u

static const struct {
    size_t size;
    bool quick;
} rate_sizes[] = {{16, true}, {256, false}, {4096, false}, {65536, true}};

/* A cell that fails this often is not tried again: each try may last until its deadline. */
#define FAILURES_MAX 2u

/* Cells of one throughput size and of the round trips: every peer once, libzmq twice. */
#define RATE_CELLS 5u
#define RTT_CELLS  6u
_Static_assert(RTT_CELLS + RATE_CELLS * (sizeof rate_sizes / sizeof rate_sizes[0]) <=
                   PERF_CELLS_MAX,
               "a comparison has more cells than PERF_CELLS_MAX");

struct compare {
    const struct perf_options *options;
    struct perf_cell cells[PERF_CELLS_MAX];
    size_t cell_cnt;
    unsigned rounds;
    double window_s;
    uint64_t start_ns;
    uint64_t budget_ns;
};

const char *perf_workload_name(enum perf_workload workload)
{
    return workload == PERF_WORKLOAD_RTT ? "rtt" : "throughput";
}

/* The arms of one workload and size differ in all that the table has as columns. */
static struct perf_result *cell_result(const struct compare *compare, const struct perf_cell *cell)
{
    bool rtt = cell->workload == PERF_WORKLOAD_RTT;
    char arm[PERF_TEXT_MAX];
    snprintf(arm, sizeof arm, "%s%s%s%s", cell->peer->name, rtt ? " " : "",
             rtt ? perf_idle_name(cell->idle) : "",
             !cell->peer->has_threads           ? ""
             : cell->place == PERF_PLACE_PINNED ? " pinned"
                                                : " free");
    return perf_closed_new(rtt ? PERF_COMMAND_RTT : PERF_COMMAND_THROUGHPUT, arm, cell->size,
                           compare->options->transport);
}

static void cell_add_placed(struct compare *compare, const struct perf_cell *like,
                            enum perf_place place)
{
    struct perf_cell *cell = &compare->cells[compare->cell_cnt++];
    *cell = *like;
    cell->place = place;
    if (cell->peer->missing != NULL) {
        snprintf(cell->reason, sizeof cell->reason, "%s", cell->peer->missing);
    }
    cell->result = cell_result(compare, cell);
}

/* A peer with threads of its own is measured in both placements: two cells, one row. */
static void cell_add(struct compare *compare, enum perf_workload workload,
                     const struct perf_peer *peer, enum perf_idle idle, size_t size)
{
    struct perf_cell cell = {.workload = workload, .peer = peer, .idle = idle, .size = size};
    cell_add_placed(compare, &cell, PERF_PLACE_PINNED);
    if (peer->has_threads) {
        cell_add_placed(compare, &cell, PERF_PLACE_FREE);
    }
}

static void plan_rtt(struct compare *compare)
{
    cell_add(compare, PERF_WORKLOAD_RTT, &perf_peer_mcq, PERF_IDLE_SPIN, RTT_SIZE);
    cell_add(compare, PERF_WORKLOAD_RTT, &perf_peer_raw, PERF_IDLE_SPIN, RTT_SIZE);
    cell_add(compare, PERF_WORKLOAD_RTT, &perf_peer_mcq, PERF_IDLE_BLOCK, RTT_SIZE);
    cell_add(compare, PERF_WORKLOAD_RTT, &perf_peer_raw, PERF_IDLE_BLOCK, RTT_SIZE);
    cell_add(compare, PERF_WORKLOAD_RTT, &perf_peer_libzmq, PERF_IDLE_BLOCK, RTT_SIZE);
}

static void plan_rate(struct compare *compare, size_t size)
{
    cell_add(compare, PERF_WORKLOAD_THROUGHPUT, &perf_peer_mcq, PERF_IDLE_SPIN, size);
    cell_add(compare, PERF_WORKLOAD_THROUGHPUT, &perf_peer_libzmq, PERF_IDLE_BLOCK, size);
    cell_add(compare, PERF_WORKLOAD_THROUGHPUT, &perf_peer_raw, PERF_IDLE_BLOCK, size);
    cell_add(compare, PERF_WORKLOAD_THROUGHPUT, &perf_peer_raw_frames, PERF_IDLE_BLOCK, size);
}

static void plan(struct compare *compare)
{
    const struct perf_options *options = compare->options;
    compare->rounds = options->quick ? QUICK_RUNS : FULL_RUNS;
    compare->window_s = options->quick ? QUICK_WINDOW : FULL_WINDOW;
    compare->budget_ns = options->quick ? QUICK_BUDGET_NS : FULL_BUDGET_NS;
    if (options->runs != 0) {
        compare->rounds = options->runs;
    }
    if (options->seconds > 0) {
        compare->window_s = options->seconds;
    }
    plan_rtt(compare);
    for (size_t i = 0; i < sizeof rate_sizes / sizeof rate_sizes[0]; i++) {
        if (rate_sizes[i].quick || !options->quick) {
            plan_rate(compare, rate_sizes[i].size);
        }
    }
}

static struct perf_rtt_job rtt_job(const struct compare *compare, const struct perf_cell *cell)
{
    struct perf_rtt_job job = {
        .size = cell->size,
        .count = compare->options->count,
        .idle = cell->idle,
        .transport = compare->options->transport,
    };
    if (job.count == 0) {
        job.count = job.idle == PERF_IDLE_SPIN ? PERF_RTT_COUNT_SPIN : PERF_RTT_COUNT_BLOCK;
    }
    return job;
}

static struct perf_rate_job rate_job(const struct compare *compare, const struct perf_cell *cell)
{
    return (struct perf_rate_job){
        .size = cell->size, .seconds = compare->window_s, .transport = compare->options->transport};
}

/* Calls are counted in a run of their own, after the first that was measured, and stand there. */
static bool cell_traces(const struct compare *compare, const struct perf_cell *cell)
{
    return cell->runs == 0 && compare->options->out != NULL && !compare->options->no_trace;
}

static bool cell_measure_rtt(const struct compare *compare, struct perf_cell *cell)
{
    struct perf_rtt_job job = rtt_job(compare, cell);
    struct perf_rtt_result result;
    struct mcq_hdr *hist = perf_hist_new();
    bool ok = perf_rtt_measure(cell->peer, &job, cell->place, &result, hist, cell->reason);
    if (ok && cell_traces(compare, cell)) {
        perf_rtt_trace(cell->peer, &job, &result);
    }
    for (size_t i = 0; ok && i < PERF_FIGURE_CNT; i++) {
        cell->figures[i][cell->runs] = result.us[i];
    }
    if (ok) {
        perf_closed_rtt_run(cell->result, &result, hist);
    }
    perf_hist_end(hist);
    return ok;
}

static bool cell_measure_rate(const struct compare *compare, struct perf_cell *cell)
{
    struct perf_rate_job job = rate_job(compare, cell);
    struct perf_rate_result result;
    if (!perf_rate_measure(cell->peer, &job, cell->place, &result, cell->reason)) {
        return false;
    }
    if (cell_traces(compare, cell)) {
        perf_rate_trace(cell->peer, &job, &result);
    }
    cell->figures[0][cell->runs] = perf_rate_msgs_per_s(&result);
    perf_closed_rate_run(cell->result, &result, cell->size);
    return true;
}

static void cell_progress(const struct compare *compare, const struct perf_cell *cell,
                          unsigned round, bool ok)
{
    if (compare->options->quiet) {
        return;
    }
    fprintf(stderr, "[%3.0f s] run %u of %u: %s %s %s %s %zu B: ",
            (double)(perf_clock_ns() - compare->start_ns) / (double)PERF_SECOND_NS, round + 1,
            compare->rounds, perf_workload_name(cell->workload), cell->peer->name,
            perf_idle_name(cell->idle), perf_place_name(cell->place), cell->size);
    if (!ok) {
        fprintf(stderr, "FAILED: %s\n", cell->reason);
    } else if (cell->workload == PERF_WORKLOAD_RTT) {
        fprintf(stderr, "p50 %.2f us\n", cell->figures[0][cell->runs - 1]);
    } else {
        fprintf(stderr, "%.0f msg/s\n", cell->figures[0][cell->runs - 1]);
    }
}

static void cell_run(const struct compare *compare, struct perf_cell *cell, unsigned round)
{
    if (cell->peer->missing != NULL || cell->failures == FAILURES_MAX) {
        return;
    }
    bool ok = cell->workload == PERF_WORKLOAD_RTT ? cell_measure_rtt(compare, cell)
                                                  : cell_measure_rate(compare, cell);
    if (ok) {
        cell->runs++;
    } else {
        cell->failures++;
    }
    cell_progress(compare, cell, round, ok);
}

static void rounds_run(struct compare *compare)
{
    for (unsigned round = 0; round < compare->rounds; round++) {
        uint64_t spent_ns = perf_clock_ns() - compare->start_ns;
        if (round >= ROUNDS_MIN && spent_ns + spent_ns / round > compare->budget_ns) {
            fprintf(stderr, "stopping after %u runs: the time is up\n", round);
            return;
        }
        for (unsigned i = 0; i < compare->cell_cnt; i++) {
            unsigned which = perf_arms_order((unsigned)compare->cell_cnt, round, i);
            cell_run(compare, &compare->cells[which], round);
        }
    }
}

/* What couldn't be measured at all is in the table alone. */
static bool artefact_save(const struct compare *compare)
{
    if (compare->options->out == NULL) {
        return true;
    }
    struct perf_artefact *a = perf_tell_begin(compare->options);
    for (size_t i = 0; i < compare->cell_cnt; i++) {
        if (compare->cells[i].runs > 0) {
            perf_artefact_add(a, compare->cells[i].result);
        }
    }
    perf_artefact_compare(a);
    bool ok = perf_artefact_save(a, compare->options->out);
    perf_artefact_end(a);
    return ok;
}

int perf_compare_main(const struct perf_options *options)
{
    static struct compare compare; /* too large for a stack */
    static struct perf_row rows[PERF_CELLS_MAX];
    compare.options = options;
    compare.start_ns = perf_clock_ns();
    plan(&compare);
    rounds_run(&compare);
    size_t row_cnt = perf_rows_make(rows, compare.cells, compare.cell_cnt);
    if (options->json) {
        perf_table_json(rows, row_cnt);
    } else {
        perf_table_text(rows, row_cnt, options->transport);
    }
    bool ok = artefact_save(&compare);
    for (size_t i = 0; i < compare.cell_cnt; i++) {
        ok = ok && compare.cells[i].failures == 0;
    }
    return ok ? PERF_EXIT_MEASURED : PERF_EXIT_MISSING;
}
