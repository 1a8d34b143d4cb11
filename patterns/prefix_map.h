/* Map of the prefix table: (fork, word, span) -> the node that hangs there. Private to the table.
 *
 * Buckets are one cache line: a byte of hash for each of 7 nodes, and their addresses. Who finds
 * its bucket full goes on to the next one; each bucket counts how many have passed it, and where
 * none has, a search ends.
 *
 *      tags  [passed | t t t t t t t]   nodes [ 7 addresses ]
 *
 * Invariants: every node is found from its own bucket on before a bucket that nobody has passed;
 * a tag of 0 is a free place. Names are exact: a node that is found is the one, not just its hash.
 * The hash is a product of two secrets with what peers choose, so nobody outside can aim at a
 * bucket; and mixed once more, or names in a row would meet in a few of them for some secrets.
 *
 * Nodes are borrowed. Cost: one cache line of buckets as a rule; fill is at most 3/4.
 */
#ifndef MCQ_PATTERNS_PREFIX_MAP_H
#define MCQ_PATTERNS_PREFIX_MAP_H

#include "mem/arena.h"
#include "patterns/hash.h"
#include "patterns/prefix_node.h"

#define MCQ_PREFIX_BUCKET_MAX 7u /* nodes */

struct mcq_prefix_bucket {
    uint64_t tags; /* lowest byte: passed */
    struct mcq_prefix *nodes[MCQ_PREFIX_BUCKET_MAX];
};

struct mcq_prefix_map {
    struct mcq_prefix_bucket *buckets;
    uint32_t bucket_cnt;
    uint32_t cnt, max; /* nodes */
    uint64_t secrets[2];
};

size_t mcq_prefix_map_footprint(uint32_t max);
MCQ_MUST_USE bool mcq_prefix_map_init(struct mcq_prefix_map *map, struct mcq_arena *arena,
                                      uint32_t max, uint64_t seed);

/* What hangs in fork under that name; NULL if nothing does. */
static inline struct mcq_prefix *mcq_prefix_map_find(const struct mcq_prefix_map *map,
                                                     const struct mcq_prefix *fork, uint32_t word,
                                                     uint32_t span);
/* node, whose above, word and span are set, comes in. cnt < max. */
void mcq_prefix_map_put(struct mcq_prefix_map *map, struct mcq_prefix *node);
void mcq_prefix_map_drop(struct mcq_prefix_map *map, const struct mcq_prefix *node);

/* --- inside ----------------------------------------------------------------------------------- */

#define MCQ_PREFIX_EACH_BYTE UINT64_C(0x0101010101010101)
#define MCQ_PREFIX_TOP_BITS  UINT64_C(0x8080808080808080)

static inline uint64_t mcq_prefix_map_hash(const struct mcq_prefix_map *map,
                                           const struct mcq_prefix *fork, uint32_t word,
                                           uint32_t span)
{
    uint64_t name = (uint64_t)span << 32 | word;
    unsigned __int128 product =
        (unsigned __int128)(map->secrets[0] ^ (uintptr_t)fork) * (map->secrets[1] ^ name);
    return mcq_hash_mix((uint64_t)product, (uint64_t)(product >> 64));
}

static inline uint32_t mcq_prefix_map_home(const struct mcq_prefix_map *map, uint64_t hash)
{
    return (uint32_t)((hash & UINT32_MAX) * map->bucket_cnt >> 32);
}

/* 0 is a free place's. */
static inline uint64_t mcq_prefix_map_tag(uint64_t hash)
{
    uint64_t tag = hash >> 56;
    return tag + (tag == 0);
}

/* The places with that tag, by the top bit of their byte. Exact: what is carried from one byte into
 * the next by the usual trick would be found in free places. */
static inline uint64_t mcq_prefix_bucket_hits(const struct mcq_prefix_bucket *b, uint64_t tag)
{
    uint64_t diff = b->tags ^ tag * MCQ_PREFIX_EACH_BYTE;
    return ~(((diff & ~MCQ_PREFIX_TOP_BITS) + ~MCQ_PREFIX_TOP_BITS) | diff) & MCQ_PREFIX_TOP_BITS &
           ~UINT64_C(0xff);
}

static inline uint32_t mcq_prefix_bucket_place(uint64_t hits)
{
    return (uint32_t)__builtin_ctzll(hits) / 8 - 1;
}

static inline bool mcq_prefix_map_is(const struct mcq_prefix *node, const struct mcq_prefix *fork,
                                     uint32_t word, uint32_t span)
{
    return node->above == fork && node->word == word && node->span == span;
}

/* The whole search, for those that don't find at the first glance. */
struct mcq_prefix *mcq_prefix_map_search(const struct mcq_prefix_map *map,
                                         const struct mcq_prefix *fork, uint32_t word,
                                         uint32_t span);

static inline struct mcq_prefix *mcq_prefix_map_find(const struct mcq_prefix_map *map,
                                                     const struct mcq_prefix *fork, uint32_t word,
                                                     uint32_t span)
{
    uint64_t hash = mcq_prefix_map_hash(map, fork, word, span);
    const struct mcq_prefix_bucket *b = &map->buckets[mcq_prefix_map_home(map, hash)];
    uint64_t hits = mcq_prefix_bucket_hits(b, mcq_prefix_map_tag(hash));
    if (MCQ_LIKELY(hits != 0)) {
        struct mcq_prefix *node = b->nodes[mcq_prefix_bucket_place(hits)];
        if (MCQ_LIKELY(mcq_prefix_map_is(node, fork, word, span)))
            return node;
    } else if (MCQ_LIKELY((b->tags & 0xff) == 0)) {
        return NULL;
    }
    return mcq_prefix_map_search(map, fork, word, span);
}

#endif
