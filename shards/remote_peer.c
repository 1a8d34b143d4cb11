#include "shards/remote_peer.h"

#include "shards/shard.h"

/* --- names that have gone -------------------------------------------------------------------- */

size_t mcq_remote_dead_footprint(uint32_t shards)
{
    return shards > 1 ? MCQ_REMOTE_PEER_DEAD_MAX * sizeof(uint64_t) + MCQ_CACHE_LINE : 0;
}

bool mcq_remote_dead_init(struct mcq_remote_dead *d, struct mcq_arena *arena, uint32_t shards)
{
    *d = (struct mcq_remote_dead){NULL};
    if (shards > 1)
        d->at = mcq_arena_carve(arena, MCQ_REMOTE_PEER_DEAD_MAX * sizeof(*d->at), MCQ_CACHE_LINE);
    return shards <= 1 || d->at != NULL;
}

/* Where the slot's newest is. */
static uint64_t *dead_at(const struct mcq_remote_dead *d, struct mcq_peer peer)
{
    uint64_t h = (peer.bits >> 32) * 0x9e3779b97f4a7c15u;
    return &d->at[(h >> 32) % MCQ_REMOTE_PEER_DEAD_MAX];
}

/* Epochs of a slot only grow. */
bool mcq_remote_dead_has(const struct mcq_remote_dead *d, struct mcq_peer peer)
{
    uint64_t dead = d->at == NULL ? 0 : *dead_at(d, peer);
    return dead >> 32 == peer.bits >> 32 && (uint32_t)peer.bits <= (uint32_t)dead;
}

void mcq_remote_dead_add(struct mcq_remote_dead *d, struct mcq_peer peer)
{
    if (!mcq_remote_dead_has(d, peer))
        *dead_at(d, peer) = peer.bits;
}

/* --- the sender's side ----------------------------------------------------------------------- */

static void far_introduce(struct mcq_bridge *b, struct mcq_writer *w)
{
    const struct mcq_link *link = b->ctx;
    if (!mcq_writer_be64(w, link->pipe.peer.bits) || !mcq_writer_be32(w, link->sock->logical) ||
        !mcq_writer_be32(w, link->sock->life))
        MCQ_ASSERT(false);
}

static void far_taken(struct mcq_bridge *b, uint64_t bytes, bool room)
{
    struct mcq_link *link = b->ctx;
    struct mcq_psock *ps = &link->sock->psock;
    link->inproc.bytes_out += bytes;
    if (room)
        ps->pattern->writable(ps, &link->pipe);
    if (link->session.end_due != MCQ_REASON_NONE)
        mcq_session_end(link, link->session.end_due, 0);
    if (!link->session.ended && mcq_pipe_empty(&link->pipe))
        mcq_link_drained(link);
}

/* Nobody there has that name: it may have moved meanwhile. As long as there is a claim to it, it is
 * somewhere, and whoever has it now announces that soon. */
static bool has_moved(const struct mcq_bridge *b, const struct mcq_link *link, uint32_t *to)
{
    const struct mcq_record *r = mcq_directory_name(&link->shard->directory, link->pipe.peer);
    if (r == NULL || link->session.ended)
        return false;
    *to = r->shard;
    if (r->shard == b->to && link->gen != 0 && link->owner != link->shard->id)
        *to = link->owner;
    return true;
}

/* LIMIT alone says nothing about the peer. */
static void far_ended(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost)
{
    struct mcq_link *link = b->ctx;
    uint32_t to;
    (void)lost;
    if (reason == MCQ_REASON_NO_PEER && has_moved(b, link, &to)) {
        mcq_bridge_again(b, to);
        return;
    }
    if (reason != MCQ_REASON_LIMIT)
        mcq_remote_dead_add(&link->shard->dead, link->pipe.peer);
    mcq_session_end(link, reason, 0);
}

void mcq_remote_peer_follow(struct mcq_link *link)
{
    struct mcq_bridge *b = link->bridge;
    if (b == NULL || b->state != MCQ_BRIDGE_OPEN || link->hold_gen > link->gen)
        return; /* looked at again when it is open, or when the peer has arrived */
    if (link->at_gen >= link->gen) {
        if (b->held)
            mcq_bridge_release(b);
    } else if (!b->held || b->holding) {
        mcq_bridge_hold(b); /* goes on in far_held */
    } else {
        mcq_bridge_retarget(b, link->owner, MCQ_REASON_NONE);
    }
}

/* The peer may have been there before, and left: the end over there counts for one visit. Whoever
 * ended it while the bridge was between two shards is heard on the second. */
static void far_opened(struct mcq_bridge *b, struct mcq_slice what)
{
    struct mcq_link *link = b->ctx;
    struct mcq_reader in = mcq_reader_of(what);
    if (!mcq_reader_be32(&in, &link->at_gen))
        MCQ_ASSERT(false);
    if (link->session.ended)
        mcq_bridge_end(b, mcq_remote_peer_echo(link), 0);
    else
        mcq_remote_peer_follow(link);
}

static void far_held(struct mcq_bridge *b)
{
    mcq_handoff_held(b->ctx);
    mcq_remote_peer_follow(b->ctx);
}

static void far_closed(struct mcq_bridge *b)
{
    struct mcq_link *link = b->ctx;
    mcq_handoff_held(link);
    (void)mcq_pipe_rewind(&link->pipe);
    mcq_link_event(link, &(struct mcq_io_event){.kind = MCQ_IO_CLOSED});
}

static const struct mcq_bridge_ops far_ops = {
    .introduce = far_introduce,
    .opened = far_opened,
    .taken = far_taken,
    .held = far_held,
    .ended = far_ended,
    .closed = far_closed,
};

enum mcq_reason mcq_remote_peer_echo(const struct mcq_link *link)
{
    enum mcq_reason reason = link->session.reason;
    if (reason == MCQ_REASON_KILLED || reason == MCQ_REASON_SLOW)
        return reason;
    return link->ends_peer ? MCQ_REASON_LOCAL : MCQ_REASON_NONE;
}

static void learn_identity(struct mcq_link *link, const struct mcq_record *r)
{
    struct mcq_pipe *p = &link->pipe;
    struct mcq_slice id = mcq_directory_identity(&r->key);
    mcq_bytes_copy(p->identity, id.ptr, id.len);
    p->identity_len = (uint8_t)id.len;
    mcq_psock_enter_far(&link->sock->psock, p);
}

static struct mcq_link *fail(enum mcq_error *err, enum mcq_error why)
{
    *err = why;
    return NULL;
}

/* The shard it is on, as far as is known here; the own one: nowhere. */
static uint32_t shard_of(const struct mcq_sock *sock, struct mcq_peer peer,
                         const struct mcq_record *r)
{
    const struct mcq_shard *sh = sock->shard;
    uint64_t home = peer.bits >> 56;
    if (r != NULL)
        return r->key.life == sock->life ? r->shard : sh->id;
    if (!sock->claims || home >= sh->directory.plan.shard_cnt ||
        mcq_remote_dead_has(&sh->dead, peer))
        return sh->id;
    return (uint32_t)home;
}

struct mcq_link *mcq_remote_peer_reach(struct mcq_sock *sock, struct mcq_peer peer,
                                       enum mcq_error *err)
{
    struct mcq_shard *sh = sock->shard;
    const struct mcq_record *r = mcq_directory_name(&sh->directory, peer);
    uint32_t to = shard_of(sock, peer, r);
    if (to == sh->id || mcq_alias_find(&sh->alias, peer) != NULL)
        return fail(err, MCQ_ESTALE);
    struct mcq_link *link = mcq_link_create(sock);
    if (link == NULL)
        return fail(err, MCQ_ELIMIT);
    link->session = (struct mcq_session){.conn = NULL};
    if (mcq_bridge_open(sh, link, to, MCQ_BRIDGE_PEER, &far_ops, link) == NULL) {
        mcq_node_unlink(&link->sock_node);
        mcq_link_free(link);
        return fail(err, MCQ_ELIMIT);
    }
    link->bridge->text[0] = '\0';
    link->remote = true;
    link->state = MCQ_LINK_SESSION;
    link->attached = true;
    link->addressable = true;
    link->pipe.peer = peer;
    link->pipe.user = NULL;
    link->pipe.identity_len = 0;
    mcq_alias_enter(&sh->alias, link);
    mcq_psock_add_far(&sock->psock, &link->pipe);
    if (r != NULL)
        learn_identity(link, r);
    return link;
}

struct mcq_link *mcq_remote_peer_find(struct mcq_sock *sock, struct mcq_slice identity,
                                      enum mcq_error *err)
{
    const struct mcq_record *r =
        sock->claims ? mcq_directory_find(&sock->shard->directory, sock->life, identity) : NULL;
    if (r == NULL)
        return fail(err, MCQ_ENOENT);
    struct mcq_peer peer = {r->bits};
    struct mcq_link *link = mcq_link_of_peer(sock, peer);
    if (link == NULL)
        return mcq_remote_peer_reach(sock, peer, err);
    if (!link->addressable)
        return fail(err, MCQ_ENOENT);
    if (link->remote && link->pipe.identity_len == 0)
        learn_identity(link, r); /* it was sent to before it was announced */
    return link;
}

void mcq_remote_peer_gone(struct mcq_shard *sh, struct mcq_peer peer)
{
    struct mcq_link *link = mcq_alias_find(&sh->alias, peer);
    mcq_remote_dead_add(&sh->dead, peer);
    if (link == NULL || !link->remote)
        return;
    link->addressable = false;
    mcq_psock_leave_far(&link->sock->psock, &link->pipe);
}

bool mcq_remote_peer_may_part(const struct mcq_link *link)
{
    const struct mcq_bridge *b = link->bridge;
    return !link->session.ended && b != NULL && b->held && !b->holding &&
           link->pipe.flight_cnt == 0;
}

void mcq_remote_peer_give_way(struct mcq_link *link, struct mcq_link *heir)
{
    struct mcq_pipe_queue q;
    (void)mcq_pipe_rewind(&link->pipe); /* whole messages are taken over there, and none is cut */
    mcq_pipe_take_out(&link->pipe, &q);
    mcq_pipe_put_back(&heir->pipe, &q);
    mcq_alias_leave(link);
    mcq_session_end(link, MCQ_REASON_LOCAL, 0);
}

/* --- where the connection is ----------------------------------------------------------------- */

/* Returns how many fit. */
static size_t near_receive(struct mcq_bridge *b, struct mcq_msg *msgs, size_t n)
{
    struct mcq_link *link = b->ctx;
    if (link == NULL) /* it has gone to another shard, and the bridge follows */
        return 0;
    for (size_t i = 0; i < n; i++) {
        enum mcq_error err = mcq_pipe_put(&link->pipe, MCQ_PSOCK_NO_PREFIX, &msgs[i], 0);
        if (err == MCQ_EAGAIN) {
            mcq_psock_refused(&link->sock->psock, &link->pipe);
            return i;
        }
        if (err != MCQ_OK)
            mcq_psock_drop(&link->sock->psock, &link->pipe, MCQ_REASON_PATTERN, 1);
    }
    return n;
}

static void near_introduce(struct mcq_bridge *b, struct mcq_writer *w)
{
    const struct mcq_link *link = b->ctx;
    if (!mcq_writer_be32(w, link == NULL ? 0 : link->gen))
        MCQ_ASSERT(false);
}

static void near_ended(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost)
{
    struct mcq_link *link = b->ctx;
    (void)lost;
    if (link == NULL)
        return;
    if (reason == MCQ_REASON_KILLED)
        mcq_link_kill(link);
    else if (reason == MCQ_REASON_SLOW)
        mcq_psock_end(&link->sock->psock, &link->pipe, reason);
    else if (reason == MCQ_REASON_LOCAL)
        mcq_link_close(link, reason, link->sock->opts.linger_ms * 1000000ull);
}

static void near_closed(struct mcq_bridge *b)
{
    mcq_node_unlink(&b->owner_node);
}

static const struct mcq_bridge_ops near_ops = {
    .introduce = near_introduce,
    .receive = near_receive,
    .ended = near_ended,
    .closed = near_closed,
};

static struct mcq_bridge *feeder(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_bridge, owner_node);
}

/* What the sender's options let in is not this side's to measure. */
static const struct mcq_cargo_limits no_limits = {UINT64_MAX, UINT64_MAX, MCQ_FRAME_CNT_MAX};

enum mcq_reason mcq_remote_peer_accept(struct mcq_bridge *b, uint32_t from, struct mcq_slice what)
{
    struct mcq_reader in = mcq_reader_of(what);
    uint64_t bits = 0;
    uint32_t logical = 0, life = 0;
    (void)from;
    if (!mcq_reader_be64(&in, &bits) || !mcq_reader_be32(&in, &logical) ||
        !mcq_reader_be32(&in, &life))
        MCQ_ASSERT(false);
    const struct mcq_sock *sock = b->shard->members[logical];
    if (sock == NULL || sock->life != life)
        return MCQ_REASON_NO_PEER;
    struct mcq_link *link = mcq_link_of_peer(sock, (struct mcq_peer){bits});
    if (link == NULL || !link->addressable || link->remote)
        return MCQ_REASON_NO_PEER;
    b->ops = &near_ops;
    b->ctx = link;
    b->limits = no_limits;
    b->owner_node = (struct mcq_node){NULL, NULL};
    mcq_list_push_back(&link->feeders, &b->owner_node);
    return MCQ_REASON_NONE;
}

/* Who is asked first may take all the room there is: by lot the user, who is asked later in this
 * turn, or the next feeder (as in member.c). */
void mcq_remote_peer_room(struct mcq_link *link)
{
    struct mcq_list *all = &link->feeders;
    uint32_t cnt = 0;
    for (struct mcq_node *n = mcq_list_first(all); n != NULL; n = mcq_list_next(all, n))
        cnt++;
    if (cnt == 0)
        return;
    bool user_first = mcq_loop_random(link->shard->loop) % (cnt + 1) == 0;
    if (!user_first)
        mcq_list_push_back(all, mcq_list_pop_front(all));
    for (struct mcq_node *n = mcq_list_first(all); n != NULL; n = mcq_list_next(all, n))
        if (user_first)
            mcq_bridge_resume(feeder(n));
        else
            mcq_bridge_retry(feeder(n));
}

void mcq_remote_peer_leave(struct mcq_link *link)
{
    struct mcq_node *n;
    while ((n = mcq_list_pop_front(&link->feeders)) != NULL) {
        feeder(n)->ctx = NULL;
        mcq_bridge_end(feeder(n), link->session.reason, 0);
    }
}

void mcq_remote_peer_part(struct mcq_link *link)
{
    struct mcq_node *n;
    while ((n = mcq_list_pop_front(&link->feeders)) != NULL)
        feeder(n)->ctx = NULL;
}
