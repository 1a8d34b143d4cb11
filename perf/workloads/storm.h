/*
 * storm: a client of many connections that speaks bytes, the same for every server.
 *
 * Connections have places, 0 .. conns-1. One begins with a connect, is up once its hello is over
 * (workloads/wire.h; bare sockets: connected), and ends with a reset, so that no port is kept
 * waiting for what may still be under way. Against a server of this host over tcp connections come
 * from several addresses in turns: one has but some 28,000 ports.
 *
 * One thread; callbacks come from perf_storm_turn, and may call everything but turn and close. What
 * the server owes (a hello, an answer) for longer than patience_ns fails the storm, and
 * so does a connection that the server ends.
 */
#ifndef MCQ_PERF_WORKLOADS_STORM_H
#define MCQ_PERF_WORKLOADS_STORM_H

#include "perf/workloads/wire.h"

#include <sys/socket.h>

#define PERF_STORM_PATIENCE_NS (UINT64_C(5) * 1000000000)

struct perf_storm_conn;

struct perf_storm_spec {
    const char *endpoint;
    enum perf_wire wire;
    size_t size; /* of every message */
    uint32_t conns;
    uint64_t patience_ns; /* 0: PERF_STORM_PATIENCE_NS */
    void (*up)(void *ctx, uint32_t conn, uint64_t now_ns);
    void (*message)(void *ctx, uint32_t conn, uint64_t now_ns, const void *data, size_t len);
    void *ctx;
};

struct perf_storm {
    struct perf_storm_spec spec;
    struct perf_child *child;
    struct perf_storm_conn *conns;
    unsigned char *out; /* a message with what stands before it */
    size_t head_len;
    struct sockaddr_storage to;
    socklen_t to_len;
    int epoll;
    uint32_t from; /* of the next connection */
    uint32_t up_cnt;
    uint64_t look_ns; /* when patience is looked at next */
    bool local;       /* tcp to this host */
    bool failed;
};

/* False with the reason noted; perf_storm_close is due either way. */
bool perf_storm_open(struct perf_storm *s, struct perf_child *child,
                     const struct perf_storm_spec *spec);
void perf_storm_close(struct perf_storm *s);

enum perf_storm_begun {
    PERF_STORM_BEGUN,
    PERF_STORM_LATER, /* ipc: the server's queue is full */
    PERF_STORM_FAILED,
};
enum perf_storm_begun perf_storm_connect(struct perf_storm *s, uint32_t conn);
/* When its connect was called. */
uint64_t perf_storm_began_ns(const struct perf_storm *s, uint32_t conn);
void perf_storm_drop(struct perf_storm *s, uint32_t conn);

/* Where the next message's body is to be put. */
unsigned char *perf_storm_body(struct perf_storm *s);
/* Sends it. False with the reason noted. */
bool perf_storm_send(struct perf_storm *s, uint32_t conn);

/* Waits until until_ns at the longest (0: not at all), and takes what there is. spin: by looking
 * again and again. */
bool perf_storm_turn(struct perf_storm *s, uint64_t until_ns, bool spin);

#endif
