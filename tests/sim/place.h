/* Place: who listens, or is bound to listen, at which address of the one network. Several may share
 * one; a connection comes to any of those that listen. A unix path stays as a stale file when its
 * listener has gone, until somebody unlinks it or listens there again. */
#ifndef MCQ_TESTS_SIM_PLACE_H
#define MCQ_TESTS_SIM_PLACE_H

#include "runtime/conn.h"

struct mcq_sim_file;

#define MCQ_SIM_PLACES_MAX 512u

void mcq_sim_place_reset(void);
/* Gives the listener an address, *bound: with the port that was chosen. shared: others may have it,
 * too, that share it. 0 or -errno. */
int mcq_sim_place_add(const struct mcq_addr *addr, struct mcq_sim_file *listener, bool shared,
                      struct mcq_addr *bound);
void mcq_sim_place_leave(const struct mcq_sim_file *listener);
/* Who answers a connect to addr: NULL: nobody, *err is the negative errno. */
struct mcq_sim_file *mcq_sim_place_find(const struct mcq_addr *addr, int *err);
void mcq_sim_place_unlink(const struct mcq_addr *addr);
/* Whether a connection may come from there: no listener has the port. */
bool mcq_sim_place_free(const struct mcq_addr *source);
/* A local address for a connection to addr; bound: *source is one already, but for its port. */
void mcq_sim_place_source(const struct mcq_addr *addr, bool bound, struct mcq_addr *source);

#endif
