#include "shards/listener.h"

#include "mem/detail.h"
#include "runtime/net.h"
#include "runtime/oserr.h"
#include "shards/shard.h"

static void tell(struct mcq_listener *l, struct mcq_event *ev)
{
    ev->endpoint = l->text;
    mcq_sock_tell(l->sock, ev);
}

static void announce(struct mcq_listener *l)
{
    if (l->announced)
        return;
    l->announced = true;
    if (!l->silent)
        tell(l, &(struct mcq_event){.kind = MCQ_EVENT_LISTENING});
}

static void listener_closed(struct mcq_listener *l);
static void accept_failed(struct mcq_listener *l, int os_errno);

/* A member's, unless it drains. */
static void listen_with_others(struct mcq_listener *l)
{
    struct mcq_detail why = {.text = ""};
    if (l->conn == NULL)
        return;
    if (mcq_group_listen(l, &why) != MCQ_OK) {
        accept_failed(l, why.os_errno);
        return;
    }
    announce(l);
    mcq_listen_arm(l->sock->shard->loop, l->conn);
}

static void listener_tick(struct mcq_timer_node *timer, uint64_t now_ns)
{
    struct mcq_listener *l = MCQ_CONTAINER_OF(timer, struct mcq_listener, timer);
    (void)now_ns;
    if (l->conn != NULL && l->group != NULL && (l->closing || l->suspended)) {
        mcq_group_part(l);
        return;
    }
    if (l->closing) {
        if (l->conn == NULL)
            listener_closed(l);
        return;
    }
    if (l->group != NULL) {
        listen_with_others(l);
        return;
    }
    if (l->announced) {
        mcq_listen_arm(l->sock->shard->loop, l->conn);
        return;
    }
    announce(l);
    if (l->conn == NULL)
        mcq_inproc_bound(l);
}

/* Listens; l->text becomes the actual endpoint. */
static enum mcq_error listen_at(struct mcq_listener *l, const struct mcq_endpoint *ep,
                                struct mcq_detail *detail)
{
    struct mcq_sock *sock = l->sock;
    struct mcq_addr bound;
    struct mcq_detail why = {.text = ""};
    enum mcq_error err = mcq_conn_listen(sock->shard->loop, &ep->addr, &sock->sockopts,
                                         sock->opts.backlog, l, &l->conn, &bound, &why);
    mcq_endpoint_format(err == MCQ_OK ? &bound : &ep->addr, l->text);
    if (err != MCQ_OK)
        mcq_detail_set(detail, err, why.os_errno, "%s: %s", l->text, why.text);
    return err;
}

static enum mcq_error join(struct mcq_listener *l, const struct mcq_endpoint *ep, const char *text,
                           struct mcq_detail *detail)
{
    struct mcq_detail why = {.text = ""};
    enum mcq_error err = mcq_group_join(l, ep, text, &why);
    if (err != MCQ_OK)
        mcq_detail_set(detail, err, why.os_errno, "%s: %s", l->text, why.text);
    return err;
}

static enum mcq_error begin(struct mcq_listener *l, const struct mcq_endpoint *ep, const char *text,
                            struct mcq_detail *detail)
{
    if (ep->inproc)
        return mcq_inproc_bind(l, ep->host, detail);
    if (l->sock->logical != MCQ_LOGICAL_NONE)
        return join(l, ep, text, detail);
    return listen_at(l, ep, detail);
}

enum mcq_error mcq_listener_open(struct mcq_sock *sock, const struct mcq_endpoint *ep,
                                 const char *text, struct mcq_detail *detail)
{
    struct mcq_shard *sh = sock->shard;
    struct mcq_listener *l = mcq_pool_take(&sh->listeners);
    if (l == NULL)
        return mcq_detail_set(detail, MCQ_ELIMIT, 0, "all %u listeners of this shard are in use",
                              sh->listeners.max);
    *l = (struct mcq_listener){
        .sock = sock, .timer = {.fn = listener_tick}, .retry_ns = MCQ_LISTENER_RETRY_MIN_NS};
    enum mcq_error err = begin(l, ep, text, detail);
    if (err != MCQ_OK) {
        mcq_pool_give(&sh->listeners, l);
        return err;
    }
    mcq_bytes_copy(sock->bound, l->text, sizeof(l->text));
    mcq_list_push_back(&sock->listeners, &l->sock_node);
    mcq_timer_node_arm(mcq_loop_timers(sh->loop), &l->timer, mcq_shard_now_ns(sh));
    return MCQ_OK;
}

static void listener_closed(struct mcq_listener *l)
{
    struct mcq_sock *sock = l->sock;
    struct mcq_shard *sh = sock->shard;
    mcq_timer_node_disarm(mcq_loop_timers(sh->loop), &l->timer);
    if (l->group != NULL)
        mcq_group_quit(l);
    announce(l);
    tell(l, &(struct mcq_event){.kind = MCQ_EVENT_UNBOUND});
    mcq_node_unlink(&l->sock_node);
    mcq_pool_give(&sh->listeners, l);
    mcq_sock_check_closed(sock);
}

static void accepted(struct mcq_listener *l, int fd)
{
    if (l->closing && l->group == NULL) {
        mcq_net_close(fd);
        return;
    }
    announce(l);
    l->retry_ns = MCQ_LISTENER_RETRY_MIN_NS;
    if (l->group == NULL || !mcq_group_place(l, fd))
        mcq_link_accept(l->sock, fd);
}

static void accept_failed(struct mcq_listener *l, int os_errno)
{
    struct mcq_shard *sh = l->sock->shard;
    uint64_t ns = l->retry_ns;
    announce(l);
    if (l->closing || l->suspended)
        return;
    l->retry_ns = mcq_min_u64(2 * ns, MCQ_LISTENER_RETRY_MAX_NS);
    mcq_timer_node_arm(mcq_loop_timers(sh->loop), &l->timer, mcq_shard_now_ns(sh) + ns);
    tell(l, &(struct mcq_event){.kind = MCQ_EVENT_LISTEN_FAILED,
                                .reason = mcq_oserr_reason(os_errno),
                                .error = mcq_oserr_error(os_errno),
                                .os_errno = os_errno,
                                .retry_ns = ns,
                                .detail = mcq_oserr_text(os_errno)});
}

static void conn_closed(struct mcq_listener *l)
{
    if (l->group != NULL && !l->closing) {
        mcq_group_suspended(l);
        return;
    }
    if (l->group != NULL)
        mcq_group_left(l);
    listener_closed(l);
}

void mcq_listener_event(struct mcq_listener *l, const struct mcq_io_event *ev)
{
    switch (ev->kind) {
    case MCQ_IO_ACCEPTED:
        accepted(l, ev->fd);
        break;
    case MCQ_IO_ACCEPT_FAILED:
        if (!l->closing)
            accept_failed(l, ev->os_errno);
        break;
    case MCQ_IO_CLOSED:
        conn_closed(l);
        break;
    case MCQ_IO_CONNECTED:
    case MCQ_IO_CONNECT_FAILED:
    case MCQ_IO_RECV:
    case MCQ_IO_EOF:
    case MCQ_IO_ERROR:
    case MCQ_IO_SENT:
    case MCQ_IO_WAKE:
    case MCQ_IO_FROZEN:
        MCQ_ASSERT(false);
    }
}

void mcq_listener_close(struct mcq_listener *l)
{
    if (l->closing)
        return;
    l->closing = true;
    uint64_t goodbye_ns = l->group != NULL ? mcq_group_leave(l) : 0;
    if (goodbye_ns != 0) {
        mcq_timer_node_arm(mcq_loop_timers(l->sock->shard->loop), &l->timer,
                           mcq_shard_now_ns(l->sock->shard) + goodbye_ns);
        return;
    }
    if (l->conn != NULL && l->group != NULL) {
        mcq_group_part(l);
        return;
    }
    if (l->conn != NULL) {
        mcq_conn_abort(l->sock->shard->loop, l->conn);
        return;
    }
    if (l->group == NULL)
        mcq_inproc_unbind(l);
    mcq_timer_node_arm(mcq_loop_timers(l->sock->shard->loop), &l->timer,
                       mcq_shard_now_ns(l->sock->shard));
}
