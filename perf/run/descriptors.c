#include "perf/run/descriptors.h"

#include <sys/resource.h>

/* Of the libraries, the crew and whoever started it. */
#define SPARE 64u

bool perf_descriptors_need(struct perf_child *child, uint32_t conns)
{
    struct rlimit limit;
    rlim_t need = (rlim_t)conns + SPARE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return perf_child_fail_os(child, "asking for the limit of descriptors");
    }
    if (limit.rlim_cur >= need) {
        return true;
    }
    if (limit.rlim_max < need) {
        return perf_child_fail(child,
                               "%u connections need %llu descriptors and %llu are allowed: raise "
                               "the hard limit (ulimit -Hn) or ask for fewer",
                               conns, (unsigned long long)need, (unsigned long long)limit.rlim_max);
    }
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ||
           perf_child_fail_os(child, "raising the limit of descriptors");
}
