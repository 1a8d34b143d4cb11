/* The names of the socket types, as READY's Socket-Type spells them (RFC 37); declared in zmtp.h.
 */
#include "proto/zmtp.h"

static const char *const type_names[MCQ_ZMTP_TYPE_CNT] = {
    [0] = "",
    [MCQ_PAIR] = "PAIR",
    [MCQ_PUB] = "PUB",
    [MCQ_SUB] = "SUB",
    [MCQ_REQ] = "REQ",
    [MCQ_REP] = "REP",
    [MCQ_DEALER] = "DEALER",
    [MCQ_ROUTER] = "ROUTER",
    [MCQ_PULL] = "PULL",
    [MCQ_PUSH] = "PUSH",
    [MCQ_XPUB] = "XPUB",
    [MCQ_XSUB] = "XSUB",
};

const char *mcq_zmtp_type_name(enum mcq_sock_type type)
{
    MCQ_ASSERT((size_t)type < MCQ_ZMTP_TYPE_CNT);
    return type_names[type];
}

enum mcq_sock_type mcq_zmtp_type_of(struct mcq_slice name)
{
    for (size_t i = MCQ_PAIR; i < MCQ_ZMTP_TYPE_CNT; i++)
        if (mcq_slice_equal(name, mcq_slice_of_text(type_names[i])))
            return (enum mcq_sock_type)i;
    return (enum mcq_sock_type)0;
}
