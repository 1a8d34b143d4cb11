/* A connection comes to rest and changes its loop; the contract is in conn.h. What makes it simple:
 * the kernel's operations are all of it that is tied to a loop, and once each has had its
 * completion there is nothing left but a descriptor and numbers. */
#include "runtime/loop_private.h"
#include "runtime/net.h"

void mcq_conn_settle(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (!c->freezing || c->frozen || c->frozen_due || c->state != MCQ_CONN_OPEN)
        return;
    if (c->recv_armed || c->inflight != 0)
        return;
    MCQ_DASSERT(!c->send_busy && !c->stop_due && !c->hot);
    c->frozen_due = true;
    mcq_list_push_back(&loop->due, &c->line);
}

bool mcq_conn_freeze(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (c->freezing || c->state != MCQ_CONN_OPEN)
        return false;
    mcq_conn_recv_stop(loop, c);
    mcq_hot_leave(loop, c);
    c->freezing = true;
    if (c->send_busy && !c->send_cancelling) {
        c->send_cancelling = true;
        mcq_uring_cancel(loop->ring, mcq_conn_tag(c, MCQ_OP_CANCEL), mcq_conn_tag(c, MCQ_OP_SEND));
    }
    mcq_conn_settle(loop, c);
    return true;
}

void mcq_conn_thaw(struct mcq_loop *loop, struct mcq_conn *c)
{
    (void)loop;
    if (c->frozen_due)
        mcq_node_unlink(&c->line);
    c->frozen_due = false;
    c->freezing = false;
    c->frozen = false;
}

void mcq_conn_show(const struct mcq_conn *c, struct mcq_conn_parcel *p)
{
    MCQ_ASSERT(c->frozen && c->state == MCQ_CONN_OPEN && c->inflight == 0);
    *p = (struct mcq_conn_parcel){.fd = c->fd,
                                  .eof = c->eof,
                                  .fin_sent = c->fin_sent,
                                  .unix_domain = c->unix_domain,
                                  .bytes_in = c->bytes_in,
                                  .bytes_out = c->bytes_out,
                                  .addr = c->addr};
}

int mcq_conn_give(struct mcq_loop *loop, struct mcq_conn *c, struct mcq_conn_parcel *p)
{
    mcq_conn_show(c, p);
    MCQ_DASSERT(!mcq_node_linked(&c->line) && c->into == NULL);
    c->fd = -1;
    loop->stats->conns_now--;
    mcq_conn_release(loop, c);
    return p->fd;
}

enum mcq_error mcq_conn_take(struct mcq_loop *loop, const struct mcq_conn_parcel *p, void *user,
                             struct mcq_conn **out)
{
    struct mcq_conn *c = mcq_conn_slot_take(loop, user);
    if (c == NULL)
        return MCQ_ELIMIT;
    c->fd = p->fd;
    c->state = MCQ_CONN_OPEN;
    c->eof = p->eof;
    c->fin_sent = p->fin_sent;
    c->unix_domain = p->unix_domain;
    c->bytes_in = p->bytes_in;
    c->bytes_out = p->bytes_out;
    c->addr = p->addr;
    mcq_napi_see(&loop->napi, loop->ring, p->fd);
    *out = c;
    return MCQ_OK;
}

void mcq_conn_parcel_drop(const struct mcq_conn_parcel *p)
{
    (void)mcq_net_shutdown_both(p->fd);
    mcq_net_close(p->fd);
}
