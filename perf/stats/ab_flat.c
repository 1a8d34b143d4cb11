#include "perf/stats/ab_flat.h"

#include "perf/output/text.h"

#include <math.h>
#include <string.h>

static enum perf_better better_of(const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 0; i < PERF_METRIC_CNT; i++) {
        if (strcmp(perf_metric_kinds[i].name, name) == 0) {
            return perf_metric_kinds[i].better;
        }
    }
    return len > 3 && strcmp(name + len - 3, "_us") == 0 ? PERF_BETTER_LOW : PERF_BETTER_NEITHER;
}

static struct perf_trial *trial_of(struct perf_ab_flat *all, const char *name)
{
    for (unsigned i = 0; i < all->cnt; i++) {
        if (strcmp(all->names[i], name) == 0) {
            return &all->trials[i];
        }
    }
    if (all->cnt == PERF_FLAT_MAX || better_of(name) == PERF_BETTER_NEITHER) {
        return NULL;
    }
    struct perf_trial *trial = &all->trials[all->cnt];
    snprintf(all->names[all->cnt++], PERF_TEXT_MAX, "%s", name);
    trial->better = better_of(name);
    for (unsigned i = 0; i < PERF_RUNS_MAX; i++) {
        trial->a[i] = NAN;
        trial->b[i] = NAN;
    }
    return trial;
}

void perf_ab_flat_add(struct perf_ab_flat *all, const struct perf_flat *flat, unsigned side,
                      unsigned run)
{
    for (unsigned i = 0; i < flat->cnt; i++) {
        struct perf_trial *trial = trial_of(all, flat->names[i]);
        if (trial != NULL) {
            (side == 0 ? trial->a : trial->b)[run] = flat->values[i];
        }
    }
}

bool perf_ab_flat_judge(struct perf_ab_flat *all, unsigned runs, FILE *to)
{
    if (all->cnt == 0) {
        return false;
    }
    perf_verdicts_judge(all->trials, all->cnt, runs, runs);
    perf_text_verdict_head("A", "B", to);
    for (unsigned i = 0; i < all->cnt; i++) {
        perf_text_verdict(all->names[i], &all->trials[i].verdict, to);
    }
    return true;
}
