#include "patterns/fanout.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static enum mcq_reason change(struct rig_peer *p, bool add, const char *topic)
{
    return p->rig->s.pattern->subscribed(&p->rig->s, &p->pipe, add, rig_slice(topic));
}

static uint32_t subs_of(const struct rig_peer *p)
{
    return p->pipe.subscriber == NULL ? 0 : p->pipe.subscriber->cnt;
}

#define PEERS  10
#define TOPICS 15

static const char *const names[TOPICS] = {
    "",    "a",    "b",
    "aa",  "ab",   "aaa",
    "aab", "abab", "ababababababababababababababababababababab",
    "b",   "c",    "ba",
    "bab", "bb",   "aaaaaaaa"};

static bool wants(int cnt[PEERS][TOPICS], int peer, const char *topic)
{
    for (int t = 0; t < TOPICS; t++)
        if (cnt[peer][t] != 0 && strncmp(topic, names[t], strlen(names[t])) == 0)
            return true;
    return false;
}

static void random_change(struct rig_peer **peers, int cnt[PEERS][TOPICS], uint64_t *seed)
{
    size_t k = rig_random(seed) % PEERS;
    size_t t = rig_random(seed) % TOPICS;
    bool add = rig_random(seed) % 2 == 0;
    if (t == 9)
        t = 2; /* the same name */
    cr_assert_eq(change(peers[k], add, names[t]), MCQ_REASON_NONE);
    cnt[k][t] = add;
}

/* Peers subscribe, repeat themselves, cancel, reconnect: each gets every message it wants exactly
 * once, and none it doesn't. */
Test(fanout, agrees_with_a_brute_force_oracle)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *peers[PEERS];
    int cnt[PEERS][TOPICS] = {0};
    uint64_t seed = 21;
    for (int i = 0; i < PEERS; i++)
        peers[i] = rig_peer_up(r, NULL);
    for (int step = 0; step < 8000; step++) {
        char topic[64];
        random_change(peers, cnt, &seed);
        if (rig_random(&seed) % 50 == 0) {
            size_t k = rig_random(&seed) % PEERS;
            rig_detach(peers[k]);
            rig_sweep(r);
            memset(cnt[k], 0, sizeof cnt[k]);
            cr_assert_eq(rig_attach(peers[k], NULL), MCQ_REASON_NONE);
        }
        snprintf(topic, sizeof topic, "%s%d", names[rig_random(&seed) % TOPICS], step);
        cr_assert_eq(rig_send(r, NULL, topic), MCQ_OK);
        uint64_t live = 0;
        for (int i = 0; i < PEERS; i++) {
            const char *got = rig_got(peers[i]);
            cr_assert_eq(got != NULL, wants(cnt, i, topic), "step %d peer %d", step, i);
            cr_assert(got == NULL || (strcmp(got, topic) == 0 && rig_got(peers[i]) == NULL));
            for (int t = 0; t < TOPICS; t++)
                live += cnt[i][t] != 0;
        }
        cr_assert_eq(r->stats.subs_now, live);
        cr_assert_eq(r->subs_added - r->subs_ended, live);
    }
    rig_free(r);
}

Test(fanout, many_subscribers_of_one_topic_leave_in_any_order)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *peers[40];
    uint64_t seed = 8;
    for (int i = 0; i < 40; i++) {
        peers[i] = rig_peer_up(r, NULL);
        cr_assert_eq(change(peers[i], true, "t"), MCQ_REASON_NONE);
    }
    cr_assert_eq(r->shared->fanout.topics.in_use, 1);
    for (uint32_t left = 40; left != 0; left--) {
        uint32_t got = 0;
        cr_assert_eq(rig_send(r, NULL, "t!"), MCQ_OK);
        for (uint32_t i = 0; i < left; i++)
            got += rig_got(peers[i]) != NULL;
        cr_assert_eq(got, left);
        size_t k = rig_random(&seed) % left;
        rig_peer_free(peers[k]);
        peers[k] = peers[left - 1];
    }
    rig_sweep(r);
    cr_assert_eq(r->shared->fanout.topics.in_use, 0);
    rig_free(r);
}

/* As libzmq's SUB has it: every SUBSCRIBE goes over the wire, but one CANCEL. */
Test(fanout, a_subscription_repeated_needs_one_cancel)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    cr_assert_eq(change(p, false, "a"), MCQ_REASON_NONE, "nothing to cancel: no fault");
    for (int i = 0; i < 3; i++)
        cr_assert_eq(change(p, true, "a"), MCQ_REASON_NONE);
    cr_assert_eq(r->stats.subs_duplicate, 2);
    cr_assert_eq(r->subs_added, 1, "the user hears of the first alone");
    cr_assert_eq(rig_send(r, NULL, "a"), MCQ_OK);
    cr_assert_not_null(rig_got(p));
    cr_assert_eq(change(p, false, "a"), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "a"), MCQ_OK);
    cr_assert_null(rig_got(p));
    cr_assert_eq(r->subs_ended, 1);
    rig_free(r);
}

Test(fanout, a_full_subscriber_misses_the_message_and_it_is_told)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *slow = rig_peer_new(r, false, 2);
    struct rig_peer *fast = rig_peer_up(r, NULL);
    cr_assert_eq(rig_attach(slow, NULL), MCQ_REASON_NONE);
    cr_assert_eq(change(slow, true, ""), MCQ_REASON_NONE);
    cr_assert_eq(change(fast, true, ""), MCQ_REASON_NONE);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(rig_send(r, NULL, "m"), MCQ_OK);
    cr_assert_eq(r->stats.drops_hwm, 3);
    cr_assert_eq(r->dropped[MCQ_REASON_HWM], 3);
    cr_assert_eq(rig_drain(fast), 5);
    cr_assert_eq(rig_drain(slow), 2);
    cr_assert_eq(rig_send(r, NULL, "m"), MCQ_OK);
    cr_assert_eq(rig_drain(slow), 1);
    rig_free(r);
}

static uint32_t blocks_in_use(const struct rig *r)
{
    return mcq_buf_heap_in_use(r->heap);
}

/* 40 subscribers of 1 MiB would not fit the heap as copies. */
Test(fanout, a_large_body_is_stored_once)
{
    enum { LEN = 1 << 20 };
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *peers[40];
    uint8_t *body = malloc(LEN);
    memset(body, 'x', LEN);
    for (int i = 0; i < 40; i++) {
        peers[i] = rig_peer_up(r, NULL);
        cr_assert_eq(change(peers[i], true, "x"), MCQ_REASON_NONE);
    }
    struct mcq_frame frames[] = {{"x", 1}, {body, LEN}};
    struct mcq_msg m = mcq_msg_of_frames(frames, 2);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    cr_assert_eq(r->stats.drops_hwm, 0);
    memset(body, 'y', LEN); /* the caller's bytes are the caller's again */
    free(body);
    cr_assert_leq(r->mem.large_now, 2 * LEN);
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(rig_drain(peers[i]), 1);
        size_t at = peers[i]->out_len - LEN;
        cr_assert_eq(peers[i]->out[at], 'x');
        cr_assert_eq(memcmp(peers[i]->out + at, peers[i]->out + at + 1, LEN - 1), 0);
        free(peers[i]->out);
        peers[i]->out = NULL;
        peers[i]->out_len = peers[i]->out_cap = 0;
    }
    cr_assert_eq(blocks_in_use(r), 0);
    rig_free(r);
}

Test(fanout, an_owned_message_is_shared_and_left_to_its_owner)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    static uint8_t body[100000];
    struct mcq_msg m = mcq_msg_of(body, sizeof body), kept;
    cr_assert_eq(change(p, true, ""), MCQ_REASON_NONE);
    cr_assert_eq(mcq_buf_msg_keep(r->heap, 0, &m, &kept), MCQ_OK);
    uint64_t copies = r->mem.keeps_copied;
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &kept), MCQ_OK);
    cr_assert_eq(r->mem.keeps_copied, copies);
    mcq_buf_msg_drop(r->heap, &kept);
    cr_assert_eq(rig_drain(p), 1);
    cr_assert_eq(p->out_len, sizeof body + 9);
    rig_free(r);
}

Test(fanout, nothing_is_kept_for_nobody)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    rig_peer_up(r, NULL);
    static uint8_t body[100000];
    struct mcq_msg m = mcq_msg_of(body, sizeof body);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    cr_assert_eq(r->mem.keeps_copied, 0);
    rig_free(r);
}

Test(fanout, a_peer_stops_at_its_number_of_subscriptions)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->opts.subs_max = 3;
    cr_assert_eq(change(p, true, "a"), MCQ_REASON_NONE);
    cr_assert_eq(change(p, true, "b"), MCQ_REASON_NONE);
    cr_assert_eq(change(p, true, "c"), MCQ_REASON_NONE);
    cr_assert_eq(change(p, true, "c"), MCQ_REASON_NONE, "a repetition takes no room");
    cr_assert_eq(change(p, true, "d"), MCQ_REASON_LIMIT);
    cr_assert_eq(r->stats.subs_refused, 1);
    cr_assert_eq(change(p, false, "a"), MCQ_REASON_NONE);
    cr_assert_eq(change(p, true, "d"), MCQ_REASON_NONE);
    rig_free(r);
}

Test(fanout, a_peer_stops_at_its_bytes_and_a_topic_at_its_length)
{
    struct mcq_pattern_plan plan = {16, 4096, 1, 400, 1};
    struct rig *r = rig_new(MCQ_PUB, &plan);
    struct rig_peer *p = rig_peer_up(r, NULL);
    static char topic[MCQ_TOPIC_LEN_MAX + 1];
    memset(topic, 'z', sizeof topic);
    enum mcq_reason reason =
        r->s.pattern->subscribed(&r->s, &p->pipe, true, mcq_slice_of(topic, sizeof topic));
    cr_assert_eq(reason, MCQ_REASON_LIMIT);
    uint32_t cnt = 0;
    do {
        memcpy(topic, &cnt, sizeof cnt);
        reason =
            r->s.pattern->subscribed(&r->s, &p->pipe, true, mcq_slice_of(topic, MCQ_TOPIC_LEN_MAX));
    } while (reason == MCQ_REASON_NONE && ++cnt < 4096);
    cr_assert_eq(cnt, r->opts.subs_max_bytes / MCQ_TOPIC_LEN_MAX);
    cr_assert_eq(p->pipe.subscriber->bytes, r->opts.subs_max_bytes);
    rig_free(r);
}

Test(fanout, a_socket_stops_at_what_all_its_peers_may_have)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL), *q = rig_peer_up(r, NULL);
    r->opts.subs_sock_max = 3;
    r->opts.subs_sock_max_bytes = 6;
    cr_assert_eq(change(p, true, "a"), MCQ_REASON_NONE);
    cr_assert_eq(change(q, true, "a"), MCQ_REASON_NONE);
    cr_assert_eq(change(q, true, "bcdef"), MCQ_REASON_LIMIT, "bytes");
    cr_assert_eq(change(q, true, "b"), MCQ_REASON_NONE);
    cr_assert_eq(change(p, true, "c"), MCQ_REASON_LIMIT, "number");
    cr_assert_eq(change(q, false, "b"), MCQ_REASON_NONE);
    cr_assert_eq(change(p, true, "cdef"), MCQ_REASON_NONE);
    rig_peer_free(p);
    while (r->s.pattern->sweep(&r->s)) {
    }
    cr_assert_eq(r->s.pub.subs_cnt, 1);
    cr_assert_eq(r->s.pub.subs_bytes, 1);
    rig_free(r);
}

Test(fanout, what_is_cancelled_counts_no_longer)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    static char topic[MCQ_TOPIC_LEN_MAX + 1];
    memset(topic, 'z', MCQ_TOPIC_LEN_MAX);
    r->opts.subs_max = 1;
    for (uint32_t i = 0; i <= r->opts.subs_max_bytes / MCQ_TOPIC_LEN_MAX; i++) {
        cr_assert_eq(change(p, true, topic), MCQ_REASON_NONE);
        cr_assert_eq(change(p, true, "another"), MCQ_REASON_LIMIT);
        cr_assert_eq(change(p, false, topic), MCQ_REASON_NONE);
    }
    rig_free(r);
}

/* Whoever empties the shard's pool is refused; the others' subscriptions work on. */
Test(fanout, an_empty_pool_refuses_and_changes_nothing)
{
    struct mcq_pattern_plan plan = {16, 8, 1, 4, 1};
    struct rig *r = rig_new(MCQ_PUB, &plan);
    struct rig_peer *good = rig_peer_up(r, NULL);
    struct rig_peer *greedy = rig_peer_up(r, NULL);
    char topic[2] = "0";
    cr_assert_eq(change(good, true, "g"), MCQ_REASON_NONE);
    for (int i = 0; i < 7; i++, topic[0]++)
        cr_assert_eq(change(greedy, true, topic), MCQ_REASON_NONE);
    cr_assert_eq(change(greedy, true, "one more"), MCQ_REASON_LIMIT);
    cr_assert_eq(change(greedy, true, "g"), MCQ_REASON_LIMIT, "a known topic, but no subscription");
    cr_assert_eq(r->shared->fanout.topics.in_use, 8);
    cr_assert_eq(rig_send(r, NULL, "g"), MCQ_OK);
    cr_assert_str_eq(rig_got(good), "g");
    cr_assert_null(rig_got(greedy));
    rig_free(r);
}

/* Subscriptions run out before topics do: the topic made for the refused one is gone again. */
Test(fanout, a_refused_subscription_leaves_no_topic)
{
    struct mcq_pattern_plan plan = {16, 8, 1, 1, 1};
    struct rig *r = rig_new(MCQ_PUB, &plan);
    struct rig_peer *peers[8];
    static char longer[MCQ_PREFIX_INLINE_MAX + 2];
    memset(longer, 'l', sizeof longer - 1);
    for (int i = 0; i < 8; i++)
        peers[i] = rig_peer_up(r, NULL);
    cr_assert_eq(change(peers[0], true, longer), MCQ_REASON_NONE);
    longer[0] = 'm';
    cr_assert_eq(change(peers[0], true, longer), MCQ_REASON_LIMIT, "no second block for a topic");
    cr_assert_eq(r->shared->fanout.topics.in_use, 1);
    for (int i = 1; i < 8; i++)
        cr_assert_eq(change(peers[i], true, "t"), MCQ_REASON_NONE);
    cr_assert_eq(change(peers[0], true, "new"), MCQ_REASON_LIMIT);
    cr_assert_eq(r->shared->fanout.topics.in_use, 2);
    cr_assert_eq(r->stats.subs_refused, 2);
    rig_free(r);
}

/* Few buckets: the subscriptions of several peers to one topic meet in them. */
Test(fanout, peers_that_meet_in_one_bucket_are_told_apart)
{
    struct mcq_pattern_plan plan = {16, 8, 1, 1, 1};
    struct rig *r = rig_new(MCQ_PUB, &plan);
    struct rig_peer *peers[8];
    bool in[8] = {false};
    uint64_t seed = 4;
    for (int i = 0; i < 8; i++)
        peers[i] = rig_peer_up(r, NULL);
    for (int step = 0; step < 2000; step++) {
        size_t k = rig_random(&seed) % 8;
        in[k] = !in[k];
        cr_assert_eq(change(peers[k], in[k], "t"), MCQ_REASON_NONE);
        for (size_t i = 0; i < 8; i++)
            cr_assert_eq(subs_of(peers[i]), in[i] ? 1 : 0);
    }
    cr_assert_eq(r->stats.subs_duplicate, 0);
    rig_free(r);
}

/* ... and so are two connections on one pipe, of which one is not swept yet. */
Test(fanout, a_predecessors_subscription_in_the_same_bucket_is_not_the_successors)
{
    for (uint32_t lives = 8; lives < 40; lives++) {
        struct mcq_pattern_plan plan = {lives, 16, 1, 1, 1};
        struct rig *r = rig_new(MCQ_PUB, &plan);
        struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
        for (int life = 0; life < 8; life++) {
            cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
            cr_assert_eq(change(p, true, "s"), MCQ_REASON_NONE);
            cr_assert_eq(change(p, true, "t"), MCQ_REASON_NONE);
            cr_assert_eq(subs_of(p), 2);
            rig_detach(p);
        }
        cr_assert_eq(r->stats.subs_duplicate, 0);
        rig_free(r);
    }
}

static void publish_obituary(struct rig *r, struct mcq_peer peer, bool added,
                             struct mcq_slice topic)
{
    (void)peer;
    (void)topic;
    if (!added)
        cr_assert_eq(rig_send(r, NULL, "ab"), MCQ_OK);
}

/* The user publishes from within the end of each subscription: nothing goes to who is leaving. */
Test(fanout, the_handler_may_publish_while_a_peer_leaves)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *stays = rig_peer_up(r, NULL);
    struct rig_peer *leaves = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(leaves, NULL), MCQ_REASON_NONE);
    cr_assert_eq(change(stays, true, "a"), MCQ_REASON_NONE);
    cr_assert_eq(change(leaves, true, "a"), MCQ_REASON_NONE);
    cr_assert_eq(change(leaves, true, "ab"), MCQ_REASON_NONE);
    r->on_sub = publish_obituary;
    rig_detach(leaves);
    rig_sweep(r);
    r->on_sub = NULL;
    cr_assert_eq(rig_drain(stays), 2);
    cr_assert(mcq_pipe_empty(&leaves->pipe));
    cr_assert_eq(rig_attach(leaves, NULL), MCQ_REASON_NONE);
    cr_assert_eq(change(leaves, true, "ab"), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "ab"), MCQ_OK);
    cr_assert_str_eq(rig_got(leaves), "ab");
    rig_free(r);
}

Test(fanout, what_subscribers_send_is_dropped_and_told)
{
    struct rig *r = rig_new(MCQ_PUB, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    rig_input(p, "hello");
    cr_assert_eq(r->stats.drops_pattern, 1);
    cr_assert_eq(r->dropped[MCQ_REASON_PATTERN], 1);
    cr_assert_eq(rig_send(r, p, "x"), MCQ_ENOTSUP);
    rig_free(r);
}
