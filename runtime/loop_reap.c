/* Completions become events. A completion that changes what the owner can see of a connection
 * waits for the next reap if this one has told something of that connection already: the owner
 * would otherwise handle the earlier event with the later state. */
#include <errno.h>

#include "runtime/loop_private.h"
#include "runtime/net.h"

static struct mcq_io_event event_of(enum mcq_io_kind kind, struct mcq_conn *c)
{
    struct mcq_io_event ev = {.kind = kind, .fd = -1, .conn = c};
    return ev;
}

static struct mcq_io_event failure_of(enum mcq_io_kind kind, struct mcq_conn *c, int32_t res)
{
    struct mcq_io_event ev = {.kind = kind, .fd = -1, .os_errno = -res, .conn = c};
    return ev;
}

/* --- receiving ----------------------------------------------------------------------------- */

/* A receive that somebody waits to have back has ended. */
static void stopped(struct mcq_loop *loop, struct mcq_conn *c)
{
    c->stop_due = true;
    mcq_list_push_back(&loop->due, &c->line);
}

/* The receive has brought bytes and was its shot's last. */
static void shot_ended(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (c->state == MCQ_CONN_OPEN && c->recv_cancelling) {
        stopped(loop, c);
        return;
    }
    c->recv_armed = false;
    c->recv_cancelling = false;
    mcq_conn_advance(loop, c);
}

static bool tell_bytes(struct mcq_loop *loop, struct mcq_conn *c, struct mcq_buf *b, uint32_t off,
                       uint32_t len, struct mcq_io_event *ev)
{
    loop->stats->recvs++;
    if (c->state != MCQ_CONN_OPEN)
        return false;
    c->bytes_in += len;
    *ev = event_of(MCQ_IO_RECV, c);
    ev->buf = b;
    ev->off = off;
    ev->len = len;
    return true;
}

/* No bytes: the end of the stream, an error, or a receive that has to be armed again. */
static bool recv_ended(struct mcq_loop *loop, struct mcq_conn *c, int32_t res,
                       struct mcq_io_event *ev)
{
    bool stopping = c->recv_cancelling;
    if (c->state == MCQ_CONN_ENDING) {
        mcq_conn_advance(loop, c);
        return false;
    }
    if (res == -ENOBUFS || res == -EAGAIN || res == -EINTR) {
        if (stopping && c->state == MCQ_CONN_OPEN)
            stopped(loop, c);
        else
            mcq_conn_queue_recv(loop, c, c->recv_credit == 0 ? 1 : c->recv_credit);
        return false;
    }
    c->recv_armed = false;
    c->recv_cancelling = false;
    c->eof = res == 0;
    bool open = c->state == MCQ_CONN_OPEN;
    if (res == 0)
        *ev = event_of(MCQ_IO_EOF, c);
    else if (res == -ECANCELED && stopping)
        *ev = event_of(MCQ_IO_RECV, c);
    else
        *ev = failure_of(MCQ_IO_ERROR, c, res);
    if (!open && res < 0 && res != -ECANCELED)
        mcq_conn_abort(loop, c);
    else
        mcq_conn_advance(loop, c);
    return open;
}

static bool on_recv(struct mcq_loop *loop, struct mcq_conn *c, const struct mcq_done *d,
                    struct mcq_io_event *ev)
{
    uint32_t off = 0;
    struct mcq_buf *b = mcq_bufring_take(&loop->rx, d, &off);
    bool more = (d->flags & MCQ_DONE_MORE) != 0;
    if (!more)
        mcq_conn_finish(c, MCQ_OP_RECV);
    if (b == NULL) {
        if (d->res == -EAGAIN && c->hot) {
            mcq_hot_missed(loop, c);
            return false;
        }
        if (d->res == -ENOBUFS)
            mcq_bufring_starved(&loop->rx, loop->now_ns);
        return recv_ended(loop, c, d->res, ev);
    }
    uint32_t len = (uint32_t)d->res;
    mcq_hot_fed(loop, c);
    c->recv_credit -= (uint32_t)mcq_min(len, c->recv_credit);
    bool told = tell_bytes(loop, c, b, off, len, ev);
    if (!told)
        mcq_buf_unref(loop->heap, b);
    if (!more) {
        loop->stats->shots_limited += loop->features.mshot_limit && c->recv_credit == 0;
        shot_ended(loop, c);
    }
    return told;
}

static bool on_recv_into(struct mcq_loop *loop, struct mcq_conn *c, const struct mcq_done *d,
                         struct mcq_io_event *ev)
{
    struct mcq_buf *b = c->into;
    c->into = NULL;
    mcq_conn_finish(c, MCQ_OP_RECV_INTO);
    bool told;
    if (d->res > 0 || d->res == -EAGAIN || d->res == -EINTR) {
        /* Without bytes nothing is wrong either: the owner arms it again. */
        uint32_t len = d->res > 0 ? (uint32_t)d->res : 0;
        size_t end = (size_t)c->into_off + len;
        if (end > b->written)
            mcq_buf_filled(loop->heap, b, end - b->written);
        told = tell_bytes(loop, c, b, c->into_off, len, ev);
        ev->into = true;
        shot_ended(loop, c);
    } else {
        told = recv_ended(loop, c, d->res, ev);
    }
    mcq_buf_unref(loop->heap, b);
    return told;
}

/* --- the rest ------------------------------------------------------------------------------ */

static bool on_send(struct mcq_loop *loop, struct mcq_conn *c, const struct mcq_done *d,
                    struct mcq_io_event *ev)
{
    uint32_t len = d->res > 0 ? (uint32_t)d->res : 0;
    bool failed = d->res < 0 && d->res != -EAGAIN && d->res != -EINTR &&
                  !(d->res == -ECANCELED && c->send_cancelling);
    mcq_conn_finish(c, MCQ_OP_SEND);
    c->send_busy = false;
    c->send_cancelling = false;
    c->bytes_out += len;
    loop->stats->sends_short += len < c->send_len;
    if (MCQ_LIKELY(c->state == MCQ_CONN_OPEN)) {
        *ev = failed ? failure_of(MCQ_IO_ERROR, c, d->res) : event_of(MCQ_IO_SENT, c);
        ev->len = len;
        return true;
    }
    *ev = event_of(MCQ_IO_SENT, c);
    ev->len = len;
    if (failed)
        mcq_conn_abort(loop, c);
    mcq_conn_advance(loop, c);
    return true;
}

static bool on_connect(struct mcq_loop *loop, struct mcq_conn *c, const struct mcq_done *d,
                       struct mcq_io_event *ev)
{
    mcq_conn_finish(c, MCQ_OP_CONNECT);
    if (c->state != MCQ_CONN_CONNECTING) {
        mcq_conn_advance(loop, c);
        return false;
    }
    int32_t res = d->res == 0 && mcq_net_is_self(c->fd) ? -ECONNREFUSED : d->res;
    if (res < 0) {
        *ev = failure_of(MCQ_IO_CONNECT_FAILED, c, res);
        return true;
    }
    c->state = MCQ_CONN_OPEN;
    mcq_napi_see(&loop->napi, loop->ring, c->fd);
    loop->stats->connects++;
    *ev = event_of(MCQ_IO_CONNECTED, c);
    return true;
}

/* The connection that was to be accepted is gone already; the listener is well. */
static bool is_passing(int32_t res)
{
    return res == -ECONNABORTED || res == -EPROTO || res == -EAGAIN || res == -EINTR;
}

static bool was_accepted(struct mcq_loop *loop, struct mcq_conn *c, const struct mcq_done *d,
                         struct mcq_io_event *ev)
{
    loop->stats->accepts++;
    *ev = event_of(MCQ_IO_ACCEPTED, c);
    ev->fd = d->res;
    return true;
}

static bool on_accept(struct mcq_loop *loop, struct mcq_conn *c, const struct mcq_done *d,
                      struct mcq_io_event *ev)
{
    bool more = (d->flags & MCQ_DONE_MORE) != 0;
    if (!more)
        mcq_conn_finish(c, MCQ_OP_ACCEPT);
    if (c->state != MCQ_CONN_LISTENING) { /* it closes; who came before that is there */
        mcq_conn_advance(loop, c);
        return d->res >= 0 && was_accepted(loop, c, d, ev);
    }
    if (d->res < 0 && !is_passing(d->res)) {
        *ev = failure_of(MCQ_IO_ACCEPT_FAILED, c, d->res);
        return true;
    }
    if (!more)
        mcq_listen_again(loop, c);
    return d->res >= 0 && was_accepted(loop, c, d, ev);
}

/* What came for a connection that is no more: its resources are settled all the same. */
static void settle_stale(struct mcq_loop *loop, const struct mcq_done *d)
{
    uint32_t off;
    struct mcq_buf *b = mcq_bufring_take(&loop->rx, d, &off);
    if (b != NULL)
        mcq_buf_unref(loop->heap, b);
    if (mcq_op_kind_of(d->tag) == MCQ_OP_ACCEPT)
        mcq_net_close(d->res);
    loop->stats->stale++;
}

static bool on_conn(struct mcq_loop *loop, struct mcq_conn *c, const struct mcq_done *d,
                    struct mcq_io_event *ev)
{
    switch (mcq_op_kind_of(d->tag)) {
    case MCQ_OP_RECV:
        return on_recv(loop, c, d, ev);
    case MCQ_OP_SEND:
        return on_send(loop, c, d, ev);
    case MCQ_OP_RECV_INTO:
        return on_recv_into(loop, c, d, ev);
    case MCQ_OP_ACCEPT:
        return on_accept(loop, c, d, ev);
    case MCQ_OP_CONNECT:
        return on_connect(loop, c, d, ev);
    case MCQ_OP_NONE:
    case MCQ_OP_CANCEL:
    case MCQ_OP_WAKE:
    case MCQ_OP_WAKE_IN:
    case MCQ_OP_WAKE_OUT:
        break;
    }
    return false;
}

/* --- reap ---------------------------------------------------------------------------------- */

static const struct mcq_done *peek(struct mcq_loop *loop)
{
    if (loop->done_pos == loop->done_cnt) {
        loop->done_pos = 0;
        loop->done_cnt = (uint32_t)mcq_uring_reap(loop->ring, loop->done, MCQ_LOOP_DONE_CNT);
    }
    return loop->done_cnt == 0 ? NULL : &loop->done[loop->done_pos];
}

/* NULL: the tag's connection is no more, or the loop itself is meant. */
static struct mcq_conn *conn_of(const struct mcq_loop *loop, uint64_t tag)
{
    uint32_t slot = mcq_op_slot_of(tag);
    if (slot >= loop->conns_max)
        return NULL;
    struct mcq_conn *c = &loop->conns[slot];
    return c->epoch == mcq_op_epoch_of(tag) && c->state != MCQ_CONN_FREE ? c : NULL;
}

static struct mcq_io_event due_of(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (c->stop_due) {
        c->stop_due = false;
        c->recv_armed = false;
        c->recv_cancelling = false;
        mcq_conn_settle(loop, c);
        return event_of(MCQ_IO_RECV, c);
    }
    if (c->frozen_due) {
        c->frozen_due = false;
        c->frozen = true;
        return event_of(MCQ_IO_FROZEN, c);
    }
    MCQ_ASSERT(c->closed_due);
    c->closed_due = false;
    loop->stats->conns_now--;
    mcq_list_push_back(&loop->ended, &c->line);
    return event_of(MCQ_IO_CLOSED, c);
}

/* What one of these events makes due is the next reap's. */
static size_t tell_due(struct mcq_loop *loop, struct mcq_io_event *events, size_t max)
{
    size_t n = 0;
    for (struct mcq_node *node; n < max && (node = mcq_list_first(&loop->due)) != NULL; n++) {
        struct mcq_conn *c = MCQ_CONTAINER_OF(node, struct mcq_conn, line);
        if (c->batch == loop->batch)
            break;
        mcq_node_unlink(node);
        c->batch = loop->batch;
        events[n] = due_of(loop, c);
    }
    return n;
}

static bool is_wake(struct mcq_loop *loop, const struct mcq_done *d, enum mcq_op_kind kind)
{
    return kind == MCQ_OP_WAKE_IN || (kind == MCQ_OP_WAKE && mcq_loop_wake_done(loop, d));
}

/* False: the completion must wait for the next reap. *n grows if it was told. */
static bool take_done(struct mcq_loop *loop, const struct mcq_done *d, struct mcq_io_event *events,
                      size_t *n)
{
    enum mcq_op_kind kind = mcq_op_kind_of(d->tag);
    struct mcq_conn *c = NULL;
    bool told = false;
    if (MCQ_UNLIKELY(kind >= MCQ_OP_WAKE)) {
        told = is_wake(loop, d, kind);
        if (told)
            events[*n] = event_of(MCQ_IO_WAKE, NULL);
    } else if (kind != MCQ_OP_CANCEL) {
        c = conn_of(loop, d->tag);
        if (c == NULL)
            settle_stale(loop, d);
        else if (c->batch == loop->batch && !(d->flags & MCQ_DONE_MORE))
            return false;
        else
            told = on_conn(loop, c, d, &events[*n]);
        if (MCQ_UNLIKELY(c != NULL && c->freezing))
            mcq_conn_settle(loop, c);
    }
    if (told && c != NULL)
        c->batch = loop->batch;
    *n += told;
    return true;
}

static size_t tell_done(struct mcq_loop *loop, struct mcq_io_event *events, size_t n, size_t max)
{
    while (n < max) {
        const struct mcq_done *d = peek(loop);
        if (d == NULL || !take_done(loop, d, events, &n))
            break;
        loop->done_pos++;
    }
    return n;
}

size_t mcq_loop_reap(struct mcq_loop *loop, struct mcq_io_event *events, size_t max)
{
    size_t n;
    do {
        loop->batch++;
        n = tell_due(loop, events, max);
        n = tell_done(loop, events, n, max);
    } while (n == 0 && max != 0 && !mcq_list_empty(&loop->due));
    loop->worked |= n != 0;
    return n;
}
