#include "perf/workloads/compare_rows.h"

#include "perf/output/summary.h"

#include <math.h>
#include <stdio.h>

/* The points of enum perf_rtt_point are the first of every output's, and the maximum. */
static unsigned figure_of(const struct perf_row *row, unsigned i)
{
    if (!row->rtt) {
        return perf_summary_metric(PERF_METRIC_RATE);
    }
    return perf_summary_point(PERF_HIST_RTT, i == PERF_RTT_MAX ? PERF_POINT_CNT - 1 : i);
}

static void figures_fill(struct perf_row *row, const struct perf_result *r)
{
    for (unsigned i = 0; i < PERF_FIGURE_CNT; i++) {
        struct perf_summary s = {(double)NAN, (double)NAN, (double)NAN, 0};
        if (row->rtt || i == 0) {
            s = perf_summary_of(r, figure_of(row, i));
        }
        row->figures[i] = row->rtt && i == PERF_RTT_MAX ? s.high : s.median;
        if (i == 0) {
            row->low = s.low;
            row->high = s.high;
        }
    }
}

static struct perf_row row_of(const struct perf_arm *arm)
{
    struct perf_row row = {
        .rtt = perf_closed_is_rtt(arm),
        .peer = arm->peer,
        .idle = arm->idle,
        .place = arm->place,
        .size = (size_t)arm->param,
        .runs = perf_summary_valid(arm->result),
    };
    row.failures = arm->result->run_cnt - row.runs;
    snprintf(row.reason, sizeof row.reason, "%s", arm->reason);
    figures_fill(&row, arm->result);
    return row;
}

static bool row_better(const struct perf_row *a, const struct perf_row *b)
{
    if (isnan(b->figures[0])) {
        return !isnan(a->figures[0]);
    }
    return a->rtt ? a->figures[0] < b->figures[0] : a->figures[0] > b->figures[0];
}

/* The same row in another placement. */
static bool row_same(const struct perf_row *a, const struct perf_row *b)
{
    return a->rtt == b->rtt && a->peer == b->peer && a->idle == b->idle && a->size == b->size;
}

/* The row to compare with; of a peer that always blocks there is one for both idle policies. */
static double base_of(const struct perf_row *rows, size_t cnt, const struct perf_row *row,
                      const struct perf_peer *peer)
{
    for (size_t i = 0; i < cnt; i++) {
        const struct perf_row *base = &rows[i];
        bool same_idle = !base->rtt || peer->always_blocks || base->idle == row->idle;
        if (base->rtt == row->rtt && base->peer == peer && base->size == row->size && same_idle) {
            return base->figures[0];
        }
    }
    return (double)NAN;
}

static void row_compare(struct perf_row *row, const struct perf_row *rows, size_t cnt)
{
    double own = row->figures[0];
    double libzmq = base_of(rows, cnt, row, &perf_peer_libzmq);
    row->ratio_raw = own / base_of(rows, cnt, row, &perf_peer_raw);
    row->ratio_raw_frames = own / base_of(rows, cnt, row, &perf_peer_raw_frames);
    row->ratio_libzmq = row->rtt ? libzmq / own : own / libzmq;
}

size_t perf_rows_make(struct perf_row *rows, const struct perf_arm *arms, size_t arm_cnt)
{
    size_t cnt = 0;
    for (size_t i = 0; i < arm_cnt; i++) {
        struct perf_row row = row_of(&arms[i]);
        if (cnt == 0 || !row_same(&rows[cnt - 1], &row)) {
            rows[cnt++] = row;
        } else if (row_better(&row, &rows[cnt - 1])) {
            rows[cnt - 1] = row;
        }
    }
    for (size_t i = 0; i < cnt; i++) {
        row_compare(&rows[i], rows, cnt);
    }
    return cnt;
}
