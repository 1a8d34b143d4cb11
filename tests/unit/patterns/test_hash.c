#include "patterns/hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of_words(uint64_t seed, const uint64_t *words, size_t cnt)
{
    uint8_t bytes[64];
    for (size_t i = 0; i < 8 * cnt; i++)
        bytes[i] = (uint8_t)(words[i / 8] >> (56 - 8 * (i % 8)));
    return mcq_hash_slice(seed, mcq_slice_of(bytes, 8 * cnt));
}

/* Whoever knows this source but not the seed can't make names meet: no word makes the hash forget
 * those before it. The candidates are the constants in it, and what zeroes a product. */
Test(hash, no_word_makes_it_forget_those_before)
{
    static const uint64_t words[] = {0,
                                     1,
                                     UINT64_MAX,
                                     UINT64_C(0x9e3779b97f4a7c15),
                                     UINT64_C(0xd6e8feb86659fd93),
                                     ~UINT64_C(0x9e3779b97f4a7c15),
                                     UINT64_C(0x8000000000000000)};
    for (size_t k = 0; k < MCQ_CNT_OF(words); k++)
        for (uint64_t seed = 1; seed < 100; seed++) {
            const uint64_t a[2] = {1000 + seed, words[k]};
            const uint64_t b[2] = {2000 + seed, words[k]};
            cr_assert_neq(hash_of_words(seed, a, 2), hash_of_words(seed, b, 2));
        }
}

Test(hash, lengths_and_bytes_count_and_nothing_past_them)
{
    uint64_t seen[64];
    for (size_t len = 0; len < MCQ_CNT_OF(seen); len++) {
        uint8_t *zeroes = calloc(1, len + 1); /* what reads past it is seen by ASan */
        seen[len] = mcq_hash_slice(9, mcq_slice_of(zeroes + 1, len));
        for (size_t i = 0; i < len; i++) {
            cr_assert_neq(seen[len], seen[i], "zeroes differ by their number");
            zeroes[1 + i] = 1;
            cr_assert_neq(seen[len], mcq_hash_slice(9, mcq_slice_of(zeroes + 1, len)));
            zeroes[1 + i] = 0;
        }
        free(zeroes);
    }
}

Test(hash, the_seed_decides_which_names_meet)
{
    uint32_t met = 0;
    for (uint64_t a = 0; a < 200; a++)
        for (uint64_t b = 0; b < a; b++)
            if (hash_of_words(5, &a, 1) % 64 == hash_of_words(5, &b, 1) % 64)
                met += hash_of_words(6, &a, 1) % 64 == hash_of_words(6, &b, 1) % 64;
    cr_assert_lt(met, 30, "one in 64 of those that met under another seed, or about that");
}

Test(hash, buckets_are_a_power_of_two_and_twice_as_many)
{
    for (uint32_t cnt = 1; cnt < 100000; cnt = cnt * 3 / 2 + 1) {
        uint32_t n = mcq_hash_bucket_cnt(cnt);
        cr_assert_eq(n & (n - 1), 0);
        cr_assert_geq(n, 2 * cnt);
    }
}
