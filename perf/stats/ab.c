#include "perf/stats/ab.h"

#include "perf/output/json_read.h"
#include "perf/stats/ab_flat.h"
#include "perf/stats/bootstrap.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct ab {
    const struct perf_options *options;
    struct perf_artefact *merged; /* of artefacts: results 2i and 2i+1 are A's and B's i-th */
    struct perf_ab_flat *flat;    /* of flat objects */
    unsigned runs;
    bool any_artefact, any_flat;
};

__attribute__((format(printf, 1, 2))) static bool complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mcq-perf ab: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return false;
}

static void params_copy(struct perf_artefact *owner, struct perf_result *to,
                        const struct perf_result *from)
{
    for (unsigned i = 0; i < from->param_cnt; i++) {
        to->params[i] = from->params[i];
        to->params[i].name = perf_artefact_word(owner, from->params[i].name);
    }
    to->param_cnt = from->param_cnt;
}

/* Two arms of the same parameters, those of A: what B was called with is B's difference. */
static void arms_open(struct ab *ab, const struct perf_artefact *first)
{
    for (unsigned i = 0; i < first->result_cnt; i++) {
        const struct perf_result *r = first->results[i];
        const char *workload = perf_artefact_word(ab->merged, r->workload);
        for (unsigned side = 0; side < 2; side++) {
            char arm[PERF_TEXT_MAX];
            snprintf(arm, sizeof arm, "%s %.90s", side == 0 ? "A" : "B", r->arm);
            struct perf_result *to = perf_result_new(workload, arm);
            params_copy(ab->merged, to, r);
            /* Two arms of a workload with the same parameters stay apart from two others. */
            perf_result_number(to, "result", i);
            perf_artefact_add(ab->merged, to);
        }
    }
}

static void metrics_take(struct perf_run *to, const struct perf_result *from)
{
    for (unsigned metric = 0; metric < PERF_METRIC_CNT; metric++) {
        double values[PERF_RUNS_MAX];
        unsigned cnt = 0;
        for (unsigned i = 0; i < from->run_cnt; i++) {
            if (isfinite(from->runs[i].metrics[metric])) {
                values[cnt++] = from->runs[i].metrics[metric];
            }
        }
        to->metrics[metric] = perf_median_sort(values, cnt);
    }
}

static void hists_take(struct perf_run *to, const struct perf_result *from)
{
    for (unsigned i = 0; i < from->run_cnt; i++) {
        for (unsigned kind = 0; kind < PERF_HIST_CNT; kind++) {
            const struct mcq_hdr *h = from->runs[i].hists[kind];
            if (h == NULL) {
                continue;
            }
            if (to->hists[kind] == NULL) {
                to->hists[kind] = perf_hist_new();
            }
            mcq_hdr_merge(to->hists[kind], h);
        }
    }
}

/* All runs of one call as one. */
static void call_take(struct perf_result *to, const struct perf_result *from)
{
    struct perf_run *run = perf_run_add(to);
    if (run == NULL) {
        return;
    }
    run->start_s = from->runs[0].start_s;
    for (unsigned i = 0; i < from->run_cnt; i++) {
        run->seconds += from->runs[i].seconds;
    }
    metrics_take(run, from);
    hists_take(run, from);
}

static bool artefact_fits(const struct ab *ab, const struct perf_artefact *a)
{
    if (!perf_artefact_valid(a)) {
        return complain("it measured nothing, or runs that aren't valid");
    }
    if (2 * a->result_cnt > PERF_RESULTS_MAX) {
        return complain("it has more than %u results", PERF_RESULTS_MAX / 2);
    }
    if (ab->merged->result_cnt != 0 && ab->merged->result_cnt != 2 * a->result_cnt) {
        return complain("it has %u results, and the first call had %u", a->result_cnt,
                        ab->merged->result_cnt / 2);
    }
    for (unsigned i = 0; 2 * i < ab->merged->result_cnt; i++) {
        if (strcmp(ab->merged->results[2 * i]->workload, a->results[i]->workload) != 0) {
            return complain("its result %u is of %s, and the first call's of %s", i + 1,
                            a->results[i]->workload, ab->merged->results[2 * i]->workload);
        }
    }
    return true;
}

static bool artefact_take(struct ab *ab, const struct perf_artefact *a, unsigned side)
{
    if (!artefact_fits(ab, a)) {
        return false;
    }
    if (ab->merged->result_cnt == 0) {
        arms_open(ab, a);
    }
    for (unsigned i = 0; i < a->result_cnt; i++) {
        call_take(ab->merged->results[2 * i + side], a->results[i]);
    }
    ab->any_artefact = true;
    return true;
}

/* Flat objects have a schema's name, too, but no results. */
static bool output_take(struct ab *ab, const char *text, size_t len, unsigned side, unsigned run)
{
    char reason[PERF_SENTENCE_MAX], flat_reason[PERF_SENTENCE_MAX];
    struct perf_artefact *a = perf_artefact_parse(text, len, reason);
    if (a != NULL) {
        bool ok = artefact_take(ab, a, side);
        perf_artefact_end(a);
        return ok;
    }
    struct perf_flat flat;
    if (memmem(text, len, "\"results\"", 9) != NULL ||
        !perf_flat_parse(text, len, &flat, flat_reason)) {
        return complain("what it printed can't be read: %s", reason);
    }
    perf_ab_flat_add(ab->flat, &flat, side, run);
    ab->any_flat = true;
    return true;
}

static bool call(struct ab *ab, unsigned side, unsigned run)
{
    const char *command = ab->options->words[side];
    char reason[PERF_SENTENCE_MAX];
    size_t len;
    FILE *from = popen(command, "re");
    if (from == NULL) {
        return complain("%s can't be started", side == 0 ? "A" : "B");
    }
    char *text = perf_file_read(from, "its output", &len, reason);
    int status = pclose(from);
    bool ok = text != NULL || complain("%s: %s", side == 0 ? "A" : "B", reason);
    if (ok && status != 0) {
        ok = complain("%s failed (status %d): %s", side == 0 ? "A" : "B", status >> 8 & 255,
                      command);
    } else if (ok && !output_take(ab, text, len, side, run)) {
        ok = complain("that was %s: %s", side == 0 ? "A" : "B", command);
    }
    free(text);
    return ok;
}

static bool calls(struct ab *ab)
{
    for (unsigned i = 0; i < 2 * ab->runs; i++) {
        unsigned run = i / 2;
        unsigned side = i % 4 == 0 || i % 4 == 3 ? 0 : 1;
        if (!ab->options->quiet) {
            fprintf(stderr, "\rmcq-perf ab: call %u of %u (%s) ", i + 1, 2 * ab->runs,
                    side == 0 ? "A" : "B");
        }
        if (!call(ab, side, run)) {
            return false;
        }
    }
    if (!ab->options->quiet) {
        fputc('\n', stderr);
    }
    return true;
}

static int conclude(struct ab *ab)
{
    const char *out = ab->options->out;
    if (ab->any_artefact && ab->any_flat) {
        complain("one of the two prints artefacts, the other doesn't: they can't be compared");
        return PERF_EXIT_MISSING;
    }
    printf("A: %s\nB: %s\n%u calls of each, in turns\n", ab->options->words[0],
           ab->options->words[1], ab->runs);
    if (ab->any_flat) {
        if (out != NULL) {
            complain("flat objects aren't saved: --out needs commands that print artefacts");
        }
        bool any = perf_ab_flat_judge(ab->flat, ab->runs, stdout) ||
                   complain("there is no figure to compare");
        return any && out == NULL ? PERF_EXIT_MEASURED : PERF_EXIT_MISSING;
    }
    perf_environment_read(&ab->merged->env);
    perf_artefact_compare(ab->merged);
    perf_artefact_print(ab->merged, stdout);
    return out == NULL || perf_artefact_save(ab->merged, out) ? PERF_EXIT_MEASURED
                                                              : PERF_EXIT_MISSING;
}

int perf_ab_main(const struct perf_options *options)
{
    struct ab ab = {
        .options = options,
        .merged = perf_artefact_new("ab", options->argc, options->argv),
        .flat = perf_zeroed(1, sizeof *ab.flat),
        .runs = options->runs != 0 ? options->runs : PERF_AB_RUNS_DEFAULT,
    };
    int status = PERF_EXIT_MISSING;
    if (calls(&ab)) {
        status = conclude(&ab);
    } else if (!options->quiet) {
        fputc('\n', stderr);
    }
    perf_artefact_end(ab.merged);
    free(ab.flat);
    return status;
}
