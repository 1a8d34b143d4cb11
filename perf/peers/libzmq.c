/*
 * libzmq: the library everyone has, at its best. Small messages are sent by copy; large ones from
 * where they lie, in memory that libzmq gives back, which spares the copy. Received messages reuse
 * one zmq_msg_t. Its sockets block: it has no way to spin.
 */
#include "perf/peers/bodies.h"
#include "perf/peers/endpoint.h"
#include "perf/peers/libzmq_node.h"
#include "perf/peers/peer.h"

#if MCQ_PERF_HAVE_ZMQ

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* From here on a message is sent from where it lies; below, copying it is cheaper. */
#define SEND_FROM_MEMORY_MIN ((size_t)32 * 1024)

#define LINGER_MS 1000

/* A sender whose receiver is gone would wait for ever; after this long it looks at the stop flag.
 */
#define SEND_TIMEOUT_MS 100

/* Stop is looked at once per this many messages. */
#define SEND_BURST 64

struct zmq_end {
    void *context;
    void *socket;
};

static bool zmq_fail(struct perf_child *child, const char *what)
{
    return perf_child_fail(child, "libzmq: %s: %s", what, zmq_strerror(zmq_errno()));
}

static void zmq_end_close(struct zmq_end *end)
{
    if (end->socket != NULL) {
        zmq_close(end->socket);
    }
    if (end->context != NULL) {
        zmq_ctx_term(end->context);
    }
}

static bool option_set(struct zmq_end *end, int option, int value)
{
    return zmq_setsockopt(end->socket, option, &value, sizeof value) == 0;
}

static bool zmq_end_open(struct perf_child *child, struct zmq_end *end, int type, size_t size,
                         int linger_ms)
{
    int hwm_msgs = (int)perf_rate_hwm_msgs(size);
    end->context = zmq_ctx_new();
    end->socket = end->context != NULL ? zmq_socket(end->context, type) : NULL;
    if (end->socket == NULL || !option_set(end, ZMQ_SNDHWM, hwm_msgs) ||
        !option_set(end, ZMQ_RCVHWM, hwm_msgs) || !option_set(end, ZMQ_LINGER, linger_ms)) {
        return zmq_fail(child, "opening a socket");
    }
    return true;
}

static bool zmq_end_bind(struct perf_child *child, struct zmq_end *end,
                         enum perf_transport transport)
{
    char endpoint[PERF_ENDPOINT_MAX];
    size_t len = sizeof endpoint;
    perf_endpoint_own(transport, endpoint);
    if (zmq_bind(end->socket, endpoint) != 0 ||
        zmq_getsockopt(end->socket, ZMQ_LAST_ENDPOINT, endpoint, &len) != 0) {
        return zmq_fail(child, "binding");
    }
    return perf_child_give_endpoint(child, endpoint);
}

static bool zmq_end_connect(struct perf_child *child, struct zmq_end *end)
{
    char endpoint[PERF_ENDPOINT_MAX];
    return perf_child_take_endpoint(child, PERF_SERVER, endpoint) &&
           (zmq_connect(end->socket, endpoint) == 0 || zmq_fail(child, "connecting"));
}

static bool zmq_echo(struct perf_child *child, const struct perf_rtt_job *job, void *socket)
{
    uint64_t trips = perf_rtt_trips(job);
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    for (uint64_t i = 0; i < trips; i++) {
        if (zmq_msg_recv(&msg, socket, 0) < 0 || zmq_msg_send(&msg, socket, 0) < 0) {
            zmq_msg_close(&msg);
            return zmq_fail(child, "echoing");
        }
    }
    zmq_msg_close(&msg);
    return true;
}

static bool zmq_rtt_serve(struct perf_child *child, const struct perf_rtt_job *job)
{
    struct zmq_end end = {0};
    bool ok = zmq_end_open(child, &end, ZMQ_REP, job->size, LINGER_MS) &&
              zmq_end_bind(child, &end, job->transport) && zmq_echo(child, job, end.socket);
    zmq_end_close(&end);
    return ok;
}

static bool zmq_ask(struct perf_child *child, struct perf_rtt_meter *meter, void *socket,
                    void *body)
{
    zmq_msg_t reply;
    zmq_msg_init(&reply);
    bool ok = true;
    perf_rtt_start(meter);
    do {
        perf_rtt_fill(meter, body);
        if (zmq_send(socket, body, meter->size, 0) < 0 || zmq_msg_recv(&reply, socket, 0) < 0) {
            ok = zmq_fail(child, "asking");
        } else if (!perf_rtt_check(meter, zmq_msg_data(&reply), zmq_msg_size(&reply))) {
            ok = perf_child_fail(child, "a reply isn't the request that was sent");
        }
    } while (ok && perf_rtt_trip(meter));
    zmq_msg_close(&reply);
    return ok;
}

static bool zmq_rtt_run(struct perf_child *child, const struct perf_rtt_job *job,
                        struct perf_rtt_meter *meter)
{
    struct zmq_end end = {0};
    void *body = perf_rtt_body(child, meter);
    bool ok = body != NULL && zmq_end_open(child, &end, ZMQ_REQ, job->size, LINGER_MS) &&
              zmq_end_connect(child, &end) && zmq_ask(child, meter, end.socket, body);
    zmq_end_close(&end);
    free(body);
    return ok;
}

static bool zmq_count(struct perf_child *child, struct perf_rate_meter *meter, void *socket)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    bool whole = true, more = true;
    while (whole && more) {
        if (zmq_msg_recv(&msg, socket, 0) < 0) {
            zmq_msg_close(&msg);
            return zmq_fail(child, "receiving");
        }
        whole = perf_rate_take(meter, zmq_msg_data(&msg), zmq_msg_size(&msg));
        more = perf_rate_add(meter, 1);
    }
    zmq_msg_close(&msg);
    return whole || perf_rate_fault(child, meter);
}

static bool zmq_rate_receive(struct perf_child *child, const struct perf_rate_job *job,
                             struct perf_rate_meter *meter)
{
    struct zmq_end end = {0};
    bool ok = zmq_end_open(child, &end, ZMQ_PULL, job->size, 0) &&
              zmq_end_bind(child, &end, job->transport) && zmq_count(child, meter, end.socket);
    zmq_end_close(&end);
    return ok;
}

struct flood {
    struct perf_child *child;
    void *socket;
    size_t size;
    void *body;
    struct perf_rate_stamps stamps;
    struct perf_bodies bodies;
};

static void on_free(void *data, void *hint)
{
    perf_bodies_give(hint, data);
}

static bool large_send(struct flood *flood)
{
    zmq_msg_t msg;
    void *body = perf_bodies_take(&flood->bodies);
    if (body == NULL) {
        return false;
    }
    perf_rate_fill(&flood->stamps, body);
    zmq_msg_init_data(&msg, body, flood->size, on_free, &flood->bodies);
    if (zmq_msg_send(&msg, flood->socket, 0) >= 0) {
        return true;
    }
    int error = zmq_errno();
    zmq_msg_close(&msg);
    errno = error;
    return false;
}

static bool small_send(struct flood *flood)
{
    perf_rate_fill(&flood->stamps, flood->body);
    return zmq_send(flood->socket, flood->body, flood->size, 0) >= 0;
}

static bool flood_run(struct flood *flood)
{
    bool large = flood->size >= SEND_FROM_MEMORY_MIN;
    while (!perf_child_stopped(flood->child)) {
        bool ok = true;
        for (int i = 0; ok && i < SEND_BURST; i++) {
            ok = large ? large_send(flood) : small_send(flood);
        }
        if (!ok && zmq_errno() != EAGAIN) {
            return zmq_fail(flood->child, "sending");
        }
        if (!ok) {
            perf_rate_again(&flood->stamps);
        }
    }
    return true;
}

static bool zmq_rate_send(struct perf_child *child, const struct perf_rate_job *job)
{
    struct zmq_end end = {0};
    struct flood flood = {.child = child, .size = job->size};
    flood.body = perf_rate_body(child, job, &flood.stamps);
    perf_bodies_init(&flood.bodies, flood.body, job->size);
    bool ok = flood.body != NULL && zmq_end_open(child, &end, ZMQ_PUSH, job->size, 0) &&
              option_set(&end, ZMQ_SNDTIMEO, SEND_TIMEOUT_MS) && zmq_end_connect(child, &end);
    flood.socket = end.socket;
    ok = ok && flood_run(&flood);
    zmq_end_close(&end);
    perf_bodies_fini(&flood.bodies);
    free(flood.body);
    return ok;
}

const struct perf_peer perf_peer_libzmq = {
    .name = "libzmq",
    .node = &perf_libzmq_node,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
    .always_blocks = true,
    .has_threads = true,
    .rtt_serve = zmq_rtt_serve,
    .rtt_run = zmq_rtt_run,
    .rate_receive = zmq_rate_receive,
    .rate_send = zmq_rate_send,
};

#else

const struct perf_peer perf_peer_libzmq = {
    .name = "libzmq",
    .missing = "built without libzmq: install libzmq3-dev and configure again",
    .always_blocks = true,
    .has_threads = true,
};

#endif
