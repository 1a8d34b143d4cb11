/* PUSH (RFC 30): each message to the next peer with room, in turn; none is discarded. What was
 * queued to an accepted peer goes with it. */
#include "patterns/psock.h"
#include "patterns/tables.h"

static enum mcq_error push_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    if (to != NULL)
        return mcq_psock_put_to(s, to, m);
    enum mcq_error err = mcq_balance_put(s, MCQ_PSOCK_NO_PREFIX, m, &to);
    if (err == MCQ_OK)
        mcq_balance_advance(&s->balance, to);
    return err;
}

static struct mcq_pipe *push_pick(struct mcq_psock *s, size_t len, enum mcq_error *err)
{
    return mcq_balance_pick(s, &s->balance, len, err);
}

static void push_chosen(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_balance_advance(&s->balance, p);
}

const struct mcq_pattern mcq_pattern_push = {
    .type = MCQ_PUSH,
    .peer_mask = MCQ_PEER(MCQ_PULL),
    .add = mcq_balance_add,
    .attach = mcq_balance_attach,
    .detach = mcq_balance_detach,
    .remove = mcq_balance_remove,
    .receive = mcq_psock_discard,
    .send = push_send,
    .pick = push_pick,
    .chosen = push_chosen,
    .writable = mcq_balance_writable,
};
