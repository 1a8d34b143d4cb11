/* libzmq node: libzmq as a node, polled without blocking, or slept on by its descriptor. */
#ifndef MCQ_PERF_PEERS_LIBZMQ_NODE_H
#define MCQ_PERF_PEERS_LIBZMQ_NODE_H

#include "perf/peers/node.h"

extern const struct perf_node_ops perf_libzmq_node;

#endif
