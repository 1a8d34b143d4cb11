#include <criterion/criterion.h>

#include "patterns/tables.h"
#include "rig.h"

Test(pull, delivers_in_one_call_per_batch_and_stops_where_the_user_stops)
{
    struct rig *r = rig_new(MCQ_PULL, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    p->user_paused = true;
    rig_input(p, "1");
    rig_input(p, "2|more");
    rig_input(p, "3");
    p->user_paused = false;
    r->refuse_from = 2;
    cr_assert_eq(rig_offer(p), 2);
    cr_assert_eq(r->deliver_calls, 1);
    cr_assert_str_eq(r->last, "2|more");
    cr_assert_eq(rig_offer(p), 1);
    cr_assert_str_eq(r->last, "3");
    rig_free(r);
}

Test(pull, does_not_send)
{
    struct rig *r = rig_new(MCQ_PULL, NULL);
    struct rig_peer *p = rig_peer_up(r, NULL);
    cr_assert_eq(rig_send(r, NULL, "x"), MCQ_ENOTSUP);
    cr_assert_eq(rig_send(r, p, "x"), MCQ_ENOTSUP);
    rig_free(r);
}

/* RFC 28-31: who may meet whom, seen from both sides. */
Test(pull, type_matrix_is_symmetric_and_as_the_rfcs_have_it)
{
    static const char pairs[][2] = {
        {MCQ_PAIR, MCQ_PAIR},     {MCQ_PUB, MCQ_SUB},       {MCQ_REQ, MCQ_REP},
        {MCQ_REQ, MCQ_ROUTER},    {MCQ_DEALER, MCQ_REP},    {MCQ_DEALER, MCQ_DEALER},
        {MCQ_DEALER, MCQ_ROUTER}, {MCQ_ROUTER, MCQ_ROUTER}, {MCQ_PUSH, MCQ_PULL},
        {MCQ_PUB, MCQ_XSUB},      {MCQ_XPUB, MCQ_SUB},      {MCQ_XPUB, MCQ_XSUB},
    };
    for (int a = MCQ_PAIR; a <= MCQ_XSUB; a++)
        for (int b = MCQ_PAIR; b <= MCQ_XSUB; b++) {
            bool legal = false;
            for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
                legal = legal || (pairs[i][0] == a && pairs[i][1] == b) ||
                        (pairs[i][0] == b && pairs[i][1] == a);
            const struct mcq_pattern *t = mcq_pattern_of((enum mcq_sock_type)a);
            cr_assert_eq(t->type, a);
            cr_assert_eq((t->peer_mask >> b & 1) != 0, legal, "%d meets %d", a, b);
        }
    cr_assert_null(mcq_pattern_of((enum mcq_sock_type)0));
    cr_assert_null(mcq_pattern_of((enum mcq_sock_type)99));
    cr_assert_null(mcq_pattern_of((enum mcq_sock_type) - 1));
}
