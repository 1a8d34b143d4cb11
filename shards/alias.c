#include "shards/alias.h"

#include "shards/link.h"

static uint64_t bucket_cnt(uint32_t links_max)
{
    uint64_t cnt = 16;
    while (cnt < links_max)
        cnt *= 2;
    return cnt;
}

size_t mcq_alias_footprint(uint32_t links_max)
{
    return bucket_cnt(links_max) * sizeof(struct mcq_list) + MCQ_CACHE_LINE;
}

bool mcq_alias_init(struct mcq_alias *a, struct mcq_arena *arena, uint32_t links_max)
{
    const uint64_t cnt = bucket_cnt(links_max);
    *a = (struct mcq_alias){
        .buckets = mcq_arena_carve(arena, cnt * sizeof(*a->buckets), MCQ_CACHE_LINE),
        .mask = cnt - 1,
    };
    for (uint64_t i = 0; a->buckets != NULL && i < cnt; i++)
        mcq_list_init(&a->buckets[i]);
    return a->buckets != NULL;
}

/* Names differ in shard, slot and epoch: all of them have to reach the low bits. Peers don't choose
 * their names. */
static struct mcq_list *bucket(const struct mcq_alias *a, struct mcq_peer peer)
{
    uint64_t h = peer.bits * 0x9e3779b97f4a7c15u;
    return &a->buckets[(h >> 32 ^ h >> 56) & a->mask];
}

void mcq_alias_enter(struct mcq_alias *a, struct mcq_link *link)
{
    mcq_list_push_back(bucket(a, link->pipe.peer), &link->alias_node);
}

void mcq_alias_leave(struct mcq_link *link)
{
    mcq_node_unlink(&link->alias_node);
}

struct mcq_link *mcq_alias_find(const struct mcq_alias *a, struct mcq_peer peer)
{
    struct mcq_list *b = bucket(a, peer);
    for (struct mcq_node *n = mcq_list_first(b); n != NULL; n = mcq_list_next(b, n)) {
        struct mcq_link *link = MCQ_CONTAINER_OF(n, struct mcq_link, alias_node);
        if (mcq_peer_equal(link->pipe.peer, peer))
            return link;
    }
    return NULL;
}
