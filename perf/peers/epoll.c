/*
 * epoll: bare non-blocking sockets and one epoll, level-triggered, so that a receive that brings
 * less than asked for isn't followed by one that brings nothing. A connection is watched for room
 * only while the kernel takes no more. Spinning, epoll returns at once.
 */
#include "perf/peers/crowd.h"
#include "perf/peers/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX     256
#define LISTENER_EVENT UINT32_MAX

struct state {
    struct perf_crowd crowd; /* first */
    int epoll;
    struct epoll_event events[EVENTS_MAX];
};

static bool watch(struct perf_crowd *crowd, int how, int fd, uint32_t events, uint32_t idx)
{
    struct state *state = crowd->node->state;
    struct epoll_event event = {.events = events, .data.u32 = idx};
    return epoll_ctl(state->epoll, how, fd, &event) == 0 ||
           perf_child_fail_os(crowd->node->child, "epoll_ctl");
}

static bool on_added(struct perf_crowd *crowd, struct perf_stream *stream)
{
    return watch(crowd, EPOLL_CTL_ADD, stream->fd, EPOLLIN, stream->idx);
}

static void on_flush(struct perf_crowd *crowd, struct perf_stream *stream)
{
    perf_crowd_write(crowd, stream);
    if (stream->blocked != stream->watched && !stream->ended) {
        uint32_t events = stream->blocked ? EPOLLIN | EPOLLOUT : EPOLLIN;
        stream->watched = stream->blocked;
        crowd->failed = !watch(crowd, EPOLL_CTL_MOD, stream->fd, events, stream->idx);
    }
}

static const struct perf_crowd_ops ops = {.added = on_added, .flush = on_flush};

static bool event_take(struct perf_crowd *crowd, const struct epoll_event *event)
{
    if (event->data.u32 == LISTENER_EVENT) {
        return perf_crowd_accept(crowd);
    }
    struct perf_stream *stream = &crowd->streams[event->data.u32];
    if ((event->events & EPOLLOUT) != 0 && !stream->ended) {
        on_flush(crowd, stream);
    }
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0 && !stream->ended) {
        perf_crowd_read(crowd, stream);
    }
    return true;
}

static bool epoll_turn(struct perf_crowd *crowd, uint64_t until_ns)
{
    struct state *state = crowd->node->state;
    struct timespec left = perf_crowd_left(crowd, until_ns);
    int cnt = epoll_pwait2(state->epoll, state->events, EVENTS_MAX, &left, NULL);
    bool ok = cnt >= 0 || errno == EINTR || perf_child_fail_os(crowd->node->child, "epoll_pwait2");
    for (int i = 0; ok && i < cnt; i++) {
        ok = event_take(crowd, &state->events[i]);
    }
    return ok;
}

static bool epoll_poll(struct perf_node *n, uint64_t until_ns)
{
    struct state *state = n->state;
    return perf_crowd_poll(&state->crowd, until_ns, epoll_turn);
}

static enum perf_put epoll_send(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    struct state *state = n->state;
    return perf_crowd_send(&state->crowd, conn, data, len);
}

static void epoll_close(struct perf_node *n)
{
    struct state *state = n->state;
    perf_crowd_close(&state->crowd);
    if (state->epoll >= 0) {
        close(state->epoll);
    }
    free(state);
    n->state = NULL;
}

static bool epoll_open(struct perf_node *n)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return perf_child_fail(n->child, "no memory for a node");
    }
    n->state = state;
    state->crowd.listener = -1;
    state->epoll = epoll_create1(EPOLL_CLOEXEC);
    bool ok = (state->epoll >= 0 || perf_child_fail_os(n->child, "epoll_create1")) &&
              perf_crowd_open(&state->crowd, n, &ops) &&
              (!n->spec.binds ||
               watch(&state->crowd, EPOLL_CTL_ADD, state->crowd.listener, EPOLLIN, LISTENER_EVENT));
    if (!ok) {
        epoll_close(n);
    }
    return ok;
}

static const struct perf_node_ops epoll_node = {
    .open = epoll_open,
    .send = epoll_send,
    .poll = epoll_poll,
    .close = epoll_close,
};

const struct perf_peer perf_peer_epoll = {
    .name = "epoll",
    .node = &epoll_node,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
};
