#include "tests/sim/ledger.h"

#include <string.h>

#include "tests/sim/ledger_private.h"
#include "tests/sim/world.h"

#define INPROC      ((uint64_t)1 << 62)
#define QUIET_CALLS 5000u

struct mcq_ledger mcq_ledger;

void mcq_ledger_reset(void)
{
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++)
        mcq_ledger.queues[i].actor = NULL;
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++)
        mcq_ledger.conns[i].stream = 0;
    mcq_ledger.queues_used = 0;
    mcq_ledger.conns_used = 0;
    mcq_ledger.sending = NULL;
    mcq_ledger.inproc_cnt = 0;
}

bool mcq_ledger_sending(void)
{
    return mcq_ledger.sending != NULL;
}

/* --- queues -------------------------------------------------------------------------------- */

struct mcq_parcel *mcq_queue_parcel(struct mcq_queue *q, uint64_t idx)
{
    return &q->ring[idx % MCQ_LEDGER_RING];
}

void mcq_queue_forget(struct mcq_queue *q)
{
    q->link = NULL;
    if (q->conns == 0)
        q->actor = NULL;
}

static struct mcq_queue *queue_new(struct mcq_actor *a, const struct mcq_tap_link *l)
{
    uint32_t i = 0;
    while (i < mcq_ledger.queues_used && mcq_ledger.queues[i].actor != NULL)
        i++;
    if (i == MCQ_LEDGER_QUEUES_MAX)
        mcq_sim_fail("the ledger has no place for another queue");
    if (i == mcq_ledger.queues_used)
        mcq_ledger.queues_used++;
    struct mcq_queue *q = &mcq_ledger.queues[i];
    memset(q, 0, offsetof(struct mcq_queue, ring));
    q->actor = a;
    q->link = l->link;
    q->target = l->target;
    q->stream = l->stream;
    q->lossy = mcq_actor_loses(a);
    return q;
}

/* The same place, but another link. */
static bool is_another(const struct mcq_queue *q, const struct mcq_tap_link *l)
{
    if (q->target != l->target)
        return true;
    return l->target == NULL && l->stream != 0 && q->stream != l->stream;
}

static struct mcq_queue *queue_find(const struct mcq_actor *a, const struct mcq_tap_link *l)
{
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++)
        if (mcq_ledger.queues[i].actor == a && mcq_ledger.queues[i].link == l->link) {
            if (!is_another(&mcq_ledger.queues[i], l))
                return &mcq_ledger.queues[i];
            mcq_queue_forget(&mcq_ledger.queues[i]);
        }
    return NULL;
}

/* --- looking ------------------------------------------------------------------------------- */

/* Joined links have no stream of the machine's: the accepted one's queue has a number for it. */
static uint64_t inproc_stream(const struct mcq_tap_link *l, const struct mcq_queue *own)
{
    uint64_t newest = 0;
    if (l->target == NULL)
        return own->stream;
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++) {
        const struct mcq_queue *q = &mcq_ledger.queues[i];
        if (q->actor != NULL && q->link == l->partner && q->stream > INPROC && q->stream > newest)
            newest = q->stream;
    }
    return newest;
}

void mcq_ledger_glance(struct mcq_actor *a)
{
    mcq_ledger.link_cnt = a->sock == NULL ? 0 : mcq_tap_links(a->sock, mcq_ledger.links);
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++)
        mcq_ledger.queues[i].seen = false;
    for (uint32_t i = 0; i < mcq_ledger.link_cnt; i++) {
        mcq_ledger.queue_of[i] = queue_find(a, &mcq_ledger.links[i]);
        if (mcq_ledger.queue_of[i] == NULL)
            mcq_ledger.queue_of[i] = queue_new(a, &mcq_ledger.links[i]);
        if (mcq_ledger.links[i].partner != NULL)
            mcq_ledger.links[i].stream =
                inproc_stream(&mcq_ledger.links[i], mcq_ledger.queue_of[i]);
        mcq_ledger.queue_of[i]->seen = true;
        mcq_ledger.queue_of[i]->out = mcq_ledger.links[i].out;
        mcq_ledger.queue_of[i]->queued = mcq_ledger.links[i].queued;
    }
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++)
        if (mcq_ledger.queues[i].actor == a && mcq_ledger.queues[i].link != NULL &&
            !mcq_ledger.queues[i].seen)
            mcq_queue_forget(&mcq_ledger.queues[i]);
}

/* What waits for a peer may be dropped once its connection ends, or, in a lossy queue, at any time;
 * the sums at the end know. Nothing appears by itself but the library's own first message. */
void mcq_queue_check(struct mcq_actor *a, struct mcq_queue *q, uint32_t may_grow)
{
    uint64_t total = q->out + q->queued;
    bool may_shrink = q->lossy || !q->up;
    if (total > q->total + may_grow || (total < q->total && !may_shrink))
        mcq_sim_fail("%s: a queue held %lu messages, now it is %lu, and nobody sent",
                     mcq_world_name(a), (unsigned long)q->total, (unsigned long)total);
    q->shrunk = q->shrunk || total < q->total;
    q->total = total;
}

void mcq_ledger_look(struct mcq_actor *a)
{
    if (mcq_ledger.sending != NULL) /* a free callback inside a send */
        return;
    mcq_ledger_glance(a);
    for (uint32_t i = 0; i < mcq_ledger.link_cnt; i++) {
        mcq_ledger.queue_of[i]->up = mcq_ledger.links[i].up;
        mcq_ledger.queue_of[i]->dropped = mcq_ledger.links[i].dropped;
        mcq_queue_check(a, mcq_ledger.queue_of[i], 0);
    }
}

void mcq_ledger_begun(struct mcq_actor *a)
{
    mcq_ledger.link_cnt = mcq_tap_links(a->sock, mcq_ledger.links);
    const struct mcq_tap_link *l = &mcq_ledger.links[mcq_ledger.link_cnt - 1];
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++)
        if (mcq_ledger.queues[i].actor == a && mcq_ledger.queues[i].link == l->link)
            mcq_queue_forget(&mcq_ledger.queues[i]);
    struct mcq_queue *q = queue_new(a, l);
    if (l->target == NULL && l->stream == 0)
        q->stream = INPROC + ++mcq_ledger.inproc_cnt;
}

/* --- connections --------------------------------------------------------------------------- */

static struct mcq_end *far_of(struct mcq_connection *c, const struct mcq_end *end)
{
    return &c->ends[end == &c->ends[0]];
}

struct mcq_connection *mcq_connection_of(const struct mcq_end *end)
{
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++)
        if (end == &mcq_ledger.conns[i].ends[0] || end == &mcq_ledger.conns[i].ends[1])
            return &mcq_ledger.conns[i];
    return NULL;
}

struct mcq_end *mcq_ledger_far(const struct mcq_end *end)
{
    return far_of(mcq_connection_of(end), end);
}

void mcq_connection_free(struct mcq_connection *c)
{
    c->stream = 0;
    for (uint32_t i = 0; i < 2; i++) {
        struct mcq_queue *q = c->ends[i].queue;
        if (q == NULL)
            continue;
        q->conns--;
        if (q->floor < c->ends[i].pos)
            q->floor = c->ends[i].pos;
        if (q->conns == 0 && q->link == NULL)
            q->actor = NULL;
    }
}

static bool is_up(const struct mcq_connection *c)
{
    return c->ends[0].state == MCQ_END_UP || c->ends[1].state == MCQ_END_UP;
}

void mcq_ledger_prune(void)
{
    uint64_t now = mcq_world_calls();
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++) {
        struct mcq_connection *c = &mcq_ledger.conns[i];
        if (c->stream != 0 && !is_up(c) && now - c->used > QUIET_CALLS)
            mcq_connection_free(c);
    }
}

/* Of those with no end up the one that was quiet for longest. */
static struct mcq_connection *conn_recycle(void)
{
    struct mcq_connection *oldest = NULL;
    for (uint32_t i = 0; i < MCQ_LEDGER_CONNS_MAX; i++) {
        struct mcq_connection *c = &mcq_ledger.conns[i];
        if (!is_up(c) && (oldest == NULL || c->used < oldest->used))
            oldest = c;
    }
    if (oldest == NULL)
        mcq_sim_fail("the ledger has no place for another connection");
    mcq_connection_free(oldest);
    return oldest;
}

struct mcq_connection *mcq_connection_get(uint64_t stream)
{
    struct mcq_connection *place = NULL;
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++) {
        if (mcq_ledger.conns[i].stream == stream)
            return &mcq_ledger.conns[i];
        if (mcq_ledger.conns[i].stream == 0)
            place = &mcq_ledger.conns[i];
    }
    if (place == NULL)
        place = mcq_ledger.conns_used < MCQ_LEDGER_CONNS_MAX
                    ? &mcq_ledger.conns[mcq_ledger.conns_used++]
                    : conn_recycle();
    memset(place, 0, sizeof(*place));
    place->stream = stream;
    return place;
}

struct mcq_end *mcq_ledger_end(const struct mcq_actor *a, struct mcq_peer peer)
{
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++)
        for (uint32_t k = 0; k < 2; k++) {
            struct mcq_end *end = &mcq_ledger.conns[i].ends[k];
            if (mcq_ledger.conns[i].stream != 0 && end->state == MCQ_END_UP && end->actor == a &&
                mcq_peer_equal(end->peer, peer))
                return end;
        }
    return NULL;
}

void mcq_ledger_each(struct mcq_actor *a, void (*fn)(struct mcq_actor *a, struct mcq_end *end))
{
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++)
        for (uint32_t k = 0; k < 2; k++) {
            struct mcq_end *end = &mcq_ledger.conns[i].ends[k];
            if (mcq_ledger.conns[i].stream != 0 && end->state == MCQ_END_UP && end->actor == a)
                fn(a, end);
        }
}

struct mcq_end *mcq_ledger_any(const struct mcq_actor *a, uint32_t idx)
{
    struct mcq_end *found[MCQ_LEDGER_CONNS_MAX];
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++)
        for (uint32_t k = 0; k < 2 && cnt < MCQ_LEDGER_CONNS_MAX; k++) {
            struct mcq_end *end = &mcq_ledger.conns[i].ends[k];
            if (mcq_ledger.conns[i].stream != 0 && end->state == MCQ_END_UP && end->actor == a)
                found[cnt++] = end;
        }
    return cnt == 0 ? NULL : found[idx % cnt];
}

/* --- room ---------------------------------------------------------------------------------- */

/* The first parcel of q that may still be asked for. */
uint64_t mcq_queue_floor(const struct mcq_queue *q)
{
    uint64_t floor = q->lossy ? q->floor : q->tail - mcq_min_u64(q->tail, q->queued);
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++)
        for (uint32_t k = 0; k < 2; k++) {
            const struct mcq_end *end = &mcq_ledger.conns[i].ends[k];
            if (mcq_ledger.conns[i].stream != 0 && end->queue == q &&
                !mcq_end_over(&mcq_ledger.conns[i].ends[1 - k]))
                floor = mcq_min_u64(floor, end->pos);
        }
    return floor;
}

bool mcq_ledger_has_room(struct mcq_actor *a, uint32_t more)
{
    mcq_ledger_glance(a);
    for (uint32_t i = 0; i < mcq_ledger.link_cnt; i++)
        if (mcq_ledger.queue_of[i]->tail + more - mcq_queue_floor(mcq_ledger.queue_of[i]) >
            MCQ_LEDGER_RING)
            return false;
    return true;
}

void mcq_queue_insert(struct mcq_queue *q, uint64_t idx, const struct mcq_parcel *p)
{
    for (uint64_t at = q->tail++; at > idx; at--)
        *mcq_queue_parcel(q, at) = *mcq_queue_parcel(q, at - 1);
    struct mcq_parcel *to = mcq_queue_parcel(q, idx);
    *to = *p;
    to->taken = false;
}

bool mcq_ledger_knows(const struct mcq_actor *a)
{
    for (uint32_t i = 0; i < mcq_ledger.queues_used; i++)
        if (mcq_ledger.queues[i].actor == a)
            return true;
    for (uint32_t i = 0; i < mcq_ledger.conns_used; i++)
        if (mcq_ledger.conns[i].stream != 0 &&
            (mcq_ledger.conns[i].ends[0].actor == a || mcq_ledger.conns[i].ends[1].actor == a))
            return true;
    return false;
}
