#include "perf/stats/gate.h"

#include "specimen.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
    int status;
    char *said, *complained;
};

static struct outcome judge(const struct perf_artefact *baseline, const struct perf_artefact *now,
                            double percent)
{
    struct outcome o = {0};
    size_t said_len, complained_len;
    FILE *to = open_memstream(&o.said, &said_len);
    FILE *complain = open_memstream(&o.complained, &complained_len);
    o.status = perf_gate_judge(baseline, now, percent, to, complain);
    fclose(to);
    fclose(complain);
    return o;
}

/* Ends both artefacts. */
static void assert_judged(struct perf_artefact *baseline, struct perf_artefact *now, double percent,
                          int status, const char *said, const char *complained)
{
    struct outcome o = judge(baseline, now, percent);
    cr_assert_eq(o.status, status, "%d: %s%s", o.status, o.said, o.complained);
    cr_assert(strstr(o.said, said) != NULL, "%s", o.said);
    cr_assert(strstr(o.complained, complained) != NULL, "%s", o.complained);
    free(o.said);
    free(o.complained);
    perf_artefact_end(baseline);
    perf_artefact_end(now);
}

Test(gate, the_same_is_not_worse)
{
    assert_judged(specimen_artefact(6, 1.5), specimen_artefact(6, 1.5), 2, PERF_EXIT_MEASURED,
                  "nothing is worse", "");
}

Test(gate, worse_is_three_and_better_is_zero)
{
    assert_judged(specimen_artefact(6, 1), specimen_artefact(6, 1.2), 2, PERF_EXIT_WORSE,
                  "response p50", "");
    assert_judged(specimen_artefact(6, 1.2), specimen_artefact(6, 1), 2, PERF_EXIT_MEASURED,
                  "better", "");
}

Test(gate, less_than_the_percentage_is_let_through)
{
    assert_judged(specimen_artefact(8, 1), specimen_artefact(8, 1.2), 30, PERF_EXIT_MEASURED,
                  "nothing is worse by more than 30 %", "");
    assert_judged(specimen_artefact(8, 1), specimen_artefact(8, 1.2), 10, PERF_EXIT_WORSE, "WORSE",
                  "");
}

Test(gate, a_rate_that_falls_is_worse)
{
    struct perf_artefact *baseline = specimen_artefact(6, 1), *now = specimen_artefact(6, 1);
    for (unsigned i = 0; i < 6; i++) {
        now->results[0]->runs[i].metrics[PERF_METRIC_RATE] *= 0.8 + 0.001 * i;
    }
    assert_judged(baseline, now, 2, PERF_EXIT_WORSE, "msgs_per_s", "");
}

Test(gate, what_cannot_be_compared_is_refused)
{
    struct perf_artefact *now = specimen_artefact(6, 1);
    snprintf(now->results[0]->params[0].text, PERF_TEXT_MAX, "999");
    assert_judged(specimen_artefact(6, 1), now, 2, PERF_EXIT_MISSING, "", "rate 1000");
    now = specimen_artefact(6, 1);
    now->results[3]->workload = "soak";
    assert_judged(specimen_artefact(6, 1), now, 2, PERF_EXIT_MISSING, "", "wasn't measured now");
    now = specimen_artefact(6, 1);
    perf_artefact_add(now, specimen_result("third", 6, 1, 1000));
    assert_judged(specimen_artefact(6, 1), now, 2, PERF_EXIT_MISSING, "", "of third");
    now = specimen_artefact(6, 1);
    perf_run_refuse(&now->results[1]->runs[4], "a gap");
    assert_judged(specimen_artefact(6, 1), now, 2, PERF_EXIT_MISSING, "", "INVALID (a gap)");
    assert_judged(specimen_artefact(4, 1), specimen_artefact(6, 1), 2, PERF_EXIT_MISSING, "",
                  "4 runs");
    assert_judged(perf_artefact_new("load", 0, NULL), perf_artefact_new("load", 0, NULL), 2,
                  PERF_EXIT_MISSING, "", "no results");
}

Test(gate, another_environment_is_named)
{
    struct perf_artefact *now = specimen_artefact(6, 1);
    snprintf(now->env.facts[1].text, PERF_FACT_MAX, "Slide rule");
    assert_judged(specimen_artefact(6, 1), now, 2, PERF_EXIT_MEASURED, "nothing",
                  "cpu model was 'Abacus' and is 'Slide rule'");
}

Test(artefact, arms_are_compared_with_the_first_of_their_parameters)
{
    struct perf_artefact *a = specimen_artefact(6, 1.2);
    cr_assert(a->comparison_cnt > 0);
    bool pairs[4] = {false};
    for (unsigned i = 0; i < a->comparison_cnt; i++) {
        const struct perf_comparison *c = &a->comparisons[i];
        cr_assert((c->a == 0 && c->b == 1) || (c->a == 2 && c->b == 3));
        pairs[c->b] = true;
        if (strcmp(c->figure, "response p50") == 0) {
            cr_assert_eq(c->verdict.judgement, PERF_B_WORSE);
            cr_assert(fabs(c->verdict.ratio - 1.2) < 0.05);
        }
        cr_assert(strncmp(c->figure, "lag", 3) != 0);
    }
    cr_assert(pairs[1] && pairs[3]);
    perf_artefact_end(a);
}

Test(artefact, how_an_arm_runs_is_not_what_it_is_asked_for)
{
    struct perf_result *a = specimen_result("mcq", 1, 1, 10);
    struct perf_result *b = specimen_result("libzmq", 1, 1, 10);
    cr_assert(perf_results_alike(a, b) && perf_results_comparable(a, b));
    perf_result_text(a, "idle", "spin");
    perf_result_text(b, "idle", "block");
    perf_result_text(b, "placement", "free");
    cr_assert(!perf_results_alike(a, b) && perf_results_comparable(a, b));
    perf_result_text(b, "depth", "3");
    cr_assert(!perf_results_comparable(a, b) && !perf_results_comparable(b, a));
    perf_result_end(a);
    perf_result_end(b);
}

Test(artefact, the_best_placement_of_an_arm_is_compared)
{
    static const double factors[] = {1, 1.4, 1.2};
    struct perf_artefact *a = perf_artefact_new("load", 0, NULL);
    for (unsigned i = 0; i < 3; i++) {
        struct perf_result *r = specimen_result(i == 0 ? "mcq" : "libzmq", 6, factors[i], 10);
        perf_result_text(r, "placement", i == 2 ? "free" : "pinned");
        perf_artefact_add(a, r);
    }
    perf_artefact_compare(a);
    cr_assert(a->comparison_cnt > 0);
    for (unsigned i = 0; i < a->comparison_cnt; i++) {
        cr_assert(a->comparisons[i].a == 0 && a->comparisons[i].b == 2);
    }
    /* As first arm, too. */
    struct perf_result *first = a->results[0];
    a->results[0] = a->results[1];
    a->results[1] = first;
    perf_artefact_compare(a);
    cr_assert(a->comparison_cnt > 0);
    for (unsigned i = 0; i < a->comparison_cnt; i++) {
        cr_assert(a->comparisons[i].a == 1 && a->comparisons[i].b == 2);
    }
    perf_artefact_end(a);
}

Test(artefact, runs_that_are_not_valid_count_for_nothing)
{
    struct perf_artefact *a = specimen_artefact(6, 1);
    cr_assert(perf_artefact_valid(a));
    struct perf_run *run = &a->results[1]->runs[0];
    run->metrics[PERF_METRIC_SERVER_CPU_MSG] = 1e9;
    perf_run_refuse(run, "first %d", 1);
    perf_run_refuse(run, "second");
    cr_assert_str_eq(run->reason, "first 1");
    cr_assert(!perf_artefact_valid(a));
    perf_artefact_compare(a);
    for (unsigned i = 0; i < a->comparison_cnt; i++) {
        cr_assert_leq(a->comparisons[i].verdict.runs_b, a->comparisons[i].b == 1 ? 5u : 6u);
        cr_assert(a->comparisons[i].verdict.median_b < 1e6);
    }
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    perf_artefact_print(a, to);
    fclose(to);
    cr_assert(strstr(text, "INVALID: 1 of 6 runs") != NULL && strstr(text, "first 1") != NULL);
    cr_assert(strstr(text, "n/a") != NULL);
    free(text);
    perf_artefact_end(a);
}
