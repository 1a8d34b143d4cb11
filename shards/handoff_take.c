/* The taker's part of a hand-off. */
#include "shards/crossing.h"
#include "shards/handoff.h"
#include "shards/shard.h"

/* A connect's far end and its tries come along. */
static bool take_target(struct mcq_link *link, const struct mcq_link *giver)
{
    struct mcq_shard *sh = link->shard;
    if (giver->target == NULL)
        return true;
    struct mcq_target *t = mcq_pool_take(&sh->targets);
    if (t == NULL)
        return false;
    *t = *giver->target;
    t->link = link;
    t->query = (struct mcq_query){.mailbox = NULL};
    link->target = t;
    link->pipe.connecting = true;
    return true;
}

static void drop_target(struct mcq_link *link)
{
    if (link->target != NULL)
        mcq_pool_give(&link->shard->targets, link->target);
    link->target = NULL;
    link->pipe.connecting = false;
}

static void restore_pipe(struct mcq_link *link, const struct mcq_move *m)
{
    struct mcq_pipe *p = &link->pipe;
    const struct mcq_move_pipe *was = &m->pipe;
    p->dropped = was->dropped;
    p->slow_cnt = was->slow_cnt;
    p->late_cnt = was->late_cnt;
    p->at_mark = was->at_mark || p->at_mark;
    p->slow = was->slow;
    p->starved = was->starved || was->slow || p->starved; /* room is told, and ends the slowness */
    link->slow_now = was->slow;
    link->slow_told = was->slow_told;
}

/* The pattern takes the peer up, with all it had. */
static bool attach(struct mcq_link *link, const struct mcq_move *m)
{
    struct mcq_psock *ps = &link->sock->psock;
    struct mcq_pipe *p = &link->pipe;
    const struct mcq_pipe *was = &m->link->pipe;
    p->peer = m->peer;
    mcq_bytes_copy(p->identity, was->identity, was->identity_len);
    p->identity_len = was->identity_len;
    p->user = m->pipe.user;
    if (!mcq_crossing_begin(link, m))
        return false;
    p->arriving = true;
    ps->pattern->add(ps, p);
    enum mcq_reason reason = ps->pattern->attach(ps, p);
    p->arriving = false;
    if (reason == MCQ_REASON_NONE &&
        (ps->pattern->inherit == NULL || ps->pattern->inherit(ps, p, was))) {
        restore_pipe(link, m);
        mcq_crossing_subscribed(link);
        return true;
    }
    ps->pattern->remove(ps, p);
    mcq_crossing_end(link);
    return false;
}

static void detach(struct mcq_link *link)
{
    link->sock->psock.pattern->remove(&link->sock->psock, &link->pipe);
    mcq_crossing_end(link);
}

static bool take_parts(struct mcq_link *link, struct mcq_move *m)
{
    struct mcq_shard *sh = link->shard;
    const struct mcq_link *giver = m->link;
    struct mcq_session *s = &link->session;
    struct mcq_conn *conn = NULL;
    link->arrived = (struct mcq_pipe_queue){.head = NULL};
    if (!mcq_pack_take_session(sh, m->from, &giver->session, m->win_way, s)) {
        s->ended = true;
        s->moving = false;
        return false;
    }
    if (mcq_pack_take(sh, m->from, &m->queue, &link->arrived) && take_target(link, giver) &&
        mcq_handoff_take_topics(link, m) && (!m->up || attach(link, m))) {
        if (mcq_conn_take(sh->loop, &m->conn, link, &conn) == MCQ_OK) {
            s->conn = conn;
            return true;
        }
        if (m->up)
            detach(link);
    }
    mcq_handoff_drop_topics(link);
    drop_target(link);
    mcq_pack_undo(sh, &link->arrived);
    mcq_pack_undo_session(sh, s);
    s->ended = true;
    s->moving = false;
    return false;
}

static bool has_room(const struct mcq_sock *sock, const struct mcq_move *m)
{
    const struct mcq_pipe *p = &m->link->pipe;
    return !m->up || !sock->claims ||
           mcq_directory_has_room(&sock->shard->directory,
                                  mcq_slice_of(p->identity, p->identity_len));
}

/* The giver keeps its own until it hears of this: who sends to the peer from over there finds it
 * here from then on. */
static void take_claim(struct mcq_link *link, const struct mcq_move *m)
{
    struct mcq_directory *d = &link->shard->directory;
    const struct mcq_pipe *p = &link->pipe;
    if (!m->up || !link->sock->claims)
        return;
    link->claim =
        mcq_directory_take(d, link->sock->life, mcq_slice_of(p->identity, p->identity_len), m->peer,
                           m->generation, link);
    MCQ_ASSERT(link->claim != NULL);
    (void)mcq_directory_run(d);
}

/* The name's home has a link for it already, and so has a shard that sends to it. NULL: none. */
static struct mcq_link *stand_in(struct mcq_sock *sock, const struct mcq_move *m)
{
    struct mcq_link *link = m->up ? mcq_link_of_peer(sock, m->peer) : NULL;
    return link != NULL && link->state == MCQ_LINK_AWAY ? link : NULL;
}

/* The link by which this shard sends to the peer while another one has it. NULL: none. */
static struct mcq_link *remote_of(const struct mcq_sock *sock, const struct mcq_move *m)
{
    struct mcq_link *link = m->up ? mcq_link_of_peer(sock, m->peer) : NULL;
    return link != NULL && link->remote ? link : NULL;
}

bool mcq_handoff_ready(struct mcq_shard *sh, const struct mcq_move *m)
{
    const struct mcq_sock *sock = sh->members[m->logical];
    struct mcq_link *remote = sock == NULL ? NULL : remote_of(sock, m);
    if (remote == NULL || remote->bridge == NULL || mcq_remote_peer_may_part(remote))
        return true;
    remote->hold_gen = m->gen; /* it may be younger than MOVING; if the peer stays, OWNER ends it */
    if (!remote->bridge->held)
        mcq_bridge_hold(remote->bridge);
    return false;
}

static struct mcq_link *take_link(struct mcq_sock *sock, struct mcq_move *m, struct mcq_link *known)
{
    struct mcq_link *link = known != NULL ? known : mcq_link_create(sock);
    if (link == NULL || link->closing || mcq_node_linked(&link->news_node))
        return NULL;
    if (take_parts(link, m))
        return link;
    if (known == NULL) {
        mcq_node_unlink(&link->sock_node);
        mcq_link_free(link);
    }
    return NULL;
}

bool mcq_handoff_take(struct mcq_shard *sh, struct mcq_move *m)
{
    struct mcq_sock *sock = sh->members[m->logical];
    sh->stats.moves.refused++;
    if (sock == NULL || sock->closing || sock->life != m->life || !has_room(sock, m))
        return false;
    struct mcq_link *remote = remote_of(sock, m);
    if (remote != NULL && !mcq_remote_peer_may_part(remote))
        return false;
    bool named = remote != NULL && remote->pipe.identity_len != 0;
    if (remote != NULL)
        mcq_psock_leave_far(&sock->psock, &remote->pipe);
    struct mcq_link *known = stand_in(sock, m);
    struct mcq_link *link = take_link(sock, m, known);
    if (link == NULL) {
        if (named)
            mcq_psock_enter_far(&sock->psock, &remote->pipe);
        return false;
    }
    link->held = true;
    link->state = MCQ_LINK_SESSION;
    link->gen = m->gen;
    link->pipe.msgs_out = m->pipe.msgs_out;
    link->added = m->up;
    link->attached = m->up;
    link->addressable = m->up;
    if (remote != NULL)
        mcq_remote_peer_give_way(remote, link);
    if (m->up && known == NULL)
        mcq_alias_enter(&sh->alias, link);
    take_claim(link, m);
    m->taken = link;
    mcq_placement_count(sock, 1);
    sh->stats.moves.refused--;
    sh->stats.moves.came++;
    return true;
}

static void comply(struct mcq_link *link, enum mcq_move_word wish)
{
    if (wish == MCQ_MOVE_CLOSE)
        mcq_link_close(link, MCQ_REASON_LOCAL, link->sock->opts.linger_ms * 1000000ull);
    else if (wish == MCQ_MOVE_KILL)
        mcq_link_kill(link);
}

bool mcq_handoff_go(struct mcq_shard *sh, struct mcq_move *m)
{
    struct mcq_link *link = m->taken;
    struct mcq_pipe_queue late;
    if (link == NULL) /* done; only the word is missing */
        return true;
    if (!mcq_pack_take(sh, m->from, &m->late, &late))
        return false;
    mcq_pipe_put_back(&link->pipe, &late);
    mcq_pipe_put_back(&link->pipe, &link->arrived);
    mcq_crossing_arrived(link);
    mcq_session_take_off(link);
    mcq_zmtp_deaf(&link->session.zmtp, m->frozen_ns, mcq_shard_now_ns(sh));
    m->taken = NULL;
    link->held = false;
    link->session.moving = false;
    link->pipe.user = m->pipe.user;
    link->pipe.dropped += m->pipe.dropped;
    link->pipe.slow_cnt += m->pipe.slow_cnt;
    mcq_link_touch(link);
    if (!m->up) {
        if (mcq_link_up_here(link))
            mcq_session_go_on(link);
        return true;
    }
    mcq_handoff_news(link, MCQ_MOVE_OWNER);
    mcq_session_go_on(link);
    (void)mcq_session_flush(link);
    struct mcq_sock *sock = link->sock;
    if (sock->handlers.moved != NULL)
        sock->handlers.moved(sock->ctx, sock, link->pipe.peer, m->from, sh->id);
    comply(link, m->wish);
    return true;
}
