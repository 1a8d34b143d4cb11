/*
 * nng, over its classic protocols: pair1, push0 and pull0, pub0 and sub0. Spinning is receiving
 * without waiting, in a loop; sleeping is on the descriptors it gives for that.
 *
 * A server of many is a pair1 in polyamorous mode, nng's only socket that tells its peers apart and
 * takes any number of messages from each. It drops answers when more than two wait for one peer,
 * without a word: stamps tell. A server of one is a plain pair1, which drops nothing. A client of
 * few connections is so many plain pair1 sockets; of many, one that is polyamorous, since a socket
 * each would need three descriptors. A pub0 drops for a subscriber whose queue is full, always.
 */
#include "perf/peers/peer.h"

#if MCQ_PERF_HAVE_NNG

#include "perf/peers/endpoint.h"
#include "perf/peers/files.h"
#include "perf/run/clock.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair1/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define OPEN_TIMEOUT_NS (20 * PERF_SECOND_NS)

/* Clients of more connections share one socket. */
#define SOCKETS_MAX 64u

/* Messages queued each way: what libzmq has unless told, and the most that nng takes. */
#define BUFFER_DEFAULT 1000
#define BUFFER_MAX     8192

/* Received in a row of one socket, so that a poll comes to an end. */
#define BATCH 256u

#define NOT_FULL UINT32_MAX

struct end {
    nng_socket socket;
    bool open;
    int send_fd;
};

/* Of the pipe `id`: which connection it is. id 0: an empty place. */
struct pipe_place {
    uint32_t id, conn;
};

struct state {
    struct perf_node *node;
    struct end *ends;
    uint32_t end_cnt;
    int epoll;
    uint64_t came_cnt;
    uint32_t full;      /* the end that had no room for a send */
    atomic_uint up_cnt; /* nng's threads tell these two */
    atomic_uint gone_cnt;
    atomic_uint pipe_cnt;      /* of a client of many: pipes named so far */
    uint32_t *pipes;           /* by connection; NULL: a socket each */
    struct pipe_place *places; /* back from the pipe */
    uint32_t place_mask;
};

static bool nng_says(struct state *state, const char *what, int rc)
{
    return rc == 0 || perf_child_fail(state->node->child, "nng: %s: %s", what, nng_strerror(rc));
}

/* --- connections -------------------------------------------------------------------------------
 */

/* Runs on a thread of nng's. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct state *state = arg;
    if (event == NNG_PIPE_EV_REM_POST) {
        atomic_fetch_sub(&state->up_cnt, 1);
        atomic_fetch_add(&state->gone_cnt, 1);
        return;
    }
    if (state->pipes != NULL) {
        /* Connections are made one after the other; what connects again later is another. */
        uint32_t conn = atomic_fetch_add(&state->pipe_cnt, 1);
        if (conn < state->node->spec.conns) {
            state->pipes[conn] = (uint32_t)nng_pipe_id(pipe);
        }
    }
    atomic_fetch_add(&state->up_cnt, 1);
}

static void counts_take(struct state *state)
{
    state->node->up_cnt = atomic_load(&state->up_cnt);
    uint32_t gone_cnt = atomic_load(&state->gone_cnt);
    /* Whoever waits for an answer learns that there will be none. */
    state->came_cnt += gone_cnt != state->node->gone_cnt;
    state->node->gone_cnt = gone_cnt;
}

static bool up_wait(struct state *state, uint32_t cnt)
{
    uint64_t deadline_ns = perf_clock_ns() + OPEN_TIMEOUT_NS;
    while (atomic_load(&state->up_cnt) < cnt) {
        struct timespec pause = {.tv_nsec = 20000};
        nanosleep(&pause, NULL);
        if (perf_clock_ns() > deadline_ns) {
            return perf_child_fail(state->node->child, "nng: connection %u didn't come up in time",
                                   cnt);
        }
    }
    counts_take(state);
    return true;
}

/* Pipes are numbered one after the other, so they rarely meet in a place. */
static struct pipe_place *place_of(struct state *state, uint32_t id)
{
    uint32_t at = id & state->place_mask;
    while (state->places[at].id != 0 && state->places[at].id != id) {
        at = (at + 1) & state->place_mask;
    }
    return &state->places[at];
}

static bool places_fill(struct state *state)
{
    uint32_t cnt = 1;
    while (cnt < 2 * state->node->spec.conns) {
        cnt *= 2;
    }
    state->places = calloc(cnt, sizeof *state->places);
    state->place_mask = cnt - 1;
    for (uint32_t i = 0; state->places != NULL && i < state->node->spec.conns; i++) {
        *place_of(state, state->pipes[i]) = (struct pipe_place){state->pipes[i], i};
    }
    return state->places != NULL || nng_says(state, "naming connections", NNG_ENOMEM);
}

/* --- messages ----------------------------------------------------------------------------------
 */

static enum perf_put message_send(struct state *state, uint32_t idx, nng_msg *msg)
{
    int rc = nng_sendmsg(state->ends[idx].socket, msg, NNG_FLAG_NONBLOCK);
    if (rc == 0) {
        return PERF_PUT_OK;
    }
    nng_msg_free(msg);
    if (rc != NNG_EAGAIN) {
        nng_says(state, "sending", rc);
        return PERF_PUT_GONE;
    }
    state->full = idx;
    return PERF_PUT_FULL;
}

static enum perf_put nng_node_send(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    struct state *state = n->state;
    nng_msg *msg = NULL;
    nng_pipe pipe = {.id = (uint32_t)conn};
    if (state->pipes != NULL) {
        pipe.id = state->pipes[conn];
    }
    int rc = nng_msg_alloc(&msg, len);
    if (rc != 0) {
        nng_says(state, "a message", rc);
        return PERF_PUT_GONE;
    }
    memcpy(nng_msg_body(msg), data, len);
    if (n->spec.role == PERF_ROLE_SERVER || state->pipes != NULL) {
        nng_msg_set_pipe(msg, pipe);
    }
    return message_send(state, state->end_cnt > 1 ? (uint32_t)conn : 0, msg);
}

static uint64_t conn_of(struct state *state, uint32_t idx, nng_msg *msg)
{
    uint32_t pipe = (uint32_t)nng_msg_get_pipe(msg).id;
    if (state->pipes != NULL) {
        return place_of(state, pipe)->conn;
    }
    return state->node->spec.binds ? pipe : idx;
}

static bool end_drain(struct state *state, uint32_t idx)
{
    const struct perf_node_spec *spec = &state->node->spec;
    for (unsigned i = 0; i < BATCH; i++) {
        nng_msg *msg = NULL;
        int rc = nng_recvmsg(state->ends[idx].socket, &msg, NNG_FLAG_NONBLOCK);
        if (rc != 0) {
            return rc == NNG_EAGAIN || nng_says(state, "receiving", rc);
        }
        state->came_cnt++;
        spec->arrived(spec->ctx, conn_of(state, idx, msg), nng_msg_body(msg), nng_msg_len(msg));
        nng_msg_free(msg);
    }
    return true;
}

/* --- turns -------------------------------------------------------------------------------------
 */

static bool sends_only(const struct state *state)
{
    enum perf_role role = state->node->spec.role;
    return role == PERF_ROLE_PUSH || role == PERF_ROLE_PUB;
}

static void room_look(struct state *state)
{
    if (state->full == NOT_FULL) {
        return;
    }
    struct pollfd fd = {.fd = state->ends[state->full].send_fd, .events = POLLIN};
    if (poll(&fd, 1, 0) > 0) {
        state->full = NOT_FULL;
        state->came_cnt++;
    }
}

static bool ends_look(struct state *state)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < state->end_cnt && !sends_only(state); i++) {
        ok = end_drain(state, i);
    }
    room_look(state);
    counts_take(state);
    return ok;
}

static bool sleep_for(struct state *state, uint64_t left_ns)
{
    struct timespec left = {.tv_sec = (time_t)(left_ns / PERF_SECOND_NS),
                            .tv_nsec = (long)(left_ns % PERF_SECOND_NS)};
    struct pollfd fds[2] = {{.fd = state->epoll, .events = POLLIN}};
    nfds_t cnt = 1;
    if (state->full != NOT_FULL) {
        fds[cnt++] = (struct pollfd){.fd = state->ends[state->full].send_fd, .events = POLLIN};
    }
    return ppoll(fds, cnt, &left, NULL) >= 0 || errno == EINTR ||
           perf_child_fail_os(state->node->child, "waiting");
}

/* How many are there isn't told by a descriptor. */
#define COUNTS_NS (10 * PERF_MS_NS)

static bool nng_node_poll(struct perf_node *n, uint64_t until_ns)
{
    struct state *state = n->state;
    uint64_t came_cnt = state->came_cnt;
    while (true) {
        if (!ends_look(state)) {
            return false;
        }
        uint64_t now_ns = 0;
        if (state->came_cnt != came_cnt || until_ns == 0 ||
            (now_ns = perf_clock_ns()) >= until_ns) {
            return true;
        }
        uint64_t left_ns = until_ns - now_ns < COUNTS_NS ? until_ns - now_ns : COUNTS_NS;
        if (!n->spec.spin && !sleep_for(state, left_ns)) {
            return false;
        }
    }
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static int socket_open(struct state *state, nng_socket *socket)
{
    const struct perf_node_spec *spec = &state->node->spec;
    switch (spec->role) {
    case PERF_ROLE_CLIENT:
        return state->pipes != NULL ? nng_pair1_open_poly(socket) : nng_pair1_open(socket);
    case PERF_ROLE_SERVER:
        return spec->conns > 1 ? nng_pair1_open_poly(socket) : nng_pair1_open(socket);
    case PERF_ROLE_PUSH:
        return nng_push0_open(socket);
    case PERF_ROLE_PULL:
        return nng_pull0_open(socket);
    case PERF_ROLE_PUB:
        return nng_pub0_open(socket);
    case PERF_ROLE_SUB:
        return nng_sub0_open(socket);
    case PERF_ROLE_CNT:
        break;
    }
    return NNG_ENOTSUP;
}

/* Not every protocol has both queues. */
static int buffers_set(const struct perf_node_spec *spec, nng_socket socket)
{
    uint32_t asked = spec->hwm != 0 ? spec->hwm : BUFFER_DEFAULT;
    int cnt = asked > BUFFER_MAX ? BUFFER_MAX : (int)asked;
    int rc = nng_socket_set_int(socket, NNG_OPT_SENDBUF, cnt);
    if (rc == 0 || rc == NNG_ENOTSUP) {
        rc = nng_socket_set_int(socket, NNG_OPT_RECVBUF, cnt);
    }
    return rc == NNG_ENOTSUP ? 0 : rc;
}

static bool end_options(struct state *state, nng_socket socket)
{
    const struct perf_node_spec *spec = &state->node->spec;
    int rc = buffers_set(spec, socket);
    if (rc == 0) {
        rc = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0);
    }
    if (rc == 0 && spec->role == PERF_ROLE_SUB) {
        rc = nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    }
    if (rc == 0) {
        rc = nng_pipe_notify(socket, NNG_PIPE_EV_ADD_POST, on_pipe, state);
    }
    if (rc == 0) {
        rc = nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, on_pipe, state);
    }
    return nng_says(state, "setting options", rc);
}

static bool end_watch(struct state *state, uint32_t idx)
{
    struct end *end = &state->ends[idx];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = idx};
    int fd = -1, rc = 0;
    if (!sends_only(state)) {
        rc = nng_socket_get_int(end->socket, NNG_OPT_RECVFD, &fd);
        if (rc == 0 && epoll_ctl(state->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            return perf_child_fail_os(state->node->child, "epoll");
        }
    }
    if (rc == 0 && state->node->spec.role != PERF_ROLE_PULL &&
        state->node->spec.role != PERF_ROLE_SUB) {
        rc = nng_socket_get_int(end->socket, NNG_OPT_SENDFD, &end->send_fd);
    }
    return nng_says(state, "asking for a descriptor", rc);
}

/* Abstract names are a transport of their own. */
static void url_of(const char *endpoint, char *url)
{
    static const char abstract[] = "ipc://@";
    if (strncmp(endpoint, abstract, sizeof abstract - 1) == 0) {
        snprintf(url, PERF_ENDPOINT_MAX + 16, "abstract://%s", endpoint + sizeof abstract - 1);
    } else {
        snprintf(url, PERF_ENDPOINT_MAX + 16, "%s", endpoint);
    }
}

static bool end_bind(struct state *state, struct end *end)
{
    struct perf_node *n = state->node;
    nng_listener listener;
    char own[PERF_ENDPOINT_MAX], url[PERF_ENDPOINT_MAX + 16];
    int port = 0;
    perf_endpoint_own(n->spec.transport, own);
    const char *asked = n->spec.endpoint != NULL ? n->spec.endpoint : own;
    bool tcp = strncmp(asked, "tcp://", 6) == 0;
    url_of(asked, url);
    int rc = nng_listener_create(&listener, end->socket, url);
    if (rc == 0 && tcp) {
        rc = nng_listener_set_bool(listener, NNG_OPT_TCP_NODELAY, true);
    }
    if (rc == 0) {
        rc = nng_listener_start(listener, 0);
    }
    if (rc == 0 && tcp) {
        rc = nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port);
    }
    const char *colon = strrchr(asked, ':');
    if (tcp && colon != NULL) {
        snprintf(n->endpoint, sizeof n->endpoint, "%.*s:%d", (int)(colon - asked), asked, port);
    } else {
        snprintf(n->endpoint, sizeof n->endpoint, "%s", asked);
    }
    return nng_says(state, "listening", rc);
}

static bool end_dial(struct state *state, struct end *end)
{
    nng_dialer dialer;
    char url[PERF_ENDPOINT_MAX + 16];
    url_of(state->node->spec.endpoint, url);
    int rc = nng_dialer_create(&dialer, end->socket, url);
    if (rc == 0 && strncmp(url, "tcp://", 6) == 0) {
        rc = nng_dialer_set_bool(dialer, NNG_OPT_TCP_NODELAY, true);
    }
    if (rc == 0) {
        rc = nng_dialer_start(dialer, 0);
    }
    return nng_says(state, "connecting", rc);
}

static bool end_open(struct state *state, uint32_t idx)
{
    struct end *end = &state->ends[idx];
    const struct perf_node_spec *spec = &state->node->spec;
    int rc = socket_open(state, &end->socket);
    end->open = rc == 0;
    bool ok = nng_says(state, "opening a socket", rc) && end_options(state, end->socket) &&
              end_watch(state, idx);
    if (ok && spec->binds) {
        return end_bind(state, end);
    }
    uint32_t cnt = state->pipes != NULL ? spec->conns : 1;
    for (uint32_t i = 0; ok && i < cnt; i++) {
        ok = end_dial(state, end) && up_wait(state, idx + i + 1);
    }
    return ok && (state->pipes == NULL || places_fill(state));
}

static void nng_node_close(struct perf_node *n)
{
    struct state *state = n->state;
    for (uint32_t i = 0; state->ends != NULL && i < state->end_cnt; i++) {
        if (state->ends[i].open) {
            nng_close(state->ends[i].socket);
        }
    }
    if (state->epoll >= 0) {
        close(state->epoll);
    }
    free(state->ends);
    free(state->pipes);
    free(state->places);
    free(state);
    n->state = NULL;
}

static bool state_open(struct state *state)
{
    struct perf_node_spec *spec = &state->node->spec;
    bool shared = spec->role == PERF_ROLE_CLIENT && !spec->binds && spec->conns > SOCKETS_MAX;
    uint32_t end_cnt = spec->binds || shared ? 1 : spec->conns;
    if (!perf_files_allow(state->node->child, (uint64_t)spec->conns + 2 * end_cnt)) {
        return false;
    }
    if (shared) {
        state->pipes = calloc(spec->conns, sizeof *state->pipes);
    }
    state->ends = calloc(end_cnt, sizeof *state->ends);
    state->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (state->ends == NULL || (shared && state->pipes == NULL) || state->epoll < 0) {
        return nng_says(state, "opening a node", NNG_ENOMEM);
    }
    for (; state->end_cnt < end_cnt; state->end_cnt++) {
        if (!end_open(state, state->end_cnt)) {
            state->end_cnt++;
            return false;
        }
    }
    return true;
}

static bool nng_node_open(struct perf_node *n)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return perf_child_fail(n->child, "no memory for a node");
    }
    n->state = state;
    n->spec.conns = n->spec.conns == 0 ? 1 : n->spec.conns;
    state->node = n;
    state->epoll = -1;
    state->full = NOT_FULL;
    bool ok = state_open(state);
    if (!ok) {
        nng_node_close(n);
    }
    return ok;
}

static const struct perf_node_ops nng_node = {
    .open = nng_node_open,
    .send = nng_node_send,
    .poll = nng_node_poll,
    .close = nng_node_close,
};

const struct perf_peer perf_peer_nng = {
    .name = "nng",
    .rate_blocks = true,
    .has_threads = true,
    .node = &nng_node,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
};

#else

const struct perf_peer perf_peer_nng = {
    .name = "nng",
    .missing = "built without nng: install libnng-dev and configure again",
    .has_threads = true,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
};

#endif
