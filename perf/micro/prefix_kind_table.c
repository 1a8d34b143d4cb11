/* The library's prefix table, one set of it. */
#include "prefix_kind.h"

#include <stdlib.h>

struct table {
    struct mcq_arena arena;
    struct mcq_prefix_table prefixes;
    struct mcq_prefix_set set;
};

static void table_close(void *table)
{
    struct table *t = table;
    mcq_arena_fini(&t->arena);
    free(t);
}

static void *table_open(uint32_t cnt)
{
    struct table *t = calloc(1, sizeof(*t));
    size_t len = mcq_prefix_table_footprint(cnt);
    if (t == NULL)
        return NULL;
    if (mcq_arena_init(&t->arena, len, MCQ_NODE_ANY, NULL) != MCQ_OK ||
        !mcq_prefix_table_init(&t->prefixes, &t->arena, NULL, cnt, 0, 88172645463325252u)) {
        table_close(t);
        return NULL;
    }
    mcq_arena_seal(&t->arena, false, NULL);
    mcq_prefix_set_init(&t->set, &t->prefixes);
    return t;
}

static bool table_insert(void *table, struct prefix_obj *o)
{
    struct table *t = table;
    return mcq_prefix_insert(&t->set, &o->node, prefix_obj_key(o));
}

static void table_remove(void *table, struct prefix_obj *o)
{
    struct table *t = table;
    mcq_prefix_remove(&t->set, &o->node);
}

static inline uint64_t find(void *table, struct mcq_slice topic, uint64_t *len)
{
    const struct table *t = table;
    struct mcq_prefix_match m = mcq_prefix_match_of(&t->set, topic);
    struct mcq_prefix *node;
    uint64_t cnt = 0;
    while ((node = mcq_prefix_match_next(&m)) != NULL) {
        *len += node->len;
        cnt++;
    }
    return cnt;
}

static uint64_t table_match(void *table, const struct prefix_keys *k, uint64_t from, uint64_t cnt,
                            bool chained)
{
    PREFIX_KIND_MATCH(find);
}

static size_t table_bytes(void *table)
{
    const struct table *t = table;
    return t->prefixes.map.bucket_cnt * sizeof(struct mcq_prefix_bucket) +
           t->prefixes.forks.in_use * t->prefixes.forks.obj_len;
}

const struct prefix_kind prefix_kind_table = {"table",     table_open,  table_insert, table_remove,
                                              table_match, table_bytes, table_close};
