/*
 * tcp: bare sockets over loopback, for the peers that show what the kernel alone can do.
 *
 * Sockets have TCP_NODELAY set and buffers as the system sets them. A function that fails has noted
 * why in the child. With spinning sockets "whole" calls retry at once instead of blocking.
 */
#ifndef MCQ_PERF_TCP_H
#define MCQ_PERF_TCP_H

#include "perf/run/fork.h"

#include <stdbool.h>
#include <stddef.h>

enum perf_tcp_end {
    PERF_TCP_OK,
    PERF_TCP_CLOSED, /* the other side is gone */
    PERF_TCP_FAILED,
};

/* Listens on an ephemeral port, names it to the client and accepts one connection. -1 on failure.
 */
int perf_tcp_accept(struct perf_child *child);

/* Waits for the port and connects. -1 on failure. */
int perf_tcp_connect(struct perf_child *child);

bool perf_tcp_spin(struct perf_child *child, int fd);

enum perf_tcp_end perf_tcp_send_whole(struct perf_child *child, int fd, const void *data,
                                      size_t len);
enum perf_tcp_end perf_tcp_recv_whole(struct perf_child *child, int fd, void *data, size_t len);

/* What there is, at least one byte and at most len. */
enum perf_tcp_end perf_tcp_recv_some(struct perf_child *child, int fd, void *data, size_t len,
                                     size_t *got);

#endif
