/*
 * libzmq: the library everyone has, at its best. Messages of up to 33 bytes live inside zmq_msg_t
 * and are sent by copy; larger ones are sent from constant memory, which spares libzmq the
 * allocation and the copy. Received messages reuse one zmq_msg_t. Its sockets block: it has no way
 * to spin.
 */
#include "perf/peers/endpoint.h"
#include "perf/peers/peer.h"

#if MCQ_PERF_HAVE_ZMQ

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define INLINE_BODY_MAX 33u
#define LINGER_MS       1000

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

static bool body_send(void *socket, void *body, size_t size)
{
    if (size <= INLINE_BODY_MAX) {
        return zmq_send(socket, body, size, 0) >= 0;
    }
    zmq_msg_t msg;
    zmq_msg_init_data(&msg, body, size, NULL, NULL);
    if (zmq_msg_send(&msg, socket, 0) >= 0) {
        return true;
    }
    zmq_msg_close(&msg);
    return false;
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
        if (!body_send(socket, body, meter->size) || zmq_msg_recv(&reply, socket, 0) < 0) {
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
    void *body = perf_child_alloc(child, job->size);
    bool ok = body != NULL && zmq_end_open(child, &end, ZMQ_REQ, job->size, LINGER_MS) &&
              zmq_end_connect(child, &end) && zmq_ask(child, meter, end.socket, body);
    zmq_end_close(&end);
    free(body);
    return ok;
}

static bool zmq_count(struct perf_child *child, const struct perf_rate_job *job,
                      struct perf_rate_meter *meter, void *socket)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    int len;
    do {
        len = zmq_msg_recv(&msg, socket, 0);
    } while (len == (int)job->size && perf_rate_add(meter, 1));
    zmq_msg_close(&msg);
    if (len < 0) {
        return zmq_fail(child, "receiving");
    }
    return len == (int)job->size || perf_child_fail(child, "a message isn't of the size sent");
}

static bool zmq_rate_receive(struct perf_child *child, const struct perf_rate_job *job,
                             struct perf_rate_meter *meter)
{
    struct zmq_end end = {0};
    bool ok = zmq_end_open(child, &end, ZMQ_PULL, job->size, 0) &&
              zmq_end_bind(child, &end, job->transport) && zmq_count(child, job, meter, end.socket);
    zmq_end_close(&end);
    return ok;
}

static bool zmq_flood(struct perf_child *child, size_t size, void *socket, void *body)
{
    while (!perf_child_stopped(child)) {
        for (int i = 0; i < SEND_BURST; i++) {
            if (!body_send(socket, body, size)) {
                if (zmq_errno() != EAGAIN) {
                    return zmq_fail(child, "sending");
                }
                break;
            }
        }
    }
    return true;
}

static bool zmq_rate_send(struct perf_child *child, const struct perf_rate_job *job)
{
    struct zmq_end end = {0};
    void *body = perf_child_alloc(child, job->size);
    bool ok = body != NULL && zmq_end_open(child, &end, ZMQ_PUSH, job->size, 0) &&
              option_set(&end, ZMQ_SNDTIMEO, SEND_TIMEOUT_MS) && zmq_end_connect(child, &end) &&
              zmq_flood(child, job->size, end.socket, body);
    zmq_end_close(&end);
    free(body);
    return ok;
}

const struct perf_peer perf_peer_libzmq = {
    .name = "libzmq",
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
