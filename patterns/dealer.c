/* DEALER (RFC 28): each message to the next peer with room, in turn; what comes is delivered as it
 * is, from all peers alike. */
#include "patterns/psock.h"
#include "patterns/tables.h"

static enum mcq_error dealer_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    if (to != NULL)
        return mcq_psock_put_to(s, to, m);
    enum mcq_error err = mcq_balance_put(s, MCQ_PSOCK_NO_PREFIX, m, &to);
    if (err == MCQ_OK)
        mcq_balance_advance(&s->balance, to);
    return err;
}

static struct mcq_pipe *dealer_pick(struct mcq_psock *s, size_t len, enum mcq_error *err)
{
    return mcq_balance_pick(s, &s->balance, len, err);
}

static void dealer_chosen(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_balance_advance(&s->balance, p);
}

const struct mcq_pattern mcq_pattern_dealer = {
    .type = MCQ_DEALER,
    .peer_mask = MCQ_PEER(MCQ_REP) | MCQ_PEER(MCQ_DEALER) | MCQ_PEER(MCQ_ROUTER),
    .add = mcq_balance_add,
    .attach = mcq_balance_attach,
    .detach = mcq_balance_detach,
    .remove = mcq_balance_remove,
    .receive = mcq_psock_deliver,
    .send = dealer_send,
    .pick = dealer_pick,
    .chosen = dealer_chosen,
    .writable = mcq_balance_writable,
};
