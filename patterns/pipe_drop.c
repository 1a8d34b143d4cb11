/* Making room in a pipe: the oldest messages that nobody but us has seen yet go. */
#include "patterns/pipe_private.h"

size_t mcq_pipe_message_len(struct mcq_slice s)
{
    size_t at = 0;
    uint8_t flags = MCQ_FRAME_MORE;
    while ((flags & MCQ_FRAME_MORE) != 0) {
        uint64_t body = 0;
        size_t head = mcq_frame_head_get(mcq_slice_of(s.ptr + at, s.len - at), &flags, &body);
        MCQ_ASSERT(head != 0 && body <= s.len - at - head);
        at += head + (size_t)body;
    }
    return at;
}

static void insert_after(struct mcq_pipe *p, struct mcq_seg *at, struct mcq_seg *seg)
{
    seg->next = at->next;
    at->next = seg;
    if (p->tail == at)
        p->tail = seg;
    p->seg_cnt++;
}

/* seg holds whole messages, and the kernel has `off` bytes of them: those it has nothing of get a
 * segment of their own. Without one they stay as well. */
static void split(struct mcq_pipe *p, struct mcq_seg *seg, uint64_t off)
{
    size_t at = 0;
    uint32_t msgs = 0;
    while (at < off) {
        at += mcq_pipe_message_len(mcq_slice_of(seg->ptr + at, seg->len - at));
        msgs++;
    }
    if (at == seg->len)
        return;
    struct mcq_seg *rest = mcq_pool_take(p->env->segs);
    if (rest == NULL)
        return;
    *rest = *seg;
    mcq_buf_ref(p->env->heap, rest->buf);
    rest->ptr += at;
    rest->len -= at;
    rest->msg_cnt -= msgs;
    seg->len = at;
    seg->msg_cnt = msgs;
    insert_after(p, seg, rest);
}

/* The last segment the kernel has a byte of, but not all; nothing is in flight. NULL: none. */
static struct mcq_seg *last_begun(struct mcq_pipe *p)
{
    struct mcq_seg *begun = NULL;
    uint64_t off = p->head_sent;
    for (struct mcq_seg *seg = p->head; seg != NULL && off != 0; seg = seg->next) {
        begun = seg;
        if (off < seg->len)
            break;
        off -= seg->len;
    }
    if (off == 0 || !begun->starts_msg || !begun->ends_msg)
        return begun;
    split(p, begun, off);
    if (off != begun->len)
        return begun;
    mcq_pipe_release_sent(p);
    return NULL;
}

/* The last segment that has to stay, whole messages considered. NULL: none. */
static struct mcq_seg *last_kept(struct mcq_pipe *p)
{
    struct mcq_seg *seg = p->flight;
    if (p->flight_cnt == 0)
        seg = last_begun(p);
    for (uint32_t i = 1; i < p->flight_cnt; i++)
        seg = seg->next;
    while (seg != NULL && !seg->ends_msg)
        seg = seg->next;
    return seg;
}

/* Would there be room for need bytes, with nothing behind `kept`? */
static bool worth_it(const struct mcq_pipe *p, const struct mcq_seg *kept, size_t need)
{
    uint64_t msgs = 0;
    uint64_t bytes = 0;
    for (const struct mcq_seg *seg = kept == NULL ? NULL : p->head; seg != NULL; seg = seg->next) {
        bytes += seg->len;
        msgs += seg->msg_cnt;
        if (seg == kept)
            break;
    }
    bytes -= kept == NULL ? 0 : p->head_sent;
    if (p->hwm_msgs != MCQ_UNLIMITED && msgs >= p->hwm_msgs)
        return false;
    return bytes == 0 || (bytes < p->hwm_bytes && need <= p->hwm_bytes - bytes);
}

static bool enough(const struct mcq_pipe *p, size_t need)
{
    return need != SIZE_MAX && mcq_pipe_has_credit(p, need);
}

/* Whole small messages from the front of a segment, as many as it takes. */
static uint64_t drop_front(struct mcq_pipe *p, struct mcq_seg *seg, size_t need)
{
    uint64_t cnt = 0;
    while (seg->len != 0 && !enough(p, need)) {
        size_t len = mcq_pipe_message_len(mcq_slice_of(seg->ptr, seg->len));
        seg->ptr += len;
        seg->len -= len;
        seg->msg_cnt--;
        p->queued_bytes -= len;
        p->queued_msgs--;
        p->pool_bytes -= len;
        cnt++;
    }
    return cnt;
}

/* Takes the segments behind `kept` up to `end` out of the list, and puts them before *gone. */
static void take_out(struct mcq_pipe *p, struct mcq_seg *kept, struct mcq_seg *end,
                     struct mcq_seg **gone)
{
    struct mcq_seg *first = kept == NULL ? p->head : kept->next;
    if (kept == NULL)
        p->head = end->next;
    else
        kept->next = end->next;
    if (p->tail == end)
        p->tail = kept;
    end->next = *gone;
    *gone = first;
}

/* The message that begins behind `kept`, whose segments hold nothing else. */
static uint64_t drop_spread(struct mcq_pipe *p, struct mcq_seg *kept, struct mcq_seg **gone)
{
    struct mcq_seg *seg = kept == NULL ? p->head : kept->next;
    p->queued_bytes -= seg->len;
    while (!seg->ends_msg) {
        seg = seg->next;
        p->queued_bytes -= seg->len;
    }
    p->queued_msgs--;
    take_out(p, kept, seg, gone);
    return 1;
}

static uint64_t drop_sealed(struct mcq_pipe *p, struct mcq_seg *kept, size_t need,
                            struct mcq_seg **gone)
{
    uint64_t cnt = 0;
    struct mcq_seg *seg;
    while (!enough(p, need) && (seg = kept == NULL ? p->head : kept->next) != NULL) {
        if (!seg->ends_msg) {
            cnt += drop_spread(p, kept, gone);
            continue;
        }
        cnt += drop_front(p, seg, need);
        if (seg->len == 0)
            take_out(p, kept, seg, gone);
    }
    return cnt;
}

/* Of what is not sealed yet. All of it: its room is used again. */
static uint64_t drop_open(struct mcq_pipe *p, size_t need)
{
    uint8_t *start = p->open;
    uint64_t cnt = 0;
    while (mcq_pipe_open_len(p) != 0 && !enough(p, need)) {
        p->open += mcq_pipe_message_len(mcq_slice_of(p->open, mcq_pipe_open_len(p)));
        p->countdown_from--;
        cnt++;
    }
    if (mcq_pipe_open_len(p) == 0) {
        p->open = start;
        p->cursor = start;
    }
    mcq_pipe_shut(p);
    return cnt;
}

/* The segments are freed at the end alone: that may call the user, who may send. */
uint64_t mcq_pipe_drop_old(struct mcq_pipe *p, size_t need)
{
    struct mcq_seg *gone = NULL;
    struct mcq_seg *kept = last_kept(p);
    if (p->conflates)
        need = SIZE_MAX;
    if (need != SIZE_MAX && !worth_it(p, kept, need))
        return 0;
    uint64_t cnt = drop_sealed(p, kept, need, &gone);
    cnt += drop_open(p, need);
    mcq_pipe_idle(p);
    while (gone != NULL) {
        struct mcq_seg *next = gone->next;
        mcq_pipe_seg_free(p, gone);
        gone = next;
    }
    return cnt;
}
