#include "fixture.h"

#include <stdlib.h>

#include "mem/slice.h"

/* A heap block of exactly len bytes, so that ASan sees the first byte past it. */
static uint8_t *exact(size_t len)
{
    uint8_t *p = malloc(len == 0 ? 1 : len);
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(i + 1);
    return p;
}

Test(slice, equal)
{
    struct mcq_slice empty = mcq_slice_of(NULL, 0);
    struct mcq_slice ab = mcq_slice_of("ab", 2), abc = mcq_slice_of("abc", 3);
    cr_assert(mcq_slice_equal(empty, empty));
    cr_assert_not(mcq_slice_equal(ab, abc));
    cr_assert_not(mcq_slice_equal(ab, mcq_slice_of("aB", 2)));
    cr_assert(mcq_slice_equal(ab, mcq_slice_of("abc", 2)));
}

Test(slice, head_is_what_is_there_and_zeroes)
{
    for (size_t len = 0; len <= 20; len++) {
        uint8_t *bytes = exact(len);
        for (size_t pos = 0; pos <= len + 2; pos++) {
            uint64_t head = 0;
            for (size_t i = pos; i < pos + 8; i++)
                head = head << 8 | (i < len ? bytes[i] : 0);
            cr_assert_eq(mcq_slice_head(mcq_slice_of(bytes, len), pos), head);
            if (pos + 4 <= len)
                cr_assert_eq(mcq_slice_be32(mcq_slice_of(bytes, len), pos), head >> 32);
        }
        free(bytes);
    }
}

/* Every pair of lengths, parting at every byte or not at all, with every beginning known. */
Test(slice, common_ends_at_the_first_difference)
{
    for (size_t a = 0; a <= 20; a++)
        for (size_t b = 0; b <= 20; b++)
            for (size_t at = 0; at <= 20; at++) {
                uint8_t *x = exact(a);
                uint8_t *y = exact(b);
                size_t common = mcq_min(at, mcq_min(a, b));
                if (at < b)
                    y[at] ^= 0x80;
                struct mcq_slice xs = mcq_slice_of(x, a);
                struct mcq_slice ys = mcq_slice_of(y, b);
                for (size_t from = 0; from <= common; from++)
                    cr_assert_eq(mcq_slice_common(xs, ys, from), common);
                cr_assert_eq(mcq_slice_starts(xs, ys), common == b);
                free(x);
                free(y);
            }
}

Test(reader, short_input_moves_nothing)
{
    for (size_t len = 0; len <= 9; len++) {
        uint8_t *bytes = exact(len);
        struct mcq_reader r = mcq_reader_of(mcq_slice_of(bytes, len));
        uint8_t v8;
        uint16_t v16;
        uint32_t v32;
        uint64_t v64;
        struct mcq_slice s;
        cr_assert_eq(mcq_reader_be64(&r, &v64), len >= 8);
        cr_assert_eq(r.pos, len >= 8 ? 8u : 0u);
        r.pos = 0;
        cr_assert_eq(mcq_reader_be32(&r, &v32), len >= 4);
        cr_assert_eq(r.pos, len >= 4 ? 4u : 0u);
        r.pos = 0;
        cr_assert_eq(mcq_reader_be16(&r, &v16), len >= 2);
        cr_assert_eq(r.pos, len >= 2 ? 2u : 0u);
        r.pos = 0;
        cr_assert_eq(mcq_reader_u8(&r, &v8), len >= 1);
        r.pos = 0;
        cr_assert_not(mcq_reader_take(&r, len + 1, &s));
        cr_assert_not(mcq_reader_take(&r, UINT64_MAX, &s), "a length must not wrap");
        cr_assert_eq(r.pos, 0);
        cr_assert(mcq_reader_take(&r, len, &s));
        cr_assert_eq(mcq_reader_left(&r), 0);
        free(bytes);
    }
}

Test(reader, a_length_never_wraps_past_a_position)
{
    struct mcq_reader r = mcq_reader_of(mcq_slice_of("0123", 4));
    struct mcq_slice s;
    uint8_t v;
    cr_assert(mcq_reader_u8(&r, &v));
    cr_assert_not(mcq_reader_take(&r, UINT64_MAX, &s));
    cr_assert_not(mcq_reader_take(&r, UINT64_MAX - 3, &s));
    cr_assert_not(mcq_reader_take(&r, 4, &s));
    cr_assert_eq(r.pos, 1);
    cr_assert(mcq_reader_take(&r, 3, &s));
}

Test(reader, integers_are_big_endian)
{
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct mcq_reader r = mcq_reader_of(mcq_slice_of(bytes, sizeof(bytes)));
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    cr_assert(mcq_reader_u8(&r, &v8) && v8 == 0x01);
    cr_assert(mcq_reader_be16(&r, &v16) && v16 == 0x0203);
    cr_assert(mcq_reader_be32(&r, &v32) && v32 == 0x04050607);
    cr_assert(mcq_reader_be64(&r, &v64) && v64 == 0x08090a0b0c0d0e0fu);
    cr_assert_eq(mcq_reader_rest(&r).len, 0);
}

Test(writer, full_moves_nothing_and_never_overruns)
{
    for (size_t cap = 0; cap <= 9; cap++) {
        uint8_t *bytes = exact(cap);
        struct mcq_writer w = mcq_writer_of(bytes, cap);
        cr_assert_eq(mcq_writer_be64(&w, 1), cap >= 8);
        cr_assert_eq(w.len, cap >= 8 ? 8u : 0u);
        w.len = 0;
        cr_assert_eq(mcq_writer_be32(&w, 1), cap >= 4);
        cr_assert_eq(w.len, cap >= 4 ? 4u : 0u);
        w.len = 0;
        cr_assert_eq(mcq_writer_u8(&w, 1), cap >= 1);
        w.len = 0;
        cr_assert_not(mcq_writer_put(&w, mcq_slice_of("0123456789", cap + 1)));
        volatile size_t huge = SIZE_MAX; /* out of the compiler's sight, which knows better */
        cr_assert_not(mcq_writer_put(&w, mcq_slice_of("", huge)), "a length must not wrap");
        cr_assert_not(mcq_writer_fill(&w, 0, huge));
        cr_assert_not(mcq_writer_fill(&w, 0, cap + 1));
        cr_assert_eq(w.len, 0);
        cr_assert(mcq_writer_put(&w, mcq_slice_of("0123456789", cap)));
        cr_assert_eq(mcq_writer_room(&w), 0);
        cr_assert(mcq_writer_put(&w, mcq_slice_of(NULL, 0)), "nothing fits everywhere");
        free(bytes);
    }
}

/* What a writer was given, a reader gives back, at every size of the room. */
Test(writer, random_round_trip)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng = {seed};
        size_t cap = rng_below(&rng, 200);
        uint8_t *bytes = exact(cap);
        struct mcq_writer w = mcq_writer_of(bytes, cap);
        uint64_t wrote[256];
        unsigned kind[256], cnt = 0;
        while (cnt < 256) {
            unsigned k = rng_below(&rng, 3);
            uint64_t v = rng_next(&rng);
            bool ok = k == 0   ? mcq_writer_u8(&w, (uint8_t)v)
                      : k == 1 ? mcq_writer_be32(&w, (uint32_t)v)
                               : mcq_writer_be64(&w, v);
            if (!ok)
                break;
            wrote[cnt] = k == 0 ? (uint8_t)v : k == 1 ? (uint32_t)v : v;
            kind[cnt++] = k;
        }
        struct mcq_reader r = mcq_reader_of(mcq_slice_of(bytes, w.len));
        for (unsigned i = 0; i < cnt; i++) {
            uint8_t v8 = 0;
            uint32_t v32 = 0;
            uint64_t v64 = 0;
            cr_assert(kind[i] == 0   ? mcq_reader_u8(&r, &v8)
                      : kind[i] == 1 ? mcq_reader_be32(&r, &v32)
                                     : mcq_reader_be64(&r, &v64));
            cr_assert_eq(v8 + v32 + v64, wrote[i], "seed %lu", (unsigned long)seed);
        }
        cr_assert_eq(mcq_reader_left(&r), 0);
        free(bytes);
    }
}

Test(base, align_up)
{
    cr_assert_eq(mcq_align_up(0, 64), 0);
    cr_assert_eq(mcq_align_up(1, 64), 64);
    cr_assert_eq(mcq_align_up(64, 64), 64);
    cr_assert_eq(mcq_align_up(65, 64), 128);
}

Test(base, a_failed_assert_aborts, .signal = SIGABRT)
{
    MCQ_ASSERT(SEEDS == 0);
}
