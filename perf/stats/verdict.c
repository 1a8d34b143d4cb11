#include "perf/stats/verdict.h"

#include "perf/stats/bootstrap.h"
#include "perf/stats/permutation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned finite_take(double *to, const double *from, unsigned cnt)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < cnt; i++) {
        if (isfinite(from[i])) {
            to[taken++] = from[i];
        }
    }
    return taken;
}

static enum perf_judgement side_of(bool b_above, enum perf_better better)
{
    switch (better) {
    case PERF_BETTER_LOW:
        return b_above ? PERF_B_WORSE : PERF_B_BETTER;
    case PERF_BETTER_HIGH:
        return b_above ? PERF_B_BETTER : PERF_B_WORSE;
    case PERF_BETTER_NEITHER:
        break;
    }
    return PERF_NO_EVIDENCE;
}

static void judge(struct perf_trial *trial, const struct perf_column *column,
                  const struct perf_interval *difference)
{
    struct perf_verdict *v = &trial->verdict;
    v->p_value = column->p_value;
    double apart = fabs(v->median_b - v->median_a);
    bool b_above = v->median_b > v->median_a;
    bool one_side = b_above ? difference->low > 0 : difference->high < 0;
    if (v->p_value <= PERF_VERDICT_ALPHA && one_side && b_above == column->b_above && apart > 0 &&
        apart >= PERF_VERDICT_EFFECT_MIN * fabs(v->median_a)) {
        v->judgement = side_of(b_above, trial->better);
    }
}

/* Medians and intervals. True when there are runs enough for a judgement. */
static bool estimate(struct perf_trial *trial, unsigned a_cnt, unsigned b_cnt,
                     struct perf_interval *difference)
{
    double a[PERF_RUNS_MAX], b[PERF_RUNS_MAX];
    unsigned a_there = finite_take(a, trial->a, a_cnt);
    unsigned b_there = finite_take(b, trial->b, b_cnt);
    struct perf_verdict *v = &trial->verdict;
    struct perf_interval ratio = {NAN, NAN};
    *v = (struct perf_verdict){
        .median_a = perf_median(a, a_there),
        .median_b = perf_median(b, b_there),
        .p_value = NAN,
        .runs_a = a_there,
        .runs_b = b_there,
    };
    v->ratio = v->median_a > 0 ? v->median_b / v->median_a : NAN;
    if (a_there > 0 && b_there > 0) {
        perf_bootstrap_medians(a, a_there, b, b_there, &ratio, difference);
    }
    v->low = ratio.low;
    v->high = ratio.high;
    return a_there >= PERF_VERDICT_RUNS_MIN && b_there >= PERF_VERDICT_RUNS_MIN;
}

struct family {
    struct perf_trial **trials;
    struct perf_column *columns;
    struct perf_interval *differences;
    unsigned cnt;
};

static void family_add(struct family *family, struct perf_trial *trial, unsigned a_cnt,
                       unsigned b_cnt)
{
    if (!estimate(trial, a_cnt, b_cnt, &family->differences[family->cnt])) {
        return;
    }
    double *values = family->columns[family->cnt].values;
    for (unsigned i = 0; i < a_cnt + b_cnt; i++) {
        values[i] = i < a_cnt ? trial->a[i] : trial->b[i - a_cnt];
    }
    family->trials[family->cnt++] = trial;
}

void perf_verdicts_judge(struct perf_trial *trials, unsigned cnt, unsigned a_cnt, unsigned b_cnt)
{
    struct family family = {
        .trials = perf_zeroed(cnt + 1, sizeof *family.trials),
        .columns = perf_zeroed(cnt + 1, sizeof *family.columns),
        .differences = perf_zeroed(cnt + 1, sizeof *family.differences),
    };
    for (unsigned i = 0; i < cnt; i++) {
        family_add(&family, &trials[i], a_cnt, b_cnt);
    }
    if (family.cnt > 0) {
        perf_permutation_test(family.columns, family.cnt, a_cnt, b_cnt);
    }
    for (unsigned i = 0; i < family.cnt; i++) {
        judge(family.trials[i], &family.columns[i], &family.differences[i]);
    }
    free(family.trials);
    free(family.columns);
    free(family.differences);
}

struct perf_verdict perf_verdict_of(const double *a, unsigned a_cnt, const double *b,
                                    unsigned b_cnt, enum perf_better better)
{
    struct perf_trial trial = {.better = better};
    for (unsigned i = 0; i < a_cnt; i++) {
        trial.a[i] = a[i];
    }
    for (unsigned i = 0; i < b_cnt; i++) {
        trial.b[i] = b[i];
    }
    perf_verdicts_judge(&trial, 1, a_cnt, b_cnt);
    return trial.verdict;
}

const char *perf_judgement_name(enum perf_judgement judgement)
{
    switch (judgement) {
    case PERF_NO_EVIDENCE:
        return "no evidence";
    case PERF_B_BETTER:
        return "better";
    case PERF_B_WORSE:
        return "worse";
    }
    return "no evidence";
}
