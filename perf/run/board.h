/*
 * board: the page that a crew and its parent share. Private to crew.c and child.c.
 *
 * Each process writes its own place, and the one that opens a window of all writes everybody's
 * usage; what is reported is whole once the process has ended. The parent writes `go`, `gone` and,
 * of a traced crew, `syscalls`.
 */
#ifndef MCQ_PERF_RUN_BOARD_H
#define MCQ_PERF_RUN_BOARD_H

#include "perf/run/crew.h"

#include <sys/types.h>

struct perf_place_card {
    _Atomic(pid_t) pid; /* 0 until it lives */
    atomic_bool named;  /* endpoint is whole */
    char endpoint[PERF_ENDPOINT_MAX];
    atomic_bool gone;   /* the process has ended */
    atomic_bool window; /* its window is open: what it does now is counted */
    struct perf_usage at_begin, usage;
    atomic_uint_fast64_t syscalls;
    bool reported, ok;
    char reason[PERF_REASON_MAX];
};

struct perf_crew_board {
    pid_t parent;
    atomic_bool stop;
    atomic_bool begun, ended; /* a window of all was opened, and closed */
    atomic_bool go;           /* all are followed that are to be */
    struct perf_place_card places[PERF_CREW_MAX];
};

/* The child's whole life, from fork on: works, reports, exits. */
_Noreturn void perf_child_live(const struct perf_crew *crew, struct perf_crew_board *board,
                               unsigned idx, int cpu);

/* What a server that was killed, or a library that leaves it, has left of an ipc endpoint. */
void perf_place_remove_file(const struct perf_place_card *place);

#endif
