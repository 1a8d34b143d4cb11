/* XSUB (RFC 29): subscribes as a SUB does, delivers whatever comes, and sends messages upstream, to
 * every publisher.
 *
 * Unlike libzmq's, a subscription is a call, never a message: what would be taken for one by the
 * publisher (a first byte 0 or 1) is refused. Frames behind the first may begin as they like, but
 * libzmq's XPUB looks for subscriptions there too. */
#include "patterns/psock.h"
#include "patterns/publication.h"
#include "patterns/tables.h"

#define SUBSCRIBE_BYTE 1u /* 0: CANCEL */

static bool is_subscription(const struct mcq_msg *m)
{
    const uint8_t *first = m->data;
    return m->len != 0 && first[0] <= SUBSCRIBE_BYTE;
}

static enum mcq_error xsub_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    if (to != NULL)
        return MCQ_ENOTSUP;
    return is_subscription(m) ? MCQ_EINVAL : mcq_publication_to_all(s, m);
}

/* Nobody waits for its room any more. */
static void xsub_retire(struct mcq_psock *s, struct mcq_pipe *p)
{
    (void)p;
    mcq_psock_wake(s);
}

const struct mcq_pattern mcq_pattern_xsub = {
    .type = MCQ_XSUB,
    .peer_mask = MCQ_PEER(MCQ_PUB) | MCQ_PEER(MCQ_XPUB),
    .open = mcq_subs_init,
    .close = mcq_subs_fini,
    .add = mcq_psock_add,
    .attach = mcq_subs_attach,
    .detach = mcq_subs_detach,
    .remove = mcq_subs_remove,
    .receive = mcq_psock_deliver,
    .retire = xsub_retire,
    .send = xsub_send,
    .writable = mcq_psock_writable,
    .subscribe = mcq_subs_change,
    .control = mcq_subs_next,
    .told = mcq_subs_told,
    .wants = mcq_subs_wants,
};
