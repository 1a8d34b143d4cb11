/* Hashing of names that peers choose: identities, topics. Word by word and seeded, so that the
 * hash of every prefix of a topic comes out of one pass, and nobody outside can aim at one bucket.
 *
 * hash(key) = end(fold(... fold(seed, word 0) ..., word n-1), the 0..7 bytes left, length)
 *
 * A flow is the pass over one key; its lengths may only grow. Borrows the key. Cost: one
 * multiplication per 8 bytes and two per length asked for.
 */
#ifndef MCQ_PATTERNS_HASH_H
#define MCQ_PATTERNS_HASH_H

#include "mem/slice.h"

struct mcq_hash_flow {
    struct mcq_slice key;
    size_t folded;  /* bytes, a multiple of 8 */
    uint64_t state; /* over [0, folded) */
    uint64_t word;  /* bytes [folded, folded + 8), zeroes past the end */
};

/* Both halves of the product of two secrets: no difference between two words survives it in a way
 * that can be told without knowing the seed. */
static inline uint64_t mcq_hash_mix(uint64_t state, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128)(word ^ UINT64_C(0x9e3779b97f4a7c15)) *
                                (state ^ UINT64_C(0xd6e8feb86659fd93));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Names of our own objects take part in keys by their address. */
static inline uint64_t mcq_hash_of(const void *object)
{
    return mcq_hash_mix(0, (uint64_t)(uintptr_t)object);
}

static inline uint64_t mcq_hash_word(struct mcq_slice key, size_t pos)
{
    struct mcq_reader r = mcq_reader_of(key);
    uint64_t word = 0;
    r.pos = pos;
    if (mcq_reader_be64(&r, &word))
        return word;
    for (size_t i = pos; i < key.len; i++)
        word |= (uint64_t)key.ptr[i] << (56 - 8 * (i - pos));
    return word;
}

static inline struct mcq_hash_flow mcq_hash_flow_of(uint64_t seed, struct mcq_slice key)
{
    struct mcq_hash_flow f = {key, 0, seed, mcq_hash_word(key, 0)};
    return f;
}

/* The hash of key[0, len): len <= key.len, and not below the length asked for last. */
static inline uint64_t mcq_hash_upto(struct mcq_hash_flow *f, size_t len)
{
    while (len - f->folded >= 8) {
        f->state = mcq_hash_mix(f->state, f->word);
        f->folded += 8;
        f->word = mcq_hash_word(f->key, f->folded);
    }
    unsigned bits = (unsigned)(len - f->folded) * 8;
    uint64_t rest = f->word & ~(UINT64_MAX >> bits);
    return mcq_hash_mix(mcq_hash_mix(f->state, rest), len);
}

static inline uint64_t mcq_hash_slice(uint64_t seed, struct mcq_slice key)
{
    struct mcq_hash_flow f = mcq_hash_flow_of(seed, key);
    return mcq_hash_upto(&f, key.len);
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
