#include "shards/target.h"

#include "mem/detail.h"
#include "runtime/oserr.h"
#include "shards/shard.h"

#define BACKOFF_DOUBLINGS_MAX 16u

void mcq_target_retry(struct mcq_link *link)
{
    const struct mcq_sock_opts *o = &link->sock->opts;
    struct mcq_target *t = link->target;
    uint32_t doublings = t->failures < BACKOFF_DOUBLINGS_MAX ? t->failures : BACKOFF_DOUBLINGS_MAX;
    uint64_t ns =
        mcq_min_u64((uint64_t)o->reconnect_min_ms << doublings, o->reconnect_max_ms) * 1000000ull;
    /* Jitter of a quarter each way, so that a fleet doesn't come back in step. */
    ns = ns - ns / 4 + mcq_loop_random(link->shard->loop) % (ns / 2 + 1);
    t->failures++;
    link->state = MCQ_LINK_WAITING;
    t->retry_at_ns = mcq_shard_now_ns(link->shard) + ns;
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_RETRY, .retry_ns = ns});
    mcq_link_touch(link);
}

static void connect_now(struct mcq_link *link)
{
    struct mcq_shard *sh = link->shard;
    const struct mcq_sock_opts *o = &link->sock->opts;
    struct mcq_detail detail = {.text = ""};
    struct mcq_conn *conn = NULL;
    link->state = MCQ_LINK_CONNECTING;
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_CONNECTING});
    enum mcq_error err = mcq_conn_connect(sh->loop, &link->target->ep.addr, NULL,
                                          &link->sock->sockopts, link, &conn, &detail);
    if (err != MCQ_OK) {
        mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_HANDSHAKE_FAILED,
                                                .reason = MCQ_REASON_OS,
                                                .error = err,
                                                .os_errno = detail.os_errno,
                                                .detail = detail.text});
        mcq_target_retry(link);
        return;
    }
    link->session.conn = conn;
    link->session.ended = true; /* nothing to end yet but the attempt */
    link->target->deadline_ns = mcq_shard_now_ns(sh) + o->handshake_ms * 1000000ull;
    mcq_link_touch(link);
}

/* The resolver's answer, on the shard. */
static void resolved(struct mcq_shard *sh, void *arg)
{
    struct mcq_query *q = arg;
    struct mcq_target *t = MCQ_CONTAINER_OF(q, struct mcq_target, query);
    struct mcq_link *link = t->link;
    (void)sh;
    if (t->orphan) {
        mcq_link_free(link);
        return;
    }
    link->state = MCQ_LINK_WAITING;
    if (q->addr.len == 0) {
        mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_HANDSHAKE_FAILED,
                                                .reason = MCQ_REASON_OS,
                                                .error = MCQ_EADDR,
                                                .detail = q->error});
        mcq_target_retry(link);
        return;
    }
    t->ep.addr = q->addr;
    connect_now(link);
}

/* Names are looked up again at each try: the service may have moved. */
static void resolve(struct mcq_link *link)
{
    struct mcq_shard *sh = link->shard;
    struct mcq_target *t = link->target;
    t->query.port = t->ep.port;
    t->query.mailbox = sh->mailbox;
    t->query.answer = resolved;
    mcq_bytes_copy(t->query.host, t->ep.host, sizeof(t->query.host));
    enum mcq_error err = mcq_resolver_ask(sh->resolver, &t->query);
    if (err == MCQ_OK) {
        link->state = MCQ_LINK_RESOLVING;
        return;
    }
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_HANDSHAKE_FAILED,
                                            .reason = MCQ_REASON_LIMIT,
                                            .error = err,
                                            .detail = "too many host names wait to be looked up"});
    mcq_target_retry(link);
}

void mcq_target_try(struct mcq_link *link)
{
    if (link->target->ep.resolved)
        connect_now(link);
    else
        resolve(link);
}

void mcq_target_failed(struct mcq_link *link, int os_errno)
{
    link->session.reason = mcq_oserr_reason(os_errno);
    link->target->deadline_ns = 0;
    mcq_conn_abort(link->shard->loop, link->session.conn);
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_HANDSHAKE_FAILED,
                                            .reason = link->session.reason,
                                            .os_errno = os_errno,
                                            .detail = mcq_oserr_text(os_errno)});
}

bool mcq_target_leave(struct mcq_link *link)
{
    struct mcq_target *t = link->target;
    t->orphan =
        link->state == MCQ_LINK_RESOLVING && !mcq_resolver_cancel(link->shard->resolver, &t->query);
    return !t->orphan;
}

enum mcq_error mcq_target_open(struct mcq_sock *sock, const char *text,
                               const struct mcq_endpoint *ep, struct mcq_detail *detail)
{
    struct mcq_shard *sh = sock->shard;
    struct mcq_target *t = mcq_pool_take(&sh->targets);
    if (t == NULL)
        return mcq_detail_set(detail, MCQ_ELIMIT, 0, "all %u connects of this shard are in use",
                              sh->targets.max);
    struct mcq_link *link = mcq_link_create(sock);
    if (link == NULL) {
        mcq_pool_give(&sh->targets, t);
        return mcq_detail_set(detail, MCQ_ELIMIT, 0,
                              "all %u links of this shard are in use: raise --connections",
                              sh->links.max);
    }
    *t = (struct mcq_target){.ep = *ep, .link = link};
    struct mcq_writer w = mcq_writer_of(t->text, sizeof(t->text) - 1);
    mcq_writer_put(&w, mcq_slice_of(text, __builtin_strlen(text)));
    link->target = t;
    link->pipe.connecting = true;
    link->added = true;
    sock->psock.pattern->add(&sock->psock, &link->pipe);
    t->retry_at_ns = mcq_shard_now_ns(sh);
    mcq_link_touch(link);
    return MCQ_OK;
}
