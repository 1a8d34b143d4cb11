/* The pipe's other ways in: written in place by the caller, or before all else. */
#include "patterns/pipe_private.h"

bool mcq_pipe_probe(struct mcq_pipe *p)
{
    MCQ_DASSERT(p->flight_cnt == 0 && p->head_sent == 0);
    if (p->probe != NULL)
        return true;
    struct mcq_seg *seg = mcq_pool_take(p->env->segs);
    struct mcq_buf *b = seg == NULL ? NULL : mcq_buf_take(p->env->heap, mcq_frame_head_len(0));
    if (b == NULL) {
        if (seg != NULL)
            mcq_pool_give(p->env->segs, seg);
        return false;
    }
    b->written = (size_t)(mcq_frame_head_put(b->base, 0, 0) - b->base);
    *seg = (struct mcq_seg){NULL, b, b->base, b->written, 1, true, true, false, 0};
    struct mcq_seg *head = p->head;
    struct mcq_seg *tail = p->tail;
    p->tail = NULL;
    mcq_pipe_seg_append(p, seg);
    seg->next = head;
    p->tail = head == NULL ? seg : tail;
    p->probe = seg;
    mcq_pipe_tell_shard(p, false);
    mcq_pipe_shut(p);
    return true;
}

enum mcq_error mcq_pipe_reserve(struct mcq_pipe *p, size_t len, void **at)
{
    if (len > MCQ_PIPE_RESERVE_MAX)
        return MCQ_ETOOBIG;
    size_t need = mcq_frame_head_len(len) + len;
    if (need > (size_t)(p->limit - p->cursor) || p->countdown == 0) {
        enum mcq_error err = mcq_pipe_room(p, need);
        if (err != MCQ_OK)
            return err;
    }
    p->reserved = len + 1;
    p->reserved_at = p->cursor;
    *at = p->cursor + mcq_frame_head_len(len);
    return MCQ_OK;
}

enum mcq_error mcq_pipe_commit(struct mcq_pipe *p, size_t len)
{
    if (p->reserved == 0)
        return MCQ_ESTATE;
    size_t reserved = p->reserved - 1;
    /* Something was put, or sent, since: the room is another's. */
    if (p->cursor != p->reserved_at ||
        mcq_frame_head_len(reserved) + reserved > (size_t)(p->limit - p->cursor))
        return MCQ_ESTATE;
    if (len > reserved)
        return MCQ_EINVAL;
    const uint8_t *from = p->cursor + mcq_frame_head_len(reserved);
    uint8_t *body = mcq_frame_head_put(p->cursor, 0, len);
    if (body != from)
        mcq_bytes_move(body, from, len);
    p->cursor = body + len;
    p->countdown--;
    p->reserved = 0;
    return MCQ_OK;
}

void mcq_pipe_forget(struct mcq_pipe *p)
{
    if (p->reserved == 0)
        return;
    p->reserved = 0;
    mcq_pipe_idle(p);
    mcq_pipe_shut(p); /* else the next put would not mark the pipe */
}
