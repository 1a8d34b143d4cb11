/* What a mate is told: its handlers. */
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/marshal.h"
#include "tests/sim/mate.h"
#include "tests/sim/tap.h"

static struct mcq_mate *hears(void *ctx, struct mcq_sock *sock)
{
    struct mcq_mate *m = ctx;
    mcq_many_stir();
    if (m->state >= MCQ_MATE_CLOSED)
        mcq_sim_fail("%s: a handler after `closed`", mcq_mate_name(m));
    if (m->sock != sock || mcq_shard_here != m->shard)
        mcq_sim_fail("%s: a handler of another's, or on another shard", mcq_mate_name(m));
    return m;
}

static bool tempted(const struct mcq_mate *m, uint32_t chance)
{
    return mcq_many_phase() == MCQ_PHASE_ACTIVE && m->state == MCQ_MATE_OPEN &&
           mcq_sim_chance(chance);
}

static void act_inside(struct mcq_mate *m)
{
    if (tempted(m, m->part->manner.answer))
        mcq_mate_send(m, mcq_dice_scaled(4));
    if (tempted(m, m->part->manner.close / 8))
        mcq_mate_close(m);
}

static uint32_t own_tie(const struct mcq_mate *m, struct mcq_peer peer, const char *what)
{
    uint32_t tie = mcq_tie_find(m->realm, peer);
    const struct mcq_tie *t = mcq_tie_at(tie);
    if (tie == 0 || t->state == MCQ_TIE_DOWN)
        mcq_sim_fail("%s: %s of peer %lx, who is not up", mcq_mate_name(m), what,
                     (unsigned long)peer.bits);
    if (t->state != MCQ_TIE_UP || t->owner != m->uid)
        mcq_sim_fail("%s: %s of peer %lx, who is %s", mcq_mate_name(m), what,
                     (unsigned long)peer.bits,
                     t->state == MCQ_TIE_MOVING ? "on its way" : "another member's");
    return tie;
}

/* --- messages ------------------------------------------------------------------------------ */

void mcq_mate_drop_kept(struct mcq_mate *m, struct mcq_mate_kept *k)
{
    const char *why;
    if (!k->used)
        return;
    const struct mcq_waybill *w = mcq_waybill_read(&k->msg, &why);
    if (w == NULL || w->number != k->number)
        mcq_sim_fail("%s: a kept message has changed: %s", mcq_mate_name(m), why);
    k->used = false;
    mcq_msg_drop(m->shard, &k->msg);
}

static void keep(struct mcq_mate *m, const struct mcq_msg *msg, uint32_t number)
{
    for (uint32_t i = 0; i < MCQ_MATE_KEPT_MAX; i++) {
        struct mcq_mate_kept *k = &m->kept[i];
        if (k->used)
            continue;
        k->used = mcq_msg_keep(m->shard, msg, &k->msg) == MCQ_OK;
        k->number = number;
        return;
    }
}

/* Is it for him? */
static void check_meant(const struct mcq_mate *m, const struct mcq_waybill *w)
{
    if (w->public && (m->topics >> (w->topic - 'a') & 1) == 0 && w->number > m->filtered_at)
        mcq_sim_fail("%s: #%u does not match its subscriptions", mcq_mate_name(m), w->number);
    if (w->tie == 0 || !mcq_mate_at(w->uid)->part->member)
        return;
    struct mcq_tie *meant = mcq_tie_at(w->tie);
    if (meant->far == 0)
        meant->far = m->uid;
    if (meant->far != m->uid)
        mcq_sim_fail("%s: #%u was sent to another peer", mcq_mate_name(m), w->number);
}

static void hear_kind(struct mcq_mate *m, const struct mcq_waybill *w)
{
    if (m->part->type == MCQ_REP) {
        if (m->owes != 0)
            mcq_sim_fail("%s: a request before the reply to the one before", mcq_mate_name(m));
        m->owes = w->number;
        if (!tempted(m, m->part->manner.answer))
            mcq_mate_pay(m);
    }
    if (m->part->type == MCQ_REQ) {
        if (m->asked == 0 || w->answers != m->asked)
            mcq_sim_fail("%s: a reply to #%u, and it asked #%u", mcq_mate_name(m), w->answers,
                         m->asked);
        m->asked = 0;
    }
}

/* Returns whether it wants no more for now. */
static bool hear(struct mcq_mate *m, struct mcq_peer from, const struct mcq_msg *msg)
{
    const char *why;
    uint32_t tie = own_tie(m, from, "a message");
    struct mcq_tie *t = mcq_tie_at(tie);
    mcq_many_count_taken();
    struct mcq_waybill *w = mcq_waybill_read(msg, &why);
    if (w == NULL)
        mcq_sim_fail("%s: a message of %u frames, %zu bytes, of peer %lx: %s", mcq_mate_name(m),
                     mcq_msg_frame_cnt(msg), mcq_msg_bytes(msg), (unsigned long)from.bits, why);
    mcq_many_trace("%s: takes #%u of %s, peer %lx", mcq_mate_name(m), w->number,
                   mcq_mate_name(mcq_mate_at(w->uid)), (unsigned long)from.bits);
    mcq_many_digest(w->number);
    why = mcq_waybill_take(w, tie);
    if (why != NULL)
        mcq_sim_fail("%s: #%u of %s, by peer %lx: %s", mcq_mate_name(m), w->number,
                     mcq_mate_name(mcq_mate_at(w->uid)), (unsigned long)from.bits, why);
    if (t->paused)
        mcq_sim_fail("%s: #%u of a paused peer", mcq_mate_name(m), w->number);
    check_meant(m, w);
    if (tempted(m, m->part->manner.keep))
        keep(m, msg, w->number);
    bool pause = tempted(m, m->part->manner.pause);
    hear_kind(m, w);
    act_inside(m);
    return pause;
}

/* It may have ended or gone inside its own handler. */
static void pause(struct mcq_mate *m, struct mcq_peer from)
{
    uint32_t tie = mcq_tie_find(m->realm, from);
    if (tie != 0 && mcq_tie_at(tie)->state == MCQ_TIE_UP && mcq_tie_at(tie)->owner == m->uid)
        mcq_tie_at(tie)->paused = true;
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct mcq_mate *m = hears(ctx, sock);
    if (!hear(m, from, msg))
        return MCQ_CONTINUE;
    pause(m, from);
    return MCQ_PAUSE;
}

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct mcq_mate *m = hears(ctx, sock);
    for (size_t i = 0; i < n; i++)
        if (hear(m, from, &msgs[i]) && i + 1 < n) {
            pause(m, from);
            return i + 1;
        }
    return n;
}

/* --- events -------------------------------------------------------------------------------- */

static uint32_t target_of(const struct mcq_mate *m, const char *text)
{
    for (uint32_t k = 0; k < m->part->connect_cnt; k++)
        if (strcmp(mcq_many()->endpoints[m->part->connects[k]], text) == 0)
            return k + 1;
    return 0;
}

/* An identity has one owner, wherever its connection is: who comes up has it, and who had it before
 * is over. */
static void check_identity(const struct mcq_mate *m, uint32_t tie)
{
    struct mcq_frame id;
    struct mcq_tie *t = mcq_tie_at(tie);
    if (m->part->type != MCQ_ROUTER || mcq_peer_identity(m->sock, t->peer, &id) != MCQ_OK ||
        id.len > sizeof(t->identity))
        return;
    memcpy(t->identity, id.data, id.len);
    t->identity_len = (uint32_t)id.len;
    for (uint32_t i = 1; i < tie; i++) {
        const struct mcq_tie *o = mcq_tie_at(i);
        if (o->realm != t->realm || o->circuit != t->circuit || o->state == MCQ_TIE_DOWN ||
            o->identity_len != t->identity_len || memcmp(o->identity, t->identity, id.len) != 0)
            continue;
        const struct mcq_mate *owner = mcq_mate_at(o->owner);
        if (o->state == MCQ_TIE_MOVING || mcq_tap_up(owner->sock, o->peer))
            mcq_sim_fail("%s: two peers have one identity: %lx, and %lx of %s", mcq_mate_name(m),
                         (unsigned long)t->peer.bits, (unsigned long)o->peer.bits,
                         mcq_mate_name(owner));
    }
}

static void hear_up(struct mcq_mate *m, const struct mcq_event *ev)
{
    uint32_t tie = mcq_tie_up(m->realm, m->part->circuit, ev->peer, m->uid);
    if (tie == 0)
        mcq_sim_fail("%s: the name of peer %lx has been another's", mcq_mate_name(m),
                     (unsigned long)ev->peer.bits);
    struct mcq_tie *t = mcq_tie_at(tie);
    t->target = target_of(m, ev->endpoint);
    if (t->target != 0)
        m->up |= 1u << (t->target - 1);
    check_identity(m, tie);
    if (t->target == 0)
        mcq_marshal_landed(m, ev->peer, ev->endpoint);
    t->token = (char *)NULL + tie;
    if (mcq_peer_user(m->sock, ev->peer) != NULL)
        mcq_sim_fail("%s: a new peer has another's user pointer", mcq_mate_name(m));
    if (mcq_peer_set_user(m->sock, ev->peer, t->token) != MCQ_OK)
        mcq_sim_fail("%s: a new peer is stale", mcq_mate_name(m));
}

static void hear_down(struct mcq_mate *m, const struct mcq_event *ev)
{
    struct mcq_circuit *c = &mcq_many()->circuits[m->part->circuit];
    struct mcq_tie *t = mcq_tie_at(own_tie(m, ev->peer, "the end"));
    if (mcq_peer_user(m->sock, ev->peer) != t->token)
        mcq_sim_fail("%s: a peer that ends has lost its user pointer", mcq_mate_name(m));
    t->state = MCQ_TIE_DOWN;
    t->reason = ev->reason;
    if (t->target != 0)
        m->up &= ~(1u << (t->target - 1));
    m->left += ev->report.msgs_out;
    if (m->part->team == MCQ_MANY_HOUSE)
        c->left += ev->report.msgs_out;
    c->ends = true;
}

static void hear_drop(struct mcq_mate *m, const struct mcq_event *ev)
{
    struct mcq_circuit *c = &mcq_many()->circuits[m->part->circuit];
    if (ev->cnt == 0)
        mcq_sim_fail("%s: a drop of nothing", mcq_mate_name(m));
    mcq_many_dropped(m->part->team, m->part->shard, ev->reason, ev->cnt);
    if (ev->reason == MCQ_REASON_PATTERN)
        return;
    m->dropped += ev->cnt;
    if (m->part->team == MCQ_MANY_HOUSE)
        c->dropped += ev->cnt;
    if (m->part->type == MCQ_REQ && ev->reason == MCQ_REASON_NO_PEER)
        m->asked = 0;
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *ev)
{
    struct mcq_mate *m = hears(ctx, sock);
    mcq_many_digest(ev->kind << 8 ^ ev->reason ^ ev->peer.bits ^ ev->cnt << 16);
    mcq_many_trace("%s: %s %s, '%s', peer %lx, cnt %lu, errno %d%s%s", mcq_mate_name(m),
                   mcq_event_name(ev->kind), mcq_reason_name(ev->reason), ev->endpoint,
                   (unsigned long)ev->peer.bits, (unsigned long)ev->cnt, ev->os_errno,
                   ev->detail[0] == '\0' ? "" : ", ", ev->detail);
    mcq_marshal_lost(m, ev);
    if (ev->kind == MCQ_EVENT_UNBOUND && m->part->bind_cnt == 1)
        m->bound = 0;
    if (ev->kind == MCQ_EVENT_UP)
        hear_up(m, ev);
    else if (ev->kind == MCQ_EVENT_DISCONNECTED)
        hear_down(m, ev);
    else if (ev->kind == MCQ_EVENT_DROPPED)
        hear_drop(m, ev);
    act_inside(m);
}

/* --- hand-offs ----------------------------------------------------------------------------- */

/* It has come: with what its user knew of it. */
static void hear_come(struct mcq_mate *m, uint32_t tie)
{
    struct mcq_tie *t = mcq_tie_at(tie);
    if (t->state != MCQ_TIE_MOVING)
        mcq_sim_fail("%s: peer %lx comes, and nobody was told that it goes", mcq_mate_name(m),
                     (unsigned long)t->peer.bits);
    t->state = MCQ_TIE_UP;
    t->owner = m->uid;
    t->hops++;
    if (mcq_peer_user(m->sock, t->peer) != t->token)
        mcq_sim_fail("%s: peer %lx comes without its user pointer", mcq_mate_name(m),
                     (unsigned long)t->peer.bits);
}

static void on_moved(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                     uint32_t to)
{
    struct mcq_mate *m = hears(ctx, sock);
    uint32_t tie = mcq_tie_find(m->realm, peer);
    mcq_many_trace("%s: moved, peer %lx, from shard %u to %u", mcq_mate_name(m),
                   (unsigned long)peer.bits, from, to);
    mcq_many_digest(peer.bits ^ from << 8 ^ to);
    if (tie == 0)
        mcq_sim_fail("%s: peer %lx was moved, and it never came up", mcq_mate_name(m),
                     (unsigned long)peer.bits);
    if (to == from)
        (void)own_tie(m, peer, "the stay");
    else if (from == m->part->shard)
        mcq_tie_at(own_tie(m, peer, "the leave"))->state = MCQ_TIE_MOVING;
    else if (to == m->part->shard)
        hear_come(m, tie);
    else
        mcq_sim_fail("%s: is told of a move from shard %u to %u", mcq_mate_name(m), from, to);
    act_inside(m);
}

static uint32_t on_place(void *ctx, struct mcq_sock *sock, const void *identity, size_t len)
{
    struct mcq_mate *m = hears(ctx, sock);
    (void)identity;
    (void)len;
    return mcq_dice_below(mcq_many_team(m->part->team)->cnt);
}

/* --- the rest ------------------------------------------------------------------------------ */

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct mcq_mate *m = hears(ctx, sock);
    mcq_many_trace("%s: writable", mcq_mate_name(m));
    m->waits = false;
    mcq_mate_pay(m);
    if (mcq_many_phase() == MCQ_PHASE_ACTIVE)
        mcq_mate_send(m, mcq_dice_scaled(8));
    act_inside(m);
}

static void on_timeout(void *ctx, struct mcq_sock *sock)
{
    struct mcq_mate *m = hears(ctx, sock);
    if (m->asked == 0)
        mcq_sim_fail("%s: a timeout that isn't due", mcq_mate_name(m));
    m->asked = 0;
}

/* Of a logical socket the sums are those of all its members together. */
static void balance(const struct mcq_mate *m)
{
    bool adds_up = m->part->type == MCQ_PUSH || m->part->type == MCQ_DEALER ||
                   m->part->type == MCQ_PAIR || m->part->type == MCQ_ROUTER;
    if (!adds_up || m->part->member || m->put == m->left + m->dropped)
        return;
    mcq_sim_fail("%s: %lu messages put, but %lu left and %lu dropped", mcq_mate_name(m),
                 (unsigned long)m->put, (unsigned long)m->left, (unsigned long)m->dropped);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct mcq_mate *m = hears(ctx, sock);
    mcq_many_trace("%s: closed", mcq_mate_name(m));
    if (m->state != MCQ_MATE_CLOSING && mcq_many_phase() != MCQ_PHASE_END &&
        !mcq_many_team(m->part->team)->stopping)
        mcq_sim_fail("%s: closed, and nobody closed it", mcq_mate_name(m));
    for (uint32_t i = 1; i <= mcq_tie_cnt(); i++)
        if (mcq_tie_at(i)->owner == m->uid && mcq_tie_at(i)->state == MCQ_TIE_UP)
            mcq_sim_fail("%s: closed, and the end of peer %lx was not told", mcq_mate_name(m),
                         (unsigned long)mcq_tie_at(i)->peer.bits);
    balance(m);
    for (uint32_t i = 0; i < MCQ_MATE_KEPT_MAX; i++)
        mcq_mate_drop_kept(m, &m->kept[i]);
    m->state = MCQ_MATE_CLOSED;
    m->sock = NULL;
}

#define REST                                                                                \
    .writable = on_writable, .event = on_event, .timeout = on_timeout, .closed = on_closed, \
    .moved = on_moved, .place = on_place

const struct mcq_sock_handlers mcq_mate_each = {.message = on_message, REST};
const struct mcq_sock_handlers mcq_mate_batch = {.messages = on_messages, REST};
