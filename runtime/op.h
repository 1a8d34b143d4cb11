/* Operations and completions, as runtime/uring gives them: what an operation was for, whom it
 * belongs to, how it ended. The tag travels through the kernel as user_data.
 *
 *      bits 63..56 kind    55..32 slot (24 bits)    31..0 epoch
 *
 * A tag whose epoch isn't its slot's any more is stale: its resources are settled, then it is
 * dropped and counted.
 */
#ifndef MCQ_RUNTIME_OP_H
#define MCQ_RUNTIME_OP_H

#include "mem/base.h"

enum mcq_op_kind {
    MCQ_OP_NONE = 0,
    MCQ_OP_ACCEPT,
    MCQ_OP_CONNECT,
    MCQ_OP_RECV,      /* multishot or single, into the buffer ring */
    MCQ_OP_RECV_INTO, /* into the caller's block */
    MCQ_OP_SEND,
    MCQ_OP_CANCEL,
    MCQ_OP_WAKE,     /* the eventfd's read */
    MCQ_OP_WAKE_IN,  /* another ring's wake has come */
    MCQ_OP_WAKE_OUT, /* our wake of another ring has failed */
};

#define MCQ_OP_SLOT_MAX 0xffffffu

static inline uint64_t mcq_op_tag(enum mcq_op_kind kind, uint32_t slot, uint32_t epoch)
{
    return (uint64_t)kind << 56 | (uint64_t)slot << 32 | epoch;
}

static inline enum mcq_op_kind mcq_op_kind_of(uint64_t tag)
{
    return (enum mcq_op_kind)(tag >> 56);
}

static inline uint32_t mcq_op_slot_of(uint64_t tag)
{
    return (uint32_t)(tag >> 32) & MCQ_OP_SLOT_MAX;
}

static inline uint32_t mcq_op_epoch_of(uint64_t tag)
{
    return (uint32_t)tag;
}

#define MCQ_DONE_MORE     1u /* the multishot goes on */
#define MCQ_DONE_BUFFER   2u /* bid is valid */
#define MCQ_DONE_BUF_MORE 4u /* incremental: the kernel still owns the rest of bid */
#define MCQ_DONE_NONEMPTY 8u /* the socket has more */

struct mcq_done {
    uint64_t tag;
    int32_t res;    /* bytes, or a new fd, or -errno */
    uint16_t bid;   /* buffer ring id */
    uint16_t flags; /* MCQ_DONE_* */
};

#endif
