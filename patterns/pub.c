/* PUB (RFC 29): every message to every peer with a matching subscription, once. By default it never
 * waits: a subscriber without room misses the message, counted and told; `slow` has other answers.
 * What subscribers send besides subscriptions is dropped. */
#include "patterns/psock.h"
#include "patterns/tables.h"

const struct mcq_pattern mcq_pattern_pub = {
    .type = MCQ_PUB,
    .peer_mask = MCQ_PEER(MCQ_SUB) | MCQ_PEER(MCQ_XSUB),
    .open = mcq_fanout_open,
    .close = mcq_fanout_close,
    .add = mcq_psock_add,
    .attach = mcq_fanout_attach,
    .detach = mcq_fanout_detach,
    .remove = mcq_fanout_remove,
    .retire = mcq_fanout_retire,
    .receive = mcq_psock_discard,
    .send = mcq_fanout_send,
    .writable = mcq_psock_writable,
    .subscribed = mcq_fanout_change,
    .sweep = mcq_fanout_sweep,
    .tied = mcq_fanout_tied,
    .inherit = mcq_fanout_inherit,
};
