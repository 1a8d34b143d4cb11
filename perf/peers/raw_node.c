/*
 * Bare sockets and ppoll over all of them, as the smallest program that serves many connections
 * would be written. Spinning, ppoll returns at once.
 */
#include "perf/peers/raw_node.h"

#include "perf/peers/crowd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

struct state {
    struct perf_crowd crowd; /* first */
    struct pollfd *fds;      /* in the order of live ones, the listener last */
};

static const struct perf_crowd_ops ops = {.flush = perf_crowd_write};

static nfds_t fds_fill(struct state *state)
{
    struct perf_crowd *crowd = &state->crowd;
    nfds_t cnt = crowd->live_cnt;
    for (uint32_t i = 0; i < crowd->live_cnt; i++) {
        const struct perf_stream *stream = &crowd->streams[crowd->live[i]];
        short events = (short)(stream->blocked ? POLLIN | POLLOUT : POLLIN);
        state->fds[i] = (struct pollfd){.fd = stream->fd, .events = events};
    }
    if (crowd->listener >= 0) {
        state->fds[cnt++] = (struct pollfd){.fd = crowd->listener, .events = POLLIN};
    }
    return cnt;
}

static bool raw_turn(struct perf_crowd *crowd, uint64_t until_ns)
{
    struct state *state = crowd->node->state;
    uint32_t live_cnt = crowd->live_cnt;
    nfds_t cnt = fds_fill(state);
    struct timespec left = perf_crowd_left(crowd, until_ns);
    int ready = ppoll(state->fds, cnt, &left, NULL);
    if (ready < 0) {
        return errno == EINTR || perf_child_fail_os(crowd->node->child, "ppoll");
    }
    for (uint32_t i = 0; i < live_cnt && ready > 0; i++) {
        struct perf_stream *stream = &crowd->streams[crowd->live[i]];
        ready -= state->fds[i].revents != 0;
        if ((state->fds[i].revents & POLLOUT) != 0) {
            perf_crowd_write(crowd, stream);
        }
        if ((state->fds[i].revents & ~POLLOUT) != 0 && !stream->ended) {
            perf_crowd_read(crowd, stream);
        }
    }
    return ready == 0 || perf_crowd_accept(crowd);
}

static bool raw_poll(struct perf_node *n, uint64_t until_ns)
{
    struct state *state = n->state;
    return perf_crowd_poll(&state->crowd, until_ns, raw_turn);
}

static enum perf_put raw_send(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    struct state *state = n->state;
    return perf_crowd_send(&state->crowd, conn, data, len);
}

static void raw_close(struct perf_node *n)
{
    struct state *state = n->state;
    perf_crowd_close(&state->crowd);
    free(state->fds);
    free(state);
    n->state = NULL;
}

static bool raw_open(struct perf_node *n)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return perf_child_fail(n->child, "no memory for a node");
    }
    n->state = state;
    bool ok = perf_crowd_open(&state->crowd, n, &ops);
    if (ok) {
        state->fds = calloc(state->crowd.cap + 1, sizeof *state->fds);
        ok = state->fds != NULL || perf_child_fail(n->child, "no memory for a node");
    }
    if (!ok) {
        raw_close(n);
    }
    return ok;
}

const struct perf_node_ops perf_raw_node = {
    .open = raw_open,
    .send = raw_send,
    .poll = raw_poll,
    .close = raw_close,
};
