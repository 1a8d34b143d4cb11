/* Net: the system calls on sockets that are not io_uring operations. Part of the simulation seam
 * (with uring, clock and random). All cold: setup and end of a connection.
 *
 * Sockets are in blocking mode: on a non-blocking one io_uring reports EAGAIN instead of waiting.
 * All are close-on-exec; every tcp one has TCP_NODELAY. Failures are returned as -errno.
 */
#ifndef MCQ_RUNTIME_NET_H
#define MCQ_RUNTIME_NET_H

#include "runtime/conn.h"

/* Gives a listening socket at addr with so applied, *bound: where really. SO_REUSEADDR. A unix path
 * that nobody serves any more is removed first; one that is served is -EADDRINUSE. */
MCQ_MUST_USE int mcq_net_listen(const struct mcq_addr *addr, const struct mcq_sockopts *so,
                                uint32_t backlog, struct mcq_addr *bound);
/* Listeners that share an address, which the kernel chooses among (SO_REUSEPORT). Gives a tcp
 * socket bound to addr with so applied, that doesn't listen yet; shared: beside others that are
 * bound so. *bound: where really. -EOPNOTSUPP: nothing can be shared here. */
MCQ_MUST_USE int mcq_net_bind(const struct mcq_addr *addr, const struct mcq_sockopts *so,
                              bool shared, struct mcq_addr *bound);
MCQ_MUST_USE int mcq_net_listen_on(int fd, uint32_t backlog);
/* Gives a descriptor that stands for the tcp address within this network namespace until it is
 * closed, which the end of the process does, too. -EADDRINUSE: another has it, or all addresses of
 * that port, or one of them if these are all. */
MCQ_MUST_USE int mcq_net_claim(const struct mcq_addr *bound);
/* Gives another descriptor of the same socket. */
MCQ_MUST_USE int mcq_net_dup(int fd);
/* Gives a connection that waits at a listener; -EAGAIN: none does. Blocks for some milliseconds if
 * another thread takes it at the same time. */
MCQ_MUST_USE int mcq_net_accept(int fd);
/* A deaf listener takes no new connection but those whose handshake is under way: who asks is not
 * answered, and asks again after a second, whoever listens there then. */
void mcq_net_deafen(int fd, bool deaf);
/* The CPU that received for the connection; -1: can't be told. */
int mcq_net_cpu(int fd);
/* Gives an unconnected socket of addr's family with so applied, bound to src unless src is NULL. */
MCQ_MUST_USE int mcq_net_socket(const struct mcq_addr *addr, const struct mcq_addr *src,
                                const struct mcq_sockopts *so);
/* Gives a connected pair of unix stream sockets. */
MCQ_MUST_USE int mcq_net_pair(int fd[2]);
/* Applies so to an accepted socket (which has its listener's device); *unix_domain: whether it is a
 * unix socket. Options that a family doesn't have, or that a peer's early end forbids, are no
 * failure. */
void mcq_net_apply(int fd, const struct mcq_sockopts *so, bool *unix_domain);
void mcq_net_peer(int fd, struct mcq_addr *addr);
/* Both ends are one socket: a connect to an ephemeral port of this host that nobody served. */
bool mcq_net_is_self(int fd);

/* True if our side got shut (a FIN follows the last byte). */
bool mcq_net_shutdown_send(int fd);
bool mcq_net_shutdown_both(int fd);
/* Bytes the peer's kernel has not acknowledged; 0 if it can't be told. */
uint64_t mcq_net_unacked(int fd);
/* The receive queue that a connection's packets come through; 0: none. */
uint32_t mcq_net_napi_id(int fd);
void mcq_net_close(int fd);
/* Removes the file of a unix address; other addresses have none. */
void mcq_net_unlink(const struct mcq_addr *addr);

/* The descriptor that interrupts a loop's sleep. */
MCQ_MUST_USE int mcq_net_eventfd(void);
/* Makes it readable. Thread: any; async-signal-safe. */
void mcq_net_wake(int fd);

#endif
