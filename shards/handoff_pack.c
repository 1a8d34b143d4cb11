#include "shards/handoff_pack.h"

#include "shards/shard.h"

/* --- references ---------------------------------------------------------------------------- */

/* Only what nobody else here has may be passed on: a view that the giver's user kept goes on being
 * the giver's. */
static enum mcq_way way_of(const struct mcq_buf *b, bool large)
{
    uint32_t owner, idx;
    if (mcq_remote_is_held(b, &owner, &idx) && b->app_cnt == 1 && b->tx_cnt == 0)
        return MCQ_WAY_PASS;
    return large ? MCQ_WAY_LEND : MCQ_WAY_COPY;
}

/* The taker's buf for the giver's b. NULL: no reference is left. */
static struct mcq_buf *hold(struct mcq_shard *sh, uint32_t from, const struct mcq_buf *b,
                            enum mcq_way way, bool *home)
{
    uint32_t owner = from, idx = b->idx;
    *home = false;
    if (way == MCQ_WAY_PASS && mcq_remote_is_held(b, &owner, &idx) && owner == sh->id) {
        mcq_remote_came(sh);
        *home = true;
        return mcq_buf_at(sh->heap, idx);
    }
    struct mcq_buf *own = mcq_remote_hold(sh, owner, idx, b->base, b->cap);
    if (own != NULL)
        own->written = b->written;
    return own;
}

static void unhold(struct mcq_shard *sh, struct mcq_buf *own, bool home)
{
    if (home) {
        mcq_remote_went(sh);
        return;
    }
    mcq_remote_forget(sh, own);
    mcq_buf_unref(sh->heap, own);
}

/* The giver's reference has become the taker's, or ends. */
static void let_go(struct mcq_shard *sh, struct mcq_buf *b, enum mcq_way way)
{
    switch (way) {
    case MCQ_WAY_LEND:
        mcq_remote_went(sh);
        return;
    case MCQ_WAY_PASS:
        mcq_remote_forget(sh, b);
        break;
    case MCQ_WAY_COPY:
        break;
    }
    mcq_buf_unref(sh->heap, b);
}

/* --- a queue ------------------------------------------------------------------------------- */

void mcq_pack_choose(struct mcq_pipe_queue *q)
{
    for (struct mcq_seg *seg = q->head; seg != NULL; seg = seg->next)
        seg->way = (uint8_t)way_of(seg->buf, seg->alone && seg->len >= MCQ_PIPE_SHARE_MIN);
}

uint32_t mcq_pack_ahead(struct mcq_shard *sh, const struct mcq_pipe_queue *q)
{
    uint32_t cnt = 0;
    for (const struct mcq_seg *seg = q->head; seg != NULL; seg = seg->next)
        if (seg->way == MCQ_WAY_LEND) {
            mcq_remote_went(sh);
            cnt++;
        }
    return cnt;
}

void mcq_pack_back(struct mcq_shard *sh, uint32_t ahead)
{
    for (uint32_t i = 0; i < ahead; i++)
        mcq_remote_came(sh);
}

static void append(struct mcq_pipe_queue *q, struct mcq_seg *seg)
{
    if (q->tail != NULL)
        q->tail->next = seg;
    else
        q->head = seg;
    q->tail = seg;
    q->seg_cnt++;
    q->pool_bytes += mcq_pipe_seg_bytes(seg);
}

/* Copies into the block at hand, or into one of its own; *block: one reference of the caller's. */
static bool copy_seg(struct mcq_shard *sh, struct mcq_buf **block, struct mcq_seg *seg)
{
    struct mcq_buf *b = *block;
    if (b == NULL || b->cap - b->written < seg->len) {
        b = mcq_buf_take(sh->heap, seg->len);
        if (b == NULL)
            return false;
        if (*block != NULL)
            mcq_buf_unref(sh->heap, *block);
        *block = b;
    }
    uint8_t *at = b->base + b->written;
    mcq_bytes_copy(at, seg->ptr, seg->len);
    b->written += seg->len;
    mcq_buf_ref(sh->heap, b);
    seg->buf = b;
    seg->ptr = at;
    return true;
}

/* Memory and references may each stand in for the other, but for what isn't the giver's to lend. */
static bool take_seg(struct mcq_shard *sh, uint32_t from, struct mcq_buf **block,
                     struct mcq_seg *src, struct mcq_seg *seg)
{
    bool home = false;
    struct mcq_buf *own = NULL;
    if (src->way != MCQ_WAY_COPY)
        own = hold(sh, from, src->buf, (enum mcq_way)src->way, &home);
    if (own == NULL) {
        src->way = MCQ_WAY_COPY;
        seg->way = MCQ_WAY_COPY;
        return copy_seg(sh, block, seg);
    }
    seg->buf = own;
    seg->way = home ? MCQ_WAY_PASS : MCQ_WAY_LEND;
    return true;
}

bool mcq_pack_take(struct mcq_shard *sh, uint32_t from, struct mcq_pipe_queue *src,
                   struct mcq_pipe_queue *dst)
{
    struct mcq_buf *block = NULL;
    bool ok = true;
    *dst = (struct mcq_pipe_queue){
        .head_sent = src->head_sent, .bytes = src->bytes, .msgs = src->msgs};
    for (struct mcq_seg *s = src->head; ok && s != NULL; s = s->next) {
        struct mcq_seg *seg = mcq_pool_take(&sh->segs);
        ok = seg != NULL;
        if (!ok)
            break;
        *seg = *s;
        seg->next = NULL;
        ok = take_seg(sh, from, &block, s, seg);
        if (ok)
            append(dst, seg);
        else
            mcq_pool_give(&sh->segs, seg);
    }
    if (block != NULL)
        mcq_buf_unref(sh->heap, block);
    if (!ok)
        mcq_pack_undo(sh, dst);
    return ok;
}

void mcq_pack_undo(struct mcq_shard *sh, struct mcq_pipe_queue *dst)
{
    while (dst->head != NULL) {
        struct mcq_seg *seg = dst->head;
        dst->head = seg->next;
        if (seg->way == MCQ_WAY_COPY)
            mcq_buf_unref(sh->heap, seg->buf);
        else
            unhold(sh, seg->buf, seg->way == MCQ_WAY_PASS);
        mcq_pool_give(&sh->segs, seg);
    }
    *dst = (struct mcq_pipe_queue){.head = NULL};
}

void mcq_pack_settle(struct mcq_shard *sh, struct mcq_pipe_queue *q)
{
    struct mcq_seg *seg = q->head;
    *q = (struct mcq_pipe_queue){.head = NULL};
    while (seg != NULL) {
        struct mcq_seg *next = seg->next;
        struct mcq_buf *b = seg->buf;
        enum mcq_way way = (enum mcq_way)seg->way;
        mcq_pool_give(&sh->segs, seg);
        let_go(sh, b, way); /* the end of the user's memory calls the user */
        seg = next;
    }
}

uint64_t mcq_pack_drop(struct mcq_shard *sh, struct mcq_pipe_queue *q)
{
    uint64_t msgs = q->msgs;
    for (struct mcq_seg *seg = q->head; seg != NULL; seg = seg->next)
        seg->way = MCQ_WAY_COPY;
    mcq_pack_settle(sh, q);
    return msgs;
}

/* --- a session ----------------------------------------------------------------------------- */

enum mcq_way mcq_pack_choose_window(const struct mcq_session *s)
{
    const struct mcq_buf *b = s->win.buf;
    return b == NULL ? MCQ_WAY_COPY : way_of(b, b->cls >= MCQ_BUF_POOL_CNT);
}

/* A copy of src[0, len), NULL if there is no block. */
static struct mcq_buf *copy_of(struct mcq_shard *sh, const uint8_t *src, size_t len)
{
    struct mcq_buf *b = mcq_buf_take(sh->heap, len);
    if (b == NULL)
        return NULL;
    mcq_bytes_copy(b->base, src, len);
    b->written = len;
    return b;
}

static bool take_window(struct mcq_shard *sh, uint32_t from, const struct mcq_session *src,
                        enum mcq_way way, struct mcq_session *dst)
{
    bool home = false;
    dst->win = (struct mcq_window){NULL, 0, 0};
    dst->win_way = MCQ_WAY_COPY;
    if (src->win.len == 0)
        return true;
    if (way == MCQ_WAY_COPY)
        return mcq_window_append(sh->heap, &dst->win, mcq_window_slice(&src->win), 0);
    struct mcq_buf *own = hold(sh, from, src->win.buf, way, &home);
    if (own == NULL)
        return false;
    own->written = src->win.off + src->win.len; /* what was received over there, too */
    dst->win = (struct mcq_window){own, src->win.off, src->win.len};
    dst->win_way = home ? MCQ_WAY_PASS : MCQ_WAY_LEND;
    return true;
}

static bool take_control(struct mcq_shard *sh, const struct mcq_session *src,
                         struct mcq_session *dst)
{
    dst->ctl = NULL;
    dst->ctl_sent = 0;
    if (src->ctl == NULL)
        return true;
    dst->ctl = copy_of(sh, src->ctl->base + src->ctl_sent, src->ctl->written - src->ctl_sent);
    return dst->ctl != NULL;
}

/* Whole: how much of the pipe `sent` stands for is counted from its first byte. */
static bool take_v1(struct mcq_shard *sh, const struct mcq_session *src, struct mcq_session *dst)
{
    dst->v1.buf = NULL;
    if (src->v1.buf == NULL)
        return true;
    dst->v1.buf = copy_of(sh, src->v1.buf->base, src->v1.buf->written);
    return dst->v1.buf != NULL;
}

/* The shards' clocks are the same one, read at two places: none of these may lie ahead. */
static void not_ahead(uint64_t *at_ns, uint64_t now_ns)
{
    *at_ns = mcq_min_u64(*at_ns, now_ns);
}

bool mcq_pack_take_session(struct mcq_shard *sh, uint32_t from, const struct mcq_session *src,
                           enum mcq_way way, struct mcq_session *dst)
{
    uint64_t now = mcq_shard_now_ns(sh);
    *dst = *src;
    dst->conn = NULL;
    dst->ready_node = (struct mcq_node){NULL, NULL};
    dst->moving = true;
    dst->end_due = MCQ_REASON_NONE;
    dst->win = (struct mcq_window){NULL, 0, 0};
    dst->ctl = NULL;
    dst->v1.buf = NULL;
    not_ahead(&dst->zmtp.last_rx_ns, now);
    not_ahead(&dst->zmtp.last_tx_ns, now);
    not_ahead(&dst->zmtp.ping_ns, now);
    not_ahead(&dst->win_since_ns, now);
    not_ahead(&dst->body_wait_ns, now);
    if (take_control(sh, src, dst) && take_v1(sh, src, dst) && take_window(sh, from, src, way, dst))
        return true;
    mcq_pack_undo_session(sh, dst);
    return false;
}

static void drop(struct mcq_shard *sh, struct mcq_buf **b)
{
    if (*b != NULL)
        mcq_buf_unref(sh->heap, *b);
    *b = NULL;
}

void mcq_pack_undo_session(struct mcq_shard *sh, struct mcq_session *dst)
{
    drop(sh, &dst->ctl);
    drop(sh, &dst->v1.buf);
    if (dst->win.buf != NULL && dst->win_way != MCQ_WAY_COPY)
        unhold(sh, dst->win.buf, dst->win_way == MCQ_WAY_PASS);
    else
        drop(sh, &dst->win.buf);
    dst->win = (struct mcq_window){NULL, 0, 0};
}

void mcq_pack_settle_session(struct mcq_shard *sh, struct mcq_session *src, enum mcq_way way)
{
    drop(sh, &src->ctl);
    drop(sh, &src->v1.buf);
    if (src->win.buf != NULL)
        let_go(sh, src->win.buf, way);
    src->win = (struct mcq_window){NULL, 0, 0};
}
