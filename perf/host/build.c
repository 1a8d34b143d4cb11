#include "perf/host/facts.h"

#include "perf_revision.h"

#include <monocoque.h>

#ifdef __OPTIMIZE__
#define OPTIMIZED "yes"
#else
#define OPTIMIZED "no: figures of this build say nothing"
#endif

void perf_facts_build(struct perf_environment *env)
{
    uint32_t version = mcq_version();
    perf_environment_add(env, "build", "version", "%u.%u.%u", version >> 16, version >> 8 & 255,
                         version & 255);
    perf_environment_add(env, "build", "revision", "%s", PERF_REVISION);
    perf_environment_add(env, "build", "type", "%s", PERF_BUILD_TYPE);
    perf_environment_add(env, "build", "compiler", "%s", PERF_COMPILER);
    perf_environment_add(env, "build", "flags", "%s", PERF_FLAGS);
    perf_environment_add(env, "build", "optimized", "%s", OPTIMIZED);
    perf_environment_add(env, "build", "liburing", "%s", PERF_LIBURING);
}
