#include "perf/workloads/rtt_node.h"

#include <stdlib.h>

/* A server that takes longer for one answer is taken for dead. */
#define ANSWER_TIMEOUT_NS (20 * PERF_SECOND_NS)

struct asker {
    struct perf_node node;
    struct perf_rtt_meter *meter;
    bool waits; /* for the answer to what was sent */
    bool more;
    bool failed;
};

static struct perf_node_spec spec_of(const struct perf_rtt_job *job, enum perf_role role)
{
    return (struct perf_node_spec){
        .role = role,
        .binds = role == PERF_ROLE_SERVER,
        .transport = job->transport,
        .size = job->size,
        .conns = 1,
        .spin = job->idle == PERF_IDLE_SPIN,
        .socket_type = job->socket_type,
    };
}

bool perf_rtt_node_serve(struct perf_child *child, const struct perf_peer *peer,
                         const struct perf_rtt_job *job)
{
    struct perf_node_spec spec = spec_of(job, PERF_ROLE_SERVER);
    return perf_node_echo(child, peer->node, &spec, &job->handler);
}

static void on_answer(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct asker *asker = ctx;
    (void)conn;
    if (!asker->waits || !perf_rtt_check(asker->meter, data, len)) {
        asker->failed = true;
        return;
    }
    asker->waits = false;
    asker->more = perf_rtt_trip(asker->meter);
}

static bool ask(struct asker *asker, const void *body)
{
    struct perf_node *node = &asker->node;
    uint64_t until_ns = asker->meter->last_ns + ANSWER_TIMEOUT_NS;
    enum perf_put put;
    asker->waits = true;
    while ((put = node->ops->send(node, 0, body, asker->meter->size)) == PERF_PUT_FULL) {
        if (!node->ops->poll(node, perf_clock_ns() + PERF_MS_NS)) {
            return false;
        }
    }
    while (asker->waits && put == PERF_PUT_OK) {
        if (!node->ops->poll(node, until_ns)) {
            return false;
        }
        if (asker->failed) {
            return perf_child_fail(node->child, "a reply isn't the request that was sent");
        }
        if (node->gone_cnt > 0 || (asker->waits && perf_clock_ns() >= until_ns)) {
            put = PERF_PUT_GONE;
        }
    }
    return put == PERF_PUT_OK || perf_child_fail(node->child, "the server doesn't answer any more");
}

bool perf_rtt_node_run(struct perf_child *child, const struct perf_peer *peer,
                       const struct perf_rtt_job *job, struct perf_rtt_meter *meter)
{
    struct asker asker = {.meter = meter, .more = true};
    struct perf_node_spec spec = spec_of(job, PERF_ROLE_CLIENT);
    char endpoint[PERF_ENDPOINT_MAX];
    if (job->endpoint == NULL && !perf_child_take_endpoint(child, PERF_SERVER, endpoint)) {
        return false;
    }
    spec.endpoint = job->endpoint != NULL ? job->endpoint : endpoint;
    spec.arrived = on_answer;
    spec.ctx = &asker;
    void *body = perf_rtt_body(child, meter);
    bool ok = body != NULL && perf_node_open(&asker.node, peer->node, child, &spec);
    if (ok) {
        perf_rtt_start(meter);
        while (ok && asker.more) {
            perf_rtt_fill(meter, body);
            ok = ask(&asker, body);
        }
        peer->node->close(&asker.node);
    }
    free(body);
    return ok;
}
