/* The way out: control and the pipe's queue -> one gathered send. */
#include "shards/shard.h"

/* Subscriptions the peer has not been told yet; then the ends of those that only the member knew
 * from which it came. */
static bool wants_subscriptions(struct mcq_link *link, struct mcq_control *c)
{
    struct mcq_psock *ps = &link->sock->psock;
    if (!link->attached || ps->pattern->control == NULL)
        return false;
    if (ps->pattern->control(ps, &link->pipe, c))
        return true;
    if (MCQ_LIKELY(link->topics == NULL) || !mcq_handoff_next_topic(link, &c->topic))
        return false;
    c->add = false;
    c->seq = link->pipe.control_seq;
    return true;
}

static void subscription_told(struct mcq_link *link, const struct mcq_control *c)
{
    if (c->seq == link->pipe.control_seq)
        mcq_handoff_topic_told(link, c->topic);
    link->pipe.control_seq = c->seq;
}

static size_t control_need(const struct mcq_control *c)
{
    return c->topic.len + MCQ_ZMTP_DRAIN_MAX;
}

/* Writes what is to be said besides messages into a block of its own; it goes out first. */
static void fill_control(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    struct mcq_shard *sh = link->shard;
    struct mcq_control c;
    bool subs = wants_subscriptions(link, &c);
    if (!subs && !mcq_zmtp_wants_drain(&s->zmtp))
        return;
    s->ctl = mcq_buf_take(sh->heap, subs ? mcq_max(4096, control_need(&c)) : MCQ_ZMTP_DRAIN_MAX);
    if (s->ctl == NULL) { /* still wanted: a later flush tries again */
        mcq_link_hungry(link);
        return;
    }
    struct mcq_writer w = mcq_writer_of(s->ctl->base, s->ctl->cap);
    mcq_zmtp_drain(&s->zmtp, &w, &sh->stats.proto);
    while (subs && mcq_zmtp_put_subscription(&s->zmtp, &w, c.add, c.topic)) {
        subscription_told(link, &c);
        subs = wants_subscriptions(link, &c);
    }
    s->ctl->written = w.len;
    s->ctl_sent = 0;
    if (w.len == 0) {
        mcq_buf_unref(sh->heap, s->ctl);
        s->ctl = NULL;
    }
}

static bool wants_control(struct mcq_link *link)
{
    struct mcq_control c;
    return mcq_zmtp_wants_drain(&link->session.zmtp) || wants_subscriptions(link, &c);
}

/* Control that waits for a boundary gets one soon: stop at the next. */
static size_t gather_max(struct mcq_link *link, size_t len)
{
    return wants_control(link) && link->session.ctl == NULL ? 1 : len;
}

static uint32_t gather_pipe(struct mcq_link *link, struct iovec *iov, uint32_t room)
{
    struct mcq_slice out[MCQ_CONN_IOV_MAX];
    uint32_t cnt = 0;
    mcq_pipe_gather(&link->pipe, out, room, gather_max(link, MCQ_SESSION_FLUSH_MAX), &cnt);
    for (uint32_t i = 0; i < cnt; i++)
        iov[i] = (struct iovec){(void *)(uintptr_t)out[i].ptr, out[i].len};
    return cnt;
}

/* Bytes of a block to convert into: small ones once half of the large ones are gone, so that
 * however many peers of 1.0 don't read, there are some for others. */
static size_t v1_block_len(struct mcq_buf_heap *heap)
{
    uint32_t max = mcq_buf_heap_pool(heap, MCQ_BUF_32K)->max;
    return mcq_buf_heap_left(heap) > max / 2 ? MCQ_BUF_RX_LEN : MCQ_SESSION_V1_LEN_MIN;
}

/* Converts what comes next into a block. false: there is none. */
static bool fill_v1(struct mcq_link *link)
{
    struct mcq_session_v1 *v1 = &link->session.v1;
    struct mcq_buf_heap *heap = link->shard->heap;
    struct mcq_slice out[MCQ_CONN_IOV_MAX];
    uint32_t cnt = 0;
    v1->buf = mcq_buf_take(heap, v1_block_len(heap));
    if (v1->buf == NULL) { /* a later flush tries again */
        mcq_link_hungry(link);
        return false;
    }
    struct mcq_writer w = mcq_writer_of(v1->buf->base, v1->buf->cap);
    v1->start = v1->end;
    v1->sent = 0;
    v1->stored_len = 0;
    mcq_pipe_gather(&link->pipe, out, MCQ_CONN_IOV_MAX, gather_max(link, w.cap), &cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        struct mcq_reader in = mcq_reader_of(out[i]);
        mcq_reframe_run(&v1->end, &in, &w);
        v1->stored_len += in.pos;
        if (mcq_reader_left(&in) != 0)
            break;
    }
    MCQ_ASSERT(w.len != 0);
    v1->buf->written = w.len;
    return true;
}

void mcq_session_land(struct mcq_link *link)
{
    if (link->session.v1.buf != NULL)
        mcq_pipe_land(&link->pipe);
}

/* The same segments as when the block was filled, for they are as many and as long. */
void mcq_session_take_off(struct mcq_link *link)
{
    struct mcq_slice out[MCQ_CONN_IOV_MAX];
    uint32_t cnt;
    const struct mcq_session_v1 *v1 = &link->session.v1;
    if (v1->buf == NULL)
        return;
    size_t len = mcq_pipe_gather(&link->pipe, out, MCQ_CONN_IOV_MAX, v1->stored_len, &cnt);
    MCQ_ASSERT(len >= v1->stored_len);
}

static uint32_t gather_v1(struct mcq_link *link, struct iovec *iov)
{
    struct mcq_session_v1 *v1 = &link->session.v1;
    if (v1->buf == NULL && !fill_v1(link))
        return 0;
    *iov = (struct iovec){v1->buf->base + v1->sent, v1->buf->written - v1->sent};
    return 1;
}

bool mcq_session_flush(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    struct iovec iov[MCQ_CONN_IOV_MAX];
    uint32_t cnt = 0;
    if (s->conn == NULL) {
        if (link->bridge != NULL)
            mcq_bridge_flush(link->bridge);
        else
            mcq_inproc_due(link);
        return false;
    }
    if (s->ended || s->moving || s->mute || s->sending || s->end_due != MCQ_REASON_NONE ||
        s->conn->state != MCQ_CONN_OPEN)
        return false;
    bool pipe_ready = link->attached && !mcq_pipe_empty(&link->pipe);
    bool v1 = mcq_zmtp_is_v1(&s->zmtp);
    bool inside = v1 && s->v1.buf != NULL; /* a block that isn't wholly sent */
    if (s->ctl == NULL && !inside && (!link->attached || mcq_pipe_at_boundary(&link->pipe)))
        fill_control(link);
    if (s->ctl != NULL)
        iov[cnt++] = (struct iovec){s->ctl->base + s->ctl_sent, s->ctl->written - s->ctl_sent};
    uint32_t ctl_cnt = cnt;
    if (pipe_ready)
        cnt +=
            v1 ? gather_v1(link, iov + cnt) : gather_pipe(link, iov + cnt, MCQ_CONN_IOV_MAX - cnt);
    s->sending_pipe = cnt > ctl_cnt;
    if (cnt == 0)
        return false;
    bool ok = mcq_conn_send(link->shard->loop, s->conn, iov, cnt);
    MCQ_ASSERT(ok);
    mcq_zmtp_told(&s->zmtp, mcq_shard_now_ns(link->shard));
    s->sending = true;
    return true;
}

static void remember_mark(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    s->marks[s->mark_cnt++ % MCQ_SESSION_MARKS_MAX] =
        (struct mcq_session_mark){s->conn->bytes_out, link->pipe.msgs_out - s->msgs_out_base};
}

void mcq_session_count_out(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    link->shard->stats.proto.msgs_out += link->pipe.msgs_out - s->msgs_out_counted;
    s->msgs_out_counted = link->pipe.msgs_out;
}

static void pipe_sent(struct mcq_link *link, size_t len)
{
    bool room = mcq_pipe_sent(&link->pipe, len);
    mcq_session_count_out(link);
    remember_mark(link);
    if (room && link->added)
        mcq_link_room(link);
}

static void v1_drop(struct mcq_link *link)
{
    mcq_buf_unref(link->shard->heap, link->session.v1.buf);
    link->session.v1.buf = NULL;
}

static void v1_sent(struct mcq_link *link, size_t len)
{
    struct mcq_session_v1 *v1 = &link->session.v1;
    v1->sent += len;
    if (v1->sent < v1->buf->written)
        return;
    v1_drop(link);
    pipe_sent(link, v1->stored_len);
}

static void drop_control(struct mcq_link *link)
{
    mcq_buf_unref(link->shard->heap, link->session.ctl);
    link->session.ctl = NULL;
}

void mcq_session_sent(struct mcq_link *link, uint32_t len)
{
    struct mcq_session *s = &link->session;
    size_t ctl_len = 0;
    s->sending = false;
    link->shard->stats.proto.bytes_out += len;
    if (s->ctl != NULL) {
        ctl_len = mcq_min(len, s->ctl->written - s->ctl_sent);
        s->ctl_sent += ctl_len;
        if (s->ctl_sent == s->ctl->written)
            drop_control(link);
    }
    if (s->sending_pipe) {
        s->sending_pipe = false;
        if (mcq_zmtp_is_v1(&s->zmtp))
            v1_sent(link, len - ctl_len);
        else
            pipe_sent(link, len - ctl_len);
    }
    if (!mcq_pipe_empty(&link->pipe) || s->ctl != NULL || wants_control(link))
        link->pipe.env->mark(link->pipe.env->ctx, &link->pipe);
    else if (link->closing)
        mcq_link_drained(link);
}

/* The part of a block that the kernel has, in bytes of the pipe. */
static void v1_cut(struct mcq_link *link)
{
    struct mcq_session_v1 *v1 = &link->session.v1;
    size_t stored_len = mcq_reframe_stored_len(&v1->start, mcq_slice_of(v1->buf->base, v1->sent));
    v1_drop(link);
    pipe_sent(link, stored_len);
}

bool mcq_session_settle(struct mcq_link *link)
{
    if (link->session.ctl != NULL)
        drop_control(link);
    if (link->session.v1.buf != NULL)
        v1_cut(link);
    bool cut = mcq_pipe_rewind(&link->pipe);
    mcq_session_count_out(link);
    return cut;
}
