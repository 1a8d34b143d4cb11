/*
 * json_read: what mcq-perf wrote, back again; from a file that may be anything.
 *
 * Nothing a file holds crashes or is believed unchecked: what isn't an artefact of this schema is
 * refused with a sentence that says what is wrong. Unknown keys, metrics and histograms are passed
 * over, so that artefacts of later versions that only add can be read. Comparisons and summaries
 * aren't read: they follow from the runs.
 */
#ifndef MCQ_PERF_OUTPUT_JSON_READ_H
#define MCQ_PERF_OUTPUT_JSON_READ_H

#include "perf/output/artefact.h"

#define PERF_SENTENCE_MAX 400u
/* Of a file; a day of soak is less. */
#define PERF_FILE_MAX ((size_t)512 * 1024 * 1024)

/* NULL with a sentence in reason[PERF_SENTENCE_MAX]. */
struct perf_artefact *perf_artefact_parse(const char *text, size_t len, char *reason);
struct perf_artefact *perf_artefact_load(const char *path, char *reason);

/* All of a file, a 0 behind it; to be freed. NULL with a sentence. */
char *perf_file_read(FILE *from, const char *name, size_t *len, char *reason);

/* The numbers of a flat object, {"p50_us": 12.3, ...}: what rtt, throughput and hop print. Texts
 * and nulls are passed over. False with a sentence. */
#define PERF_FLAT_MAX 64u
struct perf_flat {
    char names[PERF_FLAT_MAX][PERF_TEXT_MAX];
    double values[PERF_FLAT_MAX];
    unsigned cnt;
};
bool perf_flat_parse(const char *text, size_t len, struct perf_flat *flat, char *reason);

#endif
