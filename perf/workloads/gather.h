/*
 * gather: many clients of one process, one server, over nodes.
 *
 *   push  PUSH to PULL. Without a rate the clients send what the server takes, in turns, and the
 *         server counts. With one each message has a time when it is due and one when it was sent,
 *         in shared memory by its number, and the server tells one_way, response and lag apart as
 *         feed.h does. A message's number says whose it is: a PULL needn't know.
 *   echo  CLIENT to SERVER and back: each client has so many requests under way; service is how
 *         long each was. The clients count.
 *
 * Fairness is least / most of what one client brought in the window. In every run each client's
 * messages are numbered and checked on their own.
 */
#ifndef MCQ_PERF_WORKLOADS_GATHER_H
#define MCQ_PERF_WORKLOADS_GATHER_H

#include "perf/output/result.h"
#include "perf/peers/peer.h"

/* The number of a message has the client's above these bits. */
#define PERF_GATHER_SHIFT 40u
/* A number has to be in the message whole. */
#define PERF_GATHER_SIZE_MIN 16u
/* Of a run with a rate, warm-up and all. */
#define PERF_GATHER_MSGS_MAX  (UINT64_C(1) << 24)
#define PERF_GATHER_SHARE_MIN 0.95

enum perf_gather { PERF_GATHER_PUSH, PERF_GATHER_ECHO };

struct perf_gather_job {
    enum perf_gather how;
    const struct perf_peer *peer;
    enum perf_idle idle;
    enum perf_place place;
    enum perf_transport transport;
    uint32_t conns;
    uint32_t depth; /* echo: requests under way of each client */
    size_t size;
    double seconds, warmup_s;
    double rate; /* push; 0: flooding */
    bool trace;
};

/* One crew: fills in the run, and refuses it when a message is missing, doubled, out of order or
 * damaged. False: it couldn't be measured. */
bool perf_gather_measure(const struct perf_gather_job *job, struct perf_run *run, char *reason);

#endif
