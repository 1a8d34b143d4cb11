/* usage: what a process of a crew cost the machine in its window. */
#ifndef MCQ_PERF_RUN_USAGE_H
#define MCQ_PERF_RUN_USAGE_H

#include <stdint.h>

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

/* This process until now: wall_ns is the clock, the rest counts from its start, rss_bytes and
 * syscalls are left out. */
void perf_usage_read(struct perf_usage *now);
/* Makes of a reading at a window's begin and now what lies between. */
void perf_usage_since(struct perf_usage *usage, const struct perf_usage *begin);

static inline double perf_usage_cpu_s(const struct perf_usage *usage)
{
    return (double)usage->cpu_ns / 1e9;
}

#endif
