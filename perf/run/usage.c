#include "perf/run/usage.h"

#include "perf/run/clock.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* getrusage is as coarse as the tick where the kernel accounts by ticks; this clock never is. */
static uint64_t cpu_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * PERF_SECOND_NS + (uint64_t)ts.tv_nsec;
}

static uint64_t rss_now_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return PERF_USAGE_NONE;
    }
    int got = fscanf(file, "%lu %lu", &total, &resident);
    fclose(file);
    return got == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : PERF_USAGE_NONE;
}

void perf_usage_read(struct perf_usage *now)
{
    struct rusage ru = {0};
    getrusage(RUSAGE_SELF, &ru);
    *now = (struct perf_usage){
        .wall_ns = perf_clock_ns(),
        .cpu_ns = cpu_now_ns(),
        .switches_voluntary = (uint64_t)ru.ru_nvcsw,
        .switches_forced = (uint64_t)ru.ru_nivcsw,
        .faults = (uint64_t)ru.ru_minflt + (uint64_t)ru.ru_majflt,
        .syscalls = PERF_USAGE_NONE,
    };
}

void perf_usage_since(struct perf_usage *usage, const struct perf_usage *begin)
{
    perf_usage_read(usage);
    usage->wall_ns -= begin->wall_ns;
    usage->cpu_ns -= begin->cpu_ns;
    usage->switches_voluntary -= begin->switches_voluntary;
    usage->switches_forced -= begin->switches_forced;
    usage->faults -= begin->faults;
    usage->rss_bytes = rss_now_bytes();
}
