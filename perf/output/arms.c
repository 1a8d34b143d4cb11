#include "perf/output/artefact.h"
#include "perf/output/summary.h"
#include "perf/stats/family.h"
#include "perf/stats/figure.h"

#include <math.h>
#include <string.h>

/* Parameters that say how an arm runs, as bits. */
enum { OWN_PLACEMENT = 1, OWN_IDLE = 2 };

static const struct perf_param *param_find(const struct perf_result *r, const char *name)
{
    for (unsigned i = 0; i < r->param_cnt; i++) {
        if (strcmp(r->params[i].name, name) == 0) {
            return &r->params[i];
        }
    }
    return NULL;
}

static unsigned own_bit(const char *name)
{
    if (strcmp(name, "placement") == 0) {
        return OWN_PLACEMENT;
    }
    return strcmp(name, "idle") == 0 ? OWN_IDLE : 0;
}

/* All parameters of a but those in `without` are b's, too. */
static bool params_in(const struct perf_result *a, const struct perf_result *b, unsigned without)
{
    for (unsigned i = 0; i < a->param_cnt; i++) {
        const char *name = a->params[i].name;
        const struct perf_param *other = param_find(b, name);
        if ((own_bit(name) & without) != 0) {
            continue;
        }
        if (other == NULL || strcmp(a->params[i].text, other->text) != 0) {
            return false;
        }
    }
    return true;
}

static bool alike_without(const struct perf_result *a, const struct perf_result *b,
                          unsigned without)
{
    return strcmp(a->workload, b->workload) == 0 && params_in(a, b, without) &&
           params_in(b, a, without);
}

bool perf_results_alike(const struct perf_result *a, const struct perf_result *b)
{
    return alike_without(a, b, 0);
}

bool perf_results_comparable(const struct perf_result *a, const struct perf_result *b)
{
    return alike_without(a, b, OWN_PLACEMENT | OWN_IDLE);
}

/* What a placement is chosen by: the median of the main histogram, or of the only one, or the rate.
 * The less the better; NAN when there is none of them. */
static double standing_of(const struct perf_result *r)
{
    unsigned kind = r->run_cnt > 0 ? r->runs[0].main : 0;
    for (unsigned i = 0; i < PERF_HIST_CNT && !perf_summary_has(r, kind); i++) {
        kind = i;
    }
    if (perf_summary_has(r, kind)) {
        return perf_summary_of(r, perf_summary_point(kind, 0)).median;
    }
    return -perf_summary_of(r, perf_summary_metric(PERF_METRIC_RATE)).median;
}

/* Of an arm measured in several placements only the one it does best in is compared. */
static bool placed_best(const struct perf_artefact *a, unsigned idx)
{
    const struct perf_result *r = a->results[idx];
    for (unsigned i = 0; i < a->result_cnt; i++) {
        const struct perf_result *other = a->results[i];
        if (i == idx || strcmp(r->arm, other->arm) != 0 ||
            !alike_without(r, other, OWN_PLACEMENT) || perf_results_alike(r, other)) {
            continue;
        }
        double mine = standing_of(r), others = standing_of(other);
        if (others < mine || (isnan(mine) && !isnan(others)) || (mine == others && i < idx)) {
            return false;
        }
    }
    return true;
}

/* The first arm that is comparable with b, which is placed best; b itself when it is the first. */
static unsigned first_comparable(const struct perf_artefact *a, unsigned b)
{
    unsigned i = 0;
    while (!placed_best(a, i) || !perf_results_comparable(a->results[i], a->results[b])) {
        i++;
    }
    return i;
}

struct pair {
    unsigned a, b;
    bool done;
};

static bool same_arms(const struct perf_artefact *of, const struct pair *x, const struct pair *y)
{
    return strcmp(of->results[x->a]->workload, of->results[y->a]->workload) == 0 &&
           strcmp(of->results[x->a]->arm, of->results[y->a]->arm) == 0 &&
           strcmp(of->results[x->b]->arm, of->results[y->b]->arm) == 0;
}

static void verdicts_take(struct perf_artefact *a, const struct perf_family *family,
                          const struct pair *const *pairs)
{
    for (unsigned i = 0; i < family->cnt && a->comparison_cnt < PERF_VERDICTS_MAX; i++) {
        const struct pair *pair = pairs[family->members[i].pair];
        struct perf_comparison *to = &a->comparisons[a->comparison_cnt++];
        *to = (struct perf_comparison){pair->a, pair->b, "", family->trials[i].verdict};
        perf_figure_name(family->members[i].figure, to->figure);
    }
}

/* All pairs of the arms of pairs[first], which is the first of them. */
static void arms_compare(struct perf_artefact *a, struct pair *pairs, unsigned first, unsigned cnt)
{
    const struct pair *judged[PERF_RESULTS_MAX];
    struct perf_family family = {0};
    for (unsigned i = first; i < cnt; i++) {
        if (!pairs[i].done && same_arms(a, &pairs[first], &pairs[i])) {
            judged[family.pair_cnt] = &pairs[i];
            pairs[i].done = true;
            perf_family_add(&family, a->results[pairs[i].a], a->results[pairs[i].b]);
        }
    }
    perf_family_judge(&family);
    verdicts_take(a, &family, judged);
    perf_family_end(&family);
}

void perf_artefact_compare(struct perf_artefact *a)
{
    struct pair pairs[PERF_RESULTS_MAX];
    unsigned cnt = 0;
    a->comparison_cnt = 0;
    for (unsigned b = 0; b < a->result_cnt; b++) {
        unsigned first = placed_best(a, b) ? first_comparable(a, b) : b;
        if (first != b) {
            pairs[cnt++] = (struct pair){first, b, false};
        }
    }
    for (unsigned i = 0; i < cnt; i++) {
        if (!pairs[i].done) {
            arms_compare(a, pairs, i, cnt);
        }
    }
}
