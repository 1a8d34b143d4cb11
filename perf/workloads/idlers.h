/*
 * idlers: connections that say nothing beside some that ask at a rate, against one echo server.
 *
 * The client is workloads/storm.h, whatever the server. The active connections come first and are
 * used for a while; then what the server and the kernel hold is read; then the idle ones come, and
 * it is read again: the difference, per idle connection, is what one costs. A server that lays
 * memory aside for its connections when it starts has none of that in the difference; its whole
 * size, shared by all connections, is told besides, and how many buffers it has in use. Then the
 * active ones ask, in turns, each message due at its time: response is due to arrival, service sent
 * to arrival, lag due to sent.
 */
#ifndef MCQ_PERF_WORKLOADS_IDLERS_H
#define MCQ_PERF_WORKLOADS_IDLERS_H

#include "perf/output/result.h"
#include "perf/workloads/wire.h"

/* Slabs are the whole host's: the share of fewer connections can't be told from the rest. */
#define PERF_IDLERS_KERNEL_MIN 1000u

struct perf_idlers_job {
    const struct perf_peer *peer;
    enum perf_wire wire;
    enum perf_idle idle;
    enum perf_place place;
    enum perf_transport transport;
    struct perf_handler handler;
    size_t size;
    uint32_t active, idle_cnt;
    double rate; /* of all active ones together */
    double seconds, warmup_s;
    bool trace;
};

/* One crew: fills in the run, and refuses it when an answer is missing, doubled, out of order or
 * damaged. False: it couldn't be measured. */
bool perf_idlers_measure(const struct perf_idlers_job *job, struct perf_run *run, char *reason);

#endif
