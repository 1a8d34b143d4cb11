/* usage: what a process of a crew cost the machine in its window. */
#ifndef MCQ_PERF_RUN_USAGE_H
#define MCQ_PERF_RUN_USAGE_H

#include <stdint.h>
#include <sys/types.h>

/* Not measured. */
#define PERF_USAGE_NONE UINT64_MAX

struct perf_usage {
    uint64_t wall_ns;
    uint64_t cpu_ns; /* all threads, user and system */
    uint64_t switches_voluntary, switches_forced;
    uint64_t faults;
    uint64_t syscalls;  /* PERF_USAGE_NONE unless the crew was traced */
    uint64_t rss_bytes; /* at the window's end */
};

/* A process of ours until now: wall_ns is the clock, the rest counts from its start. What can't be
 * read, of one that has just ended, stays PERF_USAGE_NONE. */
void perf_usage_read(struct perf_usage *now, pid_t pid);
/* What lies between two readings; rss_bytes is that of the end. */
struct perf_usage perf_usage_between(const struct perf_usage *begin, const struct perf_usage *end);

static inline double perf_usage_cpu_s(const struct perf_usage *usage)
{
    return (double)usage->cpu_ns / 1e9;
}

#endif
