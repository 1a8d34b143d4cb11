#include "perf/workloads/throughput_node.h"

#include "perf/run/clock.h"

#include <stdlib.h>

/* Sent between two polls, at most: what a program does that has other things to look after, too. */
#define BURST 256u

/* How long a poll may last before the crew's end is looked for. */
#define LOOK_NS (10 * PERF_MS_NS)

struct receiver {
    struct perf_node node;
    struct perf_rate_meter *meter;
    bool more, damaged;
};

static struct perf_node_spec spec_of(const struct perf_peer *peer, const struct perf_rate_job *job,
                                     enum perf_role role)
{
    return (struct perf_node_spec){
        .role = role,
        .binds = role == PERF_ROLE_PULL,
        .transport = job->transport,
        .size = job->size,
        .conns = 1,
        .hwm = perf_rate_hwm_msgs(job->size),
        .spin = !peer->rate_blocks && perf_peer_idle(peer, PERF_IDLE_SPIN) == PERF_IDLE_SPIN,
    };
}

static void on_message(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct receiver *receiver = ctx;
    (void)conn;
    if (!perf_rate_take(receiver->meter, data, len)) {
        receiver->damaged = true;
    }
    receiver->more = receiver->more && perf_rate_add(receiver->meter, 1);
}

bool perf_rate_node_receive(struct perf_child *child, const struct perf_peer *peer,
                            const struct perf_rate_job *job, struct perf_rate_meter *meter)
{
    struct receiver receiver = {.meter = meter, .more = true};
    struct perf_node_spec spec = spec_of(peer, job, PERF_ROLE_PULL);
    spec.arrived = on_message;
    spec.ctx = &receiver;
    if (!perf_node_open(&receiver.node, peer->node, child, &spec)) {
        return false;
    }
    bool ok = perf_child_give_endpoint(child, receiver.node.endpoint);
    while (ok && receiver.more && !receiver.damaged && receiver.node.gone_cnt == 0) {
        ok = peer->node->poll(&receiver.node, perf_clock_ns() + LOOK_NS);
    }
    peer->node->close(&receiver.node);
    return ok && (!receiver.damaged || perf_rate_fault(child, meter));
}

static bool flood(struct perf_node *node, struct perf_rate_stamps *stamps, void *body, size_t size)
{
    enum perf_put put = PERF_PUT_OK;
    bool ok = true;
    while (ok && put != PERF_PUT_GONE && !perf_child_stopped(node->child) && node->gone_cnt == 0) {
        for (unsigned i = 0; i < BURST && (i == 0 || put == PERF_PUT_OK); i++) {
            perf_rate_fill(stamps, body);
            put = node->ops->send(node, 0, body, size);
        }
        if (put == PERF_PUT_FULL) {
            perf_rate_again(stamps);
        }
        ok = node->ops->poll(node, put == PERF_PUT_FULL ? perf_clock_ns() + LOOK_NS : 0);
    }
    return ok;
}

static void nothing_comes(void *ctx, uint64_t conn, const void *data, size_t len)
{
    (void)ctx, (void)conn, (void)data, (void)len;
}

bool perf_rate_node_send(struct perf_child *child, const struct perf_peer *peer,
                         const struct perf_rate_job *job)
{
    struct perf_node node;
    struct perf_rate_stamps stamps;
    struct perf_node_spec spec = spec_of(peer, job, PERF_ROLE_PUSH);
    char endpoint[PERF_ENDPOINT_MAX];
    if (!perf_child_take_endpoint(child, PERF_SERVER, endpoint)) {
        return false;
    }
    spec.endpoint = endpoint;
    spec.arrived = nothing_comes;
    void *body = perf_rate_body(child, job, &stamps);
    bool ok = body != NULL && perf_node_open(&node, peer->node, child, &spec);
    if (ok) {
        ok = flood(&node, &stamps, body, job->size);
        peer->node->close(&node);
    }
    free(body);
    return ok;
}
