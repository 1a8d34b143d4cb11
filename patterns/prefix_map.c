#include "patterns/prefix_map.h"

/* Once so many have passed a bucket, nobody counts them any more, nor when they leave. */
#define PASSED_MAX UINT64_C(0xff)

static uint32_t buckets_for(uint32_t max)
{
    return (uint32_t)((uint64_t)max * 4 / (3 * MCQ_PREFIX_BUCKET_MAX)) + 1;
}

size_t mcq_prefix_map_footprint(uint32_t max)
{
    return buckets_for(max) * sizeof(struct mcq_prefix_bucket) + MCQ_CACHE_LINE;
}

/* An arena's memory starts as zeroes, which is what an empty bucket is. */
bool mcq_prefix_map_init(struct mcq_prefix_map *map, struct mcq_arena *arena, uint32_t max,
                         uint64_t seed)
{
    *map = (struct mcq_prefix_map){.bucket_cnt = buckets_for(max), .max = max};
    map->secrets[0] = mcq_hash_mix(seed, UINT64_C(0xd6e8feb86659fd93));
    map->secrets[1] = mcq_hash_mix(map->secrets[0], seed);
    map->buckets = mcq_arena_carve(arena, map->bucket_cnt * sizeof(*map->buckets), MCQ_CACHE_LINE);
    return map->buckets != NULL;
}

static uint64_t hash_of(const struct mcq_prefix_map *map, const struct mcq_prefix *node)
{
    return mcq_prefix_map_hash(map, node->above, node->word, node->span);
}

static uint32_t next(const struct mcq_prefix_map *map, uint32_t at)
{
    return at + 1 == map->bucket_cnt ? 0 : at + 1;
}

struct mcq_prefix *mcq_prefix_map_search(const struct mcq_prefix_map *map,
                                         const struct mcq_prefix *fork, uint32_t word,
                                         uint32_t span)
{
    uint64_t hash = mcq_prefix_map_hash(map, fork, word, span);
    uint64_t tag = mcq_prefix_map_tag(hash);
    uint32_t at = mcq_prefix_map_home(map, hash);
    for (;; at = next(map, at)) {
        const struct mcq_prefix_bucket *b = &map->buckets[at];
        for (uint64_t hits = mcq_prefix_bucket_hits(b, tag); hits != 0; hits &= hits - 1) {
            struct mcq_prefix *node = b->nodes[mcq_prefix_bucket_place(hits)];
            if (mcq_prefix_map_is(node, fork, word, span))
                return node;
        }
        if ((b->tags & 0xff) == 0)
            return NULL;
    }
}

void mcq_prefix_map_put(struct mcq_prefix_map *map, struct mcq_prefix *node)
{
    uint64_t hash = hash_of(map, node);
    uint32_t at = mcq_prefix_map_home(map, hash);
    uint64_t room;
    MCQ_ASSERT(map->cnt < map->max);
    while ((room = mcq_prefix_bucket_hits(&map->buckets[at], 0)) == 0) {
        map->buckets[at].tags += (map->buckets[at].tags & 0xff) != PASSED_MAX;
        at = next(map, at);
    }
    uint32_t place = mcq_prefix_bucket_place(room);
    map->buckets[at].tags |= mcq_prefix_map_tag(hash) << 8 * (place + 1);
    map->buckets[at].nodes[place] = node;
    map->cnt++;
}

static uint32_t place_of(const struct mcq_prefix_bucket *b, const struct mcq_prefix *node,
                         uint64_t tag)
{
    for (uint64_t hits = mcq_prefix_bucket_hits(b, tag); hits != 0; hits &= hits - 1)
        if (b->nodes[mcq_prefix_bucket_place(hits)] == node)
            return mcq_prefix_bucket_place(hits);
    return MCQ_PREFIX_BUCKET_MAX;
}

void mcq_prefix_map_drop(struct mcq_prefix_map *map, const struct mcq_prefix *node)
{
    uint64_t hash = hash_of(map, node);
    uint64_t tag = mcq_prefix_map_tag(hash);
    uint32_t at = mcq_prefix_map_home(map, hash);
    uint32_t place;
    while ((place = place_of(&map->buckets[at], node, tag)) == MCQ_PREFIX_BUCKET_MAX) {
        uint64_t passed = map->buckets[at].tags & 0xff;
        MCQ_ASSERT(passed != 0); /* it is not in the map */
        map->buckets[at].tags -= passed != PASSED_MAX;
        at = next(map, at);
    }
    map->buckets[at].tags &= ~(UINT64_C(0xff) << 8 * (place + 1));
    map->cnt--;
}
