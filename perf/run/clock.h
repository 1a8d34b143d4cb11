/* clock: the one clock of every measurement here, so that all peers are timed alike. */
#ifndef MCQ_PERF_CLOCK_H
#define MCQ_PERF_CLOCK_H

#include <stdint.h>
#include <time.h>

#define PERF_SECOND_NS UINT64_C(1000000000)
#define PERF_MS_NS     UINT64_C(1000000)

static inline uint64_t perf_clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * PERF_SECOND_NS + (uint64_t)ts.tv_nsec;
}

#endif
