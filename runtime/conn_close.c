/* The end of a connection, orderly or not; the diagram is in conn.h. A bare close() would not do:
 * with a receive armed it sends no FIN, and with bytes unread it resets the connection and may
 * destroy our last bytes at the peer. */
#include "runtime/loop_private.h"
#include "runtime/net.h"

static void cancel(struct mcq_loop *loop, struct mcq_conn *c, enum mcq_op_kind kind)
{
    if (mcq_conn_in_flight(c, kind))
        mcq_uring_cancel(loop->ring, mcq_conn_tag(c, MCQ_OP_CANCEL), mcq_conn_tag(c, kind));
}

static void finish(struct mcq_loop *loop, struct mcq_conn *c)
{
    c->unacked_known = mcq_conn_unacked(c, &c->unacked);
    /* Of a connect that failed Linux counts what was never a byte. */
    c->unacked = mcq_min_u64(c->unacked, c->bytes_out);
    mcq_net_close(c->fd);
    if (c->listener)
        mcq_net_unlink(&c->addr);
    c->fd = -1;
    c->recv_armed = false;
    c->recv_cancelling = false;
    c->closed_due = true;
    mcq_list_push_back(&loop->due, &c->line);
}

static void drain(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (mcq_conn_in_flight(c, MCQ_OP_SEND))
        return;
    if (!c->fin_sent)
        c->fin_sent = mcq_net_shutdown_send(c->fd);
    if (c->eof || !c->fin_sent)
        mcq_conn_abort(loop, c);
    else if (!mcq_conn_in_flight(c, MCQ_OP_RECV) && !mcq_conn_in_flight(c, MCQ_OP_RECV_INTO))
        mcq_conn_queue_recv(loop, c, MCQ_DRAIN_CREDIT);
}

void mcq_conn_advance(struct mcq_loop *loop, struct mcq_conn *c)
{
    switch (c->state) {
    case MCQ_CONN_DRAINING:
        drain(loop, c);
        break;
    case MCQ_CONN_ENDING:
        if (c->inflight == 0 && !c->closed_due && c->fd >= 0)
            finish(loop, c);
        break;
    case MCQ_CONN_FREE:
    case MCQ_CONN_LISTENING:
    case MCQ_CONN_CONNECTING:
    case MCQ_CONN_OPEN:
        break;
    }
}

static void on_deadline(struct mcq_timer_node *t, uint64_t now_ns)
{
    struct mcq_conn *c = MCQ_CONTAINER_OF(t, struct mcq_conn, deadline);
    (void)now_ns;
    mcq_conn_abort(c->loop, c);
}

void mcq_conn_close(struct mcq_loop *loop, struct mcq_conn *c, uint64_t deadline_ns)
{
    if (c->state == MCQ_CONN_DRAINING || c->state == MCQ_CONN_ENDING || c->state == MCQ_CONN_FREE)
        return;
    if (c->state != MCQ_CONN_OPEN) {
        mcq_conn_abort(loop, c);
        return;
    }
    mcq_conn_thaw(loop, c);
    c->state = MCQ_CONN_DRAINING;
    mcq_hot_leave(loop, c);
    if (c->stop_due) { /* nobody wants to know any more */
        c->stop_due = false;
        mcq_node_unlink(&c->line);
    }
    c->deadline.fn = on_deadline;
    mcq_timer_node_arm(&loop->timers, &c->deadline, deadline_ns);
    mcq_conn_advance(loop, c);
}

void mcq_conn_abort(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (c->state == MCQ_CONN_ENDING || c->state == MCQ_CONN_FREE)
        return;
    mcq_conn_thaw(loop, c);
    c->state = MCQ_CONN_ENDING;
    mcq_hot_leave(loop, c);
    c->stop_due = false;
    mcq_node_unlink(&c->line);
    mcq_timer_node_disarm(&loop->timers, &c->deadline);
    if (!c->listener && mcq_net_shutdown_both(c->fd))
        c->fin_sent = true;
    cancel(loop, c, MCQ_OP_ACCEPT);
    cancel(loop, c, MCQ_OP_CONNECT);
    cancel(loop, c, MCQ_OP_RECV);
    cancel(loop, c, MCQ_OP_RECV_INTO);
    cancel(loop, c, MCQ_OP_SEND);
    mcq_conn_advance(loop, c);
}
