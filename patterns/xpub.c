/* XPUB (RFC 29): a PUB that tells its user which topics are wanted, and delivers what subscribers
 * send besides subscriptions.
 *
 * Unlike libzmq's: a CANCEL of what the peer isn't subscribed to is not told, but to a manual one
 * (libzmq tells it as the topic's end, whoever else is subscribed). A message of several frames is
 * a message, whatever its frames begin with (libzmq looks for subscriptions in each). */
#include "patterns/psock.h"
#include "patterns/tables.h"

const struct mcq_pattern mcq_pattern_xpub = {
    .type = MCQ_XPUB,
    .peer_mask = MCQ_PEER(MCQ_SUB) | MCQ_PEER(MCQ_XSUB),
    .open = mcq_fanout_open,
    .close = mcq_fanout_close,
    .add = mcq_psock_add,
    .attach = mcq_fanout_attach,
    .detach = mcq_fanout_detach,
    .remove = mcq_fanout_remove,
    .retire = mcq_fanout_retire,
    .receive = mcq_psock_deliver,
    .send = mcq_fanout_send,
    .writable = mcq_psock_writable,
    .subscribed = mcq_fanout_change,
    .subscribe_peer = mcq_fanout_change_for,
    .sweep = mcq_fanout_sweep,
    .tied = mcq_fanout_tied,
    .inherit = mcq_fanout_inherit,
};
