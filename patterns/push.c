/* PUSH (RFC 30): each message to the next peer with room, in turn; none is discarded. What was
 * queued to an accepted peer goes with it. */
#include "patterns/psock.h"
#include "patterns/tables.h"

const struct mcq_pattern mcq_pattern_push = {
    .type = MCQ_PUSH,
    .peer_mask = MCQ_PEER(MCQ_PULL),
    .add = mcq_balance_add,
    .attach = mcq_balance_attach,
    .detach = mcq_balance_detach,
    .remove = mcq_balance_remove,
    .retire = mcq_balance_retire,
    .stay = mcq_balance_stay,
    .receive = mcq_psock_discard,
    .send = mcq_balance_send,
    .pick = mcq_balance_pick_slot,
    .chosen = mcq_balance_chosen,
    .writable = mcq_balance_writable,
};
