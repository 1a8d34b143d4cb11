/*
 * artefact: everything one call of mcq-perf leaves behind.
 *
 *      DIR/result.json    schema "mcq-perf", version below: environment, arguments, results,
 * verdicts DIR/runs.csv       a line per run DIR/points.csv     a line per run, histogram and
 * percentile DIR/NAME.hgrm      per result and histogram, all valid runs together DIR/NAME.hlog per
 * result with intervals (V2, compressed, base64) DIR/report.html    one file, no network
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
#define PERF_VERDICTS_MAX   1024u

/* Two arms of one workload, compared by one figure. */
struct perf_comparison {
    unsigned a, b;              /* indices of results */
    char figure[PERF_TEXT_MAX]; /* "response p99_us" */
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
};

struct perf_artefact *perf_artefact_new(const char *command, int argc, char **argv);
void perf_artefact_end(struct perf_artefact *a);
/* Takes r. */
void perf_artefact_add(struct perf_artefact *a, struct perf_result *r);
/* Compares arms with the same workload and parameters pairwise with the first of them, by every
 * metric and percentile that both have and that is better one way. */
void perf_artefact_compare(struct perf_artefact *a);
/* All runs of all results are valid, and there is one. */
bool perf_artefact_valid(const struct perf_artefact *a);

/* For a reader, aligned; and as JSON. */
void perf_artefact_print(const struct perf_artefact *a, FILE *to);
bool perf_artefact_json(const struct perf_artefact *a, FILE *to);
/* Writes all files; dir is made. False with a sentence on stderr. */
bool perf_artefact_save(const struct perf_artefact *a, const char *dir);

#endif
