/* The batch reader: the hot path of everything that arrives. It takes frames that need no second
 * look (a whole message in one frame, within every limit) and leaves the rest to mcq_zmtp_next,
 * which names what is wrong. */
#include "proto/frame.h"
#include "proto/zmtp.h"

/* Lengths are compared against these alone, so the loop has one compare per length. */
struct bounds {
    uint64_t short_max;
    uint64_t long_max;
};

static uint64_t body_max(const struct mcq_zmtp_limits *limits, uint64_t head_len)
{
    return mcq_min_u64(limits->msg_max - head_len, limits->frame_max);
}

static struct bounds bounds_of(const struct mcq_zmtp_limits *limits)
{
    struct bounds b = {body_max(limits, MCQ_FRAME_HEAD_MIN), body_max(limits, MCQ_FRAME_HEAD_MAX)};
    return b;
}

/* Why the loop stopped at this front: true if next must look, else z->need says what is missing. */
static bool stopped_at(struct mcq_zmtp *z, struct mcq_slice front, struct bounds bounds)
{
    struct mcq_frame_head head;
    z->need = 1;
    if (mcq_frame_head_read(front, &head) != MCQ_FAULT_NONE)
        return true;
    if (front.len > 0 && (head.flags & ~MCQ_FRAME_LONG) != 0)
        return true;
    if (head.need > 0) {
        z->need = head.need;
        return false;
    }
    bool is_short = head.len == MCQ_FRAME_HEAD_MIN;
    if (head.body_len > (is_short ? bounds.short_max : bounds.long_max))
        return true;
    uint64_t have = front.len - head.len;
    if (have >= head.body_len)
        return false; /* whole: views is full */
    z->need = head.body_len - have;
    return z->need >= MCQ_ZMTP_BODY_MIN;
}

/* A message of one frame with a long header: its body, false if it isn't one, whole and legal. */
static bool take_long(struct mcq_slice front, uint64_t max, struct mcq_slice *body)
{
    uint8_t flags;
    uint64_t len;
    size_t head_len = mcq_frame_head_get(front, &flags, &len);
    if (head_len == 0 || flags != MCQ_FRAME_LONG || len > max || len > front.len - head_len)
        return false;
    *body = mcq_slice_of(front.ptr + head_len, (size_t)len);
    return true;
}

static void view(struct mcq_msg *m, struct mcq_slice body, uint32_t owner)
{
    m->data = body.ptr;
    m->len = body.len;
    m->frames = NULL;
    m->frame_cnt = 1;
    m->owner = owner;
}

bool mcq_zmtp_next_batch(struct mcq_zmtp *z, struct mcq_reader *in, struct mcq_msg *views,
                         size_t max, uint32_t owner, size_t *n, struct mcq_proto_stats *stats)
{
    MCQ_DASSERT(mcq_zmtp_invariants(z));
    *n = 0;
    if (z->state != MCQ_ZMTP_TRAFFIC || z->slow || z->limits.msg_max < MCQ_FRAME_HEAD_MAX)
        return true;
    struct bounds bounds = bounds_of(&z->limits);
    const uint8_t *at = in->ptr + in->pos;
    const uint8_t *end = in->ptr + in->len;
    size_t cnt = 0;
    for (; cnt < max; cnt++) {
        size_t left = (size_t)(end - at);
        if (left < MCQ_FRAME_HEAD_MIN)
            break;
        struct mcq_slice body = mcq_slice_of(at + MCQ_FRAME_HEAD_MIN, at[1]);
        if (MCQ_LIKELY(at[0] == 0)) {
            if (body.len > left - MCQ_FRAME_HEAD_MIN || body.len > bounds.short_max)
                break;
        } else if (!take_long(mcq_slice_of(at, left), bounds.long_max, &body)) {
            break;
        }
        view(&views[cnt], body, owner);
        at = body.ptr + body.len;
    }
    uint64_t bytes = (uint64_t)(at - (in->ptr + in->pos));
    in->pos += bytes;
    z->offset += bytes;
    stats->msgs_in += cnt;
    stats->frames_in += cnt;
    stats->bytes_in += bytes;
    *n = cnt;
    bool more = stopped_at(z, mcq_reader_rest(in), bounds);
    MCQ_DASSERT(mcq_zmtp_invariants(z));
    return more;
}

/* Where the first `kept` of the messages at mark end. The views may have been scribbled on since,
 * the bytes have not. */
static size_t end_of_kept(const struct mcq_reader *in, size_t mark, size_t kept)
{
    size_t pos = mark;
    for (size_t i = 0; i < kept; i++) {
        uint8_t flags;
        uint64_t len;
        size_t head_len =
            mcq_frame_head_get(mcq_slice_of(in->ptr + pos, in->pos - pos), &flags, &len);
        MCQ_ASSERT(head_len != 0 && len <= in->pos - pos - head_len);
        pos += head_len + (size_t)len;
    }
    return pos;
}

void mcq_zmtp_give_back(struct mcq_zmtp *z, struct mcq_reader *in, size_t mark, size_t n,
                        size_t kept, uint32_t frame_cnt, struct mcq_proto_stats *stats)
{
    MCQ_ASSERT(kept <= n && mark <= in->pos);
    if (kept == n)
        return;
    size_t pos = end_of_kept(in, mark, kept);
    size_t bytes = in->pos - pos;
    in->pos = pos;
    z->offset -= bytes;
    z->need = 1;
    stats->msgs_in -= n - kept;
    stats->frames_in -= (n - kept) * frame_cnt;
    stats->bytes_in -= bytes;
}
