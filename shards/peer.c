/* The public calls about one peer. */
#include "shards/shard.h"

/* The peer's link for a caller on the right thread, else NULL. */
static struct mcq_link *live_link(const struct mcq_sock *sock, struct mcq_peer peer)
{
    return sock->shard == mcq_shard_here ? mcq_link_of_peer(sock, peer) : NULL;
}

static enum mcq_error why_not(const struct mcq_sock *sock)
{
    return sock->shard == mcq_shard_here ? MCQ_ESTALE : MCQ_ETHREAD;
}

enum mcq_error mcq_peer_find(const struct mcq_sock *sock, const void *identity, size_t len,
                             struct mcq_peer *peer)
{
    if (sock->shard != mcq_shard_here)
        return MCQ_ETHREAD;
    if (len == 0 || len > MCQ_IDENTITY_LEN_MAX)
        return MCQ_EINVAL;
    const struct mcq_pipe *p = mcq_psock_find(&sock->psock, mcq_slice_of(identity, len));
    if (p == NULL)
        return MCQ_ENOENT;
    *peer = p->peer;
    return MCQ_OK;
}

enum mcq_error mcq_peer_identity(const struct mcq_sock *sock, struct mcq_peer peer,
                                 struct mcq_frame *id)
{
    struct mcq_link *link = live_link(sock, peer);
    if (link == NULL)
        return why_not(sock);
    id->data = link->pipe.identity;
    id->len = link->pipe.identity_len;
    return MCQ_OK;
}

const char *mcq_peer_endpoint(const struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_link *link = live_link(sock, peer);
    return link == NULL ? "" : mcq_link_endpoint(link, sock->shard->text);
}

enum mcq_error mcq_peer_resume(struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_link *link = live_link(sock, peer);
    if (link == NULL)
        return why_not(sock);
    mcq_session_resume(link);
    return MCQ_OK;
}

enum mcq_error mcq_peer_close(struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_link *link = live_link(sock, peer);
    if (link == NULL)
        return why_not(sock);
    mcq_link_close(link, MCQ_REASON_LOCAL, sock->opts.linger_ms * 1000000ull);
    return MCQ_OK;
}

enum mcq_error mcq_peer_kill(struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_link *link = live_link(sock, peer);
    if (link == NULL)
        return why_not(sock);
    mcq_link_kill(link);
    return MCQ_OK;
}

enum mcq_error mcq_peer_stats(const struct mcq_sock *sock, struct mcq_peer peer,
                              struct mcq_peer_stats *stats)
{
    const struct mcq_link *link = live_link(sock, peer);
    if (link == NULL)
        return why_not(sock);
    const struct mcq_pipe *p = &link->pipe;
    const struct mcq_session *s = &link->session;
    bool wired = s->conn != NULL;
    *stats = (struct mcq_peer_stats){
        .msgs_in = s->msgs_in,
        .msgs_out = p->msgs_out - s->msgs_out_base,
        .bytes_in = wired ? s->conn->bytes_in : link->inproc.bytes_in,
        .bytes_out = wired ? s->conn->bytes_out : link->inproc.bytes_out,
        .queued_msgs = mcq_pipe_queued_msgs(p),
        .queued_bytes = mcq_pipe_queued_bytes(p),
        .waiting_bytes = link->bridge != NULL ? mcq_bridge_waiting(link->bridge) : s->win.len,
        .dropped = p->dropped,
        .slow_cnt = p->slow_cnt,
        .slow = p->slow,
        .paused = s->paused,
    };
    if (wired)
        (void)mcq_conn_unacked(s->conn, &stats->unacked_bytes);
    return MCQ_OK;
}

void *mcq_peer_user(const struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_link *link = live_link(sock, peer);
    return link == NULL ? NULL : link->pipe.user;
}

enum mcq_error mcq_peer_set_user(struct mcq_sock *sock, struct mcq_peer peer, void *user)
{
    struct mcq_link *link = live_link(sock, peer);
    if (link == NULL)
        return why_not(sock);
    link->pipe.user = user;
    return MCQ_OK;
}
