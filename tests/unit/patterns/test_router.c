#include <criterion/criterion.h>
#include <string.h>

#include "rig.h"

Test(router, routes_by_identity_and_adds_nothing)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    struct rig_peer *a = rig_peer_up(r, "a"), *b = rig_peer_up(r, "b");
    cr_assert_eq(rig_send(r, NULL, "b|x|y"), MCQ_OK);
    cr_assert_str_eq(rig_got(b), "x|y");
    cr_assert_null(rig_got(a));
    cr_assert_eq(rig_send(r, NULL, "a||x"), MCQ_OK);
    cr_assert_str_eq(rig_got(a), "|x");
    cr_assert_eq(rig_send(r, a, "by handle"), MCQ_OK);
    cr_assert_str_eq(rig_got(a), "by handle");
    rig_input(a, "no|identity|frame");
    cr_assert_str_eq(r->last, "no|identity|frame");
    rig_free(r);
}

Test(router, an_identity_alone_is_no_message)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    rig_peer_up(r, "a");
    cr_assert_eq(rig_send(r, NULL, "a"), MCQ_EINVAL);
    cr_assert_eq(rig_send(r, NULL, ""), MCQ_EINVAL);
    rig_free(r);
}

Test(router, a_taken_identity_is_refused_and_the_owner_stays)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    struct rig_peer *a = rig_peer_up(r, "name");
    struct rig_peer *thief = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(thief, "name"), MCQ_REASON_IDENTITY);
    cr_assert_eq(r->stats.peers_refused, 1);
    rig_detach(thief); /* never was up: takes nothing from the owner */
    cr_assert_eq(rig_send(r, NULL, "name|x"), MCQ_OK);
    cr_assert_str_eq(rig_got(a), "x");
    rig_detach(a);
    cr_assert_eq(rig_attach(thief, "name"), MCQ_REASON_NONE);
    cr_assert_eq(rig_attach(a, "name"), MCQ_REASON_IDENTITY);
    cr_assert_eq(rig_send(r, NULL, "name|y"), MCQ_OK);
    cr_assert_str_eq(rig_got(thief), "y");
    rig_free(r);
}

/* The generator starts 2 before its wrap, and one of its names is taken already. */
Test(router, nameless_peers_get_names_of_their_own)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    struct rig_peer *p[5];
    struct rig_peer *squatter = rig_peer_new(r, false, MCQ_UNLIMITED);
    squatter->pipe.identity_len = 5;
    memcpy(squatter->pipe.identity, "\0\0\0\0\0", 5);
    squatter->pipe.peer.bits = 999;
    cr_assert_eq(r->s.pattern->attach(&r->s, &squatter->pipe), MCQ_REASON_NONE);
    for (int i = 0; i < 5; i++) {
        p[i] = rig_peer_up(r, NULL);
        cr_assert_eq(p[i]->pipe.identity_len, 5);
        cr_assert_eq(p[i]->pipe.identity[0], 0);
        struct mcq_frame frames[] = {{p[i]->pipe.identity, 5}, {"x", 1}};
        struct mcq_msg m = mcq_msg_of_frames(frames, 2);
        cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
        cr_assert_str_eq(rig_got(p[i]), "x");
    }
    cr_assert_null(rig_got(squatter));
    rig_free(r);
}

Test(router, what_goes_to_nobody_or_to_a_full_peer_is_dropped_and_told)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    struct rig_peer *full = rig_peer_new(r, false, 1);
    cr_assert_eq(rig_attach(full, "full"), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "nobody|x"), MCQ_OK);
    cr_assert_eq(r->stats.drops_no_peer, 1);
    cr_assert_eq(r->dropped[MCQ_REASON_NO_PEER], 1);
    cr_assert_eq(rig_send(r, NULL, "full|1"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "full|2"), MCQ_OK);
    cr_assert_eq(r->stats.drops_hwm, 1);
    cr_assert_eq(r->dropped[MCQ_REASON_HWM], 1);
    uint32_t told = r->writable_cnt;
    cr_assert_eq(rig_send(r, full, "3"), MCQ_EAGAIN);
    cr_assert_str_eq(rig_got(full), "1");
    cr_assert_eq(r->writable_cnt, told + 1);
    cr_assert_eq(rig_send(r, full, "3"), MCQ_OK);
    cr_assert_str_eq(rig_got(full), "3");
    cr_assert_null(rig_got(full));
    rig_detach(full);
    cr_assert_eq(rig_send(r, NULL, "full|x"), MCQ_OK);
    cr_assert_eq(r->stats.drops_no_peer, 2);
    rig_free(r);
}
