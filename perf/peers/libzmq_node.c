/*
 * One context and one thread of it. A client of many connections is a ROUTER that names each of
 * them, since only that lets a program say which one it means; of one connection it is a DEALER.
 * Many subscribers, or many PUSHes, are so many sockets. Sleeping is on the descriptors libzmq
 * gives for that, which tell of changes alone: so a poll sleeps only after a receive has found
 * nothing, which is also what makes libzmq look at its commands.
 */
#include "perf/peers/libzmq_node.h"

#if MCQ_PERF_HAVE_ZMQ

#include "perf/peers/endpoint.h"
#include "perf/run/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zmq.h>

#define OPEN_TIMEOUT_NS (20 * PERF_SECOND_NS)
#define WATCH_NS        (10 * PERF_MS_NS)
/* Besides each socket, its monitor and the other end of that. */
#define SOCKETS_SPARE 64
#define IDENTITY_MAX  8u
#define EVENTS        (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED)

/* Received in a row of one socket, so that a poll comes to an end. */
#define BATCH 256u

/* One socket, and what tells of its connections. */
struct end {
    void *socket, *monitor;
};

struct state {
    struct perf_node *node;
    void *context;
    struct end *ends;
    uint32_t end_cnt;
    int epoll;
    zmq_msg_t msg;
    uint64_t came_cnt;
    uint64_t watch_ns; /* when the monitors are looked at next */
    bool many;         /* a client that is a ROUTER */
    bool full;         /* a send found no room */
};

static const int types[PERF_ROLE_CNT] = {
    [PERF_ROLE_CLIENT] = ZMQ_DEALER, [PERF_ROLE_SERVER] = ZMQ_ROUTER, [PERF_ROLE_PUSH] = ZMQ_PUSH,
    [PERF_ROLE_PULL] = ZMQ_PULL,     [PERF_ROLE_PUB] = ZMQ_XPUB,      [PERF_ROLE_SUB] = ZMQ_SUB,
};

static bool node_fail(struct state *state, const char *what)
{
    return perf_child_fail(state->node->child, "libzmq: %s: %s", what, zmq_strerror(zmq_errno()));
}

static bool option_set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

/* --- connections -------------------------------------------------------------------------------
 */

static void event_take(struct state *state, struct end *end)
{
    uint16_t event = 0;
    memcpy(&event, zmq_msg_data(&state->msg), sizeof event);
    while (zmq_msg_more(&state->msg) && zmq_msg_recv(&state->msg, end->monitor, 0) >= 0) {
    }
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        state->node->up_cnt++;
    } else if (state->node->up_cnt > 0) {
        state->node->up_cnt--;
        state->node->gone_cnt++;
    }
}

static void monitors_watch(struct state *state)
{
    for (uint32_t i = 0; i < state->end_cnt; i++) {
        struct end *end = &state->ends[i];
        while (end->monitor != NULL && zmq_msg_recv(&state->msg, end->monitor, ZMQ_DONTWAIT) >= 0) {
            event_take(state, end);
        }
    }
}

static bool monitor_open(struct state *state, struct end *end)
{
    static unsigned made;
    char name[64];
    snprintf(name, sizeof name, "inproc://mcq-perf-monitor-%u", made++);
    end->monitor = zmq_socket(state->context, ZMQ_PAIR);
    return (end->monitor != NULL && zmq_socket_monitor(end->socket, name, EVENTS) == 0 &&
            zmq_connect(end->monitor, name) == 0) ||
           node_fail(state, "opening a monitor");
}

/* --- messages ----------------------------------------------------------------------------------
 */

/* A ROUTER's names are 5 bytes, the first 0, of accepted peers, and the index in 4 bytes behind a
 * letter of those that we named. Either way the last 4 tell them apart. A REQ's delimiter is kept
 * above. */
#define TOKEN_DELIMITED (UINT64_C(1) << 40)

static uint64_t token_of(const unsigned char *id)
{
    uint64_t token = 0;
    memcpy(&token, id, 5);
    return token;
}

static size_t identity_of(const struct state *state, uint64_t conn, unsigned char *id)
{
    uint64_t token = state->many ? (conn << 8 | 'c') : conn;
    memcpy(id, &token, 5);
    return 5;
}

static enum perf_put put_of(struct state *state, int rc)
{
    if (rc >= 0) {
        return PERF_PUT_OK;
    }
    state->full = zmq_errno() == EAGAIN;
    return state->full ? PERF_PUT_FULL : PERF_PUT_GONE;
}

static enum perf_put send_named(struct state *state, uint64_t conn, const void *data, size_t len)
{
    void *socket = state->ends[0].socket;
    unsigned char id[IDENTITY_MAX];
    size_t id_len = identity_of(state, conn, id);
    if (zmq_send(socket, id, id_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
        return put_of(state, -1);
    }
    if (!state->many && (conn & TOKEN_DELIMITED) != 0) {
        zmq_send(socket, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    }
    return put_of(state, zmq_send(socket, data, len, ZMQ_DONTWAIT));
}

static enum perf_put libzmq_send(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    struct state *state = n->state;
    if (n->spec.role == PERF_ROLE_SERVER || state->many) {
        return send_named(state, conn, data, len);
    }
    struct end *end = &state->ends[state->end_cnt > 1 ? conn : 0];
    return put_of(state, zmq_send(end->socket, data, len, ZMQ_DONTWAIT));
}

/* XPUB: a subscription, or the end of one. */
static void subscription_take(struct state *state)
{
    const unsigned char *data = zmq_msg_data(&state->msg);
    if (zmq_msg_size(&state->msg) == 0) {
        return;
    }
    if (data[0] == 1) {
        state->node->up_cnt++;
    } else if (state->node->up_cnt > 0) {
        state->node->up_cnt--;
        state->node->gone_cnt++;
    }
}

/* The message's last frame is in msg when this returns. */
static uint64_t envelope_take(struct state *state, void *socket)
{
    uint64_t token = token_of(zmq_msg_data(&state->msg));
    while (zmq_msg_more(&state->msg) && zmq_msg_recv(&state->msg, socket, 0) >= 0) {
        if (zmq_msg_more(&state->msg)) {
            token |= TOKEN_DELIMITED;
        }
    }
    return state->many ? token >> 8 & UINT32_MAX : token;
}

static void message_take(struct state *state, uint32_t idx)
{
    const struct perf_node_spec *spec = &state->node->spec;
    uint64_t conn = spec->binds ? 0 : idx;
    if (spec->role == PERF_ROLE_PUB) {
        subscription_take(state);
        return;
    }
    if (spec->role == PERF_ROLE_SERVER || state->many) {
        conn = envelope_take(state, state->ends[idx].socket);
    }
    state->came_cnt++;
    spec->arrived(spec->ctx, conn, zmq_msg_data(&state->msg), zmq_msg_size(&state->msg));
}

/* --- turns -------------------------------------------------------------------------------------
 */

/* False: libzmq says more than that there is nothing. */
static bool end_drain(struct state *state, uint32_t idx)
{
    void *socket = state->ends[idx].socket;
    for (unsigned i = 0; i < BATCH; i++) {
        if (zmq_msg_recv(&state->msg, socket, ZMQ_DONTWAIT) < 0) {
            /* EFSM: a REQ that has asked nothing. */
            return zmq_errno() == EAGAIN || zmq_errno() == EFSM || zmq_errno() == EINTR ||
                   node_fail(state, "receiving");
        }
        message_take(state, idx);
    }
    return true;
}

/* Of a socket that only sends: commands are looked at, too, when one asks for its events. */
static bool end_look(struct state *state, uint32_t idx)
{
    int events = 0;
    size_t len = sizeof events;
    if (state->node->spec.role != PERF_ROLE_PUSH) {
        if (!end_drain(state, idx)) {
            return false;
        }
        if (!state->full) {
            return true;
        }
    }
    if (zmq_getsockopt(state->ends[idx].socket, ZMQ_EVENTS, &events, &len) != 0) {
        return node_fail(state, "asking for events");
    }
    if ((events & ZMQ_POLLOUT) != 0 && state->full) {
        state->full = false;
        state->came_cnt++; /* room has */
    }
    return true;
}

static bool ends_look(struct state *state)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < state->end_cnt; i++) {
        ok = end_look(state, i);
    }
    return ok;
}

static bool sleep_for(struct state *state, uint64_t left_ns)
{
    struct epoll_event event;
    struct timespec left = {.tv_sec = (time_t)(left_ns / PERF_SECOND_NS),
                            .tv_nsec = (long)(left_ns % PERF_SECOND_NS)};
    return epoll_pwait2(state->epoll, &event, 1, &left, NULL) >= 0 || errno == EINTR ||
           perf_child_fail_os(state->node->child, "waiting");
}

static bool libzmq_poll(struct perf_node *n, uint64_t until_ns)
{
    struct state *state = n->state;
    uint64_t came_cnt = state->came_cnt;
    while (true) {
        if (!ends_look(state)) {
            return false;
        }
        if (state->came_cnt != came_cnt || until_ns == 0) {
            return true;
        }
        uint64_t now_ns = perf_clock_ns();
        if (now_ns >= state->watch_ns) {
            monitors_watch(state);
            state->watch_ns = now_ns + WATCH_NS;
        }
        if (now_ns >= until_ns) {
            return true;
        }
        uint64_t wake_ns = until_ns < state->watch_ns ? until_ns : state->watch_ns;
        if (!n->spec.spin && !sleep_for(state, wake_ns - now_ns)) {
            return false;
        }
    }
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static int type_of(const struct state *state)
{
    const struct perf_node_spec *spec = &state->node->spec;
    if (spec->role == PERF_ROLE_CLIENT && spec->socket_type != NULL &&
        strcmp(spec->socket_type, "req") == 0) {
        return ZMQ_REQ;
    }
    return state->many ? ZMQ_ROUTER : types[spec->role];
}

static bool end_options(const struct state *state, void *socket)
{
    const struct perf_node_spec *spec = &state->node->spec;
    bool ok = option_set(socket, ZMQ_LINGER, 0);
    if (spec->hwm != 0) {
        ok = ok && option_set(socket, ZMQ_SNDHWM, (int)spec->hwm) &&
             option_set(socket, ZMQ_RCVHWM, (int)spec->hwm);
    }
    if (spec->binds) {
        ok = ok && option_set(socket, ZMQ_BACKLOG, 4096);
    }
    if (spec->role == PERF_ROLE_SERVER || state->many) {
        ok = ok && option_set(socket, ZMQ_ROUTER_MANDATORY, 1);
    }
    if (spec->role == PERF_ROLE_PUB) {
        ok = ok && option_set(socket, ZMQ_XPUB_VERBOSER, 1) &&
             option_set(socket, ZMQ_XPUB_NODROP, spec->drops ? 0 : 1);
    }
    if (spec->role == PERF_ROLE_SUB) {
        ok = ok && zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) == 0;
    }
    return ok;
}

static bool end_bind(struct state *state, struct end *end)
{
    struct perf_node *n = state->node;
    size_t len = sizeof n->endpoint;
    char own[PERF_ENDPOINT_MAX];
    perf_endpoint_own(n->spec.transport, own);
    return (zmq_bind(end->socket, n->spec.endpoint != NULL ? n->spec.endpoint : own) == 0 &&
            zmq_getsockopt(end->socket, ZMQ_LAST_ENDPOINT, n->endpoint, &len) == 0) ||
           node_fail(state, "binding");
}

static bool end_connect(struct state *state, struct end *end)
{
    const struct perf_node_spec *spec = &state->node->spec;
    uint32_t cnt = state->many ? spec->conns : 1;
    for (uint32_t i = 0; i < cnt; i++) {
        unsigned char id[IDENTITY_MAX];
        size_t len = identity_of(state, i, id);
        if ((state->many && zmq_setsockopt(end->socket, ZMQ_CONNECT_ROUTING_ID, id, len) != 0) ||
            zmq_connect(end->socket, spec->endpoint) != 0) {
            return node_fail(state, "connecting");
        }
    }
    return true;
}

static bool end_watch(struct state *state, uint32_t idx)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = idx};
    int fd = -1;
    size_t len = sizeof fd;
    if (zmq_getsockopt(state->ends[idx].socket, ZMQ_FD, &fd, &len) != 0) {
        return node_fail(state, "asking for a descriptor");
    }
    return epoll_ctl(state->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ||
           perf_child_fail_os(state->node->child, "epoll");
}

/* Of a PUB it is the subscriptions that tell who is there. */
static bool end_open(struct state *state, uint32_t idx)
{
    struct end *end = &state->ends[idx];
    bool pub = state->node->spec.role == PERF_ROLE_PUB;
    end->socket = zmq_socket(state->context, type_of(state));
    if (end->socket == NULL || !end_options(state, end->socket)) {
        return node_fail(state, "opening a socket");
    }
    return (pub || monitor_open(state, end)) && end_watch(state, idx) &&
           (state->node->spec.binds ? end_bind(state, end) : end_connect(state, end));
}

static bool all_up(struct perf_node *n)
{
    struct state *state = n->state;
    uint64_t deadline_ns = perf_clock_ns() + OPEN_TIMEOUT_NS;
    while (!n->spec.binds && n->up_cnt < n->spec.conns) {
        struct timespec pause = {.tv_nsec = 100000};
        nanosleep(&pause, NULL);
        monitors_watch(state);
        if (perf_clock_ns() > deadline_ns) {
            return perf_child_fail(n->child, "libzmq: %u of %u connections came up in time",
                                   n->up_cnt, n->spec.conns);
        }
    }
    return true;
}

static void libzmq_close(struct perf_node *n)
{
    struct state *state = n->state;
    for (uint32_t i = 0; i < state->end_cnt; i++) {
        struct end *end = &state->ends[i];
        if (end->monitor != NULL) {
            zmq_close(end->monitor);
        }
        if (end->socket != NULL) {
            zmq_close(end->socket);
        }
    }
    zmq_msg_close(&state->msg);
    if (state->context != NULL) {
        zmq_ctx_term(state->context);
    }
    if (state->epoll >= 0) {
        close(state->epoll);
    }
    free(state->ends);
    free(state);
    n->state = NULL;
}

static bool state_open(struct state *state)
{
    const struct perf_node_spec *spec = &state->node->spec;
    bool one = spec->binds || spec->conns == 1 || state->many;
    uint32_t cnt = one ? 1 : spec->conns;
    state->ends = calloc(cnt, sizeof *state->ends);
    state->context = zmq_ctx_new();
    state->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (state->ends == NULL || state->context == NULL || state->epoll < 0 ||
        zmq_ctx_set(state->context, ZMQ_MAX_SOCKETS, (int)(3 * cnt + SOCKETS_SPARE)) != 0) {
        return node_fail(state, "opening a context");
    }
    for (; state->end_cnt < cnt; state->end_cnt++) {
        if (!end_open(state, state->end_cnt)) {
            state->end_cnt++;
            return false;
        }
    }
    return true;
}

static bool libzmq_open(struct perf_node *n)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return perf_child_fail(n->child, "no memory for a node");
    }
    n->state = state;
    n->spec.conns = n->spec.conns == 0 ? 1 : n->spec.conns;
    state->node = n;
    state->epoll = -1;
    state->many = n->spec.role == PERF_ROLE_CLIENT && !n->spec.binds && n->spec.conns > 1 &&
                  n->spec.socket_type == NULL;
    zmq_msg_init(&state->msg);
    bool ok = state_open(state) && all_up(n);
    if (!ok) {
        libzmq_close(n);
    }
    return ok;
}

const struct perf_node_ops perf_libzmq_node = {
    .open = libzmq_open,
    .send = libzmq_send,
    .poll = libzmq_poll,
    .close = libzmq_close,
};

#endif
