#include "patterns/registry.h"

#include "patterns/hash.h"

size_t mcq_registry_footprint(uint32_t pipes_max)
{
    return mcq_hash_bucket_cnt(pipes_max) * sizeof(struct mcq_list) + MCQ_CACHE_LINE;
}

bool mcq_registry_init(struct mcq_registry *r, struct mcq_arena *arena, uint32_t pipes_max,
                       uint64_t seed)
{
    r->bucket_cnt = mcq_hash_bucket_cnt(pipes_max);
    r->seed = seed;
    r->buckets = mcq_arena_carve(arena, r->bucket_cnt * sizeof(*r->buckets), MCQ_CACHE_LINE);
    if (r->buckets == NULL)
        return false;
    for (uint32_t i = 0; i < r->bucket_cnt; i++)
        mcq_list_init(&r->buckets[i]);
    return true;
}

static struct mcq_list *bucket_of(const struct mcq_registry *r, const struct mcq_psock *s,
                                  struct mcq_slice identity)
{
    uint64_t h = mcq_hash_slice(r->seed ^ mcq_hash_of(s), identity);
    return &r->buckets[h & (r->bucket_cnt - 1)];
}

struct mcq_pipe *mcq_registry_find(const struct mcq_registry *r, const struct mcq_psock *s,
                                   struct mcq_slice identity)
{
    const struct mcq_list *bucket = bucket_of(r, s, identity);
    for (struct mcq_node *n = mcq_list_first(bucket); n != NULL; n = mcq_list_next(bucket, n)) {
        struct mcq_pipe *p = MCQ_CONTAINER_OF(n, struct mcq_pipe, registry_node);
        if (p->sock == s && mcq_slice_equal(mcq_slice_of(p->identity, p->identity_len), identity))
            return p;
    }
    return NULL;
}

void mcq_registry_put(struct mcq_registry *r, struct mcq_pipe *p)
{
    struct mcq_slice identity = mcq_slice_of(p->identity, p->identity_len);
    mcq_list_push_back(bucket_of(r, p->sock, identity), &p->registry_node);
}

void mcq_registry_remove(struct mcq_pipe *p)
{
    mcq_node_unlink(&p->registry_node);
}
