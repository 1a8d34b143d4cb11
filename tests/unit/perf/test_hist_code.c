#include "perf/output/hist_code.h"

#include "perf/output/hist.h"
#include "specimen.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 50000u

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct mcq_hdr *filled(unsigned shape, uint64_t *samples)
{
    struct perf_random r = PERF_RANDOM_INIT;
    struct mcq_hdr *h = perf_hist_new();
    for (unsigned i = 0; i < SAMPLES; i++) {
        samples[i] = specimen_sample(&r, shape);
        mcq_hdr_record(h, samples[i]);
    }
    qsort(samples, SAMPLES, sizeof *samples, by_value);
    return h;
}

Test(hist, points_agree_with_an_exact_sort)
{
    uint64_t *samples = perf_zeroed(SAMPLES, sizeof *samples);
    for (unsigned shape = 0; shape < SPECIMEN_SHAPES; shape++) {
        struct mcq_hdr *h = filled(shape, samples);
        for (unsigned i = 0; i < PERF_POINT_CNT; i++) {
            uint64_t rank = mcq_hdr_rank(SAMPLES, perf_point_ppm[i]);
            double exact = (double)samples[rank - 1] / 1e3, got = perf_point_us(h, i);
            bool said = perf_point_ppm[i] == MCQ_HDR_PPM_MAX || SAMPLES - rank >= PERF_ABOVE_MIN;
            cr_assert_eq(said, !isnan(got), "shape %u point %u", shape, i);
            /* Past 60 s only the longest is known exactly. */
            if (said && samples[rank - 1] <= PERF_HIST_MAX_NS) {
                cr_assert(got >= exact && got <= exact * 1.001, "shape %u: %f, exactly %f", shape,
                          got, exact);
            }
        }
        perf_hist_end(h);
    }
    free(samples);
}

Test(hist, moments_agree_with_the_samples)
{
    uint64_t *samples = perf_zeroed(SAMPLES, sizeof *samples);
    for (unsigned shape = 0; shape < SPECIMEN_SHAPES - 1; shape++) {
        struct mcq_hdr *h = filled(shape, samples);
        double sum = 0, squares = 0;
        for (unsigned i = 0; i < SAMPLES; i++) {
            double ns = samples[i] <= PERF_HIST_MAX_NS ? (double)samples[i] : (double)h->max;
            sum += ns;
            squares += ns * ns;
        }
        double mean = sum / SAMPLES, deviation = sqrt(fmax(0, squares / SAMPLES - mean * mean));
        struct perf_moments m = perf_hist_moments(h);
        cr_assert(fabs(m.mean_us * 1e3 - mean) <= mean * 0.001, "shape %u", shape);
        cr_assert(fabs(m.stddev_us * 1e3 - deviation) <= mean * 0.001 + deviation * 0.01);
        perf_hist_end(h);
    }
    free(samples);
}

Test(hist, a_climb_goes_up_and_ends_with_the_longest)
{
    uint64_t *samples = perf_zeroed(SAMPLES, sizeof *samples);
    for (unsigned shape = 0; shape < SPECIMEN_SHAPES; shape++) {
        struct mcq_hdr *h = filled(shape, samples);
        struct perf_climb climb = {.h = h, .per_half = 5};
        double percentile = -1, value = -1;
        unsigned lines = 0;
        while (perf_climb_next(&climb)) {
            cr_assert(climb.percentile > percentile && climb.value_us >= value);
            cr_assert((double)climb.cnt * 100 >= climb.percentile * SAMPLES * 0.9999999);
            percentile = climb.percentile;
            value = climb.value_us;
            cr_assert(++lines < 200);
        }
        cr_assert(percentile == 100 && climb.cnt == SAMPLES);
        cr_assert_eq(value, (double)h->max / 1e3);
        perf_hist_end(h);
    }
    free(samples);
}

Test(hist, an_empty_one_has_nothing_to_say)
{
    struct mcq_hdr *h = perf_hist_new();
    struct perf_climb climb = {.h = h, .per_half = 5};
    cr_assert(!perf_climb_next(&climb));
    cr_assert(isnan(perf_hist_moments(h).mean_us) && isnan(perf_point_us(h, PERF_POINT_CNT - 1)));
    perf_hist_end(h);
}

static void assert_round_trip(const struct mcq_hdr *h)
{
    struct mcq_hdr *back = perf_hist_new();
    char *text = perf_hist_encode(h);
    cr_assert_eq(strncmp(text, "HISTFAAA", 8), 0);
    cr_assert(perf_hist_decode(text, back));
    size_t cnt = mcq_hdr_counts_cnt(h->value_max);
    cr_assert_eq(memcmp(h->counts, back->counts, (cnt - 1) * sizeof *h->counts), 0);
    cr_assert_eq(back->counts[cnt - 1], h->counts[cnt - 1] + h->over_cnt);
    cr_assert_eq(back->in_cnt, mcq_hdr_cnt(h));
    free(text);
    perf_hist_end(back);
}

Test(hist_code, comes_back)
{
    uint64_t *samples = perf_zeroed(SAMPLES, sizeof *samples);
    for (unsigned shape = 0; shape < SPECIMEN_SHAPES; shape++) {
        struct mcq_hdr *h = filled(shape, samples);
        assert_round_trip(h);
        perf_hist_end(h);
    }
    struct mcq_hdr *h = perf_hist_new();
    assert_round_trip(h);
    mcq_hdr_record(h, PERF_HIST_MAX_NS + 1);
    assert_round_trip(h);
    mcq_hdr_record(h, PERF_HIST_MAX_NS);
    mcq_hdr_record(h, 0);
    assert_round_trip(h);
    perf_hist_end(h);
    free(samples);
}

static void assert_refused(const char *text)
{
    struct mcq_hdr *h = perf_hist_new();
    cr_assert(!perf_hist_decode(text, h), "%s", text);
    cr_assert(mcq_hdr_cnt(h) == 0 && h->min == UINT64_MAX && h->max == 0);
    perf_hist_end(h);
}

Test(hist_code, refuses_what_it_is_not)
{
    static const char *const wrong[] = {"",     "=",    "====",     "A===",     "AB=C",
                                        "AAAA", "HIST", "HISTFAAA", "HISTFAA*", "HISTFAAAAAA="};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_refused(wrong[i]);
    }
}

/* Whatever letter is changed or missing: refused, or read as something, but never a crash. */
Test(hist_code, damaged_anywhere)
{
    struct mcq_hdr *h = perf_hist_new(), *back = perf_hist_new();
    for (uint64_t i = 1; i < 40; i++) {
        mcq_hdr_record(h, i * i * 1000);
    }
    char *text = perf_hist_encode(h);
    for (size_t at = 0; text[at] != '\0'; at++) {
        char was = text[at];
        for (const char *letter = "A/9+=z\x80"; *letter != '\0'; letter++) {
            text[at] = *letter;
            mcq_hdr_reset(back);
            perf_hist_decode(text, back);
        }
        text[at] = '\0';
        mcq_hdr_reset(back);
        cr_assert(!perf_hist_decode(text, back));
        text[at] = was;
    }
    free(text);
    perf_hist_end(h);
    perf_hist_end(back);
}
