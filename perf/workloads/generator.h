/*
 * generator: an open loop over a node that connects. It sends what a schedule says when it says so,
 * and never waits for an answer before it sends the next message.
 *
 * Of each message there are four times: when it was due, when the generator came to it, when it was
 * handed to the library, and when its answer arrived.
 *   response  due to arrival: what somebody waits who doesn't know what goes on behind
 *   service   handed over to arrival
 *   lag       due until the generator came to it: its own doing, and what tells whether it kept up.
 *             What a message then waits for those before it, or for room, is the library's: it is
 *             in response, and messages that found no room when they were due are counted (late).
 *
 * What is under way is kept in a table of PERF_FLIGHTS_MAX places over all connections; a message
 * that finds no place waits, and is late. Connections take turns. What belongs to the warm-up, and
 * what to the window, is told by when it was due. After the last send answers are waited for until
 * a deadline; what isn't back then is lost.
 */
#ifndef MCQ_PERF_WORKLOADS_GENERATOR_H
#define MCQ_PERF_WORKLOADS_GENERATOR_H

#include "mem/hdr.h"
#include "perf/peers/peer.h"
#include "perf/workloads/schedule.h"

/* A quarter of a second at 1,000,000/s; 4 MiB. */
#define PERF_FLIGHTS_MAX (UINT32_C(1) << 18)
/* Besides what a stall of the server lasts. */
#define PERF_DRAIN_NS (3 * PERF_SECOND_NS)

/* Left by a generator, in shared memory. Offsets are from the beginning of the schedule. */
struct perf_tally {
    uint64_t asked_cnt; /* due in the window */
    uint64_t sent_cnt;  /* ... and handed over */
    uint64_t answered_cnt;
    uint64_t late_cnt; /* ... once there had been no room for it, or for one before it */
    uint64_t all_cnt;  /* sent at all, warm-up and all */
    uint64_t lost_cnt, old_cnt, damaged_cnt;
    uint64_t last_sent_ns, last_answer_ns;
    _Atomic(uint64_t) start_ns; /* of the schedule (perf_clock_ns); 0: not yet */
    struct mcq_hdr *response, *service, *lag;
    struct mcq_hdr *intervals; /* of response, or NULL */
    uint32_t interval_cnt;
    uint64_t interval_ns;
};

struct perf_generator_spec {
    struct perf_schedule_spec schedule;
    uint64_t warmup_ns, window_ns;
    uint64_t drain_ns;
    bool saturate;        /* no schedule: as much as flights allow */
    uint32_t flights_max; /* under way at once over all connections; 0: PERF_FLIGHTS_MAX */
};

/* Opens a node by node_spec, whose arrived and ctx are its own, and works until all is back or
 * lost. The crew's window is all of that. False with the reason noted. */
bool perf_generator_run(struct perf_child *child, const struct perf_node_ops *ops,
                        const struct perf_node_spec *node_spec,
                        const struct perf_generator_spec *spec, struct perf_tally *tally);

#endif
