/*
 * artefact: everything one call of mcq-perf leaves behind.
 *
 *   DIR/result.json    schema "mcq-perf", version below: environment, arguments, results, verdicts
 *   DIR/runs.csv       a line per run
 *   DIR/points.csv     a line per run, histogram and percentile
 *   DIR/NAME.hgrm      per result and histogram, all valid runs together
 *   DIR/NAME.hlog      per result with histograms (V2, compressed, base64), a line per interval, or
 *                      per run where there are no intervals
 *   DIR/report.html    one file, no network
 *
 * Only files of perf/output know JSON (jansson). docs/MEASURING.md describes the schema.
 */
#ifndef MCQ_PERF_OUTPUT_ARTEFACT_H
#define MCQ_PERF_OUTPUT_ARTEFACT_H

#include "perf/host/environment.h"
#include "perf/output/result.h"
#include "perf/stats/verdict.h"

#include <stdio.h>

#define PERF_SCHEMA_VERSION 1
#define PERF_RESULTS_MAX    256u
/* 255 pairs with all their figures are fewer. */
#define PERF_VERDICTS_MAX 20480u

/* Two arms of one workload, compared by one figure. */
struct perf_comparison {
    unsigned a, b;              /* indices of results */
    char figure[PERF_TEXT_MAX]; /* "response p99", "msgs_per_s" */
    struct perf_verdict verdict;
};

struct perf_artefact {
    const char *command; /* "load" */
    int argc;
    char **argv; /* borrowed */
    struct perf_environment env;
    struct perf_result *results[PERF_RESULTS_MAX]; /* owned once added */
    unsigned result_cnt;
    struct perf_comparison comparisons[PERF_VERDICTS_MAX];
    unsigned comparison_cnt;
    struct perf_word *words; /* texts that came out of a file; owned */
};

/* Without an environment: perf_environment_read(&a->env) is the caller's, before it measures. */
struct perf_artefact *perf_artefact_new(const char *command, int argc, char **argv);
void perf_artefact_end(struct perf_artefact *a);
/* Takes r. One more than PERF_RESULTS_MAX is a mistake of the caller: told on stderr, and left out.
 */
void perf_artefact_add(struct perf_artefact *a, struct perf_result *r);
/* Compares arms that are comparable (below) pairwise with the first of them (a), by every
 * metric and percentile that both have and that is better one way. All that two arms of a workload
 * are compared by is one family (stats/verdict.h). Runs that aren't valid count for nothing.
 * Of an arm measured in several placements the one with the best median is compared. */
void perf_artefact_compare(struct perf_artefact *a);
/* Same workload, same parameters. comparable: but for those that say how an arm runs, not what it
 * is asked for: placement and idle, which not every peer has a choice of. */
bool perf_results_comparable(const struct perf_result *a, const struct perf_result *b);
bool perf_results_alike(const struct perf_result *a, const struct perf_result *b);
/* All runs of all results are valid, and there is one. */
bool perf_artefact_valid(const struct perf_artefact *a);

/* For a reader, aligned; and as JSON. */
void perf_artefact_print(const struct perf_artefact *a, FILE *to);
bool perf_artefact_json(const struct perf_artefact *a, FILE *to);
/* Keeps a copy of text for as long as the artefact lives. */
const char *perf_artefact_word(struct perf_artefact *a, const char *text);
/* Writes all files; dir is made. False with a sentence on stderr. */
bool perf_artefact_save(const struct perf_artefact *a, const char *dir);

#endif
