#include "perf/output/row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Sorts what is not NAN to the front of sorted and returns how many that is. */
static size_t figures_sort(const double *figures, size_t cnt, double *sorted)
{
    size_t known = 0;
    for (size_t i = 0; i < cnt; i++) {
        if (!isnan(figures[i])) {
            sorted[known++] = figures[i];
        }
    }
    qsort(sorted, known, sizeof *sorted, by_value);
    return known;
}

static double median(const double *sorted, size_t cnt)
{
    if (cnt == 0) {
        return (double)NAN;
    }
    return (sorted[(cnt - 1) / 2] + sorted[cnt / 2]) / 2;
}

static void row_fill(struct perf_row *row, const struct perf_cell *cell)
{
    double sorted[PERF_RUNS_MAX];
    row->cell = cell;
    size_t used = cell->workload == PERF_WORKLOAD_RTT ? PERF_FIGURE_CNT : 1;
    for (size_t i = 0; i < PERF_FIGURE_CNT; i++) {
        size_t known = i < used ? figures_sort(cell->figures[i], cell->runs, sorted) : 0;
        bool worst = i == PERF_RTT_MAX && known > 0;
        row->figures[i] = worst ? sorted[known - 1] : median(sorted, known);
        if (i == 0) {
            row->low = known > 0 ? sorted[0] : (double)NAN;
            row->high = known > 0 ? sorted[known - 1] : (double)NAN;
        }
    }
}

static bool row_better(const struct perf_row *a, const struct perf_row *b)
{
    if (isnan(b->figures[0])) {
        return !isnan(a->figures[0]);
    }
    return a->cell->workload == PERF_WORKLOAD_RTT ? a->figures[0] < b->figures[0]
                                                  : a->figures[0] > b->figures[0];
}

/* The same row in another placement. */
static bool row_same(const struct perf_row *a, const struct perf_row *b)
{
    return a->cell->workload == b->cell->workload && a->cell->peer == b->cell->peer &&
           a->cell->idle == b->cell->idle && a->cell->size == b->cell->size;
}

/* The row to compare with; of a peer that always blocks there is one for both idle policies. */
static double base_of(const struct perf_row *rows, size_t cnt, const struct perf_row *row,
                      const struct perf_peer *peer)
{
    for (size_t i = 0; i < cnt; i++) {
        const struct perf_cell *base = rows[i].cell;
        bool same_idle = base->workload == PERF_WORKLOAD_THROUGHPUT || peer->always_blocks ||
                         base->idle == row->cell->idle;
        if (base->workload == row->cell->workload && base->peer == peer &&
            base->size == row->cell->size && same_idle) {
            return rows[i].figures[0];
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
    row->ratio_libzmq = row->cell->workload == PERF_WORKLOAD_RTT ? libzmq / own : own / libzmq;
}

size_t perf_rows_make(struct perf_row *rows, const struct perf_cell *cells, size_t cell_cnt)
{
    size_t cnt = 0;
    for (size_t i = 0; i < cell_cnt; i++) {
        struct perf_row row = {0};
        row_fill(&row, &cells[i]);
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
