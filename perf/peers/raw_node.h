/* raw_node: the node of the peer raw (perf/peers/raw.c). */
#ifndef MCQ_PERF_PEERS_RAW_NODE_H
#define MCQ_PERF_PEERS_RAW_NODE_H

#include "perf/peers/node.h"

extern const struct perf_node_ops perf_raw_node;

#endif
