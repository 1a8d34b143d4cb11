/* The prefix table against a model that knows every key by its hash: random tables of many kinds,
 * several sets at a time, with everything that must hold inside checked as they grow and shrink. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prefix_rig.h"

#define SETS    3
#define BUCKETS 16384u

struct world;

/* Writes a key of at most PREFIX_RIG_KEY_MAX bytes. Returns its length. */
typedef size_t key_fn(struct world *w, uint8_t *key);

struct world {
    struct prefix_rig *rig;
    struct mcq_prefix_set sets[SETS];
    struct prefix_item *items;
    uint32_t item_cnt, live;
    struct prefix_item *buckets[BUCKETS];
    uint64_t seed;
    key_fn *key;
    uint32_t matches; /* seen */
};

/* --- the model ------------------------------------------------------------------------------ */

static struct prefix_item **bucket_of(struct world *w, const struct mcq_prefix_set *set,
                                      struct mcq_slice key)
{
    uint64_t h = (uint64_t)(set - w->sets) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ key.ptr[i]) * UINT64_C(0x100000001b3);
    return &w->buckets[(h >> 20) % BUCKETS];
}

static struct prefix_item *model_find(struct world *w, const struct mcq_prefix_set *set,
                                      struct mcq_slice key)
{
    struct prefix_item *it = *bucket_of(w, set, key);
    while (it != NULL && (it->set != set || !mcq_slice_equal(it->key, key)))
        it = it->next;
    return it;
}

static void model_enter(struct world *w, struct prefix_item *it)
{
    struct prefix_item **bucket = bucket_of(w, it->set, it->key);
    it->next = *bucket;
    *bucket = it;
    w->live++;
}

static void model_leave(struct world *w, struct prefix_item *it)
{
    struct prefix_item **at = bucket_of(w, it->set, it->key);
    while (*at != it)
        at = &(*at)->next;
    *at = it->next;
    w->live--;
}

/* --- steps ---------------------------------------------------------------------------------- */

/* Every stored prefix of the topic, once, shortest first, and nothing else. */
static void assert_matches(struct world *w, struct mcq_prefix_set *set, struct mcq_slice topic)
{
    struct mcq_prefix_match m = mcq_prefix_match_of(set, topic);
    uint64_t h = (uint64_t)(set - w->sets) * UINT64_C(0x9e3779b97f4a7c15);
    struct prefix_item *expected[256];
    size_t cnt = 0;
    for (size_t len = 0; len <= topic.len; len++) {
        struct prefix_item *it = w->buckets[(h >> 20) % BUCKETS];
        for (; it != NULL; it = it->next)
            if (it->set == set && it->key.len == len && memcmp(it->key.ptr, topic.ptr, len) == 0)
                expected[cnt++ % 256] = it;
        if (len < topic.len)
            h = (h ^ topic.ptr[len]) * UINT64_C(0x100000001b3);
    }
    cr_assert_leq(cnt, 256);
    for (size_t i = 0; i < cnt; i++)
        cr_assert_eq(mcq_prefix_match_next(&m), &expected[i]->node);
    w->matches += (uint32_t)cnt;
    cr_assert_null(mcq_prefix_match_next(&m));
    cr_assert_null(mcq_prefix_match_next(&m), "still none");
}

static struct mcq_prefix_set *set_any(struct world *w)
{
    return &w->sets[prefix_random(&w->seed) % SETS];
}

/* A stored key, cut or with more behind it or with a byte changed; or any. */
static size_t topic_any(struct world *w, uint8_t *topic)
{
    size_t len = w->key(w, topic);
    const struct prefix_item *it = &w->items[prefix_random(&w->seed) % w->item_cnt];
    uint64_t way = prefix_random(&w->seed) % 4;
    if (it->set == NULL || it->key.len == 0 || way == 0)
        return len;
    size_t keep = way == 1 ? prefix_random(&w->seed) % it->key.len : it->key.len;
    size_t tail = way == 2 ? 0 : mcq_min(len, PREFIX_RIG_KEY_MAX - keep);
    memmove(topic + keep, topic, tail);
    memcpy(topic, it->key.ptr, keep);
    if (way == 2)
        topic[prefix_random(&w->seed) % keep] ^= (uint8_t)(1u << prefix_random(&w->seed) % 8);
    return keep + tail;
}

static void look(struct world *w)
{
    uint8_t *topic = malloc(PREFIX_RIG_KEY_MAX);
    size_t len = topic_any(w, topic);
    uint8_t *exact = malloc(len + (len == 0)); /* what reads past it is seen by ASan */
    memcpy(exact, topic, len);
    struct mcq_prefix_set *set = set_any(w);
    struct mcq_slice s = mcq_slice_of(exact, len);
    assert_matches(w, set, s);
    struct prefix_item *it = model_find(w, set, s);
    cr_assert_eq(mcq_prefix_find(set, s), it == NULL ? NULL : &it->node);
    cr_assert_eq(mcq_prefix_set_takes_all(set), model_find(w, set, mcq_slice_of(NULL, 0)) != NULL);
    free(exact);
    free(topic);
}

/* Tries with no fork left, then with one: done, or nothing has changed. */
static bool enter_scarce(struct world *w, struct prefix_item *it, struct mcq_prefix_set *set,
                         struct mcq_slice key)
{
    uint64_t before = prefix_check(set).sum;
    for (uint32_t left = 0; left < 2; left++) {
        prefix_rig_hold(w->rig, left);
        bool ok = prefix_item_enter(it, set, key);
        prefix_rig_let_go(w->rig);
        if (ok)
            return true;
        cr_assert_eq(prefix_check(set).sum, before);
        cr_assert_null(mcq_prefix_find(set, key));
    }
    return false;
}

static void change(struct world *w, bool grow, bool scarce)
{
    struct prefix_item *it = &w->items[prefix_random(&w->seed) % w->item_cnt];
    if (it->set != NULL && (!grow || prefix_random(&w->seed) % 4 == 0)) {
        model_leave(w, it);
        prefix_item_leave(it);
        return;
    }
    uint8_t *key = malloc(PREFIX_RIG_KEY_MAX);
    struct mcq_prefix_set *set = set_any(w);
    struct mcq_slice s = mcq_slice_of(key, w->key(w, key));
    if (it->set == NULL && model_find(w, set, s) == NULL) {
        bool ok = scarce ? enter_scarce(w, it, set, s) : prefix_item_enter(it, set, s);
        cr_assert(ok);
        model_enter(w, it);
    }
    free(key);
}

static void check(struct world *w)
{
    uint64_t live = 0, forks = 0, named = 0;
    for (int i = 0; i < SETS; i++) {
        struct prefix_shape shape = prefix_check(&w->sets[i]);
        live += shape.prefixes;
        forks += shape.forks;
        named += shape.named;
    }
    cr_assert_eq(live, w->live);
    cr_assert_eq(forks, w->rig->table.forks.in_use);
    cr_assert_eq(named, prefix_check_map(&w->rig->table.map));
}

/* Grows and shrinks in turns of random length, with a look between changes. */
static void run(key_fn *key, uint32_t item_cnt, uint32_t steps, uint32_t check_every, bool scarce)
{
    struct world *w = calloc(1, sizeof *w);
    w->rig = prefix_rig_new(item_cnt, item_cnt);
    w->items = calloc(item_cnt, sizeof *w->items);
    w->item_cnt = item_cnt;
    w->seed = 88172645463325252u + item_cnt;
    w->key = key;
    for (int i = 0; i < SETS; i++)
        mcq_prefix_set_init(&w->sets[i], &w->rig->table);
    bool grow = true;
    for (uint32_t step = 0; step < steps; step++) {
        change(w, grow, scarce);
        look(w);
        if (step % check_every == 0)
            check(w);
        if (prefix_random(&w->seed) % (2 * item_cnt) == 0)
            grow = !grow;
    }
    check(w);
    for (uint32_t i = 0; i < item_cnt; i++)
        if (w->items[i].set != NULL) {
            model_leave(w, &w->items[i]);
            prefix_item_leave(&w->items[i]);
        }
    cr_assert_gt(w->matches, steps / 100, "something was tested");
    prefix_rig_free(w->rig);
    free(w->items);
    free(w);
}

/* --- kinds of keys -------------------------------------------------------------------------- */

/* Short ones of few letters: they enclose each other in every way. */
static size_t key_of_two(struct world *w, uint8_t *key)
{
    size_t len = prefix_random(&w->seed) % 14;
    for (size_t i = 0; i < len; i++)
        key[i] = (uint8_t)('a' + prefix_random(&w->seed) % 2);
    return len;
}

/* The bytes that heads are filled up with, and those past all. */
static size_t key_of_edges(struct world *w, uint8_t *key)
{
    static const uint8_t edges[4] = {0, 0xff, 0, 1};
    size_t len = prefix_random(&w->seed) % 20;
    uint64_t cnt = 1 + prefix_random(&w->seed) % 4;
    for (size_t i = 0; i < len; i++)
        key[i] = edges[prefix_random(&w->seed) % cnt];
    return len;
}

static size_t key_of_bytes(struct world *w, uint8_t *key)
{
    size_t len = 1 + prefix_random(&w->seed) % 32;
    for (size_t i = 0; i < len; i++)
        key[i] = (uint8_t)prefix_random(&w->seed);
    return len;
}

/* What users have: words and symbols of a hierarchy, often cut at a dot. */
static size_t key_of_words(struct world *w, uint8_t *key)
{
    static const char *const venues[] = {"md.nyse.", "md.nasdaq.",        "md.lse.",
                                         "orders.",  "md.eurex.options.", "md.eurex.futures."};
    static const char *const kinds[] = {"trades.", "quotes.", "book.level2.", "book.level1.", ""};
    char text[64];
    int len = snprintf(text, sizeof text, "%s%s%c%c%c%u", venues[prefix_random(&w->seed) % 6],
                       kinds[prefix_random(&w->seed) % 5], 'A' + (int)(prefix_random(&w->seed) % 4),
                       'A' + (int)(prefix_random(&w->seed) % 26),
                       'A' + (int)(prefix_random(&w->seed) % 26),
                       (unsigned)(prefix_random(&w->seed) % 30));
    if (prefix_random(&w->seed) % 8 == 0)
        len = (int)(prefix_random(&w->seed) % (uint64_t)(len + 1));
    memcpy(key, text, (size_t)len);
    return (size_t)len;
}

/* One head that all share, of any length, and what differs behind it or in it. */
static size_t key_of_long_heads(struct world *w, uint8_t *key)
{
    static const size_t heads[] = {7, 8, 9, 16, 39, 40, 41, 500, 4000};
    size_t head = heads[prefix_random(&w->seed) % MCQ_CNT_OF(heads)];
    size_t len = head + prefix_random(&w->seed) % 12;
    memset(key, 'h', len);
    for (size_t i = head; i < len; i++)
        key[i] = (uint8_t)('a' + prefix_random(&w->seed) % 12);
    if (prefix_random(&w->seed) % 4 == 0 && len != 0)
        key[prefix_random(&w->seed) % len] = (uint8_t)('g' + prefix_random(&w->seed) % 3);
    return len;
}

/* Every length from none to the longest. */
static size_t key_of_nests(struct world *w, uint8_t *key)
{
    size_t len = prefix_random(&w->seed) % (PREFIX_RIG_KEY_MAX + 1);
    if (prefix_random(&w->seed) % 2 == 0)
        len %= 100;
    memset(key, 'n', len);
    if (prefix_random(&w->seed) % 3 == 0 && len != 0)
        key[len - 1] = 'm';
    return len;
}

/* --- random tables -------------------------------------------------------------------------- */

Test(prefix_model, small_tables_checked_after_every_step)
{
    key_fn *const kinds[] = {key_of_two,   key_of_edges,      key_of_bytes,
                             key_of_words, key_of_long_heads, key_of_nests};
    for (size_t i = 0; i < MCQ_CNT_OF(kinds); i++)
        run(kinds[i], 120, 2500, 1, false);
}

Test(prefix_model, two_letters)
{
    run(key_of_two, 6000, 400000, 20000, false);
}

Test(prefix_model, zeroes_and_ones)
{
    run(key_of_edges, 3000, 400000, 20000, false);
}

Test(prefix_model, random_bytes)
{
    run(key_of_bytes, 12000, 300000, 50000, false);
}

Test(prefix_model, words)
{
    run(key_of_words, 12000, 300000, 50000, false);
}

Test(prefix_model, heads_in_common)
{
    run(key_of_long_heads, 4000, 50000, 10000, false);
}

Test(prefix_model, deep_nests)
{
    run(key_of_nests, 200, 6000, 500, false);
}

/* Each newcomer is tried with nothing left first, then with a little more. */
Test(prefix_model, empty_pools_refuse_at_every_point_and_nothing_changes)
{
    run(key_of_two, 300, 5000, 1000, true);
    run(key_of_words, 300, 5000, 1000, true);
    run(key_of_long_heads, 200, 3000, 1000, true);
}
