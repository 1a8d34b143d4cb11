/* The way in: received bytes -> units of ZMTP -> the pattern. */
#include "runtime/oserr.h"
#include "shards/shard.h"

enum taken {
    TAKEN_ALL,   /* used up, or only a part of a unit is left */
    TAKEN_LATER, /* the budget is used up */
    TAKEN_PAUSE, /* refused: offered again after resume */
    TAKEN_BODY,  /* a large frame: body_missing is set */
    TAKEN_END    /* the session has ended */
};

static enum taken protocol_dead(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    enum mcq_reason reason = mcq_zmtp_reason(&s->zmtp);
    if (mcq_session_flush(link)) /* an ERROR command is on its way */
        mcq_session_close(link, reason, mcq_shard_now_ns(link->shard) + MCQ_SESSION_ERROR_NS);
    else
        mcq_session_end(link, reason, 0);
    return TAKEN_END;
}

/* Offers n views; consumed tells how many were taken. */
static enum taken offer(struct mcq_link *link, struct mcq_msg *msgs, size_t n, size_t *consumed)
{
    struct mcq_session *s = &link->session;
    struct mcq_psock *ps = &link->sock->psock;
    *consumed = ps->pattern->receive(ps, &link->pipe, msgs, n);
    MCQ_DASSERT(*consumed <= n);
    s->msgs_in += *consumed;
    if (s->end_due != MCQ_REASON_NONE)
        mcq_session_end(link, s->end_due, 0);
    if (s->ended)
        return TAKEN_END;
    s->refused = *consumed < n && !s->paused;
    return s->paused || s->refused || s->moving ? TAKEN_PAUSE : TAKEN_ALL;
}

/* Whole single-frame messages, a batch at a time: *n of them. *special: what follows needs `unit`.
 */
static enum taken batch(struct mcq_link *link, struct mcq_reader *in, uint32_t owner, size_t *n,
                        bool *special)
{
    struct mcq_shard *sh = link->shard;
    struct mcq_zmtp *z = &link->session.zmtp;
    struct mcq_proto_stats *stats = &sh->stats.proto;
    size_t mark = in->pos;
    size_t consumed;
    *special = mcq_zmtp_next_batch(z, in, sh->views, MCQ_SESSION_BATCH_MAX, owner, n, stats);
    if (*n == 0)
        return TAKEN_ALL;
    enum taken t = offer(link, sh->views, *n, &consumed);
    if (t != TAKEN_ALL)
        mcq_zmtp_give_back(z, in, mark, *n, consumed, 1, stats);
    return t;
}

static enum taken one_message(struct mcq_link *link, struct mcq_reader *in, uint32_t owner,
                              const struct mcq_zmtp_event *ev)
{
    struct mcq_shard *sh = link->shard;
    struct mcq_msg m = mcq_msg_of_frames(sh->frames, ev->frame_cnt);
    size_t mark = in->pos - ev->window_len;
    size_t consumed;
    m.owner = owner;
    enum taken t = offer(link, &m, 1, &consumed);
    if (t != TAKEN_ALL)
        mcq_zmtp_give_back(&link->session.zmtp, in, mark, 1, consumed, ev->frame_cnt,
                           &sh->stats.proto);
    return t;
}

/* There is something to say. In the handshake nothing goes on before it is said. */
static enum taken say(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    link->pipe.env->mark(link->pipe.env->ctx, &link->pipe);
    if (s->zmtp.state == MCQ_ZMTP_TRAFFIC) {
        if (s->zmtp.peer_ttl_ms != 0) /* after a PING: its timer watches the peer's silence */
            mcq_link_touch(link);
        return TAKEN_ALL;
    }
    mcq_session_flush(link);
    return mcq_zmtp_wants_drain(&s->zmtp) ? TAKEN_LATER : TAKEN_ALL;
}

static enum taken subscription(struct mcq_link *link, bool add, struct mcq_slice topic)
{
    struct mcq_psock *ps = &link->sock->psock;
    if (ps->pattern->subscribed == NULL)
        return TAKEN_ALL;
    enum mcq_reason reason = ps->pattern->subscribed(ps, &link->pipe, add, topic);
    if (reason == MCQ_REASON_NONE)
        reason = link->session.end_due;
    if (reason != MCQ_REASON_NONE)
        mcq_session_end(link, reason, 0);
    return link->session.ended ? TAKEN_END : TAKEN_ALL;
}

/* Anything but a plain message: one unit. *more: go on. */
static enum taken unit(struct mcq_link *link, struct mcq_reader *in, uint32_t owner, bool *more)
{
    struct mcq_shard *sh = link->shard;
    struct mcq_session *s = &link->session;
    struct mcq_zmtp_event ev;
    mcq_zmtp_next(&s->zmtp, in, mcq_shard_now_ns(sh), sh->frames, &ev, &sh->stats.proto);
    *more = true;
    switch (ev.kind) {
    case MCQ_ZMTP_MORE:
        *more = false;
        return TAKEN_ALL;
    case MCQ_ZMTP_HANDSHAKE_DONE:
        if (!mcq_link_up(link))
            return TAKEN_END;
        /* until its identity is granted, or where it is handed over */
        return s->refused || s->moving ? TAKEN_PAUSE : TAKEN_ALL;
    case MCQ_ZMTP_MESSAGE:
        return one_message(link, in, owner, &ev);
    case MCQ_ZMTP_SUBSCRIBE:
        return subscription(link, true, ev.topic);
    case MCQ_ZMTP_CANCEL:
        return subscription(link, false, ev.topic);
    case MCQ_ZMTP_WROTE:
        return say(link);
    case MCQ_ZMTP_NEED_BODY:
        s->body_missing = ev.missing;
        return TAKEN_BODY;
    case MCQ_ZMTP_DEAD:
        return protocol_dead(link);
    }
    return TAKEN_END;
}

/* Decodes and delivers from the front of in. */
static enum taken decode(struct mcq_link *link, struct mcq_reader *in, uint32_t owner)
{
    struct mcq_session *s = &link->session;
    for (uint32_t i = 0; i < MCQ_SESSION_BATCHES_MAX; i++) {
        bool special = true;
        bool more = true;
        size_t n = 0;
        enum taken t = TAKEN_ALL;
        if (mcq_reader_left(in) == 0 && !mcq_zmtp_has_event(&s->zmtp))
            return TAKEN_ALL;
        if (s->zmtp.state == MCQ_ZMTP_TRAFFIC && s->zmtp.slow == 0)
            t = batch(link, in, owner, &n, &special);
        /* Also when nothing is whole: next finds out how much is missing. */
        if (t == TAKEN_ALL && (special || n == 0))
            t = unit(link, in, owner, &more);
        if (t != TAKEN_ALL || !more)
            return t;
    }
    return TAKEN_LATER;
}

static void make_ready(struct mcq_link *link)
{
    if (link->session.moving)
        return; /* it will be, wherever it goes on */
    if (link->inproc.partner != NULL)
        mcq_inproc_due(link->inproc.partner); /* there it waits */
    else if (link->bridge != NULL)
        mcq_bridge_resume(link->bridge);
    else if (!link->session.ended && !mcq_node_linked(&link->session.ready_node))
        mcq_list_push_back(&link->shard->ready, &link->session.ready_node);
}

static void out_of_memory(struct mcq_link *link)
{
    link->session.detail = "no memory for what it sent: raise --arena or --large-bytes";
    mcq_session_end(link, MCQ_REASON_LIMIT, 0);
}

/* Delivers from the window. */
static enum taken decode_window(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    struct mcq_buf_heap *heap = link->shard->heap;
    struct mcq_reader in = mcq_reader_of(mcq_window_slice(&s->win));
    enum taken t = decode(link, &in, mcq_owner_borrowed(s->win.buf));
    if (in.pos != 0)
        s->win_since_ns = mcq_shard_now_ns(link->shard);
    if (s->tally.len != 0)
        mcq_tally_consume(&s->tally, mcq_window_slice(&s->win), in.pos, mcq_zmtp_is_v1(&s->zmtp));
    mcq_window_consume(heap, &s->win, in.pos);
    if (t == TAKEN_LATER)
        make_ready(link);
    return t;
}

static struct mcq_link *older(struct mcq_link *a, struct mcq_link *b)
{
    return a == NULL || b->session.win_since_ns < a->session.win_since_ns ? b : a;
}

/* The one of this socket's that has been stalling longest, or `found`. */
static struct mcq_link *find_stalled(struct mcq_sock *sock, const struct mcq_link *asker,
                                     struct mcq_link *found)
{
    uint64_t now = mcq_shard_now_ns(sock->shard);
    for (struct mcq_node *n = mcq_list_first(&sock->links); n != NULL;
         n = mcq_list_next(&sock->links, n)) {
        struct mcq_link *link = MCQ_CONTAINER_OF(n, struct mcq_link, sock_node);
        if (link != asker && mcq_session_stalls(&link->session, now))
            found = older(found, link);
    }
    return found;
}

/* Memory is short: of those who hold much of it for a frame that doesn't come on, the oldest ends.
 * Peers that their user has paused are his affair. O(links), and one victim each. */
static void reclaim(struct mcq_shard *sh, const struct mcq_link *asker)
{
    struct mcq_link *victim = NULL;
    for (struct mcq_node *n = mcq_list_first(&sh->sock_list); n != NULL;
         n = mcq_list_next(&sh->sock_list, n))
        victim = find_stalled(MCQ_CONTAINER_OF(n, struct mcq_sock, shard_node), asker, victim);
    if (victim == NULL)
        return;
    victim->session.detail = "memory is short, and it held much for a frame that didn't come on";
    mcq_session_end(victim, MCQ_REASON_LIMIT, 0);
    victim->session.undelivered_bytes += victim->session.win.len;
    mcq_window_drop(sh->heap, &victim->session.win);
    victim->session.tally = (struct mcq_tally){0};
}

/* A large frame: everything of it that is missing gets room, or the session waits for that. */
static void open_body(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    struct mcq_shard *sh = link->shard;
    if (mcq_window_reserve(sh->heap, &s->win, (size_t)s->body_missing)) {
        s->body_wait_ns = 0;
        sh->stats.proto.large_in++;
        return;
    }
    if (s->body_wait_ns == 0) {
        s->body_wait_ns = mcq_shard_now_ns(sh);
        sh->stats.proto.large_waits++;
        mcq_link_touch(link); /* its timer tries again */
    } else if (mcq_shard_now_ns(sh) - s->body_wait_ns > MCQ_SESSION_BODY_WAIT_NS) {
        out_of_memory(link);
    } else {
        reclaim(sh, link);
    }
}

static void deliver_window(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    if (s->win.len == 0)
        return;
    enum taken t = decode_window(link);
    if (t == TAKEN_BODY)
        open_body(link);
    else if (t == TAKEN_ALL && s->win.len == 0)
        link->shard->stats.proto.assembled++;
}

bool mcq_session_stalls(const struct mcq_session *s, uint64_t now_ns)
{
    if (s->ended || s->moving || s->paused || s->refused || s->body_wait_ns != 0 ||
        s->win.buf == NULL || s->win.buf->cap < MCQ_BUF_LARGE_MIN)
        return false;
    return now_ns - s->zmtp.last_rx_ns >= MCQ_SESSION_SILENT_NS ||
           now_ns - s->win_since_ns >= MCQ_SESSION_OLD_NS;
}

static bool blocked(const struct mcq_session *s)
{
    return s->paused || s->refused || s->moving || s->body_wait_ns != 0 ||
           mcq_node_linked(&s->ready_node);
}

/* There is no block: somebody's comes back, and until then the large region helps out. */
static bool append_urgently(struct mcq_link *link, struct mcq_slice in)
{
    struct mcq_shard *sh = link->shard;
    reclaim(sh, link);
    mcq_buf_heap_urgent(sh->heap, true);
    bool ok = mcq_window_append(sh->heap, &link->session.win, in, 0);
    mcq_buf_heap_urgent(sh->heap, false);
    return ok;
}

/* Bytes for a window that isn't empty, or may not be delivered now: returns how many it took. */
static size_t feed_window(struct mcq_link *link, struct mcq_slice in, bool whole)
{
    struct mcq_session *s = &link->session;
    size_t n = in.len;
    if (!whole)
        n = (size_t)mcq_min_u64(n,
                                s->body_missing != 0 ? s->body_missing : mcq_zmtp_need(&s->zmtp));
    uint64_t need = blocked(s) ? 0 : mcq_zmtp_need(&s->zmtp) - (whole ? 0 : n);
    if (s->win.len == 0)
        s->win_since_ns = mcq_shard_now_ns(link->shard);
    if (!mcq_window_append(link->shard->heap, &s->win, mcq_slice_of(in.ptr, n), need) &&
        !append_urgently(link, mcq_slice_of(in.ptr, n))) {
        out_of_memory(link);
        s->undelivered_bytes += in.len;
        return in.len;
    }
    if (s->body_missing != 0)
        s->body_missing -= mcq_min_u64(s->body_missing, n);
    return n;
}

/* Straight from a receive block, no copy; what is left over moves to the window. */
static size_t take_direct(struct mcq_link *link, struct mcq_buf *buf, struct mcq_slice in)
{
    struct mcq_session *s = &link->session;
    struct mcq_reader r = mcq_reader_of(in);
    enum taken t = decode(link, &r, mcq_owner_borrowed(buf));
    if (t == TAKEN_LATER)
        make_ready(link);
    if (t == TAKEN_END)
        s->undelivered_bytes += mcq_reader_left(&r);
    if (t == TAKEN_END || mcq_reader_left(&r) == 0)
        return in.len;
    /* The part of a large frame that is here isn't what is missing of it. */
    uint64_t missing = t == TAKEN_BODY ? s->body_missing : 0;
    s->body_missing = 0;
    feed_window(link, mcq_reader_rest(&r), true);
    s->body_missing = missing;
    if (t == TAKEN_BODY && !s->ended)
        open_body(link);
    return in.len;
}

static void take_slice(struct mcq_link *link, struct mcq_buf *buf, struct mcq_slice in)
{
    struct mcq_session *s = &link->session;
    while (in.len != 0 && !s->ended) {
        size_t n;
        if (blocked(s)) {
            n = feed_window(link, in, true);
        } else if (s->win.len == 0) {
            n = take_direct(link, buf, in);
        } else {
            n = feed_window(link, in, false);
            if (!s->ended && s->body_missing == 0)
                deliver_window(link);
        }
        in = mcq_slice_of(in.ptr + n, in.len - n);
    }
    s->undelivered_bytes += in.len;
}

/* Bytes that the kernel wrote behind the window. */
static void take_body(struct mcq_link *link, uint32_t len)
{
    struct mcq_session *s = &link->session;
    s->win.len += len;
    if (s->win.buf->written < s->win.off + s->win.len)
        s->win.buf->written = s->win.off + s->win.len;
    s->body_missing -= mcq_min_u64(s->body_missing, len);
    if (s->body_missing == 0 && !s->moving)
        deliver_window(link);
}

/* A user who has paused a peer that can't be answered any more would wait for ever: for room in a
 * queue that nothing leaves. */
static void end_if_over(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    bool waits = s->paused || s->refused || mcq_node_linked(&s->ready_node);
    if (s->moving)
        return;
    if ((s->mute && s->paused) || (s->over && (s->win.len == 0 || !waits)))
        mcq_session_end(link, s->over_reason, s->over_errno);
}

void mcq_session_input(struct mcq_link *link, const struct mcq_io_event *ev)
{
    struct mcq_session *s = &link->session;
    struct mcq_shard *sh = link->shard;
    if (ev->len != 0 && !s->ended && s->end_due == MCQ_REASON_NONE) {
        mcq_zmtp_alive(&s->zmtp, mcq_shard_now_ns(sh));
        if (ev->into)
            take_body(link, ev->len);
        else
            take_slice(link, ev->buf, mcq_slice_of(ev->buf->base + ev->off, ev->len));
    } else {
        s->undelivered_bytes += ev->len;
    }
    if (ev->buf != NULL && !ev->into)
        mcq_buf_unref(sh->heap, ev->buf);
    end_if_over(link);
    mcq_session_rearm(link);
}

void mcq_session_deliver(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    if (s->ended || s->moving || s->conn == NULL || s->end_due != MCQ_REASON_NONE)
        return;
    if (!s->conn->recv_armed) /* nobody listened: its silence was ours */
        mcq_zmtp_alive(&s->zmtp, mcq_shard_now_ns(link->shard));
    if (s->body_wait_ns != 0)
        open_body(link);
    if (!s->ended && !s->paused && !s->refused && s->body_wait_ns == 0 && s->body_missing == 0)
        deliver_window(link);
    end_if_over(link);
    mcq_session_rearm(link);
}

static void over(struct mcq_link *link, enum mcq_reason reason, int os_errno, bool all)
{
    struct mcq_session *s = &link->session;
    if (s->over_reason == MCQ_REASON_NONE) {
        s->over_reason = reason;
        s->over_errno = os_errno;
    }
    s->over = s->over || all; /* a reset after the stream's end doesn't take that back */
    end_if_over(link);
}

void mcq_session_eof(struct mcq_link *link)
{
    over(link, MCQ_REASON_PEER_CLOSED, 0, true);
}

void mcq_session_error(struct mcq_link *link, int os_errno)
{
    enum mcq_reason reason = mcq_oserr_reason(os_errno);
    link->session.mute = true;
    /* A reset leaves in the kernel what had come before it; then the stream ends. */
    over(link, reason, os_errno, reason != MCQ_REASON_RESET);
    mcq_session_rearm(link);
}

void mcq_session_resume(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    if (!s->paused)
        return;
    s->paused = false;
    link->shard->stats.pattern.resumes++;
    make_ready(link);
}

void mcq_session_go_on(struct mcq_link *link)
{
    if (link->session.ended)
        return;
    if (link->attached)                /* else its identity isn't granted yet */
        link->session.refused = false; /* it will be again, if that still holds */
    make_ready(link);
    mcq_session_rearm(link);
    link->pipe.env->mark(link->pipe.env->ctx, &link->pipe);
    mcq_link_touch(link);
}

bool mcq_session_recall(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    if (s->paused)
        return false;
    s->refused = false;
    make_ready(link);
    return true;
}

/* Bytes that can be received straight behind the window, without going through a ring block: what
 * is missing of a large frame, or of any frame if it is worth a receive of its own. */
static uint32_t straight_len(const struct mcq_session *s)
{
    if (blocked(s) || s->win.len == 0)
        return 0;
    if (s->body_missing != 0)
        return (uint32_t)s->body_missing;
    uint64_t len = mcq_min_u64(mcq_zmtp_need(&s->zmtp), mcq_window_room(&s->win));
    return len < MCQ_SESSION_STRAIGHT_MIN ? 0 : (uint32_t)len;
}

/* What waits for its delivery stays in a block of 256 KiB, unless the user wants more of it. */
static size_t window_max(const struct mcq_link *link)
{
    size_t hwm = link->sock->opts.recv_hwm_bytes;
    if (mcq_buf_heap_scarce(link->shard->heap))
        return mcq_min(hwm, MCQ_SESSION_SCARCE_LEN);
    return hwm > MCQ_BUF_LARGE_MIN ? hwm : mcq_min(hwm, MCQ_SESSION_SHOT_MAX);
}

/* As many messages wait as may, and nobody takes them. */
static bool at_mark(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    uint32_t max = link->sock->opts.recv_hwm_msgs;
    return (s->paused || s->refused) && s->win.len != 0 && max != MCQ_UNLIMITED &&
           mcq_tally_count(&s->tally, mcq_window_slice(&s->win), mcq_zmtp_is_v1(&s->zmtp)) >= max;
}

static void arm_shot(struct mcq_link *link, size_t credit)
{
    mcq_conn_recv(link->shard->loop, link->session.conn,
                  (uint32_t)mcq_min(credit, MCQ_SESSION_SHOT_MAX));
}

void mcq_session_rearm(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    struct mcq_loop *loop = link->shard->loop;
    struct mcq_conn *c = s->conn;
    if (c == NULL || s->ended || s->over || s->moving || c->state != MCQ_CONN_OPEN)
        return;
    size_t limit = window_max(link);
    uint32_t straight = straight_len(s);
    if (c->recv_armed) {
        if (s->body_wait_ns != 0 || (s->body_missing != 0 && straight != 0) || at_mark(link))
            mcq_conn_recv_stop(loop, c);
        return;
    }
    if (straight != 0)
        mcq_conn_recv_into(loop, c, s->win.buf, (uint32_t)(s->win.off + s->win.len), straight);
    else if (!blocked(
                 s)) /* a message that isn't whole may outgrow the credit, up to its own limit */
        arm_shot(link, limit);
    else if (s->body_wait_ns == 0 && s->win.len <= limit / 2 && /* not in ever smaller pieces */
             !at_mark(link))
        arm_shot(link, limit - s->win.len);
}
