#include "perf/stats/permutation.h"

#include "perf/stats/bootstrap.h"
#include "perf/stats/random.h"
#include "perf/stats/verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A relabelling that parts the runs equally far, but for rounding, counts as one that does. */
#define TIE 1e-9

/* A column as it is summed: centred, and 0 in a row that lacks it. */
struct centred {
    double values[PERF_ROWS_MAX];
    bool there[PERF_ROWS_MAX];
    unsigned there_cnt;
    double squares; /* of all values */
    double share;   /* as labelled */
    unsigned beaten_cnt;
    struct perf_column *column;
};

struct test {
    struct centred *columns; /* by share, greatest first */
    unsigned cnt;
    unsigned row_cnt, b_cnt;
    unsigned tried_cnt;
};

/* Outliers are drawn in by the spread of both sides together, so labels play no part in it. */
static void draw_in(double *values, unsigned cnt)
{
    double off[PERF_ROWS_MAX];
    double middle = perf_median(values, cnt);
    for (unsigned i = 0; i < cnt; i++) {
        off[i] = fabs(values[i] - middle);
    }
    double reach = PERF_VERDICT_OUTLIER_MADS * perf_median_sort(off, cnt);
    for (unsigned i = 0; reach > 0 && i < cnt; i++) {
        values[i] = fmin(fmax(values[i], middle - reach), middle + reach);
    }
}

static void column_centre(struct centred *c, struct perf_column *column, unsigned row_cnt)
{
    double values[PERF_ROWS_MAX];
    unsigned cnt = 0;
    for (unsigned row = 0; row < row_cnt; row++) {
        c->there[row] = isfinite(column->values[row]);
        if (c->there[row]) {
            values[cnt++] = column->values[row];
        }
    }
    draw_in(values, cnt);
    double sum = 0;
    for (unsigned i = 0; i < cnt; i++) {
        sum += values[i];
    }
    unsigned at = 0;
    for (unsigned row = 0; row < row_cnt; row++) {
        c->values[row] = c->there[row] ? values[at++] - sum / cnt : 0;
        c->squares += c->values[row] * c->values[row];
    }
    c->there_cnt = cnt;
    c->column = column;
}

/* Of the variance, what lies between the rows listed and the others. Values are centred, so the sum
 * of one side is the negative sum of the other. */
static double share_between(const struct centred *c, const unsigned *rows, unsigned cnt,
                            double *sum)
{
    unsigned here_cnt = 0;
    *sum = 0;
    for (unsigned i = 0; i < cnt; i++) {
        *sum += c->values[rows[i]];
        here_cnt += c->there[rows[i]];
    }
    if (here_cnt == 0 || here_cnt == c->there_cnt || !(c->squares > 0)) {
        return 0;
    }
    double others = (double)(c->there_cnt - here_cnt);
    return *sum * *sum * c->there_cnt / (here_cnt * others) / c->squares;
}

/* Counts, for each column, whether it or any that parted less was parted as far as it really is. */
static void labels_try(struct test *test, const unsigned *rows)
{
    double greatest = 0, sum;
    for (unsigned i = test->cnt; i-- > 0;) {
        struct centred *c = &test->columns[i];
        greatest = fmax(greatest, share_between(c, rows, test->b_cnt, &sum));
        c->beaten_cnt += greatest >= c->share * (1 - TIE);
    }
    test->tried_cnt++;
}

static double ways(unsigned of, unsigned take)
{
    double cnt = 1;
    for (unsigned i = 1; i <= take; i++) {
        cnt = cnt * (of - take + i) / i;
    }
    return cnt;
}

/* The next choice of rows in their order; false after the last. */
static bool rows_next(unsigned *rows, unsigned cnt, unsigned row_cnt)
{
    unsigned at = cnt;
    while (at > 0 && rows[at - 1] == row_cnt - cnt + at - 1) {
        at--;
    }
    if (at == 0) {
        return false;
    }
    rows[at - 1]++;
    for (unsigned i = at; i < cnt; i++) {
        rows[i] = rows[i - 1] + 1;
    }
    return true;
}

static void try_all(struct test *test)
{
    unsigned rows[PERF_ROWS_MAX];
    for (unsigned i = 0; i < test->b_cnt; i++) {
        rows[i] = i;
    }
    do {
        labels_try(test, rows);
    } while (rows_next(rows, test->b_cnt, test->row_cnt));
}

static void try_some(struct test *test)
{
    struct perf_random random = PERF_RANDOM_INIT;
    unsigned rows[PERF_ROWS_MAX];
    for (unsigned i = 0; i < test->row_cnt; i++) {
        rows[i] = i;
    }
    for (unsigned n = 1; n < PERF_VERDICT_SPLITS_MAX; n++) {
        for (unsigned i = 0; i < test->b_cnt; i++) {
            unsigned other = i + perf_random_below(&random, test->row_cnt - i);
            unsigned row = rows[i];
            rows[i] = rows[other];
            rows[other] = row;
        }
        labels_try(test, rows);
    }
    /* The labelling that was measured is one of all. */
    for (unsigned i = 0; i < test->cnt; i++) {
        test->columns[i].beaten_cnt++;
    }
    test->tried_cnt++;
}

static int by_share(const void *a, const void *b)
{
    const struct centred *x = a, *y = b;
    return (x->share < y->share) - (x->share > y->share);
}

static void columns_label(struct test *test, struct perf_column *columns)
{
    unsigned rows[PERF_ROWS_MAX];
    for (unsigned i = 0; i < test->b_cnt; i++) {
        rows[i] = test->row_cnt - test->b_cnt + i;
    }
    for (unsigned i = 0; i < test->cnt; i++) {
        struct centred *c = &test->columns[i];
        double sum;
        column_centre(c, &columns[i], test->row_cnt);
        c->share = share_between(c, rows, test->b_cnt, &sum);
        columns[i].share = c->share;
        columns[i].b_above = sum > 0;
    }
    qsort(test->columns, test->cnt, sizeof *test->columns, by_share);
}

void perf_permutation_test(struct perf_column *columns, unsigned cnt, unsigned a_cnt,
                           unsigned b_cnt)
{
    struct test test = {.cnt = cnt, .row_cnt = a_cnt + b_cnt, .b_cnt = b_cnt};
    test.columns = perf_zeroed(cnt + 1, sizeof *test.columns);
    columns_label(&test, columns);
    if (ways(test.row_cnt, b_cnt) <= PERF_VERDICT_SPLITS_MAX) {
        try_all(&test);
    } else {
        try_some(&test);
    }
    /* A figure that parted less is never surer than one that parted more. */
    double p_value = 0;
    for (unsigned i = 0; i < cnt; i++) {
        p_value = fmax(p_value, (double)test.columns[i].beaten_cnt / test.tried_cnt);
        test.columns[i].column->p_value = p_value;
    }
    free(test.columns);
}
