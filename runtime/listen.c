#include <errno.h>

#include "mem/detail.h"
#include "runtime/loop_private.h"
#include "runtime/net.h"
#include "runtime/oserr.h"

enum mcq_error mcq_listen_explain(const struct mcq_sockopts *so, int os_errno,
                                  struct mcq_detail *detail)
{
    enum mcq_error code = mcq_oserr_error(os_errno);
    const char *what = mcq_oserr_text(os_errno);
    if (so->device != NULL && (os_errno == EPERM || os_errno == ENODEV))
        return mcq_oserr_device(so->device, os_errno, detail);
    if (code == MCQ_EADDRINUSE)
        return mcq_detail_set(detail, code, os_errno,
                              "somebody listens there already: choose another address, or end the "
                              "other program; if it was killed just now, try again in a moment");
    if (code == MCQ_EACCESS)
        return mcq_detail_set(detail, code, os_errno,
                              "listening there is not allowed (%s): ports below 1024 need "
                              "CAP_NET_BIND_SERVICE, a path needs a directory that can be written",
                              what);
    if (code == MCQ_EADDR)
        return mcq_detail_set(detail, code, os_errno,
                              "nothing can listen there (%s): use an address of this host or an "
                              "existing directory",
                              what);
    if (code == MCQ_ELIMIT)
        return mcq_detail_set(detail, code, os_errno, "no file descriptor left: raise `ulimit -n`");
    return mcq_detail_set(detail, code, os_errno, "listening failed: %s", what);
}

static enum mcq_error none_left(const struct mcq_loop *loop, struct mcq_detail *detail)
{
    return mcq_detail_set(detail, MCQ_ELIMIT, 0,
                          "all %u connections are in use: raise --connections", loop->conns_max);
}

static struct mcq_conn *listener(struct mcq_loop *loop, int fd, const struct mcq_addr *addr,
                                 void *user)
{
    struct mcq_conn *c = mcq_conn_slot_take(loop, user);
    c->fd = fd;
    c->state = MCQ_CONN_LISTENING;
    c->listener = true;
    c->unix_domain = addr->ss.ss_family == AF_UNIX;
    c->addr = *addr;
    return c;
}

enum mcq_error mcq_conn_listen(struct mcq_loop *loop, const struct mcq_addr *addr,
                               const struct mcq_sockopts *so, uint32_t backlog, void *user,
                               struct mcq_conn **out, struct mcq_addr *bound,
                               struct mcq_detail *detail)
{
    MCQ_ASSERT(addr->len <= sizeof(addr->ss));
    if (loop->free_cnt == 0)
        return none_left(loop, detail);
    int fd = mcq_net_listen(addr, so, backlog, bound);
    if (fd < 0)
        return mcq_listen_explain(so, -fd, detail);
    *out = listener(loop, fd, bound, user);
    mcq_listen_again(loop, *out);
    return MCQ_OK;
}

enum mcq_error mcq_conn_listener(struct mcq_loop *loop, int fd, const struct mcq_addr *addr,
                                 void *user, struct mcq_conn **out, struct mcq_detail *detail)
{
    if (loop->free_cnt == 0)
        return none_left(loop, detail);
    *out = listener(loop, fd, addr, user);
    return MCQ_OK;
}

void mcq_listen_again(struct mcq_loop *loop, struct mcq_conn *c)
{
    mcq_conn_begin(c, MCQ_OP_ACCEPT);
    mcq_uring_accept(loop->ring, mcq_conn_tag(c, MCQ_OP_ACCEPT), c->fd,
                     loop->features.mshot_accept);
}

void mcq_listen_arm(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (c->state == MCQ_CONN_LISTENING && !mcq_conn_in_flight(c, MCQ_OP_ACCEPT))
        mcq_listen_again(loop, c);
}
