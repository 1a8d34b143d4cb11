#include "perf/peers/stream.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first allocation: an idle connection that answers now and then needs no more. */
#define QUEUE_CAP_MIN 256u

/* Moving is paid for by what was dropped before: it is never more than that. */
static bool queue_make_room(struct perf_queue *queue, size_t len)
{
    size_t live = perf_queue_len(queue);
    if (queue->begin >= live && queue->begin >= len) {
        memcpy(queue->data, queue->data + queue->begin, live);
        queue->begin = 0;
        queue->end = live;
        return true;
    }
    size_t cap = queue->cap == 0 ? QUEUE_CAP_MIN : queue->cap;
    while (cap < queue->end + len) {
        cap *= 2;
    }
    unsigned char *data = realloc(queue->data, cap);
    if (data == NULL) {
        return false;
    }
    queue->data = data;
    queue->cap = cap;
    return true;
}

bool perf_queue_put(struct perf_queue *queue, const void *data, size_t len, size_t max)
{
    if (perf_queue_len(queue) + len > max ||
        (queue->cap - queue->end < len && !queue_make_room(queue, len))) {
        return false;
    }
    memcpy(queue->data + queue->end, data, len);
    queue->end += len;
    return true;
}

void perf_queue_drop(struct perf_queue *queue, size_t len)
{
    queue->begin += len;
    if (queue->begin == queue->end) {
        queue->begin = queue->end = 0;
    }
}

void perf_queue_fini(struct perf_queue *queue)
{
    free(queue->data);
    *queue = (struct perf_queue){0};
}

static bool part_add(struct perf_stream *stream, size_t size, const void *data, size_t len)
{
    if (stream->part == NULL) {
        stream->part = malloc(size);
        if (stream->part == NULL) {
            return false;
        }
    }
    memcpy(stream->part + stream->part_len, data, len);
    stream->part_len += len;
    return true;
}

bool perf_stream_feed(struct perf_stream *stream, size_t size, const void *data, size_t len,
                      perf_whole_fn *whole, void *ctx)
{
    const unsigned char *at = data;
    if (stream->part_len > 0) {
        size_t missing = size - stream->part_len;
        size_t take = len < missing ? len : missing;
        part_add(stream, size, at, take);
        if (take < missing) {
            return true;
        }
        stream->part_len = 0;
        whole(ctx, stream, stream->part);
        at += take;
        len -= take;
    }
    for (; len >= size; at += size, len -= size) {
        whole(ctx, stream, at);
    }
    return len == 0 || part_add(stream, size, at, len);
}

void perf_stream_fini(struct perf_stream *stream)
{
    close(stream->fd);
    free(stream->part);
    perf_queue_fini(&stream->out);
    *stream = (struct perf_stream){.fd = -1, .idx = stream->idx, .life = stream->life + 1};
}
