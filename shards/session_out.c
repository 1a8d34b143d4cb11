/* The way out: control and the pipe's queue -> one gathered send. */
#include "shards/shard.h"

/* Subscriptions the peer has not been told yet. */
static bool wants_subscriptions(struct mcq_link *link, struct mcq_control *c)
{
    struct mcq_psock *ps = &link->sock->psock;
    return link->attached && ps->pattern->control != NULL &&
           ps->pattern->control(ps, &link->pipe, c);
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
        link->pipe.control_seq = c.seq;
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

static uint32_t gather_pipe(struct mcq_link *link, struct iovec *iov, uint32_t room)
{
    struct mcq_slice out[MCQ_CONN_IOV_MAX];
    uint32_t cnt = 0;
    /* Control that waits for a boundary gets one soon: stop at the next. */
    size_t bytes_max = wants_control(link) && link->session.ctl == NULL ? 1 : MCQ_SESSION_FLUSH_MAX;
    mcq_pipe_gather(&link->pipe, out, room, bytes_max, &cnt);
    for (uint32_t i = 0; i < cnt; i++)
        iov[i] = (struct iovec){(void *)(uintptr_t)out[i].ptr, out[i].len};
    return cnt;
}

bool mcq_session_flush(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    struct iovec iov[MCQ_CONN_IOV_MAX];
    uint32_t cnt = 0;
    if (s->conn == NULL || s->ended || s->mute || s->sending || s->end_due != MCQ_REASON_NONE ||
        s->conn->state != MCQ_CONN_OPEN)
        return false;
    bool pipe_ready = link->attached && !mcq_pipe_empty(&link->pipe);
    if (s->ctl == NULL && (!link->attached || mcq_pipe_at_boundary(&link->pipe)))
        fill_control(link);
    if (s->ctl != NULL)
        iov[cnt++] = (struct iovec){s->ctl->base + s->ctl_sent, s->ctl->written - s->ctl_sent};
    s->sending_pipe = pipe_ready;
    if (pipe_ready)
        cnt += gather_pipe(link, iov + cnt, MCQ_CONN_IOV_MAX - cnt);
    if (cnt == 0)
        return false;
    bool ok = mcq_conn_send(link->shard->loop, s->conn, iov, cnt);
    MCQ_ASSERT(ok);
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

void mcq_session_sent(struct mcq_link *link, uint32_t len)
{
    struct mcq_session *s = &link->session;
    struct mcq_shard *sh = link->shard;
    size_t ctl_len = 0;
    s->sending = false;
    sh->stats.proto.bytes_out += len;
    if (s->ctl != NULL) {
        ctl_len = mcq_min(len, s->ctl->written - s->ctl_sent);
        s->ctl_sent += ctl_len;
        if (s->ctl_sent == s->ctl->written) {
            mcq_buf_unref(sh->heap, s->ctl);
            s->ctl = NULL;
        }
    }
    if (s->sending_pipe) {
        s->sending_pipe = false;
        bool room = mcq_pipe_sent(&link->pipe, len - ctl_len);
        mcq_session_count_out(link);
        remember_mark(link);
        if (room && link->added)
            link->sock->psock.pattern->writable(&link->sock->psock, &link->pipe);
    }
    if (!mcq_pipe_empty(&link->pipe) || s->ctl != NULL || wants_control(link))
        link->pipe.env->mark(link->pipe.env->ctx, &link->pipe);
    else if (link->closing)
        mcq_link_drained(link);
}
