#include "shards/window.h"

size_t mcq_window_room(const struct mcq_window *w)
{
    return w->buf == NULL ? 0 : w->buf->cap - w->off - w->len;
}

bool mcq_window_reserve(struct mcq_buf_heap *heap, struct mcq_window *w, size_t more)
{
    if (mcq_window_room(w) >= more)
        return true;
    /* Alone in its block and room enough in it: move to the front. */
    if (w->buf != NULL && w->buf->app_cnt == 1 && w->buf->cls != MCQ_BUF_EXTERNAL &&
        w->buf->cap - w->len >= more && w->off >= w->len) {
        mcq_bytes_copy(w->buf->base, w->buf->base + w->off, w->len);
        w->off = 0;
        w->buf->written = w->len;
        return true;
    }
    if (w->buf != NULL && mcq_buf_grow(heap, w->buf, w->off + w->len + more))
        return true;
    /* Doubled, if it can be: many large frames in one message are copied O(1) times. */
    struct mcq_buf *b = NULL;
    if (w->len > more && w->len >= MCQ_BUF_LARGE_MIN)
        b = mcq_buf_take(heap, 2 * w->len);
    if (b == NULL)
        b = mcq_buf_take(heap, w->len + more);
    if (b == NULL)
        return false;
    if (w->len != 0)
        mcq_bytes_copy(b->base, w->buf->base + w->off, w->len);
    b->written = w->len;
    if (w->buf != NULL)
        mcq_buf_unref(heap, w->buf);
    w->buf = b;
    w->off = 0;
    return true;
}

bool mcq_window_append(struct mcq_buf_heap *heap, struct mcq_window *w, struct mcq_slice s,
                       uint64_t need)
{
    if (s.len == 0)
        return true;
    if (mcq_window_room(w) < s.len) {
        /* Up to twice what is here then: a frame in small pieces is copied O(1) times. */
        size_t more = s.len + (size_t)mcq_min_u64(need, w->len + s.len);
        if (!mcq_window_reserve(heap, w, more) && !mcq_window_reserve(heap, w, s.len))
            return false;
    }
    mcq_bytes_copy(w->buf->base + w->off + w->len, s.ptr, s.len);
    w->len += s.len;
    if (w->buf->written < w->off + w->len)
        w->buf->written = w->off + w->len;
    return true;
}

void mcq_window_consume(struct mcq_buf_heap *heap, struct mcq_window *w, size_t len)
{
    MCQ_DASSERT(len <= w->len);
    w->off += len;
    w->len -= len;
    if (w->len == 0)
        mcq_window_drop(heap, w);
}

void mcq_window_drop(struct mcq_buf_heap *heap, struct mcq_window *w)
{
    if (w->buf != NULL)
        mcq_buf_unref(heap, w->buf);
    *w = (struct mcq_window){NULL, 0, 0};
}
