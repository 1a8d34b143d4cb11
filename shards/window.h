/* Window: the undelivered bytes of a session as one contiguous stretch in a block of its own.
 * Bytes are appended behind and consumed in front; the block grows by what was received, never by
 * what was announced. A block that the user kept views of is left to them, not written again; one
 * that another shard has lent is written behind what is there, and nowhere else. */
#ifndef MCQ_SHARDS_WINDOW_H
#define MCQ_SHARDS_WINDOW_H

#include "mem/buf.h"
#include "mem/slice.h"

struct mcq_window {
    struct mcq_buf *buf; /* one app reference, NULL: empty */
    size_t off, len;
};

/* need: bytes that are known to follow; a new block gets room for them too, but never for more than
 * were received. false: no block; nothing changed. */
MCQ_MUST_USE bool mcq_window_append(struct mcq_buf_heap *heap, struct mcq_window *w,
                                    struct mcq_slice s, uint64_t need);
/* Bytes that fit behind what is there, without a new block. */
size_t mcq_window_room(const struct mcq_window *w);
/* Makes room for `more` bytes behind what is there, in one block. */
MCQ_MUST_USE bool mcq_window_reserve(struct mcq_buf_heap *heap, struct mcq_window *w, size_t more);
void mcq_window_consume(struct mcq_buf_heap *heap, struct mcq_window *w, size_t len);
void mcq_window_drop(struct mcq_buf_heap *heap, struct mcq_window *w);

static inline struct mcq_slice mcq_window_slice(const struct mcq_window *w)
{
    return mcq_slice_of(w->buf == NULL ? NULL : w->buf->base + w->off, w->len);
}

#endif
