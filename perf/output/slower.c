#include "perf/output/slower.h"

#include "perf/stats/figure.h"

#include <math.h>
#include <string.h>

static enum perf_better better_of(const char *name)
{
    for (unsigned i = 0; i < PERF_FIGURES_CNT; i++) {
        char own[PERF_TEXT_MAX];
        perf_figure_name(i, own);
        if (strcmp(own, name) == 0) {
            return perf_figure_better(i);
        }
    }
    return PERF_BETTER_NEITHER;
}

/* How many times better b does; below 1 it is a. NAN when a median is zero. */
static double lead_of_b(const struct perf_comparison *c)
{
    const struct perf_verdict *v = &c->verdict;
    bool high = better_of(c->figure) == PERF_BETTER_HIGH;
    double lead = high ? v->median_b / v->median_a : v->median_a / v->median_b;
    return isfinite(lead) ? lead : (double)NAN;
}

static const char *param_of(const struct perf_result *r, const char *name)
{
    for (unsigned i = 0; i < r->param_cnt; i++) {
        if (strcmp(r->params[i].name, name) == 0) {
            return r->params[i].text;
        }
    }
    return "";
}

static bool varies(const struct perf_artefact *a, const struct perf_result *r, const char *name)
{
    for (unsigned i = 0; i < a->result_cnt; i++) {
        const struct perf_result *other = a->results[i];
        if (strcmp(other->workload, r->workload) == 0 &&
            strcmp(param_of(other, name), param_of(r, name)) != 0) {
            return true;
        }
    }
    return false;
}

/* What tells this pair from others of its workload. */
static void params_print(const struct perf_artefact *a, const struct perf_result *r, FILE *to)
{
    for (unsigned i = 0; i < r->param_cnt; i++) {
        const char *name = r->params[i].name;
        if (strcmp(name, "placement") != 0 && varies(a, r, name)) {
            fprintf(to, ", %s %s", name, r->params[i].text);
        }
    }
}

static void line_print(const struct perf_artefact *a, const struct perf_comparison *c, FILE *to)
{
    const struct perf_result *first = a->results[c->a];
    const struct perf_result *other = a->results[c->b];
    double lead = lead_of_b(c);
    fprintf(to, "  %s %s", first->workload, c->figure);
    params_print(a, first, to);
    fprintf(to, ": %s %.6g, %s %.6g", first->arm, c->verdict.median_a, other->arm,
            c->verdict.median_b);
    if (isfinite(lead)) {
        fprintf(to, ", %.2f times better", lead);
    }
    fputc('\n', to);
}

void perf_slower_print(const struct perf_artefact *a, FILE *to)
{
    unsigned slower = 0, unproven = 0;
    if (a->comparison_cnt == 0) {
        return;
    }
    fprintf(to, "\nWhere %s does worse than a peer\n", a->results[a->comparisons[0].a]->arm);
    for (unsigned i = 0; i < a->comparison_cnt; i++) {
        const struct perf_comparison *c = &a->comparisons[i];
        if (c->verdict.judgement == PERF_B_BETTER) {
            line_print(a, c, to);
            slower++;
        } else if (lead_of_b(c) > 1 + PERF_VERDICT_EFFECT_MIN) {
            unproven++;
        }
    }
    if (slower == 0) {
        fputs("  nowhere that these runs prove\n", to);
    }
    if (unproven > 0) {
        fprintf(to, "  and %u figures whose medians are worse, without evidence\n", unproven);
    }
}
