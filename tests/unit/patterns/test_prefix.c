#include "patterns/prefix.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "patterns/subs.h"
#include "rig.h"

#define TOPICS_MAX 300
#define KEY_MAX    96

struct item {
    struct mcq_prefix node;
    uint8_t key[KEY_MAX];
    size_t len;
    int set;
    bool in;
};

static size_t random_key(uint64_t *seed, uint8_t *key)
{
    size_t len = rig_random(seed) % 4 == 0 ? rig_random(seed) % KEY_MAX : rig_random(seed) % 12;
    uint64_t wide = rig_random(seed) % 3;
    for (size_t i = 0; i < len; i++)
        key[i] = (uint8_t)(wide == 0   ? rig_random(seed)
                           : wide == 1 ? 0
                                       : 'a' + rig_random(seed) % 2);
    return len;
}

static struct item *item_find(struct item *items, int set, const uint8_t *key, size_t len)
{
    for (int i = 0; i < TOPICS_MAX; i++)
        if (items[i].in && items[i].set == set && items[i].len == len &&
            memcmp(items[i].key, key, len) == 0)
            return &items[i];
    return NULL;
}

/* Every stored prefix of the topic, once, shortest first, and nothing else. */
static void assert_matches(struct item *items, struct mcq_prefix_set *sets, int set,
                           struct mcq_slice topic)
{
    size_t expected = 0, got = 0, last = 0;
    for (int i = 0; i < TOPICS_MAX; i++)
        expected += items[i].in && items[i].set == set && items[i].len <= topic.len &&
                    memcmp(items[i].key, topic.ptr, items[i].len) == 0;
    struct mcq_prefix_match m = mcq_prefix_match_of(&sets[set], topic);
    struct mcq_prefix *node;
    while ((node = mcq_prefix_match_next(&m)) != NULL) {
        cr_assert_leq(node->len, topic.len);
        cr_assert_arr_eq(mcq_prefix_key(node).ptr, topic.ptr, node->len);
        cr_assert(got == 0 || node->len > last);
        cr_assert_eq(item_find(items, set, topic.ptr, node->len),
                     MCQ_CONTAINER_OF(node, struct item, node));
        last = node->len;
        got++;
    }
    cr_assert_eq(got, expected);
    cr_assert_null(mcq_prefix_match_next(&m));
}

static void change(struct mcq_prefix_set *sets, struct item *items, struct item *it, uint64_t *seed)
{
    if (it->in) {
        mcq_prefix_remove(&it->node);
        cr_assert(mcq_slice_equal(mcq_prefix_key(&it->node), mcq_slice_of(it->key, it->len)));
        mcq_prefix_release(sets->table, &it->node);
        it->in = false;
        return;
    }
    it->len = random_key(seed, it->key);
    it->set = (int)(rig_random(seed) % 2);
    if (item_find(items, it->set, it->key, it->len) != NULL)
        return;
    it->in = mcq_prefix_insert(&sets[it->set], &it->node, mcq_slice_of(it->key, it->len));
    cr_assert(it->in || it->len > MCQ_PREFIX_INLINE_MAX, "only long ones may find no room");
}

Test(prefix, matches_are_those_of_a_brute_force_search)
{
    struct rig *r = rig_new(MCQ_PULL, NULL);
    struct mcq_prefix_set sets[2];
    struct item *items = calloc(TOPICS_MAX, sizeof *items);
    uint64_t seed = 11;
    mcq_prefix_set_init(&sets[0], &r->shared->prefixes);
    mcq_prefix_set_init(&sets[1], &r->shared->prefixes);
    for (int step = 0; step < 20000; step++) {
        uint8_t topic[KEY_MAX];
        change(sets, items, &items[rig_random(&seed) % TOPICS_MAX], &seed);
        const struct item *it = &items[rig_random(&seed) % TOPICS_MAX];
        size_t len = random_key(&seed, topic);
        if (rig_random(&seed) % 2 == 0 && it->in) /* a stored one, with more behind it */
            memcpy(topic, it->key, mcq_min(len, it->len));
        assert_matches(items, sets, step % 2, mcq_slice_of(topic, len));
        cr_assert_eq(mcq_prefix_set_takes_all(&sets[step % 2]),
                     item_find(items, step % 2, topic, 0) != NULL);
    }
    for (int i = 0; i < TOPICS_MAX; i++)
        if (items[i].in)
            change(sets, items, &items[i], &seed);
    free(items);
    rig_free(r);
}

Test(prefix, the_hash_of_each_prefix_comes_out_of_one_pass)
{
    uint8_t key[80];
    uint64_t seed = 5;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)rig_random(&seed);
    for (size_t len = 0; len <= sizeof key; len++) {
        /* On the heap, exactly as long: a read past the end is seen by ASan. */
        uint8_t *exact = malloc(len + 1);
        memcpy(exact + 1, key, len);
        struct mcq_hash_flow f = mcq_hash_flow_of(9, mcq_slice_of(exact + 1, len));
        for (size_t upto = 0; upto <= len; upto++)
            cr_assert_eq(mcq_hash_upto(&f, upto), mcq_hash_slice(9, mcq_slice_of(key, upto)));
        free(exact);
    }
    /* Zeroes differ by their number. */
    memset(key, 0, sizeof key);
    for (size_t a = 0; a < 20; a++)
        for (size_t b = 0; b < a; b++)
            cr_assert_neq(mcq_hash_slice(9, mcq_slice_of(key, a)),
                          mcq_hash_slice(9, mcq_slice_of(key, b)));
}

Test(prefix, long_topics_stop_at_their_limit_and_leave_nothing_behind)
{
    struct mcq_pattern_plan plan = {16, 64, 64, 3, 1};
    struct rig *r = rig_new(MCQ_PULL, &plan);
    struct mcq_prefix_set set;
    struct mcq_prefix nodes[5];
    char key[5][MCQ_TOPIC_LEN_MAX];
    mcq_prefix_set_init(&set, &r->shared->prefixes);
    for (int i = 0; i < 5; i++) {
        memset(key[i], 'a' + i, sizeof key[i]);
        bool ok = mcq_prefix_insert(&set, &nodes[i], mcq_slice_of(key[i], sizeof key[i]));
        cr_assert_eq(ok, i < 3);
    }
    cr_assert_eq(r->shared->prefixes.long_cnt, 3);
    mcq_prefix_remove(&nodes[1]);
    mcq_prefix_release(&r->shared->prefixes, &nodes[1]);
    cr_assert(mcq_prefix_insert(&set, &nodes[4], mcq_slice_of(key[4], sizeof key[4])));
    cr_assert_eq(mcq_prefix_find(&set, mcq_slice_of(key[4], sizeof key[4])), &nodes[4]);
    cr_assert_null(mcq_prefix_find(&set, mcq_slice_of(key[1], sizeof key[1])));
    for (int i = 0; i < 5; i++)
        if (i != 1 && i != 3) {
            mcq_prefix_remove(&nodes[i]);
            mcq_prefix_release(&r->shared->prefixes, &nodes[i]);
        }
    rig_free(r);
}

Test(prefix, an_empty_pool_of_lengths_refuses_and_keeps_no_key)
{
    struct mcq_pattern_plan plan = {16, 2, 1, 8, 1};
    struct rig *r = rig_new(MCQ_PULL, &plan);
    struct mcq_prefix_set set;
    struct mcq_prefix nodes[4];
    char key[64] = {0};
    mcq_prefix_set_init(&set, &r->shared->prefixes);
    for (size_t i = 0; i < 3; i++)
        cr_assert(mcq_prefix_insert(&set, &nodes[i], mcq_slice_of(key, i)));
    cr_assert_not(mcq_prefix_insert(&set, &nodes[3], mcq_slice_of(key, sizeof key)));
    cr_assert_eq(r->shared->prefixes.long_cnt, 0);
    for (size_t i = 0; i < 3; i++)
        mcq_prefix_remove(&nodes[i]);
    rig_free(r);
}
