/*
 * stopped: one publisher of ours, many subscribers, one of which may be stopped in the middle; with
 * what the library itself counts and tells of it, which nodes do not.
 *
 * The publisher is a process on the first CPU; all subscribers but one share a process on the
 * second, and that one, the victim, is a process of its own, which the other stops with SIGSTOP a
 * tenth into the measured window. Messages carry the time they were published, so latency is from
 * the call that published to the handler that got it. The publisher's last message tells the
 * subscribers' process what the publisher saw.
 */
#ifndef MCQ_PERF_STOPPED_H
#define MCQ_PERF_STOPPED_H

#include "perf/run/crew.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_STOPPED_SUBS_MAX 1000u

struct perf_stopped_job {
    uint32_t subs; /* the victim included */
    size_t size;
    double seconds;    /* of the window */
    double msgs_per_s; /* published; 0: as many as everybody takes */
    bool stop;         /* the victim is stopped */
};

/* What the publisher saw; goes through a message as it is. */
struct perf_stopped_seen {
    uint64_t published;                      /* in the window */
    double seconds;                          /* its length, as published */
    uint64_t slow_victim, slow_others;       /* events MCQ_EVENT_SLOW */
    uint64_t dropped_victim, dropped_others; /* messages, by events */
    uint64_t dropped_counted;                /* by the shard's counters */
    uint64_t blocks_peak, blocks_empty;      /* memory blocks held at once; takes that found none */
};

struct perf_stopped_result {
    struct perf_stopped_seen seen;
    uint64_t received;    /* by all but the victim, in the window */
    uint64_t least, most; /* by one of them */
    double msgs_per_s;    /* received by each, on average */
    double p50_us, p99_us, max_us;
};

/* On failure false and a sentence in reason. */
bool perf_stopped_measure(const struct perf_stopped_job *job, struct perf_stopped_result *result,
                          char *reason);

#endif
