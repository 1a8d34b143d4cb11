#include "perf/output/artefact.h"

#include "perf/stats/family.h"
#include "perf/stats/figure.h"

#include <stdlib.h>
#include <string.h>

struct perf_word {
    struct perf_word *next;
    char text[];
};

struct perf_artefact *perf_artefact_new(const char *command, int argc, char **argv)
{
    struct perf_artefact *a = perf_zeroed(1, sizeof *a);
    a->command = command;
    a->argc = argc;
    a->argv = argv;
    return a;
}

void perf_artefact_end(struct perf_artefact *a)
{
    if (a == NULL) {
        return;
    }
    for (unsigned i = 0; i < a->result_cnt; i++) {
        perf_result_end(a->results[i]);
    }
    while (a->words != NULL) {
        struct perf_word *word = a->words;
        a->words = word->next;
        free(word);
    }
    free(a);
}

const char *perf_artefact_word(struct perf_artefact *a, const char *text)
{
    size_t len = strlen(text) + 1;
    struct perf_word *word = perf_zeroed(1, sizeof *word + len);
    memcpy(word->text, text, len);
    word->next = a->words;
    a->words = word;
    return word->text;
}

void perf_artefact_add(struct perf_artefact *a, struct perf_result *r)
{
    if (a->result_cnt == PERF_RESULTS_MAX) {
        fprintf(stderr, "mcq-perf: %s of %s is left out: an artefact has at most %u results\n",
                r->workload, r->arm, PERF_RESULTS_MAX);
        perf_result_end(r);
        return;
    }
    a->results[a->result_cnt++] = r;
}

bool perf_artefact_valid(const struct perf_artefact *a)
{
    for (unsigned i = 0; i < a->result_cnt; i++) {
        const struct perf_result *r = a->results[i];
        if (r->run_cnt == 0) {
            return false;
        }
        for (unsigned run = 0; run < r->run_cnt; run++) {
            if (!r->runs[run].valid) {
                return false;
            }
        }
    }
    return a->result_cnt > 0;
}

static const struct perf_param *param_find(const struct perf_result *r, const char *name)
{
    for (unsigned i = 0; i < r->param_cnt; i++) {
        if (strcmp(r->params[i].name, name) == 0) {
            return &r->params[i];
        }
    }
    return NULL;
}

/* All parameters of a that count are b's, too. */
static bool params_in(const struct perf_result *a, const struct perf_result *b, bool arms_own)
{
    for (unsigned i = 0; i < a->param_cnt; i++) {
        const char *name = a->params[i].name;
        const struct perf_param *other = param_find(b, name);
        if (!arms_own && (strcmp(name, "placement") == 0 || strcmp(name, "idle") == 0)) {
            continue;
        }
        if (other == NULL || strcmp(a->params[i].text, other->text) != 0) {
            return false;
        }
    }
    return true;
}

bool perf_results_alike(const struct perf_result *a, const struct perf_result *b)
{
    return strcmp(a->workload, b->workload) == 0 && params_in(a, b, true) && params_in(b, a, true);
}

bool perf_results_comparable(const struct perf_result *a, const struct perf_result *b)
{
    return strcmp(a->workload, b->workload) == 0 && params_in(a, b, false) &&
           params_in(b, a, false);
}

/* The first arm with b's workload and parameters; b itself when it is the first. */
static unsigned first_comparable(const struct perf_artefact *a, unsigned b)
{
    unsigned i = 0;
    while (!perf_results_comparable(a->results[i], a->results[b])) {
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
        unsigned first = first_comparable(a, b);
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
