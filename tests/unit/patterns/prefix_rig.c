#include "prefix_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

uint64_t prefix_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- the table ----------------------------------------------------------------------------- */

struct prefix_rig *prefix_rig_new(uint32_t prefixes_max, uint32_t long_max)
{
    struct prefix_rig *r = calloc(1, sizeof *r);
    struct mcq_buf_plan plan = {{long_max, long_max, 0, 0}, 0, 0};
    size_t need = mcq_prefix_table_footprint(prefixes_max);
    cr_assert_eq(
        mcq_arena_init(&r->arena, need + mcq_buf_heap_footprint(&plan) + 4096, MCQ_NODE_ANY, NULL),
        MCQ_OK);
    r->heap = mcq_buf_heap_init(&r->arena, &plan, &r->mem);
    cr_assert_not_null(r->heap);
    size_t before = r->arena.used;
    cr_assert(
        mcq_prefix_table_init(&r->table, &r->arena, r->heap, prefixes_max, long_max, 20240229));
    cr_assert_leq(r->arena.used - before, need);
    r->held = calloc(prefixes_max, sizeof(void *));
    return r;
}

void prefix_rig_free(struct prefix_rig *r)
{
    prefix_rig_let_go(r);
    cr_assert_eq(r->table.forks.in_use, 0);
    cr_assert_eq(r->table.map.cnt, 0);
    prefix_check_map(&r->table.map);
    cr_assert_eq(r->table.long_cnt, 0);
    cr_assert_eq(mcq_buf_heap_in_use(r->heap), 0);
    mcq_arena_fini(&r->arena);
    free(r->held);
    free(r);
}

void prefix_rig_hold(struct prefix_rig *r, uint32_t left)
{
    while (r->table.forks.free_cnt > left)
        r->held[r->held_cnt++] = mcq_pool_take(&r->table.forks);
}

void prefix_rig_let_go(struct prefix_rig *r)
{
    while (r->held_cnt != 0)
        mcq_pool_give(&r->table.forks, r->held[--r->held_cnt]);
}

/* The copy is exactly as long as the key: what reads past it is seen by ASan. The node starts as
 * garbage. */
bool prefix_item_enter(struct prefix_item *it, struct mcq_prefix_set *set, struct mcq_slice key)
{
    uint8_t *copy = malloc(key.len + (key.len == 0));
    memset(&it->node, 0xa5, sizeof it->node);
    mcq_bytes_copy(copy, key.ptr, key.len);
    it->key = mcq_slice_of(copy, key.len);
    it->set = mcq_prefix_insert(set, &it->node, it->key) ? set : NULL;
    if (it->set == NULL)
        free(copy);
    return it->set != NULL;
}

void prefix_item_leave(struct prefix_item *it)
{
    mcq_prefix_remove(it->set, &it->node);
    cr_assert(mcq_slice_equal(mcq_prefix_key(&it->node), it->key), "readable until released");
    mcq_prefix_release(it->set->table, &it->node);
    memset(&it->node, 0xa5, sizeof it->node);
    free((void *)(uintptr_t)it->key.ptr);
    it->set = NULL;
}

/* --- what must hold ------------------------------------------------------------------------ */

struct check {
    const struct mcq_prefix_map *map;
    struct prefix_shape shape;
};

static void sum_add(uint64_t *sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++)
        *sum = (*sum ^ at[i]) * UINT64_C(0x100000001b3);
}

/* The bytes of key in [pos, pos + span) as item.word has them. */
static uint32_t word_of(struct mcq_slice key, size_t pos, uint32_t span)
{
    uint32_t word = 0;
    for (size_t i = pos; i < pos + 4; i++)
        word = word << 8 | (i < pos + span ? key.ptr[i] : 0);
    return word;
}

/* A kid under its name; key: any below it. */
static void check_name(struct check *c, const struct mcq_prefix *f, struct mcq_prefix *kid,
                       struct mcq_slice key)
{
    size_t left = key.len - f->len;
    cr_assert_eq(kid->above, f);
    cr_assert_leq(f->len, key.len);
    cr_assert_eq(kid->span, left < MCQ_PREFIX_STRIDE ? left : MCQ_PREFIX_STRIDE);
    cr_assert_eq(kid->word, word_of(key, f->len, kid->span));
    if (kid->span == 0) {
        cr_assert_eq(kid, f->fork.value);
        return;
    }
    cr_assert_eq(mcq_prefix_map_find(c->map, f, kid->word, kid->span), kid);
    c->shape.named++;
}

static struct mcq_slice check_fork(struct check *c, const struct mcq_prefix *f);

static struct mcq_slice check_kid(struct check *c, const struct mcq_prefix *f,
                                  struct mcq_prefix *kid)
{
    struct mcq_slice key;
    if (kid->is_fork) {
        cr_assert_gt(kid->len, f->len);
        key = check_fork(c, kid);
        c->shape.forks++;
    } else {
        key = mcq_prefix_key(kid);
        c->shape.prefixes++;
    }
    check_name(c, f, kid, key);
    sum_add(&c->shape.sum, kid, sizeof *kid);
    return key;
}

/* Gives any key below. All share the first `len` bytes. */
static struct mcq_slice check_fork(struct check *c, const struct mcq_prefix *f)
{
    uint32_t cnt[MCQ_PREFIX_STRIDE + 1] = {0};
    struct mcq_slice any = {NULL, 0};
    const struct mcq_list *kids = &f->fork.kids;
    bool forks = false;
    uint32_t all = 0;
    cr_assert(f->is_fork);
    cr_assert_eq(f->len % MCQ_PREFIX_STRIDE, 0);
    for (struct mcq_node *n = mcq_list_first(kids); n != NULL; n = mcq_list_next(kids, n)) {
        struct mcq_prefix *kid = MCQ_CONTAINER_OF(n, struct mcq_prefix, kin);
        cr_assert(kid->is_fork || !forks, "topics first");
        forks = kid->is_fork;
        struct mcq_slice key = check_kid(c, f, kid);
        if (all++ != 0)
            cr_assert_eq(memcmp(key.ptr, any.ptr, f->len), 0);
        any = key;
        cnt[kid->span]++;
    }
    for (uint32_t i = 0; i <= MCQ_PREFIX_STRIDE; i++) {
        cr_assert_eq(cnt[i], f->fork.cnt[i]);
        cr_assert_eq(cnt[i] != 0, (f->fork.spans >> i & 1) != 0);
    }
    cr_assert_eq(f->fork.value != NULL, cnt[0] == 1);
    cr_assert_eq(f->fork.spans >> (MCQ_PREFIX_STRIDE + 1), 0);
    cr_assert(f->above == NULL || all >= 2);
    return any;
}

struct prefix_shape prefix_check(const struct mcq_prefix_set *set)
{
    struct check c = {.map = &set->table->map};
    cr_assert_null(set->root.above);
    cr_assert_eq(set->root.len, 0);
    check_fork(&c, &set->root);
    sum_add(&c.shape.sum, &set->root, sizeof set->root);
    sum_add(&c.shape.sum, c.map->buckets, c.map->bucket_cnt * sizeof(struct mcq_prefix_bucket));
    sum_add(&c.shape.sum, &set->table->long_cnt, sizeof set->table->long_cnt);
    return c.shape;
}

uint64_t prefix_check_map(const struct mcq_prefix_map *map)
{
    uint64_t nodes = 0;
    uint32_t *passed = calloc(map->bucket_cnt, sizeof *passed);
    for (uint32_t at = 0; at < map->bucket_cnt; at++)
        for (uint32_t i = 0; i < MCQ_PREFIX_BUCKET_MAX; i++) {
            const struct mcq_prefix_bucket *b = &map->buckets[at];
            uint64_t tag = b->tags >> 8 * (i + 1) & 0xff;
            if (tag == 0)
                continue;
            const struct mcq_prefix *node = b->nodes[i];
            uint64_t hash = mcq_prefix_map_hash(map, node->above, node->word, node->span);
            cr_assert_eq(tag, mcq_prefix_map_tag(hash));
            for (uint32_t j = mcq_prefix_map_home(map, hash); j != at;
                 j = j + 1 == map->bucket_cnt ? 0 : j + 1)
                passed[j]++;
            nodes++;
        }
    for (uint32_t at = 0; at < map->bucket_cnt; at++)
        cr_assert((map->buckets[at].tags & 0xff) == passed[at] ||
                  (map->buckets[at].tags & 0xff) == 0xff);
    cr_assert_eq(nodes, map->cnt);
    cr_assert_leq(nodes, map->max);
    free(passed);
    return nodes;
}
