/* DEALER (RFC 28): each message to the next peer with room, in turn; what comes is delivered as it
 * is, from all peers alike. */
#include "patterns/psock.h"
#include "patterns/tables.h"

const struct mcq_pattern mcq_pattern_dealer = {
    .type = MCQ_DEALER,
    .peer_mask = MCQ_PEER(MCQ_REP) | MCQ_PEER(MCQ_DEALER) | MCQ_PEER(MCQ_ROUTER),
    .add = mcq_balance_add,
    .attach = mcq_balance_attach,
    .detach = mcq_balance_detach,
    .remove = mcq_balance_remove,
    .retire = mcq_balance_retire,
    .stay = mcq_balance_stay,
    .receive = mcq_psock_deliver,
    .send = mcq_balance_send,
    .pick = mcq_balance_pick_slot,
    .chosen = mcq_balance_chosen,
    .writable = mcq_balance_writable,
};
