/* specimen: results and artefacts with known figures, for tests. */
#ifndef MCQ_TESTS_UNIT_PERF_SPECIMEN_H
#define MCQ_TESTS_UNIT_PERF_SPECIMEN_H

#include "perf/output/artefact.h"
#include "perf/stats/random.h"

/* cnt samples in ns of one of SPECIMEN_SHAPES distributions. */
#define SPECIMEN_SHAPES 6u
uint64_t specimen_sample(struct perf_random *r, unsigned shape);

/* A result with runs of 20,000 samples each, factor times as long as those of 1. */
struct perf_result *specimen_result(const char *arm, unsigned runs, double factor, double rate);
/* Two arms at two rates, the second factor times as slow; compared. */
struct perf_artefact *specimen_artefact(unsigned runs, double factor);

/* To be freed. */
char *specimen_json(const struct perf_artefact *a, size_t *len);

#endif
