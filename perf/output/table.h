/* table: the rows of a comparison on stdout, for a reader or as JSON. */
#ifndef MCQ_PERF_TABLE_H
#define MCQ_PERF_TABLE_H

#include "perf/output/row.h"

void perf_table_text(const struct perf_row *rows, size_t cnt, enum perf_transport transport);
void perf_table_json(const struct perf_row *rows, size_t cnt);

#endif
