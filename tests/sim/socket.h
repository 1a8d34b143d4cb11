/* Socket: how connections begin and end: connect, listen with its backlog, accept, shutdown. */
#ifndef MCQ_TESTS_SIM_SOCKET_H
#define MCQ_TESTS_SIM_SOCKET_H

#include "tests/sim/file.h"

struct mcq_sim_op;

/* A fresh socket with one reference. */
struct mcq_sim_file *mcq_sim_socket_take(int domain);
/* The near end of a connect to come. 0 or -errno. */
int mcq_sim_socket_bind(struct mcq_sim_file *f, const struct mcq_addr *src);
/* 0 or -errno; *bound: where really. */
int mcq_sim_socket_listen(struct mcq_sim_file *f, const struct mcq_addr *addr, uint32_t backlog,
                          struct mcq_addr *bound);
/* The same in two steps: it has the address, and doesn't listen there yet. shared: see place.h. */
int mcq_sim_socket_reserve(struct mcq_sim_file *f, const struct mcq_addr *addr, bool shared,
                           struct mcq_addr *bound);
void mcq_sim_socket_begin(struct mcq_sim_file *f, uint32_t backlog);
/* Begins what op asks for; its result is set and it is woken when there is one. */
void mcq_sim_socket_connect(struct mcq_sim_op *op);
/* The longest waiting connection, with its reference; NULL. */
struct mcq_sim_file *mcq_sim_socket_accept(struct mcq_sim_file *f);
/* As shutdown(2): false: ENOTCONN. */
bool mcq_sim_socket_shutdown(struct mcq_sim_file *f, bool both);
/* The last reference is gone. */
void mcq_sim_socket_end(struct mcq_sim_file *f);

#endif
