/* What an actor is told: its handlers. Each checks, and may do anything that is allowed there. */
#include <string.h>

#include "tests/sim/actor.h"
#include "tests/sim/dice.h"
#include "tests/sim/world.h"

#define LONG_LINGER_MS 500u

static bool active(const struct mcq_actor *a)
{
    return mcq_world_phase() == MCQ_PHASE_ACTIVE && a->state == MCQ_ACTOR_OPEN;
}

static bool tempted(const struct mcq_actor *a, uint32_t chance)
{
    return active(a) && mcq_sim_chance(chance);
}

static struct mcq_actor *hears(void *ctx, struct mcq_sock *sock)
{
    struct mcq_actor *a = ctx;
    if (a->state != MCQ_ACTOR_OPEN && a->state != MCQ_ACTOR_CLOSING)
        mcq_sim_fail("%s: a handler after `closed`", mcq_world_name(a));
    if (a->sock != sock || mcq_shard_here != &a->host->shard)
        mcq_sim_fail("%s: a handler of another's", mcq_world_name(a));
    return a;
}

/* Anything that may be done inside a handler. */
static void act_inside(struct mcq_actor *a)
{
    if (tempted(a, a->cast->temper.answer))
        mcq_actor_send(a, mcq_dice_scaled(4));
    if (tempted(a, a->cast->temper.part / 4))
        mcq_actor_part(a, NULL);
    if (tempted(a, a->cast->temper.close / 4))
        mcq_actor_close(a);
}

/* --- messages ------------------------------------------------------------------------------ */

static void keep(struct mcq_actor *a, const struct mcq_msg *m, const struct mcq_parcel *p,
                 uint32_t first)
{
    for (uint32_t i = 0; i < MCQ_ACTOR_KEPT_MAX; i++) {
        struct mcq_kept *k = &a->kept[i];
        if (k->used)
            continue;
        if (mcq_msg_keep(&a->host->shard, m, &k->msg) == MCQ_OK) {
            k->used = true;
            k->parcel = *p;
            k->first = first;
        }
        return;
    }
}

void mcq_actor_drop_kept(struct mcq_actor *a, struct mcq_kept *k)
{
    if (!k->used)
        return;
    if (!mcq_parcel_matches(&k->parcel, &k->msg, k->first))
        mcq_sim_fail("%s: a kept message has changed", mcq_world_name(a));
    k->used = false;
    mcq_msg_drop(&a->host->shard, &k->msg);
}

static void owe(struct mcq_actor *a, struct mcq_peer from, const struct mcq_msg *m,
                const struct mcq_parcel *p, uint32_t first)
{
    if (a->debt_cnt == MCQ_ACTOR_DEBTS_MAX) { /* it answers no more than so many */
        mcq_ledger_far(mcq_ledger_end(a, from))->actor->excused = true;
        return;
    }
    struct mcq_debt *d = &a->debts[a->debt_cnt++];
    *d = (struct mcq_debt){.to = from, .number = p->number};
    if (a->cast->type == MCQ_ROUTER && first == 2) {
        struct mcq_frame ticket = mcq_msg_frame(m, 0);
        if (ticket.len > sizeof(d->ticket))
            mcq_sim_fail("%s: a request number of %zu bytes", mcq_world_name(a), ticket.len);
        memcpy(d->ticket, ticket.data, ticket.len);
        d->ticket_len = (uint32_t)ticket.len;
    }
}

static void hear_request(struct mcq_actor *a, struct mcq_peer from, const struct mcq_msg *m,
                         const struct mcq_parcel *p, uint32_t first)
{
    if (a->cast->type == MCQ_REP && a->debt_cnt != 0)
        mcq_sim_fail("%s: a request before the reply to the one before", mcq_world_name(a));
    owe(a, from, m, p, first);
    if (!tempted(a, a->cast->temper.late))
        mcq_actor_pay(a);
}

static void hear_reply(struct mcq_actor *a, struct mcq_peer from, const struct mcq_parcel *p)
{
    if (p->answers != a->asked_number)
        mcq_actor_missed(a, mcq_ledger_far(mcq_ledger_end(a, from)), p);
    if (!a->asked || (p->answers != a->asked_number && !a->confused))
        mcq_sim_fail("%s: a reply to #%u, and %s #%u", mcq_world_name(a), p->answers,
                     a->asked ? "it asked" : "nothing is asked since", a->asked_number);
    a->asked = false;
}

/* A message whose topic it is not subscribed to: SUB shows only what matches. */
static void hear_topic(const struct mcq_actor *a, const struct mcq_parcel *p)
{
    bool wanted = false;
    if (a->cast->type != MCQ_SUB || p->library || a->filter_changed >= a->host->turn_calls)
        return;
    for (uint32_t i = 0; i < MCQ_PARCEL_TOPICS; i++)
        wanted = wanted || ((a->topics >> i & 1) != 0 && mcq_parcel_topic_matches(i, p->topic));
    if (wanted == a->cast->opts.invert_matching)
        mcq_sim_fail("%s: #%u does not match its subscriptions", mcq_world_name(a), p->number);
}

/* Returns whether it wants no more for now. */
static bool hear(struct mcq_actor *a, struct mcq_peer from, const struct mcq_msg *m)
{
    uint32_t first;
    mcq_world_count_taken();
    const struct mcq_parcel *p = mcq_ledger_take(a, from, m, &first);
    struct mcq_end *end = mcq_ledger_end(a, from);
    mcq_world_digest(p->number);
    mcq_world_trace("%s: takes #%u of %s", mcq_world_name(a), p->number,
                    mcq_world_name(mcq_ledger_far(end)->actor));
    if (end->paused)
        mcq_sim_fail("%s: a message of a paused peer", mcq_world_name(a));
    if (end->replaced_at != 0 && end->replaced_at != a->host->steps)
        mcq_sim_fail("%s: a message of a peer that was replaced", mcq_world_name(a));
    const struct mcq_parcel parcel = *p;
    hear_topic(a, p);
    if (tempted(a, a->cast->temper.keep))
        keep(a, m, &parcel, first);
    bool pause = tempted(a, a->cast->temper.pause);
    if (a->cast->type == MCQ_REQ)
        hear_reply(a, from, &parcel);
    else if (!parcel.library &&
             (a->cast->type == MCQ_REP || (a->cast->type == MCQ_ROUTER && a->cast->far == MCQ_REQ)))
        hear_request(a, from, m, &parcel, first);
    act_inside(a);
    return pause;
}

static void paused(struct mcq_actor *a, struct mcq_peer from)
{
    struct mcq_end *end = mcq_ledger_end(a, from);
    if (end != NULL)
        end->paused = true;
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct mcq_actor *a = hears(ctx, sock);
    if (!hear(a, from, msg))
        return MCQ_CONTINUE;
    paused(a, from);
    return MCQ_PAUSE;
}

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct mcq_actor *a = hears(ctx, sock);
    if (n == 0 || n > 256)
        mcq_sim_fail("%s: a batch of %zu messages", mcq_world_name(a), n);
    for (size_t i = 0; i < n; i++)
        if (hear(a, from, &msgs[i]) && i + 1 < n) {
            paused(a, from);
            return i + 1;
        }
    return n;
}

/* --- events -------------------------------------------------------------------------------- */

static void replace(struct mcq_actor *a, struct mcq_end *old)
{
    struct mcq_frame mine, theirs;
    if (old->since == a->newest_since || mcq_peer_identity(a->sock, old->peer, &theirs) != MCQ_OK ||
        mcq_peer_identity(a->sock, a->newest, &mine) != MCQ_OK)
        return;
    if (mine.len == 0 || mine.len != theirs.len || memcmp(mine.data, theirs.data, mine.len) != 0)
        return;
    if (a->cast->opts.identity_policy != MCQ_IDENTITY_REPLACE && mcq_tap_up(a->sock, old->peer))
        mcq_sim_fail("%s: two peers have one identity", mcq_world_name(a));
    old->replaced_at = a->host->steps;
}

/* A ROUTER's peers have their identities to themselves: who had it before goes. */
static void check_identity(struct mcq_actor *a, struct mcq_peer peer)
{
    if (a->cast->type != MCQ_ROUTER)
        return;
    a->newest = peer;
    a->newest_since = mcq_ledger_end(a, peer)->since;
    mcq_ledger_each(a, replace);
}

static void hear_up(struct mcq_actor *a, struct mcq_peer peer)
{
    mcq_ledger_up(a, peer);
    check_identity(a, peer);
    struct mcq_end *end = mcq_ledger_end(a, peer);
    end->token = (char *)NULL + mcq_world_calls();
    if (mcq_peer_user(a->sock, peer) != NULL)
        mcq_sim_fail("%s: a new peer has another's user pointer", mcq_world_name(a));
    if (mcq_peer_set_user(a->sock, peer, end->token) != MCQ_OK)
        mcq_sim_fail("%s: a new peer is stale", mcq_world_name(a));
    if (tempted(a, a->cast->temper.answer))
        mcq_actor_send_to(a, peer);
}

static void forget_debts(struct mcq_actor *a, struct mcq_peer peer)
{
    if (a->cast->type == MCQ_REP) /* it has to reply all the same */
        return;
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < a->debt_cnt; i++)
        if (!mcq_peer_equal(a->debts[i].to, peer))
            a->debts[cnt++] = a->debts[i];
    a->debt_cnt = cnt;
}

/* The subscriptions of a peer that has gone are told as ended a few at a time. */
static void remember_topics(struct mcq_actor *a, const struct mcq_end *end)
{
    if (a->cast->type != MCQ_PUB || end->topics == 0)
        return;
    if (a->leaver_cnt == MCQ_ACTOR_LEAVERS_MAX)
        mcq_sim_fail("%s: the ends of many peers' subscriptions are not told", mcq_world_name(a));
    a->leavers[a->leaver_cnt] = end->peer;
    a->leaver_topics[a->leaver_cnt++] = end->topics;
}

static bool forget_topic(struct mcq_actor *a, struct mcq_peer peer, uint32_t bit)
{
    uint32_t i = 0;
    while (i < a->leaver_cnt && !mcq_peer_equal(a->leavers[i], peer))
        i++;
    if (i == a->leaver_cnt || (a->leaver_topics[i] & bit) == 0)
        return false;
    a->leaver_topics[i] &= ~bit;
    if (a->leaver_topics[i] == 0) {
        a->leavers[i] = a->leavers[--a->leaver_cnt];
        a->leaver_topics[i] = a->leaver_topics[a->leaver_cnt];
    }
    return true;
}

static void hear_down(struct mcq_actor *a, const struct mcq_event *ev)
{
    struct mcq_end *end = mcq_ledger_end(a, ev->peer);
    if (end != NULL && mcq_peer_user(a->sock, ev->peer) != end->token)
        mcq_sim_fail("%s: a peer that ends has lost its user pointer", mcq_world_name(a));
    if (end != NULL)
        remember_topics(a, end);
    mcq_ledger_down(a, ev);
    forget_debts(a, ev->peer);
    a->stale[a->stale_cnt < MCQ_ACTOR_STALE_MAX ? a->stale_cnt++
                                                : mcq_dice_below(MCQ_ACTOR_STALE_MAX)] = ev->peer;
}

/* With everything calm, what a socket has queued when it closes goes out within its linger. */
static void check_linger(const struct mcq_actor *a, const struct mcq_event *ev)
{
    const struct mcq_end *end = mcq_ledger_end(a, ev->peer);
    bool lingers = a->cast->opts.linger_ms != MCQ_NONE && a->cast->opts.linger_ms >= LONG_LINGER_MS;
    if (mcq_world_phase() != MCQ_PHASE_END || !lingers || end == NULL ||
        (ev->reason != MCQ_REASON_LOCAL && ev->reason != MCQ_REASON_TIMEOUT))
        return;
    const struct mcq_end *far = mcq_ledger_far(end);
    bool cuts = mcq_actor_loses(a) || a->cast->opts.slow == MCQ_SLOW_DISCONNECT;
    if (far->state == MCQ_END_UP && !far->actor->host->stopping && !cuts)
        mcq_sim_fail("%s: closing lost %lu messages to a peer that is there", mcq_world_name(a),
                     (unsigned long)ev->cnt);
}

/* REQ hears of a request that can't be answered as of a drop. */
static void hear_drops(struct mcq_actor *a, const struct mcq_event *ev)
{
    if (ev->cnt == 0)
        mcq_sim_fail("%s: a drop of nothing", mcq_world_name(a));
    a->host->drops[ev->reason] += ev->cnt;
    check_linger(a, ev);
    if (a->cast->type != MCQ_REQ || ev->reason != MCQ_REASON_NO_PEER) {
        a->drops[ev->reason] += ev->cnt;
        return;
    }
    /* With requests that give others up nobody can say which one. */
    if (a->cast->opts.req_relaxed)
        a->excused = true;
    else if (!a->asked || ev->cnt != 1)
        mcq_sim_fail("%s: a request was lost that nobody made", mcq_world_name(a));
    else
        a->asked = false;
}

static void trace_event(const struct mcq_actor *a, const struct mcq_event *ev)
{
    const struct mcq_report *r = &ev->report;
    mcq_world_count_event(ev->kind, ev->reason);
    mcq_world_digest(ev->kind << 8 ^ ev->reason ^ ev->peer.bits ^ ev->cnt << 16);
    mcq_world_trace("%s: %s %s, '%s', peer %lx, cnt %lu, errno %d%s%s", mcq_world_name(a),
                    mcq_event_name(ev->kind), mcq_reason_name(ev->reason), ev->endpoint,
                    (unsigned long)ev->peer.bits, (unsigned long)ev->cnt, ev->os_errno,
                    ev->detail[0] == '\0' ? "" : ", ", ev->detail);
    if (ev->kind == MCQ_EVENT_DISCONNECTED)
        mcq_world_trace("   in %lu messages, out %lu, lost [%lu, %lu), undelivered %lu, "
                        "unacked %lu%s",
                        (unsigned long)r->msgs_in, (unsigned long)r->msgs_out,
                        (unsigned long)r->lost_lo, (unsigned long)r->lost_hi,
                        (unsigned long)r->undelivered_bytes, (unsigned long)r->unacked_bytes,
                        r->unacked_known ? "" : " perhaps");
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *ev)
{
    struct mcq_actor *a = hears(ctx, sock);
    trace_event(a, ev);
    const char *wrong = mcq_diary_add(&a->diary, ev, a->host->steps);
    if (wrong != NULL)
        mcq_sim_fail("%s: %s: %s", mcq_world_name(a), mcq_event_name(ev->kind), wrong);
    if (ev->kind == MCQ_EVENT_UP)
        hear_up(a, ev->peer);
    else if (ev->kind == MCQ_EVENT_DISCONNECTED)
        hear_down(a, ev);
    else if (ev->kind == MCQ_EVENT_ACCEPTED)
        mcq_ledger_begun(a);
    else
        mcq_ledger_look(a);
    if (ev->kind == MCQ_EVENT_DROPPED)
        hear_drops(a, ev);
    act_inside(a);
}

/* --- the rest ------------------------------------------------------------------------------ */

static uint32_t topic_idx(const struct mcq_actor *a, const void *topic, size_t len)
{
    for (uint32_t i = 0; i < MCQ_PARCEL_TOPICS; i++)
        if (strlen(mcq_parcel_topic(i)) == len && memcmp(mcq_parcel_topic(i), topic, len) == 0)
            return i;
    mcq_sim_fail("%s: a subscription to a topic that nobody has", mcq_world_name(a));
}

/* XPUB is told of all peers' together, or of every one; PUB of each peer's. */
static void hear_topics(struct mcq_actor *a, struct mcq_end *end, uint32_t bit, bool added)
{
    bool xpub = a->cast->type == MCQ_XPUB;
    bool each = xpub && (a->cast->opts.verbose || a->cast->opts.verboser || a->cast->opts.manual);
    uint32_t *told = xpub ? &a->topics : &end->topics;
    if (!each && ((*told & bit) != 0) == added)
        mcq_sim_fail("%s: a subscription %s twice", mcq_world_name(a), added ? "began" : "ended");
    *told = added ? *told | bit : *told & ~bit;
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct mcq_actor *a = hears(ctx, sock);
    struct mcq_end *end = mcq_ledger_end(a, peer);
    uint32_t bit = 1u << topic_idx(a, len == 0 ? "" : topic, len);
    mcq_world_trace("%s: %s of topic %x, peer %lx", mcq_world_name(a), added ? "begin" : "end", bit,
                    (unsigned long)peer.bits);
    if (a->cast->type == MCQ_XPUB || end != NULL)
        hear_topics(a, end, bit, added);
    else if (added || !forget_topic(a, peer, bit))
        mcq_sim_fail("%s: a subscription of a peer that is not up", mcq_world_name(a));
    if (a->cast->opts.manual && end != NULL && added && mcq_dice_percent(80) &&
        mcq_peer_subscribe(sock, peer, topic, len) == MCQ_OK)
        end->topics |= bit;
    act_inside(a);
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct mcq_actor *a = hears(ctx, sock);
    mcq_world_trace("%s: writable", mcq_world_name(a));
    a->waits = false;
    mcq_actor_pay(a);
    if (a->greets != 0)
        mcq_actor_greet(a);
    else if (active(a))
        mcq_actor_send(a, mcq_dice_scaled(8));
    act_inside(a);
}

static void on_timeout(void *ctx, struct mcq_sock *sock)
{
    struct mcq_actor *a = hears(ctx, sock);
    uint64_t due = a->asked_ns + a->cast->opts.request_timeout_ms * 1000000ull;
    mcq_world_trace("%s: timeout", mcq_world_name(a));
    if (!a->asked || a->cast->opts.request_timeout_ms == 0 || mcq_shard_now(&a->host->shard) < due)
        mcq_sim_fail("%s: a timeout that isn't due", mcq_world_name(a));
    a->asked = false;
    act_inside(a);
}

/* All that was put into queues has left with a connection or was told as dropped. */
static void balance(struct mcq_actor *a)
{
    uint64_t drops = 0;
    for (uint32_t i = 0; i < MCQ_CNT_OF(a->drops); i++)
        if (i != MCQ_REASON_PATTERN)
            drops += a->drops[i];
    if (a->put + a->missed != a->left + drops)
        mcq_sim_fail("%s: %lu messages put and %lu missed, but %lu left and %lu dropped",
                     mcq_world_name(a), (unsigned long)a->put, (unsigned long)a->missed,
                     (unsigned long)a->left, (unsigned long)drops);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct mcq_actor *a = hears(ctx, sock);
    mcq_world_trace("%s: closed", mcq_world_name(a));
    if (a->state != MCQ_ACTOR_CLOSING && mcq_world_phase() != MCQ_PHASE_END)
        mcq_sim_fail("%s: closed, and nobody closed it", mcq_world_name(a));
    const char *wrong = mcq_diary_end(&a->diary);
    if (wrong != NULL)
        mcq_sim_fail("%s: %s", mcq_world_name(a), wrong);
    balance(a);
    if (a->leaver_cnt != 0)
        mcq_sim_fail("%s: closed, and a subscription's end was not told", mcq_world_name(a));
    for (uint32_t i = 0; i < MCQ_ACTOR_KEPT_MAX; i++)
        mcq_actor_drop_kept(a, &a->kept[i]);
    a->state = MCQ_ACTOR_CLOSED;
    a->host->players[a->cast->idx] = NULL;
    a->sock = NULL;
    mcq_ledger_look(a);
}

#define REST                                                                     \
    .writable = on_writable, .event = on_event, .subscription = on_subscription, \
    .timeout = on_timeout, .closed = on_closed

const struct mcq_sock_handlers mcq_actor_each = {.message = on_message, REST};
const struct mcq_sock_handlers mcq_actor_batch = {.messages = on_messages, REST};
