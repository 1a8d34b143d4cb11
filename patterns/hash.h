/* Hashing of names that peers choose (identities) and of our own objects. Word by word and seeded,
 * so that nobody outside can aim at one bucket.
 *
 * hash(key) = end(fold(... fold(seed, word 0) ..., word n-1), the 0..7 bytes left, length)
 *
 * Borrows the key. Cost: one multiplication per 8 bytes and two at the end.
 */
#ifndef MCQ_PATTERNS_HASH_H
#define MCQ_PATTERNS_HASH_H

#include "mem/slice.h"

/* The state is secret from the seed on, and both halves of a product with it count: which words
 * meet can't be told without knowing it. No word makes the product forget the state, as a factor of
 * its own could by becoming zero. */
static inline uint64_t mcq_hash_mix(uint64_t state, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128)(state ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Names of our own objects take part in keys by their address. */
static inline uint64_t mcq_hash_of(const void *object)
{
    return mcq_hash_mix(0, (uint64_t)(uintptr_t)object);
}

static inline uint64_t mcq_hash_slice(uint64_t seed, struct mcq_slice key)
{
    size_t pos = 0;
    for (; key.len - pos >= 8; pos += 8)
        seed = mcq_hash_mix(seed, mcq_slice_head(key, pos));
    return mcq_hash_mix(mcq_hash_mix(seed, mcq_slice_head(key, pos)), key.len);
}

/* A power of two >= 2 * cnt, so that chains stay short. cnt < 2^30. */
static inline uint32_t mcq_hash_bucket_cnt(uint32_t cnt)
{
    uint32_t n = 16;
    while (n < 2 * cnt)
        n *= 2;
    return n;
}

#endif
