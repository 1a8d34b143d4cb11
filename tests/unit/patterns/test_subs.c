#include "patterns/subs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static enum mcq_error change(struct rig *r, bool add, const char *topic)
{
    return r->s.pattern->subscribe(&r->s, add, rig_slice(topic));
}

/* What the shard does: asks, writes, notes. false: nothing to tell. */
static bool tell(struct rig_peer *p, struct mcq_control *c)
{
    if (!p->rig->s.pattern->control(&p->rig->s, &p->pipe, c))
        return false;
    cr_assert_gt(c->seq, p->pipe.control_seq);
    p->pipe.control_seq = c->seq;
    return true;
}

/* --- the naive account: every change ever made --------------------------------------------- */

#define PUBS     6
#define TOPICS   12
#define HIST_MAX 20000

struct change {
    bool add;
    int topic;
    size_t ended_at; /* for an add: where its end is, SIZE_MAX if it is live */
    size_t began_at; /* for an end: where its add is */
};

static struct change hist[HIST_MAX];
static size_t hist_cnt;

struct publisher {
    struct rig_peer *p;
    size_t base; /* hist_cnt when it attached */
    size_t next; /* the next entry of hist to look at */
};

static bool skipped(const struct publisher *pub, size_t i)
{
    size_t end = hist[i].add ? hist[i].ended_at : i;
    return end < pub->base;
}

/* The next entry the publisher must be told, SIZE_MAX for none. */
static size_t expected(struct publisher *pub)
{
    while (pub->next < hist_cnt && skipped(pub, pub->next))
        pub->next++;
    return pub->next < hist_cnt ? pub->next++ : SIZE_MAX;
}

static const char *name_of(int topic)
{
    static const char *const names[TOPICS] = {
        "",
        "a",
        "b",
        "ab",
        "abc",
        "x",
        "y",
        "z",
        "xy",
        "xyz",
        "long long long long long long lon",
        "longer than what is stored in the subscription itself, so it has a block"};
    return names[topic];
}

static void tell_some(struct publisher *pub, uint64_t max)
{
    for (uint64_t i = 0; i < max; i++) {
        struct mcq_control c;
        bool more = tell(pub->p, &c);
        size_t want = expected(pub);
        cr_assert_eq(more, want != SIZE_MAX);
        if (!more)
            return;
        cr_assert_eq(c.add, hist[want].add);
        cr_assert(mcq_slice_equal(c.topic, rig_slice(name_of(hist[want].topic))));
    }
}

static void random_change(struct rig *r, int *cnt, size_t *began, uint64_t *seed)
{
    int t = (int)(rig_random(seed) % TOPICS);
    bool add = rig_random(seed) % 2 == 0;
    enum mcq_error err = change(r, add, name_of(t));
    cr_assert_eq(err, add || cnt[t] != 0 ? MCQ_OK : MCQ_ENOENT);
    if (err != MCQ_OK)
        return;
    cnt[t] += add ? 1 : -1;
    if (add && cnt[t] == 1) {
        began[t] = hist_cnt;
        hist[hist_cnt++] = (struct change){true, t, SIZE_MAX, 0};
    } else if (!add && cnt[t] == 0) {
        hist[began[t]].ended_at = hist_cnt;
        hist[hist_cnt++] = (struct change){false, t, 0, began[t]};
    }
}

static void connection_change(struct publisher *pub)
{
    if (pub->p->pipe.up) {
        rig_detach(pub->p);
        return;
    }
    cr_assert_eq(rig_attach(pub->p, NULL), MCQ_REASON_NONE);
    pub->base = hist_cnt;
    pub->next = 0;
}

static uint32_t live_cnt(const int *cnt)
{
    uint32_t live = 0;
    for (int t = 0; t < TOPICS; t++)
        live += cnt[t] != 0;
    return live;
}

/* Publishers come, go, lag and catch up while subscriptions begin and end: each is told what was
 * live when it came, then every change, once, in order. What all have passed takes no memory. */
Test(subs, every_publisher_is_told_each_change_exactly_once)
{
    for (uint64_t run = 1; run <= 10; run++) {
        struct rig *r = rig_new(MCQ_SUB, NULL);
        struct publisher pubs[PUBS] = {0};
        int cnt[TOPICS] = {0};
        size_t began[TOPICS] = {0};
        uint64_t seed = run * 77;
        hist_cnt = 0;
        for (int i = 0; i < PUBS; i++)
            pubs[i].p = rig_peer_new(r, true, MCQ_UNLIMITED);
        for (int step = 0; step < 4000; step++) {
            struct publisher *pub = &pubs[rig_random(&seed) % PUBS];
            uint64_t roll = rig_random(&seed) % 16;
            if (roll < 8)
                random_change(r, cnt, began, &seed);
            else if (roll == 8)
                connection_change(pub);
            else if (pub->p->pipe.up)
                tell_some(pub, rig_random(&seed) % 12);
        }
        for (int i = 0; i < PUBS; i++)
            if (pubs[i].p->pipe.up)
                tell_some(&pubs[i], UINT64_MAX);
        cr_assert_eq(r->shared->own_subs.in_use, live_cnt(cnt));
        rig_free(r);
    }
}

Test(subs, a_change_marks_every_publisher_that_is_up)
{
    struct rig *r = rig_new(MCQ_SUB, NULL);
    struct mcq_control c;
    struct rig_peer *p = rig_peer_up(r, NULL);
    struct rig_peer *down = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_not(tell(p, &c));
    cr_assert_eq(r->control_cnt, 0);
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    cr_assert_eq(r->control_cnt, 1);
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    cr_assert_eq(change(r, false, "a"), MCQ_OK);
    cr_assert_eq(r->control_cnt, 1, "only the first and the last are forwarded");
    cr_assert(tell(p, &c) && c.add && c.topic.len == 1);
    cr_assert_eq(change(r, false, "a"), MCQ_OK);
    cr_assert_eq(r->control_cnt, 2);
    cr_assert(tell(p, &c) && !c.add);
    cr_assert_not(tell(p, &c));
    cr_assert_eq(change(r, false, "a"), MCQ_ENOENT);
    cr_assert_eq(change(r, true, "b"), MCQ_OK);
    cr_assert_eq(rig_attach(down, NULL), MCQ_REASON_NONE);
    cr_assert_eq(r->control_cnt, 4, "one that comes is marked as well");
    rig_free(r);
}

/* One publisher that never reads may not make unsubscribing fail, nor the pool overflow. */
Test(subs, a_stalled_publisher_costs_its_pool_and_nothing_else)
{
    struct mcq_pattern_plan plan = {16, 1, 8, 4, 1};
    struct rig *r = rig_new(MCQ_SUB, &plan);
    struct rig_peer *stalled = rig_peer_up(r, NULL);
    struct mcq_control c;
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(change(r, true, "a"), MCQ_OK);
        cr_assert_eq(change(r, false, "a"), MCQ_OK);
    }
    cr_assert_eq(change(r, true, "a"), MCQ_ELIMIT);
    for (int i = 0; i < 16; i++)
        cr_assert(tell(stalled, &c) && c.add == (i % 2 == 0));
    cr_assert_not(tell(stalled, &c));
    cr_assert_eq(r->shared->own_subs.in_use, 0);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(change(r, true, "a"), MCQ_OK);
        cr_assert_eq(change(r, false, "a"), MCQ_OK);
    }
    rig_peer_free(stalled);
    cr_assert_eq(r->shared->own_subs.in_use, 0, "nobody is left to be told");
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    rig_free(r);
}

/* What was over before a publisher came waits for the others alone. */
Test(subs, a_new_publisher_holds_back_nothing_of_the_past)
{
    struct rig *r = rig_new(MCQ_SUB, NULL);
    struct rig_peer *slow = rig_peer_up(r, NULL);
    struct mcq_control c;
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    cr_assert_eq(change(r, false, "a"), MCQ_OK);
    struct rig_peer *late = rig_peer_up(r, NULL);
    cr_assert(tell(slow, &c) && c.add);
    cr_assert(tell(slow, &c) && !c.add);
    cr_assert_not(tell(slow, &c));
    cr_assert_eq(r->shared->own_subs.in_use, 0);
    cr_assert_not(tell(late, &c));
    rig_free(r);
}

Test(subs, a_topic_over_its_length_is_an_argument_error)
{
    struct rig *r = rig_new(MCQ_SUB, NULL);
    static char topic[MCQ_TOPIC_LEN_MAX + 1];
    struct mcq_slice s = mcq_slice_of(topic, sizeof topic);
    cr_assert_eq(r->s.pattern->subscribe(&r->s, true, s), MCQ_EINVAL);
    s.len--;
    cr_assert_eq(r->s.pattern->subscribe(&r->s, true, s), MCQ_OK);
    rig_free(r); /* a live one, with a block, ends with its socket */
}

/* --- the filter ---------------------------------------------------------------------------- */

static void offer_all(struct rig_peer *p, const char *const *texts, size_t cnt)
{
    p->user_paused = true;
    for (size_t i = 0; i < cnt; i++)
        rig_input(p, texts[i]);
    p->user_paused = false;
}

Test(subs, nothing_is_delivered_without_a_subscription)
{
    struct rig *r = rig_new(MCQ_SUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    rig_input(p, "a");
    rig_input(p, "");
    cr_assert_eq(r->delivered, 0);
    cr_assert_eq(r->stats.drops_filter, 2);
    cr_assert_eq(change(r, true, ""), MCQ_OK);
    rig_input(p, "");
    rig_input(p, "anything|else");
    cr_assert_eq(r->delivered, 2);
    cr_assert_eq(change(r, false, ""), MCQ_OK);
    rig_input(p, "late");
    cr_assert_eq(r->delivered, 2);
    rig_free(r);
}

Test(subs, only_the_first_frame_is_matched)
{
    struct rig *r = rig_new(MCQ_SUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    cr_assert_eq(change(r, true, "ab"), MCQ_OK);
    rig_input(p, "a|b");
    rig_input(p, "x|ab");
    cr_assert_eq(r->delivered, 0);
    rig_input(p, "abc|x");
    cr_assert_str_eq(r->last, "abc|x");
    rig_free(r);
}

Test(subs, a_pause_in_the_middle_counts_what_was_filtered_before_it)
{
    struct rig *r = rig_new(MCQ_SUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    static const char *const texts[] = {"n", "a1", "a2", "n", "n", "a3", "a4", "a5", "n"};
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    offer_all(p, texts, 9);
    r->refuse_from = 2; /* of one call */
    cr_assert_eq(rig_offer(p), 7);
    cr_assert_str_eq(r->last, "a4");
    cr_assert_eq(r->stats.drops_filter, 3);
    cr_assert_eq(rig_offer(p), 2);
    cr_assert_eq(r->delivered, 5);
    cr_assert_eq(r->stats.drops_filter, 4);
    rig_free(r);
}

static bool unsubscribe_at_once(struct rig_peer *from, struct mcq_msg *m)
{
    (void)m;
    if (from->deliveries == 0)
        cr_assert_eq(change(from->rig, false, "a"), MCQ_OK);
    return true;
}

Test(subs, the_handler_may_end_the_subscription_it_is_called_for)
{
    struct rig *r = rig_new(MCQ_SUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    static const char *const texts[] = {"a1", "n", "a2", "n"};
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    r->handler = unsubscribe_at_once;
    offer_all(p, texts, 4);
    cr_assert_eq(rig_offer(p), 4);
    cr_assert_eq(r->delivered, 1);
    cr_assert_eq(r->stats.drops_filter, 3);
    cr_assert_eq(rig_send(r, NULL, "x"), MCQ_ENOTSUP);
    rig_free(r);
}
