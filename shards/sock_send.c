/* The public ways to send: thread check, the pattern's choice, ownership. */
#include "shards/remote_peer.h"
#include "shards/shard.h"

static inline enum mcq_error may_send(const struct mcq_sock *sock)
{
    if (MCQ_UNLIKELY(sock->shard != mcq_shard_here))
        return MCQ_ETHREAD;
    return MCQ_UNLIKELY(sock->closing) ? MCQ_ESTATE : MCQ_OK;
}

static enum mcq_error send_msg(struct mcq_sock *sock, struct mcq_pipe *to, struct mcq_msg *msg)
{
    struct mcq_psock *ps = &sock->psock;
    if (MCQ_UNLIKELY(msg->frame_cnt == 0 || msg->frame_cnt > MCQ_FRAME_CNT_MAX))
        return MCQ_EINVAL;
    enum mcq_error err = ps->pattern->send(ps, to, msg);
    if (MCQ_UNLIKELY(err != MCQ_OK))
        return err;
    mcq_buf_msg_drop(sock->shard->heap, msg);
    return MCQ_OK;
}

enum mcq_error mcq_send(struct mcq_sock *sock, struct mcq_msg *msg)
{
    enum mcq_error err = may_send(sock);
    return err != MCQ_OK ? err : send_msg(sock, NULL, msg);
}

/* Nobody here has the peer. */
static enum mcq_error why_not(const struct mcq_sock *sock, struct mcq_peer peer,
                              const struct mcq_link *link)
{
    return mcq_link_is_elsewhere(sock, peer, link) ? MCQ_ENOTSUP : MCQ_ESTALE;
}

/* For a peer that can't be sent to as it is: a way to one of another shard; NULL: *err. */
static __attribute__((noinline)) struct mcq_link *reach(struct mcq_sock *sock, struct mcq_peer to,
                                                        const struct mcq_link *known,
                                                        enum mcq_error *err)
{
    struct mcq_link *link = known == NULL ? mcq_remote_peer_reach(sock, to, err) : NULL;
    if (link == NULL && (*err == MCQ_OK || *err == MCQ_ESTALE))
        *err = why_not(sock, to, known);
    return link;
}

enum mcq_error mcq_send_to(struct mcq_sock *sock, struct mcq_peer to, struct mcq_msg *msg)
{
    enum mcq_error err = may_send(sock);
    if (err != MCQ_OK)
        return err;
    struct mcq_link *link = mcq_link_of_peer(sock, to);
    if (MCQ_UNLIKELY(link == NULL || !link->addressable)) {
        link = reach(sock, to, link, &err);
        if (link == NULL)
            return err;
    }
    return send_msg(sock, &link->pipe, msg);
}

static __attribute__((noinline)) enum mcq_error send_bytes_slow(struct mcq_sock *sock,
                                                                const void *data, size_t len)
{
    struct mcq_psock *ps = &sock->psock;
    enum mcq_error err = MCQ_OK;
    if (ps->pattern->pick == NULL || len >= MCQ_PIPE_SHARE_MIN) {
        struct mcq_msg msg = mcq_msg_of(data, len);
        return send_msg(sock, NULL, &msg);
    }
    struct mcq_pipe *p = ps->pattern->pick(ps, len, &err);
    if (MCQ_LIKELY(p != NULL)) {
        err = mcq_pipe_put_bytes(p, data, len);
        if (MCQ_LIKELY(err == MCQ_OK)) {
            ps->pattern->chosen(ps, p);
            return MCQ_OK;
        }
    }
    if (err != MCQ_EAGAIN || ps->opts->slow == MCQ_SLOW_BLOCK)
        return err;
    struct mcq_msg msg = mcq_msg_of(data, len);
    return send_msg(sock, NULL, &msg);
}

enum mcq_error mcq_send_bytes(struct mcq_sock *sock, const void *data, size_t len)
{
    struct mcq_psock *ps = &sock->psock;
    enum mcq_error err = may_send(sock);
    if (MCQ_UNLIKELY(err != MCQ_OK))
        return err;
    struct mcq_pipe *solo = ps->solo;
    if (MCQ_LIKELY(solo != NULL && len < MCQ_PIPE_SHARE_MIN && mcq_pipe_try_bytes(solo, data, len)))
        return MCQ_OK;
    return send_bytes_slow(sock, data, len);
}

enum mcq_error mcq_send_many(struct mcq_sock *sock, struct mcq_msg *msgs, size_t n, size_t *sent)
{
    enum mcq_error err = may_send(sock);
    *sent = 0;
    while (err == MCQ_OK && *sent < n) {
        err = send_msg(sock, NULL, &msgs[*sent]);
        if (err == MCQ_OK)
            (*sent)++;
    }
    return err;
}

enum mcq_error mcq_tx_reserve(struct mcq_sock *sock, size_t len, void **at)
{
    struct mcq_psock *ps = &sock->psock;
    enum mcq_error err = may_send(sock);
    if (err != MCQ_OK)
        return err;
    if (ps->pattern->pick == NULL)
        return MCQ_ENOTSUP;
    sock->reserved = NULL;
    struct mcq_pipe *p = ps->pattern->pick(ps, len, &err);
    if (p != NULL)
        err = mcq_pipe_reserve(p, len, at);
    if (err == MCQ_OK)
        sock->reserved = p;
    else if (err == MCQ_EAGAIN && ps->opts->slow != MCQ_SLOW_BLOCK)
        err = mcq_psock_again(ps);
    return err;
}

enum mcq_error mcq_tx_commit(struct mcq_sock *sock, size_t len)
{
    enum mcq_error err = may_send(sock);
    struct mcq_pipe *p = sock->reserved;
    if (err != MCQ_OK)
        return err;
    if (p == NULL)
        return MCQ_ESTATE;
    err = mcq_pipe_commit(p, len);
    if (err != MCQ_OK)
        return err;
    sock->reserved = NULL;
    sock->psock.pattern->chosen(&sock->psock, p);
    return MCQ_OK;
}

enum mcq_error mcq_flush(struct mcq_sock *sock)
{
    if (sock->shard != mcq_shard_here)
        return MCQ_ETHREAD;
    bool any = false;
    for (struct mcq_node *n = mcq_list_first(&sock->links); n != NULL;
         n = mcq_list_next(&sock->links, n)) {
        struct mcq_link *link = MCQ_CONTAINER_OF(n, struct mcq_link, sock_node);
        if (mcq_node_linked(&link->pipe.mark_node))
            any |= mcq_session_flush(link);
    }
    if (any)
        mcq_loop_submit(sock->shard->loop);
    mcq_mesh_publish(sock->shard->mesh);
    return MCQ_OK;
}

static enum mcq_error set_filter(struct mcq_sock *sock, bool add, const void *topic, size_t len)
{
    struct mcq_psock *ps = &sock->psock;
    enum mcq_error err = may_send(sock);
    if (err != MCQ_OK)
        return err;
    if (ps->pattern->subscribe == NULL)
        return MCQ_ENOTSUP;
    if (len > MCQ_TOPIC_LEN_MAX)
        return MCQ_EINVAL;
    return ps->pattern->subscribe(ps, add, mcq_slice_of(topic, len));
}

enum mcq_error mcq_subscribe(struct mcq_sock *sock, const void *topic, size_t len)
{
    return set_filter(sock, true, topic, len);
}

enum mcq_error mcq_unsubscribe(struct mcq_sock *sock, const void *topic, size_t len)
{
    return set_filter(sock, false, topic, len);
}

/* --- for a peer ------------------------------------------------------------------------------ */

static enum mcq_error set_filter_for(struct mcq_sock *sock, struct mcq_peer peer, bool add,
                                     const void *topic, size_t len)
{
    struct mcq_psock *ps = &sock->psock;
    enum mcq_error err = may_send(sock);
    if (err != MCQ_OK)
        return err;
    if (ps->pattern->subscribe_peer == NULL)
        return MCQ_ENOTSUP;
    if (len > MCQ_TOPIC_LEN_MAX)
        return MCQ_EINVAL;
    struct mcq_link *link = mcq_link_of_peer(sock, peer);
    if (link == NULL || !link->attached)
        return why_not(sock, peer, link);
    if (link->held)
        return MCQ_EAGAIN;
    return ps->pattern->subscribe_peer(ps, &link->pipe, add, mcq_slice_of(topic, len));
}

enum mcq_error mcq_peer_subscribe(struct mcq_sock *sock, struct mcq_peer peer, const void *topic,
                                  size_t len)
{
    return set_filter_for(sock, peer, true, topic, len);
}

enum mcq_error mcq_peer_unsubscribe(struct mcq_sock *sock, struct mcq_peer peer, const void *topic,
                                    size_t len)
{
    return set_filter_for(sock, peer, false, topic, len);
}
