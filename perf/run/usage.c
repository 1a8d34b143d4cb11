#include "perf/run/usage.h"

#include "perf/run/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX 512

/* Exact even where the kernel accounts by ticks, and includes threads that have ended. */
static uint64_t cpu_read_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec ts;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0) {
        return PERF_USAGE_NONE;
    }
    return (uint64_t)ts.tv_sec * PERF_SECOND_NS + (uint64_t)ts.tv_nsec;
}

static FILE *proc_open(pid_t pid, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

static void memory_read(struct perf_usage *now, pid_t pid)
{
    unsigned long long total = 0, resident = 0, minor = 0, major = 0;
    FILE *file = proc_open(pid, "statm");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &total, &resident) == 2) {
            now->rss_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
        }
        fclose(file);
    }
    file = proc_open(pid, "stat");
    if (file != NULL) {
        /* A name may have anything in it but is ours here: mcq-perf. */
        if (fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", &minor, &major) ==
            2) {
            now->faults = minor + major;
        }
        fclose(file);
    }
}

static void thread_switches_add(struct perf_usage *now, FILE *status)
{
    char line[LINE_MAX];
    unsigned long long cnt = 0;
    while (fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "voluntary_ctxt_switches: %llu", &cnt) == 1) {
            now->switches_voluntary += cnt;
        } else if (sscanf(line, "nonvoluntary_ctxt_switches: %llu", &cnt) == 1) {
            now->switches_forced += cnt;
        }
    }
}

static void switches_read(struct perf_usage *now, pid_t pid)
{
    char path[64], name[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return;
    }
    now->switches_voluntary = now->switches_forced = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        snprintf(name, sizeof name, "task/%.16s/status", entry->d_name);
        FILE *status = entry->d_name[0] != '.' ? proc_open(pid, name) : NULL;
        if (status != NULL) {
            thread_switches_add(now, status);
            fclose(status);
        }
    }
    closedir(dir);
}

void perf_usage_read(struct perf_usage *now, pid_t pid)
{
    *now = (struct perf_usage){
        .wall_ns = perf_clock_ns(),
        .cpu_ns = cpu_read_ns(pid),
        .switches_voluntary = PERF_USAGE_NONE,
        .switches_forced = PERF_USAGE_NONE,
        .faults = PERF_USAGE_NONE,
        .syscalls = PERF_USAGE_NONE,
        .rss_bytes = PERF_USAGE_NONE,
    };
    switches_read(now, pid);
    memory_read(now, pid);
}

static uint64_t between(uint64_t begin, uint64_t end)
{
    return begin == PERF_USAGE_NONE || end == PERF_USAGE_NONE || end < begin ? PERF_USAGE_NONE
                                                                             : end - begin;
}

struct perf_usage perf_usage_between(const struct perf_usage *begin, const struct perf_usage *end)
{
    return (struct perf_usage){
        .wall_ns = between(begin->wall_ns, end->wall_ns),
        .cpu_ns = between(begin->cpu_ns, end->cpu_ns),
        .switches_voluntary = between(begin->switches_voluntary, end->switches_voluntary),
        .switches_forced = between(begin->switches_forced, end->switches_forced),
        .faults = between(begin->faults, end->faults),
        .syscalls = PERF_USAGE_NONE,
        .rss_bytes = end->rss_bytes,
    };
}
