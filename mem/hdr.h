/*
 * hdr: a log-linear histogram of durations in nanoseconds, three significant digits.
 *
 * Below 2048 every value has its own count; from there each power of two is cut into 1024 equal
 * steps, so a value read back is at most 1/1024 (0.098 %) above the value recorded. The range
 * [0, value_max] is fixed at init. A larger value is never lost: it is counted in over_cnt, takes
 * part in every percentile as "above all others", and `max` stays exact.
 *
 * Invariants: the counts add up to in_cnt; in_cnt + over_cnt is the number of records; min and max
 * are exact over all records and are UINT64_MAX and 0 while there are none.
 * Ownership: borrows the caller's array of counts, which must outlive the histogram.
 * Thread: one at a time. Cost: record is a shift, an add and two compares, without a loop and
 * without an allocation; percentile and above walk the counts.
 */
#ifndef MCQ_MEM_HDR_H
#define MCQ_MEM_HDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Steps per power of two, as a shift. 10 bits are what three decimal digits need. */
#define MCQ_HDR_STEP_BITS 10

/* Percentiles are asked for in parts per million, so that 99.9 % is exact: 999000. */
#define MCQ_HDR_PPM_MAX 1000000u

struct mcq_hdr {
    uint64_t *counts;
    uint64_t value_max;
    uint64_t in_cnt;
    uint64_t over_cnt;
    uint64_t min;
    uint64_t max;
};

/* Which count a value belongs to. OR-ing the first step in makes all values below it linear. */
static inline size_t mcq_hdr_index(uint64_t value)
{
    unsigned top = 63u - (unsigned)__builtin_clzll(value | (UINT64_C(1) << MCQ_HDR_STEP_BITS));
    unsigned shift = top - MCQ_HDR_STEP_BITS;
    return ((size_t)shift << MCQ_HDR_STEP_BITS) + (size_t)(value >> shift);
}

/* The largest value whose index is idx: what a count of that index is read back as. */
uint64_t mcq_hdr_step_end(size_t idx);

/* How many counts (8 bytes each) a histogram of [0, value_max] needs. 1 s: 21,364; 60 s: 27,389. */
size_t mcq_hdr_counts_cnt(uint64_t value_max);

/* Borrows counts[0..counts_cnt). False, and nothing changed, when that is too few for value_max. */
bool mcq_hdr_init(struct mcq_hdr *h, uint64_t *counts, size_t counts_cnt, uint64_t value_max);

/* Back to the state after init; touches every count. */
void mcq_hdr_reset(struct mcq_hdr *h);

static inline void mcq_hdr_record(struct mcq_hdr *h, uint64_t value)
{
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
    if (value > h->value_max) {
        h->over_cnt++;
        return;
    }
    h->counts[mcq_hdr_index(value)]++;
    h->in_cnt++;
}

/* Records so far, those out of range included. */
static inline uint64_t mcq_hdr_cnt(const struct mcq_hdr *h)
{
    return h->in_cnt + h->over_cnt;
}

/* The 1-based position of a percentile among cnt sorted records: ceil(cnt * ppm / 10^6), at least 1
 * when there are any. cnt minus it is how many records lie behind the percentile. */
uint64_t mcq_hdr_rank(uint64_t cnt, uint32_t ppm);

/* The value at the percentile, rounded up within its step and never above max. 0 when empty; max
 * when the percentile falls among records out of range. */
uint64_t mcq_hdr_percentile(const struct mcq_hdr *h, uint32_t ppm);

/* Records certainly greater than value: those of the steps above its own, and those out of range.
 * Past value_max only max itself is known, so the answer there is 0 or 1. */
uint64_t mcq_hdr_above(const struct mcq_hdr *h, uint64_t value);

/* Adds src to dst. False, and nothing changed, when their ranges differ. */
bool mcq_hdr_merge(struct mcq_hdr *dst, const struct mcq_hdr *src);

#endif
