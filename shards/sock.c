#include "shards/sock.h"

#include "mem/detail.h"
#include "shards/options.h"
#include "shards/shard.h"

#define MS_NS 1000000ull

/* --- life ----------------------------------------------------------------------------------- */

static void request_tick(struct mcq_timer_node *timer, uint64_t now_ns)
{
    struct mcq_sock *sock = MCQ_CONTAINER_OF(timer, struct mcq_sock, request_timer);
    (void)now_ns;
    if (sock->closing) {
        mcq_sock_check_closed(sock);
        return;
    }
    sock->psock.pattern->timeout(&sock->psock);
    if (sock->handlers.timeout != NULL)
        sock->handlers.timeout(sock->ctx, sock);
}

static struct mcq_sockopts sockopts_of(const struct mcq_sock *sock)
{
    const struct mcq_sock_opts *o = &sock->opts;
    return (struct mcq_sockopts){
        .notsent_lowat_bytes = o->notsent_lowat_bytes,
        .user_timeout_ms = o->tcp_user_timeout_ms,
        .keepalive_idle_s = o->keepalive_idle_s,
        .keepalive_interval_s = o->keepalive_interval_s,
        .keepalive_cnt = o->keepalive_cnt,
        .send_buffer_bytes = o->send_buffer_bytes,
        .recv_buffer_bytes = o->recv_buffer_bytes,
        .tos = o->tos,
        .device = o->device,
    };
}

/* Everything the user's struct points to is the socket's own from here on. */
static void take_opts(struct mcq_sock *sock, const struct mcq_sock_opts *o, bool slow_set)
{
    sock->opts = *o;
    mcq_bytes_copy(sock->identity, o->identity, o->identity_len);
    sock->opts.identity = sock->identity;
    if (o->device != NULL)
        mcq_bytes_copy(sock->device, o->device, __builtin_strlen(o->device));
    sock->opts.device = o->device != NULL ? sock->device : NULL;
    sock->sockopts = sockopts_of(sock);
    sock->opts.welcome = sock->pattern_opts.welcome;
    sock->opts.logical = NULL; /* the logical socket's index has taken its place */
    sock->pattern_opts = (struct mcq_psock_opts){
        .subs_max = o->subs_max,
        .subs_max_bytes = o->subs_max_bytes,
        .subs_sock_max = o->subs_sock_max,
        .subs_sock_max_bytes = o->subs_sock_max_bytes,
        .slow = o->slow,
        .slow_to = slow_set ? o->slow : MCQ_SLOW_BLOCK,
        .immediate = o->immediate,
        .req_correlate = o->req_correlate,
        .req_relaxed = o->req_relaxed,
        .router_mandatory = o->router_mandatory,
        .identity_policy = o->identity_policy,
        .probe = o->probe,
        .verbose = o->verbose,
        .verboser = o->verboser,
        .manual = o->manual,
        .invert_matching = o->invert_matching,
        .welcome_len = (uint32_t)o->welcome_len,
        .member = sock->claims,
        .member_id = (uint8_t)sock->shard->id,
    };
    mcq_bytes_copy(sock->pattern_opts.welcome, o->welcome, o->welcome_len);
}

/* The struct may be of a version that has no such field. */
static bool slow_is_set(const struct mcq_sock_opts *opts)
{
    return opts != NULL &&
           opts->size >= offsetof(struct mcq_sock_opts, slow) + sizeof(opts->slow) &&
           opts->slow != MCQ_SLOW_DEFAULT;
}

/* A shard that is alone has every logical socket to itself. */
static enum mcq_error join_logical(struct mcq_sock *sock, enum mcq_sock_type type, const char *name,
                                   struct mcq_shard_set *earlier, struct mcq_detail *detail)
{
    struct mcq_shard *sh = sock->shard;
    if (name == NULL || sh->roster == NULL)
        return MCQ_OK;
    enum mcq_error err = mcq_logical_join(&sh->roster->logicals, name, type, sh->id, &sock->logical,
                                          &sock->life, earlier, detail);
    if (err != MCQ_OK)
        return err;
    sh->members[sock->logical] = sock;
    sock->claims = type == MCQ_ROUTER && sh->directory.plan.claims_max != 0;
    return MCQ_OK;
}

static void leave_logical(struct mcq_sock *sock)
{
    struct mcq_shard *sh = sock->shard;
    if (sock->logical == MCQ_LOGICAL_NONE)
        return;
    sh->members[sock->logical] = NULL;
    mcq_logical_leave(&sh->roster->logicals, sock->logical, sh->id);
}

static enum mcq_error sock_open(struct mcq_shard *sh, enum mcq_sock_type type,
                                const struct mcq_sock_opts *opts,
                                const struct mcq_sock_handlers *handlers, void *ctx,
                                struct mcq_sock **out, struct mcq_detail *detail)
{
    struct mcq_sock_opts eff;
    struct mcq_shard_set earlier = {{0}};
    if (sh != mcq_shard_here)
        return mcq_detail_set(detail, MCQ_ETHREAD, 0,
                              "mcq_sock_open: call it on the shard's own thread");
    if (sh->stopping)
        return mcq_detail_set(detail, MCQ_ESTATE, 0, "mcq_sock_open: the app is ending");
    const struct mcq_pattern *pattern = mcq_pattern_of(type);
    if (pattern == NULL || handlers == NULL)
        return mcq_detail_set(detail, pattern == NULL ? MCQ_ENOTSUP : MCQ_EINVAL, 0,
                              pattern == NULL ? "this version has no socket type %d"
                                              : "socket type %d: handlers is NULL",
                              (int)type);
    enum mcq_error err = mcq_sock_opts_effective(opts, type, &eff, detail);
    if (err != MCQ_OK)
        return err;
    struct mcq_sock *sock = mcq_pool_take(&sh->socks);
    if (sock == NULL)
        return mcq_detail_set(detail, MCQ_ELIMIT, 0, "all %u sockets of this shard are in use",
                              sh->socks.max);
    *sock = (struct mcq_sock){
        .shard = sh, .logical = MCQ_LOGICAL_NONE, .handlers = *handlers, .ctx = ctx};
    err = join_logical(sock, type, eff.logical, &earlier, detail);
    if (err != MCQ_OK) {
        mcq_pool_give(&sh->socks, sock);
        return err;
    }
    take_opts(sock, &eff, slow_is_set(opts));
    sock->request_timer.fn = request_tick;
    mcq_list_init(&sock->links);
    mcq_list_init(&sock->listeners);
    mcq_shard_psock_init(sh, sock, pattern);
    mcq_list_push_back(&sh->sock_list, &sock->shard_node);
    mcq_placement_open(sock);
    *out = sock;
    if (sock->logical == MCQ_LOGICAL_NONE)
        return MCQ_OK;
    err = mcq_member_open(sock, &earlier, detail);
    if (err != MCQ_OK) { /* it ends as any does, but its user hears nothing of it */
        sock->handlers = (struct mcq_sock_handlers){NULL};
        mcq_sock_close_within(sock, MCQ_NONE);
    }
    return err;
}

enum mcq_error mcq_sock_open(struct mcq_shard *sh, enum mcq_sock_type type,
                             const struct mcq_sock_opts *opts,
                             const struct mcq_sock_handlers *handlers, void *ctx,
                             struct mcq_sock **out, struct mcq_detail *detail)
{
    struct mcq_detail why = {.text = ""};
    enum mcq_error err = sock_open(sh, type, opts, handlers, ctx, out, &why);
    return mcq_shard_told(sh, err, &why, detail);
}

void mcq_sock_check_closed(struct mcq_sock *sock)
{
    struct mcq_shard *sh = sock->shard;
    if (!sock->closing || !mcq_list_empty(&sock->links) || !mcq_list_empty(&sock->listeners) ||
        mcq_node_linked(&sock->sweep_node))
        return;
    mcq_timer_node_disarm(mcq_loop_timers(sh->loop), &sock->request_timer);
    mcq_sock_tell_drops(sock);
    mcq_node_unlink(&sock->writable_node);
    mcq_node_unlink(&sock->shard_node);
    mcq_psock_fini(&sock->psock);
    mcq_placement_close(sock);
    mcq_member_close(sock);
    leave_logical(sock);
    if (sock->handlers.closed != NULL)
        sock->handlers.closed(sock->ctx, sock);
    mcq_pool_give(&sh->socks, sock);
}

static void sock_close(struct mcq_sock *sock, uint64_t linger_ns)
{
    if (sock->shard != mcq_shard_here || sock->closing)
        return;
    sock->closing = true;
    if (sock->member != NULL)
        mcq_member_peers(sock->member);
    for (struct mcq_node *n = mcq_list_first(&sock->listeners); n != NULL;
         n = mcq_list_next(&sock->listeners, n))
        mcq_listener_close(MCQ_CONTAINER_OF(n, struct mcq_listener, sock_node));
    for (struct mcq_node *n = mcq_list_first(&sock->links); n != NULL;
         n = mcq_list_next(&sock->links, n))
        mcq_link_close(MCQ_CONTAINER_OF(n, struct mcq_link, sock_node), MCQ_REASON_LOCAL,
                       linger_ns);
    /* `closed` comes from the loop, also when there is nothing to wait for. */
    mcq_timer_node_arm(mcq_loop_timers(sock->shard->loop), &sock->request_timer,
                       mcq_shard_now_ns(sock->shard));
}

void mcq_sock_close(struct mcq_sock *sock)
{
    sock_close(sock, sock->opts.linger_ms * MS_NS);
}

void mcq_sock_close_within(struct mcq_sock *sock, uint32_t linger_ms)
{
    uint32_t ms = linger_ms == 0 ? sock->opts.linger_ms : linger_ms;
    sock_close(sock, linger_ms == MCQ_NONE ? 0 : ms * MS_NS);
}

static enum mcq_error sock_bind(struct mcq_sock *sock, const char *endpoint,
                                struct mcq_detail *detail)
{
    struct mcq_endpoint ep;
    if (sock->shard != mcq_shard_here)
        return mcq_detail_set(detail, MCQ_ETHREAD, 0, "bind: call it on the shard's own thread");
    if (sock->closing)
        return mcq_detail_set(detail, MCQ_ESTATE, 0, "bind %s: the socket is closing", endpoint);
    enum mcq_error err = mcq_endpoint_parse(endpoint, true, &ep, detail);
    return err != MCQ_OK ? err : mcq_listener_open(sock, &ep, endpoint, detail);
}

enum mcq_error mcq_sock_bind(struct mcq_sock *sock, const char *endpoint, struct mcq_detail *detail)
{
    struct mcq_detail why = {.text = ""};
    return mcq_shard_told(sock->shard, sock_bind(sock, endpoint, &why), &why, detail);
}

static enum mcq_error sock_connect(struct mcq_sock *sock, const char *endpoint,
                                   struct mcq_detail *detail)
{
    struct mcq_endpoint ep;
    if (sock->shard != mcq_shard_here)
        return mcq_detail_set(detail, MCQ_ETHREAD, 0, "connect: call it on the shard's own thread");
    if (sock->closing)
        return mcq_detail_set(detail, MCQ_ESTATE, 0, "connect %s: the socket is closing", endpoint);
    enum mcq_error err = mcq_endpoint_parse(endpoint, false, &ep, detail);
    return err != MCQ_OK ? err : mcq_target_open(sock, endpoint, &ep, detail);
}

enum mcq_error mcq_sock_connect(struct mcq_sock *sock, const char *endpoint,
                                struct mcq_detail *detail)
{
    struct mcq_detail why = {.text = ""};
    return mcq_shard_told(sock->shard, sock_connect(sock, endpoint, &why), &why, detail);
}

static bool same_text(const char *a, const char *b)
{
    return __builtin_strcmp(a, b) == 0;
}

enum mcq_error mcq_sock_unbind(struct mcq_sock *sock, const char *endpoint,
                               struct mcq_detail *detail)
{
    if (sock->shard != mcq_shard_here)
        return mcq_detail_set(detail, MCQ_ETHREAD, 0, "unbind: call it on the shard's own thread");
    for (struct mcq_node *n = mcq_list_first(&sock->listeners); n != NULL;
         n = mcq_list_next(&sock->listeners, n)) {
        struct mcq_listener *l = MCQ_CONTAINER_OF(n, struct mcq_listener, sock_node);
        if (!l->closing && same_text(l->text, endpoint)) {
            mcq_listener_close(l);
            return MCQ_OK;
        }
    }
    return mcq_detail_set(detail, MCQ_ENOENT, 0,
                          "unbind: this socket isn't bound to %s (ask mcq_sock_endpoint)",
                          endpoint);
}

enum mcq_error mcq_sock_disconnect(struct mcq_sock *sock, const char *endpoint,
                                   struct mcq_detail *detail)
{
    if (sock->shard != mcq_shard_here)
        return mcq_detail_set(detail, MCQ_ETHREAD, 0,
                              "disconnect: call it on the shard's own thread");
    for (struct mcq_node *n = mcq_list_first(&sock->links); n != NULL;
         n = mcq_list_next(&sock->links, n)) {
        struct mcq_link *link = MCQ_CONTAINER_OF(n, struct mcq_link, sock_node);
        if (link->target != NULL && !link->closing && same_text(link->target->text, endpoint)) {
            mcq_link_close(link, MCQ_REASON_LOCAL, sock->opts.linger_ms * MS_NS);
            return MCQ_OK;
        }
    }
    return mcq_detail_set(detail, MCQ_ENOENT, 0, "disconnect: this socket isn't connected to %s",
                          endpoint);
}

const char *mcq_sock_endpoint(const struct mcq_sock *sock)
{
    return sock->bound;
}

struct mcq_shard *mcq_sock_shard(const struct mcq_sock *sock)
{
    return sock->shard;
}

enum mcq_sock_type mcq_sock_type(const struct mcq_sock *sock)
{
    return sock->psock.pattern->type;
}

uint32_t mcq_sock_peer_cnt(const struct mcq_sock *sock)
{
    return sock->psock.peers_up;
}

void *mcq_sock_user(const struct mcq_sock *sock)
{
    return sock->ctx;
}

void mcq_sock_set_user(struct mcq_sock *sock, void *ctx)
{
    sock->ctx = ctx;
}
