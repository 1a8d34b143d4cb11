/*
 * page: artefacts as one HTML page, which loads nothing from anywhere (output/html/template.h).
 */
#ifndef MCQ_PERF_OUTPUT_PAGE_H
#define MCQ_PERF_OUTPUT_PAGE_H

#include "perf/output/artefact.h"

void perf_page_begin(FILE *to);
/* text: JSON, well-formed; whatever its strings hold, they can't end the element they are in. */
void perf_page_artefact(const char *text, size_t len, FILE *to);
void perf_page_end(FILE *to);

/* All three for one artefact. */
void perf_page_write(const struct perf_artefact *a, FILE *to);

#endif
