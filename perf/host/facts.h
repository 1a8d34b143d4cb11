/* facts: the parts of the environment, each of which adds its own. */
#ifndef MCQ_PERF_HOST_FACTS_H
#define MCQ_PERF_HOST_FACTS_H

#include "perf/host/environment.h"

#include <stdbool.h>

/* The first line of a file, without its end; what a file of /sys and /proc says. */
void perf_fact_file(struct perf_environment *env, const char *group, const char *name,
                    const char *path);
/* False, and text "", when it can't be read. Lines become one, with spaces between. */
bool perf_fact_read(const char *path, char *text, size_t cap);
/* What follows "key:" in a file of such lines. */
bool perf_fact_key(const char *path, const char *key, char *text, size_t cap);

void perf_facts_cpu(struct perf_environment *env);
void perf_facts_build(struct perf_environment *env);
void perf_facts_library(struct perf_environment *env);
void perf_facts_doctor(struct perf_environment *env);

#endif
