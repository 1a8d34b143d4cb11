#include "mem/buf_heap.h"
#include "mem/slice.h"

/* Far from wrapping, and no program keeps one message that often by intention. */
#define REF_MAX (UINT32_MAX / 2)

static size_t frames_len(const struct mcq_msg *m)
{
    return m->frames == NULL ? 0 : m->frame_cnt * sizeof(struct mcq_frame);
}

static void own(struct mcq_msg *m, const struct mcq_buf *b)
{
    m->owner = mcq_owner_borrowed(b) | MCQ_OWNER_OWNED;
}

/* Copies the bytes of src's frames to `to`, one after the other, and describes the copies in
 * frames. The caller has made room for both. */
static void copy_frames(const struct mcq_msg *src, struct mcq_frame *frames, uint8_t *to)
{
    for (uint32_t i = 0; i < src->frame_cnt; i++) {
        struct mcq_frame f = mcq_msg_frame(src, i);
        mcq_bytes_copy(to, f.data, f.len);
        frames[i] = (struct mcq_frame){to, f.len};
        to += f.len;
    }
}

/* One block holds everything: the array of frames, if there is one, then the bytes. */
static enum mcq_error keep_copy(struct mcq_buf_heap *h, const struct mcq_msg *src, size_t len,
                                struct mcq_msg *kept)
{
    size_t head = frames_len(src);
    struct mcq_buf *b = mcq_buf_take(h, head + len);
    if (b == NULL)
        return MCQ_ELIMIT;
    struct mcq_msg m = *src;
    struct mcq_frame single;
    struct mcq_frame *frames = &single;
    if (head != 0) {
        void *array = b->base;
        frames = array;
        m.frames = frames;
    }
    copy_frames(src, frames, b->base + head);
    b->written = head + len;
    m.data = frames[0].data;
    own(&m, b);
    *kept = m;
    h->stats->keeps_copied++;
    return MCQ_OK;
}

/* One more reference to the block that holds all of src, frames included. */
static enum mcq_error keep_whole(struct mcq_buf_heap *h, struct mcq_buf *b,
                                 const struct mcq_msg *src, struct mcq_msg *kept)
{
    struct mcq_msg m = *src;
    mcq_buf_ref(h, b);
    own(&m, b);
    *kept = m;
    h->stats->keeps_shared++;
    return MCQ_OK;
}

static bool holds(const struct mcq_buf *b, struct mcq_frame f)
{
    const uint8_t *at = f.data;
    return at >= b->base && at <= b->base + b->cap && f.len <= b->cap - (size_t)(at - b->base);
}

/* A message of several blocks names one of them. */
static size_t bytes_outside(const struct mcq_buf *b, const struct mcq_msg *src)
{
    size_t len = 0;
    for (uint32_t i = 0; i < src->frame_cnt; i++)
        if (!holds(b, mcq_msg_frame(src, i)))
            len += mcq_msg_frame(src, i).len;
    return len;
}

/* The array of frames is only the callback's: a block of its own holds a copy, the bytes that lie
 * outside of body, and a reference to body. */
static enum mcq_error keep_frames(struct mcq_buf_heap *h, struct mcq_buf *body, size_t outside,
                                  const struct mcq_msg *src, struct mcq_msg *kept)
{
    size_t head = frames_len(src);
    struct mcq_buf *b = mcq_buf_take(h, head + outside);
    if (b == NULL)
        return MCQ_ELIMIT;
    struct mcq_msg m = *src;
    void *array = b->base;
    struct mcq_frame *frames = array;
    uint8_t *to = b->base + head;
    for (uint32_t i = 0; i < src->frame_cnt; i++) {
        frames[i] = src->frames[i];
        if (holds(body, frames[i]))
            continue;
        mcq_bytes_copy(to, frames[i].data, frames[i].len);
        frames[i].data = to;
        to += frames[i].len;
    }
    b->written = head + outside;
    b->parent = mcq_owner_borrowed(body);
    mcq_buf_ref(h, body);
    m.frames = frames;
    m.data = frames[0].data;
    own(&m, b);
    *kept = m;
    h->stats->keeps_shared++;
    return MCQ_OK;
}

/* Receive blocks are lent up to pin_max bytes. Of other blocks those are shared that a copy
 * couldn't replace by a smaller one. */
static bool may_share(const struct mcq_buf_heap *h, const struct mcq_buf *b, size_t len,
                      size_t pin_max)
{
    if (b->app_cnt >= REF_MAX)
        return false;
    if (!b->rx)
        return b->cls >= MCQ_BUF_POOL_CNT || b->cls <= mcq_buf_class_of(len);
    return b->pinned || h->stats->pinned_now + b->cap <= pin_max;
}

static void pin(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    if (!b->rx || b->pinned)
        return;
    b->pinned = true;
    h->stats->pinned_now += b->cap;
}

enum mcq_error mcq_buf_msg_keep(struct mcq_buf_heap *h, size_t pin_max, const struct mcq_msg *src,
                                struct mcq_msg *kept)
{
    struct mcq_buf *b = mcq_owner_buf(h, src->owner);
    if (b != NULL && (src->owner & MCQ_OWNER_OWNED) != 0)
        return b->app_cnt < REF_MAX ? keep_whole(h, b, src, kept) : MCQ_ELIMIT;
    size_t len = mcq_msg_bytes(src);
    if (b == NULL || len <= MCQ_BUF_KEEP_COPY_MAX || !may_share(h, b, len, pin_max))
        return keep_copy(h, src, len, kept);
    size_t outside = bytes_outside(b, src);
    if (outside == len)
        return keep_copy(h, src, len, kept);
    enum mcq_error err =
        src->frames == NULL ? keep_whole(h, b, src, kept) : keep_frames(h, b, outside, src, kept);
    if (err == MCQ_OK)
        pin(h, b);
    return err;
}

enum mcq_error mcq_buf_msg_external(struct mcq_buf_heap *h, const void *data, size_t len,
                                    mcq_free_fn *free_fn, void *hint, struct mcq_msg *msg)
{
    struct mcq_buf *b = mcq_buf_take_external(h, data, len, free_fn, hint);
    if (b == NULL)
        return MCQ_ELIMIT;
    *msg = mcq_msg_of(data, len);
    own(msg, b);
    return MCQ_OK;
}

/* msg is zeroed first: a free callback may look at it. */
void mcq_buf_msg_drop(struct mcq_buf_heap *h, struct mcq_msg *msg)
{
    uint32_t owner = msg->owner;
    *msg = (struct mcq_msg){NULL, 0, NULL, 0, 0};
    if ((owner & MCQ_OWNER_OWNED) != 0)
        mcq_buf_unref(h, mcq_owner_buf(h, owner));
}
