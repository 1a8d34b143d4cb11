/*
 * throughput: how many messages arrive per second, counted by the receiver.
 *
 * The receiver calls `perf_rate_add` per message or per batch. That is an addition and a compare;
 * the clock is read only every few thousand messages (about every MiB), never per message. The
 * window opens once the warm-up, counted from the first message, is over, and closes at the first
 * look at the clock after the asked time; both its ends are exact for the counts they go with.
 */
#ifndef MCQ_PERF_THROUGHPUT_H
#define MCQ_PERF_THROUGHPUT_H

#include "perf/peers/node.h"

#include <stdbool.h>
#include <stdint.h>

struct perf_options;
struct perf_peer;

struct perf_rate_job {
    size_t size;
    double seconds;
    enum perf_transport transport;
};

struct perf_rate_result {
    uint64_t msgs;
    double seconds; /* as measured */
    enum perf_place place;
};

struct perf_rate_meter {
    uint64_t cnt;
    uint64_t look_cnt; /* look at the clock once cnt is there */
    uint64_t look_step;
    uint64_t window_ns;
    uint64_t warmup_ns;
    uint64_t first_ns; /* 0 before the first look */
    uint64_t open_ns;  /* 0 during the warm-up */
    uint64_t open_cnt;
    uint64_t close_ns; /* 0 until the window is over */
};

/* The slow path of perf_rate_add. */
bool perf_rate_look(struct perf_rate_meter *meter);

/* Counts messages that arrived. False once the window is over. */
static inline bool perf_rate_add(struct perf_rate_meter *meter, uint64_t msgs)
{
    meter->cnt += msgs;
    return meter->cnt < meter->look_cnt || perf_rate_look(meter);
}

/* The high-water mark, in messages, of every peer that has one: high enough that none waits for the
 * other side's wake-up at small sizes, and not above 64 MiB of memory for large ones. */
uint32_t perf_rate_hwm_msgs(size_t size);

double perf_rate_msgs_per_s(const struct perf_rate_result *result);

/* Payload alone, in units of 10^6 bytes. */
double perf_rate_mb_per_s(const struct perf_rate_result *result, size_t size);

int perf_throughput_main(const struct perf_options *options);

/* One measurement in two new processes. On failure false and a sentence in reason. */
bool perf_rate_measure(const struct perf_peer *peer, const struct perf_rate_job *job,
                       enum perf_place place, struct perf_rate_result *result, char *reason);

/* The same; a peer with threads of its own is measured pinned and free, and the better is told. */
bool perf_rate_measure_best(const struct perf_peer *peer, const struct perf_rate_job *job,
                            struct perf_rate_result *result, char *reason);

#endif
