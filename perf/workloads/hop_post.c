/* Typed posts: the asking shard is 0, the answering one 1. */
#include "perf/workloads/hop.h"

#include "perf/run/clock.h"

enum { POST_READY, POST_ASK, POST_ANSWER, POST_STREAM, POST_DONE };

static bool post(struct mcq_shard *shard, uint32_t kind, const void *data, size_t len)
{
    return mcq_post_bytes(shard, 1 - mcq_shard_id(shard), kind, data, len) == MCQ_OK;
}

static void give_up(struct mcq_shard *shard, struct perf_hop_meter *m)
{
    m->wrong = true;
    mcq_stop(shard);
}

static void ask(struct mcq_shard *shard, struct perf_hop_meter *m)
{
    perf_hop_ask(m);
    if (!post(shard, POST_ASK, m->body, m->size)) {
        give_up(shard, m);
    }
}

/* Until the lane is full; on_post_room goes on. */
static void stream(struct mcq_shard *shard, struct perf_hop_meter *m)
{
    void *at;
    while (m->sent < m->msgs && mcq_post_reserve(shard, 1, POST_STREAM, m->size, &at) == MCQ_OK) {
        memcpy(at, &m->sent, sizeof m->sent);
        mcq_post_commit(shard, 1);
        m->sent++;
    }
}

static void answered(struct mcq_shard *shard, struct perf_hop_meter *m, const void *data,
                     size_t len)
{
    if (!perf_hop_answered(m, data, len)) {
        ask(shard, m);
    } else {
        m->stream_ns = perf_clock_ns();
        stream(shard, m);
    }
}

static void on_post(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                    const void *data, size_t len)
{
    struct perf_hop_meter *m = arg;
    (void)from;
    switch (kind) {
    case POST_READY:
        ask(shard, m);
        break;
    case POST_ASK:
        if (!post(shard, POST_ANSWER, data, len)) {
            give_up(shard, m);
        }
        break;
    case POST_ANSWER:
        answered(shard, m, data, len);
        break;
    case POST_STREAM:
        if (perf_hop_received(m, data, len)) {
            m->stream_ns = perf_clock_ns() - m->stream_ns;
            mcq_stop(shard);
        }
        break;
    }
}

static void on_post_room(struct mcq_shard *shard, void *arg, uint32_t to)
{
    (void)to;
    if (mcq_shard_id(shard) == 0) {
        stream(shard, arg);
    }
}

static int start(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    return mcq_shard_id(shard) == 1 && !post(shard, POST_READY, NULL, 0);
}

bool perf_hop_post_run(const struct mcq_opts *opts, struct perf_hop_meter *meter)
{
    const struct mcq_app app = {.start = start, .on_post = on_post, .on_post_room = on_post_room};
    return mcq_run(opts, &app, meter, NULL) == MCQ_OK && !meter->wrong;
}
