/* What is entered into the ledger: sends, connections that come up and end, deliveries. */
#include "tests/sim/dice.h"
#include "tests/sim/ledger_private.h"
#include "tests/sim/world.h"

/* --- sending ------------------------------------------------------------------------------- */

void mcq_ledger_send_begin(struct mcq_actor *a)
{
    mcq_ledger_look(a);
    mcq_ledger.sending = a;
}

static bool fans_out(const struct mcq_actor *a)
{
    return a->cast->type == MCQ_PUB || a->cast->type == MCQ_XPUB || a->cast->type == MCQ_XSUB;
}

/* XPUB's application isn't told who is subscribed to what; once all is at rest, it is what the
 * subscribers say. */
static bool is_known(const struct mcq_actor *a, const struct mcq_end *end)
{
    return a->cast->type != MCQ_XPUB || a->cast->opts.manual ||
           (mcq_ledger_far(end)->state == MCQ_END_UP && mcq_world_rested(end->since));
}

/* Does this peer get it? If nobody can know: took. */
static bool is_due(const struct mcq_actor *a, uint32_t i, const struct mcq_parcel *p, bool took)
{
    const struct mcq_tap_link *l = &mcq_ledger.links[i];
    bool was_up = mcq_ledger.queue_of[i]->up;
    if (l->closing)
        return false;
    if (a->cast->type == MCQ_XSUB)
        return was_up || (l->member && l->target != NULL && !a->cast->opts.immediate);
    const struct mcq_end *end = was_up ? mcq_ledger_end(a, l->peer) : NULL;
    if (end == NULL)
        return false;
    if (!is_known(a, end))
        return took;
    bool told = a->cast->type == MCQ_PUB || a->cast->opts.manual;
    uint32_t topics = told ? end->topics : mcq_ledger_far(end)->actor->topics;
    bool wanted = false;
    for (uint32_t k = 0; k < MCQ_PARCEL_TOPICS; k++)
        if ((topics >> k & 1) != 0)
            wanted = wanted || mcq_parcel_topic_matches(k, p->topic);
    return wanted != a->cast->opts.invert_matching;
}

/* Is this queue meant? to: the one peer, or zero. */
static bool is_meant(const struct mcq_actor *a, uint32_t i, const struct mcq_parcel *p,
                     struct mcq_peer to, bool took)
{
    if (to.bits != 0)
        return mcq_peer_equal(mcq_ledger.links[i].peer, to);
    return !fans_out(a) || is_due(a, i, p, took);
}

struct outcome {
    uint32_t hits, meant;
    uint64_t missed; /* as the queues themselves tell */
};

/* One queue after a send that succeeded. */
static void enter(struct mcq_actor *a, uint32_t i, const struct mcq_parcel *p, struct mcq_peer to,
                  struct outcome *o)
{
    const struct mcq_tap_link *l = &mcq_ledger.links[i];
    struct mcq_queue *q = mcq_ledger.queue_of[i];
    uint64_t total = l->out + l->queued;
    uint64_t lost = l->dropped - q->dropped;
    bool took = total == q->total + 1 || (q->lossy && lost != 0 && total + lost == q->total + 1);
    if (!took && total != q->total && !q->lossy)
        mcq_sim_fail("%s: one send made a queue of %lu messages one of %lu", mcq_world_name(a),
                     (unsigned long)q->total, (unsigned long)total);
    bool meant = is_meant(a, i, p, to, took);
    if (took && !meant)
        mcq_sim_fail("%s: #%u went to a peer that it is not for", mcq_world_name(a), p->number);
    q->total = total;
    o->meant += meant;
    o->hits += took;
    o->missed += !took && lost != 0;
    if (took)
        mcq_queue_insert(q, q->tail, p);
}

static void unchanged(struct mcq_actor *a, enum mcq_error err)
{
    for (uint32_t i = 0; i < mcq_ledger.link_cnt; i++) {
        const struct mcq_tap_link *l = &mcq_ledger.links[i];
        struct mcq_queue *q = mcq_ledger.queue_of[i];
        uint64_t total = l->out + l->queued;
        /* What was to make room is gone, whether that was enough or not. */
        if (q->lossy && total < q->total)
            q->total = total;
        if (total != q->total)
            mcq_sim_fail("%s: a send failed with %s and yet changed a queue", mcq_world_name(a),
                         mcq_error_name(err));
    }
}

uint32_t mcq_ledger_send_end(struct mcq_actor *a, const struct mcq_parcel *p, struct mcq_peer to,
                             enum mcq_error err)
{
    struct outcome o = {.hits = 0};
    mcq_ledger.sending = NULL;
    mcq_ledger_glance(a);
    if (err != MCQ_OK) {
        unchanged(a, err);
        return 0;
    }
    for (uint32_t i = 0; i < mcq_ledger.link_cnt; i++)
        enter(a, i, p, to, &o);
    if (!fans_out(a) && o.hits > 1)
        mcq_sim_fail("%s: #%u went into %u queues", mcq_world_name(a), p->number, o.hits);
    a->put += o.hits;
    a->missed += a->cast->type == MCQ_XPUB ? o.missed : fans_out(a) ? o.meant - o.hits : 1 - o.hits;
    return o.hits;
}

/* --- up ------------------------------------------------------------------------------------ */

static uint32_t find_link(struct mcq_actor *a, struct mcq_peer peer)
{
    mcq_ledger_glance(a);
    for (uint32_t i = 0; i < mcq_ledger.link_cnt; i++)
        if (mcq_peer_equal(mcq_ledger.links[i].peer, peer))
            return i;
    mcq_sim_fail("%s: a peer that no link has", mcq_world_name(a));
}

/* The library puts one message of its own there, or drops it: a probe goes before all that waits,
 * and may have waited there already; a welcome behind it. */
static void enter_first(struct mcq_actor *a, struct mcq_queue *q, const struct mcq_tap_link *l)
{
    const struct mcq_parcel nothing = {.frame_cnt = 1, .topic = MCQ_PARCEL_TOPIC_NONE};
    bool probe = a->cast->opts.probe;
    uint64_t before = q->total;
    mcq_queue_check(a, q, probe || a->cast->welcome);
    bool grew = q->total > before;
    if ((!probe && !a->cast->welcome) || (probe && !grew && l->probe))
        return;
    if (!grew && (probe || !q->lossy)) {
        a->missed++;
        return;
    }
    struct mcq_parcel p = probe ? nothing : mcq_world_welcome(a->cast);
    p.library = true;
    uint64_t first = q->lossy ? mcq_queue_floor(q) : q->tail + 1 - q->queued;
    mcq_queue_insert(q, probe ? first : q->tail, &p);
    a->put++;
}

void mcq_ledger_up(struct mcq_actor *a, struct mcq_peer peer)
{
    uint32_t i = find_link(a, peer);
    const struct mcq_tap_link *l = &mcq_ledger.links[i];
    struct mcq_queue *q = mcq_ledger.queue_of[i];
    if (l->stream == 0)
        mcq_sim_fail("%s: a peer came up without a connection", mcq_world_name(a));
    for (uint32_t k = 0; k < mcq_ledger.link_cnt; k++)
        if (k != i)
            mcq_queue_check(a, mcq_ledger.queue_of[k], 0);
    enter_first(a, q, l);
    struct mcq_connection *c = mcq_connection_get(l->stream);
    struct mcq_end *end = &c->ends[l->side];
    if (end->state != MCQ_END_NEVER)
        mcq_sim_fail("%s: one connection came up twice", mcq_world_name(a));
    uint64_t base = q->lossy ? mcq_queue_floor(q) : q->tail - q->queued;
    *end = (struct mcq_end){.state = MCQ_END_UP,
                            .actor = a,
                            .peer = peer,
                            .queue = q,
                            .since = mcq_world_calls(),
                            .base = base,
                            .pos = base};
    q->conns++;
    q->shrunk = false;
    c->used = mcq_world_calls();
}

/* --- down ---------------------------------------------------------------------------------- */

/* What its kernel had received it delivered, as far as it depended on itself: a paused peer may end
 * without it. */
static bool took_all(const struct mcq_end *end)
{
    return end->state == MCQ_END_DOWN && !end->paused &&
           (end->reason == MCQ_REASON_PEER_CLOSED || end->reason == MCQ_REASON_RESET);
}

/* One direction of a connection with both ends over. */
static void judge(const struct mcq_end *from, const struct mcq_end *to)
{
    const struct mcq_report *sent = &from->report;
    const struct mcq_report *got = &to->report;
    if (from->state != MCQ_END_DOWN || to->state != MCQ_END_DOWN)
        return;
    if (got->msgs_in > sent->msgs_out || got->bytes_in > sent->bytes_out)
        mcq_sim_fail("%s received %lu messages, %lu bytes, of %lu messages, %lu bytes that %s sent",
                     mcq_world_name(to->actor), (unsigned long)got->msgs_in,
                     (unsigned long)got->bytes_in, (unsigned long)sent->msgs_out,
                     (unsigned long)sent->bytes_out, mcq_world_name(from->actor));
    if (took_all(to) && got->msgs_in < sent->lost_lo)
        mcq_sim_fail("%s received %lu messages, but %s says of all before %lu that they arrived",
                     mcq_world_name(to->actor), (unsigned long)got->msgs_in,
                     mcq_world_name(from->actor), (unsigned long)sent->lost_lo);
}

static void over(struct mcq_end *end, enum mcq_end_state state)
{
    struct mcq_connection *c = mcq_connection_of(end);
    end->state = state;
    c->used = mcq_world_calls();
    if (!mcq_end_over(&c->ends[0]) || !mcq_end_over(&c->ends[1]))
        return;
    judge(&c->ends[0], &c->ends[1]);
    judge(&c->ends[1], &c->ends[0]);
    mcq_connection_free(c);
}

/* The receiver's sum: what it was given and what its pattern took for itself. */
static void check_in(const struct mcq_actor *a, const struct mcq_end *end,
                     const struct mcq_report *r)
{
    const struct mcq_end *far = mcq_ledger_far(end);
    bool picks = a->cast->type == MCQ_SUB || a->cast->type == MCQ_REQ || a->cast->type == MCQ_REP ||
                 a->cast->type == MCQ_PUB;
    if (r->msgs_in < far->taken || (!picks && r->msgs_in != far->taken))
        mcq_sim_fail("%s: the report counts %lu messages in, the handler was given %lu",
                     mcq_world_name(a), (unsigned long)r->msgs_in, (unsigned long)far->taken);
}

static void check_out(const struct mcq_actor *a, const struct mcq_end *end,
                      const struct mcq_report *r)
{
    const struct mcq_queue *q = end->queue;
    if (r->lost_lo > r->lost_hi || r->lost_hi < r->msgs_out || r->lost_hi > r->msgs_out + 1)
        mcq_sim_fail("%s: %lu messages out, and [%lu, %lu) may be lost", mcq_world_name(a),
                     (unsigned long)r->msgs_out, (unsigned long)r->lost_lo,
                     (unsigned long)r->lost_hi);
    if (end->taken > r->msgs_out)
        mcq_sim_fail("%s: %lu messages out, and the far end was given %lu", mcq_world_name(a),
                     (unsigned long)r->msgs_out, (unsigned long)end->taken);
    if (q->lossy || q->shrunk)
        return;
    if (q->tail - q->queued != end->base + r->msgs_out)
        mcq_sim_fail("%s: a queue of %lu, begun at %lu: %lu messages out and %lu left",
                     mcq_world_name(a), (unsigned long)q->tail, (unsigned long)end->base,
                     (unsigned long)r->msgs_out, (unsigned long)q->queued);
}

void mcq_ledger_down(struct mcq_actor *a, const struct mcq_event *ev)
{
    struct mcq_end *end = mcq_ledger_end(a, ev->peer);
    if (end == NULL)
        mcq_sim_fail("%s: DISCONNECTED of a peer that is not up", mcq_world_name(a));
    mcq_ledger_look(a);
    check_in(a, end, &ev->report);
    check_out(a, end, &ev->report);
    a->left += ev->report.msgs_out;
    end->report = ev->report;
    end->reason = ev->reason;
    over(end, MCQ_END_DOWN);
}

void mcq_ledger_kill(struct mcq_actor *a)
{
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++)
        for (uint32_t k = 0; k < 2; k++) {
            struct mcq_connection *c = &mcq_ledger.conns[i];
            if (c->stream != 0 && c->ends[k].actor == a && c->ends[k].state == MCQ_END_UP)
                over(&c->ends[k], MCQ_END_KILLED);
        }
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++)
        if (mcq_ledger.queues[i].actor == a)
            mcq_queue_forget(&mcq_ledger.queues[i]);
}

/* --- delivery ------------------------------------------------------------------------------ */

/* Frames before the message itself that one type puts there and the other shows. */
static uint32_t envelope_cnt(const struct mcq_actor *a, const struct mcq_actor *far,
                             const struct mcq_msg *m)
{
    bool shown = (a->cast->type == MCQ_ROUTER && far->cast->type == MCQ_REQ) ||
                 (a->cast->type == MCQ_DEALER && far->cast->type == MCQ_REP);
    if (!shown)
        return 0;
    for (uint32_t i = 0; i + 1 < mcq_msg_frame_cnt(m); i++)
        if (mcq_msg_frame(m, i).len == 0)
            return i + 1;
    mcq_sim_fail("%s: a message of %u frames without a delimiter", mcq_world_name(a),
                 mcq_msg_frame_cnt(m));
}

/* Which one it is instead, for a person. */
_Noreturn static void explain(const struct mcq_actor *a, const struct mcq_end *from,
                              const struct mcq_msg *m, uint32_t first)
{
    const struct mcq_parcel *due =
        from->pos < from->queue->tail ? mcq_queue_parcel(from->queue, from->pos) : NULL;
    const uint8_t *head = m->data;
    mcq_world_trace(
        "due: #%ld of %lu put, message of %u frames, %zu bytes came, %02x %02x %02x %02x ...",
        due == NULL ? -1l : (long)due->number, (unsigned long)from->queue->tail,
        mcq_msg_frame_cnt(m), mcq_msg_bytes(m), m->len < 4 ? 0 : head[0], m->len < 4 ? 0 : head[1],
        m->len < 4 ? 0 : head[2], m->len < 4 ? 0 : head[3]);
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++) {
        struct mcq_queue *q = &mcq_ledger.queues[i];
        uint64_t start = q->tail < MCQ_LEDGER_RING ? 0 : q->tail - MCQ_LEDGER_RING;
        for (uint64_t k = start; q->actor != NULL && k < q->tail; k++)
            if (mcq_parcel_resembles(mcq_queue_parcel(q, k), m, first))
                mcq_sim_fail("%s: #%ld of %s is due, and %s of #%u of %s came (place %lu, due %lu)",
                             mcq_world_name(a), due == NULL ? -1l : (long)due->number,
                             mcq_world_name(from->actor),
                             mcq_parcel_matches(mcq_queue_parcel(q, k), m, first) ? "all"
                                                                                  : "a part",
                             mcq_queue_parcel(q, k)->number, mcq_world_name(q->actor),
                             (unsigned long)k, (unsigned long)from->pos);
    }
    mcq_sim_fail("%s: #%ld of %s is due, and something unknown of %zu bytes came",
                 mcq_world_name(a), due == NULL ? -1l : (long)due->number,
                 mcq_world_name(from->actor), mcq_msg_bytes(m));
}

/* The first that it can be; if several are alike, the one that a waits for. */
static struct mcq_parcel *find_due(struct mcq_actor *a, struct mcq_end *from,
                                   const struct mcq_msg *m, uint32_t first)
{
    struct mcq_queue *q = from->queue;
    uint64_t found = UINT64_MAX;
    for (uint64_t at = from->pos; at < q->tail; at++) {
        struct mcq_parcel *p = mcq_queue_parcel(q, at);
        bool spared = mcq_actor_may_miss(a, p);
        bool wanted = !spared || mcq_actor_wants(a, p);
        bool is = !p->taken && (found == UINT64_MAX || wanted) &&
                  mcq_parcel_matches(p, m, p->library ? 0 : first);
        if (is)
            found = at;
        if ((is && wanted) || (!spared && !q->lossy))
            break;
    }
    if (found == UINT64_MAX)
        explain(a, from, m, first);
    from->pos = found + 1;
    return mcq_queue_parcel(q, found);
}

const struct mcq_parcel *mcq_ledger_take(struct mcq_actor *a, struct mcq_peer peer,
                                         const struct mcq_msg *m, uint32_t *first)
{
    struct mcq_end *end = mcq_ledger_end(a, peer);
    if (end == NULL)
        mcq_sim_fail("%s: a message from a peer that is not up", mcq_world_name(a));
    struct mcq_end *from = mcq_ledger_far(end);
    if (from->state == MCQ_END_NEVER)
        mcq_sim_fail("%s: a message from a peer that did not come up over there",
                     mcq_world_name(a));
    bool library = mcq_msg_frame_cnt(m) == 1 && m->len == 0;
    uint64_t pos = from->pos;
    *first = library ? 0 : envelope_cnt(a, from->actor, m);
    struct mcq_parcel *p = find_due(a, from, m, *first);
    for (; pos + 1 < from->pos; pos++)
        mcq_actor_missed(a, from, mcq_queue_parcel(from->queue, pos));
    if (p->library)
        *first = 0;
    p->taken = true;
    from->taken++;
    mcq_connection_of(end)->used = mcq_world_calls();
    return p;
}

/* --- rest ---------------------------------------------------------------------------------- */

static const char *unquiet(struct mcq_end *from, struct mcq_end *to)
{
    struct mcq_queue *q = from->queue;
    if (q->queued != 0)
        return "a queue towards a peer that is up doesn't empty";
    for (uint64_t at = from->pos; !q->lossy && at < q->tail; at++)
        if (!mcq_actor_may_miss(to->actor, mcq_queue_parcel(q, at)))
            return "what was sent to a peer that is up doesn't arrive";
    return NULL;
}

static const char *unsettled(struct mcq_connection *c)
{
    struct mcq_end *a = &c->ends[0];
    struct mcq_end *b = &c->ends[1];
    if (c->stream == 0 || (a->state != MCQ_END_UP && b->state != MCQ_END_UP))
        return NULL;
    if (a->state != MCQ_END_UP || b->state != MCQ_END_UP)
        return "one end of a connection is up, the other is not";
    const char *why = unquiet(a, b);
    return why != NULL ? why : unquiet(b, a);
}

const char *mcq_ledger_unrest(const struct mcq_actor **who)
{
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++) {
        struct mcq_connection *c = &mcq_ledger.conns[i];
        const char *why = unsettled(c);
        *who = c->ends[c->ends[0].state != MCQ_END_UP].actor;
        if (why != NULL)
            return why;
    }
    return NULL;
}
