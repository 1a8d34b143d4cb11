/*
 * logon: a storm of logons against one server: connect, hello, one message and its answer, reset.
 *
 * The client is workloads/storm.h, whatever the server, with so many logons under way at any time:
 * one that is over makes room for the next. Of each
 *   connect   is from connect to the end of the hello (bare sockets: until connected, which the
 *             kernel alone answers for),
 *   response  from connect to the answer to the first message, which only a server gives that has
 *             the connection.
 * A logon counts once its answer is there, whole and its own.
 */
#ifndef MCQ_PERF_WORKLOADS_LOGON_H
#define MCQ_PERF_WORKLOADS_LOGON_H

#include "perf/output/result.h"
#include "perf/workloads/wire.h"

struct perf_logon_job {
    const struct perf_peer *peer; /* the server */
    enum perf_wire wire;
    const char *endpoint; /* of a server that isn't ours; NULL */
    enum perf_idle idle;
    enum perf_place place;
    enum perf_transport transport;
    size_t size;
    uint32_t conns; /* under way at once */
    uint64_t count; /* over after so many in the window; 0: by time alone */
    double seconds, warmup_s;
    uint64_t patience_ns; /* as of a storm */
    bool trace;
};

/* One crew: fills in the run, and refuses it when an answer isn't what was sent. False: it couldn't
 * be measured. */
bool perf_logon_measure(const struct perf_logon_job *job, struct perf_run *run, char *reason);

#endif
