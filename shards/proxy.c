#include "shards/proxy.h"

#include "mem/detail.h"
#include "shards/options.h"
#include "shards/shard.h"

static struct mcq_link *link_of(const struct mcq_sock *sock, struct mcq_peer peer)
{
    return mcq_link_of_peer(sock, peer);
}

/* --- who waits ----------------------------------------------------------------------------- */

/* The peer is paused; taken: it has got something through. */
static void hold(struct mcq_proxy_side *side, struct mcq_peer peer, bool taken)
{
    struct mcq_link *link = link_of(side->sock, peer);
    if (link == NULL)
        return;
    mcq_node_unlink(&link->proxy_node);
    struct mcq_node *first = mcq_list_first(&side->held);
    if (taken || first == NULL)
        mcq_list_push_back(&side->held, &link->proxy_node);
    else
        mcq_list_insert_before(first, &link->proxy_node);
}

static bool may_go_on(const struct mcq_proxy_side *side)
{
    return !side->proxy->paused && !side->other->full && side->sock != NULL &&
           !mcq_list_empty(&side->held);
}

/* The rest has its turn in the next one: those of this one may fill the other side again. A link
 * whose peer has gone, to come back or not, has nothing to resume. */
static void go_on(struct mcq_proxy_side *side)
{
    for (uint32_t i = 0; i < MCQ_PROXY_RESUMES_MAX && may_go_on(side); i++) {
        struct mcq_node *n = mcq_list_pop_front(&side->held);
        struct mcq_link *link = MCQ_CONTAINER_OF(n, struct mcq_link, proxy_node);
        (void)mcq_peer_resume(side->sock, link->pipe.peer);
    }
    if (may_go_on(side))
        mcq_timer_arm(side->proxy->timer, mcq_shard_now(side->proxy->shard));
}

static void on_timer(void *ctx, struct mcq_timer *timer)
{
    struct mcq_proxy *proxy = ctx;
    (void)timer;
    go_on(&proxy->front);
    go_on(&proxy->back);
}

/* --- passing on ---------------------------------------------------------------------------- */

/* m as it went out; the views are good until the handler returns. */
static void passed(struct mcq_proxy_side *from, const struct mcq_msg *m)
{
    struct mcq_proxy *proxy = from->proxy;
    struct mcq_msg copy = *m;
    from->way.msgs++;
    from->way.bytes += mcq_msg_bytes(m);
    if (proxy->capture == NULL)
        return;
    if (mcq_send(proxy->capture, &copy) == MCQ_OK)
        proxy->captured++;
    else
        proxy->capture_dropped++;
}

static enum mcq_error pass_as_it_is(struct mcq_proxy_side *from, const struct mcq_msg *m)
{
    struct mcq_msg copy = *m;
    enum mcq_error err = mcq_send(from->other->sock, &copy);
    if (err == MCQ_OK)
        passed(from, m);
    return err;
}

/* With its sender's identity in front. The owner is m's, so that large bodies are shared. */
static enum mcq_error pass_to_dealer(struct mcq_proxy_side *from, struct mcq_peer peer,
                                     const struct mcq_msg *m)
{
    struct mcq_frame *frames = from->proxy->shard->proxy_frames;
    uint32_t cnt = mcq_msg_frame_cnt(m);
    if (cnt == MCQ_FRAME_CNT_MAX)
        return MCQ_ETOOBIG;
    enum mcq_error err = mcq_peer_identity(from->sock, peer, &frames[0]);
    if (err != MCQ_OK)
        return err;
    for (uint32_t i = 0; i < cnt; i++)
        frames[i + 1] = mcq_msg_frame(m, i);
    struct mcq_msg whole = mcq_msg_of_frames(frames, cnt + 1);
    whole.owner = m->owner;
    return pass_as_it_is(from, &whole);
}

/* By name and not by identity: a full peer is waited for then. */
static enum mcq_error pass_to_router(struct mcq_proxy_side *from, const struct mcq_msg *m)
{
    struct mcq_sock *router = from->other->sock;
    uint32_t cnt = mcq_msg_frame_cnt(m);
    struct mcq_peer to;
    if (cnt < 2)
        return MCQ_EINVAL;
    enum mcq_error err = mcq_peer_find(router, m->data, m->len, &to);
    if (err != MCQ_OK)
        return err;
    struct mcq_msg rest = mcq_msg_of_frames(m->frames + 1, cnt - 1);
    rest.owner = m->owner;
    err = mcq_send_to(router, to, &rest);
    if (err == MCQ_OK)
        passed(from, m);
    return err;
}

/* false: it has to come again. */
static bool pass(struct mcq_proxy_side *from, struct mcq_peer peer, const struct mcq_msg *m)
{
    struct mcq_proxy_side *to = from->other;
    enum mcq_error err;
    if (from->proxy->paused || to->sock == NULL)
        return false;
    if (mcq_sock_type(from->sock) == MCQ_ROUTER)
        err = pass_to_dealer(from, peer, m);
    else if (mcq_sock_type(to->sock) == MCQ_ROUTER)
        err = pass_to_router(from, m);
    else
        err = pass_as_it_is(from, m);
    if (err == MCQ_EAGAIN) {
        to->full = true;
        from->way.pauses++;
    } else if (err != MCQ_OK && err != MCQ_ESTATE) {
        from->way.dropped++;
    }
    return err != MCQ_EAGAIN && err != MCQ_ESTATE; /* the latter: to is closing */
}

/* --- handlers ------------------------------------------------------------------------------ */

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct mcq_proxy_side *side = ctx;
    size_t i = 0;
    (void)sock;
    while (i < n && pass(side, from, &msgs[i]))
        i++;
    if (i < n)
        hold(side, from, i != 0);
    return i;
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct mcq_proxy_side *side = ctx;
    (void)sock;
    side->full = false;
    go_on(side->other);
}

static void tell(struct mcq_proxy *proxy, struct mcq_sock *sock, const struct mcq_event *event)
{
    if (proxy->opened && proxy->opts.event != NULL)
        proxy->opts.event(proxy->opts.ctx, proxy, sock, event);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct mcq_proxy_side *side = ctx;
    tell(side->proxy, sock, event);
}

/* Who can't be subscribed upstream would wait for messages in vain. */
static void subscribe(struct mcq_proxy_side *back, struct mcq_peer peer, const void *topic,
                      size_t len)
{
    enum mcq_error err = mcq_subscribe(back->other->sock, topic, len);
    if (err == MCQ_OK)
        back->proxy->subscriptions++;
    else if (err == MCQ_ELIMIT)
        (void)mcq_peer_kill(back->sock, peer);
}

/* Every subscription that was told is counted by the front; but not every end is told to an XPUB
 * that is `verbose` without being `verboser`: its one end is that of all. */
static void unsubscribe(struct mcq_proxy_side *back, const void *topic, size_t len)
{
    const struct mcq_psock_opts *o = &back->sock->pattern_opts;
    bool all = o->verbose && !o->verboser;
    while (mcq_unsubscribe(back->other->sock, topic, len) == MCQ_OK) {
        back->proxy->subscriptions++;
        if (!all)
            return;
    }
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct mcq_proxy_side *back = ctx;
    (void)sock;
    if (back->other->sock == NULL)
        return;
    if (added)
        subscribe(back, peer, topic, len);
    else
        unsubscribe(back, topic, len);
}

/* --- the end ------------------------------------------------------------------------------- */

static void gone(struct mcq_proxy *proxy)
{
    struct mcq_shard *sh = proxy->shard;
    if (proxy->front.sock != NULL || proxy->back.sock != NULL || proxy->capture != NULL)
        return;
    mcq_timer_close(proxy->timer);
    if (proxy->opened && proxy->opts.closed != NULL)
        proxy->opts.closed(proxy->opts.ctx, proxy);
    mcq_pool_give(&sh->proxies, proxy);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct mcq_proxy_side *side = ctx;
    (void)sock;
    side->sock = NULL;
    gone(side->proxy);
}

static void on_capture_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    tell(ctx, sock, event);
}

static void on_capture_closed(void *ctx, struct mcq_sock *sock)
{
    struct mcq_proxy *proxy = ctx;
    (void)sock;
    proxy->capture = NULL;
    gone(proxy);
}

static const struct mcq_sock_handlers side_handlers = {
    .messages = on_messages,
    .writable = on_writable,
    .event = on_event,
    .subscription = on_subscription,
    .closed = on_closed,
};
static const struct mcq_sock_handlers capture_handlers = {
    .event = on_capture_event,
    .closed = on_capture_closed,
};

/* --- opening ------------------------------------------------------------------------------- */

static bool is_pair(enum mcq_sock_type front, enum mcq_sock_type back)
{
    return (front == MCQ_XSUB && back == MCQ_XPUB) || (front == MCQ_ROUTER && back == MCQ_DEALER) ||
           (front == MCQ_PULL && back == MCQ_PUSH) || (front == MCQ_PAIR && back == MCQ_PAIR);
}

static bool may_capture(enum mcq_sock_type type)
{
    return type == 0 || type == MCQ_PUB || type == MCQ_PUSH || type == MCQ_DEALER ||
           type == MCQ_PAIR;
}

static enum mcq_error check(const struct mcq_proxy_opts *o, struct mcq_detail *detail)
{
    if (!is_pair(o->front, o->back))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "no proxy goes from socket type %d to %d: front and back are XSUB "
                              "and XPUB, ROUTER and DEALER, PULL and PUSH, or PAIR and PAIR",
                              (int)o->front, (int)o->back);
    if (!may_capture(o->capture))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "socket type %d can't capture: use PUB, PUSH, DEALER or PAIR",
                              (int)o->capture);
    return MCQ_OK;
}

static void side_init(struct mcq_proxy *proxy, struct mcq_proxy_side *side,
                      struct mcq_proxy_side *other)
{
    side->proxy = proxy;
    side->other = other;
    mcq_list_init(&side->held);
}

/* What is wrong says with which of them. */
static enum mcq_error open_sock(struct mcq_proxy *proxy, const char *name, enum mcq_sock_type type,
                                const struct mcq_sock_opts *opts, void *ctx, struct mcq_sock **sock,
                                struct mcq_detail *detail)
{
    const struct mcq_sock_handlers *handlers =
        sock == &proxy->capture ? &capture_handlers : &side_handlers;
    struct mcq_detail why = {.text = ""};
    enum mcq_error err = mcq_sock_open(proxy->shard, type, opts, handlers, ctx, sock, &why);
    if (err == MCQ_OK)
        return err;
    return mcq_detail_set(detail, err, why.os_errno, "%s: %s", name, why.text);
}

static enum mcq_error open_socks(struct mcq_proxy *proxy, const struct mcq_proxy_opts *o,
                                 struct mcq_detail *detail)
{
    enum mcq_error err = open_sock(proxy, "front", o->front, o->front_opts, &proxy->front,
                                   &proxy->front.sock, detail);
    if (err == MCQ_OK)
        err = open_sock(proxy, "back", o->back, o->back_opts, &proxy->back, &proxy->back.sock,
                        detail);
    if (err == MCQ_OK && proxy->back.sock->pattern_opts.manual)
        err = mcq_detail_set(detail, MCQ_EINVAL, 0,
                             "back: a proxy passes subscriptions on by itself: leave `manual` off");
    if (err == MCQ_OK && o->capture != 0)
        err = open_sock(proxy, "capture", o->capture, o->capture_opts, proxy, &proxy->capture,
                        detail);
    return err;
}

static void close_socks(struct mcq_proxy *proxy)
{
    proxy->closing = true;
    if (proxy->front.sock != NULL)
        mcq_sock_close(proxy->front.sock);
    if (proxy->back.sock != NULL)
        mcq_sock_close(proxy->back.sock);
    if (proxy->capture != NULL)
        mcq_sock_close(proxy->capture);
}

static enum mcq_error proxy_open(struct mcq_shard *sh, const struct mcq_proxy_opts *opts,
                                 struct mcq_proxy **out, struct mcq_detail *detail)
{
    struct mcq_proxy_opts o;
    if (sh != mcq_shard_here)
        return mcq_detail_set(detail, MCQ_ETHREAD, 0,
                              "mcq_proxy_open: call it on the shard's own thread");
    enum mcq_error err =
        mcq_opts_sized_copy("struct mcq_proxy_opts", &o, sizeof(o), opts, opts->size, detail);
    if (err == MCQ_OK)
        err = check(&o, detail);
    if (err != MCQ_OK)
        return err;
    struct mcq_proxy *proxy = mcq_pool_take(&sh->proxies);
    if (proxy == NULL)
        return mcq_detail_set(detail, MCQ_ELIMIT, 0, "all %u proxies of this shard are in use",
                              sh->proxies.max);
    *proxy = (struct mcq_proxy){.shard = sh, .opts = o};
    side_init(proxy, &proxy->front, &proxy->back);
    side_init(proxy, &proxy->back, &proxy->front);
    if (mcq_timer_open(sh, on_timer, proxy, &proxy->timer) != MCQ_OK) {
        mcq_pool_give(&sh->proxies, proxy);
        return mcq_detail_set(detail, MCQ_ELIMIT, 0, "all %u timers of this shard are in use",
                              sh->timers.max);
    }
    err = open_socks(proxy, &o, detail);
    if (err != MCQ_OK) {
        close_socks(proxy);
        gone(proxy); /* now, or with the last of its sockets */
        return err;
    }
    proxy->opts.front_opts = NULL;
    proxy->opts.back_opts = NULL;
    proxy->opts.capture_opts = NULL;
    proxy->opened = true;
    *out = proxy;
    return MCQ_OK;
}

enum mcq_error mcq_proxy_open(struct mcq_shard *sh, const struct mcq_proxy_opts *opts,
                              struct mcq_proxy **out, struct mcq_detail *detail)
{
    struct mcq_detail why = {.text = ""};
    return mcq_shard_told(sh, proxy_open(sh, opts, out, &why), &why, detail);
}

/* --- public -------------------------------------------------------------------------------- */

struct mcq_sock *mcq_proxy_front(const struct mcq_proxy *proxy)
{
    return proxy->front.sock;
}

struct mcq_sock *mcq_proxy_back(const struct mcq_proxy *proxy)
{
    return proxy->back.sock;
}

struct mcq_sock *mcq_proxy_capture(const struct mcq_proxy *proxy)
{
    return proxy->capture;
}

void mcq_proxy_pause(struct mcq_proxy *proxy)
{
    if (proxy->shard == mcq_shard_here)
        proxy->paused = true;
}

void mcq_proxy_resume(struct mcq_proxy *proxy)
{
    if (proxy->shard != mcq_shard_here || !proxy->paused)
        return;
    proxy->paused = false;
    go_on(&proxy->front);
    go_on(&proxy->back);
}

void mcq_proxy_stats(const struct mcq_proxy *proxy, struct mcq_proxy_stats *stats)
{
    *stats = (struct mcq_proxy_stats){
        .to_back = proxy->front.way,
        .to_front = proxy->back.way,
        .captured = proxy->captured,
        .capture_dropped = proxy->capture_dropped,
        .subscriptions = proxy->subscriptions,
        .paused = proxy->paused,
    };
}

void mcq_proxy_close(struct mcq_proxy *proxy)
{
    if (proxy->shard == mcq_shard_here && !proxy->closing)
        close_socks(proxy);
}
