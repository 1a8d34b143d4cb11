/*
 * environment: what was measured on, for every artefact.
 *
 * Groups of named texts: host (kernel, command line, hypervisor), cpu (model, microcode, topology,
 * mitigations, frequency policy, the CPUs used), clock, memory (THP, memlock, huge pages), net,
 * build (compiler, flags, git revision, dirty or not), library (options, ring features in use),
 * doctor (verdict and what failed), date. What can't be read is "unknown".
 */
#ifndef MCQ_PERF_HOST_ENVIRONMENT_H
#define MCQ_PERF_HOST_ENVIRONMENT_H

#include <stddef.h>

#define PERF_FACTS_MAX 128u
#define PERF_FACT_MAX  512u

struct perf_fact {
    const char *group, *name; /* static */
    char text[PERF_FACT_MAX];
};

struct perf_environment {
    struct perf_fact facts[PERF_FACTS_MAX];
    unsigned cnt;
};

void perf_environment_read(struct perf_environment *env);

#endif
