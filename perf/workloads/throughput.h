/*
 * throughput: how many messages arrive per second, counted by the receiver.
 *
 * The receiver calls `perf_rate_add` per message or per batch. That is an addition and a compare;
 * the clock is read only every few thousand messages (about every MiB), never per message. The
 * window opens once the warm-up, counted from the first message, is over, and closes at the first
 * look at the clock after the asked time; both its ends are exact for the counts they go with.
 * Every message carries a stamp (perf/run/stamp.h), and every one is checked, warm-up and all:
 * `perf_rate_take`.
 */
#ifndef MCQ_PERF_THROUGHPUT_H
#define MCQ_PERF_THROUGHPUT_H

#include "perf/peers/node.h"
#include "perf/run/stamp.h"
#include "perf/workloads/cost.h"

#include <stdbool.h>
#include <stdint.h>

struct perf_options;
struct perf_peer;

struct perf_rate_job {
    size_t size;
    double seconds;
    enum perf_transport transport;
    bool trace; /* system calls are counted; the rate is worth nothing then */
};

struct perf_rate_result {
    uint64_t msgs;
    double seconds; /* as measured */
    enum perf_place place;
    struct perf_cost cost;
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
    size_t size;
    struct perf_child *child;
    struct perf_stamp_check check;
};

/* What a sender stamps its messages with. */
struct perf_rate_stamps {
    struct perf_stamper stamper;
    uint64_t next;
};

/* The slow path of perf_rate_add. */
bool perf_rate_look(struct perf_rate_meter *meter);

/* Counts messages that arrived. False once the window is over. */
static inline bool perf_rate_add(struct perf_rate_meter *meter, uint64_t msgs)
{
    meter->cnt += msgs;
    return meter->cnt < meter->look_cnt || perf_rate_look(meter);
}

/* Checks one message. False: it isn't the next one, whole; perf_rate_fault says what is wrong. */
static inline bool perf_rate_take(struct perf_rate_meter *meter, const void *body, size_t len)
{
    uint64_t number;
    return perf_stamp_take(&meter->check, body, len, meter->size, &number);
}

/* Notes what is wrong with the messages; false. */
bool perf_rate_fault(struct perf_child *child, const struct perf_rate_meter *meter);

/* A sender's body, with what it takes to stamp it; NULL with the reason noted. To be freed. */
void *perf_rate_body(struct perf_child *child, const struct perf_rate_job *job,
                     struct perf_rate_stamps *stamps);

/* Makes of body the next message. One that couldn't be sent: perf_rate_again. */
static inline void perf_rate_fill(struct perf_rate_stamps *stamps, void *body)
{
    perf_stamp_put(&stamps->stamper, body, stamps->next++);
}

static inline void perf_rate_again(struct perf_rate_stamps *stamps)
{
    stamps->next--;
}

/* The high-water mark, in messages, of every peer that has one: high enough that none waits for the
 * other side's wake-up at small sizes, and not above 8 MiB of memory for large ones, which then
 * stay in a cache, as they would with a program that reuses its buffers. */
uint32_t perf_rate_hwm_msgs(size_t size);

double perf_rate_msgs_per_s(const struct perf_rate_result *result);

/* Payload alone, in units of 10^6 bytes. */
double perf_rate_mb_per_s(const struct perf_rate_result *result, size_t size);

int perf_throughput_main(const struct perf_options *options);

/* False, with a sentence, when this peer has no such stream here. */
bool perf_rate_can(const struct perf_peer *peer, const struct perf_rate_job *job, char *reason);

/* One measurement in two new processes. On failure false and a sentence in reason. */
bool perf_rate_measure(const struct perf_peer *peer, const struct perf_rate_job *job,
                       enum perf_place place, struct perf_rate_result *result, char *reason);

/* Of the same job, shorter and followed: fills in the system calls, if it can. */
void perf_rate_trace(const struct perf_peer *peer, const struct perf_rate_job *job,
                     struct perf_rate_result *result);

/* The same as measure; a peer with threads of its own is measured pinned and free, and the better
 * is told. */
bool perf_rate_measure_best(const struct perf_peer *peer, const struct perf_rate_job *job,
                            struct perf_rate_result *result, char *reason);

#endif
