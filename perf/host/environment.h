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

/* Cost: some 100 ms, for the library is started once, in a process of its own, to see which
 * features of the ring it uses here, and the doctor looks at the clocks of the cores. */
void perf_environment_read(struct perf_environment *env);

/* "unknown" for an empty text; what is longer than PERF_FACT_MAX is cut. group and name: static. A
 * fact that is there already is replaced. */
void perf_environment_add(struct perf_environment *env, const char *group, const char *name,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
/* NULL when there is none. */
const char *perf_environment_find(const struct perf_environment *env, const char *group,
                                  const char *name);

#endif
