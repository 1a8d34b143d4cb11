/* PUB (RFC 29): every message to every peer with a matching subscription, once, and never waiting:
 * a subscriber without room misses it, counted and told. What subscribers send besides
 * subscriptions is dropped. */
#include "patterns/psock.h"
#include "patterns/tables.h"

static enum mcq_reason pub_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    p->fanout_seq = 0;
    return mcq_psock_attach(s, p);
}

static void pub_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_detach(s, p);
    mcq_fanout_forget(s, p);
}

static void pub_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    pub_detach(s, p);
    mcq_psock_remove(s, p);
}

static enum mcq_error pub_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    if (to != NULL)
        return MCQ_ENOTSUP;
    mcq_fanout_publish(s, m);
    return MCQ_OK;
}

const struct mcq_pattern mcq_pattern_pub = {
    .type = MCQ_PUB,
    .peer_mask = MCQ_PEER(MCQ_SUB) | MCQ_PEER(MCQ_XSUB),
    .open = mcq_fanout_init,
    .add = mcq_psock_add,
    .attach = pub_attach,
    .detach = pub_detach,
    .remove = pub_remove,
    .receive = mcq_psock_discard,
    .send = pub_send,
    .writable = mcq_psock_writable,
    .subscribed = mcq_fanout_change,
};
