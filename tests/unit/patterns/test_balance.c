#include "patterns/balance.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define HWM 4

enum { OUT, PENDING, UP }; /* rig_peer.ring: the ring a peer is in, by this model */

/* A second, naive account of the rotation: whoever got its message, or came, longest ago is next;
 * of those that are full, whoever was found so longest ago is dealt with first. */
struct model {
    struct rig *r;
    uint64_t now;
    bool waits;
    uint32_t writable;
    /* what the policies must have counted */
    uint64_t hwm, slow, conflated, old, again;
};

static int active(const struct model *m)
{
    return m->r->s.peers_up != 0 ? UP : PENDING;
}

static bool blocks(const struct model *m)
{
    return m->r->opts.slow == MCQ_SLOW_BLOCK;
}

static bool keeps(const struct model *m, const struct rig_peer *p)
{
    return p->pipe.connecting && !m->r->opts.immediate;
}

static bool is_full(const struct model *m, const struct rig_peer *p)
{
    uint64_t max = m->r->opts.slow == MCQ_SLOW_CONFLATE ? 1 : HWM;
    return mcq_pipe_queued_msgs(&p->pipe) >= max;
}

static void enter(struct model *m, struct rig_peer *p, int ring)
{
    p->ring = ring;
    p->full = false;
    p->key = ++m->now;
}

static struct rig_peer *oldest_of(const struct model *m, bool full)
{
    struct rig_peer *best = NULL;
    for (uint32_t i = 0; i < m->r->peer_cnt; i++) {
        struct rig_peer *p = m->r->peers[i];
        if (p->ring == active(m) && p->full == full && (best == NULL || p->key < best->key))
            best = p;
    }
    return best;
}

static struct rig_peer *oldest(const struct model *m)
{
    return oldest_of(m, false);
}

/* A sender that waits hears of it as soon as anybody may have room. */
static void settle(struct model *m)
{
    if (!m->waits || oldest(m) == NULL)
        return;
    m->waits = false;
    m->writable++;
}

static struct rig_peer *expected(struct model *m)
{
    struct rig_peer *p;
    while ((p = oldest(m)) != NULL && is_full(m, p)) {
        p->full = true;
        p->key = ++m->now;
    }
    return p;
}

static void detach(struct model *m, struct rig_peer *p);

/* What the policy does with a message that nobody has room for. */
static void check_full(struct model *m, struct rig_peer *victim, uint64_t before)
{
    struct rig *r = m->r;
    bool ends = false;
    switch (r->opts.slow) {
    case MCQ_SLOW_DROP_NEW:
        m->hwm++;
        break;
    case MCQ_SLOW_DROP_OLD:
        m->old++;
        break;
    case MCQ_SLOW_CONFLATE:
        m->conflated++;
        break;
    case MCQ_SLOW_DISCONNECT:
        ends = victim->pipe.up;
        m->hwm++;
        m->slow += ends ? 1 : 0;
        break;
    case MCQ_SLOW_DEFAULT:
    case MCQ_SLOW_BLOCK:
        cr_assert_fail("taken");
    }
    cr_assert_eq(mcq_pipe_queued_msgs(&victim->pipe), before);
    cr_assert_eq(r->closed[MCQ_REASON_SLOW], m->slow);
    cr_assert_eq(r->stats.slow_disconnects, m->slow);
    if (ends)
        detach(m, victim);
}

/* As mcq_send_bytes does it. */
static enum mcq_error pick_and_put(struct model *m, struct rig_peer *want, struct rig_peer *victim)
{
    struct rig *r = m->r;
    enum mcq_error err;
    enum mcq_slow slow = r->opts.slow;
    struct mcq_pipe *p = r->s.pattern->pick(&r->s, 1, &err);
    if (want == NULL && (slow == MCQ_SLOW_DROP_OLD || slow == MCQ_SLOW_CONFLATE))
        want = victim;
    cr_assert_eq(p, want != NULL ? &want->pipe : NULL);
    if (p == NULL)
        return err == MCQ_EAGAIN && !blocks(m) ? rig_send(r, NULL, "x") : err;
    err = mcq_pipe_put_bytes(p, "x", 1);
    r->s.pattern->chosen(&r->s, p);
    return err;
}

static void check_send(struct model *m, uint64_t roll)
{
    struct rig *r = m->r;
    struct rig_peer *want = expected(m);
    struct rig_peer *victim = want == NULL ? oldest_of(m, true) : NULL;
    struct rig_peer *to = want != NULL ? want : victim;
    uint64_t before = to != NULL ? mcq_pipe_queued_msgs(&to->pipe) : 0;
    enum mcq_error err = roll % 2 == 0 ? rig_send(r, NULL, "x") : pick_and_put(m, want, victim);
    if (want == NULL && victim != NULL && !blocks(m)) {
        cr_assert_eq(err, MCQ_OK);
        check_full(m, victim, before);
        return;
    }
    if (want == NULL) {
        cr_assert_eq(err, MCQ_EAGAIN);
        m->waits = true;
        m->again++;
        return;
    }
    cr_assert_eq(err, MCQ_OK);
    cr_assert_eq(mcq_pipe_queued_msgs(&want->pipe), before + 1, "somebody else got it");
    want->key = ++m->now;
}

static void check_drain(struct model *m, struct rig_peer *p)
{
    bool starved = p->pipe.starved;
    rig_drain(p);
    if (!starved || p->pipe.starved)
        return;
    if (p->full)
        enter(m, p, p->ring);
    settle(m);
}

static void attach(struct model *m, struct rig_peer *p)
{
    bool first = m->r->s.peers_up == 0;
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    enter(m, p, p->pipe.leaving ? OUT : UP);
    m->writable += first ? 1 : 0; /* the first peer is told in any case */
    m->waits = m->waits && !first;
    settle(m);
}

static void detach(struct model *m, struct rig_peer *p)
{
    rig_detach(p);
    enter(m, p, keeps(m, p) && !p->pipe.leaving ? PENDING : OUT);
    settle(m);
}

/* Until its connection changes, or for good. */
static void retire(struct model *m, struct rig_peer *p, bool leaves)
{
    p->pipe.leaving |= leaves;
    m->r->s.pattern->retire(&m->r->s, &p->pipe);
    enter(m, p, OUT);
    settle(m);
}

static void add(struct model *m, bool connecting)
{
    struct rig_peer *p = rig_peer_new(m->r, connecting, HWM);
    enter(m, p, keeps(m, p) ? PENDING : OUT);
    settle(m);
}

static void step(struct model *m, uint64_t *seed)
{
    struct rig *r = m->r;
    uint64_t roll = rig_random(seed);
    struct rig_peer *p = r->peer_cnt != 0 ? r->peers[(roll >> 32) % r->peer_cnt] : NULL;
    switch (roll % 16) {
    case 0:
        if (r->peer_cnt < 12)
            add(m, (roll >> 8) % 2 == 0);
        return;
    case 1:
        if (p != NULL && (roll >> 8) % 4 == 0) {
            rig_peer_free(p);
            settle(m);
        }
        return;
    case 2:
        if (p != NULL && !p->pipe.up)
            attach(m, p);
        return;
    case 3:
        if (p != NULL && (roll >> 8) % 8 < 2)
            retire(m, p, (roll >> 8) % 8 == 0);
        else if (p != NULL && p->pipe.up)
            detach(m, p);
        return;
    case 4:
    case 5:
    case 6:
        /* A completion may come after its connection's end. */
        if (p != NULL && (p->pipe.up || p->pipe.connecting))
            check_drain(m, p);
        return;
    default:
        check_send(m, roll >> 16);
    }
}

/* The one way past the choice leads to the only one that has a turn. */
static void check_solo(const struct model *m)
{
    const struct mcq_pipe *solo = m->r->s.solo;
    uint32_t turns = 0;
    for (uint32_t i = 0; i < m->r->peer_cnt; i++) {
        const struct rig_peer *p = m->r->peers[i];
        if (p->ring == active(m) && !p->full) {
            cr_assert(solo == NULL || solo == &p->pipe);
            turns++;
        }
    }
    cr_assert_eq(solo != NULL, turns == 1);
}

static void check_counts(const struct model *m)
{
    const struct rig *r = m->r;
    cr_assert_eq(r->stats.drops_hwm, m->hwm);
    cr_assert_eq(r->stats.drops_old, m->old);
    cr_assert_eq(r->stats.conflated, m->conflated);
    cr_assert_eq(r->stats.again, m->again);
    cr_assert_eq(r->dropped[MCQ_REASON_HWM] + r->dropped[MCQ_REASON_SLOW], m->hwm + m->old);
    cr_assert_eq(r->dropped[MCQ_REASON_SLOW], m->slow);
    cr_assert_eq(r->dropped[MCQ_REASON_CONFLATED], m->conflated);
    cr_assert_eq(r->slow_cnt, r->stats.slow_enters);
    cr_assert_eq(r->slow_end_cnt, r->stats.slow_leaves);
}

static void agree(enum mcq_slow slow, uint64_t run)
{
    struct model m = {.r = rig_new(run % 2 == 0 ? MCQ_PUSH : MCQ_DEALER, NULL)};
    uint64_t seed = run * UINT64_C(0x9e3779b97f4a7c15);
    m.r->opts.slow = slow;
    m.r->opts.immediate = run % 3 == 0;
    for (int i = 0; i < 3000; i++) {
        step(&m, &seed);
        cr_assert_eq(m.r->writable_cnt, m.writable, "run %d step %d", (int)run, i);
        cr_assert_eq(m.r->s.sender_waits, m.waits);
        check_solo(&m);
        check_counts(&m);
    }
    cr_assert(blocks(&m) || m.hwm + m.old + m.conflated > 50);
    rig_free(m.r);
}

/* Random peers come, go, fill up and drain: each message goes to exactly whom the model says, and
 * a refused sender hears of room exactly when there is some. */
Test(balance, agrees_with_a_naive_model)
{
    for (uint64_t run = 1; run <= 20; run++)
        agree(MCQ_SLOW_BLOCK, run);
}

Test(balance, agrees_with_a_naive_model_under_every_policy)
{
    for (uint64_t run = 1; run <= 12; run++)
        for (int slow = MCQ_SLOW_DROP_NEW; slow <= MCQ_SLOW_DISCONNECT; slow++)
            agree((enum mcq_slow)slow, run);
}

Test(balance, removing_one_peer_skips_no_other)
{
    struct rig *r = rig_new(MCQ_PUSH, NULL);
    struct rig_peer *p[4];
    for (int i = 0; i < 4; i++)
        p[i] = rig_peer_up(r, NULL);
    cr_assert_eq(rig_send(r, NULL, "0"), MCQ_OK);
    rig_peer_free(p[1]); /* whose turn it was */
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_OK);
    rig_peer_free(p[0]); /* before the one whose turn it is */
    cr_assert_eq(rig_send(r, NULL, "3"), MCQ_OK);
    cr_assert_str_eq(rig_got(p[2]), "2");
    cr_assert_str_eq(rig_got(p[3]), "3");
    rig_free(r);
}

Test(balance, queues_before_a_connection_and_follows_whoever_is_up)
{
    struct rig *r = rig_new(MCQ_PUSH, NULL);
    cr_assert_eq(rig_send(r, NULL, "nobody"), MCQ_EAGAIN);
    struct rig_peer *a = rig_peer_new(r, true, HWM);
    cr_assert_eq(r->writable_cnt, 1, "a connect-side queue is room");
    struct rig_peer *b = rig_peer_new(r, true, HWM);
    cr_assert_eq(rig_send(r, NULL, "1"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_OK);
    cr_assert_eq(rig_attach(b, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "3"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "4"), MCQ_OK);
    cr_assert_str_eq(rig_got(b), "2");
    cr_assert_str_eq(rig_got(b), "3");
    cr_assert_str_eq(rig_got(b), "4");
    rig_detach(b);
    cr_assert_eq(mcq_pipe_queued_msgs(&a->pipe), 1, "kept over everything");
    rig_free(r);
}

/* The shard ends the connection later in the turn, and sends may complete until then. */
Test(balance, one_whose_connection_is_ending_gets_nothing)
{
    struct rig *r = rig_new(MCQ_PUSH, NULL);
    r->opts.slow = MCQ_SLOW_DISCONNECT;
    struct rig_peer *slow = rig_peer_new(r, false, 1), *other = rig_peer_new(r, false, 1);
    cr_assert_eq(rig_attach(slow, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_attach(other, NULL), MCQ_REASON_NONE);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(rig_send(r, NULL, "x"), MCQ_OK);
    cr_assert_eq(r->closed_pipe, &slow->pipe);
    cr_assert_eq(r->closed[MCQ_REASON_SLOW], 1, "not one peer per message");
    cr_assert_eq(r->dropped[MCQ_REASON_SLOW], 3);
    cr_assert_eq(rig_drain(slow), 1);
    cr_assert_eq(rig_drain(other), 1);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rig_send(r, NULL, "y"), MCQ_OK);
        cr_assert_eq(rig_drain(other), 1);
    }
    cr_assert(mcq_pipe_empty(&slow->pipe));
    rig_free(r);
}

Test(balance, one_named_peer_may_be_full_while_others_are_not)
{
    struct rig *r = rig_new(MCQ_DEALER, NULL);
    struct rig_peer *a = rig_peer_new(r, false, 1);
    struct rig_peer *b = rig_peer_up(r, NULL);
    cr_assert_eq(rig_attach(a, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, a, "1"), MCQ_OK);
    uint32_t told = r->writable_cnt;
    cr_assert_eq(rig_send(r, a, "2"), MCQ_EAGAIN);
    cr_assert_eq(r->stats.again, 1);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(rig_send(r, NULL, "x"), MCQ_OK);
    cr_assert_eq(rig_drain(b), 5);
    cr_assert_eq(rig_drain(a), 1);
    cr_assert_eq(r->writable_cnt, told + 1);
    cr_assert_eq(rig_send(r, a, "2"), MCQ_OK);
    rig_free(r);
}

Test(balance, a_large_message_goes_where_it_fits)
{
    struct rig *r = rig_new(MCQ_PUSH, NULL);
    struct rig_peer *tight = rig_peer_new(r, false, MCQ_UNLIMITED);
    struct rig_peer *wide = rig_peer_new(r, false, MCQ_UNLIMITED);
    static char body[300000];
    struct mcq_msg m = mcq_msg_of(body, sizeof body);
    enum mcq_error err;
    tight->pipe.hwm_bytes = 100000;
    cr_assert_eq(rig_attach(tight, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_attach(wide, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, tight, "x"), MCQ_OK);
    cr_assert_eq(r->s.pattern->pick(&r->s, sizeof body, &err), &wide->pipe);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    cr_assert_eq(mcq_pipe_queued_msgs(&wide->pipe), 3);
    cr_assert_eq(rig_drain(wide), 3);
    cr_assert_eq(rig_drain(tight), 1);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    cr_assert_eq(mcq_pipe_queued_msgs(&tight->pipe), 1, "larger than all credit, queue empty");
    rig_free(r);
}

/* All memory is gone: nobody is full, so nobody may leave the rotation for good. */
Test(balance, memory_shortage_keeps_everybody_in_the_rotation)
{
    struct rig *r = rig_new(MCQ_PUSH, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL);
    struct mcq_buf *held[2048];
    size_t cnt = 0;
    while ((held[cnt] = mcq_buf_take(r->heap, 1000)) != NULL)
        cnt++;
    cr_assert_eq(rig_send(r, NULL, "x"), MCQ_EAGAIN);
    while (cnt != 0)
        mcq_buf_unref(r->heap, held[--cnt]);
    cr_assert_eq(rig_send(r, NULL, "x"), MCQ_OK);
    cr_assert_str_eq(rig_got(a), "x");
    rig_free(r);
}

Test(balance, unsolicited_input_of_push_is_dropped_and_told)
{
    struct rig *r = rig_new(MCQ_PUSH, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL);
    rig_input(a, "why");
    cr_assert_eq(r->stats.drops_pattern, 1);
    cr_assert_eq(r->dropped[MCQ_REASON_PATTERN], 1);
    cr_assert_eq(r->delivered, 0);
    rig_free(r);
}
