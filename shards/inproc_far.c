#include "shards/inproc_far.h"

#include "shards/shard.h"

static bool ends(const struct mcq_session *s)
{
    return s->ended || s->end_due != MCQ_REASON_NONE;
}

static void end_if_due(struct mcq_link *link)
{
    if (link->session.end_due != MCQ_REASON_NONE)
        mcq_session_end(link, link->session.end_due, 0);
}

/* --- messages ------------------------------------------------------------------------------- */

static size_t far_receive(struct mcq_bridge *b, struct mcq_msg *msgs, size_t n)
{
    struct mcq_link *link = b->ctx;
    struct mcq_session *s = &link->session;
    struct mcq_psock *ps = &link->sock->psock;
    if (ends(s) || !link->attached)
        return 0;
    size_t consumed = ps->pattern->receive(ps, &link->pipe, msgs, n);
    s->msgs_in += consumed;
    link->shard->stats.proto.msgs_in += consumed;
    s->refused = consumed < n && !s->paused && !ends(s);
    end_if_due(link);
    return consumed;
}

static void far_got(struct mcq_bridge *b, uint64_t bytes)
{
    struct mcq_link *link = b->ctx;
    link->inproc.bytes_in += bytes;
    link->shard->stats.proto.bytes_in += bytes;
}

static void far_oversized(struct mcq_bridge *b)
{
    mcq_bridge_end(b, MCQ_REASON_RESET, 1);
    mcq_session_end(b->ctx, MCQ_REASON_LIMIT, 0);
}

static void far_taken(struct mcq_bridge *b, uint64_t bytes, bool room)
{
    struct mcq_link *link = b->ctx;
    link->inproc.bytes_out += bytes;
    link->shard->stats.proto.bytes_out += bytes;
    mcq_session_count_out(link);
    if (room && link->added)
        mcq_link_room(link);
    end_if_due(link);
    if (!link->session.ended && mcq_pipe_empty(&link->pipe))
        mcq_link_drained(link);
}

/* --- subscriptions -------------------------------------------------------------------------- */

static bool far_say(struct mcq_bridge *b)
{
    struct mcq_link *link = b->ctx;
    struct mcq_psock *ps = &link->sock->psock;
    struct mcq_control c;
    for (uint32_t i = 0; i < MCQ_INPROC_SUBS; i++) {
        if (!link->attached || ps->pattern->control == NULL ||
            !ps->pattern->control(ps, &link->pipe, &c))
            return true;
        const uint8_t add = c.add ? 1 : 0;
        if (!mcq_bridge_control(b, mcq_slice_of(&add, 1), c.topic))
            return false;
        link->pipe.control_seq = c.seq;
    }
    mcq_bridge_say(b);
    return true;
}

/* The topic is copied: the handler that hears of it may end what it is borrowed from. */
static void far_control(struct mcq_bridge *b, struct mcq_slice body)
{
    struct mcq_link *link = b->ctx;
    struct mcq_psock *ps = &link->sock->psock;
    uint8_t *topic = link->shard->inproc.topic;
    if (!link->attached || ps->pattern->subscribed == NULL)
        return;
    mcq_bytes_copy(topic, body.ptr + 1, body.len - 1);
    enum mcq_reason reason = ps->pattern->subscribed(ps, &link->pipe, body.ptr[0] != 0,
                                                     mcq_slice_of(topic, body.len - 1));
    if (reason != MCQ_REASON_NONE)
        mcq_session_end(link, reason, 0);
    end_if_due(link);
}

/* --- joining -------------------------------------------------------------------------------- */

static void put_self(const struct mcq_sock *sock, struct mcq_writer *w)
{
    if (!mcq_writer_u8(w, (uint8_t)sock->psock.pattern->type) ||
        !mcq_writer_u8(w, (uint8_t)sock->opts.identity_len) ||
        !mcq_writer_put(w, mcq_slice_of(sock->identity, sock->opts.identity_len)))
        MCQ_ASSERT(false); /* a record has room for all of that */
}

/* What a side says of itself; leaves the rest in *in. */
static enum mcq_sock_type get_self(struct mcq_link *link, struct mcq_reader *in)
{
    uint8_t type = 0, len = 0;
    struct mcq_slice id = {NULL, 0};
    if (!mcq_reader_u8(in, &type) || !mcq_reader_u8(in, &len) || !mcq_reader_take(in, len, &id))
        MCQ_ASSERT(false);
    mcq_bytes_copy(link->pipe.identity, id.ptr, id.len);
    link->pipe.identity_len = (uint8_t)id.len;
    return (enum mcq_sock_type)type;
}

static void introduce_connect(struct mcq_bridge *b, struct mcq_writer *w)
{
    const struct mcq_link *link = b->ctx;
    put_self(link->sock, w);
    if (!mcq_writer_put(w, mcq_slice_of_text(link->target->text)))
        MCQ_ASSERT(false);
}

static void introduce_accepted(struct mcq_bridge *b, struct mcq_writer *w)
{
    const struct mcq_link *link = b->ctx;
    put_self(link->sock, w);
}

static void open_side(struct mcq_link *link, struct mcq_bridge *b)
{
    link->session = (struct mcq_session){.msgs_out_base = link->pipe.msgs_out,
                                         .msgs_out_counted = link->pipe.msgs_out};
    link->inproc = (struct mcq_inproc_side){.partner = NULL};
    link->state = MCQ_LINK_SESSION;
    b->limits = mcq_cargo_limits_of(&link->sock->opts);
}

static void come_up(struct mcq_link *link, enum mcq_sock_type type)
{
    if ((link->sock->psock.pattern->peer_mask >> type & 1) == 0)
        mcq_inproc_misfit(link);
    else
        (void)mcq_link_up(link);
}

static void connect_opened(struct mcq_bridge *b, struct mcq_slice what)
{
    struct mcq_link *link = b->ctx;
    struct mcq_reader in = mcq_reader_of(what);
    enum mcq_sock_type type = get_self(link, &in);
    open_side(link, b);
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_CONNECTED});
    come_up(link, type);
}

/* --- the end -------------------------------------------------------------------------------- */

static void far_ended(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost)
{
    struct mcq_link *link = b->ctx;
    link->inproc.lost = lost;
    if (link->state == MCQ_LINK_CONNECTING)
        link->session.reason = reason;
    else
        mcq_session_end(link, reason, 0);
}

static void far_closed(struct mcq_bridge *b)
{
    struct mcq_link *link = b->ctx;
    (void)mcq_session_settle(link);
    mcq_link_event(link, &(struct mcq_io_event){.kind = MCQ_IO_CLOSED});
}

/* Whoever had the name has unbound it meanwhile: the connect waits for the next. */
static void connect_closed(struct mcq_bridge *b)
{
    struct mcq_link *link = b->ctx;
    if (link->state != MCQ_LINK_CONNECTING || link->session.reason != MCQ_REASON_NO_PEER) {
        far_closed(b);
        return;
    }
    link->bridge = NULL;
    link->state = MCQ_LINK_RESOLVING;
    link->session.reason = MCQ_REASON_NONE;
    mcq_link_touch(link);
}

static const struct mcq_bridge_ops connect_ops = {
    .introduce = introduce_connect,
    .opened = connect_opened,
    .receive = far_receive,
    .got = far_got,
    .oversized = far_oversized,
    .taken = far_taken,
    .say = far_say,
    .says_first = true,
    .control = far_control,
    .ended = far_ended,
    .closed = connect_closed,
};

static const struct mcq_bridge_ops accepted_ops = {
    .introduce = introduce_accepted,
    .receive = far_receive,
    .got = far_got,
    .oversized = far_oversized,
    .taken = far_taken,
    .say = far_say,
    .says_first = true,
    .control = far_control,
    .ended = far_ended,
    .closed = far_closed,
};

/* --- who begins it -------------------------------------------------------------------------- */

void mcq_inproc_far_connect(struct mcq_link *link, uint32_t to)
{
    struct mcq_bridge *b =
        mcq_bridge_open(link->shard, link, to, MCQ_BRIDGE_INPROC, &connect_ops, link);
    if (b == NULL) {
        link->session.reason = MCQ_REASON_LIMIT;
        mcq_link_tell(link,
                      &(struct mcq_event){.kind = MCQ_EVENT_HANDSHAKE_FAILED,
                                          .reason = MCQ_REASON_LIMIT,
                                          .detail = "all bridges to other shards are in use"});
        mcq_target_retry(link);
        return;
    }
    link->session.ended = true; /* nothing to end yet but the attempt */
    link->state = MCQ_LINK_CONNECTING;
    link->target->deadline_ns = 0;
}

static enum mcq_reason refuse(struct mcq_sock *sock, const char *text, enum mcq_reason reason,
                              const char *detail)
{
    sock->shard->stats.pattern.peers_refused++;
    mcq_sock_tell(
        sock, &(struct mcq_event){
                  .kind = MCQ_EVENT_REFUSED, .reason = reason, .endpoint = text, .detail = detail});
    return reason;
}

enum mcq_reason mcq_inproc_far_accept(struct mcq_bridge *b, uint32_t from, struct mcq_slice what)
{
    struct mcq_shard *sh = b->shard;
    uint8_t type = 0, len = 0;
    struct mcq_slice id = {NULL, 0};
    struct mcq_reader in = mcq_reader_of(what);
    (void)from;
    if (!mcq_reader_u8(&in, &type) || !mcq_reader_u8(&in, &len) || !mcq_reader_take(&in, len, &id))
        MCQ_ASSERT(false);
    struct mcq_slice text = mcq_reader_rest(&in);
    mcq_bytes_copy(b->text, text.ptr, text.len);
    b->text[text.len] = '\0';
    struct mcq_sock *sock = mcq_inproc_find(sh, b->text);
    if (sock == NULL)
        return MCQ_REASON_NO_PEER;
    if (sock->closing)
        return refuse(sock, b->text, MCQ_REASON_LOCAL, "");
    struct mcq_link *link = mcq_link_create(sock);
    if (link == NULL)
        return refuse(sock, b->text, MCQ_REASON_LIMIT, "all connections are in use");
    b->ops = &accepted_ops;
    b->ctx = link;
    mcq_bridge_join(b, link);
    open_side(link, b);
    mcq_bytes_copy(link->pipe.identity, id.ptr, id.len);
    link->pipe.identity_len = len;
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_ACCEPTED});
    come_up(link, (enum mcq_sock_type)type);
    return MCQ_REASON_NONE;
}

/* --- names ---------------------------------------------------------------------------------- */

void mcq_inproc_far_tell(struct mcq_shard *sh)
{
    struct mcq_inproc *in = &sh->inproc;
    uint32_t left = 0;
    for (uint32_t id = 0; id < sh->roster->cnt; id++) {
        const uint64_t bit = UINT64_C(1) << id % 64;
        if ((in->tell.bits[id / 64] & bit) == 0)
            continue;
        if (mcq_mesh_reserve(sh->mesh, id, MCQ_LANE_BULK, MCQ_MESH_INPROC_BOUND, 0) == NULL) {
            left++;
            continue;
        }
        mcq_mesh_commit(sh->mesh, id, MCQ_LANE_BULK);
        in->tell.bits[id / 64] &= ~bit;
    }
    in->tells = left != 0;
}

void mcq_inproc_far_bound(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    (void)from;
    (void)body;
    (void)len;
    mcq_inproc_look_again(sh, NULL);
}
