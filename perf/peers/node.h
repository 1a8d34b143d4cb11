/*
 * node: one process's end of a library under test, driven by the workload: send, poll, send.
 *
 * A workload is written once, over nodes; a peer is one table of four functions. What a workload
 * measures on a node includes everything a program that polls pays. Workloads that need a library's
 * own best path (round trips, throughput) have their own functions in struct perf_peer.
 *
 * Roles come in pairs. CLIENT and SERVER: each client connection is a peer of the server, which
 * answers to the token of the connection a message came by (ZMTP: DEALER and ROUTER; nng: pair1 in
 * polyamorous mode; bare sockets: messages of the size agreed on, one after the other). PUSH to
 * PULL and PUB to SUB: one way; subscribers want everything unless a topic is given. The node with
 * an endpoint to serve binds; the others connect. Transports: tcp over loopback, ipc (unix stream).
 */
#ifndef MCQ_PERF_PEERS_NODE_H
#define MCQ_PERF_PEERS_NODE_H

#include "perf/run/crew.h"

enum perf_role {
    PERF_ROLE_CLIENT,
    PERF_ROLE_SERVER,
    PERF_ROLE_PUSH,
    PERF_ROLE_PULL,
    PERF_ROLE_PUB,
    PERF_ROLE_SUB,
    PERF_ROLE_CNT,
};

enum perf_transport { PERF_TRANSPORT_TCP, PERF_TRANSPORT_IPC };

#define PERF_NODE_CONNS_MAX 16384u

struct perf_node;

/* conn: on a connecting node the index of the connection, 0 .. conns-1; on a binding node the
 * token of the peer, as it is to be given to send, or 0 where the library doesn't tell a receiver
 * (PULL). data: borrowed until return. */
typedef void perf_arrived_fn(void *ctx, uint64_t conn, const void *data, size_t len);

struct perf_node_spec {
    enum perf_role role;
    bool binds;
    enum perf_transport transport; /* of a node that binds without an endpoint */
    const char *endpoint;          /* of a node that connects: "tcp://127.0.0.1:5555"; a node that
                                      binds: NULL for one of its own making; borrowed */
    size_t size;                   /* of every message */
    uint32_t conns;                /* connecting: how many; binding: how many to be ready for */
    uint32_t hwm; /* messages per connection where the library has such a limit; 0: its default */
    bool spin;    /* poll burns the CPU; otherwise it sleeps in the kernel until something comes */
    bool drops;   /* PUB: a full subscriber misses messages; otherwise the publisher waits */
    const char *socket_type; /* CLIENT against a stranger's endpoint: "dealer" or "req"; NULL */
    perf_arrived_fn *arrived;
    void *ctx;
};

enum perf_put {
    PERF_PUT_OK,
    PERF_PUT_FULL, /* no room now: poll, and try again */
    PERF_PUT_GONE, /* that connection has ended */
};

struct perf_node_ops {
    /* Opens n->spec; a binding node leaves its endpoint in n->endpoint, a connecting one returns
     * when all connections are there as far as the library tells. False with the reason noted, and
     * nothing is left to close. */
    bool (*open)(struct perf_node *n);
    /* Takes or copies data before it returns; it is on its way at the latest with the next poll.
     * conn is ignored by a PUB, by what binds but a SERVER, and where there is one connection. */
    enum perf_put (*send)(struct perf_node *n, uint64_t conn, const void *data, size_t len);
    /* Calls arrived for what came, some at least if there is something, and returns: at once after
     * something came, or, if a send found no room, there is some again; else when until_ns
     * (perf_clock_ns) has passed; 0 looks once, without waiting. False with the reason noted when
     * the node can't go on. Not to be called from arrived; send may be. */
    bool (*poll)(struct perf_node *n, uint64_t until_ns);
    void (*close)(struct perf_node *n);
    /* Pieces of the library's memory that are in use; NULL: it doesn't tell. */
    uint64_t (*buffers)(const struct perf_node *n);
};

struct perf_node {
    const struct perf_node_ops *ops;
    struct perf_child *child;
    struct perf_node_spec spec;
    char endpoint[PERF_ENDPOINT_MAX];
    uint32_t up_cnt;   /* connections that are there; a binding node counts as its library tells */
    uint64_t gone_cnt; /* connections that ended */
    void *state;       /* the peer's own */
};

static inline bool perf_node_open(struct perf_node *n, const struct perf_node_ops *ops,
                                  struct perf_child *child, const struct perf_node_spec *spec)
{
    *n = (struct perf_node){.ops = ops, .child = child, .spec = *spec};
    return ops->open(n);
}

/* What the handler of a user would cost the echo. Zeros: nothing. */
struct perf_handler {
    uint64_t delay_ns; /* burnt per message */
    uint64_t stall_ns; /* slept, every stall_every_ns */
    uint64_t stall_every_ns;
    void (*listening)(const char *endpoint); /* called once; may be NULL */
    _Atomic(uint64_t) *buffers;              /* kept up to date, about; may be NULL */
};

/* Serves until the crew is stopped: what arrives goes back to whom it came from. Names its endpoint
 * to the crew. handler may be NULL; spec's arrived and ctx are its own. */
bool perf_node_echo(struct perf_child *child, const struct perf_node_ops *ops,
                    const struct perf_node_spec *spec, const struct perf_handler *handler);

#endif
