/*
 * mcq: Monocoque through its public API, as any program would use it. One shard per process, on the
 * CPU of its side. The receiver takes batches, the sender fills its queue until it is full and goes
 * on when it is told that there is room.
 */
#include "perf/peers/bodies.h"
#include "perf/peers/endpoint.h"
#include "perf/peers/mcq_node.h"
#include "perf/peers/mcq_opts.h"
#include "perf/peers/peer.h"

#include <monocoque.h>

#include <stdio.h>
#include <stdlib.h>

/* From here on a message is sent from where it lies; below, copying it is cheaper. */
#define SEND_FROM_MEMORY_MIN ((size_t)32 * 1024)

/* One process: one socket on one shard. */
struct side {
    struct perf_child *child;
    enum mcq_sock_type type;
    struct mcq_sock_opts opts;
    const struct mcq_sock_handlers *handlers;
    bool (*ready)(struct side *side); /* the socket is open, and bound or connected */
    enum perf_idle idle;
    enum perf_transport transport;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    size_t size;
    void *body;
    struct perf_rtt_meter *rtt;
    struct perf_rate_meter *rate;
    struct perf_rate_stamps stamps; /* throughput's sender */
    struct perf_bodies bodies;      /* of large messages, which are sent from where they lie */
    uint64_t trips_left;            /* rtt server */
    bool waits;                     /* a send found no room */
    bool failed;
};

static void side_stop(struct side *side)
{
    mcq_stop(side->shard);
}

/* The first failure is the one that is told. */
static void side_fail(struct side *side, const char *what, const char *why)
{
    if (!side->failed) {
        perf_child_fail(side->child, "%s: %s", what, why);
    }
    side->failed = true;
    side_stop(side);
}

static bool side_bind(struct side *side)
{
    struct mcq_detail detail = {0};
    char endpoint[PERF_ENDPOINT_MAX];
    perf_endpoint_own(side->transport, endpoint);
    if (mcq_sock_bind(side->sock, endpoint, &detail) != MCQ_OK) {
        side_fail(side, "binding", detail.text);
        return false;
    }
    return perf_child_give_endpoint(side->child, mcq_sock_endpoint(side->sock));
}

static bool side_connect(struct side *side)
{
    struct mcq_detail detail = {0};
    char endpoint[PERF_ENDPOINT_MAX];
    if (!perf_child_take_endpoint(side->child, PERF_SERVER, endpoint)) {
        return false;
    }
    if (mcq_sock_connect(side->sock, endpoint, &detail) != MCQ_OK) {
        side_fail(side, "connecting", detail.text);
        return false;
    }
    return true;
}

static int side_start(struct mcq_shard *shard, void *arg)
{
    struct side *side = arg;
    struct mcq_detail detail = {0};
    side->shard = shard;
    if (mcq_sock_open(shard, side->type, &side->opts, side->handlers, side, &side->sock, &detail) !=
        MCQ_OK) {
        side_fail(side, "opening a socket", detail.text);
    } else if (!side->ready(side)) {
        side->failed = true;
    }
    return side->failed ? 1 : 0;
}

static bool side_run(struct side *side)
{
    static const struct mcq_app app = {.start = side_start};
    struct mcq_detail detail = {0};
    char cpus[16];
    struct mcq_opts opts = perf_mcq_opts(side->child->cpu, side->idle, cpus);
    enum mcq_error error = mcq_run(&opts, &app, side, &detail);
    if (error != MCQ_OK && !side->failed) {
        return perf_child_fail(side->child, "%s: %s", mcq_error_name(error), detail.text);
    }
    return !side->failed;
}

/* A connection that ends by itself is the end of this run; the library would reconnect for ever. */
static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct side *side = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_HANDSHAKE_FAILED || event->kind == MCQ_EVENT_REFUSED ||
        (event->kind == MCQ_EVENT_DISCONNECTED && event->reason != MCQ_REASON_LOCAL)) {
        side_fail(side, mcq_event_name(event->kind), mcq_reason_name(event->reason));
    }
}

/* ---- round trips ---- */

static enum mcq_flow on_request(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct side *side = ctx;
    (void)from;
    enum mcq_error error = mcq_send(sock, msg);
    if (error != MCQ_OK) {
        side_fail(side, "replying", mcq_error_name(error));
    } else if (--side->trips_left == 0) {
        side_stop(side);
    }
    return MCQ_CONTINUE;
}

static bool mcq_rtt_serve(struct perf_child *child, const struct perf_rtt_job *job)
{
    static const struct mcq_sock_handlers handlers = {.message = on_request};
    struct side side = {
        .child = child,
        .type = MCQ_REP,
        .opts = MCQ_SOCK_OPTS_INIT,
        .handlers = &handlers,
        .ready = side_bind,
        .transport = job->transport,
        .idle = job->idle,
        .trips_left = perf_rtt_trips(job),
    };
    return side_run(&side);
}

static void ask(struct side *side)
{
    perf_rtt_fill(side->rtt, side->body);
    enum mcq_error error = mcq_send_bytes(side->sock, side->body, side->size);
    side->waits = error == MCQ_EAGAIN;
    if (error != MCQ_OK && error != MCQ_EAGAIN) {
        side_fail(side, "asking", mcq_error_name(error));
    }
}

static void on_ask_again(void *ctx, struct mcq_sock *sock)
{
    struct side *side = ctx;
    (void)sock;
    if (side->waits) {
        ask(side);
    }
}

static enum mcq_flow on_reply(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *msg)
{
    struct side *side = ctx;
    (void)sock;
    (void)from;
    if (!perf_rtt_check(side->rtt, msg->data, msg->len)) {
        side_fail(side, "a reply", "isn't the request that was sent");
    } else if (perf_rtt_trip(side->rtt)) {
        ask(side);
    } else {
        side_stop(side);
    }
    return MCQ_CONTINUE;
}

static bool ready_to_ask(struct side *side)
{
    if (!side_connect(side)) {
        return false;
    }
    perf_rtt_start(side->rtt);
    ask(side);
    return !side->failed;
}

/* The server ends with its last reply, so that a disconnect is only a failure before it. */
static void on_rtt_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct side *side = ctx;
    if (side->rtt->seq < side->rtt->trips) {
        on_event(ctx, sock, event);
    }
}

static bool mcq_rtt_run(struct perf_child *child, const struct perf_rtt_job *job,
                        struct perf_rtt_meter *meter)
{
    static const struct mcq_sock_handlers handlers = {
        .message = on_reply,
        .writable = on_ask_again,
        .event = on_rtt_event,
    };
    struct side side = {
        .child = child,
        .type = MCQ_REQ,
        .opts = MCQ_SOCK_OPTS_INIT,
        .handlers = &handlers,
        .ready = ready_to_ask,
        .idle = job->idle,
        .size = job->size,
        .body = perf_rtt_body(child, meter),
        .rtt = meter,
    };
    bool ok = side.body != NULL && side_run(&side);
    free(side.body);
    return ok;
}

/* ---- throughput ---- */

/* How many from the first on are what is due. */
static size_t batch_taken(struct perf_rate_meter *meter, const struct mcq_msg *msgs, size_t n)
{
    const uint64_t next = meter->check.next;
    const size_t size = meter->size;
    size_t i = 0;
    while (i < n && perf_stamp_is(next + i, msgs[i].data, msgs[i].len, size)) {
        i++;
    }
    perf_stamp_taken(&meter->check, i);
    return i;
}

static size_t on_batch(void *ctx, struct mcq_sock *sock, struct mcq_peer from, struct mcq_msg *msgs,
                       size_t n)
{
    struct side *side = ctx;
    (void)sock;
    (void)from;
    size_t i = batch_taken(side->rate, msgs, n);
    bool whole = true;
    for (; i < n; i++) {
        whole = perf_rate_take(side->rate, msgs[i].data, msgs[i].len) && whole;
    }
    if (!whole) {
        perf_rate_fault(side->child, side->rate);
        side->failed = true;
        side_stop(side);
    } else if (!perf_rate_add(side->rate, n)) {
        side_stop(side);
    }
    return n;
}

static void on_receiver_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct side *side = ctx;
    if (side->rate->close_ns == 0) {
        on_event(ctx, sock, event);
    }
}

static bool mcq_rate_receive(struct perf_child *child, const struct perf_rate_job *job,
                             struct perf_rate_meter *meter)
{
    static const struct mcq_sock_handlers handlers = {
        .messages = on_batch,
        .event = on_receiver_event,
    };
    struct side side = {
        .child = child,
        .type = MCQ_PULL,
        .opts = MCQ_SOCK_OPTS_INIT,
        .handlers = &handlers,
        .ready = side_bind,
        .transport = job->transport,
        .idle = PERF_IDLE_SPIN,
        .size = job->size,
        .rate = meter,
    };
    side.opts.linger_ms = MCQ_NONE;
    return side_run(&side);
}

static void on_free(void *data, size_t len, void *hint)
{
    (void)len;
    perf_bodies_give(hint, data);
}

static enum mcq_error large_send(struct side *side)
{
    struct mcq_msg msg;
    void *body = perf_bodies_take(&side->bodies);
    if (body == NULL) {
        return MCQ_ENOMEM;
    }
    perf_rate_fill(&side->stamps, body);
    enum mcq_error error =
        mcq_msg_from_memory(side->shard, body, side->size, on_free, &side->bodies, &msg);
    if (error != MCQ_OK) {
        perf_bodies_give(&side->bodies, body);
        return error;
    }
    error = mcq_send(side->sock, &msg);
    if (error != MCQ_OK) {
        mcq_msg_drop(side->shard, &msg);
    }
    return error;
}

static enum mcq_error small_send(struct side *side)
{
    perf_rate_fill(&side->stamps, side->body);
    return mcq_send_bytes(side->sock, side->body, side->size);
}

static void flood(struct side *side)
{
    enum mcq_error error = MCQ_OK;
    while (error == MCQ_OK) {
        error = side->size < SEND_FROM_MEMORY_MIN ? small_send(side) : large_send(side);
    }
    perf_rate_again(&side->stamps);
    if (error != MCQ_EAGAIN) {
        side_fail(side, "sending", mcq_error_name(error));
    }
}

static void on_room(void *ctx, struct mcq_sock *sock)
{
    struct side *side = ctx;
    (void)sock;
    if (perf_child_stopped(side->child)) {
        side_stop(side);
    } else {
        flood(side);
    }
}

/* The receiver leaves first: that is how a sender's run ends. */
static void on_sender_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct side *side = ctx;
    if (event->kind == MCQ_EVENT_DISCONNECTED &&
        (event->reason == MCQ_REASON_PEER_CLOSED || event->reason == MCQ_REASON_RESET)) {
        side_stop(side);
    } else {
        on_event(ctx, sock, event);
    }
}

static bool ready_to_flood(struct side *side)
{
    if (!side_connect(side)) {
        return false;
    }
    flood(side);
    return !side->failed;
}

static bool mcq_rate_send(struct perf_child *child, const struct perf_rate_job *job)
{
    static const struct mcq_sock_handlers handlers = {
        .writable = on_room,
        .event = on_sender_event,
    };
    struct side side = {
        .child = child,
        .type = MCQ_PUSH,
        .opts = MCQ_SOCK_OPTS_INIT,
        .handlers = &handlers,
        .ready = ready_to_flood,
        .idle = PERF_IDLE_SPIN,
        .size = job->size,
    };
    side.opts.linger_ms = MCQ_NONE;
    side.opts.send_hwm_msgs = perf_rate_hwm_msgs(job->size);
    side.body = perf_rate_body(child, job, &side.stamps);
    perf_bodies_init(&side.bodies, side.body, job->size);
    bool ok = side.body != NULL && side_run(&side);
    perf_bodies_fini(&side.bodies);
    free(side.body);
    return ok;
}

const struct perf_peer perf_peer_mcq = {
    .name = "mcq",
    .node = &perf_mcq_node,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
    .rtt_serve = mcq_rtt_serve,
    .rtt_run = mcq_rtt_run,
    .rate_receive = mcq_rate_receive,
    .rate_send = mcq_rate_send,
};
