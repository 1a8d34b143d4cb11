#include "patterns/prefix.h"

/* Every prefix could be the only one of its length, so there are as many length nodes. */
size_t mcq_prefix_table_footprint(uint32_t prefixes_max)
{
    return mcq_hash_bucket_cnt(prefixes_max) * sizeof(struct mcq_prefix *) + MCQ_CACHE_LINE +
           mcq_pool_footprint(sizeof(struct mcq_prefix_length), prefixes_max);
}

bool mcq_prefix_table_init(struct mcq_prefix_table *t, struct mcq_arena *arena,
                           struct mcq_buf_heap *heap, uint32_t prefixes_max, uint32_t long_max,
                           uint64_t seed)
{
    t->bucket_cnt = mcq_hash_bucket_cnt(prefixes_max);
    t->seed = seed;
    t->heap = heap;
    t->long_cnt = 0;
    t->long_max = long_max;
    t->buckets = mcq_arena_carve(arena, t->bucket_cnt * sizeof(*t->buckets), MCQ_CACHE_LINE);
    return t->buckets != NULL && mcq_pool_init(&t->lengths, "topic lengths", arena,
                                               sizeof(struct mcq_prefix_length), prefixes_max);
}

void mcq_prefix_set_init(struct mcq_prefix_set *set, struct mcq_prefix_table *table)
{
    set->table = table;
    set->seed = table->seed ^ mcq_hash_of(set);
    mcq_list_init(&set->lengths);
}

static struct mcq_prefix *probe(const struct mcq_prefix_set *set, uint64_t hash,
                                struct mcq_slice topic)
{
    struct mcq_prefix *node = set->table->buckets[hash & (set->table->bucket_cnt - 1)];
    while (node != NULL) {
        if (node->hash == hash && node->set == set && mcq_slice_equal(mcq_prefix_key(node), topic))
            break;
        node = node->next;
    }
    return node;
}

struct mcq_prefix *mcq_prefix_find(const struct mcq_prefix_set *set, struct mcq_slice topic)
{
    return probe(set, mcq_hash_slice(set->seed, topic), topic);
}

static struct mcq_prefix_length *length_of(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_prefix_length, node);
}

/* Counts one more prefix of len bytes. NULL: no node left. */
static struct mcq_prefix_length *length_hold(struct mcq_prefix_set *set, uint32_t len)
{
    struct mcq_node *n = mcq_list_first(&set->lengths);
    while (n != NULL && length_of(n)->len < len)
        n = mcq_list_next(&set->lengths, n);
    if (n != NULL && length_of(n)->len == len) {
        length_of(n)->cnt++;
        return length_of(n);
    }
    struct mcq_prefix_length *l = mcq_pool_take(&set->table->lengths);
    if (l == NULL)
        return NULL;
    *l = (struct mcq_prefix_length){.len = len, .cnt = 1};
    mcq_list_insert_before(n != NULL ? n : &set->lengths.head, &l->node);
    return l;
}

static void length_drop(struct mcq_prefix_table *t, struct mcq_prefix_length *l)
{
    if (--l->cnt != 0)
        return;
    mcq_node_unlink(&l->node);
    mcq_pool_give(&t->lengths, l);
}

static bool key_store(struct mcq_prefix_table *t, struct mcq_prefix *node, struct mcq_slice topic)
{
    node->buf = NULL;
    node->len = (uint32_t)topic.len;
    if (topic.len <= MCQ_PREFIX_INLINE_MAX) {
        mcq_bytes_copy(node->bytes, topic.ptr, topic.len);
        return true;
    }
    if (t->long_cnt == t->long_max)
        return false;
    node->buf = mcq_buf_take(t->heap, topic.len);
    if (node->buf == NULL)
        return false;
    t->long_cnt++;
    mcq_buf_filled(t->heap, node->buf, topic.len);
    mcq_bytes_copy(node->buf->base, topic.ptr, topic.len);
    return true;
}

void mcq_prefix_release(struct mcq_prefix_table *t, struct mcq_prefix *node)
{
    if (node->buf == NULL)
        return;
    mcq_buf_unref(t->heap, node->buf);
    node->buf = NULL;
    t->long_cnt--;
}

bool mcq_prefix_insert(struct mcq_prefix_set *set, struct mcq_prefix *node, struct mcq_slice topic)
{
    struct mcq_prefix_table *t = set->table;
    if (!key_store(t, node, topic))
        return false;
    node->length = length_hold(set, node->len);
    if (node->length == NULL) {
        mcq_prefix_release(t, node);
        return false;
    }
    node->set = set;
    node->hash = mcq_hash_slice(set->seed, topic);
    struct mcq_prefix **bucket = &t->buckets[node->hash & (t->bucket_cnt - 1)];
    node->next = *bucket;
    *bucket = node;
    return true;
}

void mcq_prefix_remove(struct mcq_prefix *node)
{
    struct mcq_prefix_table *t = node->set->table;
    struct mcq_prefix **at = &t->buckets[node->hash & (t->bucket_cnt - 1)];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    length_drop(t, node->length);
}

struct mcq_prefix_match mcq_prefix_match_of(const struct mcq_prefix_set *set,
                                            struct mcq_slice topic)
{
    struct mcq_prefix_match m = {set, mcq_hash_flow_of(set->seed, topic),
                                 mcq_list_first(&set->lengths)};
    return m;
}

struct mcq_prefix *mcq_prefix_match_next(struct mcq_prefix_match *m)
{
    while (m->at != NULL) {
        size_t len = length_of(m->at)->len;
        if (len > m->flow.key.len)
            break;
        m->at = mcq_list_next(&m->set->lengths, m->at);
        struct mcq_slice head = mcq_slice_of(m->flow.key.ptr, len);
        struct mcq_prefix *node = probe(m->set, mcq_hash_upto(&m->flow, len), head);
        if (node != NULL)
            return node;
    }
    m->at = NULL;
    return NULL;
}
