#include "runtime/conn.h"

#include <errno.h>

#include "mem/detail.h"
#include "runtime/loop_private.h"
#include "runtime/net.h"
#include "runtime/oserr.h"

/* --- slots --------------------------------------------------------------------------------- */

struct mcq_conn *mcq_conn_slot_take(struct mcq_loop *loop, void *user)
{
    struct mcq_loop_stats *s = loop->stats;
    if (loop->free_cnt == 0) {
        s->conns_refused++;
        return NULL;
    }
    struct mcq_conn *c = &loop->conns[loop->free_slots[--loop->free_cnt]];
    uint32_t slot = c->slot, epoch = c->epoch;
    MCQ_DASSERT(c->state == MCQ_CONN_FREE && c->inflight == 0);
    *c = (struct mcq_conn){.fd = -1,
                           .slot = slot,
                           .epoch = epoch,
                           .state = MCQ_CONN_CONNECTING,
                           .user = user,
                           .loop = loop};
    if (++s->conns_now > s->conns_peak)
        s->conns_peak = s->conns_now;
    return c;
}

void mcq_conn_release(struct mcq_loop *loop, struct mcq_conn *c)
{
    MCQ_ASSERT(c->inflight == 0 && c->fd == -1);
    c->state = MCQ_CONN_FREE;
    c->epoch++;
    c->user = NULL;
    loop->free_slots[loop->free_cnt++] = c->slot;
}

/* --- connecting and adopting --------------------------------------------------------------- */

static enum mcq_error explain(const struct mcq_sockopts *so, int os_errno,
                              struct mcq_detail *detail)
{
    enum mcq_error code = mcq_oserr_error(os_errno);
    const char *what = mcq_oserr_text(os_errno);
    if (so->device != NULL && (os_errno == EPERM || os_errno == ENODEV))
        return mcq_oserr_device(so->device, os_errno, detail);
    if (code == MCQ_EADDR || code == MCQ_EADDRINUSE || code == MCQ_EACCESS)
        return mcq_detail_set(detail, code, os_errno,
                              "the near end can't be bound (%s): use a free port and an address of "
                              "this host; ports below 1024 need CAP_NET_BIND_SERVICE",
                              what);
    return mcq_detail_set(detail, code, os_errno, "no socket: %s", what);
}

enum mcq_error mcq_conn_connect(struct mcq_loop *loop, const struct mcq_addr *addr,
                                const struct mcq_addr *src, const struct mcq_sockopts *so,
                                void *user, struct mcq_conn **out, struct mcq_detail *detail)
{
    MCQ_ASSERT(addr->len <= sizeof(addr->ss));
    if (loop->free_cnt == 0) {
        loop->stats->conns_refused++;
        return mcq_detail_set(detail, MCQ_ELIMIT, 0,
                              "all %u connections are in use: raise --connections",
                              loop->conns_max);
    }
    int fd = mcq_net_socket(addr, src, so);
    if (fd < 0)
        return explain(so, -fd, detail);
    struct mcq_conn *c = mcq_conn_slot_take(loop, user);
    c->fd = fd;
    c->unix_domain = addr->ss.ss_family == AF_UNIX;
    c->addr = *addr;
    mcq_conn_begin(c, MCQ_OP_CONNECT);
    mcq_uring_connect(loop->ring, mcq_conn_tag(c, MCQ_OP_CONNECT), fd, (const void *)&c->addr.ss,
                      c->addr.len);
    *out = c;
    return MCQ_OK;
}

enum mcq_error mcq_conn_adopt(struct mcq_loop *loop, int fd, const struct mcq_sockopts *so,
                              void *user, struct mcq_conn **out)
{
    struct mcq_conn *c = mcq_conn_slot_take(loop, user);
    if (c == NULL)
        return MCQ_ELIMIT;
    c->fd = fd;
    c->state = MCQ_CONN_OPEN;
    mcq_net_apply(fd, so, &c->unix_domain);
    mcq_net_peer(fd, &c->addr);
    mcq_napi_see(&loop->napi, loop->ring, fd);
    *out = c;
    return MCQ_OK;
}

void mcq_conn_peer_addr(const struct mcq_conn *c, struct mcq_addr *addr)
{
    *addr = c->addr;
}

/* The FIN takes one place in the kernel's count. */
bool mcq_conn_unacked(const struct mcq_conn *c, uint64_t *len)
{
    *len = 0;
    if (c->unix_domain || c->listener || c->fd < 0)
        return false;
    *len = mcq_net_unacked(c->fd);
    if (*len != 0 && c->fin_sent)
        (*len)--;
    return true;
}

/* --- receiving ----------------------------------------------------------------------------- */

void mcq_conn_arm_recv(struct mcq_loop *loop, struct mcq_conn *c)
{
    uint64_t tag = mcq_conn_tag(c, MCQ_OP_RECV);
    MCQ_DASSERT(!mcq_conn_in_flight(c, MCQ_OP_RECV) && c->recv_credit != 0);
    uint32_t len = (uint32_t)mcq_min(c->recv_credit, MCQ_BUF_RX_LEN);
    mcq_conn_begin(c, MCQ_OP_RECV);
    if (mcq_hot_take(loop, c))
        mcq_uring_recv_try(loop->ring, tag, c->fd, len);
    else if (loop->features.mshot_limit && !c->quiet)
        mcq_uring_recv_shot(loop->ring, tag, c->fd, c->recv_credit);
    else
        mcq_uring_recv_one(loop->ring, tag, c->fd, len);
}

void mcq_conn_queue_recv(struct mcq_loop *loop, struct mcq_conn *c, uint32_t credit)
{
    c->recv_armed = true;
    c->recv_credit = credit;
    if (!mcq_node_linked(&c->line))
        mcq_list_push_back(&loop->line, &c->line);
}

void mcq_conn_recv(struct mcq_loop *loop, struct mcq_conn *c, uint32_t credit)
{
    if (c->recv_armed || c->eof || c->freezing || c->state != MCQ_CONN_OPEN)
        return;
    MCQ_DASSERT(credit != 0);
    c->recv_armed = true;
    c->recv_credit = credit;
    if (c->hot) /* behind what this turn sends */
        mcq_list_push_back(&loop->hot.again, &c->line);
    else
        mcq_conn_arm_recv(loop, c);
}

void mcq_conn_recv_into(struct mcq_loop *loop, struct mcq_conn *c, struct mcq_buf *buf,
                        uint32_t off, uint32_t len)
{
    MCQ_ASSERT((!c->recv_armed || c->freezing) && off <= buf->written && len <= buf->cap - off);
    if (c->eof || c->freezing || c->state != MCQ_CONN_OPEN)
        return;
    c->recv_armed = true;
    c->into = buf;
    c->into_off = off;
    mcq_buf_ref(loop->heap, buf);
    mcq_conn_begin(c, MCQ_OP_RECV_INTO);
    mcq_uring_recv_into(loop->ring, mcq_conn_tag(c, MCQ_OP_RECV_INTO), c->fd, buf->base + off, len);
}

void mcq_conn_recv_stop(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (!c->recv_armed || c->recv_cancelling || c->state != MCQ_CONN_OPEN)
        return;
    c->recv_cancelling = true;
    mcq_hot_leave(loop, c);
    if (mcq_node_linked(&c->line)) { /* starved: the kernel holds nothing */
        mcq_node_unlink(&c->line);
        c->stop_due = true;
        mcq_list_push_back(&loop->due, &c->line);
        return;
    }
    enum mcq_op_kind kind = mcq_conn_in_flight(c, MCQ_OP_RECV) ? MCQ_OP_RECV : MCQ_OP_RECV_INTO;
    mcq_uring_cancel(loop->ring, mcq_conn_tag(c, MCQ_OP_CANCEL), mcq_conn_tag(c, kind));
}

/* --- sending ------------------------------------------------------------------------------- */

static void send_gathered(struct mcq_loop *loop, struct mcq_conn *c, const struct iovec *iov,
                          uint32_t cnt)
{
    size_t len = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        c->iov[i] = iov[i];
        len += iov[i].iov_len;
    }
    c->msg = (struct msghdr){.msg_iov = c->iov, .msg_iovlen = cnt};
    c->send_len = len;
    mcq_uring_sendmsg(loop->ring, mcq_conn_tag(c, MCQ_OP_SEND), c->fd, &c->msg);
}

bool mcq_conn_send(struct mcq_loop *loop, struct mcq_conn *c, const struct iovec *iov, uint32_t cnt)
{
    MCQ_DASSERT(cnt != 0 && cnt <= MCQ_CONN_IOV_MAX);
    if (c->send_busy || c->freezing || c->state != MCQ_CONN_OPEN)
        return false;
    c->send_busy = true;
    mcq_conn_begin(c, MCQ_OP_SEND);
    loop->stats->sends++;
    if (cnt == 1) {
        c->send_len = iov->iov_len;
        mcq_uring_send(loop->ring, mcq_conn_tag(c, MCQ_OP_SEND), c->fd, iov->iov_base,
                       iov->iov_len);
    } else {
        send_gathered(loop, c, iov, cnt);
    }
    return true;
}
