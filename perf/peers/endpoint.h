/*
 * endpoint: "tcp://127.0.0.1:5555", "ipc:///tmp/a.sock" or "ipc://@abstract" as the system wants
 * it, and back; and endpoints of our own making.
 */
#ifndef MCQ_PERF_PEERS_ENDPOINT_H
#define MCQ_PERF_PEERS_ENDPOINT_H

#include "perf/peers/node.h"

#include <sys/socket.h>

/* What to bind for a peer of this host: an ephemeral port of 127.0.0.1, or a path nobody has yet.
 * Each library takes them as they are. endpoint: PERF_ENDPOINT_MAX bytes. */
void perf_endpoint_own(enum perf_transport transport, char *endpoint);

/* False with the reason noted. A host's name is looked up. */
bool perf_endpoint_parse(struct perf_child *child, const char *endpoint,
                         struct sockaddr_storage *addr, socklen_t *len);

/* The endpoint a bound socket can be reached at; asked is what was bound. */
bool perf_endpoint_bound(struct perf_child *child, int fd, const char *asked, char *endpoint);

#endif
