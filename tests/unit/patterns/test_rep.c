#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static bool echo(struct rig_peer *from, struct mcq_msg *m)
{
    (void)m;
    char text[RIG_TEXT_LEN + 4];
    snprintf(text, sizeof text, "re:%s", from->rig->last);
    cr_assert_eq(rig_send(from->rig, NULL, text), MCQ_OK);
    return true;
}

Test(rep, restores_the_envelope_of_any_number_of_hops)
{
    static const char *const cases[][2] = {
        {"|hi", "|re:hi"},     {"hop1|hop2||hi|there", "hop1|hop2||re:hi|there"},
        {"||", "|re:|"},       /* the first empty frame is the delimiter */
        {"a|||b", "a||re:|b"}, /* an empty first frame of the body stays in the body */
        {"|", "|re:"},
    };
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->handler = echo;
    for (size_t i = 0; i < 5; i++) {
        rig_input(p, cases[i][0]);
        cr_assert_str_eq(rig_got(p), cases[i][1]);
    }
    cr_assert_eq(rig_send(r, NULL, "unasked"), MCQ_ESTATE);
    cr_assert_eq(rig_send(r, p, "unasked"), MCQ_ENOTSUP);
    rig_free(r);
}

Test(rep, a_request_without_delimiter_or_body_is_dropped)
{
    static const char *const bad[] = {"x", "x|y", "", "x|", "a|b|c|"};
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->handler = echo;
    for (size_t i = 0; i < 5; i++) {
        rig_input(p, bad[i]);
        cr_assert_eq(r->stats.drops_pattern, i + 1);
        cr_assert_null(rig_got(p));
    }
    cr_assert_eq(r->dropped[MCQ_REASON_PATTERN], 5);
    rig_input(p, "|good");
    cr_assert_str_eq(rig_got(p), "|re:good");
    rig_free(r);
}

Test(rep, the_envelope_has_a_limit)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    static char text[RIG_TEXT_LEN];
    r->handler = echo;
    /* Two frames: a long header of 9 bytes, a delimiter of 2. */
    for (size_t len = MCQ_ENVELOPE_LEN_MAX - 12; len <= MCQ_ENVELOPE_LEN_MAX + 600; len++) {
        bool fits = len <= MCQ_ENVELOPE_LEN_MAX - 11;
        memset(text, 'h', len);
        strcpy(text + len, "||b");
        uint64_t drops = r->stats.drops_pattern;
        rig_input(p, text);
        cr_assert_eq(rig_got(p) != NULL, fits);
        cr_assert_eq(r->stats.drops_pattern, drops + (fits ? 0 : 1));
    }
    rig_free(r);
}

/* Many small frames, each of which fits. */
Test(rep, the_envelope_is_limited_as_a_sum)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    char text[RIG_TEXT_LEN] = "";
    for (int i = 0; i < 6; i++) {
        memset(text + strlen(text), 'a' + i, 200);
        strcat(text, "|");
    }
    strcat(text, "|body");
    rig_input(p, text);
    cr_assert_eq(r->stats.drops_pattern, 1);
    rig_input(p, strchr(text, 'c')); /* 4 of them: 810 bytes */
    cr_assert_eq(r->delivered, 1);
    cr_assert_str_eq(r->last, "body");
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
    rig_free(r);
}

Test(rep, other_input_waits_for_the_reply_and_is_served_in_turn)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL), *b = rig_peer_up(r, NULL), *c = rig_peer_up(r, NULL);
    rig_input(a, "|a1");
    rig_input(b, "|b1");
    rig_input(c, "|c1");
    rig_input(a, "|a2");
    cr_assert_eq(r->delivered, 1);
    static const char *const order[] = {"a1", "b1", "c1", "a2"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_str_eq(r->last, order[i]);
        cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
        rig_turn(r);
    }
    cr_assert_eq(rig_drain(a), 2);
    cr_assert_eq(rig_drain(b), 1);
    cr_assert_eq(rig_drain(c), 1);
    rig_free(r);
}

/* One peer is always first with new input; it may not starve another that waits. */
Test(rep, who_comes_first_in_every_turn_starves_nobody)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *eager = rig_peer_up(r, NULL), *patient = rig_peer_up(r, NULL);
    rig_input(eager, "|e");
    rig_input(patient, "|p");
    for (int i = 0; i < 10 && strcmp(r->last, "p") != 0; i++) {
        cr_assert_lt(i, 2);
        cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
        rig_input(eager, "|e"); /* before the one that was called */
        rig_turn(r);
    }
    cr_assert_str_eq(r->last, "p");
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
    rig_free(r);
}

Test(rep, answers_inside_the_handler_go_on_in_the_same_batch)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->handler = echo;
    p->user_paused = true;
    for (int i = 0; i < 100; i++)
        rig_input(p, "|x");
    p->user_paused = false;
    cr_assert_eq(rig_offer(p), 100);
    cr_assert_eq(rig_drain(p), 100);
    cr_assert_eq(r->resume_cnt, 0);
    rig_free(r);
}

/* A batch of one peer gives way to another that waits. */
Test(rep, a_long_batch_yields_to_who_waits)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL), *b = rig_peer_up(r, NULL);
    for (int i = 0; i < 5; i++)
        rig_input(a, "|a");
    rig_input(b, "|b");
    r->handler = echo;
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK); /* to a; its next is first in line */
    rig_offer(a);
    cr_assert_eq(a->deliveries, 2, "one, then it is the other's turn");
    cr_assert_eq(b->deliveries, 0);
    rig_turn(r);
    cr_assert_eq(b->deliveries, 1);
    cr_assert_eq(a->deliveries, 5);
    rig_free(r);
}

Test(rep, a_reply_never_reaches_a_later_connection_of_the_same_pipe)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    rig_input(p, "|q");
    rig_detach(p);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "stale"), MCQ_OK);
    cr_assert_null(rig_got(p));
    cr_assert_eq(r->stats.drops_no_peer, 1);
    cr_assert_eq(r->dropped[MCQ_REASON_NO_PEER], 1);
    rig_input(p, "|q2");
    cr_assert_eq(rig_send(r, NULL, "fresh"), MCQ_OK);
    cr_assert_str_eq(rig_got(p), "|fresh");
    rig_free(r);
}

Test(rep, a_requester_may_vanish_at_any_time)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *asker = rig_peer_up(r, NULL), *next = rig_peer_up(r, NULL),
                    *last = rig_peer_up(r, NULL);
    rig_input(asker, "|q");
    rig_input(next, "|n");
    rig_input(last, "|l");
    rig_peer_free(asker);
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
    cr_assert_eq(r->stats.drops_no_peer, 1);
    rig_peer_free(next); /* called, and gone before it came */
    rig_turn(r);
    cr_assert_str_eq(r->last, "l");
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
    cr_assert_str_eq(rig_got(last), "|r");
    rig_free(r);
}

Test(rep, one_that_its_user_paused_holds_up_nobody)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL), *b = rig_peer_up(r, NULL), *c = rig_peer_up(r, NULL);
    rig_input(a, "|a");
    rig_input(b, "|b");
    rig_input(c, "|c");
    b->user_paused = true;
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
    rig_turn(r);
    cr_assert_str_eq(r->last, "c");
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
    b->user_paused = false;
    rig_offer(b);
    cr_assert_str_eq(r->last, "b");
    rig_free(r);
}

static bool refuse(struct rig_peer *from, struct mcq_msg *m)
{
    (void)from;
    (void)m;
    return false;
}

Test(rep, a_request_the_user_refuses_is_not_pending)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL), *b = rig_peer_up(r, NULL);
    r->handler = refuse;
    rig_input(a, "|a");
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_ESTATE);
    r->handler = echo;
    rig_input(b, "|b");
    cr_assert_str_eq(rig_got(b), "|re:b");
    cr_assert_eq(rig_offer(a), 1);
    cr_assert_str_eq(rig_got(a), "|re:a");
    rig_free(r);
}

/* b's request is called for, and refused by the user: c may not have to wait for b. */
Test(rep, a_request_the_user_refuses_passes_the_turn_on)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL), *b = rig_peer_up(r, NULL), *c = rig_peer_up(r, NULL);
    rig_input(a, "|a");
    rig_input(b, "|b");
    rig_input(c, "|c");
    cr_assert_eq(rig_send(r, NULL, "r"), MCQ_OK);
    cr_assert(b->resumed);
    r->handler = refuse;
    cr_assert_eq(rig_offer(b), 0);
    r->handler = NULL;
    cr_assert(c->resumed);
    rig_turn(r);
    cr_assert_str_eq(r->last, "c");
    rig_free(r);
}

static bool answer_and_refuse(struct rig_peer *from, struct mcq_msg *m)
{
    return !echo(from, m);
}

Test(rep, an_answered_request_is_taken_whatever_the_handler_says)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->handler = answer_and_refuse;
    rig_input(p, "|q");
    cr_assert_eq(p->in_cnt, 0);
    cr_assert_str_eq(rig_got(p), "|re:q");
    rig_free(r);
}

Test(rep, a_reply_without_room_is_dropped_and_told)
{
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p = rig_peer_new(r, false, 1);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    r->handler = echo;
    rig_input(p, "|1");
    rig_input(p, "|2");
    cr_assert_eq(r->stats.drops_hwm, 1);
    cr_assert_eq(r->dropped[MCQ_REASON_HWM], 1);
    cr_assert_eq(r->stats.again, 0);
    cr_assert_str_eq(rig_got(p), "|re:1");
    cr_assert_null(rig_got(p));
    rig_free(r);
}

/* Handlers answer now or later, peers come and go: every request of a connection that lives is
 * answered once, in its order. */
static uint64_t rep_seed;

static bool answer_sometimes(struct rig_peer *from, struct mcq_msg *m)
{
    (void)m;
    if (rig_random(&rep_seed) % 2 == 0)
        cr_assert_eq(rig_send(from->rig, NULL, from->rig->last), MCQ_OK);
    return true;
}

Test(rep, random_traffic_is_answered_in_order)
{
    enum { PEERS = 6 };
    struct rig *r = rig_new(MCQ_REP, NULL);
    struct rig_peer *p[PEERS];
    unsigned asked[PEERS] = {0}, answered[PEERS] = {0};
    rep_seed = 99;
    r->handler = answer_sometimes;
    for (int i = 0; i < PEERS; i++)
        p[i] = rig_peer_up(r, NULL);
    for (int step = 0; step < 20000; step++) {
        size_t k = rig_random(&rep_seed) % PEERS;
        char text[64];
        if (asked[k] - answered[k] < 100) {
            snprintf(text, sizeof text, "hop||%u", asked[k]++);
            rig_input(p[k], text);
        }
        if (r->s.rep.busy && rig_random(&rep_seed) % 3 == 0)
            cr_assert_eq(rig_send(r, NULL, r->last), MCQ_OK);
        rig_turn(r);
        const char *got;
        while ((got = rig_got(p[k])) != NULL) {
            snprintf(text, sizeof text, "hop||%u", answered[k]++);
            cr_assert_str_eq(got, text);
        }
    }
    for (int i = 0; i < 100000 && r->s.rep.busy; i++) {
        cr_assert_eq(rig_send(r, NULL, r->last), MCQ_OK);
        rig_turn(r);
    }
    for (int k = 0; k < PEERS; k++) {
        cr_assert_eq(p[k]->in_cnt, 0, "peer %d is stuck", k);
        while (rig_got(p[k]) != NULL)
            answered[k]++;
        cr_assert_eq(answered[k], asked[k]);
    }
    rig_free(r);
}
