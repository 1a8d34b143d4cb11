/*
 * tcp: bare stream sockets, tcp or unix, for the peers that show what the kernel alone can do.
 *
 * Tcp sockets have TCP_NODELAY set; buffers are as the system sets them. A function that fails has
 * noted why in the child. With spinning sockets "whole" calls retry at once instead of blocking.
 */
#ifndef MCQ_PERF_TCP_H
#define MCQ_PERF_TCP_H

#include "perf/peers/endpoint.h"

#include <stdbool.h>
#include <stddef.h>

enum perf_tcp_end {
    PERF_TCP_OK,
    PERF_TCP_CLOSED, /* the other side is gone */
    PERF_TCP_FAILED,
};

/* Listens on `asked`; endpoint (PERF_ENDPOINT_MAX bytes) is where it can be reached. -1: failed. */
int perf_tcp_listen(struct perf_child *child, const char *asked, char *endpoint);
/* The next connection of a listener; blocks. -1: failed. */
int perf_tcp_accept(struct perf_child *child, int listener);
int perf_tcp_connect(struct perf_child *child, const char *endpoint);

/* For a crew of two: the server listens on an endpoint of its own, names it and accepts one
 * connection; the client connects to it. -1: failed. */
int perf_tcp_serve_one(struct perf_child *child, enum perf_transport transport);
int perf_tcp_join(struct perf_child *child);

bool perf_tcp_spin(struct perf_child *child, int fd);

enum perf_tcp_end perf_tcp_send_whole(struct perf_child *child, int fd, const void *data,
                                      size_t len);
enum perf_tcp_end perf_tcp_recv_whole(struct perf_child *child, int fd, void *data, size_t len);

/* What there is, at least one byte and at most len. */
enum perf_tcp_end perf_tcp_recv_some(struct perf_child *child, int fd, void *data, size_t len,
                                     size_t *got);

#endif
