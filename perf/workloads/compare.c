#include "perf/workloads/compare.h"

#include "perf/output/slower.h"
#include "perf/workloads/closed.h"
#include "perf/workloads/compare_rows.h"
#include "perf/workloads/compare_table.h"
#include "perf/workloads/tell.h"

#include <stdio.h>

#define QUICK_RUNS       5u
#define FULL_RUNS        7u
#define FULL_WINDOW      0.35
#define FULL_TRIPS_BLOCK 15000u /* enough for p99.9 */

/* Of all rounds together; what comes before and after takes a second or two. */
#define QUICK_BUDGET_NS (UINT64_C(75) * PERF_SECOND_NS)
#define FULL_BUDGET_NS  (UINT64_C(280) * PERF_SECOND_NS)

#define RTT_SIZE 16u

static const struct {
    size_t size;
    bool quick;
} rate_sizes[] = {{16, true}, {256, false}, {4096, false}, {65536, true}};

/* In the order of the tables; the first is what the others are compared with. */
static const struct {
    const struct perf_peer *peer;
    bool spins, blocks;  /* its round trips */
    enum perf_idle rate; /* how its throughput waits */
} entrants[] = {
    /* clang-format off */
    {&perf_peer_mcq, true, true, PERF_IDLE_SPIN},
    {&perf_peer_libzmq, false, true, PERF_IDLE_BLOCK},
    {&perf_peer_nng, false, true, PERF_IDLE_SPIN},
    {&perf_peer_raw, true, true, PERF_IDLE_BLOCK},
    {&perf_peer_raw_frames, false, false, PERF_IDLE_BLOCK},
    {&perf_peer_spin, true, false, PERF_IDLE_SPIN},
    {&perf_peer_epoll, true, true, PERF_IDLE_SPIN},
    {&perf_peer_uring, true, true, PERF_IDLE_SPIN},
    /* clang-format on */
};

#define ENTRANT_CNT (sizeof entrants / sizeof entrants[0])

_Static_assert(2 * ENTRANT_CNT * (2 + sizeof rate_sizes / sizeof rate_sizes[0]) <=
                   PERF_CLOSED_ARMS_MAX,
               "a comparison may have more arms than PERF_CLOSED_ARMS_MAX");

static void plan_rtt(struct perf_closed *closed, enum perf_idle idle)
{
    for (size_t i = 0; i < ENTRANT_CNT; i++) {
        if (idle == PERF_IDLE_SPIN ? entrants[i].spins : entrants[i].blocks) {
            perf_closed_add(closed, PERF_COMMAND_RTT, entrants[i].peer, idle, RTT_SIZE, true);
        }
    }
}

static void plan_rate(struct perf_closed *closed, size_t size)
{
    for (size_t i = 0; i < ENTRANT_CNT; i++) {
        perf_closed_add(closed, PERF_COMMAND_THROUGHPUT, entrants[i].peer, entrants[i].rate, size,
                        true);
    }
}

static void plan(struct perf_closed *closed, const struct perf_options *options)
{
    perf_closed_init(closed, options);
    if (!options->quick && options->seconds <= 0) {
        closed->seconds = FULL_WINDOW;
    }
    if (!options->quick && options->count == 0) {
        closed->trips[PERF_IDLE_BLOCK] = FULL_TRIPS_BLOCK;
    }
    /* The calls are for the artefact alone. */
    closed->trace = closed->trace && options->out != NULL;
    plan_rtt(closed, PERF_IDLE_SPIN);
    plan_rtt(closed, PERF_IDLE_BLOCK);
    for (size_t i = 0; i < sizeof rate_sizes / sizeof rate_sizes[0]; i++) {
        if (rate_sizes[i].quick || !options->quick) {
            plan_rate(closed, rate_sizes[i].size);
        }
    }
}

static void rounds_run(struct perf_closed *closed)
{
    const struct perf_options *options = closed->options;
    unsigned runs = options->quick ? QUICK_RUNS : FULL_RUNS;
    perf_arms_run_within(closed->arms, closed->cnt, options->runs > 0 ? options->runs : runs,
                         options->quick ? QUICK_BUDGET_NS : FULL_BUDGET_NS, perf_closed_measure,
                         closed, options->quiet);
}

static void table_tell(const struct perf_options *options, const struct perf_artefact *a,
                       const struct perf_row *rows, size_t cnt)
{
    if (options->json) {
        perf_compare_json(rows, cnt);
        return;
    }
    perf_compare_head(options->transport);
    perf_slower_print(a, stdout);
    perf_compare_text(rows, cnt);
}

int perf_compare_main(const struct perf_options *options)
{
    static struct perf_closed closed; /* too large for a stack */
    static struct perf_row rows[PERF_CLOSED_ARMS_MAX];
    struct perf_artefact *a = perf_tell_begin(options);
    plan(&closed, options);
    rounds_run(&closed);
    size_t row_cnt = perf_rows_make(rows, closed.arms, closed.cnt);
    perf_closed_give(&closed, a);
    perf_artefact_compare(a);
    table_tell(options, a, rows, row_cnt);
    bool ok = options->out == NULL || perf_artefact_save(a, options->out);
    ok = perf_artefact_valid(a) && ok;
    perf_artefact_end(a);
    return ok ? PERF_EXIT_MEASURED : PERF_EXIT_MISSING;
}
