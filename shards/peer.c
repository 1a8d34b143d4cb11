/* The public calls about one peer. What only its connection's shard can do is asked of it. */
#include "shards/remote_peer.h"
#include "shards/shard.h"

/* The peer's link for a caller on the right thread, else NULL. */
static struct mcq_link *live_link(const struct mcq_sock *sock, struct mcq_peer peer)
{
    return sock->shard == mcq_shard_here ? mcq_link_of_peer(sock, peer) : NULL;
}

/* What is known of a peer of another shard, for a caller on the right thread. */
static const struct mcq_record *known_record(const struct mcq_sock *sock, struct mcq_peer peer)
{
    const struct mcq_record *r =
        sock->shard == mcq_shard_here ? mcq_directory_name(&sock->shard->directory, peer) : NULL;
    return r != NULL && r->key.life == sock->life ? r : NULL;
}

/* The peer's link; a known one of another shard gets it now. */
static struct mcq_link *any_link(struct mcq_sock *sock, struct mcq_peer peer)
{
    enum mcq_error err = MCQ_OK;
    struct mcq_link *link = live_link(sock, peer);
    if (link != NULL || sock->closing || known_record(sock, peer) == NULL)
        return link;
    return mcq_remote_peer_reach(sock, peer, &err);
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
    if (p != NULL) {
        *peer = p->peer;
        return MCQ_OK;
    }
    const struct mcq_record *r =
        mcq_directory_find(&sock->shard->directory, sock->life, mcq_slice_of(identity, len));
    if (r == NULL)
        return MCQ_ENOENT;
    *peer = (struct mcq_peer){r->bits};
    return MCQ_OK;
}

enum mcq_error mcq_peer_identity(const struct mcq_sock *sock, struct mcq_peer peer,
                                 struct mcq_frame *id)
{
    struct mcq_link *link = live_link(sock, peer);
    if (link != NULL && (!link->remote || link->pipe.identity_len != 0)) {
        id->data = link->pipe.identity;
        id->len = link->pipe.identity_len;
        return MCQ_OK;
    }
    const struct mcq_record *r = known_record(sock, peer);
    if (r == NULL)
        return why_not(sock);
    struct mcq_slice known = mcq_directory_identity(&r->key);
    id->data = known.ptr;
    id->len = known.len;
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
    if (link == NULL || link->state == MCQ_LINK_AWAY)
        return why_not(sock);
    if (link->held)
        return MCQ_EAGAIN;
    if (link->remote)
        return MCQ_ENOTSUP;
    mcq_session_resume(link);
    return MCQ_OK;
}

enum mcq_error mcq_peer_close(struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_link *link = any_link(sock, peer);
    if (mcq_link_is_elsewhere(sock, peer, link))
        return mcq_handoff_ask(sock, peer, link, MCQ_MOVE_CLOSE, 0);
    if (link == NULL)
        return why_not(sock);
    link->ends_peer = true;
    mcq_link_close(link, MCQ_REASON_LOCAL, sock->opts.linger_ms * 1000000ull);
    return MCQ_OK;
}

enum mcq_error mcq_peer_kill(struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_link *link = any_link(sock, peer);
    if (mcq_link_is_elsewhere(sock, peer, link))
        return mcq_handoff_ask(sock, peer, link, MCQ_MOVE_KILL, 0);
    if (link == NULL)
        return why_not(sock);
    mcq_link_kill(link);
    return MCQ_OK;
}

enum mcq_error mcq_peer_stats(const struct mcq_sock *sock, struct mcq_peer peer,
                              struct mcq_peer_stats *stats)
{
    const struct mcq_link *link = live_link(sock, peer);
    if (link == NULL && known_record(sock, peer) != NULL) {
        *stats = (struct mcq_peer_stats){.msgs_in = 0}; /* nothing was sent to it from here */
        return MCQ_OK;
    }
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
    struct mcq_link *link = any_link(sock, peer);
    if (link == NULL)
        return why_not(sock);
    link->pipe.user = user;
    return MCQ_OK;
}

enum mcq_error mcq_peer_move(struct mcq_sock *sock, struct mcq_peer peer, uint32_t shard)
{
    struct mcq_shard *sh = sock->shard;
    if (sh != mcq_shard_here)
        return MCQ_ETHREAD;
    if (sock->logical == MCQ_LOGICAL_NONE)
        return MCQ_ENOTSUP;
    if (!mcq_logical_has(&sh->roster->logicals, sock->logical, shard))
        return MCQ_EINVAL;
    struct mcq_link *link = live_link(sock, peer);
    if (mcq_link_is_elsewhere(sock, peer, link) || (link != NULL && link->remote) ||
        (link == NULL && known_record(sock, peer) != NULL))
        return mcq_handoff_ask(sock, peer, link, MCQ_MOVE_ASK, shard);
    if (link == NULL)
        return MCQ_ESTALE;
    if (link->inproc.partner != NULL)
        return MCQ_ENOTSUP;
    return shard == sh->id && link->move == NULL ? MCQ_OK : mcq_handoff_begin(link, shard);
}

enum mcq_error mcq_peer_shard(const struct mcq_sock *sock, struct mcq_peer peer, uint32_t *shard)
{
    const struct mcq_link *link = live_link(sock, peer);
    const struct mcq_record *r = known_record(sock, peer);
    if (r != NULL && (link == NULL || link->remote))
        *shard = r->shard;
    else if (mcq_link_is_elsewhere(sock, peer, link))
        *shard = link != NULL ? link->owner : (uint32_t)(peer.bits >> 56);
    else if (link == NULL)
        return why_not(sock);
    else
        *shard = sock->shard->id;
    return MCQ_OK;
}
