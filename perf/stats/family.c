#include "perf/stats/family.h"

#include "perf/stats/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *old, unsigned cnt, unsigned cap, size_t len)
{
    void *data = perf_zeroed(cap, len);
    if (cnt > 0) {
        memcpy(data, old, cnt * len);
    }
    free(old);
    return data;
}

static struct perf_trial *trial_add(struct perf_family *family, unsigned figure)
{
    if (family->cnt == family->cap) {
        family->cap = family->cap * 2 + PERF_FIGURES_CNT;
        family->trials = grown(family->trials, family->cnt, family->cap, sizeof *family->trials);
        family->members = grown(family->members, family->cnt, family->cap, sizeof *family->members);
    }
    family->members[family->cnt] = (struct perf_member){family->pair_cnt, figure};
    struct perf_trial *trial = &family->trials[family->cnt++];
    trial->better = perf_figure_better(figure);
    return trial;
}

static void values_fill(double *values, unsigned cnt)
{
    for (unsigned i = cnt; i < PERF_RUNS_MAX; i++) {
        values[i] = NAN;
    }
}

void perf_family_add(struct perf_family *family, const struct perf_result *a,
                     const struct perf_result *b)
{
    for (unsigned figure = 0; figure < PERF_FIGURES_CNT; figure++) {
        double of_a[PERF_RUNS_MAX], of_b[PERF_RUNS_MAX];
        unsigned a_there, b_there;
        if (perf_figure_better(figure) == PERF_BETTER_NEITHER) {
            continue;
        }
        unsigned a_cnt = perf_figure_values(a, figure, of_a, &a_there);
        unsigned b_cnt = perf_figure_values(b, figure, of_b, &b_there);
        if (a_there == 0 || b_there == 0) {
            continue;
        }
        struct perf_trial *trial = trial_add(family, figure);
        values_fill(of_a, a_cnt);
        values_fill(of_b, b_cnt);
        memcpy(trial->a, of_a, sizeof trial->a);
        memcpy(trial->b, of_b, sizeof trial->b);
        family->a_cnt = a_cnt > family->a_cnt ? a_cnt : family->a_cnt;
        family->b_cnt = b_cnt > family->b_cnt ? b_cnt : family->b_cnt;
    }
    family->pair_cnt++;
}

void perf_family_judge(struct perf_family *family)
{
    perf_verdicts_judge(family->trials, family->cnt, family->a_cnt, family->b_cnt);
}

void perf_family_end(struct perf_family *family)
{
    free(family->trials);
    free(family->members);
    *family = (struct perf_family){0};
}
