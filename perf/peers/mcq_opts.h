/* mcq options: those of the library that the command line set, for every shard mcq-perf runs. */
#ifndef MCQ_PERF_PEERS_MCQ_OPTS_H
#define MCQ_PERF_PEERS_MCQ_OPTS_H

#include "perf/workloads/rtt.h"

#include <monocoque.h>

/* Pinned to cpu, or to none if it is negative; cpus is borrowed by the result: 16 bytes. */
struct mcq_opts perf_mcq_opts(int cpu, enum perf_idle idle, char *cpus);

#endif
