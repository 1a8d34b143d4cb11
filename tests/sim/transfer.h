/* Transfer: what an operation does once its file is ready: accepting, receiving, sending, reading.
 * Here are most of the faults. */
#ifndef MCQ_TESTS_SIM_TRANSFER_H
#define MCQ_TESTS_SIM_TRANSFER_H

#include "tests/sim/op.h"

/* Whether poll would wake it. */
bool mcq_sim_transfer_ready(const struct mcq_sim_op *op);
/* Whether it could do something: a send can before poll would say so. */
bool mcq_sim_transfer_possible(const struct mcq_sim_op *op);
/* Goes as far as possible; true: op has ended and is free. */
bool mcq_sim_transfer_try(struct mcq_sim_op *op);
/* Remembers what a send will take, to see that it doesn't change: samples of long pieces, and only
 * some sends of many. */
void mcq_sim_transfer_watch(struct mcq_sim_op *op);

#endif
