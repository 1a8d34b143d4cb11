/* A socket between its pattern and its user: what the pattern may ask for, and what becomes
 * `writable`, a sweep or an event at the turn's point for it. */
#include "shards/remote_peer.h"
#include "shards/shard.h"

#define MS_NS 1000000ull

/* --- what the pattern may ask for ----------------------------------------------------------- */

static void pause(struct mcq_sock *sock, struct mcq_pipe *p)
{
    mcq_link_of_pipe(p)->session.paused = true;
    sock->shard->stats.pattern.pauses++;
}

static size_t deliver_each(struct mcq_sock *sock, struct mcq_pipe *p, struct mcq_msg *msgs,
                           size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sock->handlers.message(sock->ctx, sock, p->peer, &msgs[i]) == MCQ_PAUSE) {
            pause(sock, p);
            return i + 1;
        }
    return n;
}

static size_t up_deliver(void *ctx, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n)
{
    struct mcq_sock *sock = ctx;
    if (MCQ_UNLIKELY(mcq_link_of_pipe(p)->session.paused))
        return 0;
    if (MCQ_LIKELY(sock->handlers.messages != NULL)) {
        size_t consumed = sock->handlers.messages(sock->ctx, sock, p->peer, msgs, n);
        if (MCQ_UNLIKELY(consumed < n))
            pause(sock, p);
        return mcq_min(consumed, n);
    }
    if (sock->handlers.message != NULL)
        return deliver_each(sock, p, msgs, n);
    sock->shard->stats.pattern.drops_handler += n;
    return n;
}

static void up_writable(void *ctx)
{
    struct mcq_sock *sock = ctx;
    if (!mcq_node_linked(&sock->writable_node))
        mcq_list_push_back(&sock->shard->writable, &sock->writable_node);
}

static void up_control(void *ctx, struct mcq_pipe *p)
{
    (void)ctx;
    p->env->mark(p->env->ctx, p);
}

static bool up_resume(void *ctx, struct mcq_pipe *p)
{
    (void)ctx;
    return mcq_session_recall(mcq_link_of_pipe(p));
}

static void up_close_pipe(void *ctx, struct mcq_pipe *p, enum mcq_reason reason)
{
    (void)ctx;
    mcq_link_of_pipe(p)->addressable = false;
    mcq_session_end_soon(mcq_link_of_pipe(p), reason);
}

static struct mcq_pipe *up_find_far(void *ctx, struct mcq_slice identity, enum mcq_error *err)
{
    struct mcq_link *link = mcq_remote_peer_find(ctx, identity, err);
    return link == NULL ? NULL : &link->pipe;
}

static const enum mcq_reason drop_reasons[MCQ_DROP_CNT] = {
    [MCQ_DROP_HWM] = MCQ_REASON_HWM,         [MCQ_DROP_NO_PEER] = MCQ_REASON_NO_PEER,
    [MCQ_DROP_PATTERN] = MCQ_REASON_PATTERN, [MCQ_DROP_CONFLATED] = MCQ_REASON_CONFLATED,
    [MCQ_DROP_SLOW] = MCQ_REASON_SLOW,
};

static void drops_add(struct mcq_drops *drops, enum mcq_reason reason, uint64_t cnt)
{
    uint32_t i = 0;
    while (i < MCQ_DROP_CNT && drop_reasons[i] != reason)
        i++;
    MCQ_ASSERT(i < MCQ_DROP_CNT);
    drops->cnt[i] += cnt;
}

static void make_due(struct mcq_link *link)
{
    if (!mcq_node_linked(&link->due_node))
        mcq_list_push_back(&link->shard->due, &link->due_node);
}

static void up_dropped(void *ctx, struct mcq_pipe *p, enum mcq_reason reason, uint64_t cnt)
{
    struct mcq_sock *sock = ctx;
    if (p != NULL) {
        struct mcq_link *link = mcq_link_of_pipe(p);
        drops_add(&link->drops, reason, cnt);
        make_due(link);
        return;
    }
    drops_add(&sock->drops, reason, cnt);
    if (!mcq_node_linked(&sock->drop_node))
        mcq_list_push_back(&sock->shard->sock_drops, &sock->drop_node);
}

static void up_slow(void *ctx, struct mcq_pipe *p, bool on)
{
    struct mcq_link *link = mcq_link_of_pipe(p);
    (void)ctx;
    if (on)
        link->slow_msgs = mcq_pipe_queued_msgs(p);
    link->slow_now = on;
    link->slow_due |= on ? MCQ_LINK_SLOW : MCQ_LINK_SLOW_END;
    make_due(link);
}

static void up_subscription(void *ctx, struct mcq_peer peer, bool added, struct mcq_slice topic)
{
    struct mcq_sock *sock = ctx;
    if (sock->handlers.subscription != NULL)
        sock->handlers.subscription(sock->ctx, sock, peer, added, topic.ptr, topic.len);
}

static void up_sweep(void *ctx)
{
    struct mcq_sock *sock = ctx;
    if (!mcq_node_linked(&sock->sweep_node))
        mcq_list_push_back(&sock->shard->sweeps, &sock->sweep_node);
}

static void up_peers(void *ctx)
{
    struct mcq_sock *sock = ctx;
    if (sock->member != NULL)
        mcq_member_peers(sock->member);
}

static void up_wanted(void *ctx, bool added, struct mcq_slice topic)
{
    struct mcq_sock *sock = ctx;
    if (sock->member != NULL)
        mcq_member_wanted(sock->member, added, topic);
}

static uint64_t up_unknown(void *ctx)
{
    const struct mcq_sock *sock = ctx;
    return sock->member == NULL ? 0 : mcq_member_unknown(sock->member);
}

static bool up_member(void *ctx)
{
    const struct mcq_sock *sock = ctx;
    return sock->member != NULL && !mcq_list_empty(&sock->member->channels);
}

static void up_await(void *ctx, bool on)
{
    struct mcq_sock *sock = ctx;
    struct mcq_timers *timers = mcq_loop_timers(sock->shard->loop);
    uint32_t ms = sock->opts.request_timeout_ms;
    if (on && ms != MCQ_NONE)
        mcq_timer_node_arm(timers, &sock->request_timer,
                           mcq_shard_now_ns(sock->shard) + ms * MS_NS);
    else
        mcq_timer_node_disarm(timers, &sock->request_timer);
}

const struct mcq_psock_up mcq_sock_up = {
    .deliver = up_deliver,
    .writable = up_writable,
    .control = up_control,
    .resume = up_resume,
    .close_pipe = up_close_pipe,
    .dropped = up_dropped,
    .slow = up_slow,
    .subscription = up_subscription,
    .peers = up_peers,
    .wanted = up_wanted,
    .unknown = up_unknown,
    .member = up_member,
    .sweep = up_sweep,
    .find_far = up_find_far,
    .await = up_await,
};

/* --- telling the user ----------------------------------------------------------------------- */

void mcq_sock_tell(struct mcq_sock *sock, struct mcq_event *ev)
{
    if (sock->handlers.event == NULL)
        return;
    if (ev->endpoint == NULL)
        ev->endpoint = "";
    if (ev->detail == NULL)
        ev->detail = "";
    sock->handlers.event(sock->ctx, sock, ev);
}

void mcq_sock_run_writable(struct mcq_shard *sh)
{
    struct mcq_list due; /* those that wait again meanwhile have their turn next time */
    struct mcq_node *n;
    mcq_list_init(&due);
    while ((n = mcq_list_pop_front(&sh->writable)) != NULL)
        mcq_list_push_back(&due, n);
    while ((n = mcq_list_pop_front(&due)) != NULL) {
        struct mcq_sock *sock = MCQ_CONTAINER_OF(n, struct mcq_sock, writable_node);
        if (MCQ_UNLIKELY(sock->member != NULL))
            mcq_member_writable(sock);
        if (MCQ_UNLIKELY(sh->bridges.early))
            (void)mcq_bridges_run(sh);
        if (sock->handlers.writable != NULL && !sock->closing)
            sock->handlers.writable(sock->ctx, sock);
    }
}

/* One event per reason. A handler that drops more is told of it in the next turn. */
static void tell_drops(struct mcq_sock *sock, struct mcq_drops *drops, struct mcq_event *ev)
{
    const struct mcq_drops told = *drops;
    *drops = (struct mcq_drops){{0}};
    for (uint32_t i = 0; i < MCQ_DROP_CNT; i++) {
        if (told.cnt[i] == 0)
            continue;
        ev->reason = drop_reasons[i];
        ev->cnt = told.cnt[i];
        mcq_sock_tell(sock, ev);
    }
}

static void tell_slow(struct mcq_link *link, struct mcq_event *ev, bool on)
{
    link->slow_told = on;
    if (link->channel != NULL) /* nobody's slowness */
        return;
    ev->kind = on ? MCQ_EVENT_SLOW : MCQ_EVENT_SLOW_END;
    ev->cnt = on ? link->slow_msgs : 0;
    mcq_sock_tell(link->sock, ev);
}

/* Slowness is told in turns, with one slot for each way: whatever happened since the last time,
 * what is told ends in what is. Drops belong to it: behind its begin, before its end. */
void mcq_sock_tell_due(struct mcq_link *link)
{
    char text[MCQ_ENDPOINT_LEN_MAX];
    if (!mcq_node_linked(&link->due_node))
        return;
    mcq_node_unlink(&link->due_node);
    bool was = link->slow_told, is = link->slow_now;
    bool and_back = was == is && link->slow_due == (MCQ_LINK_SLOW | MCQ_LINK_SLOW_END);
    struct mcq_event slow = {.peer = link->pipe.peer, .endpoint = mcq_link_endpoint(link, text)};
    struct mcq_event drop = {
        .kind = MCQ_EVENT_DROPPED, .peer = slow.peer, .endpoint = slow.endpoint};
    link->slow_due = 0;
    if (!was && (is || and_back))
        tell_slow(link, &slow, true);
    tell_drops(link->sock, &link->drops, &drop);
    if ((was && !is) || and_back)
        tell_slow(link, &slow, false);
    if (was && and_back)
        tell_slow(link, &slow, true);
}

void mcq_sock_tell_drops(struct mcq_sock *sock)
{
    mcq_node_unlink(&sock->drop_node);
    tell_drops(sock, &sock->drops, &(struct mcq_event){.kind = MCQ_EVENT_DROPPED});
}

/* Those that were due when the turn came to them, at most MCQ_SHARD_DUE_MAX: what a handler adds is
 * told in the next. */
static void run_links(struct mcq_shard *sh)
{
    struct mcq_node *n, *last = mcq_list_last(&sh->due);
    for (uint32_t i = 0; i < MCQ_SHARD_DUE_MAX && last != NULL; i++) {
        if ((n = mcq_list_first(&sh->due)) == last || n == NULL)
            last = NULL;
        if (n != NULL)
            mcq_sock_tell_due(MCQ_CONTAINER_OF(n, struct mcq_link, due_node));
    }
}

static void run_socks(struct mcq_shard *sh)
{
    struct mcq_node *n, *last = mcq_list_last(&sh->sock_drops);
    for (uint32_t i = 0; i < MCQ_SHARD_DUE_MAX && last != NULL; i++) {
        if ((n = mcq_list_first(&sh->sock_drops)) == last || n == NULL)
            last = NULL;
        if (n != NULL)
            mcq_sock_tell_drops(MCQ_CONTAINER_OF(n, struct mcq_sock, drop_node));
    }
}

void mcq_sock_run_due(struct mcq_shard *sh)
{
    run_links(sh);
    run_socks(sh);
}

static void sweep(struct mcq_sock *sock)
{
    bool more = sock->psock.pattern->sweep(&sock->psock);
    mcq_node_unlink(&sock->sweep_node);
    if (more)
        mcq_list_push_back(&sock->shard->sweeps, &sock->sweep_node);
    else
        mcq_sock_check_closed(sock);
}

void mcq_sock_run_sweeps(struct mcq_shard *sh)
{
    struct mcq_node *last = mcq_list_last(&sh->sweeps);
    struct mcq_node *n;
    for (uint32_t i = 0; i < MCQ_SHARD_SWEEPS_MAX; i++) {
        if ((n = mcq_list_first(&sh->sweeps)) == NULL)
            return;
        sweep(MCQ_CONTAINER_OF(n, struct mcq_sock, sweep_node));
        if (n == last)
            return;
    }
}
