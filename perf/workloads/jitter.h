/*
 * jitter: what the host itself takes from a thread that only reads the clock, on each core this
 * process may use, all at once. A gap is a time between two readings above the threshold: eight
 * times the least there is, and PERF_JITTER_LEAST_NS at least. What no measurement on this host can
 * be better than.
 */
#ifndef MCQ_PERF_WORKLOADS_JITTER_H
#define MCQ_PERF_WORKLOADS_JITTER_H

#include "perf/host/environment.h"
#include "perf/options.h"

#define PERF_JITTER_LEAST_NS  UINT64_C(200)
#define PERF_JITTER_CORES_MAX 256u

struct perf_jitter_core {
    int cpu;
    uint64_t took_ns, lost_ns; /* lost: in gaps */
    uint64_t gap_cnt, max_ns, threshold_ns;
    struct mcq_hdr *hist; /* of gaps; NULL, or the caller's */
    bool ok;
};

int perf_jitter_main(const struct perf_options *options);

/* Fills in cpu: the allowed ones, at most PERF_JITTER_CORES_MAX. How many there are. */
unsigned perf_jitter_cores(struct perf_jitter_core *cores);
/* Spins on all of them for that long. False: a thread couldn't be started. */
bool perf_jitter_look(struct perf_jitter_core *cores, unsigned cnt, uint64_t ns);

/* A short look, for the environment of other workloads' artefacts: group jitter, name cores. */
#define PERF_JITTER_FACT_NS UINT64_C(50000000)
void perf_jitter_fact(struct perf_environment *env);

#endif
