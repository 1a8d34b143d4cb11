/* The pipe's way out: what is queued is frozen, sent, given back, or made whole again. */
#include "patterns/pipe_private.h"

/* The first segment with bytes the kernel hasn't taken, and how many of its bytes it has. */
static struct mcq_seg *unsent(const struct mcq_pipe *p, uint64_t *off)
{
    struct mcq_seg *seg = p->head;
    *off = p->head_sent;
    while (seg != NULL && *off >= seg->len) {
        *off -= seg->len;
        seg = seg->next;
    }
    return seg;
}

bool mcq_pipe_at_boundary(const struct mcq_pipe *p)
{
    uint64_t off;
    struct mcq_seg *seg = unsent(p, &off);
    return seg == NULL || (off == 0 && seg->starts_msg);
}

/* What begins with seg stays behind, to be dropped for something newer: msgs end in the flight. */
static bool stays(const struct mcq_pipe *p, uint64_t msgs, const struct mcq_seg *seg)
{
    uint64_t more = seg->msg_cnt != 0 ? seg->msg_cnt : 1;
    if (!seg->starts_msg || msgs == 0 || (p->whole && !p->lends))
        return false;
    return p->conflates || (p->sheds && msgs + more > p->hwm_msgs / 2);
}

size_t mcq_pipe_gather(struct mcq_pipe *p, struct mcq_slice *out, uint32_t max, size_t bytes_max,
                       uint32_t *cnt)
{
    MCQ_DASSERT(p->flight_cnt == 0 && max > 0);
    mcq_pipe_seal(p);
    mcq_pipe_shut(p);
    uint64_t off;
    struct mcq_seg *seg = unsent(p, &off);
    size_t bytes = 0;
    uint64_t msgs = 0;
    if (p->sheds && !p->whole)
        bytes_max = (size_t)mcq_min_u64(bytes_max, p->hwm_bytes / 4 + 1);
    *cnt = 0;
    p->flight = seg;
    while (seg != NULL && *cnt < max && !stays(p, msgs, seg)) {
        size_t left = seg->len - (size_t)off;
        bool last = bytes + left >= bytes_max;
        size_t n = last && !(seg->starts_msg && seg->ends_msg)
                       ? mcq_min(left, mcq_max(bytes_max - bytes, MCQ_BUF_RX_LEN))
                       : left;
        mcq_buf_tx_ref(p->env->heap, seg->buf);
        out[(*cnt)++] = mcq_slice_of(seg->ptr + off, n);
        bytes += n;
        msgs += seg->msg_cnt;
        off = 0;
        if (last)
            break;
        seg = seg->next;
    }
    p->flight_cnt = *cnt;
    return bytes;
}

/* They leave the list first: the end of the user's memory calls the user, who may send. */
void mcq_pipe_release_sent(struct mcq_pipe *p)
{
    for (;;) {
        uint64_t len = 0;
        struct mcq_seg *end = p->head;
        while (end != NULL && !end->ends_msg) {
            len += end->len;
            end = end->next;
        }
        if (end == NULL || p->head_sent < len + end->len)
            return;
        p->head_sent -= len + end->len;
        struct mcq_seg *seg = p->head;
        p->head = end->next;
        if (p->head == NULL)
            p->tail = NULL;
        end->next = NULL;
        while (seg != NULL) {
            struct mcq_seg *next = seg->next;
            p->queued_msgs -= seg->msg_cnt;
            p->msgs_out += seg->msg_cnt;
            mcq_pipe_seg_free(p, seg);
            seg = next;
        }
    }
}

void mcq_pipe_land(struct mcq_pipe *p)
{
    struct mcq_seg *seg = p->flight;
    for (uint32_t i = 0; i < p->flight_cnt; i++, seg = seg->next)
        mcq_buf_tx_unref(p->env->heap, seg->buf);
    p->flight_cnt = 0;
    p->flight = NULL;
}

/* What was counted as sent is given back. */
static bool settle(struct mcq_pipe *p)
{
    mcq_pipe_release_sent(p);
    mcq_pipe_idle(p);
    if (!p->starved || mcq_pipe_queued_bytes(p) > p->hwm_bytes / 2 ||
        (p->hwm_msgs != MCQ_UNLIMITED && mcq_pipe_queued_msgs(p) > p->hwm_msgs / 2))
        return false;
    p->starved = false;
    return true;
}

static void count_sent(struct mcq_pipe *p, size_t len)
{
    MCQ_DASSERT(len <= p->queued_bytes);
    p->queued_bytes -= len;
    p->head_sent += len;
}

bool mcq_pipe_sent(struct mcq_pipe *p, size_t len)
{
    mcq_pipe_land(p);
    count_sent(p, len);
    return settle(p);
}

/* --- lending ------------------------------------------------------------------------------- */

void mcq_pipe_lend(struct mcq_pipe *p, uint32_t max, struct mcq_pipe_run *run)
{
    mcq_pipe_seal(p);
    mcq_pipe_shut(p);
    uint64_t off = 0;
    struct mcq_seg *seg = p->flight_cnt == 0 ? unsent(p, &off) : p->lent->next;
    const uint64_t bytes_max = p->sheds && p->lends ? p->hwm_bytes / 4 + 1 : UINT64_MAX;
    uint64_t msgs = 0;
    *run = (struct mcq_pipe_run){.seg = seg, .off = (size_t)off};
    if (p->flight_cnt == 0)
        p->flight = seg;
    while (seg != NULL && !stays(p, msgs, seg) &&
           (!seg->starts_msg || (run->cnt < max && run->bytes < bytes_max))) {
        mcq_buf_tx_ref(p->env->heap, seg->buf);
        run->cnt++;
        run->bytes += seg->len - off;
        off = 0;
        msgs += seg->msg_cnt;
        p->lent = seg;
        seg = seg->next;
    }
    p->flight_cnt += run->cnt;
}

bool mcq_pipe_taken(struct mcq_pipe *p, size_t len)
{
    uint64_t off;
    count_sent(p, len);
    const struct mcq_seg *next = unsent(p, &off);
    while (p->flight_cnt != 0 && p->flight != next) {
        mcq_buf_tx_unref(p->env->heap, p->flight->buf);
        p->flight = p->flight->next;
        p->flight_cnt--;
    }
    return settle(p);
}

void mcq_pipe_recall(struct mcq_pipe *p)
{
    mcq_pipe_land(p);
}

/* Drops the messages at the front of a segment of whole messages that ended within `sent`. */
static bool skip_whole(struct mcq_pipe *p, struct mcq_seg *seg, uint64_t sent)
{
    uint64_t left = sent;
    for (;;) {
        size_t len = mcq_pipe_message_len(mcq_slice_of(seg->ptr, seg->len));
        if (len > left)
            break;
        left -= len;
        seg->ptr += len;
        seg->len -= len;
        seg->msg_cnt--;
        p->queued_msgs--;
        p->msgs_out++;
    }
    p->pool_bytes -= sent - left;
    p->queued_bytes += left;
    return left != 0;
}

bool mcq_pipe_rewind(struct mcq_pipe *p)
{
    mcq_pipe_land(p);
    mcq_pipe_shut(p); /* the bytes that come back count again */
    uint64_t sent = p->head_sent;
    p->head_sent = 0;
    if (sent == 0)
        return false;
    if (p->head->starts_msg && p->head->ends_msg)
        return skip_whole(p, p->head, sent);
    p->queued_bytes += sent;
    return true;
}
