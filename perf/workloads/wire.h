/*
 * wire: the bytes by which a client of each protocol says hello and exchanges messages.
 *
 * For clients of our own that are the same whatever server they meet, so that the server is what is
 * measured: ZMTP 3.1 with NULL (mcq, libzmq), the SP protocols' 8 bytes (nng's pair1, over tcp or
 * ipc), and bare sockets, which have no hello. Nothing here touches a socket.
 */
#ifndef MCQ_PERF_WORKLOADS_WIRE_H
#define MCQ_PERF_WORKLOADS_WIRE_H

#include "perf/peers/peer.h"

enum perf_wire {
    PERF_WIRE_BARE,
    PERF_WIRE_ZMTP,
    PERF_WIRE_ZMTP_REQ,
    PERF_WIRE_SP,
    PERF_WIRE_SP_IPC
};

/* What a peer's servers speak. */
enum perf_wire perf_wire_of(const struct perf_peer *peer, enum perf_transport transport,
                            const char *socket_type);

/* Where a connection is in its hello. */
enum perf_wire_phase { PERF_WIRE_GREETING, PERF_WIRE_READY, PERF_WIRE_UP };

enum perf_wire_event {
    PERF_WIRE_MORE,    /* not enough bytes */
    PERF_WIRE_NOTHING, /* something that doesn't matter */
    PERF_WIRE_SAY,     /* the greeting is there: perf_wire_ready is due */
    PERF_WIRE_DONE,    /* the hello is over */
    PERF_WIRE_MESSAGE,
    PERF_WIRE_BAD, /* no server of this protocol says that */
};

/* Room for hello, ready, and what stands before a message. */
#define PERF_WIRE_HEAD_MAX 64u

/* Said at once on a new connection; the length, which is 0 for bare sockets. */
size_t perf_wire_hello(enum perf_wire wire, unsigned char *out);
size_t perf_wire_ready(enum perf_wire wire, unsigned char *out);
/* What stands before a message of size bytes. */
size_t perf_wire_head(enum perf_wire wire, size_t size, unsigned char *out);

/* Phase of a connection that has just come up. */
enum perf_wire_phase perf_wire_begin(enum perf_wire wire);

/* What the first bytes of data are; *used of them. Of a message *body is where it lies, and
 * *body_len how long it is. size: of messages, where they have no length on the wire; also more
 * than this is BAD. */
enum perf_wire_event perf_wire_take(enum perf_wire wire, enum perf_wire_phase *phase, size_t size,
                                    const unsigned char *data, size_t len, size_t *used,
                                    const unsigned char **body, size_t *body_len);

#endif
