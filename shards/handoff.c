#include "shards/handoff.h"

#include "shards/crossing.h"
#include "shards/shard.h"

/* --- life ---------------------------------------------------------------------------------- */

static uint32_t asks_max(uint32_t moves_max, uint32_t shards)
{
    return MCQ_HANDOFF_ASKS_MAX + moves_max * (shards - 1);
}

size_t mcq_handoff_footprint(uint32_t moves_max, uint32_t shards)
{
    return mcq_pool_footprint(sizeof(struct mcq_move), moves_max) + MCQ_CACHE_LINE +
           mcq_pool_footprint(sizeof(struct mcq_crossing), 2 * moves_max) +
           asks_max(moves_max, shards) * sizeof(struct mcq_handoff_ask);
}

bool mcq_handoff_init(struct mcq_handoff *h, struct mcq_arena *arena, uint32_t moves_max,
                      uint32_t shards)
{
    *h = (struct mcq_handoff){.ask_max = asks_max(moves_max, shards)};
    mcq_list_init(&h->due);
    mcq_list_init(&h->tied);
    mcq_list_init(&h->news);
    h->asks = mcq_arena_carve(arena, h->ask_max * sizeof(*h->asks), MCQ_CACHE_LINE);
    return h->asks != NULL &&
           mcq_pool_init(&h->moves, "moves", arena, sizeof(struct mcq_move), moves_max) &&
           mcq_pool_init(&h->crossings, "crossings", arena, sizeof(struct mcq_crossing),
                         2 * moves_max);
}

bool mcq_handoff_idle(const struct mcq_handoff *h)
{
    return h->moves.in_use == 0 && mcq_list_empty(&h->due) && mcq_list_empty(&h->news) &&
           h->ask_cnt == 0;
}

/* --- words --------------------------------------------------------------------------------- */

/* MOVING goes by the lane of the directory: who has answered it has heard all that was said of the
 * peer's claim from here, before the next shard says more. */
static bool send_moving(struct mcq_shard *sh, uint32_t to, const struct mcq_move_record *r)
{
    return mcq_mesh_send(sh->mesh, to, MCQ_LANE_URGENT, MCQ_MESH_MOVE, r, sizeof(*r));
}

void mcq_handoff_say(struct mcq_shard *sh, struct mcq_move *m, enum mcq_move_word word, uint32_t to)
{
    m->say = word;
    m->say_to = to;
    mcq_list_push_back(&sh->handoff.due, &m->node);
}

static void move_free(struct mcq_shard *sh, struct mcq_move *m)
{
    if (m->topics != NULL)
        mcq_buf_unref(sh->heap, m->topics);
    mcq_pool_give(&sh->handoff.moves, m);
}

/* --- the giver: asked, freezing ------------------------------------------------------------ */

static bool is_tied(const struct mcq_link *link)
{
    const struct mcq_psock *ps = &link->sock->psock;
    if (mcq_crossing_ties(link) || (link->claim != NULL && !mcq_directory_settled(link->claim)))
        return true;
    return link->attached && ps->pattern->tied != NULL && ps->pattern->tied(ps, &link->pipe);
}

static void freeze(struct mcq_move *m)
{
    struct mcq_link *link = m->link;
    struct mcq_psock *ps = &link->sock->psock;
    if (!mcq_conn_freeze(link->shard->loop, link->session.conn)) {
        mcq_handoff_call_off(link);
        return;
    }
    m->state = MCQ_MOVE_FREEZING;
    m->frozen_ns = mcq_shard_now_ns(link->shard);
    link->session.moving = true;
    mcq_node_unlink(&link->session.ready_node);
    if (link->attached && ps->pattern->retire != NULL)
        ps->pattern->retire(ps, &link->pipe);
}

enum mcq_error mcq_handoff_begin(struct mcq_link *link, uint32_t to)
{
    struct mcq_shard *sh = link->shard;
    const struct mcq_session *s = &link->session;
    if (link->move != NULL || link->held || link->closing || link->state != MCQ_LINK_SESSION ||
        s->ended || s->conn->state != MCQ_CONN_OPEN || s->mute || s->end_due != MCQ_REASON_NONE ||
        (mcq_node_linked(&link->news_node) && link->news == MCQ_MOVE_END))
        return MCQ_EAGAIN;
    struct mcq_move *m = mcq_pool_take(&sh->handoff.moves);
    if (m == NULL)
        return MCQ_EAGAIN;
    *m = (struct mcq_move){
        .link = link,
        .from = sh->id,
        .to = to,
        .gen = link->gen + 1,
        .serial = ++sh->handoff.serial,
        .logical = link->sock->logical,
        .life = link->sock->life,
        .up = link->attached,
        .peer = link->pipe.peer,
    };
    link->move = m;
    mcq_placement_leaves(link->sock, to, 1);
    sh->stats.moves.begun++;
    m->turn = sh->handoff.turn;
    if (is_tied(link) || mcq_node_linked(&s->ready_node))
        mcq_list_push_back(&sh->handoff.tied, &m->node);
    else
        freeze(m);
    return MCQ_OK;
}

/* --- the giver: it stays ------------------------------------------------------------------- */

static void tell_moved(struct mcq_link *link, uint32_t from, uint32_t to)
{
    struct mcq_sock *sock = link->sock;
    if (link->attached && sock->handlers.moved != NULL)
        sock->handlers.moved(sock->ctx, sock, link->pipe.peer, from, to);
}

/* As if nothing had been. */
static void stay(struct mcq_link *link)
{
    struct mcq_psock *ps = &link->sock->psock;
    struct mcq_session *s = &link->session;
    s->moving = false;
    if (link->attached && !link->closing && ps->pattern->stay != NULL)
        ps->pattern->stay(ps, &link->pipe);
    if (link->attached && link->closing && ps->pattern->retire != NULL)
        ps->pattern->retire(ps, &link->pipe);
    if (!link->attached && !s->ended && !link->added && s->zmtp.state == MCQ_ZMTP_TRAFFIC &&
        !mcq_link_up_here(link))
        return;
    mcq_session_go_on(link);
}

void mcq_handoff_call_off(struct mcq_link *link)
{
    struct mcq_shard *sh = link->shard;
    struct mcq_move *m = link->move;
    if (m == NULL || link->held)
        return;
    link->move = NULL;
    mcq_placement_leaves(link->sock, m->to, -1);
    mcq_node_unlink(&m->node);
    if (link->session.conn != NULL)
        mcq_conn_thaw(sh->loop, link->session.conn);
    if (m->frozen_ns != 0)
        mcq_zmtp_deaf(&link->session.zmtp, m->frozen_ns, mcq_shard_now_ns(sh));
    sh->stats.moves.stayed++;
    bool announced = m->state == MCQ_MOVE_ANNOUNCED;
    move_free(sh, m);
    if (announced) {
        link->gen++;
        mcq_handoff_news(link, MCQ_MOVE_OWNER);
    }
    if (link->session.ended)
        return;
    bool was_up = link->attached;
    stay(link);
    if (was_up)
        tell_moved(link, sh->id, sh->id);
}

/* --- the giver: announced, offered --------------------------------------------------------- */

static struct mcq_move_pipe pipe_state(const struct mcq_link *link)
{
    const struct mcq_pipe *p = &link->pipe;
    return (struct mcq_move_pipe){
        .msgs_out = p->msgs_out,
        .dropped = p->dropped,
        .slow_cnt = p->slow_cnt,
        .late_cnt = p->late_cnt,
        .starved = p->starved,
        .at_mark = p->at_mark,
        .slow = p->slow,
        .slow_told = link->slow_told,
        .user = p->user,
    };
}

/* Events of before are told before; a handler may have ended it all. */
static void offer(struct mcq_move *m)
{
    struct mcq_link *link = m->link;
    struct mcq_session *s = &link->session;
    mcq_sock_tell_due(link);
    if (link->move != m)
        return;
    if (link->closing || s->end_due != MCQ_REASON_NONE || s->mute || s->sending ||
        !mcq_handoff_give_topics(m) || !mcq_crossing_begin(link, m)) {
        mcq_handoff_call_off(link);
        return;
    }
    m->state = MCQ_MOVE_OFFERED;
    link->held = true;
    mcq_conn_show(s->conn, &m->conn);
    mcq_session_land(link);
    mcq_pipe_take_out(&link->pipe, &m->queue);
    mcq_pack_choose(&m->queue);
    m->win_way = mcq_pack_choose_window(s);
    m->pipe = pipe_state(link);
    m->generation = link->claim == NULL ? 0 : link->claim->generation;
    mcq_handoff_say(link->shard, m, MCQ_MOVE_OFFER, m->to);
}

/* One's own answer isn't waited for. */
static void answered(struct mcq_shard *sh, struct mcq_move *m)
{
    if (m->next == mcq_shard_cnt(sh) && m->held_cnt + 1 == mcq_shard_cnt(sh))
        offer(m);
}

/* false: some shard's ring is full. */
static bool announce(struct mcq_shard *sh, struct mcq_move *m)
{
    const struct mcq_move_record r = {.word = MCQ_MOVE_MOVING,
                                      .shard = m->to,
                                      .gen = m->gen,
                                      .serial = m->serial,
                                      .peer = m->peer};
    if (mcq_node_linked(&m->link->news_node))
        return false; /* that it came is told before that it goes */
    for (; m->next < mcq_shard_cnt(sh); m->next++)
        if (m->next != sh->id && !send_moving(sh, m->next, &r))
            return false;
    answered(sh, m);
    return true;
}

void mcq_handoff_frozen(struct mcq_link *link)
{
    struct mcq_move *m = link->move;
    MCQ_ASSERT(m != NULL && m->state == MCQ_MOVE_FREEZING);
    if (!m->up) { /* nobody knows it yet */
        offer(m);
        return;
    }
    m->state = MCQ_MOVE_ANNOUNCED;
    mcq_handoff_say(link->shard, m, MCQ_MOVE_MOVING, 0);
}

/* --- the giver: answered ------------------------------------------------------------------- */

static void refused(struct mcq_shard *sh, struct mcq_move *m)
{
    struct mcq_link *link = m->link;
    mcq_crossing_end(link);
    mcq_pipe_put_back(&link->pipe, &m->queue);
    mcq_session_take_off(link);
    link->held = false;
    m->state = m->up ? MCQ_MOVE_ANNOUNCED : MCQ_MOVE_FREEZING;
    mcq_handoff_call_off(link);
    (void)sh;
}

/* The name stays where it was given; elsewhere nothing does. */
static void leave(struct mcq_link *link, struct mcq_move *m)
{
    if (link->target != NULL)
        mcq_pool_give(&link->shard->targets, link->target);
    link->target = NULL;
    link->gen = m->gen;
    link->owner = m->to;
    link->move = NULL;
    link->held = false;
    link->addressable = false;
    mcq_remote_peer_part(link);
    if (mcq_link_is_home(link) && !link->sock->claims) {
        link->state = MCQ_LINK_AWAY;
        if (link->closing)
            mcq_link_touch(link);
    } else {
        mcq_link_vanish(link);
    }
}

static void taken(struct mcq_shard *sh, struct mcq_move *m)
{
    struct mcq_link *link = m->link;
    struct mcq_session *s = &link->session;
    struct mcq_conn_parcel gone;
    mcq_pack_settle(sh, &m->queue);
    mcq_pack_settle_session(sh, s, m->win_way);
    (void)mcq_conn_give(sh->loop, s->conn, &gone);
    s->conn = NULL;
    s->ended = true;
    s->moving = false;
    mcq_timer_node_disarm(mcq_loop_timers(sh->loop), &link->timer);
    if (link->claim != NULL)
        (void)mcq_directory_give(&sh->directory, link->claim);
    link->claim = NULL;
    mcq_sock_tell_due(link);
    if (s->end_due != MCQ_REASON_NONE || (link->closing && !link->sock->closing))
        m->wish = s->end_due != MCQ_REASON_NONE ? MCQ_MOVE_KILL : MCQ_MOVE_CLOSE;
    tell_moved(link, sh->id, m->to);
    if (link->added)
        link->sock->psock.pattern->remove(&link->sock->psock, &link->pipe);
    link->added = false;
    link->attached = false;
    mcq_crossing_end(link);
    mcq_handoff_drop_topics(link);
    mcq_pipe_take_out(&link->pipe, &m->late);
    mcq_pack_choose(&m->late);
    m->late_ahead = mcq_pack_ahead(sh, &m->late);
    m->pipe.user = link->pipe.user;
    m->pipe.dropped = link->pipe.dropped - m->pipe.dropped;
    m->pipe.slow_cnt = link->pipe.slow_cnt - m->pipe.slow_cnt;
    m->state = MCQ_MOVE_LEFT;
    sh->stats.moves.left++;
    leave(link, m);
    mcq_handoff_say(sh, m, MCQ_MOVE_GO, m->to);
}

/* --- the turn ------------------------------------------------------------------------------ */

/* m is another's as soon as the word is said. false: no room. */
static bool say(struct mcq_shard *sh, struct mcq_move *m)
{
    enum mcq_move_word word = m->say;
    if (word == MCQ_MOVE_MOVING)
        return announce(sh, m);
    if (word == MCQ_MOVE_TAKEN && m->from == sh->id) {
        if (mcq_crossing_done(m->link))
            taken(sh, m);
        return m->state == MCQ_MOVE_LEFT;
    }
    if (word == MCQ_MOVE_DONE && !mcq_handoff_go(sh, m))
        return false;
    if (word == MCQ_MOVE_OFFER && m->to == sh->id) {
        if (!mcq_handoff_ready(sh, m))
            return false;
        word = mcq_handoff_take(sh, m) ? MCQ_MOVE_TAKEN : MCQ_MOVE_REFUSED;
    }
    m->say = MCQ_MOVE_SILENT;
    const struct mcq_move_record r = {.word = (uint16_t)word, .peer = m->peer, .move = m};
    if (mcq_handoff_send(sh, m->say_to, &r))
        return true;
    m->say = word;
    return false;
}

static void run_due(struct mcq_shard *sh)
{
    struct mcq_list later;
    struct mcq_node *n;
    mcq_list_init(&later);
    while ((n = mcq_list_pop_front(&sh->handoff.due)) != NULL)
        if (!say(sh, MCQ_CONTAINER_OF(n, struct mcq_move, node)))
            mcq_list_push_back(&later, n);
    while ((n = mcq_list_pop_front(&later)) != NULL)
        mcq_list_push_back(&sh->handoff.due, n);
}

/* Returns whether one waits for the next turn alone. */
static bool run_tied(struct mcq_shard *sh)
{
    struct mcq_node *next;
    bool again = false;
    for (struct mcq_node *n = mcq_list_first(&sh->handoff.tied); n != NULL; n = next) {
        struct mcq_move *m = MCQ_CONTAINER_OF(n, struct mcq_move, node);
        next = mcq_list_next(&sh->handoff.tied, n);
        bool tied = is_tied(m->link);
        if (tied || m->turn == sh->handoff.turn) {
            again = again || !tied;
            continue;
        }
        mcq_node_unlink(n);
        freeze(m);
    }
    return again;
}

bool mcq_handoff_run(struct mcq_shard *sh)
{
    bool again = !mcq_list_empty(&sh->handoff.tied) && run_tied(sh);
    sh->handoff.turn++;
    mcq_handoff_run_news(sh);
    run_due(sh);
    mcq_handoff_run_news(sh);
    if (sh->handoff.ask_cnt != 0)
        mcq_handoff_run_asks(sh);
    return again;
}

static void moving_told(struct mcq_shard *sh, uint32_t from, const struct mcq_move_record *r)
{
    struct mcq_link *link = mcq_handoff_link_named(sh, r->peer);
    if (link != NULL && link->remote && link->bridge != NULL && !link->session.ended) {
        link->hold_from = from;
        link->hold_serial = r->serial;
        link->hold_gen = r->gen;
        if (link->bridge->held && !link->bridge->holding) /* for an earlier move, whose OWNER is
                                                             slower than this one's MOVING */
            mcq_handoff_held(link);
        else
            mcq_bridge_hold(link->bridge);
        return;
    }
    struct mcq_move_record held = *r;
    held.word = MCQ_MOVE_HELD;
    held.hops = 0;
    mcq_handoff_ask_on(sh, from, &held);
}

void mcq_handoff_held(struct mcq_link *link)
{
    const struct mcq_move_record held = {
        .word = MCQ_MOVE_HELD, .serial = link->hold_serial, .peer = link->pipe.peer};
    if (link->hold_serial == 0)
        return;
    link->hold_serial = 0;
    mcq_handoff_ask_on(link->shard, link->hold_from, &held);
}

/* The move may have been called off meanwhile, and another one begun. */
static void held_told(struct mcq_shard *sh, const struct mcq_move_record *r)
{
    const struct mcq_link *link = mcq_handoff_link_named(sh, r->peer);
    struct mcq_move *m = link == NULL ? NULL : link->move;
    if (m == NULL || m->serial != r->serial || m->state != MCQ_MOVE_ANNOUNCED)
        return;
    m->held_cnt++;
    answered(sh, m);
}

void mcq_handoff_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_move_record *r = body;
    MCQ_ASSERT(len == sizeof(*r));
    switch ((enum mcq_move_word)r->word) {
    case MCQ_MOVE_SILENT:
        break;
    case MCQ_MOVE_MOVING:
        moving_told(sh, from, r);
        break;
    case MCQ_MOVE_HELD:
        held_told(sh, r);
        break;
    case MCQ_MOVE_OFFER:
        mcq_handoff_say(sh, r->move, MCQ_MOVE_OFFER, from); /* answered as soon as it can be */
        break;
    case MCQ_MOVE_TAKEN:
        mcq_placement_left(r->move->link->sock, r->move->to);
        mcq_handoff_say(sh, r->move, MCQ_MOVE_TAKEN, sh->id); /* to oneself, when it is true */
        break;
    case MCQ_MOVE_REFUSED:
        refused(sh, r->move);
        break;
    case MCQ_MOVE_GO:
        mcq_handoff_say(sh, r->move, MCQ_MOVE_DONE, from);
        break;
    case MCQ_MOVE_DONE:
        mcq_pack_settle(sh, &r->move->late);
        mcq_pack_back(sh, r->move->late_ahead);
        move_free(sh, r->move);
        break;
    case MCQ_MOVE_OWNER:
        mcq_handoff_owner_told(sh, r);
        break;
    case MCQ_MOVE_END:
        mcq_handoff_end_told(sh, r);
        break;
    case MCQ_MOVE_ASK:
    case MCQ_MOVE_CLOSE:
    case MCQ_MOVE_KILL:
        mcq_handoff_asked(sh, r);
        break;
    }
}
