/*
 * One shard, embedded: a poll is a turn of it, and a blocking poll sleeps on its descriptor. All
 * connections of a node belong to one socket; a connection's index, one more, is its peer's user
 * pointer. A server that meets a REQ's delimiter puts it in front of its answers, too.
 */
#include "perf/peers/mcq_node.h"

#include "perf/peers/endpoint.h"
#include "perf/peers/mcq_opts.h"
#include "perf/run/clock.h"

#include <monocoque.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_TIMEOUT_NS (20 * PERF_SECOND_NS)

/* Beyond what the library's own default has room for, each connection gets this much. */
#define CONNS_DEFAULT  1000u
#define BYTES_PER_CONN (UINT64_C(24) * 1024)
#define ARENA_DEFAULT  (UINT64_C(128) << 20)

struct state {
    struct perf_node *node;
    struct mcq_embed *embed;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_peer *peers; /* connecting: by index; zero while it is down */
    uint32_t free_idx;      /* no lower one is free */
    uint64_t came_cnt;
    bool delimits; /* some client has put an empty frame in front */
    bool opened, failed;
};

static const enum mcq_sock_type types[PERF_ROLE_CNT] = {
    [PERF_ROLE_CLIENT] = MCQ_DEALER, [PERF_ROLE_SERVER] = MCQ_ROUTER, [PERF_ROLE_PUSH] = MCQ_PUSH,
    [PERF_ROLE_PULL] = MCQ_PULL,     [PERF_ROLE_PUB] = MCQ_PUB,       [PERF_ROLE_SUB] = MCQ_SUB,
};

static bool node_fail(struct state *state, const char *what, const char *why)
{
    if (!state->failed) {
        perf_child_fail(state->node->child, "%s: %s", what, why);
    }
    state->failed = true;
    return false;
}

/* --- connections -------------------------------------------------------------------------------
 */

static void peer_up(struct state *state, struct mcq_peer peer)
{
    struct perf_node *n = state->node;
    if (n->spec.role != PERF_ROLE_PUB) {
        n->up_cnt++;
    }
    if (n->spec.binds) {
        return;
    }
    while (state->free_idx + 1 < n->spec.conns && state->peers[state->free_idx].bits != 0) {
        state->free_idx++;
    }
    state->peers[state->free_idx] = peer;
    uintptr_t mark = (uintptr_t)state->free_idx + 1;
    if (mcq_peer_set_user(state->sock, peer, (void *)mark) != MCQ_OK) {
        node_fail(state, "a connection", "ended while it came up");
    }
}

static void peer_down(struct state *state, struct mcq_peer peer)
{
    struct perf_node *n = state->node;
    n->gone_cnt++;
    if (n->spec.role != PERF_ROLE_PUB) {
        n->up_cnt--;
    }
    if (n->spec.binds) {
        return;
    }
    uintptr_t mark = (uintptr_t)mcq_peer_user(state->sock, peer);
    if (mark > 0) {
        uint32_t idx = (uint32_t)(mark - 1);
        state->peers[idx] = (struct mcq_peer){0};
        state->free_idx = idx < state->free_idx ? idx : state->free_idx;
    }
}

/* What a connect tries before the server listens isn't told; what it meets there is. */
static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct state *state = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP) {
        peer_up(state, event->peer);
    } else if (event->kind == MCQ_EVENT_DISCONNECTED) {
        peer_down(state, event->peer);
    } else if (!state->node->spec.binds && !state->opened &&
               (event->kind == MCQ_EVENT_HANDSHAKE_FAILED || event->kind == MCQ_EVENT_REFUSED)) {
        node_fail(state, mcq_event_name(event->kind), mcq_reason_name(event->reason));
    }
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct state *state = ctx;
    (void)sock, (void)peer, (void)topic, (void)len;
    state->node->up_cnt += added ? 1 : -1u;
}

/* --- messages ----------------------------------------------------------------------------------
 */

/* A REQ's delimiter is remembered as the user pointer of an accepted peer. */
static void delimiter_note(struct state *state, struct mcq_peer from)
{
    if (mcq_peer_user(state->sock, from) == NULL &&
        mcq_peer_set_user(state->sock, from, state) == MCQ_OK) {
        state->delimits = true;
    }
}

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct state *state = ctx;
    const struct perf_node_spec *spec = &state->node->spec;
    uint64_t conn = spec->binds ? from.bits : (uint64_t)(uintptr_t)mcq_peer_user(sock, from) - 1;
    state->came_cnt += n;
    for (size_t i = 0; i < n; i++) {
        struct mcq_frame body = {msgs[i].data, msgs[i].len};
        if (msgs[i].frames != NULL) {
            body = mcq_msg_frame(&msgs[i], mcq_msg_frame_cnt(&msgs[i]) - 1);
            if (spec->role == PERF_ROLE_SERVER) {
                delimiter_note(state, from);
            }
        }
        spec->arrived(spec->ctx, conn, body.data, body.len);
    }
    return n;
}

static void on_room(void *ctx, struct mcq_sock *sock)
{
    struct state *state = ctx;
    (void)sock;
    state->came_cnt++;
}

static enum mcq_error send_to(struct state *state, struct mcq_peer peer, const void *data,
                              size_t len)
{
    struct mcq_msg msg = mcq_msg_of(data, len);
    if (!state->delimits || mcq_peer_user(state->sock, peer) == NULL) {
        return mcq_send_to(state->sock, peer, &msg);
    }
    struct mcq_frame frames[] = {{"", 0}, {data, len}};
    msg = mcq_msg_of_frames(frames, 2);
    return mcq_send_to(state->sock, peer, &msg);
}

static enum mcq_error send_by_role(struct state *state, uint64_t conn, const void *data, size_t len)
{
    const struct perf_node_spec *spec = &state->node->spec;
    if (spec->role == PERF_ROLE_SERVER) {
        return send_to(state, (struct mcq_peer){conn}, data, len);
    }
    if (spec->role == PERF_ROLE_PUB || spec->binds || spec->conns == 1) {
        return mcq_send_bytes(state->sock, data, len);
    }
    struct mcq_msg msg = mcq_msg_of(data, len);
    return state->peers[conn].bits == 0 ? MCQ_ESTALE
                                        : mcq_send_to(state->sock, state->peers[conn], &msg);
}

static enum perf_put mcq_node_send(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    struct state *state = n->state;
    enum mcq_error error = send_by_role(state, conn, data, len);
    if (__builtin_expect(error == MCQ_OK, 1)) {
        return PERF_PUT_OK;
    }
    if (error == MCQ_EAGAIN) {
        return PERF_PUT_FULL;
    }
    if (error != MCQ_ESTALE) {
        node_fail(state, "sending", mcq_error_name(error));
    }
    return PERF_PUT_GONE;
}

/* --- turns -------------------------------------------------------------------------------------
 */

static void sleep_until(struct state *state, uint64_t wait_ns, uint64_t left_ns)
{
    struct pollfd fd = {.fd = mcq_shard_fd(state->shard), .events = POLLIN};
    uint64_t ns = wait_ns < left_ns ? wait_ns : left_ns;
    struct timespec timeout = {.tv_sec = (time_t)(ns / PERF_SECOND_NS),
                               .tv_nsec = (long)(ns % PERF_SECOND_NS)};
    if (ns > 0) {
        ppoll(&fd, 1, &timeout, NULL);
    }
}

static bool mcq_node_poll(struct perf_node *n, uint64_t until_ns)
{
    struct state *state = n->state;
    uint64_t came_cnt = state->came_cnt;
    bool spin = n->spec.spin || until_ns == 0;
    while (true) {
        uint64_t wait_ns = 0;
        if (!mcq_shard_poll(state->shard, spin ? NULL : &wait_ns)) {
            return node_fail(state, "the shard", "has ended");
        }
        if (state->failed || state->came_cnt != came_cnt || until_ns == 0) {
            return !state->failed;
        }
        uint64_t now_ns = perf_clock_ns();
        if (now_ns >= until_ns) {
            return true;
        }
        if (!spin) {
            sleep_until(state, wait_ns, until_ns - now_ns);
        }
    }
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static enum mcq_sock_type type_of(const struct perf_node_spec *spec)
{
    bool req = spec->socket_type != NULL && strcmp(spec->socket_type, "req") == 0;
    return req && spec->role == PERF_ROLE_CLIENT ? MCQ_REQ : types[spec->role];
}

static bool sock_open(struct state *state)
{
    static const struct mcq_sock_handlers handlers = {
        .messages = on_messages,
        .writable = on_room,
        .event = on_event,
        .subscription = on_subscription,
    };
    const struct perf_node_spec *spec = &state->node->spec;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_detail detail = {.text = ""};
    opts.linger_ms = MCQ_NONE;
    opts.send_hwm_msgs = spec->hwm;
    opts.recv_hwm_msgs = spec->hwm;
    if (spec->role == PERF_ROLE_PUB) {
        opts.slow = spec->drops ? MCQ_SLOW_DROP_NEW : MCQ_SLOW_BLOCK;
    }
    if (mcq_sock_open(state->shard, type_of(spec), &opts, &handlers, state, &state->sock,
                      &detail) != MCQ_OK) {
        return node_fail(state, "opening a socket", detail.text);
    }
    if (spec->role == PERF_ROLE_SUB && mcq_subscribe(state->sock, "", 0) != MCQ_OK) {
        return node_fail(state, "subscribing", "refused");
    }
    return true;
}

static bool sock_join(struct state *state)
{
    struct perf_node *n = state->node;
    struct mcq_detail detail = {.text = ""};
    char own[PERF_ENDPOINT_MAX];
    if (n->spec.binds) {
        perf_endpoint_own(n->spec.transport, own);
        const char *asked = n->spec.endpoint != NULL ? n->spec.endpoint : own;
        if (mcq_sock_bind(state->sock, asked, &detail) != MCQ_OK) {
            return node_fail(state, "binding", detail.text);
        }
        snprintf(n->endpoint, sizeof n->endpoint, "%s", mcq_sock_endpoint(state->sock));
        return true;
    }
    for (uint32_t i = 0; i < n->spec.conns; i++) {
        if (mcq_sock_connect(state->sock, n->spec.endpoint, &detail) != MCQ_OK) {
            return node_fail(state, "connecting", detail.text);
        }
    }
    return true;
}

static int on_start(struct mcq_shard *shard, void *arg)
{
    struct state *state = arg;
    state->shard = shard;
    return sock_open(state) && sock_join(state) ? 0 : 1;
}

static bool embed_open(struct state *state)
{
    static const struct mcq_app app = {.start = on_start};
    const struct perf_node_spec *spec = &state->node->spec;
    struct mcq_detail detail = {.text = ""};
    char cpus[16];
    struct mcq_opts opts = perf_mcq_opts(-1, spec->spin ? PERF_IDLE_SPIN : PERF_IDLE_BLOCK, cpus);
    if (spec->conns > CONNS_DEFAULT) {
        opts.connections_max = spec->conns + CONNS_DEFAULT;
        if (opts.arena_bytes == 0) {
            opts.arena_bytes = ARENA_DEFAULT + spec->conns * BYTES_PER_CONN;
        }
    }
    enum mcq_error error = mcq_embed_open(&opts, &app, state, &state->embed, &detail);
    return error == MCQ_OK || node_fail(state, mcq_error_name(error), detail.text);
}

static bool all_up(struct perf_node *n)
{
    uint64_t deadline_ns = perf_clock_ns() + OPEN_TIMEOUT_NS;
    while (!n->spec.binds && n->up_cnt < n->spec.conns) {
        if (!mcq_node_poll(n, perf_clock_ns() + PERF_MS_NS)) {
            return false;
        }
        if (perf_clock_ns() > deadline_ns) {
            return perf_child_fail(n->child, "%u of %u connections came up in time", n->up_cnt,
                                   n->spec.conns);
        }
    }
    return true;
}

static void mcq_node_close(struct perf_node *n)
{
    struct state *state = n->state;
    struct mcq_detail detail = {.text = ""};
    if (state->embed != NULL) {
        mcq_stop(state->shard);
        (void)mcq_embed_close(state->embed, &detail);
    }
    free(state->peers);
    free(state);
    n->state = NULL;
}

static bool mcq_node_open(struct perf_node *n)
{
    struct state *state = calloc(1, sizeof *state);
    n->state = state;
    if (state == NULL) {
        return perf_child_fail(n->child, "no memory for a node");
    }
    state->node = n;
    n->spec.conns = n->spec.conns == 0 ? 1 : n->spec.conns;
    state->peers = calloc(n->spec.conns, sizeof *state->peers);
    bool ok = state->peers != NULL || perf_child_fail(n->child, "no memory for a node");
    ok = ok && embed_open(state) && all_up(n);
    state->opened = true;
    if (!ok) {
        mcq_node_close(n);
    }
    return ok;
}

static uint64_t mcq_node_buffers(const struct perf_node *n)
{
    const struct state *state = n->state;
    struct mcq_shard_stats stats;
    mcq_shard_stats(state->shard, &stats);
    return stats.mem.blocks_now;
}

const struct perf_node_ops perf_mcq_node = {
    .open = mcq_node_open,
    .send = mcq_node_send,
    .poll = mcq_node_poll,
    .close = mcq_node_close,
    .buffers = mcq_node_buffers,
};
