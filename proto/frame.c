#include "proto/frame.h"

static enum mcq_fault check_flags(uint8_t flags)
{
    if ((flags & MCQ_FRAME_RESERVED) != 0)
        return MCQ_FAULT_RESERVED;
    if ((flags & MCQ_FRAME_COMMAND) != 0 && (flags & MCQ_FRAME_MORE) != 0)
        return MCQ_FAULT_COMMAND_MORE;
    return MCQ_FAULT_NONE;
}

enum mcq_fault mcq_frame_head_read(struct mcq_slice s, struct mcq_frame_head *head)
{
    head->need = MCQ_FRAME_HEAD_MIN;
    if (s.len == 0)
        return MCQ_FAULT_NONE;
    head->flags = s.ptr[0];
    enum mcq_fault fault = check_flags(head->flags);
    if (MCQ_UNLIKELY(fault != MCQ_FAULT_NONE))
        return fault;
    head->len = (head->flags & MCQ_FRAME_LONG) == 0 ? MCQ_FRAME_HEAD_MIN : MCQ_FRAME_HEAD_MAX;
    if (s.len < head->len) {
        head->need = (uint8_t)(head->len - s.len);
        return MCQ_FAULT_NONE;
    }
    head->need = 0;
    size_t len = mcq_frame_head_get(s, &head->flags, &head->body_len);
    MCQ_DASSERT(len == head->len);
    return head->body_len <= MCQ_FRAME_SIZE_MAX ? MCQ_FAULT_NONE : MCQ_FAULT_SIZE;
}

bool mcq_frame_head_write(struct mcq_writer *w, unsigned flags, size_t body_len)
{
    if (mcq_writer_room(w) < mcq_frame_head_len(body_len))
        return false;
    if (body_len <= MCQ_FRAME_SHORT_MAX)
        return mcq_writer_u8(w, (uint8_t)flags) && mcq_writer_u8(w, (uint8_t)body_len);
    return mcq_writer_u8(w, (uint8_t)(flags | MCQ_FRAME_LONG)) && mcq_writer_be64(w, body_len);
}
