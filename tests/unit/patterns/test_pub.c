#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patterns/fanout.h"
#include "rig.h"

static struct rig *rig_of(struct mcq_psock_opts opts)
{
    opts.subs_max = 10000;
    opts.subs_max_bytes = 1u << 20;
    opts.subs_sock_max = UINT32_MAX;
    opts.subs_sock_max_bytes = UINT32_MAX;
    opts.slow = opts.slow == MCQ_SLOW_DEFAULT ? MCQ_SLOW_DROP_NEW : opts.slow;
    return rig_new_opts(MCQ_PUB, NULL, &opts);
}

static struct mcq_psock_opts with_welcome(const char *text)
{
    struct mcq_psock_opts opts = {.welcome_len = (uint32_t)strlen(text)};
    memcpy(opts.welcome, text, strlen(text));
    return opts;
}

static uint32_t blocks_in_use(const struct rig *r)
{
    return mcq_buf_heap_in_use(r->heap);
}

static void change(struct rig_peer *p, bool add, const char *topic)
{
    enum mcq_reason reason =
        p->rig->s.pattern->subscribed(&p->rig->s, &p->pipe, add, rig_slice(topic));
    cr_assert_eq(reason, MCQ_REASON_NONE);
}

/* --- what the user is told ------------------------------------------------------------------- */

Test(pub, tells_each_peers_subscriptions)
{
    struct rig *r = rig_of((struct mcq_psock_opts){0});
    struct rig_peer *a = rig_peer_up(r, NULL);
    struct rig_peer *b = rig_peer_up(r, NULL);
    change(a, true, "t");
    change(b, true, "t");
    change(b, true, "t");
    change(a, false, "t");
    change(a, false, "t");
    cr_assert_str_eq(rig_told(r), "+t@1 +t@2 -t@1");
    rig_peer_free(b);
    rig_sweep(r);
    cr_assert_str_eq(rig_told(r), "-t@2", "who it was is told when its pipe is gone");
    rig_free(r);
}

/* --- who is gone ----------------------------------------------------------------------------- */

#define MANY 10000u

static void subscribe_many(struct rig_peer *p, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "t%u", i);
        change(p, true, topic);
    }
}

/* Nothing at once, then no more than the limit in a turn, and all in the end. */
Test(pub, a_peer_with_many_subscriptions_goes_a_few_per_turn)
{
    struct mcq_pattern_plan plan = {4, MANY + 10, 1, 1, 1};
    struct rig *r = rig_new(MCQ_PUB, &plan);
    struct rig_peer *leaves = rig_peer_up(r, NULL);
    struct rig_peer *stays = rig_peer_up(r, NULL);
    change(stays, true, "t");
    subscribe_many(leaves, MANY);
    rig_peer_free(leaves);
    cr_assert_eq(r->subs_ended, 0);
    cr_assert_eq(r->sweep_cnt, 1, "the shard is asked for turns");
    uint32_t turns = 0;
    for (bool more = true; more; turns++) {
        uint32_t before = r->subs_ended;
        more = r->s.pattern->sweep(&r->s);
        cr_assert_leq(r->subs_ended - before, MCQ_FANOUT_SWEEP_MAX);
        cr_assert_eq(rig_send(r, NULL, "t77"), MCQ_OK);
        cr_assert_str_eq(rig_got(stays), "t77");
    }
    cr_assert_eq(r->subs_ended, MANY);
    cr_assert_eq(turns, (MANY + MCQ_FANOUT_SWEEP_MAX - 1) / MCQ_FANOUT_SWEEP_MAX);
    cr_assert_eq(r->stats.sweeps_limited, turns - 1);
    cr_assert_eq(r->stats.subs_now, 1);
    cr_assert_not(r->s.pattern->sweep(&r->s));
    rig_free(r);
}

/* Its successor on the same pipe gets none of its messages, and loses none of its own topics. */
Test(pub, who_comes_next_on_a_pipe_inherits_nothing_and_loses_nothing)
{
    struct rig *r = rig_of((struct mcq_psock_opts){0});
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    subscribe_many(p, 600);
    rig_detach(p);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "t500"), MCQ_OK);
    cr_assert_null(rig_got(p));
    change(p, true, "t1"); /* swept first */
    change(p, true, "t500");
    change(p, false, "t599"); /* the predecessor's */
    cr_assert(r->s.pattern->sweep(&r->s));
    cr_assert_eq(rig_send(r, NULL, "t500"), MCQ_OK);
    cr_assert_eq(rig_drain(p), 1, "once, though two connections of it are subscribed");
    rig_sweep(r);
    cr_assert_eq(r->stats.subs_now, 2);
    cr_assert_eq(rig_send(r, NULL, "t1"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "t599"), MCQ_OK);
    cr_assert_eq(rig_drain(p), 1);
    rig_free(r);
}

/* More may be gone than are connected, up to a limit: then a newcomer waits for the sweep. */
Test(pub, there_is_an_end_to_those_not_yet_swept)
{
    struct mcq_pattern_plan plan = {4, 64, 1, 1, 1};
    struct rig *r = rig_new(MCQ_PUB, &plan);
    for (int i = 0; i < 8; i++) {
        struct rig_peer *p = rig_peer_up(r, NULL);
        change(p, true, "t");
        rig_peer_free(p);
    }
    struct rig_peer *p = rig_peer_up(r, NULL);
    cr_assert_eq(r->s.pattern->subscribed(&r->s, &p->pipe, true, rig_slice("t")), MCQ_REASON_LIMIT);
    cr_assert_eq(r->stats.subs_refused, 1);
    rig_sweep(r);
    change(p, true, "t");
    rig_free(r);
}

/* --- welcome --------------------------------------------------------------------------------- */

Test(pub, the_welcome_message_is_a_peers_first)
{
    const struct mcq_psock_opts opts = with_welcome("welcome");
    struct rig *r = rig_of(opts);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_null(rig_got(p), "not before it is up");
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    change(p, true, "");
    cr_assert_eq(rig_send(r, NULL, "news"), MCQ_OK);
    cr_assert_str_eq(rig_got(p), "welcome");
    cr_assert_str_eq(rig_got(p), "news");
    rig_detach(p);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_str_eq(rig_got(p), "welcome", "each connection's");
    cr_assert_null(rig_got(p));
    rig_free(r);
}

Test(pub, a_welcome_without_room_is_dropped_and_told)
{
    static const enum mcq_slow policies[] = {MCQ_SLOW_BLOCK, MCQ_SLOW_DROP_NEW,
                                             MCQ_SLOW_DISCONNECT};
    for (size_t i = 0; i < MCQ_CNT_OF(policies); i++) {
        struct mcq_psock_opts opts = with_welcome("welcome");
        opts.slow = policies[i];
        struct rig *r = rig_of(opts);
        struct rig_peer *p = rig_peer_new(r, true, 1);
        r->detach_on_close = true;
        cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
        rig_detach(p); /* the first one's still waits */
        cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
        cr_assert_eq(r->dropped[MCQ_REASON_HWM], 1);
        cr_assert(p->pipe.up, "that a predecessor was slow is not its fault");
        cr_assert_str_eq(rig_got(p), "welcome");
        cr_assert_null(rig_got(p));
        rig_free(r);
    }
}

/* --- who gets it ----------------------------------------------------------------------------- */

Test(pub, inverted_matching_gives_to_those_without_a_match)
{
    struct rig *r = rig_of((struct mcq_psock_opts){.invert_matching = true});
    struct rig_peer *none = rig_peer_up(r, NULL);
    struct rig_peer *some = rig_peer_up(r, NULL);
    struct rig_peer *all = rig_peer_up(r, NULL);
    struct rig_peer *down = rig_peer_new(r, true, MCQ_UNLIMITED);
    change(some, true, "a");
    change(some, true, "ab");
    change(all, true, "");
    cr_assert_eq(rig_send(r, NULL, "abc"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "b"), MCQ_OK);
    cr_assert_eq(rig_drain(none), 2);
    cr_assert_str_eq(rig_got(some), "b");
    cr_assert_null(rig_got(some));
    cr_assert_null(rig_got(all));
    cr_assert_null(rig_got(down));
    rig_free(r);
}

/* --- slow peers ------------------------------------------------------------------------------ */

/* Bytes, of whole messages with all their frames, as well as messages. */
Test(pub, block_refuses_for_all_as_soon_as_one_is_full)
{
    static char body[900];
    struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK});
    struct rig_peer *fast = rig_peer_up(r, NULL);
    struct rig_peer *full = rig_peer_new(r, false, MCQ_UNLIMITED);
    struct rig_peer *other = rig_peer_up(r, NULL);
    struct mcq_frame frames[] = {{"t", 1}, {body, sizeof body}};
    full->pipe.hwm_bytes = 2000;
    cr_assert_eq(rig_attach(full, NULL), MCQ_REASON_NONE);
    change(fast, true, "");
    change(full, true, "t");
    change(other, true, "o");
    uint32_t sent = 0;
    for (int i = 0; i < 10; i++) {
        struct mcq_msg m = mcq_msg_of_frames(frames, 2);
        enum mcq_error err = r->s.pattern->send(&r->s, NULL, &m);
        cr_assert_eq(err, i < 2 ? MCQ_OK : MCQ_EAGAIN);
        sent += err == MCQ_OK;
    }
    cr_assert_eq(r->stats.again, 8);
    cr_assert_eq(r->slow_cnt, 1);
    cr_assert_eq(rig_send(r, NULL, "others"), MCQ_OK, "which the full one doesn't want");
    cr_assert_eq(rig_drain(fast), sent + 1);
    cr_assert_eq(rig_drain(other), 1);
    uint32_t writable = r->writable_cnt;
    cr_assert_eq(rig_drain(full), sent);
    cr_assert_eq(r->writable_cnt, writable + 1);
    cr_assert_eq(r->slow_end_cnt, 1);
    cr_assert_eq(rig_send(r, NULL, "t"), MCQ_OK);
    cr_assert_eq(r->stats.drops_hwm, 0);
    rig_free(r);
}

static struct mcq_buf *hoard[4096];

static uint32_t take_all(struct rig *r)
{
    uint32_t cnt = 0;
    for (size_t len = 4096; len <= MCQ_BUF_RX_LEN; len += MCQ_BUF_RX_LEN - 4096)
        while ((hoard[cnt] = mcq_buf_take(r->heap, len)) != NULL)
            cnt++;
    return cnt;
}

/* No memory for the last of three: the first two get nothing either, and keep no block for it. */
Test(pub, block_refuses_for_all_when_memory_is_short)
{
    static const size_t lens[] = {10, 8000, 100000}; /* the last is in its own block already */
    static char body[100000];
    for (size_t k = 0; k < MCQ_CNT_OF(lens); k++) {
        struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK});
        struct rig_peer *peers[3];
        struct mcq_msg m;
        for (int i = 0; i < 3; i++) {
            peers[i] = rig_peer_up(r, NULL);
            change(peers[i], true, "");
        }
        cr_assert_eq(mcq_buf_msg_external(r->heap, body, lens[k], NULL, NULL, &m), MCQ_OK);
        uint32_t cnt = take_all(r);
        uint32_t none = blocks_in_use(r);
        mcq_buf_unref(r->heap, hoard[--cnt]);
        mcq_buf_unref(r->heap, hoard[--cnt]);
        cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_EAGAIN);
        for (int i = 0; i < 3; i++) {
            cr_assert(mcq_pipe_empty(&peers[i]->pipe));
            mcq_pipe_forget(&peers[i]->pipe); /* the turn ends */
        }
        cr_assert_eq(blocks_in_use(r), none - 2);
        while (cnt != 0)
            mcq_buf_unref(r->heap, hoard[--cnt]);
        cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
        mcq_buf_msg_drop(r->heap, &m);
        for (int i = 0; i < 3; i++)
            cr_assert_eq(rig_drain(peers[i]), 1);
        cr_assert_eq(r->stats.drops_hwm, 0);
        rig_free(r);
    }
}

/* What is never going to fit is not waited for. */
Test(pub, block_says_what_is_too_big)
{
    static char body[20u << 20];
    struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK});
    struct rig_peer *p = rig_peer_up(r, NULL);
    struct mcq_msg m = mcq_msg_of(body, sizeof body);
    change(p, true, "");
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_ETOOBIG);
    cr_assert_eq(r->stats.drops_hwm, 0);
    rig_free(r);
}

/* Whoever was waited for, and leaves or doesn't want it any more, is waited for no longer. */
Test(pub, a_refused_sender_hears_when_the_full_one_is_out_of_the_way)
{
    for (int how = 0; how < 2; how++) {
        struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK});
        struct rig_peer *full = rig_peer_new(r, false, 1);
        cr_assert_eq(rig_attach(full, NULL), MCQ_REASON_NONE);
        change(full, true, "t");
        cr_assert_eq(rig_send(r, NULL, "t"), MCQ_OK);
        cr_assert_eq(rig_send(r, NULL, "t"), MCQ_EAGAIN);
        uint32_t writable = r->writable_cnt;
        if (how == 0)
            change(full, false, "t");
        else
            rig_detach(full);
        cr_assert_eq(r->writable_cnt, writable + 1);
        cr_assert_eq(rig_send(r, NULL, "t"), MCQ_OK);
        rig_free(r);
    }
}

/* Among many, in near and far, in the middle of the message. */
Test(pub, who_is_disconnected_for_being_slow_costs_nobody_else_a_message)
{
    struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_DISCONNECT});
    struct rig_peer *peers[20];
    r->detach_on_close = true;
    for (int i = 0; i < 20; i++) {
        peers[i] = rig_peer_new(r, true, i % 3 == 1 ? 1 : MCQ_UNLIMITED);
        cr_assert_eq(rig_attach(peers[i], NULL), MCQ_REASON_NONE);
        change(peers[i], true, "t");
        change(peers[i], true, "");
    }
    for (int i = 0; i < 3; i++)
        cr_assert_eq(rig_send(r, NULL, "t"), MCQ_OK);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(peers[i]->pipe.up, i % 3 != 1);
        cr_assert_eq(rig_drain(peers[i]), i % 3 == 1 ? 1 : 3);
    }
    cr_assert_eq(r->closed[MCQ_REASON_SLOW], 7);
    rig_sweep(r);
    cr_assert_eq(r->stats.subs_now, 2 * 13);
    rig_free(r);
}

/* --- the end of the user's memory ------------------------------------------------------------ */

static struct rig *nesting;
static enum mcq_error nested;
static uint32_t freed;

static void send_in_free(void *data, size_t len, void *hint)
{
    (void)data;
    (void)len;
    (void)hint;
    freed++;
    nested = rig_send(nesting, NULL, "nested");
}

/* Dropping an old message calls its owner, who sends: refused, told later, and what is being sent
 * still reaches everybody, once. */
Test(pub, a_send_from_within_a_send_comes_later)
{
    static char large[100000];
    struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_DROP_OLD});
    struct rig_peer *peers[5];
    struct mcq_msg m;
    nesting = r;
    freed = 0;
    for (int i = 0; i < 5; i++) {
        peers[i] = rig_peer_new(r, false, 1);
        cr_assert_eq(rig_attach(peers[i], NULL), MCQ_REASON_NONE);
        change(peers[i], true, "");
    }
    cr_assert_eq(mcq_buf_msg_external(r->heap, large, sizeof large, send_in_free, NULL, &m),
                 MCQ_OK);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    mcq_buf_msg_drop(r->heap, &m);
    uint32_t writable = r->writable_cnt;
    cr_assert_eq(rig_send(r, NULL, "new"), MCQ_OK);
    cr_assert_eq(freed, 1);
    cr_assert_eq(nested, MCQ_EAGAIN);
    cr_assert_eq(r->writable_cnt, writable + 1);
    for (int i = 0; i < 5; i++) {
        cr_assert_str_eq(rig_got(peers[i]), "new");
        cr_assert_null(rig_got(peers[i]));
    }
    cr_assert_eq(rig_send(r, NULL, "again"), MCQ_OK);
    cr_assert_str_eq(rig_got(peers[4]), "again");
    rig_free(r);
}

/* --- one that leaves ---------------------------------------------------------------------------
 */

static void leave(struct rig_peer *p)
{
    p->pipe.leaving = true;
    p->rig->s.pattern->retire(&p->rig->s, &p->pipe);
}

/* What it has is still sent; nothing more comes, nobody waits for it, and it can't come back. */
static void gets_nothing_more(struct mcq_psock_opts opts, const char *topic)
{
    struct rig *r = rig_of(opts);
    struct rig_peer *stays = rig_peer_up(r, NULL);
    struct rig_peer *leaves = rig_peer_new(r, false, 1);
    cr_assert_eq(rig_attach(leaves, NULL), MCQ_REASON_NONE);
    change(stays, true, topic);
    change(leaves, true, topic);
    cr_assert_eq(rig_send(r, NULL, "a"), MCQ_OK);
    bool blocks = opts.slow == MCQ_SLOW_BLOCK;
    cr_assert_eq(rig_send(r, NULL, "b"), blocks ? MCQ_EAGAIN : MCQ_OK);
    uint32_t writable = r->writable_cnt;
    leave(leaves);
    cr_assert_eq(r->writable_cnt, writable + (blocks ? 1 : 0));
    change(leaves, true, topic);
    cr_assert_eq(rig_send(r, NULL, "c"), MCQ_OK);
    rig_sweep(r);
    cr_assert_eq(rig_send(r, NULL, "d"), MCQ_OK);
    cr_assert_eq(r->stats.subs_now, 1);
    cr_assert_str_eq(rig_got(leaves), "a");
    cr_assert_null(rig_got(leaves));
    for (const char *c = blocks ? "acd" : "abcd"; *c != 0; c++)
        cr_assert_eq(rig_got(stays)[0], *c);
    cr_assert_eq(rig_send(r, NULL, "e"), MCQ_OK);
    cr_assert_null(rig_got(leaves));
    rig_free(r);
}

Test(pub, one_that_leaves_gets_nothing_more)
{
    gets_nothing_more((struct mcq_psock_opts){.slow = MCQ_SLOW_DROP_NEW}, "");
    gets_nothing_more((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK}, "");
    gets_nothing_more((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK, .invert_matching = true},
                      "z");
}
