#include "shards/target.h"

#include <errno.h>

#include "mem/detail.h"
#include "runtime/oserr.h"
#include "shards/shard.h"

#define MS_NS                 1000000ull
#define BACKOFF_DOUBLINGS_MAX 16u

/* --- between tries --------------------------------------------------------------------------- */

/* RFC 37: ERROR is final for the same credentials. With NULL there are none, and what the peer
 * objects to may be mended over there: we go on asking, but seldom. */
static bool unwanted(enum mcq_reason reason)
{
    return reason == MCQ_REASON_PEER_ERROR || reason == MCQ_REASON_INCOMPATIBLE;
}

static uint64_t backoff_ns(struct mcq_link *link)
{
    const struct mcq_sock_opts *o = &link->sock->opts;
    uint32_t doublings = link->target->failures;
    if (doublings > BACKOFF_DOUBLINGS_MAX)
        doublings = BACKOFF_DOUBLINGS_MAX;
    uint64_t ms = mcq_min_u64((uint64_t)o->reconnect_min_ms << doublings, o->reconnect_max_ms);
    if (unwanted(link->session.reason))
        ms = o->reconnect_max_ms;
    uint64_t ns = ms * MS_NS;
    /* Jitter of a quarter each way, so that a fleet doesn't come back in step. */
    return ns - ns / 4 + mcq_loop_random(link->shard->loop) % (ns / 2 + 1);
}

void mcq_target_retry(struct mcq_link *link)
{
    struct mcq_target *t = link->target;
    uint64_t now = mcq_shard_now_ns(link->shard);
    if (t->up_at_ns != 0 && now - t->up_at_ns >= MCQ_TARGET_STABLE_NS)
        t->failures = 0;
    t->up_at_ns = 0;
    uint64_t ns = backoff_ns(link);
    t->failures++;
    link->state = MCQ_LINK_WAITING;
    t->retry_at_ns = now + ns;
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_RETRY, .retry_ns = ns});
    mcq_link_touch(link);
}

void mcq_target_up(struct mcq_link *link)
{
    link->target->up_at_ns = mcq_shard_now_ns(link->shard);
}

bool mcq_target_stops(const struct mcq_link *link)
{
    return link->target->refused && link->sock->opts.stop_on_refused;
}

/* --- a try ----------------------------------------------------------------------------------- */

static void tell_failed(struct mcq_link *link, enum mcq_error error, const char *detail)
{
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_HANDSHAKE_FAILED,
                                            .reason = link->session.reason,
                                            .error = error,
                                            .os_errno = link->session.os_errno,
                                            .detail = detail});
}

/* Before there was a connection. */
static void failed_early(struct mcq_link *link, enum mcq_reason reason, enum mcq_error error,
                         int os_errno, const char *detail)
{
    link->session.reason = reason;
    link->session.os_errno = os_errno;
    tell_failed(link, error, detail);
    mcq_target_retry(link);
}

static void connect_now(struct mcq_link *link)
{
    struct mcq_shard *sh = link->shard;
    struct mcq_target *t = link->target;
    struct mcq_detail detail = {.text = ""};
    struct mcq_conn *conn = NULL;
    const struct mcq_addr *src = t->ep.src.len != 0 ? &t->ep.src : NULL;
    enum mcq_error err =
        mcq_conn_connect(sh->loop, &t->ep.addr, src, &link->sock->sockopts, link, &conn, &detail);
    if (err != MCQ_OK) {
        enum mcq_reason reason =
            detail.os_errno == 0 ? MCQ_REASON_LIMIT : mcq_oserr_reason(detail.os_errno);
        failed_early(link, reason, err, detail.os_errno, detail.text);
        return;
    }
    link->state = MCQ_LINK_CONNECTING;
    link->session.conn = conn;
    link->session.ended = true; /* nothing to end yet but the attempt */
    t->deadline_ns = mcq_shard_now_ns(sh) + link->sock->opts.connect_timeout_ms * MS_NS;
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
        failed_early(link, MCQ_REASON_OS, MCQ_EADDR, 0, q->error);
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
    t->query.family = t->ep.src.ss.ss_family;
    t->query.mailbox = sh->mailbox;
    t->query.answer = resolved;
    mcq_bytes_copy(t->query.host, t->ep.host, sizeof(t->query.host));
    enum mcq_error err = mcq_resolver_ask(sh->resolver, &t->query);
    if (err != MCQ_OK) {
        failed_early(link, MCQ_REASON_LIMIT, err, 0, "too many host names wait to be looked up");
        return;
    }
    link->state = MCQ_LINK_RESOLVING;
    mcq_link_touch(link);
}

void mcq_target_try(struct mcq_link *link)
{
    link->target->refused = false;
    link->session.reason = MCQ_REASON_NONE;
    link->session.os_errno = 0;
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_CONNECTING});
    if (link->target->ep.inproc)
        mcq_inproc_connect(link);
    else if (link->target->ep.resolved)
        connect_now(link);
    else
        resolve(link);
}

/* ENOENT: a unix path that nobody has bound. */
void mcq_target_fail(struct mcq_link *link, enum mcq_reason reason, int os_errno)
{
    link->target->deadline_ns = 0;
    if (link->session.reason == MCQ_REASON_NONE) {
        link->session.reason = reason;
        link->session.os_errno = os_errno;
        link->target->refused = os_errno == ECONNREFUSED || os_errno == ENOENT;
    }
    if (link->bridge != NULL)
        mcq_bridge_end(link->bridge, reason, 0);
    else
        mcq_conn_abort(link->shard->loop, link->session.conn);
}

void mcq_target_failed(struct mcq_link *link)
{
    int os_errno = link->session.os_errno;
    tell_failed(link, mcq_oserr_error(os_errno), os_errno == 0 ? "" : mcq_oserr_text(os_errno));
}

/* --- life ------------------------------------------------------------------------------------ */

bool mcq_target_leave(struct mcq_link *link)
{
    struct mcq_target *t = link->target;
    if (link->state != MCQ_LINK_RESOLVING)
        return true;
    t->orphan = !t->ep.inproc && !mcq_resolver_cancel(link->shard->resolver, &t->query);
    link->session.reason = MCQ_REASON_LOCAL;
    tell_failed(link, MCQ_OK, "");
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
    link->pipe.whole = ep->inproc;
    link->added = true;
    sock->psock.pattern->add(&sock->psock, &link->pipe);
    t->retry_at_ns = mcq_shard_now_ns(sh);
    mcq_link_touch(link);
    return MCQ_OK;
}
