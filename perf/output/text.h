/* text: lines of the tables that a reader gets, for those who make a table of their own. */
#ifndef MCQ_PERF_OUTPUT_TEXT_H
#define MCQ_PERF_OUTPUT_TEXT_H

#include "perf/stats/verdict.h"

#include <stdio.h>

/* The columns' heads, and one figure's line under them. */
void perf_text_verdict_head(const char *a, const char *b, FILE *to);
void perf_text_verdict(const char *figure, const struct perf_verdict *v, FILE *to);

#endif
