/*
 * affinity: which CPUs the two processes of a measurement run on.
 *
 * The server (or receiver) gets the first CPU this process is allowed to use and the client (or
 * sender) the second. Where only one is allowed both share it, which is said in every report; a
 * spinning measurement is refused there, since each side would wait for the other's time slice.
 */
#ifndef MCQ_PERF_AFFINITY_H
#define MCQ_PERF_AFFINITY_H

#include <stdbool.h>

enum perf_place {
    PERF_PLACE_PINNED, /* one process per CPU */
    PERF_PLACE_FREE,   /* both processes and all their threads anywhere on the allowed CPUs */
};

struct perf_cpus {
    int server;
    int client;
    int allowed_cnt;
};

/* False when the kernel doesn't tell, with errno set. */
bool perf_cpus_find(struct perf_cpus *cpus);

bool perf_cpus_pin(int cpu);

const char *perf_place_name(enum perf_place place);

#endif
