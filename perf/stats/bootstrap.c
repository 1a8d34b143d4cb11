#include "perf/stats/bootstrap.h"

#include "perf/output/result.h"
#include "perf/stats/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* So few values that anything but insertion would be slower. */
static void sort_few(double *values, unsigned cnt)
{
    for (unsigned i = 1; i < cnt; i++) {
        double value = values[i];
        unsigned at = i;
        while (at > 0 && values[at - 1] > value) {
            values[at] = values[at - 1];
            at--;
        }
        values[at] = value;
    }
}

double perf_median_sort(double *values, unsigned cnt)
{
    if (cnt == 0) {
        return NAN;
    }
    sort_few(values, cnt);
    return cnt % 2 == 1 ? values[cnt / 2] : (values[cnt / 2 - 1] + values[cnt / 2]) / 2;
}

double perf_median(const double *values, unsigned cnt)
{
    double copy[2 * PERF_RUNS_MAX];
    memcpy(copy, values, cnt * sizeof *values);
    return perf_median_sort(copy, cnt);
}

static double draw(struct perf_random *random, const double *values, unsigned cnt)
{
    double drawn[PERF_RUNS_MAX];
    for (unsigned i = 0; i < cnt; i++) {
        drawn[i] = values[perf_random_below(random, cnt)];
    }
    return perf_median_sort(drawn, cnt);
}

static struct perf_interval middle(double *values)
{
    qsort(values, PERF_BOOTSTRAP_CNT, sizeof *values, by_value);
    return (struct perf_interval){
        .low = values[PERF_BOOTSTRAP_CNT / 40],
        .high = values[PERF_BOOTSTRAP_CNT - 1 - PERF_BOOTSTRAP_CNT / 40],
    };
}

void perf_bootstrap_medians(const double *a, unsigned a_cnt, const double *b, unsigned b_cnt,
                            struct perf_interval *ratio, struct perf_interval *difference)
{
    struct perf_random random = PERF_RANDOM_INIT;
    double ratios[PERF_BOOTSTRAP_CNT], differences[PERF_BOOTSTRAP_CNT];
    bool positive = true;
    for (unsigned i = 0; i < PERF_BOOTSTRAP_CNT; i++) {
        double median_a = draw(&random, a, a_cnt);
        double median_b = draw(&random, b, b_cnt);
        positive = positive && median_a > 0;
        ratios[i] = positive ? median_b / median_a : 0;
        differences[i] = median_b - median_a;
    }
    *difference = middle(differences);
    *ratio = positive ? middle(ratios) : (struct perf_interval){NAN, NAN};
}
