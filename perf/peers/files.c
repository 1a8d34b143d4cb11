#include "perf/peers/files.h"

#include <sys/resource.h>

/* The standard three, a library's own, and what tests or sanitizers hold. */
#define FILES_SPARE 64u

bool perf_files_allow(struct perf_child *child, uint64_t cnt)
{
    struct rlimit limit;
    uint64_t need = cnt + FILES_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return perf_child_fail_os(child, "asking how many files may be open");
    }
    if (limit.rlim_cur >= need) {
        return true;
    }
    if (limit.rlim_max < need) {
        return perf_child_fail(child,
                               "%llu connections need %llu open files and the hard limit is %llu: "
                               "raise it (ulimit -Hn, LimitNOFILE=) or use fewer",
                               (unsigned long long)cnt, (unsigned long long)need,
                               (unsigned long long)limit.rlim_max);
    }
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ||
           perf_child_fail_os(child, "raising how many files may be open");
}
