/* PULL (RFC 30): what comes is delivered as it is, from all peers alike. */
#include "patterns/psock.h"
#include "patterns/tables.h"

const struct mcq_pattern mcq_pattern_pull = {
    .type = MCQ_PULL,
    .peer_mask = MCQ_PEER(MCQ_PUSH),
    .add = mcq_psock_add,
    .attach = mcq_psock_attach,
    .detach = mcq_psock_detach,
    .remove = mcq_psock_remove,
    .receive = mcq_psock_deliver,
    .send = mcq_psock_send_refused,
    .writable = mcq_psock_writable,
};
