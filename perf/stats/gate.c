#include "perf/stats/gate.h"

#include "perf/output/json_read.h"
#include "perf/output/summary.h"
#include "perf/output/text.h"
#include "perf/stats/family.h"
#include "perf/stats/figure.h"

#include <math.h>
#include <string.h>

struct gate {
    const struct perf_artefact *baseline, *now;
    const struct perf_result *pairs[PERF_RESULTS_MAX][2];
    unsigned pair_cnt;
    double percent;
    FILE *to, *complain;
};

static void result_name(const struct perf_result *r, FILE *to)
{
    fprintf(to, "%s of %s", r->workload, r->arm);
    for (unsigned i = 0; i < r->param_cnt; i++) {
        fprintf(to, ", %s %s", r->params[i].name, r->params[i].text);
    }
}

static const struct perf_result *result_find(const struct perf_artefact *a,
                                             const struct perf_result *like)
{
    for (unsigned i = 0; i < a->result_cnt; i++) {
        if (strcmp(a->results[i]->arm, like->arm) == 0 && perf_results_alike(a->results[i], like)) {
            return a->results[i];
        }
    }
    return NULL;
}

/* Every run counts, or none does: to leave out those that failed would be to choose. */
static bool runs_usable(const struct gate *g, const struct perf_result *r, const char *whose)
{
    for (unsigned i = 0; i < r->run_cnt; i++) {
        if (!r->runs[i].valid) {
            fprintf(g->complain, "mcq-perf gate: run %u of ", i + 1);
            result_name(r, g->complain);
            fprintf(g->complain, " in %s is INVALID (%s): measure again\n", whose,
                    r->runs[i].reason);
            return false;
        }
    }
    if (r->run_cnt < PERF_VERDICT_RUNS_MIN) {
        fputs("mcq-perf gate: ", g->complain);
        result_name(r, g->complain);
        fprintf(g->complain,
                " has %u runs in %s, and fewer than %u are never evidence: measure with --runs %u "
                "or more\n",
                r->run_cnt, whose, PERF_VERDICT_RUNS_MIN, PERF_VERDICT_RUNS_MIN);
        return false;
    }
    return true;
}

static bool pair_up(struct gate *g)
{
    for (unsigned i = 0; i < g->baseline->result_cnt; i++) {
        const struct perf_result *before = g->baseline->results[i];
        const struct perf_result *now = result_find(g->now, before);
        if (now == NULL) {
            fputs("mcq-perf gate: the baseline has ", g->complain);
            result_name(before, g->complain);
            fputs(", which wasn't measured now: compare runs of the same command\n", g->complain);
            return false;
        }
        if (!runs_usable(g, before, "the baseline") || !runs_usable(g, now, "what is new")) {
            return false;
        }
        g->pairs[g->pair_cnt][0] = before;
        g->pairs[g->pair_cnt++][1] = now;
    }
    for (unsigned i = 0; i < g->now->result_cnt; i++) {
        if (result_find(g->baseline, g->now->results[i]) == NULL) {
            fputs("mcq-perf gate: the baseline has no ", g->complain);
            result_name(g->now->results[i], g->complain);
            fputs(": compare runs of the same command\n", g->complain);
            return false;
        }
    }
    if (g->pair_cnt == 0) {
        fputs("mcq-perf gate: the baseline has no results\n", g->complain);
    }
    return g->pair_cnt > 0;
}

/* What is meant to differ, or always does. */
static bool fact_ignored(const struct perf_fact *fact)
{
    return strcmp(fact->group, "date") == 0 || strcmp(fact->name, "revision") == 0 ||
           strcmp(fact->name, "version") == 0 ||
           (strcmp(fact->group, "host") == 0 && strcmp(fact->name, "load") == 0);
}

static void environments_compare(const struct gate *g)
{
    for (unsigned i = 0; i < g->baseline->env.cnt; i++) {
        const struct perf_fact *fact = &g->baseline->env.facts[i];
        const char *now = perf_environment_find(&g->now->env, fact->group, fact->name);
        if (!fact_ignored(fact) && (now == NULL || strcmp(now, fact->text) != 0)) {
            fprintf(g->complain,
                    "mcq-perf gate: warning: another environment: %s %s was '%s' and is '%s'\n",
                    fact->group, fact->name, fact->text, now != NULL ? now : "not told");
        }
    }
}

/* All of the interval lies beyond the percentage. */
static bool beyond(const struct gate *g, const struct perf_verdict *v)
{
    double share = g->percent / 100;
    if (v->judgement != PERF_B_WORSE) {
        return false;
    }
    if (!isfinite(v->low) || !isfinite(v->high)) {
        return true;
    }
    return v->median_b > v->median_a ? v->low > 1 + share : v->high < 1 - share;
}

static unsigned verdicts_print(const struct gate *g, const struct perf_family *family)
{
    unsigned worse = 0, pair = family->pair_cnt;
    for (unsigned i = 0; i < family->cnt; i++) {
        char figure[PERF_TEXT_MAX];
        const struct perf_verdict *v = &family->trials[i].verdict;
        worse += beyond(g, v) ? 1 : 0;
        if (v->judgement == PERF_NO_EVIDENCE) {
            continue;
        }
        if (family->members[i].pair != pair) {
            pair = family->members[i].pair;
            fputc('\n', g->to);
            result_name(g->pairs[pair][0], g->to);
            fputc('\n', g->to);
            perf_text_verdict_head("baseline", "now", g->to);
        }
        perf_figure_name(family->members[i].figure, figure);
        perf_text_verdict(figure, v, g->to);
    }
    return worse;
}

static int judge(struct gate *g)
{
    struct perf_family family = {0};
    for (unsigned i = 0; i < g->pair_cnt; i++) {
        perf_family_add(&family, g->pairs[i][0], g->pairs[i][1]);
    }
    perf_family_judge(&family);
    unsigned worse = verdicts_print(g, &family);
    if (family.cnt == 0) {
        fputs("mcq-perf gate: the two have no figure in common\n", g->complain);
    } else if (worse > 0) {
        fprintf(g->to, "\ngate: WORSE: %u of %u figures, by more than %g %%\n", worse, family.cnt,
                g->percent);
    } else {
        fprintf(g->to, "gate: nothing is worse by more than %g %% among %u figures\n", g->percent,
                family.cnt);
    }
    int status = family.cnt == 0 ? PERF_EXIT_MISSING
                 : worse > 0     ? PERF_EXIT_WORSE
                                 : PERF_EXIT_MEASURED;
    perf_family_end(&family);
    return status;
}

int perf_gate_judge(const struct perf_artefact *baseline, const struct perf_artefact *now,
                    double percent, FILE *to, FILE *complain)
{
    struct gate g = {
        .baseline = baseline, .now = now, .percent = percent, .to = to, .complain = complain};
    if (!pair_up(&g)) {
        return PERF_EXIT_MISSING;
    }
    environments_compare(&g);
    return judge(&g);
}

int perf_gate_main(const struct perf_options *options)
{
    struct perf_artefact *sides[2] = {NULL, NULL};
    char reason[PERF_SENTENCE_MAX];
    int status = PERF_EXIT_MISSING;
    for (unsigned i = 0; i < 2; i++) {
        sides[i] = perf_artefact_load(options->words[i], reason);
        if (sides[i] == NULL) {
            fprintf(stderr, "mcq-perf gate: %s\n", reason);
            break;
        }
    }
    if (sides[0] != NULL && sides[1] != NULL) {
        status = perf_gate_judge(sides[0], sides[1], options->percent, stdout, stderr);
    }
    perf_artefact_end(sides[0]);
    perf_artefact_end(sides[1]);
    return status;
}
