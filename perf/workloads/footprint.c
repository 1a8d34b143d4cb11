#include "perf/workloads/footprint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The number behind "name" in a file of such lines, times unit. */
static uint64_t line_find(const char *path, const char *name, const char *format, uint64_t unit)
{
    char line[256];
    unsigned long long value = 0;
    uint64_t found = PERF_FOOTPRINT_NONE;
    FILE *file = fopen(path, "re");
    while (file != NULL && found == PERF_FOOTPRINT_NONE && fgets(line, sizeof line, file) != NULL) {
        const char *at = strncmp(line, name, strlen(name)) == 0 ? strstr(line, format) : NULL;
        if (at != NULL && sscanf(at + strlen(format), "%llu", &value) == 1) {
            found = (uint64_t)value * unit;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

void perf_footprint_read(struct perf_footprint *now, pid_t pid)
{
    char path[64];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    now->rss_bytes = line_find(path, "Rss:", "Rss:", 1024);
    now->pss_bytes = line_find(path, "Pss:", "Pss:", 1024);
    now->slab_bytes = line_find("/proc/meminfo", "Slab:", "Slab:", 1024);
    now->tcp_bytes = line_find("/proc/net/sockstat", "TCP:", " mem ", page);
}

double perf_footprint_each(uint64_t before, uint64_t after, uint32_t cnt)
{
    if (before == PERF_FOOTPRINT_NONE || after == PERF_FOOTPRINT_NONE || cnt == 0) {
        return (double)NAN;
    }
    return ((double)after - (double)before) / cnt;
}
