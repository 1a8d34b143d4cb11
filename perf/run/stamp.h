/*
 * stamp: what every message of a workload carries, so that none is lost, doubled, reordered or
 * damaged unseen.
 *
 * The first 8 bytes are the message's number on its connection, the next 8 a checksum over number,
 * length and everything behind them. What lies behind is filler that a process makes once, so a
 * sender pays for one multiplication, whatever the length; a receiver sums all of the message.
 * Messages shorter than 16 bytes (8 to 15) have a number of 4 bytes and a checksum of 4.
 */
#ifndef MCQ_PERF_RUN_STAMP_H
#define MCQ_PERF_RUN_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_STAMP_MIN 8u

struct perf_stamper {
    size_t size;
    uint64_t filler_sum; /* of what lies behind the stamp */
};

/* Fills body[size] with filler; size >= PERF_STAMP_MIN. */
void perf_stamper_init(struct perf_stamper *stamper, void *body, size_t size);
/* Writes number and checksum into body. Cost: about 1 ns. */
void perf_stamp_put(const struct perf_stamper *stamper, void *body, uint64_t number);

/* What a receiver knows of one connection. */
struct perf_stamp_check {
    uint64_t next; /* the number that comes next */
    uint64_t ok_cnt;
    uint64_t gap_cnt;     /* messages skipped */
    uint64_t old_cnt;     /* doubled or reordered: a number below next */
    uint64_t damaged_cnt; /* checksum or length */
};

/* False when the message isn't the next one, whole: counted above, and *number is what it says (or
 * UINT64_MAX when damaged). */
bool perf_stamp_take(struct perf_stamp_check *check, const void *body, size_t len, size_t size,
                     uint64_t *number);
/* A sentence for the first kind of damage, or NULL when all was well. text: room for the sentence.
 */
const char *perf_stamp_fault(const struct perf_stamp_check *check, char *text, size_t cap);

#endif
