/*
 * spin: bare non-blocking sockets that are read in a loop, one after the other, without asking
 * which of them has something. With one connection nothing is faster; with many, most of the
 * reads find nothing. The listener, and the connections of a node that only sends, are looked at
 * now and then.
 */
#include "perf/peers/crowd.h"
#include "perf/peers/peer.h"
#include "perf/run/clock.h"

#include <stdlib.h>

/* Between two looks at what rarely has something. */
#define LOOK_NS UINT64_C(100000)

struct state {
    struct perf_crowd crowd; /* first */
    uint64_t look_ns;        /* when the next look is due */
    bool storm;              /* the last one found somebody */
};

static const struct perf_crowd_ops ops = {.flush = perf_crowd_write};

static void all_read(struct perf_crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->live_cnt; i++) {
        struct perf_stream *stream = &crowd->streams[crowd->live[i]];
        if (!stream->ended) {
            perf_crowd_read(crowd, stream);
        }
    }
}

static void all_write(struct perf_crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->live_cnt && crowd->blocked_cnt > 0; i++) {
        struct perf_stream *stream = &crowd->streams[crowd->live[i]];
        if (stream->blocked) {
            perf_crowd_write(crowd, stream);
        }
    }
}

static bool look(struct state *state)
{
    struct perf_crowd *crowd = &state->crowd;
    uint64_t now_ns = perf_clock_ns();
    if (now_ns < state->look_ns && !state->storm) {
        return true;
    }
    uint32_t up_cnt = crowd->node->up_cnt;
    state->look_ns = now_ns + LOOK_NS;
    if (crowd->sends_only) {
        all_read(crowd);
    }
    bool ok = crowd->listener < 0 || perf_crowd_accept(crowd);
    state->storm = crowd->node->up_cnt > up_cnt;
    return ok;
}

static bool spin_turn(struct perf_crowd *crowd, uint64_t until_ns)
{
    struct state *state = crowd->node->state;
    (void)until_ns;
    if (!crowd->sends_only) {
        all_read(crowd);
    }
    all_write(crowd);
    return look(state);
}

static bool spin_poll(struct perf_node *n, uint64_t until_ns)
{
    struct state *state = n->state;
    return perf_crowd_poll(&state->crowd, until_ns, spin_turn);
}

static enum perf_put spin_send(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    struct state *state = n->state;
    return perf_crowd_send(&state->crowd, conn, data, len);
}

static void spin_close(struct perf_node *n)
{
    struct state *state = n->state;
    perf_crowd_close(&state->crowd);
    free(state);
    n->state = NULL;
}

static bool spin_open(struct perf_node *n)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return perf_child_fail(n->child, "no memory for a node");
    }
    n->state = state;
    bool ok = perf_crowd_open(&state->crowd, n, &ops);
    if (!ok) {
        spin_close(n);
    }
    return ok;
}

static const struct perf_node_ops spin_node = {
    .open = spin_open,
    .send = spin_send,
    .poll = spin_poll,
    .close = spin_close,
};

const struct perf_peer perf_peer_spin = {
    .name = "spin",
    .always_spins = true,
    .node = &spin_node,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
};
