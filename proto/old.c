#include "proto/old.h"

/* Of an identity's frame: none, or all that 1.0 reserves, as libzmq 2.1 sends them. */
#define FLAGS_RESERVED_2_1 0x7eu

_Static_assert(MCQ_PAIR == 1 && MCQ_XSUB == 11, "numbers of socket types are RFC 15's and one");

enum mcq_fault mcq_old_head_read(uint8_t major, struct mcq_slice s, struct mcq_frame_head *head)
{
    if (major == MCQ_OLD_1)
        return mcq_frame_v1_head_read(s, head);
    if (s.len > 0 && (s.ptr[0] & MCQ_FRAME_COMMAND) != 0)
        return MCQ_FAULT_RESERVED;
    return mcq_frame_head_read(s, head);
}

/* Text protocols, TLS and zeros come this way, too. */
static enum mcq_fault check_first(uint8_t flags)
{
    uint8_t reserved = flags & (uint8_t)~MCQ_FRAME_MORE;
    return reserved == 0 || reserved == FLAGS_RESERVED_2_1 ? MCQ_FAULT_NONE : MCQ_FAULT_SIGNATURE;
}

enum mcq_fault mcq_old_identity_read(uint8_t major, bool first, struct mcq_slice s,
                                     struct mcq_frame_head *head)
{
    enum mcq_fault fault = mcq_old_head_read(major, s, head);
    if (first && fault == MCQ_FAULT_LENGTH_ZERO)
        return MCQ_FAULT_SIGNATURE;
    if (fault == MCQ_FAULT_NONE && head->need == 0 && first)
        fault = check_first(s.ptr[head->len - 1]);
    if (fault != MCQ_FAULT_NONE || head->need != 0)
        return fault;
    if ((head->flags & MCQ_FRAME_MORE) != 0)
        return MCQ_FAULT_IDENTITY_MORE;
    return head->body_len <= MCQ_IDENTITY_LEN_MAX ? MCQ_FAULT_NONE : MCQ_FAULT_IDENTITY_LEN;
}

bool mcq_old_identity_put(uint8_t major, bool first, struct mcq_writer *w,
                          struct mcq_slice identity)
{
    if (first)
        return mcq_writer_put(w, identity);
    size_t head_len =
        major == MCQ_OLD_1 ? mcq_frame_v1_head_len(identity.len) : mcq_frame_head_len(identity.len);
    if (mcq_writer_room(w) < head_len + identity.len)
        return false;
    bool ok = major == MCQ_OLD_1 ? mcq_frame_v1_head_write(w, false, identity.len)
                                 : mcq_frame_head_write(w, 0, identity.len);
    return ok && mcq_writer_put(w, identity);
}

enum mcq_sock_type mcq_old_type_of(uint8_t number)
{
    return number < MCQ_XSUB ? (enum mcq_sock_type)(number + 1) : (enum mcq_sock_type)0;
}

uint8_t mcq_old_type_number(enum mcq_sock_type type)
{
    return (uint8_t)(type - 1);
}
