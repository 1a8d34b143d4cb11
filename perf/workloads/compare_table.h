/* compare_table: the rows of a comparison on stdout, for a reader or as JSON. */
#ifndef MCQ_PERF_COMPARE_TABLE_H
#define MCQ_PERF_COMPARE_TABLE_H

#include "perf/workloads/compare_rows.h"

void perf_compare_head(enum perf_transport transport);
void perf_compare_text(const struct perf_row *rows, size_t cnt);
void perf_compare_json(const struct perf_row *rows, size_t cnt);

#endif
