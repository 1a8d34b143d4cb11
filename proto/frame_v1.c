#include "proto/frame_v1.h"

/* Length and flags of a header that is whole. */
static void get(struct mcq_slice s, uint64_t *len, uint8_t *flags)
{
    struct mcq_reader r = mcq_reader_of(s);
    uint8_t first = 0;
    bool ok = mcq_reader_u8(&r, &first);
    *len = first;
    if (first == MCQ_FRAME_V1_LONG)
        ok = ok && mcq_reader_be64(&r, len);
    ok = ok && mcq_reader_u8(&r, flags);
    MCQ_ASSERT(ok);
}

enum mcq_fault mcq_frame_v1_head_read(struct mcq_slice s, struct mcq_frame_head *head)
{
    head->need = MCQ_FRAME_V1_HEAD_MIN;
    if (s.len == 0)
        return MCQ_FAULT_NONE;
    if (s.ptr[0] == 0)
        return MCQ_FAULT_LENGTH_ZERO;
    head->len = s.ptr[0] == MCQ_FRAME_V1_LONG ? MCQ_FRAME_V1_HEAD_MAX : MCQ_FRAME_V1_HEAD_MIN;
    if (s.len < head->len) {
        head->need = (uint8_t)(head->len - s.len);
        return MCQ_FAULT_NONE;
    }
    uint64_t len = 0;
    head->need = 0;
    get(s, &len, &head->flags);
    head->flags &= MCQ_FRAME_MORE;
    if (len == 0)
        return MCQ_FAULT_LENGTH_ZERO;
    head->body_len = len - 1;
    return len <= MCQ_FRAME_SIZE_MAX ? MCQ_FAULT_NONE : MCQ_FAULT_SIZE;
}

bool mcq_frame_v1_head_write(struct mcq_writer *w, bool more, uint64_t body_len)
{
    uint8_t flags = more ? MCQ_FRAME_MORE : 0;
    if (mcq_writer_room(w) < mcq_frame_v1_head_len(body_len))
        return false;
    if (body_len <= MCQ_FRAME_V1_SHORT_MAX)
        return mcq_writer_u8(w, (uint8_t)(body_len + 1)) && mcq_writer_u8(w, flags);
    return mcq_writer_u8(w, MCQ_FRAME_V1_LONG) && mcq_writer_be64(w, body_len + 1) &&
           mcq_writer_u8(w, flags);
}
