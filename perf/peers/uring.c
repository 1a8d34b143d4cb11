/*
 * uring: bare io_uring with liburing, as its manual says it is fastest: one issuer whose
 * completions are run when it asks for them, a multishot accept, a multishot receive per connection
 * into one ring of provided buffers, one send per connection with all that is queued, and one
 * system call per turn that submits and waits. Spinning, the call is made only when there is
 * something to submit or the kernel says that something is ready.
 *
 * What is being sent belongs to the kernel, so a connection has two queues that change places. A
 * place is given to another connection when the kernel has completed all it was asked for.
 */
#include "perf/peers/crowd.h"
#include "perf/peers/peer.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#define SQ_ENTRIES 1024u
#define CQ_ENTRIES 8192u

/* Few connections get large buffers, many get many; the kernel goes round, so all are in use. */
#define BUFFER_LEN_FEW  ((uint32_t)32 * 1024)
#define BUFFER_LEN_MANY ((uint32_t)4 * 1024)
#define BUFFERS_FEW     16u
#define BUFFERS_MANY    1024u
#define CONNS_FEW       16u
#define GROUP           0
#define PAGE_LEN        4096u

enum { OP_ACCEPT, OP_RECV, OP_SEND };

/* What the kernel has of a connection. */
struct flight {
    struct perf_queue out; /* being sent */
    bool sending, receiving;
};

struct state {
    struct perf_crowd crowd; /* first */
    struct io_uring ring;
    bool ring_open;
    struct io_uring_buf_ring *group;
    unsigned char *buffers;
    uint32_t buffer_cnt, buffer_len;
    struct flight *flights; /* by place */
};

/* --- asking ------------------------------------------------------------------------------------
 */

static struct io_uring_sqe *sqe_get(struct state *state)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&state->ring);
    if (sqe == NULL) {
        io_uring_submit(&state->ring);
        sqe = io_uring_get_sqe(&state->ring);
    }
    if (sqe == NULL) {
        perf_child_fail(state->crowd.node->child, "io_uring takes no more requests");
        state->crowd.failed = true;
        return NULL;
    }
    return sqe;
}

static void accept_ask(struct state *state)
{
    struct io_uring_sqe *sqe = sqe_get(state);
    if (sqe != NULL) {
        io_uring_prep_multishot_accept(sqe, state->crowd.listener, NULL, NULL, SOCK_CLOEXEC);
        io_uring_sqe_set_data64(sqe, (uint64_t)OP_ACCEPT << 32);
    }
}

static void recv_ask(struct state *state, const struct perf_stream *stream)
{
    struct io_uring_sqe *sqe = sqe_get(state);
    if (sqe != NULL) {
        io_uring_prep_recv_multishot(sqe, stream->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
        io_uring_sqe_set_data64(sqe, (uint64_t)OP_RECV << 32 | stream->idx);
        state->flights[stream->idx].receiving = true;
    }
}

static void send_ask(struct state *state, const struct perf_stream *stream)
{
    struct flight *flight = &state->flights[stream->idx];
    struct io_uring_sqe *sqe = sqe_get(state);
    if (sqe != NULL) {
        io_uring_prep_send(sqe, stream->fd, flight->out.data + flight->out.begin,
                           perf_queue_len(&flight->out), MSG_NOSIGNAL | MSG_WAITALL);
        io_uring_sqe_set_data64(sqe, (uint64_t)OP_SEND << 32 | stream->idx);
        flight->sending = true;
    }
}

static bool on_added(struct perf_crowd *crowd, struct perf_stream *stream)
{
    recv_ask(crowd->node->state, stream);
    return !crowd->failed;
}

static void on_flush(struct perf_crowd *crowd, struct perf_stream *stream)
{
    struct state *state = crowd->node->state;
    struct flight *flight = &state->flights[stream->idx];
    if (flight->sending || stream->ended || perf_queue_len(&stream->out) == 0) {
        return;
    }
    struct perf_queue empty = flight->out;
    flight->out = stream->out;
    stream->out = empty;
    send_ask(state, stream);
    perf_crowd_room(crowd, stream);
}

/* What the kernel was asked for ends with the connection. */
static bool on_leaves(struct perf_crowd *crowd, struct perf_stream *stream)
{
    struct state *state = crowd->node->state;
    struct flight *flight = &state->flights[stream->idx];
    if (flight->sending || flight->receiving) {
        shutdown(stream->fd, SHUT_RDWR);
        return false;
    }
    perf_queue_fini(&flight->out);
    return true;
}

static const struct perf_crowd_ops ops = {
    .fds_block = true,
    .added = on_added,
    .flush = on_flush,
    .leaves = on_leaves,
};

/* --- completions -------------------------------------------------------------------------------
 */

static void buffer_give(struct state *state, uint32_t id)
{
    io_uring_buf_ring_add(state->group, state->buffers + (size_t)id * state->buffer_len,
                          state->buffer_len, (unsigned short)id,
                          io_uring_buf_ring_mask(state->buffer_cnt), 0);
    io_uring_buf_ring_advance(state->group, 1);
}

static bool on_accepted(struct state *state, const struct io_uring_cqe *cqe)
{
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        accept_ask(state);
    }
    if (cqe->res >= 0) {
        return perf_crowd_add(&state->crowd, cqe->res);
    }
    errno = -cqe->res;
    return errno == ECONNABORTED || errno == EINTR ||
           perf_child_fail_os(state->crowd.node->child, "accepting a connection");
}

static void on_received(struct state *state, struct perf_stream *stream,
                        const struct io_uring_cqe *cqe)
{
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        uint32_t id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        if (cqe->res > 0 && !stream->ended) {
            perf_crowd_take(&state->crowd, stream, state->buffers + (size_t)id * state->buffer_len,
                            (size_t)cqe->res);
        }
        buffer_give(state, id);
    }
    if ((cqe->flags & IORING_CQE_F_MORE) != 0) {
        return;
    }
    state->flights[stream->idx].receiving = false;
    /* All buffers were in use: those that this turn read are free again. */
    if (cqe->res > 0 || cqe->res == -ENOBUFS || cqe->res == -EINTR) {
        if (!stream->ended) {
            recv_ask(state, stream);
        }
        return;
    }
    perf_crowd_end(&state->crowd, stream);
}

static void on_sent(struct state *state, struct perf_stream *stream, int res)
{
    struct flight *flight = &state->flights[stream->idx];
    flight->sending = false;
    if (res < 0 && res != -EINTR) {
        perf_crowd_end(&state->crowd, stream);
        return;
    }
    perf_queue_drop(&flight->out, res < 0 ? 0 : (size_t)res);
    if (stream->ended) {
        return;
    }
    if (perf_queue_len(&flight->out) > 0) {
        send_ask(state, stream);
    } else {
        on_flush(&state->crowd, stream);
    }
}

static bool completion_take(struct state *state, const struct io_uring_cqe *cqe)
{
    uint64_t data = io_uring_cqe_get_data64(cqe);
    struct perf_stream *stream = &state->crowd.streams[(uint32_t)data];
    switch (data >> 32) {
    case OP_ACCEPT:
        return on_accepted(state, cqe);
    case OP_RECV:
        on_received(state, stream, cqe);
        return true;
    default:
        on_sent(state, stream, cqe->res);
        return true;
    }
}

static int turn_wait(struct perf_crowd *crowd, uint64_t until_ns)
{
    struct state *state = crowd->node->state;
    struct io_uring_cqe *cqe = NULL;
    struct timespec left = perf_crowd_left(crowd, until_ns);
    if (left.tv_sec > 0 || left.tv_nsec > 0) {
        struct __kernel_timespec ts = {.tv_sec = left.tv_sec, .tv_nsec = left.tv_nsec};
        return io_uring_submit_and_wait_timeout(&state->ring, &cqe, 1, &ts, NULL);
    }
    /* Looking at the queue makes the system call when the kernel has left a note. */
    int rc = io_uring_sq_ready(&state->ring) > 0 ? io_uring_submit_and_get_events(&state->ring) : 0;
    return rc < 0 ? rc : io_uring_peek_cqe(&state->ring, &cqe);
}

static bool uring_turn(struct perf_crowd *crowd, uint64_t until_ns)
{
    struct state *state = crowd->node->state;
    struct io_uring_cqe *cqe;
    unsigned head, cnt = 0;
    bool ok = true;
    int rc = turn_wait(crowd, until_ns);
    if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) {
        errno = -rc;
        return perf_child_fail_os(crowd->node->child, "io_uring_enter");
    }
    io_uring_for_each_cqe(&state->ring, head, cqe)
    {
        ok = ok && completion_take(state, cqe);
        cnt++;
    }
    io_uring_cq_advance(&state->ring, cnt);
    return ok;
}

static bool uring_poll(struct perf_node *n, uint64_t until_ns)
{
    struct state *state = n->state;
    return perf_crowd_poll(&state->crowd, until_ns, uring_turn);
}

static enum perf_put uring_send(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    struct state *state = n->state;
    return perf_crowd_send(&state->crowd, conn, data, len);
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static bool uring_fail(struct state *state, const char *what, int rc)
{
    errno = -rc;
    return perf_child_fail_os(state->crowd.node->child, what);
}

static bool ring_open(struct state *state)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE,
        .cq_entries = CQ_ENTRIES,
    };
    int rc = io_uring_queue_init_params(SQ_ENTRIES, &state->ring, &params);
    if (rc < 0) {
        return uring_fail(state, "opening an io_uring", rc);
    }
    state->ring_open = true;
    rc = io_uring_register_ring_fd(&state->ring);
    return rc >= 0 || uring_fail(state, "registering the io_uring's descriptor", rc);
}

static bool buffers_open(struct state *state)
{
    bool few = state->crowd.node->spec.conns <= CONNS_FEW;
    state->buffer_cnt = few ? BUFFERS_FEW : BUFFERS_MANY;
    state->buffer_len = few ? BUFFER_LEN_FEW : BUFFER_LEN_MANY;
    size_t group_len = state->buffer_cnt * sizeof(struct io_uring_buf);
    void *group = NULL;
    state->buffers = malloc((size_t)state->buffer_cnt * state->buffer_len);
    if (state->buffers == NULL || posix_memalign(&group, PAGE_LEN, group_len) != 0) {
        return perf_child_fail(state->crowd.node->child, "no memory for buffers");
    }
    memset(group, 0, group_len);
    state->group = group;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)group, .ring_entries = state->buffer_cnt, .bgid = GROUP};
    int rc = io_uring_register_buf_ring(&state->ring, &reg, 0);
    if (rc < 0) {
        return uring_fail(state, "registering a ring of buffers", rc);
    }
    for (uint32_t id = 0; id < state->buffer_cnt; id++) {
        buffer_give(state, id);
    }
    return true;
}

static bool flights_open(struct state *state)
{
    const struct perf_node_spec *spec = &state->crowd.node->spec;
    uint32_t cap = spec->binds ? PERF_NODE_CONNS_MAX : spec->conns == 0 ? 1 : spec->conns;
    state->flights = calloc(cap, sizeof *state->flights);
    return state->flights != NULL || perf_child_fail(state->crowd.node->child, "no memory");
}

/* The kernel is to be done with the queues before they are freed. */
static void ring_close(struct state *state)
{
    struct io_uring_sync_cancel_reg cancel = {
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = {.tv_sec = -1, .tv_nsec = -1},
    };
    io_uring_register_sync_cancel(&state->ring, &cancel);
    io_uring_get_events(&state->ring);
    io_uring_queue_exit(&state->ring);
}

static void uring_close(struct perf_node *n)
{
    struct state *state = n->state;
    if (state->ring_open) {
        ring_close(state);
    }
    for (uint32_t i = 0; state->flights != NULL && i < state->crowd.used; i++) {
        perf_queue_fini(&state->flights[i].out);
    }
    perf_crowd_close(&state->crowd);
    free(state->group);
    free(state->buffers);
    free(state->flights);
    free(state);
    n->state = NULL;
}

static bool uring_open(struct perf_node *n)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return perf_child_fail(n->child, "no memory for a node");
    }
    n->state = state;
    state->crowd.node = n;
    state->crowd.listener = -1;
    bool ok = ring_open(state) && buffers_open(state) && flights_open(state) &&
              perf_crowd_open(&state->crowd, n, &ops);
    if (ok && n->spec.binds) {
        accept_ask(state);
    }
    if (!ok) {
        uring_close(n);
    }
    return ok;
}

static const struct perf_node_ops uring_node = {
    .open = uring_open,
    .send = uring_send,
    .poll = uring_poll,
    .close = uring_close,
};

const struct perf_peer perf_peer_uring = {
    .name = "uring",
    .node = &uring_node,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
};
