/*
 * feed: one publisher and many subscribers, over nodes; one of them may be stopped in the middle.
 *
 * The publisher is a process on the first CPU, all subscribers share one on the second, which
 * measures. Flooding, the publisher sends what all take; nobody misses any (a full subscriber holds
 * the publisher up), and what is measured is the rate of each subscriber: the clock is read now and
 * then. With a rate each message has a time when it is due and one when it was sent, which are in
 * shared memory by its number, so that messages of any size have them:
 *   one_way   sent to arrival, of every message at every subscriber
 *   response  due to arrival: what somebody waits who doesn't know what the publisher does
 *   last      sent to the arrival at the last subscriber; skew: from the first one to the last
 *   lag       due to sent: the publisher's, and its library's where that made it wait
 * What belongs to the window is told by when it was due. One message is one delivery: rate, costs
 * and counts are by what arrived.
 *
 * With a victim there is one more subscriber, a process of its own on the second CPU. The publisher
 * then drops what a full subscriber has no room for. The victim is stopped by SIGSTOP a tenth into
 * the window, goes on after it, and has caught up when a message sent after the window arrives:
 * what is missing by then was dropped for it. `others` is response of all but the victim.
 */
#ifndef MCQ_PERF_WORKLOADS_FEED_H
#define MCQ_PERF_WORKLOADS_FEED_H

#include "perf/output/result.h"
#include "perf/peers/peer.h"
#include "perf/workloads/schedule.h"

/* Messages of a run with a rate, warm-up and all: 384 MiB of times. */
#define PERF_FEED_MSGS_MAX (UINT64_C(1) << 24)
/* Of each subscriber, where the library has such a limit: what libzmq's default is. */
#define PERF_FEED_HWM 1000u
/* Less of what was asked for is no run at that rate. */
#define PERF_FEED_SHARE_MIN 0.95

enum perf_victim { PERF_VICTIM_NONE, PERF_VICTIM_RUNS, PERF_VICTIM_STOPS };

struct perf_feed_job {
    const struct perf_peer *peer;
    enum perf_idle idle;
    enum perf_place place;
    enum perf_transport transport;
    uint32_t subs; /* the victim not included */
    size_t size;
    double seconds, warmup_s;
    struct perf_schedule_spec schedule; /* rate 0: flooding */
    enum perf_victim victim;            /* wants a rate */
    bool trace;
};

/* One crew: fills in the run, and refuses it when a message is doubled, out of order or damaged, or
 * missed by one that mustn't. False: it couldn't be measured. */
bool perf_feed_measure(const struct perf_feed_job *job, struct perf_run *run, char *reason);

#endif
