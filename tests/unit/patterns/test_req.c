#include <criterion/criterion.h>
#include <string.h>

#include "rig.h"

static bool idle(const struct rig *r)
{
    return r->s.req.asked == NULL;
}

Test(req, request_and_reply_alternate_over_the_peers_in_turn)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p[2] = {rig_peer_up(r, NULL), rig_peer_up(r, NULL)};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(rig_send(r, NULL, "ask|me"), MCQ_OK);
        cr_assert_eq(rig_send(r, NULL, "again"), MCQ_ESTATE);
        cr_assert_str_eq(rig_got(p[i % 2]), "|ask|me");
        cr_assert_null(rig_got(p[1 - i % 2]));
        rig_input(p[i % 2], "|yes|no");
        cr_assert_str_eq(r->last, "yes|no");
        cr_assert(idle(r));
    }
    cr_assert_eq(r->await_on, 4);
    cr_assert_eq(r->await_off, 4);
    cr_assert_eq(rig_send(r, p[0], "x"), MCQ_ENOTSUP);
    rig_free(r);
}

Test(req, only_the_asked_peer_answers)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL), *b = rig_peer_up(r, NULL);
    rig_input(a, "|unasked");
    cr_assert_eq(r->stats.drops_pattern, 1);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    rig_input(b, "|not you");
    cr_assert_eq(r->stats.drops_pattern, 2);
    cr_assert_eq(r->delivered, 0);
    rig_input(a, "|you");
    rig_input(a, "|twice");
    cr_assert_eq(r->delivered, 1);
    cr_assert_eq(r->stats.drops_pattern, 3);
    cr_assert_eq(r->dropped[MCQ_REASON_PATTERN], 3);
    rig_free(r);
}

Test(req, a_reply_without_delimiter_closes_the_peer)
{
    static const char *const bad[] = {"x", "x|", "x|y|z"};
    for (size_t i = 0; i < 3; i++) {
        struct rig *r = rig_new(MCQ_REQ, NULL);
        struct rig_peer *p = rig_peer_up(r, NULL);
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
        rig_drain(p);
        rig_input(p, bad[i]);
        cr_assert_eq(r->closed[MCQ_REASON_PROTOCOL], 1);
        cr_assert_eq(r->delivered, 0);
        cr_assert_eq(r->stats.drops_pattern, 1);
        rig_detach(p);
        cr_assert(idle(r), "not stuck");
        rig_free(r);
    }
}

Test(req, a_body_may_be_empty)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    cr_assert_eq(rig_send(r, NULL, ""), MCQ_OK);
    cr_assert_str_eq(rig_got(p), "|");
    rig_input(p, "|");
    cr_assert_eq(r->delivered, 1);
    cr_assert_str_eq(r->last, "");
    rig_free(r);
}

static bool ask_again(struct rig_peer *from, struct mcq_msg *m)
{
    (void)m;
    if (from->deliveries < 2)
        cr_assert_eq(rig_send(from->rig, NULL, "next"), MCQ_OK);
    return from->deliveries != 0;
}

/* The first delivery asks again and then refuses: a reply that was answered by a new request is
 * taken, whatever the handler says. */
Test(req, the_handler_may_ask_the_next_question)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->handler = ask_again;
    cr_assert_eq(rig_send(r, NULL, "first"), MCQ_OK);
    rig_input(p, "|1");
    cr_assert_eq(p->in_cnt, 0);
    cr_assert_not(idle(r));
    cr_assert_eq(r->await_on, 2);
    rig_input(p, "|2");
    cr_assert_not(idle(r));
    rig_free(r);
}

static bool refuse(struct rig_peer *from, struct mcq_msg *m)
{
    (void)m;
    (void)from;
    return false;
}

Test(req, a_reply_the_user_refuses_comes_again)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->handler = refuse;
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    rig_drain(p);
    rig_input(p, "|r");
    cr_assert_eq(p->in_cnt, 1);
    cr_assert_eq(rig_send(r, NULL, "q2"), MCQ_ESTATE);
    r->handler = NULL;
    cr_assert_eq(rig_offer(p), 1);
    cr_assert_str_eq(r->last, "r");
    cr_assert(idle(r));
    rig_free(r);
}

Test(req, a_late_reply_is_not_taken_for_the_answer_to_the_next_question)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    cr_assert_eq(rig_send(r, NULL, "price of A"), MCQ_OK);
    rig_drain(p);
    r->s.pattern->timeout(&r->s);
    cr_assert(idle(r));
    cr_assert_eq(rig_send(r, NULL, "price of B"), MCQ_OK);
    rig_input(p, "|A costs 1");
    cr_assert_eq(r->delivered, 0);
    cr_assert_eq(r->stats.drops_pattern, 1);
    rig_input(p, "|B costs 2");
    cr_assert_str_eq(r->last, "B costs 2");
    cr_assert_eq(r->closed[MCQ_REASON_TIMEOUT], 0);
    rig_free(r);
}

/* The peer dropped the first request, so its only reply looks late: the count heals by a new
 * connection, and the next exchange works. */
Test(req, a_second_timeout_in_a_row_closes_the_connection)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
        rig_drain(p);
        r->s.pattern->timeout(&r->s);
    }
    cr_assert_eq(r->closed[MCQ_REASON_TIMEOUT], 1);
    cr_assert_eq(r->closed_pipe, &p->pipe);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_EAGAIN, "not over the connection that is ending");
    rig_detach(p);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    rig_input(p, "|r");
    cr_assert_eq(r->delivered, 1);
    r->s.pattern->timeout(&r->s); /* nothing is due */
    cr_assert(idle(r));
    rig_free(r);
}

/* The same, but the peer answers the second one: dropping that as late must not go on for ever. */
Test(req, a_timeout_after_a_reply_dropped_as_late_closes_the_connection)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
        rig_drain(p);
        if (i == 1)
            rig_input(p, "|r2");
        cr_assert_eq(r->closed[MCQ_REASON_TIMEOUT], 0);
        r->s.pattern->timeout(&r->s);
    }
    cr_assert_eq(r->delivered, 0);
    cr_assert_eq(r->closed[MCQ_REASON_TIMEOUT], 1);
    rig_detach(p);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    rig_drain(p);
    rig_input(p, "|r3");
    cr_assert_str_eq(r->last, "r3");
    rig_free(r);
}

/* Requests given up on while nobody was there still go out first, and are answered first. */
Test(req, requests_given_up_on_in_the_queue_are_accounted_for)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(rig_send(r, NULL, i == 2 ? "live" : "dead"), MCQ_OK);
        if (i != 2)
            r->s.pattern->timeout(&r->s);
    }
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_drain(p), 3);
    rig_input(p, "|r1");
    rig_input(p, "|r2");
    cr_assert_eq(r->delivered, 0);
    rig_input(p, "|r3");
    cr_assert_str_eq(r->last, "r3");
    cr_assert_eq(r->closed[MCQ_REASON_TIMEOUT], 0);
    rig_free(r);
}

Test(req, a_request_that_left_is_lost_with_its_connection)
{
    for (int connecting = 0; connecting < 2; connecting++) {
        struct rig *r = rig_new(MCQ_REQ, NULL);
        struct rig_peer *p = rig_peer_new(r, connecting == 1, MCQ_UNLIMITED);
        cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
        rig_drain(p);
        rig_detach(p);
        cr_assert(idle(r));
        cr_assert_eq(r->dropped[MCQ_REASON_NO_PEER], 1);
        cr_assert_eq(r->stats.drops_no_peer, 1);
        cr_assert_eq(r->await_off, 1);
        rig_free(r);
    }
}

Test(req, a_request_still_in_the_queue_waits_for_the_next_connection)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    rig_detach(p);
    cr_assert_not(idle(r));
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_str_eq(rig_got(p), "|q");
    rig_input(p, "|r");
    cr_assert_eq(r->delivered, 1);
    /* In an accepted peer's queue it dies with the peer. */
    struct rig_peer *guest = rig_peer_up(r, NULL);
    rig_peer_free(p);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    cr_assert_eq(mcq_pipe_queued_msgs(&guest->pipe), 1);
    rig_detach(guest);
    cr_assert(idle(r));
    cr_assert_eq(r->stats.drops_no_peer, 1);
    rig_free(r);
}

/* In flight when the connection ended, and taken by the kernel after all: seen at the next one. */
Test(req, a_request_in_flight_is_decided_at_the_next_connection)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    struct mcq_slice parts[4];
    uint32_t cnt;
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    size_t len = mcq_pipe_gather(&p->pipe, parts, 4, 1000, &cnt);
    rig_detach(p);
    cr_assert_not(idle(r));
    mcq_pipe_sent(&p->pipe, len);
    cr_assert_not(mcq_pipe_rewind(&p->pipe));
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert(idle(r));
    cr_assert_eq(r->stats.drops_no_peer, 1);
    rig_free(r);
}

Test(req, waits_for_a_peer_and_for_room)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_EAGAIN);
    cr_assert(idle(r));
    cr_assert_eq(r->await_on, 0);
    rig_peer_up(r, NULL);
    cr_assert_eq(r->writable_cnt, 1);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    rig_free(r);
}

/* --- probes ---------------------------------------------------------------------------------- */

Test(req, a_probe_is_no_answer_and_does_no_harm)
{
    for (int correlate = 0; correlate < 2; correlate++) {
        struct rig *r = rig_new(MCQ_REQ, NULL);
        struct rig_peer *p = rig_peer_up(r, NULL);
        r->opts.req_correlate = correlate == 1;
        rig_input(p, "");
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
        rig_input(p, "");
        cr_assert_not(idle(r));
        cr_assert_eq(r->stats.drops_pattern, 2);
        cr_assert_eq(r->closed[MCQ_REASON_PROTOCOL], 0);
        rig_free(r);
    }
}

/* Each connection begins with a probe, whatever was queued before; one that was not sent is not
 * doubled, and none of them is taken for a request. */
Test(req, its_own_probes_are_no_requests)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    r->opts.probe = true;
    cr_assert_eq(rig_send(r, NULL, "dead"), MCQ_OK);
    r->s.pattern->timeout(&r->s);
    cr_assert_eq(rig_send(r, NULL, "live"), MCQ_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
        cr_assert_eq(mcq_pipe_queued_msgs(&p->pipe), 3);
        rig_detach(p);
        cr_assert_not(idle(r), "it is still queued");
    }
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_str_eq(rig_got(p), "");
    cr_assert_str_eq(rig_got(p), "|dead");
    cr_assert_str_eq(rig_got(p), "|live");
    rig_input(p, "|late");
    cr_assert_eq(r->delivered, 0);
    rig_input(p, "|due");
    cr_assert_str_eq(r->last, "due");
    rig_detach(p);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "next"), MCQ_OK);
    cr_assert_str_eq(rig_got(p), "");
    rig_detach(p); /* the request has left as well */
    cr_assert(idle(r));
    rig_free(r);
}

/* --- immediate ------------------------------------------------------------------------------- */

Test(req, with_immediate_a_request_dies_with_its_connection)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    r->opts.immediate = true;
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_EAGAIN);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(r->writable_cnt, 1);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    rig_detach(p);
    cr_assert(idle(r));
    cr_assert_eq(r->stats.drops_no_peer, 1);
    cr_assert_eq(rig_send(r, NULL, "q"), MCQ_EAGAIN);
    rig_free(r);
}

/* --- correlated and relaxed ------------------------------------------------------------------ */

/* A request as the wire has it: its number, then "" and the body. Texts can't hold zero bytes, so
 * the number is set to letters that count up: "aaaa", "aaab", ... */
static struct rig *correlated(bool relaxed)
{
    struct rig *r = rig_new(MCQ_REQ, NULL);
    r->opts.req_correlate = true;
    r->opts.req_relaxed = relaxed;
    r->s.req.number = 0x61616160;
    return r;
}

Test(req, correlated_only_the_reply_with_the_number_counts)
{
    static const char *const strays[] = {"aaab||x", "|x", "||x", "bbbb||x", "aaa`||x"};
    struct rig *r = correlated(false);
    struct rig_peer *p = rig_peer_up(r, NULL), *other = rig_peer_up(r, NULL);
    cr_assert_eq(rig_send(r, NULL, "q|r"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "too soon"), MCQ_ESTATE);
    cr_assert_str_eq(rig_got(p), "aaaa||q|r");
    for (size_t i = 0; i < 5; i++) {
        rig_input(p, strays[i]);
        cr_assert_eq(r->stats.drops_pattern, i + 1);
    }
    rig_input(other, "aaaa||not you");
    cr_assert_eq(r->delivered, 0);
    rig_input(p, "aaaa||yes|sir");
    cr_assert_str_eq(r->last, "yes|sir");
    cr_assert(idle(r));
    rig_input(p, "aaaa||twice");
    cr_assert_eq(r->delivered, 1);
    cr_assert_eq(rig_send(r, NULL, "q2"), MCQ_OK);
    cr_assert_str_eq(rig_got(other), "aaab||q2");
    cr_assert_eq(r->closed[MCQ_REASON_PROTOCOL], 0);
    rig_free(r);
}

Test(req, correlated_what_is_no_envelope_ends_the_connection)
{
    static const char *const bad[] = {"x",     "aaaa",     "aaaa|x", "aaaa|x|y",
                                      "aaaa|", "aaaaa||x", "aaa|x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rig *r = correlated(false);
        struct rig_peer *p = rig_peer_up(r, NULL);
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
        rig_drain(p);
        rig_input(p, bad[i]);
        cr_assert_eq(r->closed[MCQ_REASON_PROTOCOL], 1, "%s", bad[i]);
        cr_assert_eq(r->delivered, 0);
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_ESTATE);
        rig_detach(p);
        cr_assert(idle(r));
        rig_free(r);
    }
}

/* However often the peer is late, or silent: no connection has to end for it. */
Test(req, correlated_late_replies_need_no_count)
{
    struct rig *r = correlated(false);
    struct rig_peer *p = rig_peer_up(r, NULL);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
        rig_drain(p);
        r->s.pattern->timeout(&r->s);
        cr_assert(idle(r));
    }
    cr_assert_eq(r->closed[MCQ_REASON_TIMEOUT], 0);
    cr_assert_eq(rig_send(r, NULL, "live"), MCQ_OK); /* number aaaf; aaac was never answered */
    static const char *const late[] = {"aaaa||1", "aaab||2", "aaad||4", "aaae||5"};
    for (int i = 0; i < 4; i++)
        rig_input(p, late[i]);
    cr_assert_eq(r->delivered, 0);
    cr_assert_eq(r->stats.drops_pattern, 4);
    rig_input(p, "aaaf||6");
    cr_assert_str_eq(r->last, "6");
    rig_free(r);
}

Test(req, relaxed_a_new_request_gives_up_the_old_one)
{
    struct rig *r = correlated(true);
    struct rig_peer *a = rig_peer_up(r, NULL), *b = rig_peer_up(r, NULL);
    cr_assert_eq(rig_send(r, NULL, "1"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_OK);
    cr_assert_eq(r->await_on, 2);
    cr_assert_str_eq(rig_got(a), "aaaa||1");
    cr_assert_str_eq(rig_got(b), "aaab||2");
    rig_input(a, "aaaa||late");
    cr_assert_eq(r->delivered, 0);
    rig_detach(a); /* whose request is nobody's any more */
    cr_assert_not(idle(r));
    cr_assert_eq(r->stats.drops_no_peer, 0);
    rig_input(b, "aaab||due");
    cr_assert_str_eq(r->last, "due");
    cr_assert(idle(r));
    rig_free(r);
}

/* A request that finds no room changes nothing: the one before it is still awaited. */
Test(req, relaxed_a_request_without_room_gives_up_nothing)
{
    struct rig *r = correlated(true);
    struct rig_peer *p = rig_peer_new(r, false, 1);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "1"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_EAGAIN);
    cr_assert_str_eq(rig_got(p), "aaaa||1");
    rig_input(p, "aaaa||due");
    cr_assert_str_eq(r->last, "due");
    rig_free(r);
}

/* To the same peer again: what is queued behind what was given up is what is awaited. */
Test(req, relaxed_requests_in_one_queue)
{
    struct rig *r = correlated(true);
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(rig_send(r, NULL, "q"), MCQ_OK);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_drain(p), 3);
    rig_input(p, "aaaa||1");
    rig_input(p, "aaab||2");
    cr_assert_eq(r->delivered, 0);
    rig_input(p, "aaac||3");
    cr_assert_str_eq(r->last, "3");
    rig_free(r);
}

static bool ask_in_handler(struct rig_peer *from, struct mcq_msg *m)
{
    (void)m;
    cr_assert_eq(rig_send(from->rig, NULL, "next"), MCQ_OK);
    return false;
}

/* A refused reply whose request was superseded is not due any more when it comes again. */
Test(req, relaxed_a_refused_reply_may_be_superseded)
{
    struct rig *r = correlated(true);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->handler = refuse;
    cr_assert_eq(rig_send(r, NULL, "1"), MCQ_OK);
    rig_input(p, "aaaa||1");
    cr_assert_eq(p->in_cnt, 1);
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_OK);
    r->handler = NULL;
    cr_assert_eq(rig_offer(p), 1);
    cr_assert_eq(r->delivered, 0);
    r->handler = ask_in_handler;
    rig_input(p, "aaab||2");
    cr_assert_eq(p->in_cnt, 0);
    cr_assert_str_eq(r->last, "2");
    rig_free(r);
}
