#include "patterns/prefix.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "prefix_rig.h"

static struct mcq_slice text(const char *s)
{
    return mcq_slice_of_text(s);
}

/* The prefixes of topic, parted by spaces, as the match gives them. */
static const char *matches(const struct mcq_prefix_set *set, const char *topic)
{
    static char all[512];
    size_t len = 0;
    struct mcq_prefix_match m = mcq_prefix_match_of(set, text(topic));
    struct mcq_prefix *node;
    while ((node = mcq_prefix_match_next(&m)) != NULL) {
        struct mcq_slice key = mcq_prefix_key(node);
        cr_assert_lt(len + key.len + 2, sizeof all);
        if (len != 0)
            all[len++] = ' ';
        memcpy(all + len, key.ptr, key.len);
        len += key.len;
    }
    all[len] = '\0';
    return all;
}

static void leave_all(struct prefix_item *items, size_t cnt)
{
    for (size_t i = 0; i < cnt; i++)
        if (items[i].set != NULL)
            prefix_item_leave(&items[i]);
}

/* --- what it is for ------------------------------------------------------------------------- */

Test(prefix, finds_every_prefix_of_a_topic_shortest_first)
{
    static const char *const keys[] = {"EUR.USD.T", "EUR",  "GBP.USD", "EUR.USD",
                                       "E",         "EUR.", "EUR.U"};
    struct prefix_rig *r = prefix_rig_new(16, 1);
    struct prefix_item items[MCQ_CNT_OF(keys)];
    struct mcq_prefix_set set;
    mcq_prefix_set_init(&set, &r->table);
    cr_assert_str_eq(matches(&set, "EUR.USD.T"), "", "nothing is stored");
    for (size_t i = 0; i < MCQ_CNT_OF(keys); i++)
        cr_assert(prefix_item_enter(&items[i], &set, text(keys[i])));
    prefix_check(&set);
    cr_assert_str_eq(matches(&set, "EUR.USD.T.1"), "E EUR EUR. EUR.U EUR.USD EUR.USD.T");
    cr_assert_str_eq(matches(&set, "EUR.USD.S"), "E EUR EUR. EUR.U EUR.USD");
    cr_assert_str_eq(matches(&set, "EUR.U"), "E EUR EUR. EUR.U");
    cr_assert_str_eq(matches(&set, "EU"), "E");
    cr_assert_str_eq(matches(&set, "GBP.US"), "");
    cr_assert_str_eq(matches(&set, ""), "");
    cr_assert_eq(mcq_prefix_find(&set, text("EUR.")), &items[5].node);
    cr_assert_null(mcq_prefix_find(&set, text("EUR.US")));
    cr_assert_null(mcq_prefix_find(&set, text("GBP.USD.T")));
    leave_all(items, MCQ_CNT_OF(keys));
    prefix_rig_free(r);
}

Test(prefix, the_empty_prefix_takes_all_and_nothing_from_the_pools)
{
    struct prefix_rig *r = prefix_rig_new(2, 1);
    struct prefix_item items[2];
    struct mcq_prefix_set set;
    mcq_prefix_set_init(&set, &r->table);
    cr_assert_not(mcq_prefix_set_takes_all(&set));
    cr_assert(prefix_item_enter(&items[0], &set, text("")));
    cr_assert(mcq_prefix_set_takes_all(&set));
    cr_assert_eq(mcq_prefix_find(&set, text("")), &items[0].node);
    struct mcq_prefix_match m = mcq_prefix_match_of(&set, mcq_slice_of(NULL, 0));
    cr_assert_eq(mcq_prefix_match_next(&m), &items[0].node);
    cr_assert_null(mcq_prefix_match_next(&m));
    cr_assert(prefix_item_enter(&items[1], &set, text("x")));
    cr_assert_eq(r->table.forks.in_use, 0);
    prefix_item_leave(&items[0]);
    cr_assert_not(mcq_prefix_set_takes_all(&set));
    cr_assert_str_eq(matches(&set, "xy"), "x");
    prefix_item_leave(&items[1]);
    prefix_rig_free(r);
}

/* What lies between two forks is not compared on the way: neither may it lead to a match, nor may a
 * newcomer that parts in there end up below. */
Test(prefix, topics_that_part_between_two_forks_are_told_apart)
{
    static const char *const keys[] = {"md.nyse.equities.A", "md.nyse.equities.B",
                                       "md.lse..equities.A", "md.nyse", "md.nyse.equi"};
    struct prefix_rig *r = prefix_rig_new(16, 1);
    struct prefix_item items[MCQ_CNT_OF(keys)];
    struct mcq_prefix_set set;
    mcq_prefix_set_init(&set, &r->table);
    cr_assert(prefix_item_enter(&items[0], &set, text(keys[0])));
    cr_assert(prefix_item_enter(&items[1], &set, text(keys[1])));
    cr_assert_eq(r->table.forks.in_use, 1);
    cr_assert_str_eq(matches(&set, "md.nyse.equities.A"), "md.nyse.equities.A");
    cr_assert_str_eq(matches(&set, "md.nXXe.equities.A"), "");
    cr_assert_str_eq(matches(&set, "md.nyse.e"), "");
    cr_assert_null(mcq_prefix_find(&set, text("md.nyse.e")));
    cr_assert_null(mcq_prefix_find(&set, text("md.nXse.equities.A")));
    for (size_t i = 2; i < MCQ_CNT_OF(keys); i++) {
        cr_assert(prefix_item_enter(&items[i], &set, text(keys[i])));
        prefix_check(&set);
    }
    cr_assert_str_eq(matches(&set, "md.nyse.equities.B"),
                     "md.nyse md.nyse.equi md.nyse.equities.B");
    cr_assert_str_eq(matches(&set, "md.lse..equities.A"), "md.lse..equities.A");
    cr_assert_str_eq(matches(&set, "md.lse..equi"), "");
    leave_all(items, MCQ_CNT_OF(keys));
    prefix_rig_free(r);
}

/* One map holds what is in all of them. */
Test(prefix, sets_share_the_map_and_nothing_else)
{
    struct prefix_rig *r = prefix_rig_new(3 * 256, 1);
    struct mcq_prefix_set *sets = calloc(256, sizeof *sets);
    struct prefix_item *items = calloc(3 * 256, sizeof *items);
    for (int i = 0; i < 256; i++) {
        mcq_prefix_set_init(&sets[i], &r->table);
        char key[3][8] = {"a", "topic.", "b"};
        key[1][5] = (char)('0' + i % 10);
        for (int j = 0; j < 3; j++)
            cr_assert(prefix_item_enter(&items[3 * i + j], &sets[i], text(key[j])));
    }
    cr_assert_eq(r->table.forks.in_use, 0, "a few topics that part at once need no fork");
    for (int i = 0; i < 256; i++) {
        char topic[] = "topic?.x";
        topic[5] = (char)('0' + i % 10);
        struct mcq_prefix_match m = mcq_prefix_match_of(&sets[i], text(topic));
        cr_assert_eq(mcq_prefix_match_next(&m), &items[3 * i + 1].node);
        cr_assert_null(mcq_prefix_match_next(&m));
        topic[5] = (char)('0' + (i + 1) % 10);
        cr_assert_str_eq(matches(&sets[i], topic), "");
        prefix_check(&sets[i]);
    }
    leave_all(items, 3 * 256);
    free(items);
    free(sets);
    prefix_rig_free(r);
}

/* --- limits --------------------------------------------------------------------------------- */

Test(prefix, long_topics_stop_at_their_limit_and_leave_nothing_behind)
{
    struct prefix_rig *r = prefix_rig_new(8, 3);
    struct prefix_item items[5];
    struct mcq_prefix_set set;
    uint8_t key[5][PREFIX_RIG_KEY_MAX];
    mcq_prefix_set_init(&set, &r->table);
    for (int i = 0; i < 5; i++) {
        memset(key[i], 'a' + i, sizeof key[i]);
        cr_assert_eq(prefix_item_enter(&items[i], &set, mcq_slice_of(key[i], sizeof key[i])),
                     i < 3);
    }
    cr_assert_eq(r->table.long_cnt, 3);
    cr_assert(prefix_item_enter(&items[3], &set, mcq_slice_of(key[3], MCQ_PREFIX_INLINE_MAX)),
              "a short one needs no buf");
    prefix_item_leave(&items[1]);
    cr_assert(prefix_item_enter(&items[4], &set, mcq_slice_of(key[4], sizeof key[4])));
    cr_assert_eq(mcq_prefix_find(&set, mcq_slice_of(key[4], sizeof key[4])), &items[4].node);
    cr_assert_null(mcq_prefix_find(&set, mcq_slice_of(key[1], sizeof key[1])));
    items[1].set = NULL;
    leave_all(items, 5);
    prefix_rig_free(r);
}

/* A long topic that finds no fork gives its buf back. */
Test(prefix, no_fork_left_refuses_and_keeps_no_key)
{
    struct prefix_rig *r = prefix_rig_new(8, 4);
    struct prefix_item items[2];
    struct mcq_prefix_set set;
    uint8_t key[64] = {0};
    mcq_prefix_set_init(&set, &r->table);
    cr_assert(prefix_item_enter(&items[0], &set, mcq_slice_of(key, 60)));
    uint64_t before = prefix_check(&set).sum;
    prefix_rig_hold(r, 0);
    cr_assert_not(prefix_item_enter(&items[1], &set, mcq_slice_of(key, 64)));
    cr_assert_eq(r->table.forks.empty_cnt, 1);
    prefix_rig_let_go(r);
    cr_assert_eq(prefix_check(&set).sum, before);
    cr_assert_eq(r->table.long_cnt, 1);
    prefix_item_leave(&items[0]);
    prefix_rig_free(r);
}

/* Whatever the topics, as many as the table was made for come in; the next ones are refused. */
Test(prefix, a_full_table_refuses_and_changes_nothing)
{
    enum { MAX = 100 };
    struct prefix_rig *r = prefix_rig_new(MAX, 2 * MAX);
    struct prefix_item *items = calloc(2 * MAX, sizeof *items);
    struct mcq_prefix_set set;
    uint8_t key[2 * MAX * 4] = {0};
    mcq_prefix_set_init(&set, &r->table);
    for (uint32_t i = 0; i < MAX; i++) /* each hangs in a fork of its own, under a name */
        cr_assert(prefix_item_enter(&items[i], &set, mcq_slice_of(key, 4 * i + 3)));
    for (uint32_t i = MAX; i < 2 * MAX; i++) {
        uint64_t before = prefix_check(&set).sum;
        if (prefix_item_enter(&items[i], &set, mcq_slice_of(key, 4 * i + 3)))
            continue;
        cr_assert_eq(prefix_check(&set).sum, before);
        cr_assert_null(mcq_prefix_find(&set, mcq_slice_of(key, 4 * i + 3)));
    }
    cr_assert_null(items[2 * MAX - 1].set, "it ends somewhere");
    leave_all(items, 2 * MAX);
    free(items);
    prefix_rig_free(r);
}

/* --- what peers may think of ------------------------------------------------------------------ */

enum order { UP, DOWN, MIXED };

static void shuffle(uint32_t *v, uint32_t cnt, enum order order)
{
    uint64_t seed = 3;
    for (uint32_t i = 0; i < cnt; i++)
        v[i] = order == DOWN ? cnt - 1 - i : i;
    for (uint32_t i = cnt; order == MIXED && i > 1; i--) {
        uint32_t j = (uint32_t)(prefix_random(&seed) % i);
        uint32_t swap = v[j];
        v[j] = v[i - 1];
        v[i - 1] = swap;
    }
}

static uint32_t match_cnt(const struct mcq_prefix_set *set, struct mcq_slice topic)
{
    struct mcq_prefix_match m = mcq_prefix_match_of(set, topic);
    struct mcq_prefix *node;
    uint32_t cnt = 0;
    while ((node = mcq_prefix_match_next(&m)) != NULL) {
        cnt++;
        cr_assert_eq(node->len, cnt, "each once, by length");
    }
    return cnt;
}

/* "a", "aa", "aaa" ... up to the longest. */
static void nest(enum order order)
{
    enum { MAX = PREFIX_RIG_KEY_MAX };
    struct prefix_rig *r = prefix_rig_new(MAX, MAX);
    struct prefix_item *items = calloc(MAX, sizeof *items);
    struct mcq_prefix_set set;
    static uint32_t turn[MAX];
    static uint8_t topic[MAX];
    mcq_prefix_set_init(&set, &r->table);
    shuffle(turn, MAX, order);
    memset(topic, 'a', sizeof topic);
    for (uint32_t i = 0; i < MAX; i++)
        cr_assert(prefix_item_enter(&items[turn[i]], &set, mcq_slice_of(topic, turn[i] + 1)));
    prefix_check(&set);
    cr_assert_eq(match_cnt(&set, mcq_slice_of(topic, MAX)), MAX);
    for (uint32_t at = 0; at < MAX; at += 61) {
        topic[at] = 'b';
        cr_assert_eq(match_cnt(&set, mcq_slice_of(topic, MAX)), at);
        cr_assert_eq(match_cnt(&set, mcq_slice_of(topic, at + 1)), at);
        topic[at] = 'a';
    }
    for (uint32_t i = 0; i < MAX; i++) {
        prefix_item_leave(&items[turn[MAX - 1 - i]]);
        if (i % 509 == 0)
            prefix_check(&set);
    }
    free(items);
    prefix_rig_free(r);
}

Test(prefix, nests_as_deep_as_topics_are_long)
{
    nest(UP);
    nest(DOWN);
    nest(MIXED);
}

/* All of one length, one behind the other, with a head in common. */
Test(prefix, numbers_in_order_come_and_go)
{
    enum { MAX = 20000 };
    struct prefix_rig *r = prefix_rig_new(MAX, 1);
    struct prefix_item *items = calloc(MAX, sizeof *items);
    struct mcq_prefix_set set;
    mcq_prefix_set_init(&set, &r->table);
    for (uint32_t i = 0; i < MAX; i++) {
        uint8_t key[] = "orders.desk.0000000";
        for (uint32_t n = i, at = sizeof key - 2; n != 0; n /= 10)
            key[at--] = (uint8_t)('0' + n % 10);
        cr_assert(prefix_item_enter(&items[i], &set, mcq_slice_of(key, sizeof key - 1)));
    }
    prefix_check(&set);
    cr_assert_str_eq(matches(&set, "orders.desk.0012345!"), "orders.desk.0012345");
    cr_assert_str_eq(matches(&set, "orders.desk.001234"), "");
    for (uint32_t i = 0; i < MAX; i++)
        prefix_item_leave(&items[i]);
    free(items);
    prefix_rig_free(r);
}

/* What makes a fork and ends it, over and over: nothing is left of it each time. */
Test(prefix, a_fork_that_comes_and_goes_leaves_no_trace)
{
    static const char *const keys[] = {"abcdefgh", "abcdefgi", "abcdXfgh", "abcd",
                                       "abc",      "abcdef",   "abcdefghi"};
    struct prefix_rig *r = prefix_rig_new(16, 1);
    struct prefix_item items[MCQ_CNT_OF(keys)];
    struct mcq_prefix_set set;
    mcq_prefix_set_init(&set, &r->table);
    cr_assert(prefix_item_enter(&items[0], &set, text(keys[0])));
    for (int turn = 0; turn < 3000; turn++)
        for (size_t i = 1; i < MCQ_CNT_OF(keys); i++) {
            cr_assert(prefix_item_enter(&items[i], &set, text(keys[i])));
            cr_assert_eq(mcq_prefix_find(&set, text(keys[i])), &items[i].node);
            prefix_item_leave(&items[i]);
            cr_assert_eq(r->table.forks.in_use, 0);
            cr_assert_eq(r->table.map.cnt, 1);
        }
    cr_assert_str_eq(matches(&set, "abcdefghijk"), "abcdefgh");
    prefix_item_leave(&items[0]);
    prefix_rig_free(r);
}
