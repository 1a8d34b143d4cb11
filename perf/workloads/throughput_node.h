/* throughput over nodes: PUSH and PULL, for peers without a best path of their own. */
#ifndef MCQ_PERF_WORKLOADS_THROUGHPUT_NODE_H
#define MCQ_PERF_WORKLOADS_THROUGHPUT_NODE_H

#include "perf/peers/peer.h"

bool perf_rate_node_receive(struct perf_child *child, const struct perf_peer *peer,
                            const struct perf_rate_job *job, struct perf_rate_meter *meter);
bool perf_rate_node_send(struct perf_child *child, const struct perf_peer *peer,
                         const struct perf_rate_job *job);

#endif
