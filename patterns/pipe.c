#include "patterns/pipe.h"

#include "patterns/pipe_private.h"

#define FIRST_LEN 4096u /* of a pipe's first transmit block */

/* --- what is queued ------------------------------------------------------------------------ */

uint64_t mcq_pipe_queued_msgs(const struct mcq_pipe *p)
{
    return p->queued_msgs + mcq_pipe_open_msgs(p);
}

uint64_t mcq_pipe_queued_bytes(const struct mcq_pipe *p)
{
    return p->queued_bytes + mcq_pipe_open_len(p);
}

bool mcq_pipe_empty(const struct mcq_pipe *p)
{
    return mcq_pipe_queued_bytes(p) == 0;
}

void mcq_pipe_shut(struct mcq_pipe *p)
{
    uint32_t msgs = mcq_pipe_open_msgs(p);
    p->limit = p->cursor;
    p->countdown = 0;
    p->countdown_from = msgs;
}

/* --- segments ------------------------------------------------------------------------------ */

static bool spare_take(struct mcq_pipe *p)
{
    if (p->spare == NULL)
        p->spare = mcq_pool_take(p->env->segs);
    return p->spare != NULL;
}

size_t mcq_pipe_seg_bytes(const struct mcq_seg *seg)
{
    if (seg->buf->cls >= MCQ_BUF_POOL_CNT)
        return 0;
    return seg->alone ? seg->buf->cap : seg->len;
}

void mcq_pipe_seg_append(struct mcq_pipe *p, struct mcq_seg *seg)
{
    seg->next = NULL;
    if (p->tail != NULL)
        p->tail->next = seg;
    else
        p->head = seg;
    p->tail = seg;
    p->queued_bytes += seg->len;
    p->queued_msgs += seg->msg_cnt;
    p->seg_cnt++;
    p->pool_bytes += mcq_pipe_seg_bytes(seg);
}

void mcq_pipe_seg_free(struct mcq_pipe *p, struct mcq_seg *seg)
{
    p->pool_bytes -= mcq_pipe_seg_bytes(seg);
    p->seg_cnt--;
    if (p->probe == seg)
        p->probe = NULL;
    mcq_buf_unref(p->env->heap, seg->buf);
    mcq_pool_give(p->env->segs, seg);
}

/* Turns the open stretch, if it isn't empty, into a segment of msgs messages. */
static void seal_as(struct mcq_pipe *p, uint32_t msgs, bool starts, bool ends)
{
    if (mcq_pipe_open_len(p) == 0)
        return;
    struct mcq_seg *seg = p->spare;
    MCQ_DASSERT(seg != NULL);
    p->spare = NULL;
    mcq_buf_ref(p->env->heap, p->block);
    p->block->written = (size_t)(p->cursor - p->block->base);
    *seg = (struct mcq_seg){
        NULL, p->block, p->open, mcq_pipe_open_len(p), msgs, starts, ends, false, 0,
    };
    p->open = p->cursor;
    mcq_pipe_seg_append(p, seg);
}

/* Seals whole messages. */
void mcq_pipe_seal(struct mcq_pipe *p)
{
    uint32_t msgs = mcq_pipe_open_msgs(p);
    seal_as(p, msgs, true, true);
    p->countdown_from = p->countdown;
}

void mcq_pipe_block_release(struct mcq_pipe *p)
{
    if (p->block != NULL)
        mcq_buf_unref(p->env->heap, p->block);
    p->block = NULL;
    p->cursor = NULL;
    p->limit = NULL;
    p->open = NULL;
}

void mcq_pipe_idle(struct mcq_pipe *p)
{
    if (p->head != NULL || mcq_pipe_open_len(p) != 0)
        return;
    mcq_pipe_block_release(p);
    mcq_pipe_shut(p);
}

/* A queue may not hold more than half of what is left for all others: however many peers stall,
 * there are blocks and segments for one that doesn't. */
static bool may_grow(const struct mcq_pipe *p)
{
    if (p->seg_cnt > (p->env->segs->max - p->env->segs->in_use) / 2)
        return false;
    return p->pool_bytes <= (uint64_t)mcq_buf_heap_left(p->env->heap) * MCQ_BUF_RX_LEN / 2;
}

static bool block_take(struct mcq_pipe *p, size_t len)
{
    mcq_pipe_block_release(p);
    if (!may_grow(p))
        return false;
    p->block = mcq_buf_take(p->env->heap, len);
    if (p->block == NULL)
        return false;
    p->cursor = p->block->base;
    p->open = p->cursor;
    p->limit = p->cursor;
    return true;
}

static size_t block_room(const struct mcq_pipe *p)
{
    return p->block == NULL ? 0 : p->block->cap - (size_t)(p->cursor - p->block->base);
}

/* --- credit -------------------------------------------------------------------------------- */

/* No block or segment is left, which isn't this pipe's own doing: its own sends may not wake it. */
static enum mcq_error starve(struct mcq_pipe *p)
{
    p->starved = true;
    p->at_mark = false;
    return MCQ_EAGAIN;
}

bool mcq_pipe_has_credit(const struct mcq_pipe *p, uint64_t need)
{
    uint64_t bytes = mcq_pipe_queued_bytes(p);
    if (p->conflates)
        return mcq_pipe_queued_msgs(p) <= (p->flight_cnt != 0 || p->head_sent != 0 ? 1 : 0);
    if (p->hwm_msgs != MCQ_UNLIMITED && mcq_pipe_queued_msgs(p) >= p->hwm_msgs)
        return false;
    return bytes == 0 || (bytes < p->hwm_bytes && need <= p->hwm_bytes - bytes);
}

/* Bytes that may still be queued; 0 and starved if a message of need bytes may not. */
static uint64_t credit(struct mcq_pipe *p, size_t need)
{
    uint64_t bytes = mcq_pipe_queued_bytes(p);
    if (!mcq_pipe_has_credit(p, need)) {
        p->starved = true;
        p->at_mark = !p->conflates;
        return 0;
    }
    return p->conflates || bytes >= p->hwm_bytes ? need
                                                 : mcq_max(need, (size_t)(p->hwm_bytes - bytes));
}

bool mcq_pipe_has_room(struct mcq_pipe *p, size_t len)
{
    return credit(p, len + MCQ_FRAME_HEAD_MAX) != 0;
}

/* What one segment may hold of a pipe that sheds. */
static uint32_t part_msgs(const struct mcq_pipe *p)
{
    return p->hwm_msgs < 4 ? 1 : p->hwm_msgs / 4;
}

static uint64_t part_bytes(const struct mcq_pipe *p)
{
    return p->hwm_bytes / 4;
}

static bool part_full(const struct mcq_pipe *p, size_t need)
{
    size_t len = mcq_pipe_open_len(p);
    return len != 0 && (mcq_pipe_open_msgs(p) >= part_msgs(p) || len + need > part_bytes(p));
}

/* Opens room for need bytes, or up to the credit, for the fast path. */
static void open_room(struct mcq_pipe *p, uint64_t bytes, size_t need)
{
    uint64_t msgs = MCQ_PIPE_BURST_MAX;
    uint32_t open = mcq_pipe_open_msgs(p);
    if (p->conflates)
        msgs = 1;
    else if (p->hwm_msgs != MCQ_UNLIMITED)
        msgs = mcq_min_u64(msgs, p->hwm_msgs - mcq_pipe_queued_msgs(p));
    if (p->sheds) {
        size_t len = mcq_pipe_open_len(p);
        msgs = mcq_min_u64(msgs, part_msgs(p) - open);
        bytes = mcq_min_u64(bytes, len + need > part_bytes(p) ? need : part_bytes(p) - len);
    }
    p->countdown = (uint32_t)msgs;
    p->countdown_from = (uint32_t)msgs + open;
    p->limit = p->cursor + mcq_min_u64(bytes, block_room(p));
}

void mcq_pipe_tell_shard(struct mcq_pipe *p, bool filled)
{
    if (p->marked && filled)
        p->env->pressed(p->env->ctx, p);
    if (!p->marked)
        p->env->mark(p->env->ctx, p);
}

enum mcq_error mcq_pipe_room(struct mcq_pipe *p, size_t need)
{
    MCQ_DASSERT(need <= MCQ_BUF_RX_LEN);
    p->reserved = 0;
    mcq_pipe_tell_shard(p, p->block != NULL && (block_room(p) < need || p->countdown == 0));
    uint64_t bytes = credit(p, need);
    if (bytes == 0)
        return MCQ_EAGAIN;
    if (!spare_take(p))
        return starve(p);
    bool fits = block_room(p) >= need;
    if (!fits || (p->sheds && part_full(p, need))) {
        bool first = p->block == NULL && p->head == NULL && need <= FIRST_LEN;
        mcq_pipe_seal(p);
        if (!spare_take(p) || (!fits && !block_take(p, first ? FIRST_LEN : MCQ_BUF_RX_LEN))) {
            mcq_pipe_shut(p);
            return starve(p);
        }
    }
    open_room(p, bytes, need);
    return MCQ_OK;
}

/* --- putting ------------------------------------------------------------------------------- */

void mcq_pipe_init(struct mcq_pipe *p, struct mcq_pipe_env *env, struct mcq_psock *sock,
                   uint32_t hwm_msgs, uint64_t hwm_bytes)
{
    *p = (struct mcq_pipe){.env = env, .sock = sock, .hwm_msgs = hwm_msgs, .hwm_bytes = hwm_bytes};
}

uint64_t mcq_pipe_fini(struct mcq_pipe *p)
{
    uint64_t left = mcq_pipe_queued_msgs(p);
    MCQ_ASSERT(p->flight_cnt == 0);
    while (p->head != NULL) {
        struct mcq_seg *seg = p->head;
        p->head = seg->next;
        mcq_pipe_seg_free(p, seg);
    }
    p->tail = NULL;
    mcq_pipe_block_release(p);
    if (p->spare != NULL)
        mcq_pool_give(p->env->segs, p->spare);
    p->spare = NULL;
    p->queued_bytes = 0;
    p->queued_msgs = 0;
    p->head_sent = 0;
    p->countdown = 0;
    p->countdown_from = 0;
    p->reserved = 0;
    p->starved = false;
    return left;
}

/* A body that goes out by reference: the buf to hold, NULL if it has to be copied. */
static struct mcq_buf *shareable(struct mcq_pipe *p, const struct mcq_msg *m, struct mcq_frame f)
{
    if (f.len < MCQ_PIPE_SHARE_MIN)
        return NULL;
    struct mcq_buf *b = mcq_owner_buf(p->env->heap, m->owner);
    if (b == NULL || ((m->owner & MCQ_OWNER_OWNED) == 0 && b->cls < MCQ_BUF_POOL_CNT))
        return NULL;
    const uint8_t *at = f.data;
    if ((at < b->base || at >= b->base + b->cap) && b->parent != 0)
        b = mcq_buf_at(p->env->heap, b->parent - 1);
    if (at < b->base || at > b->base + b->cap) /* another body of the message has another block */
        return NULL;
    return f.len <= b->cap - (size_t)(at - b->base) ? b : NULL;
}

static bool body_append(struct mcq_pipe *p, struct mcq_buf *b, struct mcq_slice body)
{
    struct mcq_seg *seg = mcq_pool_take(p->env->segs);
    if (seg == NULL)
        return false;
    mcq_buf_ref(p->env->heap, b);
    *seg = (struct mcq_seg){NULL, b, body.ptr, body.len, 0, false, false, true, 0};
    mcq_pipe_seg_append(p, seg);
    return true;
}

/* Copies bytes behind the cursor, over as many blocks as it takes; `whole`: without a break. */
static bool spread(struct mcq_pipe *p, struct mcq_slice s, bool whole)
{
    while (s.len != 0) {
        size_t room = block_room(p);
        if (room == 0 || (whole && room < s.len)) {
            seal_as(p, 0, false, false);
            bool first = p->block == NULL && s.len <= FIRST_LEN;
            if (!spare_take(p) || !block_take(p, first ? FIRST_LEN : MCQ_BUF_RX_LEN))
                return false;
            continue;
        }
        size_t n = mcq_min(room, s.len);
        mcq_bytes_copy(p->cursor, s.ptr, n);
        p->cursor += n;
        s = mcq_slice_of(s.ptr + n, s.len - n);
    }
    return true;
}

/* Worth a block of its own: half of it is used. */
static bool fills_block(size_t len)
{
    return len >= MCQ_PIPE_SHARE_MIN && (len <= MCQ_BUF_RX_LEN || len >= MCQ_BUF_LARGE_MIN / 2);
}

static bool spread_frame(struct mcq_pipe *p, const struct mcq_msg *m, struct mcq_frame f, bool more)
{
    uint8_t head[MCQ_FRAME_HEAD_MAX];
    uint8_t *end = mcq_frame_head_put(head, more ? MCQ_FRAME_MORE : 0, f.len);
    struct mcq_slice body = mcq_slice_of(f.data, f.len);
    if (!spread(p, mcq_slice_of(head, (size_t)(end - head)), true))
        return false;
    struct mcq_buf *b = shareable(p, m, f);
    if (b == NULL && f.len < MCQ_BUF_LARGE_MIN && !(p->whole && fills_block(f.len)))
        return spread(p, body, p->whole && f.len <= MCQ_BUF_RX_LEN);
    seal_as(p, 0, false, false);
    if (!spare_take(p))
        return false;
    if (b != NULL)
        return body_append(p, b, body);
    b = mcq_buf_take(p->env->heap, f.len);
    if (b == NULL)
        return false;
    mcq_bytes_copy(b->base, body.ptr, body.len);
    b->written = body.len;
    bool ok = body_append(p, b, mcq_slice_of(b->base, body.len));
    mcq_buf_unref(p->env->heap, b);
    return ok;
}

/* Takes back the segments behind `tail`, and the stretch written since. */
static void undo(struct mcq_pipe *p, struct mcq_seg *tail, struct mcq_buf *block, uint8_t *cursor)
{
    struct mcq_seg *seg = tail == NULL ? p->head : tail->next;
    while (seg != NULL) {
        struct mcq_seg *next = seg->next;
        p->queued_bytes -= seg->len;
        mcq_pipe_seg_free(p, seg);
        seg = next;
    }
    p->tail = tail;
    if (tail != NULL)
        tail->next = NULL;
    else
        p->head = NULL;
    if (block != p->block)
        mcq_pipe_block_release(p);
    else
        p->cursor = cursor;
    p->open = p->cursor;
    mcq_pipe_shut(p);
}

/* A message that needs more than one segment. The stretch before it is sealed first, so that its
 * segments hold nothing else. */
static enum mcq_error put_spread(struct mcq_pipe *p, struct mcq_slice prefix,
                                 const struct mcq_msg *m, uint32_t first)
{
    if (!may_grow(p) || !spare_take(p))
        return starve(p);
    mcq_pipe_seal(p);
    if (!spare_take(p)) {
        mcq_pipe_shut(p);
        return starve(p);
    }
    struct mcq_seg *tail = p->tail;
    struct mcq_buf *block = p->block;
    uint8_t *cursor = p->cursor;
    bool ok = spread(p, prefix, p->whole);
    for (uint32_t i = first; ok && i < m->frame_cnt; i++)
        ok = spread_frame(p, m, mcq_msg_frame(m, i), i + 1 < m->frame_cnt);
    if (!ok) {
        undo(p, tail, block, cursor);
        return starve(p);
    }
    seal_as(p, 0, false, false);
    struct mcq_seg *start = tail == NULL ? p->head : tail->next;
    start->starts_msg = true;
    p->tail->ends_msg = true;
    p->tail->msg_cnt = 1;
    p->queued_msgs++;
    mcq_pipe_shut(p);
    return MCQ_OK;
}

static void write_frames(struct mcq_pipe *p, struct mcq_slice prefix, const struct mcq_msg *m,
                         uint32_t first)
{
    mcq_bytes_copy(p->cursor, prefix.ptr, prefix.len);
    uint8_t *at = p->cursor + prefix.len;
    for (uint32_t i = first; i < m->frame_cnt; i++) {
        struct mcq_frame f = mcq_msg_frame(m, i);
        at = mcq_frame_head_put(at, i + 1 < m->frame_cnt ? MCQ_FRAME_MORE : 0, f.len);
        mcq_bytes_copy(at, f.data, f.len);
        at += f.len;
    }
    p->cursor = at;
    p->countdown--;
}

/* What would be copied is more than there are blocks for, however empty the queue is. */
static bool never_fits(struct mcq_pipe *p, const struct mcq_msg *m, uint32_t first)
{
    const struct mcq_pool *pool = mcq_buf_heap_pool(p->env->heap, MCQ_BUF_32K);
    size_t small = 0;
    for (uint32_t i = first; i < m->frame_cnt; i++) {
        struct mcq_frame f = mcq_msg_frame(m, i);
        bool own_block = f.len >= MCQ_BUF_LARGE_MIN;
        if (shareable(p, m, f) != NULL)
            continue;
        if (own_block && f.len > mcq_buf_heap_len_max(p->env->heap))
            return true;
        small += own_block ? 0 : f.len;
    }
    return small > (size_t)pool->max * MCQ_BUF_RX_LEN / 2;
}

size_t mcq_pipe_need(struct mcq_slice prefix, const struct mcq_msg *m, uint32_t first)
{
    size_t need = prefix.len;
    for (uint32_t i = first; i < m->frame_cnt; i++) {
        size_t len = mcq_msg_frame(m, i).len;
        need += mcq_frame_head_len(len) + len;
    }
    return need;
}

enum mcq_error mcq_pipe_put(struct mcq_pipe *p, struct mcq_slice prefix, const struct mcq_msg *m,
                            uint32_t first)
{
    size_t need = prefix.len;
    bool large = false;
    if (m->frame_cnt == first + 1 && prefix.len == 0 && first == 0 && m->len < MCQ_PIPE_SHARE_MIN)
        return mcq_pipe_put_bytes(p, m->data, m->len);
    for (uint32_t i = first; i < m->frame_cnt; i++) {
        size_t len = mcq_msg_frame(m, i).len;
        if (len > SIZE_MAX / 2 - need)
            return MCQ_ETOOBIG;
        need += mcq_frame_head_len(len) + len;
        large = large || len >= MCQ_PIPE_SHARE_MIN;
    }
    if (!large && need <= MCQ_BUF_RX_LEN) {
        if (need > (size_t)(p->limit - p->cursor) || p->countdown == 0) {
            enum mcq_error err = mcq_pipe_room(p, need);
            if (err != MCQ_OK)
                return err;
        }
        write_frames(p, prefix, m, first);
        return MCQ_OK;
    }
    if (never_fits(p, m, first))
        return MCQ_ETOOBIG;
    p->reserved = 0;
    mcq_pipe_tell_shard(p, mcq_pipe_queued_bytes(p) >= MCQ_BUF_LARGE_MIN);
    if (credit(p, need) == 0)
        return MCQ_EAGAIN;
    return put_spread(p, prefix, m, first);
}
