/*
 * offsets: the send times of a trace file: one offset in ns from the beginning per line, none
 * before the one above it. Lines that begin with '#' say nothing.
 */
#ifndef MCQ_PERF_WORKLOADS_OFFSETS_H
#define MCQ_PERF_WORKLOADS_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 512 MiB of them; and none later than a day. */
#define PERF_OFFSETS_MAX    (UINT64_C(1) << 26)
#define PERF_OFFSETS_MAX_NS UINT64_C(86400000000000)
#define PERF_OFFSETS_TEXT   256u

struct perf_offsets {
    uint64_t *ns;
    uint64_t cnt;
};

/* False with a sentence in reason[PERF_OFFSETS_TEXT] that names the line; nothing is left. */
bool perf_offsets_read(struct perf_offsets *offsets, const char *path, char *reason);
void perf_offsets_end(struct perf_offsets *offsets);

#endif
