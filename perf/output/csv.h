/*
 * csv: runs and percentiles as lines for a spreadsheet or a data frame (RFC 4180, with a head).
 *
 * Both begin with workload, arm, a column for each parameter any result has, run (from 1), valid.
 * Then runs have a column per metric any run has, points have histogram, point and us. What wasn't
 * measured is empty.
 */
#ifndef MCQ_PERF_OUTPUT_CSV_H
#define MCQ_PERF_OUTPUT_CSV_H

#include "perf/output/artefact.h"

void perf_csv_runs(const struct perf_artefact *a, FILE *to);
void perf_csv_points(const struct perf_artefact *a, FILE *to);

#endif
