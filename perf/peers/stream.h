/*
 * stream: one connection of bare sockets that carries messages of one size, one behind the other.
 *
 * It keeps the beginning of a message whose rest hasn't come, and what is to be sent and the kernel
 * hasn't taken. A message is queued whole or not at all. Memory comes with the first use of either
 * and stays: an idle connection has none.
 */
#ifndef MCQ_PERF_PEERS_STREAM_H
#define MCQ_PERF_PEERS_STREAM_H

#include "perf/run/crew.h"

/* Bytes in order. At most four times its limit is ever allocated. */
struct perf_queue {
    unsigned char *data;
    size_t begin, end, cap;
};

static inline size_t perf_queue_len(const struct perf_queue *queue)
{
    return queue->end - queue->begin;
}

/* False, and nothing is queued: that would be more than max, or there is no memory. */
bool perf_queue_put(struct perf_queue *queue, const void *data, size_t len, size_t max);
/* The first len are gone. */
void perf_queue_drop(struct perf_queue *queue, size_t len);
void perf_queue_fini(struct perf_queue *queue);

struct perf_stream {
    int fd;
    uint32_t idx;        /* its place in the crowd */
    uint32_t life;       /* how many had this place before */
    unsigned char *part; /* the beginning of a message, part_len bytes of it */
    size_t part_len;
    struct perf_queue out;
    bool dirty;   /* has something to send since the last flush */
    bool blocked; /* the kernel took less than there was */
    bool watched; /* the waiter's: it is told when the kernel takes more */
    bool full;    /* a send found no room */
    bool ended;   /* and waits to be closed */
};

/* Never called with part of data: message is whole, and borrowed. */
typedef void perf_whole_fn(void *ctx, struct perf_stream *stream, const void *message);

/* Takes len bytes that came, of messages of size bytes, and calls whole for each that is complete.
 * False: no memory. */
bool perf_stream_feed(struct perf_stream *stream, size_t size, const void *data, size_t len,
                      perf_whole_fn *whole, void *ctx);

/* Closes fd and gives the memory back. The place keeps its idx, and its life goes up. */
void perf_stream_fini(struct perf_stream *stream);

#endif
