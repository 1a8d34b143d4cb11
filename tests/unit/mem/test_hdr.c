#include "mem/hdr.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)

static struct mcq_hdr hdr_new(uint64_t value_max)
{
    size_t cnt = mcq_hdr_counts_cnt(value_max);
    uint64_t *counts = malloc(cnt * sizeof *counts);
    struct mcq_hdr h;
    cr_assert_not_null(counts);
    cr_assert(mcq_hdr_init(&h, counts, cnt, value_max));
    return h;
}

/* xorshift64: the same samples in every run. */
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static const uint32_t ppms[] = {1, 10000, 250000, 500000, 900000, 990000, 999000, 999900, 1000000};
#define PPM_CNT (sizeof ppms / sizeof ppms[0])

/* The histogram rounds up within a step: never below the exact value, never 0.1 % above it. */
static void assert_agrees(const struct mcq_hdr *h, uint64_t *sorted, size_t cnt)
{
    qsort(sorted, cnt, sizeof *sorted, by_value);
    for (size_t i = 0; i < PPM_CNT; i++) {
        uint64_t exact = sorted[mcq_hdr_rank(cnt, ppms[i]) - 1];
        uint64_t got = mcq_hdr_percentile(h, ppms[i]);
        cr_assert_geq(got, exact, "ppm %u: %lu < %lu", ppms[i], got, exact);
        cr_assert_leq(got - exact, exact / 1000, "ppm %u: %lu, exact %lu", ppms[i], got, exact);
    }
    cr_assert_eq(h->min, sorted[0]);
    cr_assert_eq(h->max, sorted[cnt - 1]);
}

Test(hdr, agrees_with_an_exact_sort_at_every_scale)
{
    enum { SAMPLES = 50000 };
    uint64_t *samples = malloc(SAMPLES * sizeof *samples);
    uint64_t seed = 0x9e3779b97f4a7c15;
    cr_assert_not_null(samples);
    for (unsigned bits = 1; bits <= 36; bits++) {
        struct mcq_hdr h = hdr_new((UINT64_C(1) << 36) - 1);
        for (size_t i = 0; i < SAMPLES; i++) {
            samples[i] = random_next(&seed) & ((UINT64_C(1) << bits) - 1);
            mcq_hdr_record(&h, samples[i]);
        }
        cr_assert_eq(mcq_hdr_cnt(&h), SAMPLES);
        assert_agrees(&h, samples, SAMPLES);
        free(h.counts);
    }
    free(samples);
}

Test(hdr, agrees_on_a_long_tail)
{
    enum { SAMPLES = 100000 };
    uint64_t *samples = malloc(SAMPLES * sizeof *samples);
    struct mcq_hdr h = hdr_new(60 * SECOND_NS);
    uint64_t seed = 42;
    cr_assert_not_null(samples);
    for (size_t i = 0; i < SAMPLES; i++) {
        uint64_t r = random_next(&seed);
        samples[i] = 8000 + r % 500 + (r % 1000 == 0 ? r % 5000000 : 0);
        mcq_hdr_record(&h, samples[i]);
    }
    assert_agrees(&h, samples, SAMPLES);
    free(samples);
    free(h.counts);
}

/* Steps must tile the range: the index never jumps and never goes back. */
Test(hdr, neighbours_share_a_step_or_sit_in_adjacent_ones)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        uint64_t edge = UINT64_C(1) << bits;
        uint64_t from = edge > 5000 ? edge - 5000 : 0;
        uint64_t to = edge <= UINT64_MAX - 5000 ? edge + 5000 : UINT64_MAX;
        for (uint64_t v = from; v < to; v++) {
            size_t step = mcq_hdr_index(v + 1) - mcq_hdr_index(v);
            cr_assert_leq(step, 1u, "between %lu and the next", v);
        }
    }
    cr_assert_eq(mcq_hdr_index(0), 0u);
    cr_assert_eq(mcq_hdr_counts_cnt(UINT64_MAX), mcq_hdr_index(UINT64_MAX) + 1);
}

Test(hdr, values_below_2048_are_exact)
{
    struct mcq_hdr h = hdr_new(SECOND_NS);
    for (uint64_t v = 0; v < 2048; v++) {
        mcq_hdr_reset(&h);
        mcq_hdr_record(&h, v);
        mcq_hdr_record(&h, 5000);
        cr_assert_eq(mcq_hdr_percentile(&h, 500000), v);
    }
    free(h.counts);
}

Test(hdr, an_empty_one_answers_zero)
{
    struct mcq_hdr h = hdr_new(SECOND_NS);
    for (size_t i = 0; i < PPM_CNT; i++) {
        cr_assert_eq(mcq_hdr_percentile(&h, ppms[i]), 0u);
    }
    cr_assert_eq(mcq_hdr_cnt(&h), 0u);
    cr_assert_eq(mcq_hdr_above(&h, 0), 0u);
    cr_assert_eq(h.min, UINT64_MAX);
    cr_assert_eq(h.max, 0u);
    free(h.counts);
}

Test(hdr, one_record_is_every_percentile)
{
    struct mcq_hdr h = hdr_new(SECOND_NS);
    mcq_hdr_record(&h, 123457);
    for (size_t i = 0; i < PPM_CNT; i++) {
        cr_assert_eq(mcq_hdr_percentile(&h, ppms[i]), 123457u);
    }
    cr_assert_eq(mcq_hdr_percentile(&h, 0), 123457u);
    free(h.counts);
}

Test(hdr, init_refuses_too_few_counts_and_writes_none)
{
    uint64_t counts[4] = {7, 7, 7, 7};
    struct mcq_hdr h = {.value_max = 99};
    cr_assert_not(mcq_hdr_init(&h, counts, 4, 4));
    cr_assert_eq(h.value_max, 99u);
    cr_assert_eq(counts[0], 7u);
    cr_assert(mcq_hdr_init(&h, counts, 4, 3));
    cr_assert_eq(counts[3], 0u);
}

Test(hdr, the_range_ends_exactly_at_value_max)
{
    struct mcq_hdr h = hdr_new(1000000);
    mcq_hdr_record(&h, 1000000);
    cr_assert_eq(h.over_cnt, 0u);
    mcq_hdr_record(&h, 1000001);
    cr_assert_eq(h.over_cnt, 1u);
    cr_assert_eq(h.in_cnt, 1u);
    free(h.counts);
}

/* A guard word behind the counts shows that no value, however large, writes past them. */
Test(hdr, out_of_range_is_counted_and_touches_no_count)
{
    size_t cnt = mcq_hdr_counts_cnt(10000);
    uint64_t *counts = calloc(cnt + 1, sizeof *counts);
    struct mcq_hdr h;
    cr_assert_not_null(counts);
    counts[cnt] = 0xdead;
    cr_assert(mcq_hdr_init(&h, counts, cnt, 10000));
    mcq_hdr_record(&h, 10001);
    mcq_hdr_record(&h, UINT64_MAX);
    mcq_hdr_record(&h, 10000);
    cr_assert_eq(counts[cnt], 0xdeadu);
    cr_assert_eq(h.over_cnt, 2u);
    cr_assert_eq(mcq_hdr_cnt(&h), 3u);
    cr_assert_eq(h.max, UINT64_MAX);
    cr_assert_eq(mcq_hdr_above(&h, 1), 3u);
    cr_assert_eq(mcq_hdr_above(&h, 10000), 2u);
    cr_assert_eq(mcq_hdr_above(&h, 10001), 1u);
    cr_assert_eq(mcq_hdr_above(&h, UINT64_MAX), 0u);
    free(counts);
}

/* Forgetting what is out of range would flatter the tail: it has to push percentiles up. */
Test(hdr, percentiles_see_what_is_out_of_range)
{
    struct mcq_hdr h = hdr_new(10000);
    for (int i = 0; i < 90; i++) {
        mcq_hdr_record(&h, 100);
    }
    for (int i = 0; i < 10; i++) {
        mcq_hdr_record(&h, 5 * SECOND_NS);
    }
    cr_assert_eq(mcq_hdr_percentile(&h, 900000), 100u);
    cr_assert_eq(mcq_hdr_percentile(&h, 910000), 5 * SECOND_NS);
    cr_assert_eq(mcq_hdr_percentile(&h, 1000000), 5 * SECOND_NS);
    free(h.counts);
}

Test(hdr, above_counts_exactly_where_values_are_exact)
{
    struct mcq_hdr h = hdr_new(SECOND_NS);
    for (uint64_t v = 1; v <= 1000; v++) {
        mcq_hdr_record(&h, v);
    }
    cr_assert_eq(mcq_hdr_above(&h, 0), 1000u);
    cr_assert_eq(mcq_hdr_above(&h, 1), 999u);
    cr_assert_eq(mcq_hdr_above(&h, 990), 10u);
    cr_assert_eq(mcq_hdr_above(&h, 1000), 0u);
    cr_assert_eq(mcq_hdr_above(&h, SECOND_NS * 9), 0u);
    free(h.counts);
}

Test(hdr, rank_is_exact_and_does_not_overflow)
{
    cr_assert_eq(mcq_hdr_rank(0, 999000), 0u);
    cr_assert_eq(mcq_hdr_rank(1, 1), 1u);
    cr_assert_eq(mcq_hdr_rank(1, 0), 1u);
    cr_assert_eq(mcq_hdr_rank(10000, 999000), 9990u);
    cr_assert_eq(mcq_hdr_rank(9999, 999000), 9990u);
    cr_assert_eq(mcq_hdr_rank(100000, 999900), 99990u);
    cr_assert_eq(mcq_hdr_rank(3, 500000), 2u);
    cr_assert_eq(mcq_hdr_rank(7, 2000000), 7u);
    cr_assert_eq(mcq_hdr_rank(UINT64_MAX, MCQ_HDR_PPM_MAX), UINT64_MAX);
    cr_assert_eq(mcq_hdr_rank(UINT64_MAX, 500000), UINT64_MAX / 2 + 1);
}

Test(hdr, merge_equals_recording_everything_into_one)
{
    struct mcq_hdr a = hdr_new(SECOND_NS), b = hdr_new(SECOND_NS), both = hdr_new(SECOND_NS);
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        uint64_t v = random_next(&seed) % (2 * SECOND_NS);
        mcq_hdr_record(i % 3 == 0 ? &a : &b, v);
        mcq_hdr_record(&both, v);
    }
    cr_assert(mcq_hdr_merge(&a, &b));
    cr_assert_eq(a.in_cnt, both.in_cnt);
    cr_assert_eq(a.over_cnt, both.over_cnt);
    cr_assert_gt(a.over_cnt, 0u);
    cr_assert_eq(a.min, both.min);
    cr_assert_eq(a.max, both.max);
    cr_assert_arr_eq(a.counts, both.counts, mcq_hdr_counts_cnt(SECOND_NS) * sizeof *a.counts);
    free(a.counts);
    free(b.counts);
    free(both.counts);
}

Test(hdr, merge_with_an_empty_one_keeps_min_and_max)
{
    struct mcq_hdr a = hdr_new(SECOND_NS), empty = hdr_new(SECOND_NS);
    mcq_hdr_record(&a, 5000);
    cr_assert(mcq_hdr_merge(&a, &empty));
    cr_assert_eq(a.min, 5000u);
    cr_assert_eq(a.max, 5000u);
    cr_assert(mcq_hdr_merge(&empty, &a));
    cr_assert_eq(empty.min, 5000u);
    cr_assert_eq(empty.max, 5000u);
    free(a.counts);
    free(empty.counts);
}

Test(hdr, merge_refuses_another_range)
{
    struct mcq_hdr a = hdr_new(SECOND_NS), b = hdr_new(SECOND_NS + 1);
    mcq_hdr_record(&b, 1);
    cr_assert_not(mcq_hdr_merge(&a, &b));
    cr_assert_eq(mcq_hdr_cnt(&a), 0u);
    free(a.counts);
    free(b.counts);
}

Test(hdr, reset_forgets_everything)
{
    struct mcq_hdr h = hdr_new(SECOND_NS);
    mcq_hdr_record(&h, 77);
    mcq_hdr_record(&h, 5 * SECOND_NS);
    mcq_hdr_reset(&h);
    cr_assert_eq(mcq_hdr_cnt(&h), 0u);
    cr_assert_eq(h.max, 0u);
    mcq_hdr_record(&h, 500000);
    cr_assert_eq(mcq_hdr_percentile(&h, 1), 500000u);
    cr_assert_eq(h.min, 500000u);
    free(h.counts);
}
