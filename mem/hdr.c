#include "mem/hdr.h"

#define STEPS_PER_OCTAVE ((size_t)1 << MCQ_HDR_STEP_BITS)

uint64_t mcq_hdr_step_end(size_t idx)
{
    if (idx < 2 * STEPS_PER_OCTAVE) {
        return idx;
    }
    size_t shift = (idx >> MCQ_HDR_STEP_BITS) - 1;
    uint64_t sub = idx - (shift << MCQ_HDR_STEP_BITS);
    return (sub << shift) + ((UINT64_C(1) << shift) - 1);
}

size_t mcq_hdr_counts_cnt(uint64_t value_max)
{
    return mcq_hdr_index(value_max) + 1;
}

bool mcq_hdr_init(struct mcq_hdr *h, uint64_t *counts, size_t counts_cnt, uint64_t value_max)
{
    if (counts_cnt < mcq_hdr_counts_cnt(value_max)) {
        return false;
    }
    h->counts = counts;
    h->value_max = value_max;
    mcq_hdr_reset(h);
    return true;
}

void mcq_hdr_reset(struct mcq_hdr *h)
{
    size_t cnt = mcq_hdr_counts_cnt(h->value_max);
    for (size_t i = 0; i < cnt; i++) {
        h->counts[i] = 0;
    }
    h->in_cnt = 0;
    h->over_cnt = 0;
    h->min = UINT64_MAX;
    h->max = 0;
}

uint64_t mcq_hdr_rank(uint64_t cnt, uint32_t ppm)
{
    uint64_t share = ppm < MCQ_HDR_PPM_MAX ? ppm : MCQ_HDR_PPM_MAX;
    /* Whole millions apart from the rest, so that no product exceeds 64 bits. */
    uint64_t rest = (cnt % MCQ_HDR_PPM_MAX) * share + MCQ_HDR_PPM_MAX - 1;
    uint64_t rank = (cnt / MCQ_HDR_PPM_MAX) * share + rest / MCQ_HDR_PPM_MAX;
    return rank == 0 && cnt > 0 ? 1 : rank;
}

uint64_t mcq_hdr_percentile(const struct mcq_hdr *h, uint32_t ppm)
{
    uint64_t rank = mcq_hdr_rank(mcq_hdr_cnt(h), ppm);
    if (rank > h->in_cnt) {
        return h->max;
    }
    uint64_t seen = 0;
    size_t idx = 0;
    while (seen + h->counts[idx] < rank) {
        seen += h->counts[idx++];
    }
    uint64_t value = mcq_hdr_step_end(idx);
    return value < h->max ? value : h->max;
}

uint64_t mcq_hdr_above(const struct mcq_hdr *h, uint64_t value)
{
    if (value >= h->max) {
        return 0;
    }
    if (value > h->value_max) {
        return 1;
    }
    uint64_t above = h->over_cnt;
    size_t cnt = mcq_hdr_counts_cnt(h->value_max);
    for (size_t i = mcq_hdr_index(value) + 1; i < cnt; i++) {
        above += h->counts[i];
    }
    return above;
}

bool mcq_hdr_merge(struct mcq_hdr *dst, const struct mcq_hdr *src)
{
    if (dst->value_max != src->value_max) {
        return false;
    }
    size_t cnt = mcq_hdr_counts_cnt(src->value_max);
    for (size_t i = 0; i < cnt; i++) {
        dst->counts[i] += src->counts[i];
    }
    dst->in_cnt += src->in_cnt;
    dst->over_cnt += src->over_cnt;
    dst->min = src->min < dst->min ? src->min : dst->min;
    dst->max = src->max > dst->max ? src->max : dst->max;
    return true;
}
