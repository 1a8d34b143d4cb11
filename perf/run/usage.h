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

#endif
