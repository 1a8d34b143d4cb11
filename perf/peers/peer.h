/*
 * peer: what is measured. One file each, one table at its bottom.
 *
 * Servers and receivers bind 127.0.0.1, name their port to the other side and serve one client.
 * An rtt server ends after perf_rtt_trips answers; a sender ends when the receiver is gone or
 * perf_child_stopped says so. Every function runs in a process of its own, pinned already when it
 * is to be pinned, and closes what it opened.
 */
#ifndef MCQ_PERF_PEER_H
#define MCQ_PERF_PEER_H

#include "perf/workloads/rtt.h"
#include "perf/workloads/throughput.h"

struct perf_peer {
    const char *name;
    const char *missing; /* why this build can't run it, or NULL */
    bool always_blocks;  /* whatever idle policy is asked for */
    bool has_threads;    /* more than one thread per process: placement may be better left free */
    /* Both NULL: there is no such workload for this peer. */
    bool (*rtt_serve)(struct perf_child *child, const struct perf_rtt_job *job);
    bool (*rtt_run)(struct perf_child *child, const struct perf_rtt_job *job,
                    struct perf_rtt_meter *meter);
    bool (*rate_receive)(struct perf_child *child, const struct perf_rate_job *job,
                         struct perf_rate_meter *meter);
    bool (*rate_send)(struct perf_child *child, const struct perf_rate_job *job);
};

extern const struct perf_peer perf_peer_mcq;
extern const struct perf_peer perf_peer_libzmq;
extern const struct perf_peer perf_peer_raw;
extern const struct perf_peer perf_peer_raw_frames;

/* Sets an option of the library for the mcq peer, as every program's command line does: a bad value
 * ends the program with a sentence and status 2. text: borrowed for good. */
void perf_peer_mcq_option(const char *name, char *text);

/* NULL when there is none of that name. */
const struct perf_peer *perf_peer_find(const char *name);

#endif
