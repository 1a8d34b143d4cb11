#include "shards/session.h"

#include "shards/shard.h"

void mcq_session_open(struct mcq_link *link, struct mcq_conn *conn)
{
    struct mcq_session *s = &link->session;
    struct mcq_sock *sock = link->sock;
    uint64_t now = mcq_shard_now_ns(link->shard);
    const struct mcq_zmtp_config cfg = {
        .type = sock->psock.pattern->type,
        .peer_mask = sock->psock.pattern->peer_mask,
        .limits = {sock->opts.frame_max_bytes, sock->opts.msg_max_bytes, sock->opts.msg_frames_max},
        .identity = mcq_slice_of(sock->identity, sock->opts.identity_len),
        .handshake_deadline_ns = now + sock->opts.handshake_ms * 1000000ull,
        .version_min = sock->opts.zmtp_min,
        .heartbeat_ms = sock->opts.heartbeat_ms,
        .heartbeat_timeout_ms = sock->opts.heartbeat_timeout_ms,
        .heartbeat_ttl_ms = sock->opts.heartbeat_ttl_ms,
    };
    *s = (struct mcq_session){.conn = conn,
                              .msgs_out_base = link->pipe.msgs_out,
                              .msgs_out_counted = link->pipe.msgs_out};
    mcq_zmtp_init(&s->zmtp, &cfg, now);
    mcq_placement_count(sock, 1);
    link->pipe.env->mark(link->pipe.env->ctx, &link->pipe);
    mcq_session_rearm(link);
    mcq_link_touch(link);
}

/* To a far end: by a connection, or without one. */
static bool is_joined(const struct mcq_link *link)
{
    return link->session.conn != NULL || link->inproc.partner != NULL || link->bridge != NULL;
}

static bool begin_end(struct mcq_link *link, enum mcq_reason reason, int os_errno)
{
    struct mcq_session *s = &link->session;
    if (s->ended || !is_joined(link))
        return false;
    MCQ_ASSERT(!link->held);
    s->ended = true;
    s->reason = s->end_due != MCQ_REASON_NONE ? s->end_due : reason;
    s->os_errno = os_errno;
    mcq_node_unlink(&s->ready_node);
    mcq_handoff_call_off(link);
    s->moving = false;
    mcq_link_detach(link);
    return true;
}

static void end_inproc(struct mcq_link *link)
{
    if (link->bridge != NULL)
        mcq_bridge_end(link->bridge,
                       link->remote ? mcq_remote_peer_echo(link) : mcq_inproc_echo(link), 0);
    else
        mcq_inproc_due(link);
}

void mcq_session_end(struct mcq_link *link, enum mcq_reason reason, int os_errno)
{
    if (!begin_end(link, reason, os_errno))
        return;
    if (link->session.conn != NULL)
        mcq_conn_abort(link->shard->loop, link->session.conn);
    else
        end_inproc(link);
}

void mcq_session_close(struct mcq_link *link, enum mcq_reason reason, uint64_t deadline_ns)
{
    if (!begin_end(link, reason, 0))
        return;
    if (link->session.conn != NULL)
        mcq_conn_close(link->shard->loop, link->session.conn, deadline_ns);
    else
        end_inproc(link);
}

void mcq_session_end_soon(struct mcq_link *link, enum mcq_reason reason)
{
    struct mcq_session *s = &link->session;
    if (!is_joined(link))
        return;
    if (s->conn != NULL && s->conn->state == MCQ_CONN_DRAINING) {
        s->reason = reason;
        mcq_conn_abort(link->shard->loop, s->conn);
    } else if (!s->ended && s->end_due == MCQ_REASON_NONE) {
        s->end_due = reason;
        mcq_link_touch(link);
    }
}

/* Messages that were certainly acknowledged: the newest point that lies before the unacknowledged
 * bytes. */
static uint64_t acked_msgs(const struct mcq_session *s, uint64_t acked_bytes)
{
    uint64_t msgs = 0;
    uint32_t n = s->mark_cnt < MCQ_SESSION_MARKS_MAX ? s->mark_cnt : MCQ_SESSION_MARKS_MAX;
    for (uint32_t i = 0; i < n; i++)
        if (s->marks[i].bytes_out <= acked_bytes && s->marks[i].msgs_out > msgs)
            msgs = s->marks[i].msgs_out;
    return msgs;
}

void mcq_session_closed(struct mcq_link *link, struct mcq_report *report)
{
    struct mcq_session *s = &link->session;
    struct mcq_buf_heap *heap = link->shard->heap;
    if (s->conn == NULL) {
        mcq_inproc_closed(link, report);
        return;
    }
    bool cut = mcq_session_settle(link);
    *report = (struct mcq_report){
        .msgs_in = s->msgs_in,
        .msgs_out = link->pipe.msgs_out - s->msgs_out_base,
        .bytes_in = s->conn->bytes_in,
        .bytes_out = s->conn->bytes_out,
        .undelivered_bytes = s->undelivered_bytes + s->win.len,
        .unacked_bytes = s->conn->unacked,
        .unacked_known = s->conn->unacked_known,
    };
    report->lost_hi = report->msgs_out + (cut ? 1 : 0);
    report->lost_lo = report->lost_hi;
    if (!s->conn->unacked_known)
        report->lost_lo = 0;
    else if (s->conn->unacked != 0 || cut)
        report->lost_lo = acked_msgs(s, s->conn->bytes_out - s->conn->unacked);
    link->shard->stats.proto.bytes_undelivered += report->undelivered_bytes;
    mcq_window_drop(heap, &s->win);
}
