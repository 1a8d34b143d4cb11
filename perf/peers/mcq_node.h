/* mcq node: Monocoque as a node, embedded in the workload's loop. */
#ifndef MCQ_PERF_PEERS_MCQ_NODE_H
#define MCQ_PERF_PEERS_MCQ_NODE_H

#include "perf/peers/node.h"

extern const struct perf_node_ops perf_mcq_node;

#endif
