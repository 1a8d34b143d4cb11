/*
 * gather_run: what the processes of a gathering share. Private to gather*.c.
 *
 * None closes its node: each ends with it, and closing may last (nng_close does, at times for
 * good).
 */
#ifndef MCQ_PERF_WORKLOADS_GATHER_RUN_H
#define MCQ_PERF_WORKLOADS_GATHER_RUN_H

#include "perf/run/clock.h"
#include "perf/run/stamp.h"
#include "perf/workloads/gather.h"

#include <stdatomic.h>

#define PERF_GATHER_LOOK_NS (10 * PERF_MS_NS)
#define PERF_GATHER_WAIT_NS (10 * PERF_SECOND_NS)

enum { GATHER_ONE_WAY, GATHER_RESPONSE, GATHER_LAG, GATHER_SERVICE, GATHER_HIST_CNT };

struct perf_gather_run {
    const struct perf_gather_job *job;
    struct mcq_hdr *hists[GATHER_HIST_CNT]; /* shared, too */
    _Atomic uint64_t *sent_ns;              /* with a rate: by number over all clients */
    uint64_t open, close;                   /* of these the window: [open, close) */
    _Atomic uint64_t begin_ns;              /* what is due counts from it; 0 before */
    _Atomic uint64_t last_sent_ns;
    /* the measuring side's */
    double seconds;
    uint64_t received, least, most;
    uint64_t lost, old, damaged;
    char fault[PERF_STAMP_TEXT];
};

/* What the side that measures knows of each client, and of the window. */
struct perf_gatherer {
    struct perf_gather_run *run;
    struct perf_child *child;
    struct perf_stamp_check *checks; /* by client */
    uint64_t *received;              /* by client, in the window */
    uint64_t cnt;
    uint64_t warmup_ns, window_ns;
    uint64_t first_ns, open_ns, close_ns; /* by the clock; 0 until then */
    uint64_t strangers;                   /* damaged beyond telling whose */
    bool open, over, faulty;
};

bool perf_gatherer_init(struct perf_gatherer *g, struct perf_gather_run *run,
                        struct perf_child *child);
void perf_gatherer_fini(struct perf_gatherer *g);
/* A message, checked: whose it is in *conn and its number on that connection in *number. */
bool perf_gatherer_take(struct perf_gatherer *g, const void *data, size_t len, uint32_t *conn,
                        uint64_t *number);
/* Opens the window and ends it, by the clock. */
void perf_gatherer_look(struct perf_gatherer *g, uint64_t now_ns);
void perf_gatherer_open(struct perf_gatherer *g);
/* Into the run, when all is over. */
void perf_gatherer_tell(struct perf_gatherer *g);

static inline uint64_t perf_gather_number(uint32_t conn, uint64_t number)
{
    return (uint64_t)conn << PERF_GATHER_SHIFT | number;
}

/* When the number-th message of all is due, from the beginning. */
static inline uint64_t perf_gather_due_ns(const struct perf_gather_run *run, uint64_t number)
{
    return (uint64_t)((long double)number * 1e9L / (long double)run->job->rate);
}

bool perf_gather_pull(struct perf_child *child, void *arg);
bool perf_gather_push(struct perf_child *child, void *arg);
bool perf_gather_serve(struct perf_child *child, void *arg);
bool perf_gather_ask(struct perf_child *child, void *arg);

#endif
