/* PAIR (RFC 31): one peer; another one is refused while it is there. Messages may be queued on a
 * connect-side pipe before its peer comes; with several of them, on the first. */
#include "patterns/psock.h"
#include "patterns/tables.h"

static enum mcq_reason pair_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (s->peers_up != 0)
        return mcq_psock_refuse(s, MCQ_REASON_LIMIT);
    return mcq_balance_attach(s, p);
}

static enum mcq_error pair_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    if (to != NULL)
        return mcq_psock_put_to(s, to, m);
    return mcq_balance_put(s, MCQ_PSOCK_NO_PREFIX, m, &to);
}

static void pair_chosen(struct mcq_psock *s, struct mcq_pipe *p)
{
    (void)s;
    (void)p;
}

const struct mcq_pattern mcq_pattern_pair = {
    .type = MCQ_PAIR,
    .peer_mask = MCQ_PEER(MCQ_PAIR),
    .add = mcq_balance_add,
    .attach = pair_attach,
    .detach = mcq_balance_detach,
    .remove = mcq_balance_remove,
    .retire = mcq_balance_retire,
    .receive = mcq_psock_deliver,
    .send = pair_send,
    .pick = mcq_balance_pick_slot,
    .chosen = pair_chosen,
    .writable = mcq_balance_writable,
};
