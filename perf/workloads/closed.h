/* closed: what rtt and throughput leave in --out, as every other workload does. */
#ifndef MCQ_PERF_WORKLOADS_CLOSED_H
#define MCQ_PERF_WORKLOADS_CLOSED_H

#include "perf/options.h"

/* Without --out nothing is done. False with a sentence on stderr. hist: all trips. */
bool perf_closed_save_rtt(const struct perf_options *options, const struct perf_peer *peer,
                          const struct perf_rtt_job *job, const struct perf_rtt_result *result,
                          const struct mcq_hdr *hist);
bool perf_closed_save_rate(const struct perf_options *options, const struct perf_peer *peer,
                           const struct perf_rate_job *job, const struct perf_rate_result *result);

#endif
