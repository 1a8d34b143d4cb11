#include "perf/run/stamp.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const size_t sizes[] = {1, 2, 7, 8, 9, 15, 16, 17, 23, 24, 40, 100, 4096, 70001};

#define SIZE_CNT (sizeof sizes / sizeof sizes[0])

struct fixture {
    struct perf_stamper stamper;
    struct perf_stamp_check check;
    unsigned char *body;
    size_t size;
    uint64_t number;
};

static void begin(struct fixture *f, size_t size)
{
    *f = (struct fixture){.size = size, .body = malloc(size)};
    perf_stamper_init(&f->stamper, f->body, size);
}

static bool take(struct fixture *f)
{
    return perf_stamp_take(&f->check, f->body, f->size, f->size, &f->number);
}

static bool pass(struct fixture *f, uint64_t number)
{
    perf_stamp_put(&f->stamper, f->body, number);
    return take(f);
}

Test(stamp, what_comes_in_order_is_whole)
{
    for (size_t i = 0; i < SIZE_CNT; i++) {
        struct fixture f;
        begin(&f, sizes[i]);
        for (uint64_t n = 0; n < 1000; n++) {
            cr_assert(pass(&f, n), "size %zu, number %llu", f.size, (unsigned long long)n);
            cr_assert_eq(f.number, n);
        }
        cr_assert_eq(f.check.ok_cnt, 1000);
        cr_assert_null(perf_stamp_fault(&f.check, (char[PERF_STAMP_TEXT]){0}, PERF_STAMP_TEXT));
        free(f.body);
    }
}

Test(stamp, each_bit_counts)
{
    for (size_t i = 0; i < SIZE_CNT; i++) {
        struct fixture f;
        begin(&f, sizes[i]);
        f.check.next = 12345;
        size_t step = f.size > 10000 ? 997 : 1;
        for (size_t bit = 0; bit < f.size * 8; bit += step) {
            struct perf_stamp_check before = f.check;
            perf_stamp_put(&f.stamper, f.body, f.check.next);
            f.body[bit / 8] ^= (unsigned char)(1u << bit % 8);
            cr_assert_not(take(&f), "size %zu, bit %zu", f.size, bit);
            f.body[bit / 8] ^= (unsigned char)(1u << bit % 8);
            f.check = before;
        }
        free(f.body);
    }
}

Test(stamp, words_that_change_places_are_damage)
{
    struct fixture f;
    begin(&f, 4096);
    perf_stamp_put(&f.stamper, f.body, 0);
    unsigned char word[8];
    memcpy(word, f.body + 1000, 8);
    memcpy(f.body + 1000, f.body + 2000, 8);
    memcpy(f.body + 2000, word, 8);
    cr_assert_not(take(&f));
    cr_assert_eq(f.check.damaged_cnt, 1);
    cr_assert_eq(f.number, UINT64_MAX);
    free(f.body);
}

Test(stamp, gaps_and_old_ones_are_told_apart)
{
    for (size_t i = 3; i < SIZE_CNT; i++) { /* from 8 bytes on */
        struct fixture f;
        begin(&f, sizes[i]);
        cr_assert(pass(&f, 0));
        cr_assert_not(pass(&f, 4)); /* 1, 2 and 3 are missing */
        cr_assert_eq(f.check.gap_cnt, 3);
        cr_assert_eq(f.number, 4);
        cr_assert_not(pass(&f, 4)); /* doubled */
        cr_assert_not(pass(&f, 2)); /* late */
        cr_assert_eq(f.check.old_cnt, 2);
        cr_assert(pass(&f, 5));
        cr_assert_eq(f.check.damaged_cnt, 0);
        cr_assert_not_null(perf_stamp_fault(&f.check, (char[PERF_STAMP_TEXT]){0}, PERF_STAMP_TEXT));
        free(f.body);
    }
}

Test(stamp, another_length_is_damage)
{
    struct fixture f;
    begin(&f, 64);
    perf_stamp_put(&f.stamper, f.body, 0);
    cr_assert_not(perf_stamp_take(&f.check, f.body, 63, 64, &f.number));
    cr_assert_not(perf_stamp_take(&f.check, f.body, 0, 64, &f.number));
    cr_assert_eq(f.check.damaged_cnt, 2);
    free(f.body);
}

/* Numbers of 4 bytes go round. */
Test(stamp, short_ones_go_beyond_32_bits)
{
    struct fixture f;
    begin(&f, 8);
    f.check.next = UINT64_C(0x2fffffffe);
    for (uint64_t n = f.check.next; n < UINT64_C(0x300000004); n++) {
        cr_assert(pass(&f, n));
        cr_assert_eq(f.number, n);
    }
    free(f.body);
}
