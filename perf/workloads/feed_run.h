/*
 * feed_run: what the processes of a feed share. Private to feed*.c.
 *
 * None closes its node: each ends with it, and closing may last (nng_close does, at times for
 * good).
 */
#ifndef MCQ_PERF_WORKLOADS_FEED_RUN_H
#define MCQ_PERF_WORKLOADS_FEED_RUN_H

#include "perf/run/clock.h"
#include "perf/run/stamp.h"
#include "perf/workloads/feed.h"

#include <stdatomic.h>

enum { PERF_FEED_PUBLISHER, PERF_FEED_SUBSCRIBERS, PERF_FEED_VICTIM };

/* How long a poll may last before something else is looked for. */
#define PERF_FEED_LOOK_NS (10 * PERF_MS_NS)
/* For subscribers to come, for what is under way to arrive, for the victim to catch up. */
#define PERF_FEED_WAIT_NS (10 * PERF_SECOND_NS)

enum { FEED_ONE_WAY, FEED_RESPONSE, FEED_LAST, FEED_SKEW, FEED_LAG, FEED_HIST_CNT };

/* When a message is due, from the beginning, and when it was sent, by the clock. */
struct perf_feed_time {
    uint64_t due_ns;
    _Atomic uint64_t sent_ns;
};

struct perf_feed_run {
    const struct perf_feed_job *job;
    struct mcq_hdr *hists[FEED_HIST_CNT]; /* shared, too */
    struct perf_feed_time *times;         /* with a rate */
    uint64_t open, close;                 /* messages of the window: [open, close) */
    _Atomic uint64_t begin_ns;            /* what due_ns counts from; 0 before */
    _Atomic uint64_t last_sent_ns;        /* of those in the window */
    /* the subscribers' */
    double seconds;
    uint64_t received, least, most;
    uint64_t lost, old, damaged;
    char fault[PERF_STAMP_TEXT];
    /* the victim's */
    _Atomic int victim_pid;
    atomic_bool caught_up;
    atomic_bool victim_gone; /* its connection ended */
    uint64_t victim_lost;
};

static inline bool perf_feed_floods(const struct perf_feed_run *run)
{
    return run->job->schedule.rate <= 0;
}

static inline uint32_t perf_feed_subs(const struct perf_feed_run *run)
{
    return run->job->subs + (run->job->victim != PERF_VICTIM_NONE ? 1 : 0);
}

bool perf_feed_publish(struct perf_child *child, void *arg);
bool perf_feed_subscribe(struct perf_child *child, void *arg);
bool perf_feed_suffer(struct perf_child *child, void *arg);

/* A subscriber's node, of so many connections to the publisher. The victim doesn't spin: it has its
 * CPU together with the others. */
bool perf_feed_join(struct perf_child *child, const struct perf_feed_run *run, struct perf_node *n,
                    uint32_t conns, bool spin, perf_arrived_fn *arrived, void *ctx);

#endif
