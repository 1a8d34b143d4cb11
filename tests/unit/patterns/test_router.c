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

/* --- mandatory ------------------------------------------------------------------------------- */

Test(router, mandatory_tells_who_is_unknown_or_full)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    r->opts.router_mandatory = true;
    r->opts.slow = MCQ_SLOW_BLOCK;
    struct rig_peer *p = rig_peer_new(r, false, 1);
    cr_assert_eq(rig_send(r, NULL, "me|x"), MCQ_ENOENT);
    cr_assert_eq(rig_attach(p, "me"), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "you|x"), MCQ_ENOENT);
    cr_assert_eq(rig_send(r, NULL, "me|1"), MCQ_OK);
    uint32_t told = r->writable_cnt;
    cr_assert_eq(rig_send(r, NULL, "me|2"), MCQ_EAGAIN);
    cr_assert_eq(rig_send(r, NULL, "me|2"), MCQ_EAGAIN);
    cr_assert_str_eq(rig_got(p), "1");
    cr_assert_eq(r->writable_cnt, told + 1);
    cr_assert_eq(rig_send(r, NULL, "me|2"), MCQ_OK);
    rig_detach(p);
    cr_assert_eq(rig_send(r, NULL, "me|3"), MCQ_ENOENT);
    cr_assert_eq(r->stats.drops_no_peer + r->stats.drops_hwm, 0);
    rig_free(r);
}

Test(router, who_waits_for_a_peer_that_goes_is_told)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    r->opts.router_mandatory = true;
    r->opts.slow = MCQ_SLOW_BLOCK;
    struct rig_peer *full = rig_peer_new(r, false, 1);
    struct rig_peer *other = rig_peer_up(r, "other");
    cr_assert_eq(rig_attach(full, "full"), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "full|1"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "full|2"), MCQ_EAGAIN);
    uint32_t told = r->writable_cnt;
    rig_detach(other); /* not the one that is waited for */
    cr_assert_eq(r->writable_cnt, told);
    rig_detach(full);
    cr_assert_eq(r->writable_cnt, told + 1);
    cr_assert_eq(rig_send(r, NULL, "full|2"), MCQ_ENOENT);
    rig_free(r);
}

/* --- identity policy replace ----------------------------------------------------------------- */

static struct rig *replacing(void)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    r->opts.identity_policy = MCQ_IDENTITY_REPLACE;
    return r;
}

Test(router, replace_a_newcomer_has_the_name_at_once)
{
    struct rig *r = replacing();
    struct rig_peer *ghost = rig_peer_up(r, "name"), *heir = rig_peer_new(r, false, MCQ_UNLIMITED);
    cr_assert_eq(rig_send(r, NULL, "name|for the ghost"), MCQ_OK);
    cr_assert_eq(rig_attach(heir, "name"), MCQ_REASON_NONE);
    cr_assert_eq(r->closed[MCQ_REASON_REPLACED], 1);
    cr_assert_eq(r->closed_pipe, &ghost->pipe);
    cr_assert_eq(r->stats.ghosts, 1);
    cr_assert_eq(r->stats.peers_refused, 0);
    cr_assert_eq(rig_send(r, NULL, "name|1"), MCQ_OK);
    cr_assert_eq(mcq_psock_find(&r->s, rig_slice("name")), &heir->pipe);
    rig_detach(ghost); /* late: it takes nothing along that isn't its own */
    cr_assert_eq(rig_send(r, NULL, "name|2"), MCQ_OK);
    cr_assert_eq(mcq_pipe_queued_msgs(&ghost->pipe), 1, "left to be told by whoever ends it");
    rig_peer_free(ghost);
    cr_assert_eq(rig_send(r, NULL, "name|3"), MCQ_OK);
    cr_assert_str_eq(rig_got(heir), "1");
    cr_assert_str_eq(rig_got(heir), "2");
    cr_assert_str_eq(rig_got(heir), "3");
    cr_assert_null(rig_got(heir));
    rig_free(r);
}

/* An heir may go before its ghost has, or be a ghost itself by then. */
Test(router, replace_ghosts_may_pile_up)
{
    struct rig *r = replacing();
    struct rig_peer *p[4];
    for (int i = 0; i < 4; i++) {
        p[i] = rig_peer_new(r, i % 2 == 0, MCQ_UNLIMITED);
        cr_assert_eq(rig_attach(p[i], "name"), MCQ_REASON_NONE);
        cr_assert_eq(mcq_psock_find(&r->s, rig_slice("name")), &p[i]->pipe);
    }
    cr_assert_eq(r->closed[MCQ_REASON_REPLACED], 3);
    rig_detach(p[3]);
    cr_assert_null(mcq_psock_find(&r->s, rig_slice("name")), "nobody inherits backwards");
    rig_detach(p[1]);
    cr_assert_eq(rig_attach(p[1], "name"), MCQ_REASON_NONE);
    cr_assert_eq(r->closed[MCQ_REASON_REPLACED], 3, "all others are ghosts already");
    rig_detach(p[0]);
    rig_detach(p[2]);
    cr_assert_eq(mcq_psock_find(&r->s, rig_slice("name")), &p[1]->pipe);
    rig_free(r);
}

/* Every order of attach, detach and remove: the name is whose connection is the newest, if it is
 * still there, and each connection is ended at most once. */
Test(router, replace_in_any_order)
{
    enum { PEERS = 6, NAMES = 2 };
    static const char *const names[NAMES] = {"a", "b"};
    for (uint64_t run = 1; run <= 10; run++) {
        struct rig *r = replacing();
        struct rig_peer *p[PEERS] = {NULL}, *owner[NAMES] = {NULL};
        uint32_t ghosts = 0;
        uint64_t seed = run * 977;
        for (int step = 0; step < 4000; step++) {
            uint64_t roll = rig_random(&seed);
            size_t i = roll % PEERS, name = roll / 8 % NAMES;
            if (p[i] == NULL) {
                p[i] = rig_peer_new(r, roll / 16 % 2 == 0, MCQ_UNLIMITED);
            } else if (!p[i]->pipe.up) {
                cr_assert_eq(rig_attach(p[i], names[name]), MCQ_REASON_NONE);
                ghosts += owner[name] != NULL ? 1 : 0;
                owner[name] = p[i];
            } else if (roll / 32 % 3 != 0) {
                for (size_t k = 0; k < NAMES; k++)
                    owner[k] = owner[k] == p[i] ? NULL : owner[k];
                if (roll / 128 % 2 == 0) {
                    rig_detach(p[i]);
                } else {
                    rig_peer_free(p[i]);
                    p[i] = NULL;
                }
            }
            cr_assert_eq(r->stats.ghosts, ghosts);
            cr_assert_eq(r->closed[MCQ_REASON_REPLACED], ghosts);
            for (size_t k = 0; k < NAMES; k++)
                cr_assert_eq(mcq_psock_find(&r->s, rig_slice(names[k])),
                             owner[k] != NULL ? &owner[k]->pipe : NULL);
        }
        cr_assert_gt(ghosts, 100);
        rig_free(r);
    }
}

/* --- probes ---------------------------------------------------------------------------------- */

Test(router, probes_go_first_and_once_per_connection)
{
    static const enum mcq_sock_type types[] = {MCQ_ROUTER, MCQ_DEALER};
    for (size_t i = 0; i < 2; i++) {
        struct rig *r = rig_new(types[i], NULL);
        r->opts.probe = true;
        struct rig_peer *p = rig_peer_new(r, true, 2);
        if (types[i] == MCQ_DEALER)
            cr_assert_eq(rig_send(r, NULL, "queued"), MCQ_OK);
        cr_assert_eq(rig_attach(p, "me"), MCQ_REASON_NONE);
        rig_detach(p);
        cr_assert_eq(rig_attach(p, "me"), MCQ_REASON_NONE);
        cr_assert(p->pipe.marked, "it leaves by itself");
        cr_assert_eq(rig_send(r, p, "then"), types[i] == MCQ_DEALER ? MCQ_EAGAIN : MCQ_OK);
        cr_assert_str_eq(rig_got(p), "");
        cr_assert_str_eq(rig_got(p), types[i] == MCQ_DEALER ? "queued" : "then");
        cr_assert_null(rig_got(p));
        rig_detach(p);
        cr_assert_eq(rig_attach(p, "me"), MCQ_REASON_NONE);
        cr_assert_str_eq(rig_got(p), "");
        cr_assert_null(rig_got(p));
        rig_free(r);
    }
}

Test(router, a_probe_that_finds_no_memory_is_told)
{
    static struct mcq_buf *held[4096];
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    size_t cnt = 0;
    r->opts.probe = true;
    while ((held[cnt] = mcq_buf_take(r->heap, 10)) != NULL)
        cnt++;
    struct rig_peer *p = rig_peer_up(r, "me");
    cr_assert_eq(r->stats.drops_hwm, 1);
    cr_assert_eq(r->segs.in_use, 0);
    while (cnt != 0)
        mcq_buf_unref(r->heap, held[--cnt]);
    cr_assert_null(rig_got(p));
    rig_free(r);
}

Test(router, a_probe_is_delivered)
{
    struct rig *r = rig_new(MCQ_ROUTER, NULL);
    struct rig_peer *p = rig_peer_up(r, "me");
    rig_input(p, "");
    cr_assert_eq(r->delivered, 1);
    cr_assert_str_eq(r->last, "");
    cr_assert_eq(r->stats.drops_pattern, 0);
    rig_free(r);
}
