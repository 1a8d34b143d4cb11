/* rtt over nodes: CLIENT and SERVER, for peers without a best path of their own, for servers that
 * aren't ours, and for handlers that take their time. */
#ifndef MCQ_PERF_WORKLOADS_RTT_NODE_H
#define MCQ_PERF_WORKLOADS_RTT_NODE_H

#include "perf/peers/peer.h"

bool perf_rtt_node_serve(struct perf_child *child, const struct perf_peer *peer,
                         const struct perf_rtt_job *job);
bool perf_rtt_node_run(struct perf_child *child, const struct perf_peer *peer,
                       const struct perf_rtt_job *job, struct perf_rtt_meter *meter);

#endif
