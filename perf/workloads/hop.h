/*
 * hop: from one shard to another of the same process and back, and a stream one way.
 *
 * In one run: the floor (what two threads need for the same without any of ours), round trips, a
 * stream. Spinning the floor is a cache line that goes to and fro, blocking it is an eventfd that
 * each side sleeps on. A trip is the distance between two stamps on the asking side, as in rtt.h;
 * the stream is timed from the first send to the last message at its receiver. With --out an
 * artefact is left besides.
 */
#ifndef MCQ_PERF_HOP_H
#define MCQ_PERF_HOP_H

#include "mem/hdr.h"
#include "perf/options.h"

#include <monocoque.h>

/* What a way between shards is given to measure with: counts and stamps, the same for each. */
struct perf_hop_meter {
    size_t size;
    uint64_t trips, warmup; /* wanted: to be recorded, and before those */
    uint64_t msgs;
    struct mcq_hdr hdr;
    uint64_t last_ns, trip;
    uint64_t stream_ns;              /* from the first send to the last message */
    uint64_t sent;                   /* the asking shard's */
    _Alignas(128) uint64_t received; /* the answering shard's */
    uint64_t answered;
    bool wrong; /* a message wasn't the one that was due */
    _Alignas(128) uint8_t body[PERF_HOP_SIZE_MAX];
};

/* Asking side: writes the trip's number, and takes its return. True once all are done. */
void perf_hop_ask(struct perf_hop_meter *m);
bool perf_hop_answered(struct perf_hop_meter *m, const void *data, size_t len);
/* Receiving side of the stream: true if that was the last. */
bool perf_hop_received(struct perf_hop_meter *m, const void *data, size_t len);

/* Runs the app of one way, with two shards; false: it couldn't, or something was wrong. */
bool perf_hop_post_run(const struct mcq_opts *opts, struct perf_hop_meter *meter);
bool perf_hop_inproc_run(const struct mcq_opts *opts, struct perf_hop_meter *meter);
/* Two threads; fills hdr. */
bool perf_hop_floor(enum perf_idle idle, uint64_t trips, struct mcq_hdr *hdr);

int perf_hop_main(const struct perf_options *options);

#endif
