/* closed: what the closed loops, rtt and throughput, leave in --out, as every other workload does.
 */
#ifndef MCQ_PERF_WORKLOADS_CLOSED_H
#define MCQ_PERF_WORKLOADS_CLOSED_H

#include "perf/options.h"
#include "perf/output/artefact.h"

/* An arm without runs, with the parameters that arms to compare have in common. */
struct perf_result *perf_closed_new(enum perf_command workload, const char *arm, size_t size,
                                    enum perf_transport transport);
/* A run that has just ended. hist: its trips. */
void perf_closed_rtt_run(struct perf_result *r, const struct perf_rtt_result *result,
                         const struct mcq_hdr *hist);
void perf_closed_rate_run(struct perf_result *r, const struct perf_rate_result *result,
                          size_t size);

/* Without --out nothing is done. False with a sentence on stderr. hist: all trips. */
bool perf_closed_save_rtt(const struct perf_options *options, const struct perf_peer *peer,
                          const struct perf_rtt_job *job, const struct perf_rtt_result *result,
                          const struct mcq_hdr *hist);
bool perf_closed_save_rate(const struct perf_options *options, const struct perf_peer *peer,
                           const struct perf_rate_job *job, const struct perf_rate_result *result);

#endif
