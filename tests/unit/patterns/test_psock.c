/* What slow peers cost, and how it is told: every policy, on every type that has it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define HWM  4
#define SENT 10

/* The ways to send to a peer. */
struct way {
    const char *name;
    enum mcq_sock_type type;
    bool by_handle;
    const char *address; /* goes before the body, and is taken off */
};

static const struct way ways[] = {
    {"PUSH", MCQ_PUSH, false, ""},        {"PUSH by handle", MCQ_PUSH, true, ""},
    {"DEALER", MCQ_DEALER, false, ""},    {"DEALER by handle", MCQ_DEALER, true, ""},
    {"PAIR", MCQ_PAIR, false, ""},        {"PAIR by handle", MCQ_PAIR, true, ""},
    {"ROUTER", MCQ_ROUTER, false, "me|"}, {"ROUTER by handle", MCQ_ROUTER, true, ""},
    {"REP", MCQ_REP, false, ""},
};

static struct rig *rig_of(enum mcq_sock_type type, enum mcq_slow slow)
{
    struct rig *r = rig_new(type, NULL);
    r->opts.slow = slow;
    r->opts.slow_to = slow;
    return r;
}

static struct rig_peer *peer_up(struct rig *r, uint32_t hwm)
{
    struct rig_peer *p = rig_peer_new(r, false, hwm);
    cr_assert_eq(rig_attach(p, "me"), MCQ_REASON_NONE);
    return p;
}

static enum mcq_error say(struct rig_peer *p, const struct way *way, int number)
{
    char text[32];
    snprintf(text, sizeof text, "%s%d", way->address, number);
    if (way->type == MCQ_REP)
        rig_input(p, "|question");
    return rig_send(p->rig, way->by_handle ? p : NULL, text);
}

static void expect_numbers(struct rig_peer *p, const struct way *way, int from, int to)
{
    char text[32];
    for (int i = from; i <= to; i++) {
        snprintf(text, sizeof text, "%s%d", way->type == MCQ_REP ? "|" : "", i);
        const char *got = rig_got(p);
        cr_assert_not_null(got, "%s: %d is missing", way->name, i);
        cr_assert_str_eq(got, text, "%s: %s instead of %s", way->name, got, text);
    }
    cr_assert_null(rig_got(p), "%s", way->name);
}

#define EACH_WAY(way) \
    for (const struct way *way = ways; way < ways + sizeof ways / sizeof ways[0]; way++)

Test(psock, block_refuses_and_wakes)
{
    EACH_WAY(way)
    {
        if (way->type == MCQ_REP)
            continue; /* which never waits */
        struct rig *r = rig_of(way->type, MCQ_SLOW_BLOCK);
        struct rig_peer *p = peer_up(r, HWM);
        uint32_t told = r->writable_cnt;
        for (int i = 0; i < SENT; i++)
            cr_assert_eq(say(p, way, i), i < HWM ? MCQ_OK : MCQ_EAGAIN);
        cr_assert_eq(r->stats.again, SENT - HWM);
        cr_assert_eq(r->slow_cnt, 1);
        cr_assert_eq(p->pipe.dropped, 0);
        expect_numbers(p, way, 0, HWM - 1);
        cr_assert_eq(r->writable_cnt, told + 1);
        cr_assert_eq(r->slow_end_cnt, 1);
        cr_assert_eq(say(p, way, 0), MCQ_OK);
        rig_free(r);
    }
}

Test(psock, drop_new_loses_the_newest)
{
    EACH_WAY(way)
    {
        struct rig *r = rig_of(way->type, MCQ_SLOW_DROP_NEW);
        struct rig_peer *p = peer_up(r, HWM);
        for (int i = 0; i < SENT; i++)
            cr_assert_eq(say(p, way, i), MCQ_OK);
        cr_assert_eq(r->stats.drops_hwm, SENT - HWM, "%s", way->name);
        cr_assert_eq(r->dropped[MCQ_REASON_HWM], SENT - HWM);
        cr_assert_eq(p->pipe.dropped, SENT - HWM);
        cr_assert_eq(r->slow_cnt, 1);
        cr_assert_eq(r->stats.again, 0);
        expect_numbers(p, way, 0, HWM - 1);
        cr_assert_eq(r->slow_end_cnt, 1);
        rig_free(r);
    }
}

Test(psock, drop_old_loses_the_oldest)
{
    EACH_WAY(way)
    {
        struct rig *r = rig_of(way->type, MCQ_SLOW_DROP_OLD);
        struct rig_peer *p = peer_up(r, HWM);
        for (int i = 0; i < SENT; i++) {
            cr_assert_eq(say(p, way, i), MCQ_OK);
            cr_assert_leq(mcq_pipe_queued_msgs(&p->pipe), HWM);
        }
        cr_assert_eq(r->stats.drops_old, SENT - HWM, "%s", way->name);
        cr_assert_eq(r->stats.drops_hwm, 0);
        cr_assert_eq(r->dropped[MCQ_REASON_HWM], SENT - HWM);
        cr_assert_eq(p->pipe.dropped, SENT - HWM);
        cr_assert_eq(r->slow_cnt, 1);
        expect_numbers(p, way, SENT - HWM, SENT - 1);
        cr_assert_eq(r->slow_end_cnt, 1);
        rig_free(r);
    }
}

Test(psock, conflate_keeps_the_newest_full_or_not)
{
    EACH_WAY(way)
    {
        struct rig *r = rig_of(way->type, MCQ_SLOW_CONFLATE);
        struct rig_peer *p = peer_up(r, HWM);
        for (int i = 0; i < SENT; i++) {
            cr_assert_eq(say(p, way, i), MCQ_OK);
            cr_assert_eq(mcq_pipe_queued_msgs(&p->pipe), 1, "%s", way->name);
        }
        cr_assert_eq(r->stats.conflated, SENT - 1);
        cr_assert_eq(r->dropped[MCQ_REASON_CONFLATED], SENT - 1);
        cr_assert_eq(p->pipe.dropped, SENT - 1);
        cr_assert_eq(r->slow_cnt, 0, "there is no mark to reach");
        expect_numbers(p, way, SENT - 1, SENT - 1);
        rig_free(r);
    }
}

Test(psock, disconnect_ends_the_peer_once)
{
    EACH_WAY(way)
    {
        struct rig *r = rig_of(way->type, MCQ_SLOW_DISCONNECT);
        struct rig_peer *p = peer_up(r, HWM);
        for (int i = 0; i < HWM + 3; i++)
            cr_assert_eq(say(p, way, i), MCQ_OK);
        cr_assert_eq(r->closed[MCQ_REASON_SLOW], 1, "%s", way->name);
        cr_assert_eq(r->closed_pipe, &p->pipe);
        cr_assert_eq(r->stats.slow_disconnects, 1);
        cr_assert_null(mcq_psock_find(&r->s, rig_slice("me")), "nobody finds it any more");
        bool unknown = way->type == MCQ_ROUTER && !way->by_handle;
        cr_assert_eq(r->dropped[MCQ_REASON_SLOW], unknown ? 1 : 3);
        cr_assert_eq(r->dropped[MCQ_REASON_NO_PEER], unknown ? 2 : 0);
        cr_assert_eq(r->stats.drops_hwm + r->stats.drops_no_peer, 3);
        cr_assert_eq(r->slow_cnt, 1);
        rig_detach(p);
        cr_assert_eq(r->slow_end_cnt, 1);
        rig_free(r);
    }
}

/* mcq_send_to blocks where the user chose nothing, whatever the type does by itself. */
Test(psock, by_handle_the_default_is_block)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    struct rig_peer *p = peer_up(r, 1);
    cr_assert_eq(rig_send(r, p, "1"), MCQ_OK);
    cr_assert_eq(rig_send(r, p, "2"), MCQ_EAGAIN);
    cr_assert_eq(rig_send(r, NULL, "me|2"), MCQ_OK);
    cr_assert_eq(r->stats.drops_hwm, 1);
    rig_free(r);
}

/* --- slow, and no longer --------------------------------------------------------------------- */

/* One segment per message, so that each leaves the queue when it is sent. */
static void put_apart(struct rig_peer *p)
{
    struct mcq_slice out[64];
    uint32_t cnt;
    cr_assert_eq(rig_send(p->rig, NULL, "x"), MCQ_OK);
    mcq_pipe_gather(&p->pipe, out, 64, 1u << 20, &cnt);
    cr_assert_not(mcq_pipe_rewind(&p->pipe));
}

static void send_one(struct rig_peer *p)
{
    struct mcq_slice out[1];
    uint32_t cnt;
    size_t len = mcq_pipe_gather(&p->pipe, out, 1, 1, &cnt);
    if (mcq_pipe_sent(&p->pipe, len))
        p->rig->s.pattern->writable(&p->rig->s, &p->pipe);
}

Test(psock, slow_has_hysteresis)
{
    struct rig *r = rig_new(MCQ_PUSH, NULL);
    struct rig_peer *p = peer_up(r, 8);
    for (int round = 1; round < 4; round++) {
        while (mcq_pipe_queued_msgs(&p->pipe) < 8)
            put_apart(p);
        cr_assert_eq(r->slow_cnt, (uint32_t)round - 1, "full, but nothing was refused yet");
        for (int i = 0; i < 3; i++)
            cr_assert_eq(rig_send(r, NULL, "x"), MCQ_EAGAIN);
        for (int left = 7; left > 4; left--) {
            send_one(p);
            cr_assert(p->pipe.slow);
            cr_assert_eq(r->slow_end_cnt, (uint32_t)round - 1);
        }
        send_one(p);
        cr_assert_not(p->pipe.slow);
        cr_assert_eq(r->slow_cnt, (uint32_t)round);
        cr_assert_eq(r->slow_end_cnt, (uint32_t)round);
        cr_assert_eq(p->pipe.slow_cnt, (uint64_t)round);
    }
    cr_assert_eq(r->stats.slow_enters, 3);
    cr_assert_eq(r->stats.slow_leaves, 3);
    rig_free(r);
}

Test(psock, slowness_ends_with_the_connection_and_is_counted_per_connection)
{
    struct rig *r = rig_of(MCQ_PUSH, MCQ_SLOW_DROP_NEW);
    struct rig_peer *p = rig_peer_new(r, true, 2);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(rig_send(r, NULL, "x"), MCQ_OK);
    cr_assert_eq(r->slow_cnt, 0, "there is no peer that could be slow");
    cr_assert_eq(r->stats.drops_hwm, 3);
    for (uint32_t i = 1; i < 4; i++) {
        cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
        cr_assert_eq(p->pipe.dropped, 0);
        cr_assert_eq(p->pipe.slow_cnt, 0);
        cr_assert_eq(rig_send(r, NULL, "x"), MCQ_OK);
        cr_assert_eq(p->pipe.dropped, 1);
        cr_assert_eq(p->pipe.slow_cnt, 1);
        cr_assert_eq(r->slow_cnt, i);
        rig_detach(p);
        cr_assert_eq(r->slow_end_cnt, i);
        cr_assert_not(p->pipe.slow);
    }
    rig_free(r);
}

/* --- what is in flight ----------------------------------------------------------------------- */

static void expect_text(struct rig_peer *p, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    const char *got = rig_got(p);
    cr_assert_not_null(got);
    cr_assert_str_eq(got, text);
}

/* The kernel has taken nothing yet of what it was given: whatever the mark, at least half of it is
 * for what comes now. */
Test(psock, drop_old_has_no_full_queue_in_flight)
{
    static const uint32_t marks[] = {2, 3, 4, 7, 100, 1000};
    for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++) {
        struct rig *r = rig_of(MCQ_PUSH, MCQ_SLOW_DROP_OLD);
        struct rig_peer *p = peer_up(r, marks[k]);
        struct mcq_slice out[64];
        uint32_t cnt;
        int hwm = (int)marks[k], all = 3 * hwm;
        for (int i = 0; i < hwm; i++)
            cr_assert_eq(say(p, &ways[0], i), MCQ_OK);
        size_t len = mcq_pipe_gather(&p->pipe, out, 64, 1u << 20, &cnt);
        for (int i = hwm; i < all; i++) {
            cr_assert_eq(say(p, &ways[0], i), MCQ_OK);
            cr_assert_eq(mcq_pipe_queued_msgs(&p->pipe), marks[k]);
        }
        cr_assert_eq(r->stats.drops_hwm, 0, "the newest always found room");
        cr_assert_eq(r->stats.drops_old, 2 * marks[k]);
        mcq_pipe_rewind(&p->pipe);
        int in_flight = 0;
        for (size_t i = 0; i < cnt; i++)
            len -= out[i].len;
        cr_assert_eq(len, 0);
        const char *got;
        int last = -1;
        while ((got = rig_got(p)) != NULL) {
            int number = atoi(got);
            if (number != last + 1 && in_flight == 0) {
                in_flight = last + 1;
                cr_assert_eq(number, all - (hwm - in_flight), "the oldest went first");
            } else {
                cr_assert_eq(number, last + 1);
            }
            last = number;
        }
        cr_assert_eq(last, all - 1);
        cr_assert(in_flight >= 1 && in_flight <= hwm / 2 + 1);
        rig_free(r);
    }
}

/* A message in flight stays, one that waits gives way, and what was cut is sent again whole. */
Test(psock, conflate_never_touches_what_is_under_way)
{
    struct rig *r = rig_of(MCQ_PUSH, MCQ_SLOW_CONFLATE);
    struct rig_peer *p = rig_peer_new(r, true, HWM);
    struct mcq_slice out[4];
    uint32_t cnt;
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "100"), MCQ_OK);
    size_t len = mcq_pipe_gather(&p->pipe, out, 4, 1000, &cnt);
    cr_assert_eq(len, 5);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(rig_send(r, NULL, "lost"), MCQ_OK);
    mcq_pipe_sent(&p->pipe, 2);
    cr_assert_eq(rig_send(r, NULL, "7"), MCQ_OK);
    cr_assert_eq(r->stats.conflated, 3);
    rig_detach(p);
    cr_assert(mcq_pipe_rewind(&p->pipe));
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    expect_text(p, 100);
    expect_text(p, 7);
    cr_assert_null(rig_got(p));
    rig_free(r);
}

/* Values that nobody reads don't eat their way through blocks. */
Test(psock, conflate_writes_to_the_same_place)
{
    struct rig *r = rig_of(MCQ_PUSH, MCQ_SLOW_CONFLATE);
    struct rig_peer *p = peer_up(r, HWM);
    struct mcq_slice out[4];
    uint32_t cnt;
    cr_assert_eq(rig_send(r, NULL, "0"), MCQ_OK);
    size_t len = mcq_pipe_gather(&p->pipe, out, 4, 1000, &cnt);
    cr_assert_eq(rig_send(r, NULL, "1"), MCQ_OK);
    const uint8_t *at = p->pipe.open;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(rig_send(r, NULL, "2"), MCQ_OK);
        cr_assert_eq(p->pipe.open, at);
    }
    mcq_pipe_sent(&p->pipe, len);
    expect_text(p, 2);
    cr_assert_null(rig_got(p));
    rig_free(r);
}

Test(psock, what_is_larger_than_the_room_is_dropped_itself)
{
    static char big[5000];
    struct rig *r = rig_of(MCQ_PUSH, MCQ_SLOW_DROP_OLD);
    struct rig_peer *p = peer_up(r, 100);
    struct mcq_msg m = mcq_msg_of(big, sizeof big);
    struct mcq_slice out[4];
    uint32_t cnt;
    p->pipe.hwm_bytes = 5001;
    cr_assert_eq(rig_send(r, NULL, "0"), MCQ_OK);
    mcq_pipe_gather(&p->pipe, out, 4, 1000, &cnt);
    cr_assert_eq(rig_send(r, NULL, "1"), MCQ_OK);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    cr_assert_eq(r->stats.drops_hwm, 1);
    cr_assert_eq(r->stats.drops_old, 0, "nothing went for nothing");
    mcq_pipe_rewind(&p->pipe);
    expect_text(p, 0);
    expect_text(p, 1);
    cr_assert_null(rig_got(p));
    /* With nothing in flight it is larger than the mark, and has the queue to itself. */
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_OK);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    cr_assert_eq(r->stats.drops_old, 1);
    cr_assert_eq(mcq_pipe_queued_bytes(&p->pipe), sizeof big + MCQ_FRAME_HEAD_MAX);
    rig_free(r);
}

/* --- when memory is short -------------------------------------------------------------------- */

static size_t hoard_all(struct rig *r, struct mcq_buf **held)
{
    size_t cnt = 0;
    while ((held[cnt] = mcq_buf_take(r->heap, 1000)) != NULL)
        cnt++;
    while ((held[cnt] = mcq_buf_take(r->heap, MCQ_BUF_RX_LEN)) != NULL)
        cnt++;
    return cnt;
}

/* Nobody is slow because there is no memory, and nobody is disconnected for it. */
Test(psock, shortage_of_memory_is_no_slowness)
{
    for (int slow = MCQ_SLOW_BLOCK; slow <= MCQ_SLOW_DISCONNECT; slow++) {
        static struct mcq_buf *held[4096];
        struct rig *r = rig_of(MCQ_PUSH, (enum mcq_slow)slow);
        struct rig_peer *p = peer_up(r, HWM);
        size_t cnt = hoard_all(r, held);
        cr_assert_eq(rig_send(r, NULL, "x"), slow == MCQ_SLOW_BLOCK ? MCQ_EAGAIN : MCQ_OK);
        cr_assert_eq(r->stats.drops_hwm, slow == MCQ_SLOW_BLOCK ? 0 : 1);
        cr_assert_eq(r->slow_cnt, 0);
        cr_assert_eq(r->closed[MCQ_REASON_SLOW], 0);
        while (cnt != 0)
            mcq_buf_unref(r->heap, held[--cnt]);
        cr_assert_eq(rig_send(r, NULL, "y"), MCQ_OK);
        cr_assert_str_eq(rig_got(p), "y");
        rig_free(r);
    }
}

/* A queue without a mark that holds as much as it may gives its oldest for what is new. */
Test(psock, drop_old_gives_memory_back)
{
    static char body[1000];
    struct rig *r = rig_of(MCQ_PUSH, MCQ_SLOW_DROP_OLD);
    struct rig_peer *p = peer_up(r, MCQ_UNLIMITED);
    struct mcq_msg m = mcq_msg_of(body, sizeof body);
    uint64_t sent = 0;
    while (r->stats.drops_old == 0 && sent < 100000) {
        cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
        sent++;
    }
    cr_assert_lt(sent, 100000);
    cr_assert_eq(rig_send(r, NULL, "newest"), MCQ_OK);
    cr_assert_eq(r->stats.drops_hwm, 0);
    cr_assert_eq(mcq_pipe_queued_msgs(&p->pipe) + r->stats.drops_old, sent + 1);
    rig_free(r);
}

/* --- memory of the user's -------------------------------------------------------------------- */

struct again {
    struct rig *r;
    uint32_t left;
};

static void send_in_free(void *data, size_t len, void *hint)
{
    struct again *a = hint;
    (void)data;
    (void)len;
    if (a->left == 0)
        return;
    a->left--;
    cr_assert_eq(rig_send(a->r, NULL, "from free"), MCQ_OK);
}

/* What is dropped belongs to the user, who sends when he gets it back: on this very queue. */
Test(psock, dropping_may_run_the_users_code_which_sends)
{
    for (int slow = MCQ_SLOW_DROP_OLD; slow <= MCQ_SLOW_CONFLATE; slow++) {
        static char body[20000];
        struct rig *r = rig_of(MCQ_PUSH, (enum mcq_slow)slow);
        struct rig_peer *p = peer_up(r, 2);
        struct again again = {r, 5};
        for (int i = 0; i < 20; i++) {
            struct mcq_msg m;
            cr_assert_eq(mcq_buf_msg_external(r->heap, body, sizeof body, send_in_free, &again, &m),
                         MCQ_OK);
            cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
            mcq_buf_msg_drop(r->heap, &m);
            cr_assert_leq(mcq_pipe_queued_msgs(&p->pipe), 2);
        }
        again.left = 0;
        uint64_t gone = r->stats.drops_old + r->stats.conflated + r->stats.drops_hwm;
        cr_assert_eq(gone + mcq_pipe_queued_msgs(&p->pipe), 25);
        cr_assert_eq(gone, p->pipe.dropped);
        rig_free(r);
    }
}
