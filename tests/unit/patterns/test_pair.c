#include <criterion/criterion.h>

#include "rig.h"

Test(pair, a_second_peer_is_refused_until_the_first_is_gone)
{
    struct rig *r = rig_new(MCQ_PAIR, NULL);
    struct rig_peer *a = rig_peer_up(r, NULL);
    struct rig_peer *b = rig_peer_new(r, false, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(b, NULL), MCQ_REASON_LIMIT);
    cr_assert_eq(r->stats.peers_refused, 1);
    cr_assert_eq(r->s.peers_up, 1);
    cr_assert_eq(rig_send(r, NULL, "for a"), MCQ_OK);
    rig_detach(b); /* refused, so it never was up */
    cr_assert_eq(r->s.peers_up, 1);
    cr_assert_str_eq(rig_got(a), "for a");
    rig_peer_free(a);
    cr_assert_eq(rig_send(r, NULL, "nobody"), MCQ_EAGAIN);
    cr_assert_eq(rig_attach(b, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "for b"), MCQ_OK);
    cr_assert_eq(rig_send(r, b, "for b too"), MCQ_OK);
    cr_assert_str_eq(rig_got(b), "for b");
    cr_assert_str_eq(rig_got(b), "for b too");
    rig_free(r);
}

Test(pair, queues_on_its_connect_side_pipe_and_keeps_the_order_over_a_reconnect)
{
    struct rig *r = rig_new(MCQ_PAIR, NULL);
    struct rig_peer *a = rig_peer_new(r, true, MCQ_UNLIMITED);
    struct rig_peer *b = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_send(r, NULL, "1"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_OK);
    cr_assert_eq(mcq_pipe_queued_msgs(&a->pipe), 2, "one queue, not two");
    cr_assert_eq(rig_attach(a, NULL), MCQ_REASON_NONE);
    rig_detach(a);
    cr_assert_eq(rig_attach(a, NULL), MCQ_REASON_NONE);
    cr_assert_eq(rig_attach(b, NULL), MCQ_REASON_LIMIT);
    cr_assert_eq(rig_send(r, NULL, "3|4"), MCQ_OK);
    cr_assert_str_eq(rig_got(a), "1");
    cr_assert_str_eq(rig_got(a), "2");
    cr_assert_str_eq(rig_got(a), "3|4");
    rig_input(a, "5|6");
    cr_assert_str_eq(r->last, "5|6");
    rig_free(r);
}
