#include "shards/link_private.h"

#include "runtime/net.h"
#include "runtime/oserr.h"
#include "shards/claim.h"
#include "shards/crossing.h"
#include "shards/placement.h"
#include "shards/remote_peer.h"
#include "shards/shard.h"

/* --- life ---------------------------------------------------------------------------------- */

struct mcq_link *mcq_link_create(struct mcq_sock *sock)
{
    struct mcq_shard *sh = sock->shard;
    struct mcq_link *link = mcq_pool_take(&sh->links);
    if (link == NULL)
        return NULL;
    mcq_group_weigh(sh);
    mcq_pipe_init(&link->pipe, &sh->env, &sock->psock, sock->opts.send_hwm_msgs,
                  sock->opts.send_hwm_bytes);
    link->session.conn = NULL;
    link->session.ended = true;
    link->session.ready_node = (struct mcq_node){NULL, NULL};
    link->shard = sh;
    link->sock = sock;
    link->target = NULL;
    link->inproc = (struct mcq_inproc_side){.partner = NULL};
    link->bridge = NULL;
    link->channel = NULL;
    link->state = MCQ_LINK_WAITING;
    link->attached = false;
    link->addressable = false;
    link->closing = false;
    link->added = false;
    link->refused = false;
    link->hungry = false;
    link->slow_now = false;
    link->slow_told = false;
    link->slow_due = 0;
    link->close_reason = MCQ_REASON_NONE;
    link->late_reason = MCQ_REASON_NONE;
    link->linger_deadline_ns = 0;
    link->timer = (struct mcq_timer_node){.fn = mcq_link_tick};
    link->sock_node = (struct mcq_node){NULL, NULL};
    link->due_node = (struct mcq_node){NULL, NULL};
    link->proxy_node = (struct mcq_node){NULL, NULL};
    link->alias_node = (struct mcq_node){NULL, NULL};
    mcq_list_init(&link->feeders);
    link->remote = false;
    link->ends_peer = false;
    link->claim = NULL;
    link->move = NULL;
    link->crossing = NULL;
    link->held = false;
    link->gen = 0;
    link->hold_serial = 0;
    link->hold_gen = 0;
    link->at_gen = 0;
    link->topics = NULL;
    link->news_node = (struct mcq_node){NULL, NULL};
    link->drops = (struct mcq_drops){{0}};
    mcq_list_push_back(&sock->links, &link->sock_node);
    return link;
}

void mcq_link_free(struct mcq_link *link)
{
    struct mcq_shard *sh = link->shard;
    if (link->target != NULL)
        mcq_pool_give(&sh->targets, link->target);
    link->target = NULL;
    mcq_pool_give(&sh->links, link);
    mcq_group_weigh(sh);
}

static void set_live(struct mcq_link *link, bool on);

void mcq_link_remove(struct mcq_link *link)
{
    struct mcq_sock *sock = link->sock;
    struct mcq_shard *sh = link->shard;
    MCQ_ASSERT(link->claim == NULL);
    link->closing = true; /* handlers below may close the socket: this link is beyond that */
    mcq_timer_node_disarm(mcq_loop_timers(sh->loop), &link->timer);
    if (link->added)
        sock->psock.pattern->remove(&sock->psock, &link->pipe);
    if (sock->reserved == &link->pipe)
        sock->reserved = NULL;
    uint64_t left = mcq_pipe_fini(&link->pipe);
    sh->stats.pattern.drops_end += left;
    if (left != 0)
        mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_DROPPED,
                                                .reason = link->close_reason,
                                                .cnt = left});
    mcq_sock_tell_due(link);
    mcq_node_unlink(&link->pipe.mark_node);
    mcq_node_unlink(&link->sock_node);
    mcq_node_unlink(&link->inproc.node);
    mcq_node_unlink(&link->proxy_node);
    set_live(link, false);
    bool free = link->target == NULL || mcq_target_leave(link);
    if (link->target != NULL)
        mcq_link_tell(
            link, &(struct mcq_event){.kind = MCQ_EVENT_UNCONNECTED, .reason = link->close_reason});
    link->sock = NULL;
    if (free && !mcq_node_linked(&link->news_node))
        mcq_link_free(link);
    mcq_sock_check_closed(sock);
}

/* --- names --------------------------------------------------------------------------------- */

struct mcq_peer mcq_link_name(struct mcq_link *link)
{
    struct mcq_shard *sh = link->shard;
    uint32_t slot = mcq_pool_idx(&sh->links, link);
    uint32_t epoch = ++sh->epochs[slot];
    return (struct mcq_peer){(uint64_t)sh->id << 56 | (uint64_t)slot << 32 | epoch};
}

struct mcq_link *mcq_link_of_peer(const struct mcq_sock *sock, struct mcq_peer peer)
{
    const struct mcq_shard *sh = sock->shard;
    uint32_t slot = (uint32_t)(peer.bits >> 32) & MCQ_OP_SLOT_MAX;
    struct mcq_link *link = NULL;
    if (peer.bits >> 56 == sh->id && peer.bits != 0 && slot < sh->links.max &&
        sh->epochs[slot] == (uint32_t)peer.bits && sh->live[slot])
        link = mcq_pool_at(&sh->links, slot);
    else if (MCQ_UNLIKELY(peer.bits != 0))
        link = mcq_alias_find(&sh->alias, peer);
    return link != NULL && link->sock == sock ? link : NULL;
}

bool mcq_link_is_elsewhere(const struct mcq_sock *sock, struct mcq_peer peer,
                           const struct mcq_link *link)
{
    if (link != NULL)
        return link->state == MCQ_LINK_AWAY;
    uint64_t home = peer.bits >> 56;
    return sock->logical != MCQ_LOGICAL_NONE && !sock->claims && sock->shard == mcq_shard_here &&
           peer.bits != 0 && home != sock->shard->id && home < mcq_shard_cnt(sock->shard);
}

bool mcq_link_is_home(const struct mcq_link *link)
{
    uint64_t bits = link->pipe.peer.bits;
    uint32_t slot = mcq_pool_idx(&link->shard->links, link);
    return bits >> 56 == link->shard->id && (bits >> 32 & MCQ_OP_SLOT_MAX) == slot;
}

/* The peer's name is good from UP until DISCONNECTED has been told. */
static void set_live(struct mcq_link *link, bool on)
{
    if (mcq_link_is_home(link))
        link->shard->live[mcq_pool_idx(&link->shard->links, link)] = on;
    if (!on)
        mcq_alias_leave(link);
}

void mcq_link_vanish(struct mcq_link *link)
{
    link->close_reason = MCQ_REASON_LOCAL;
    mcq_link_remove(link);
}

const char *mcq_link_endpoint(const struct mcq_link *link, char text[MCQ_ENDPOINT_LEN_MAX])
{
    struct mcq_addr addr;
    if (link->target != NULL)
        return link->target->text;
    if (link->inproc.partner != NULL)
        return link->inproc.partner->target->text;
    if (link->bridge != NULL)
        return link->bridge->text;
    text[0] = '\0';
    if (link->session.conn == NULL)
        return text;
    mcq_conn_peer_addr(link->session.conn, &addr);
    mcq_endpoint_format(&addr, text);
    return text;
}

void mcq_link_tell(struct mcq_link *link, struct mcq_event *ev)
{
    char text[MCQ_ENDPOINT_LEN_MAX];
    if (link->channel != NULL && ev->kind != MCQ_EVENT_DROPPED)
        return;
    ev->endpoint = mcq_link_endpoint(link, text);
    mcq_sock_tell(link->sock, ev);
}

/* --- accepted ------------------------------------------------------------------------------ */

static void refuse(struct mcq_sock *sock, int fd)
{
    char text[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_addr addr;
    mcq_net_peer(fd, &addr);
    mcq_endpoint_format(&addr, text);
    mcq_net_close(fd);
    sock->shard->stats.pattern.peers_refused++;
    mcq_sock_tell(sock, &(struct mcq_event){
                            .kind = MCQ_EVENT_REFUSED,
                            .reason = sock->closing ? MCQ_REASON_LOCAL : MCQ_REASON_LIMIT,
                            .endpoint = text,
                            .detail = sock->closing ? "" : "all connections are in use",
                        });
}

void mcq_link_accept(struct mcq_sock *sock, int fd)
{
    struct mcq_shard *sh = sock->shard;
    struct mcq_conn *conn = NULL;
    struct mcq_link *link = sock->closing ? NULL : mcq_link_create(sock);
    if (link == NULL || mcq_conn_adopt(sh->loop, fd, &sock->sockopts, link, &conn) != MCQ_OK) {
        if (link != NULL) {
            mcq_node_unlink(&link->sock_node);
            mcq_link_free(link);
        }
        refuse(sock, fd);
        return;
    }
    link->state = MCQ_LINK_SESSION;
    mcq_session_open(link, conn);
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_ACCEPTED});
}

/* --- sessions ------------------------------------------------------------------------------ */

static struct mcq_slice peer_identity(const struct mcq_link *link)
{
    const struct mcq_link *partner = link->inproc.partner;
    if (link->bridge != NULL)
        return mcq_slice_of(link->pipe.identity, link->pipe.identity_len);
    if (partner == NULL)
        return mcq_zmtp_peer_identity(&link->session.zmtp);
    return mcq_slice_of(partner->sock->identity, partner->sock->opts.identity_len);
}

bool mcq_link_up(struct mcq_link *link)
{
    return mcq_placement_moves(link) || mcq_link_up_here(link);
}

bool mcq_link_up_here(struct mcq_link *link)
{
    struct mcq_sock *sock = link->sock;
    struct mcq_slice id = peer_identity(link);
    if (id.ptr != link->pipe.identity)
        mcq_bytes_copy(link->pipe.identity, id.ptr, id.len);
    link->pipe.identity_len = (uint8_t)id.len;
    if (!link->added)
        sock->psock.pattern->add(&sock->psock, &link->pipe);
    link->added = true;
    return sock->claims ? mcq_claim_begin(link) : mcq_link_granted(link, mcq_link_name(link));
}

bool mcq_link_granted(struct mcq_link *link, struct mcq_peer name)
{
    struct mcq_sock *sock = link->sock;
    link->pipe.peer = name;
    link->pipe.user = NULL;
    enum mcq_reason reason = sock->psock.pattern->attach(&sock->psock, &link->pipe);
    if (reason != MCQ_REASON_NONE) {
        link->refused = true;
        mcq_session_end(link, reason, 0);
        return false;
    }
    link->attached = true;
    link->addressable = true;
    set_live(link, true);
    if (link->claim != NULL)
        mcq_claim_up(link);
    if (link->target != NULL)
        mcq_target_up(link);
    link->pipe.env->mark(link->pipe.env->ctx, &link->pipe);
    mcq_link_touch(link);
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_UP, .peer = link->pipe.peer});
    if (link->session.end_due != MCQ_REASON_NONE)
        mcq_session_end(link, link->session.end_due, 0);
    return !link->session.ended;
}

void mcq_link_detach(struct mcq_link *link)
{
    struct mcq_psock *ps = &link->sock->psock;
    if (link->attached) {
        link->attached = false;
        link->addressable = false;
        if (link->channel != NULL)
            mcq_channel_detach(link->channel);
        else if (link->remote)
            mcq_psock_remove_far(ps, &link->pipe);
        else
            ps->pattern->detach(ps, &link->pipe);
    }
    if (link->claim != NULL)
        mcq_claim_end(link);
    mcq_crossing_end(link);
    mcq_remote_peer_leave(link);
}

static bool was_up(const struct mcq_link *link)
{
    return link->pipe.peer.bits != 0 && !link->refused;
}

static void tell_end(struct mcq_link *link, const struct mcq_report *report)
{
    if (link->remote)
        return; /* it is told where its connection is */
    const struct mcq_session *s = &link->session;
    struct mcq_event ev = {
        .kind = was_up(link)    ? MCQ_EVENT_DISCONNECTED
                : link->refused ? MCQ_EVENT_REFUSED
                                : MCQ_EVENT_HANDSHAKE_FAILED,
        .reason = s->reason,
        .error = mcq_oserr_error(s->os_errno),
        .os_errno = s->os_errno,
        .peer = was_up(link) ? link->pipe.peer : (struct mcq_peer){0},
        .report = *report,
        .detail = s->os_errno != 0 ? mcq_oserr_text(s->os_errno) : s->detail,
    };
    if (s->zmtp.state == MCQ_ZMTP_CLOSED && s->reason == mcq_zmtp_reason(&s->zmtp)) {
        ev.offset = s->zmtp.offset;
        ev.detail = mcq_zmtp_detail(&s->zmtp);
    }
    if (link->channel == NULL)
        link->shard->stats.disconnects[s->reason]++;
    mcq_link_tell(link, &ev);
}

/* Is another try wanted after this end? */
static bool goes_on(const struct mcq_link *link)
{
    enum mcq_reason reason = link->session.reason;
    if (link->target == NULL || mcq_target_stops(link))
        return false;
    return !link->closing || (!mcq_pipe_empty(&link->pipe) && reason != MCQ_REASON_LOCAL &&
                              reason != MCQ_REASON_KILLED &&
                              mcq_shard_now_ns(link->shard) < link->linger_deadline_ns);
}

/* What is queued ends with its peer, while the peer still has a name; what handlers add goes on to
 * the next connection or ends with the link. */
static void end_queue(struct mcq_link *link)
{
    uint64_t left = mcq_pipe_fini(&link->pipe);
    link->shard->stats.pattern.drops_end += left;
    if (left != 0)
        mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_DROPPED,
                                                .reason = link->close_reason,
                                                .peer = link->pipe.peer,
                                                .cnt = left});
}

static void session_closed(struct mcq_link *link)
{
    struct mcq_report report;
    bool keeps = mcq_psock_keeps(&link->sock->psock, &link->pipe);
    if (link->session.conn != NULL)
        mcq_placement_count(link->sock, -1);
    mcq_session_closed(link, &report);
    mcq_sock_tell_due(link);
    if (!keeps || (was_up(link) && !goes_on(link)))
        end_queue(link);
    tell_end(link, &report);
    mcq_handoff_ended(link);
    mcq_handoff_drop_topics(link);
    set_live(link, false);
}

/* The connection is closed for good: what now? */
static void conn_closed(struct mcq_link *link)
{
    if (!link->closing || link->session.reason == MCQ_REASON_KILLED)
        link->close_reason = link->session.reason;
    else
        (void)mcq_link_is_late(link);
    if (link->state == MCQ_LINK_CONNECTING)
        mcq_target_failed(link);
    else
        session_closed(link);
    link->session.conn = NULL;
    link->bridge = NULL;
    link->state = MCQ_LINK_WAITING;
    link->refused = false;
    link->pipe.peer = (struct mcq_peer){0};
    if (goes_on(link))
        mcq_target_retry(link);
    else
        mcq_link_remove(link);
}

static void connected(struct mcq_link *link)
{
    link->state = MCQ_LINK_SESSION;
    link->target->deadline_ns = 0;
    mcq_session_open(link, link->session.conn);
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_CONNECTED});
}

void mcq_link_event(struct mcq_link *link, const struct mcq_io_event *ev)
{
    switch (ev->kind) {
    case MCQ_IO_RECV:
        mcq_session_input(link, ev);
        break;
    case MCQ_IO_SENT:
        mcq_session_sent(link, ev->len);
        break;
    case MCQ_IO_EOF:
        mcq_session_eof(link);
        break;
    case MCQ_IO_ERROR:
        mcq_session_error(link, ev->os_errno);
        break;
    case MCQ_IO_CONNECTED:
        connected(link);
        break;
    case MCQ_IO_CONNECT_FAILED:
        mcq_target_fail(link, mcq_oserr_reason(ev->os_errno), ev->os_errno);
        break;
    case MCQ_IO_CLOSED:
        conn_closed(link);
        break;
    case MCQ_IO_FROZEN:
        mcq_handoff_frozen(link);
        break;
    case MCQ_IO_ACCEPTED:
    case MCQ_IO_ACCEPT_FAILED:
    case MCQ_IO_WAKE:
        MCQ_ASSERT(false);
    }
}
