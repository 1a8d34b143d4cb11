#include "perf/output/artefact.h"

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
