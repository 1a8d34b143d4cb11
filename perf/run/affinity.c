#include "perf/run/affinity.h"

#include <sched.h>

bool perf_cpus_find(struct perf_cpus *cpus)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return false;
    }
    int found[2] = {-1, -1};
    int cnt = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            if (cnt < 2) {
                found[cnt] = cpu;
            }
            cnt++;
        }
    }
    cpus->server = found[0];
    cpus->client = cnt > 1 ? found[1] : found[0];
    cpus->allowed_cnt = cnt;
    return true;
}

bool perf_cpus_pin(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

const char *perf_place_name(enum perf_place place)
{
    return place == PERF_PLACE_PINNED ? "pinned" : "free";
}
