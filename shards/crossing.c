#include "shards/crossing.h"

#include "shards/shard.h"

static bool has(const struct mcq_shard_set *set, uint32_t shard)
{
    return (set->bits[shard / 64] >> shard % 64 & 1) != 0;
}

static void add(struct mcq_shard_set *set, uint32_t shard)
{
    set->bits[shard / 64] |= UINT64_C(1) << shard % 64;
}

static void discard(struct mcq_shard_set *set, uint32_t shard)
{
    set->bits[shard / 64] &= ~(UINT64_C(1) << shard % 64);
}

static struct mcq_channel *channel_of(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_channel, node);
}

static struct mcq_crossing *crossing_of(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_crossing, node);
}

static uint32_t own_id(const struct mcq_member *m)
{
    return m->sock->shard->id;
}

/* NULL: there is none, or it is the own shard. */
static struct mcq_channel *channel_to(const struct mcq_member *m, uint32_t shard)
{
    for (struct mcq_node *n = mcq_list_first(&m->channels); n != NULL;
         n = mcq_list_next(&m->channels, n))
        if (channel_of(n)->bridge->to == shard)
            return channel_of(n);
    return NULL;
}

static struct mcq_crossing *find(const struct mcq_member *m, struct mcq_peer peer, uint32_t gen)
{
    for (struct mcq_node *n = mcq_list_first(&m->crossings); n != NULL;
         n = mcq_list_next(&m->crossings, n)) {
        struct mcq_crossing *c = crossing_of(n);
        if (mcq_peer_equal(c->peer, peer) && c->gen == gen)
            return c;
    }
    return NULL;
}

static bool is_giver(const struct mcq_crossing *c)
{
    return c->giver == own_id(c->member);
}

/* --- what the peer gets ---------------------------------------------------------------------- */

static void mute(struct mcq_crossing *c, uint32_t from)
{
    mcq_fanout_mute(&c->link->pipe, has(&c->cut, from) == is_giver(c));
}

static bool blocks(const struct mcq_link *link)
{
    return link->sock->psock.opts->slow == MCQ_SLOW_BLOCK;
}

static void restore_marks(struct mcq_link *link)
{
    const struct mcq_sock_opts *o = &link->sock->opts;
    mcq_pipe_set_marks(&link->pipe, o->send_hwm_msgs, o->send_hwm_bytes);
}

/* What the channels hold is taken; who publishes here waits as ever. */
static void set_marks(struct mcq_crossing *c, uint32_t from)
{
    if (!blocks(c->link))
        return;
    if (from == own_id(c->member) || c->here)
        restore_marks(c->link);
    else
        mcq_pipe_set_marks(&c->link->pipe, MCQ_UNLIMITED, UINT64_MAX);
}

void mcq_crossing_mute(struct mcq_member *m, uint32_t from)
{
    for (struct mcq_node *n = mcq_list_first(&m->crossings); n != NULL;
         n = mcq_list_next(&m->crossings, n)) {
        mute(crossing_of(n), from);
        set_marks(crossing_of(n), from);
    }
}

static bool is_over_marks(const struct mcq_link *link)
{
    const struct mcq_sock_opts *o = &link->sock->opts;
    return (o->send_hwm_msgs != MCQ_UNLIMITED &&
            mcq_pipe_queued_msgs(&link->pipe) > o->send_hwm_msgs) ||
           mcq_pipe_queued_bytes(&link->pipe) > o->send_hwm_bytes;
}

bool mcq_crossing_ties(const struct mcq_link *link)
{
    const struct mcq_member *m = link->sock->member;
    if (link->crossing != NULL)
        return true;
    return m != NULL && m->publishes && blocks(link) && is_over_marks(link);
}

/* --- life ------------------------------------------------------------------------------------ */

bool mcq_crossing_begin(struct mcq_link *link, const struct mcq_move *m)
{
    struct mcq_shard *sh = link->shard;
    struct mcq_member *member = link->sock->member;
    if (member == NULL || !member->publishes || !m->up)
        return true;
    struct mcq_crossing *c = mcq_pool_take(&sh->handoff.crossings);
    if (c == NULL)
        return false;
    *c = (struct mcq_crossing){.member = member,
                               .link = link,
                               .peer = m->peer,
                               .gen = m->gen,
                               .giver = m->from,
                               .taker = m->to};
    link->crossing = c;
    mcq_list_push_back(&member->crossings, &c->node);
    mute(c, sh->id);
    mcq_psock_wake(&link->sock->psock);
    return true;
}

void mcq_crossing_end(struct mcq_link *link)
{
    struct mcq_crossing *c = link->crossing;
    if (c == NULL)
        return;
    link->crossing = NULL;
    mcq_fanout_mute(&link->pipe, false);
    mcq_node_unlink(&c->node);
    mcq_pool_give(&link->shard->handoff.crossings, c);
}

/* All who publish anything here have cut. */
static bool is_complete(const struct mcq_crossing *c)
{
    const struct mcq_member *m = c->member;
    for (struct mcq_node *n = mcq_list_first(&m->channels); n != NULL;
         n = mcq_list_next(&m->channels, n))
        if (!has(&c->cut, channel_of(n)->bridge->to))
            return false;
    return has(&c->cut, own_id(m));
}

/* Who closes loses its peers' messages anyway. */
bool mcq_crossing_done(const struct mcq_link *link)
{
    const struct mcq_crossing *c = link->crossing;
    return c == NULL || link->sock->closing || channel_to(c->member, c->taker) == NULL ||
           is_complete(c);
}

static void end_if_over(struct mcq_crossing *c)
{
    if (c->here && is_complete(c))
        mcq_crossing_end(c->link);
}

void mcq_crossing_arrived(struct mcq_link *link)
{
    struct mcq_crossing *c = link->crossing;
    if (c == NULL)
        return;
    c->here = true;
    end_if_over(c);
}

/* --- cutting --------------------------------------------------------------------------------- */

static void put_cut(struct mcq_writer *w, const struct mcq_cut *cut)
{
    if (!mcq_writer_be64(w, cut->peer.bits) || !mcq_writer_be32(w, cut->gen) ||
        !mcq_writer_be32(w, cut->giver) || !mcq_writer_be32(w, cut->taker))
        MCQ_ASSERT(false);
}

static struct mcq_cut get_cut(struct mcq_slice body)
{
    struct mcq_cut cut = {.due = true};
    struct mcq_reader in = mcq_reader_of(body);
    if (!mcq_reader_be64(&in, &cut.peer.bits) || !mcq_reader_be32(&in, &cut.gen) ||
        !mcq_reader_be32(&in, &cut.giver) || !mcq_reader_be32(&in, &cut.taker))
        MCQ_ASSERT(false);
    return cut;
}

static void came(struct mcq_member *m, const struct mcq_cut *cut, uint32_t from)
{
    struct mcq_crossing *c = find(m, cut->peer, cut->gen);
    if (c == NULL)
        return;
    add(&c->cut, from);
    mute(c, own_id(m));
    end_if_over(c);
}

/* The side can't be marked now; if for want of room, its channel says so. */
static bool is_in_the_way(const struct mcq_channel *side, struct mcq_channel *says, bool *room)
{
    bool full;
    if (side == NULL || mcq_bridge_may_mark(side->bridge, &full))
        return false;
    if (full && side == says)
        *room = false;
    else if (full)
        mcq_bridge_say(side->bridge);
    return true;
}

/* Both at once: nothing is published in between. */
static void try_cut(struct mcq_member *m, struct mcq_cut *cut, struct mcq_channel *says, bool *room)
{
    struct mcq_channel *giver = channel_to(m, cut->giver);
    struct mcq_channel *taker = channel_to(m, cut->taker);
    uint8_t body[MCQ_BRIDGE_MARK_MAX];
    struct mcq_writer w = mcq_writer_of(body, sizeof(body));
    if (!cut->due || is_in_the_way(giver, says, room) || is_in_the_way(taker, says, room))
        return;
    cut->due = false;
    put_cut(&w, cut);
    if (giver != NULL)
        mcq_bridge_mark(giver->bridge, mcq_slice_of(body, w.len));
    if (taker != NULL)
        mcq_bridge_mark(taker->bridge, mcq_slice_of(body, w.len));
    came(m, cut, own_id(m));
}

static struct mcq_cut cut_of(const struct mcq_crossing *c)
{
    return (struct mcq_cut){
        .peer = c->peer, .gen = c->gen, .giver = c->giver, .taker = c->taker, .due = true};
}

static bool asks(const struct mcq_crossing *c, uint32_t shard)
{
    return c->ready && c->taker == own_id(c->member) && !has(&c->asked, shard);
}

/* false: there is nothing to ask for, or the last one is still due. */
static bool ask_self(struct mcq_member *m)
{
    const uint32_t id = own_id(m);
    for (struct mcq_node *n = mcq_list_first(&m->crossings); n != NULL && !m->cut.due;
         n = mcq_list_next(&m->crossings, n)) {
        struct mcq_crossing *c = crossing_of(n);
        if (!asks(c, id))
            continue;
        add(&c->asked, id);
        m->cut = cut_of(c);
        return true;
    }
    return false;
}

static void cut_all(struct mcq_member *m, struct mcq_channel *says, bool *room)
{
    do
        try_cut(m, &m->cut, says, room);
    while (ask_self(m));
    for (struct mcq_node *n = mcq_list_first(&m->channels); n != NULL;
         n = mcq_list_next(&m->channels, n))
        try_cut(m, &channel_of(n)->cut, says, room);
}

void mcq_crossing_asked(struct mcq_channel *ch, struct mcq_slice body)
{
    ch->cut = get_cut(body);
    mcq_bridge_say(ch->bridge);
}

void mcq_crossing_cut(struct mcq_channel *ch, struct mcq_slice body)
{
    const struct mcq_cut cut = get_cut(body);
    if (cut.taker == own_id(ch->member)) {
        ch->asking = false;
        mcq_bridge_say(ch->bridge);
    }
    came(ch->member, &cut, ch->bridge->to);
}

/* --- asking others --------------------------------------------------------------------------- */

/* A member that has joined since has to know, too. */
static struct mcq_crossing *next_to_ask(const struct mcq_channel *ch)
{
    const struct mcq_member *m = ch->member;
    for (struct mcq_node *n = mcq_list_first(&m->crossings); n != NULL;
         n = mcq_list_next(&m->crossings, n)) {
        struct mcq_crossing *c = crossing_of(n);
        if (asks(c, ch->bridge->to) && ch->known >= c->changes)
            return c;
    }
    return NULL;
}

static bool ask(struct mcq_channel *ch)
{
    struct mcq_crossing *c = ch->asking ? NULL : next_to_ask(ch);
    uint8_t body[MCQ_BRIDGE_MARK_MAX];
    struct mcq_writer w = mcq_writer_of(body, sizeof(body));
    if (c == NULL)
        return true;
    const struct mcq_cut cut = cut_of(c);
    put_cut(&w, &cut);
    if (!mcq_channel_ask_cut(ch, mcq_slice_of(body, w.len)))
        return false;
    add(&c->asked, ch->bridge->to);
    ch->asking = true;
    return true;
}

bool mcq_crossing_say(struct mcq_channel *ch)
{
    struct mcq_member *m = ch->member;
    bool room = true;
    if (m->sock->psock.pub.busy) { /* a message has gone into some of the channels */
        mcq_bridge_say(ch->bridge);
        return true;
    }
    cut_all(m, ch, &room);
    return ask(ch) && room;
}

void mcq_crossing_check(struct mcq_member *m)
{
    const bool alone = mcq_list_empty(&m->channels);
    struct mcq_node *next;
    for (struct mcq_node *n = mcq_list_first(&m->crossings); n != NULL; n = next) {
        struct mcq_crossing *c = crossing_of(n);
        next = mcq_list_next(&m->crossings, n);
        c->ready = c->ready || (c->subscribed && mcq_member_known(m) >= c->changes);
        if (alone && c->ready) /* no channel is left whose turn it would be */
            add(&c->cut, own_id(m));
        mute(c, own_id(m));
        end_if_over(c);
    }
    if (!mcq_list_empty(&m->crossings))
        mcq_member_say(m);
}

void mcq_crossing_subscribed(struct mcq_link *link)
{
    struct mcq_crossing *c = link->crossing;
    if (c == NULL)
        return;
    c->subscribed = true;
    c->changes = c->member->changes;
    mcq_crossing_check(c->member);
}

void mcq_crossing_left(struct mcq_channel *ch)
{
    const uint32_t shard = ch->bridge->to;
    for (struct mcq_node *n = mcq_list_first(&ch->member->crossings); n != NULL;
         n = mcq_list_next(&ch->member->crossings, n)) {
        struct mcq_crossing *c = crossing_of(n);
        discard(&c->asked, shard);
        if (c->here)
            add(&c->cut, shard);
        else
            discard(&c->cut, shard);
    }
}
