/* Two PAIRs over inproc: the one that binds asks, on shard 0. */
#include "perf/workloads/hop.h"

#include "perf/run/clock.h"

#define ENDPOINT "inproc://hop"

static void give_up(struct mcq_sock *sock, struct perf_hop_meter *m)
{
    m->wrong = true;
    mcq_stop(mcq_sock_shard(sock));
}

static void ask(struct mcq_sock *sock, struct perf_hop_meter *m)
{
    perf_hop_ask(m);
    if (mcq_send_bytes(sock, m->body, m->size) != MCQ_OK) {
        give_up(sock, m);
    }
}

/* Until the queue is full; writable goes on. */
static void stream(struct mcq_sock *sock, struct perf_hop_meter *m)
{
    while (m->sent < m->msgs) {
        memcpy(m->body, &m->sent, sizeof m->sent);
        if (mcq_send_bytes(sock, m->body, m->size) != MCQ_OK) {
            return;
        }
        m->sent++;
    }
}

static enum mcq_flow on_answer(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                               struct mcq_msg *msg)
{
    struct perf_hop_meter *m = ctx;
    (void)from;
    if (!perf_hop_answered(m, msg->data, msg->len)) {
        ask(sock, m);
    } else {
        m->stream_ns = perf_clock_ns();
        stream(sock, m);
    }
    return MCQ_CONTINUE;
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct perf_hop_meter *m = ctx;
    if (m->trip == m->warmup + m->trips) {
        stream(sock, m);
    }
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    if (event->kind == MCQ_EVENT_UP) {
        ask(sock, ctx);
    }
}

/* Trips go back as they came, then the stream is taken. */
static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct perf_hop_meter *m = ctx;
    (void)from;
    for (size_t i = 0; i < n; i++) {
        if (m->answered < m->warmup + m->trips) {
            m->answered++;
            if (mcq_send(sock, &msgs[i]) != MCQ_OK) {
                give_up(sock, m);
            }
        } else if (perf_hop_received(m, msgs[i].data, msgs[i].len)) {
            m->stream_ns = perf_clock_ns() - m->stream_ns;
            mcq_stop(mcq_sock_shard(sock));
        }
    }
    return n;
}

static int start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers asks = {
        .message = on_answer, .writable = on_writable, .event = on_event};
    static const struct mcq_sock_handlers answers = {.messages = on_messages};
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_sock *sock;
    bool first = mcq_shard_id(shard) == 0;
    opts.send_hwm_msgs = MCQ_UNLIMITED;
    if (mcq_sock_open(shard, MCQ_PAIR, &opts, first ? &asks : &answers, arg, &sock, NULL) !=
        MCQ_OK) {
        return 1;
    }
    return first ? mcq_sock_bind(sock, ENDPOINT, NULL) : mcq_sock_connect(sock, ENDPOINT, NULL);
}

bool perf_hop_inproc_run(const struct mcq_opts *opts, struct perf_hop_meter *meter)
{
    const struct mcq_app app = {.start = start};
    return mcq_run(opts, &app, meter, NULL) == MCQ_OK && !meter->wrong;
}
