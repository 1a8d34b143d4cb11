#include "perf/stats/verdict.h"

#include "perf/stats/bootstrap.h"
#include "perf/stats/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double normal(struct perf_random *r)
{
    double u = perf_random_share(r), v = perf_random_share(r);
    return sqrt(-2 * log(1 - u)) * cos(2 * M_PI * v);
}

/* A run's figure; at: its place in the order of the runs, 0 .. 1. */
typedef double sample_fn(struct perf_random *r, double at);

static double even(struct perf_random *r, double at)
{
    (void)at;
    return 12 * (1 + 0.02 * normal(r));
}

static double skewed(struct perf_random *r, double at)
{
    (void)at;
    return 12 * exp(0.4 * normal(r));
}

static double bimodal(struct perf_random *r, double at)
{
    (void)at;
    return (perf_random_below(r, 2) == 0 ? 10 : 14) * (1 + 0.01 * normal(r));
}

static double drifting(struct perf_random *r, double at)
{
    return 12 * (1 + 0.3 * at + 0.01 * normal(r));
}

static double with_outliers(struct perf_random *r, double at)
{
    return even(r, at) * (perf_random_below(r, 6) == 0 ? 1 + 9 * perf_random_share(r) : 1);
}

static double coarse(struct perf_random *r, double at)
{
    (void)at;
    return 12 + perf_random_below(r, 3);
}

static double heavy(struct perf_random *r, double at)
{
    (void)at;
    return 12 + fabs(tan(M_PI * (perf_random_share(r) - 0.5)));
}

static sample_fn *const shapes[] = {even, skewed, bimodal, drifting, with_outliers, coarse, heavy};
#define SHAPE_CNT (sizeof shapes / sizeof shapes[0])

/* All of them when there is time. */
static unsigned trials(unsigned cnt)
{
    return getenv("MCQ_TEST_LONG") != NULL ? cnt : cnt / 5;
}

/* Runs are made in the order A B B A A B B A ... */
static void interleave(struct perf_random *r, sample_fn *shape, double factor, unsigned runs,
                       double *a, double *b)
{
    for (unsigned i = 0; i < runs; i++) {
        double first = shape(r, (double)(2 * i) / (2 * runs));
        double second = shape(r, (double)(2 * i + 1) / (2 * runs));
        a[i] = i % 2 == 0 ? first : second;
        b[i] = (i % 2 == 0 ? second : first) * factor;
    }
}

Test(verdict, equals_hardly_ever_differ)
{
    const unsigned cnt = trials(1000);
    for (size_t shape = 0; shape < SHAPE_CNT; shape++) {
        struct perf_random r = PERF_RANDOM_INIT;
        unsigned said = 0;
        for (unsigned i = 0; i < cnt; i++) {
            double a[PERF_RUNS_MAX], b[PERF_RUNS_MAX];
            unsigned runs = 5 + i % 6;
            interleave(&r, shapes[shape], 1, runs, a, b);
            struct perf_verdict v = perf_verdict_of(a, runs, b, runs, PERF_BETTER_LOW);
            said += v.judgement != PERF_NO_EVIDENCE;
        }
        cr_assert_leq(said, cnt / 20, "shape %zu: %u of %u", shape, said, cnt);
    }
}

Test(verdict, a_tenth_more_is_always_found)
{
    struct perf_random r = PERF_RANDOM_INIT;
    for (unsigned i = 0; i < trials(1000); i++) {
        double a[PERF_RUNS_MAX], b[PERF_RUNS_MAX];
        unsigned runs = 5 + i % 6;
        interleave(&r, even, 1.1, runs, a, b);
        struct perf_verdict v = perf_verdict_of(a, runs, b, runs, PERF_BETTER_LOW);
        cr_assert_eq(v.judgement, PERF_B_WORSE, "trial %u, %u runs: p %f", i, runs, v.p_value);
        cr_assert(v.low > 1 && v.low <= v.ratio && v.ratio <= v.high);
        v = perf_verdict_of(b, runs, a, runs, PERF_BETTER_LOW);
        cr_assert_eq(v.judgement, PERF_B_BETTER);
        v = perf_verdict_of(a, runs, b, runs, PERF_BETTER_HIGH);
        cr_assert_eq(v.judgement, PERF_B_BETTER);
        v = perf_verdict_of(a, runs, b, runs, PERF_BETTER_NEITHER);
        cr_assert_eq(v.judgement, PERF_NO_EVIDENCE);
    }
}

Test(verdict, one_disturbed_run_of_ten_hides_nothing)
{
    struct perf_random r = PERF_RANDOM_INIT;
    for (unsigned i = 0; i < 50; i++) {
        double a[10], b[10];
        interleave(&r, even, 1.1, 10, a, b);
        a[i % 10] *= 3;
        struct perf_verdict v = perf_verdict_of(a, 10, b, 10, PERF_BETTER_LOW);
        cr_assert_eq(v.judgement, PERF_B_WORSE, "trial %u: p %f", i, v.p_value);
    }
}

/* What an artefact compares: percentiles that hang together, tails that hardly do, costs. */
#define FIGURES 16u

static void family_make(struct perf_random *r, struct perf_trial *trials, double slower_us,
                        unsigned runs)
{
    for (unsigned run = 0; run < 2 * runs; run++) {
        double mood = normal(r);
        bool is_a = run % 4 == 0 || run % 4 == 3;
        unsigned idx = run / 2;
        for (unsigned f = 0; f < FIGURES; f++) {
            double own = f < 6    ? 0.005 * normal(r)
                         : f < 12 ? 0.3 * fabs(normal(r))
                                  : 0.02 * normal(r);
            double value = 12 * (f + 1.0) * (1 + 0.015 * mood + own);
            value += !is_a && f < 12 ? slower_us : 0;
            trials[f].better = PERF_BETTER_LOW;
            (is_a ? trials[f].a : trials[f].b)[idx] = value;
        }
    }
}

static unsigned said_by(const struct perf_trial *trials, enum perf_judgement judgement)
{
    unsigned cnt = 0;
    for (unsigned f = 0; f < FIGURES; f++) {
        cnt += trials[f].verdict.judgement == judgement;
    }
    return cnt;
}

Test(verdict, artefacts_of_one_binary_hardly_ever_differ_in_anything)
{
    const unsigned cnt = trials(600);
    static struct perf_trial trials[FIGURES];
    struct perf_random r = PERF_RANDOM_INIT;
    unsigned said = 0;
    for (unsigned i = 0; i < cnt; i++) {
        unsigned runs = 5 + i % 4;
        family_make(&r, trials, 0, runs);
        perf_verdicts_judge(trials, FIGURES, runs, runs);
        said += said_by(trials, PERF_NO_EVIDENCE) != FIGURES;
    }
    /* One in twenty at most with room to spare. */
    cr_assert_leq(said, cnt / 40, "%u of %u", said, cnt);
}

Test(verdict, a_microsecond_is_always_found_among_many_figures)
{
    static struct perf_trial trials[FIGURES];
    struct perf_random r = PERF_RANDOM_INIT;
    for (unsigned i = 0; i < 60; i++) {
        unsigned runs = 8 + i % 3;
        family_make(&r, trials, 1, runs);
        perf_verdicts_judge(trials, FIGURES, runs, runs);
        cr_assert_eq(trials[0].verdict.judgement, PERF_B_WORSE, "trial %u, %u runs: p %f", i, runs,
                     trials[0].verdict.p_value);
        cr_assert_eq(said_by(trials, PERF_B_BETTER), 0);
    }
}

Test(verdict, few_runs_are_no_evidence)
{
    const double a[] = {1, 1.01, 1.02, 1.03, 1.04, 1.05}, b[] = {9, 9.1, 9.2, 9.3, NAN, 9.5};
    for (unsigned runs = 0; runs <= 5; runs++) {
        struct perf_verdict v = perf_verdict_of(a, runs, b, runs, PERF_BETTER_LOW);
        cr_assert_eq(v.judgement, PERF_NO_EVIDENCE);
        cr_assert(isnan(v.p_value));
        cr_assert(runs == 0 ? isnan(v.ratio) : v.ratio > 8);
    }
    struct perf_verdict v = perf_verdict_of(a, 6, b, 6, PERF_BETTER_LOW);
    cr_assert(v.judgement == PERF_B_WORSE && v.runs_a == 6 && v.runs_b == 5);
}

Test(verdict, what_all_runs_agree_on_needs_no_spread)
{
    const double zero[] = {0, 0, 0, 0, 0}, five[] = {5, 5, 5, 5, 5};
    const double near[] = {5.04, 5.04, 5.04, 5.04, 5.04};
    struct perf_verdict v = perf_verdict_of(zero, 5, five, 5, PERF_BETTER_LOW);
    cr_assert(v.judgement == PERF_B_WORSE && isnan(v.ratio) && isnan(v.low));
    v = perf_verdict_of(five, 5, zero, 5, PERF_BETTER_LOW);
    cr_assert(v.judgement == PERF_B_BETTER && v.ratio == 0 && v.low == 0);
    v = perf_verdict_of(five, 5, five, 5, PERF_BETTER_LOW);
    cr_assert(v.judgement == PERF_NO_EVIDENCE && v.ratio == 1 && v.p_value == 1);
    /* Eight in a thousand are not worth a word. */
    v = perf_verdict_of(five, 5, near, 5, PERF_BETTER_LOW);
    cr_assert(v.judgement == PERF_NO_EVIDENCE && v.p_value < 0.01);
}

Test(verdict, five_against_five_have_252_labellings)
{
    const double a[] = {1, 2, 3, 4, 5}, b[] = {6, 7, 8, 9, 10};
    struct perf_verdict v = perf_verdict_of(a, 5, b, 5, PERF_BETTER_LOW);
    cr_assert_float_eq(v.p_value, 2.0 / 252, 1e-12);
    const double c[] = {1, 2, 3, 4, 6}, d[] = {5, 7, 8, 9, 10};
    v = perf_verdict_of(c, 5, d, 5, PERF_BETTER_LOW);
    cr_assert_float_eq(v.p_value, 4.0 / 252, 1e-12);
}

Test(verdict, the_same_figures_give_the_same_verdict)
{
    struct perf_random r = PERF_RANDOM_INIT;
    double a[PERF_RUNS_MAX], b[PERF_RUNS_MAX];
    interleave(&r, skewed, 1, PERF_RUNS_MAX, a, b);
    struct perf_verdict v = perf_verdict_of(a, PERF_RUNS_MAX, b, PERF_RUNS_MAX, PERF_BETTER_LOW);
    struct perf_verdict w = perf_verdict_of(a, PERF_RUNS_MAX, b, PERF_RUNS_MAX, PERF_BETTER_LOW);
    cr_assert(v.low == w.low && v.high == w.high && v.p_value == w.p_value);
    cr_assert(v.low < 1 && v.high > 1);
}

Test(bootstrap, the_interval_covers_the_ratio_about_as_often_as_it_says)
{
    struct perf_random r = PERF_RANDOM_INIT;
    unsigned inside = 0;
    for (unsigned i = 0; i < 300; i++) {
        double a[10], b[10];
        struct perf_interval ratio, difference;
        interleave(&r, even, 1.5, 10, a, b);
        perf_bootstrap_medians(a, 10, b, 10, &ratio, &difference);
        inside += ratio.low <= 1.5 && 1.5 <= ratio.high;
    }
    cr_assert(inside >= 270, "%u of 300", inside);
}

Test(bootstrap, medians)
{
    double odd[] = {3, 1, 2}, pair[] = {4, 1};
    cr_assert_eq(perf_median(odd, 3), 2);
    cr_assert_eq(odd[0], 3);
    cr_assert_eq(perf_median_sort(pair, 2), 2.5);
    cr_assert_eq(pair[0], 1);
    cr_assert(isnan(perf_median(odd, 0)));
}
