/*
 * slower: where the first of the arms does worse than another, by name, before all else is told.
 *
 * Only what a verdict stands behind is listed; worse medians without one are counted.
 */
#ifndef MCQ_PERF_OUTPUT_SLOWER_H
#define MCQ_PERF_OUTPUT_SLOWER_H

#include "perf/output/artefact.h"

/* Nothing when nothing was compared. */
void perf_slower_print(const struct perf_artefact *a, FILE *to);

#endif
