/*
 * rtt: round trips of one request at a time, timed on the client.
 *
 * Each trip is stamped once, when its reply has arrived and its sequence number has been checked;
 * the time of a trip is the distance between two stamps, so nothing the client does between trips
 * is left out. Warm-up trips take the same path and are then forgotten. The same calls serve every
 * peer: body, start, then per trip fill, (send, receive), check, trip. Every request carries a
 * stamp (perf/run/stamp.h), and every reply has to be the request that was sent.
 */
#ifndef MCQ_PERF_RTT_H
#define MCQ_PERF_RTT_H

#include "mem/hdr.h"
#include "perf/peers/node.h"
#include "perf/run/clock.h"
#include "perf/run/stamp.h"
#include "perf/workloads/cost.h"

#include <stdbool.h>
#include <stdint.h>

struct perf_options;
struct perf_peer;

enum perf_idle { PERF_IDLE_SPIN, PERF_IDLE_BLOCK };

#define PERF_RTT_COUNT_SPIN  100000u
#define PERF_RTT_COUNT_BLOCK 20000u

/* A percentile is only said when at least this many samples lie above it. */
#define PERF_RTT_ABOVE_MIN 10u

struct perf_rtt_job {
    size_t size;
    uint64_t count;
    enum perf_idle idle;
    enum perf_transport transport;
    const char *endpoint;    /* a server that isn't ours; NULL: ours */
    const char *socket_type; /* with an endpoint */
    struct perf_handler handler;
    bool trace; /* system calls are counted; the times are worth nothing then */
};

enum perf_rtt_point {
    PERF_RTT_P50,
    PERF_RTT_P90,
    PERF_RTT_P99,
    PERF_RTT_P999,
    PERF_RTT_P9999,
    PERF_RTT_MAX,
    PERF_RTT_POINT_CNT,
};

struct perf_rtt_result {
    uint64_t count;
    double seconds; /* that the trips took together */
    enum perf_place place;
    double us[PERF_RTT_POINT_CNT]; /* NAN where there are too few samples */
    struct perf_cost cost;
};

struct perf_rtt_meter {
    struct mcq_hdr hdr;
    uint64_t last_ns;
    uint64_t seq;
    uint64_t mark;   /* the trip at which something else is to be done than to go on */
    uint64_t warmup; /* so many trips, and then those that count */
    uint64_t trips;  /* warm-up included */
    size_t size;
    struct perf_child *child;
    struct perf_stamper stamper;
    struct perf_stamp_check check;
};

/* Trips before the first one that counts. */
uint64_t perf_rtt_warmup(const struct perf_rtt_job *job);

/* Warm-up included: how many requests the server answers before it ends. */
uint64_t perf_rtt_trips(const struct perf_rtt_job *job);

const char *perf_rtt_point_name(enum perf_rtt_point point);
const char *perf_idle_name(enum perf_idle idle);

int perf_rtt_main(const struct perf_options *options);

/* What the command line asks for, of this peer. */
struct perf_rtt_job perf_rtt_job_of(const struct perf_options *options,
                                    const struct perf_peer *peer, enum perf_idle idle);
/* False, with a sentence, when this peer has no such round trip here. */
bool perf_rtt_can(const struct perf_peer *peer, const struct perf_rtt_job *job, char *reason);

/* One measurement in two new processes. On failure false and a sentence in reason. hist: NULL, or
 * where the trips are added (perf_hist_new). */
bool perf_rtt_measure(const struct perf_peer *peer, const struct perf_rtt_job *job,
                      enum perf_place place, struct perf_rtt_result *result, struct mcq_hdr *hist,
                      char *reason);
/* Of the same job, shorter and followed: fills in the system calls, if it can. */
void perf_rtt_trace(const struct perf_peer *peer, const struct perf_rtt_job *job,
                    struct perf_rtt_result *result);

/* The same; a peer with threads of its own is measured pinned and free, and the better is told. */
bool perf_rtt_measure_best(const struct perf_peer *peer, const struct perf_rtt_job *job,
                           struct perf_rtt_result *result, struct mcq_hdr *hist, char *reason);

/* The request to be filled; NULL with the reason noted. To be freed by the caller. */
void *perf_rtt_body(struct perf_child *child, struct perf_rtt_meter *meter);

/* At a mark: the warm-up ends, or all. */
bool perf_rtt_marked(struct perf_rtt_meter *meter);

static inline void perf_rtt_start(struct perf_rtt_meter *meter)
{
    meter->last_ns = perf_clock_ns();
}

/* Stamps the coming trip's request. */
static inline void perf_rtt_fill(const struct perf_rtt_meter *meter, void *body)
{
    perf_stamp_put(&meter->stamper, body, meter->seq);
}

static inline bool perf_rtt_check(struct perf_rtt_meter *meter, const void *body, size_t len)
{
    uint64_t number;
    return perf_stamp_take(&meter->check, body, len, meter->size, &number);
}

/* Stamps and records the trip that just ended. False when it was the last one. */
static inline bool perf_rtt_trip(struct perf_rtt_meter *meter)
{
    uint64_t now_ns = perf_clock_ns();
    mcq_hdr_record(&meter->hdr, now_ns - meter->last_ns);
    meter->last_ns = now_ns;
    return __builtin_expect(++meter->seq != meter->mark, 1) || perf_rtt_marked(meter);
}

#endif
