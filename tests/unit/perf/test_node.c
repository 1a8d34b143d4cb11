/* Every peer that is a node, in every role and over every transport it says it has. */
#include "perf/peers/peer.h"
#include "perf/run/clock.h"
#include "perf/run/stamp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE       40u
#define CONNS      5u
#define MSGS       300u
#define TIMEOUT_NS (30 * PERF_SECOND_NS)

static const char *const names[] = {"mcq", "libzmq", "nng", "raw", "spin", "epoll", "uring"};

struct job {
    const struct perf_peer *peer;
    enum perf_transport transport;
    enum perf_role binder, joiner;
    uint32_t conns;
    bool spin;
};

struct side {
    struct perf_node node;
    struct perf_stamp_check checks[CONNS];
    uint64_t arrived;
    bool wrong;
};

static struct perf_node_spec spec_of(const struct job *job, enum perf_role role, struct side *side,
                                     perf_arrived_fn *arrived)
{
    return (struct perf_node_spec){
        .role = role,
        .binds = role == job->binder,
        .transport = job->transport,
        .size = SIZE,
        .conns = job->conns,
        .spin = job->spin,
        .arrived = arrived,
        .ctx = side,
    };
}

static void on_message(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct side *side = ctx;
    uint64_t number;
    side->arrived++;
    if (conn >= CONNS || !perf_stamp_take(&side->checks[conn], data, len, SIZE, &number)) {
        side->wrong = true;
    }
}

/* A PULL needn't know who sends. */
static void on_pulled(void *ctx, uint64_t conn, const void *data, size_t len)
{
    (void)conn;
    on_message(ctx, 0, data, len);
}

static bool look(struct perf_node *n)
{
    return n->ops->poll(n, perf_clock_ns() + 20 * PERF_MS_NS);
}

static bool send_one(struct perf_node *n, uint64_t conn, uint64_t number)
{
    unsigned char body[SIZE];
    struct perf_stamper stamper;
    enum perf_put put;
    perf_stamper_init(&stamper, body, SIZE);
    perf_stamp_put(&stamper, body, number);
    while ((put = n->ops->send(n, conn, body, SIZE)) == PERF_PUT_FULL) {
        if (!look(n)) {
            return false;
        }
    }
    return put == PERF_PUT_OK ||
           perf_child_fail(n->child, "connection %llu is gone", (unsigned long long)conn);
}

/* Whatever became of opening it. */
static void node_close(struct perf_node *n)
{
    if (n->state != NULL) {
        n->ops->close(n);
    }
}

/* Until so many came in all. */
static bool receive(struct side *side, uint64_t cnt)
{
    while (side->arrived < cnt && !side->wrong) {
        if (!look(&side->node)) {
            return false;
        }
    }
    return !side->wrong || perf_child_fail(side->node.child, "a message isn't the one that is due");
}

static bool join(struct perf_child *child, const struct job *job, struct side *side)
{
    static char endpoint[PERF_ENDPOINT_MAX];
    struct perf_node_spec spec = spec_of(job, job->joiner, side, on_message);
    spec.endpoint = endpoint;
    return perf_child_take_endpoint(child, PERF_SERVER, endpoint) &&
           perf_node_open(&side->node, job->peer->node, child, &spec);
}

static bool echo_run(struct perf_child *child, void *arg)
{
    const struct job *job = arg;
    struct perf_node_spec spec = spec_of(job, PERF_ROLE_SERVER, NULL, NULL);
    return perf_node_echo(child, job->peer->node, &spec, NULL);
}

static bool client_run(struct perf_child *child, void *arg)
{
    const struct job *job = arg;
    struct side side = {.arrived = 0};
    bool ok = join(child, job, &side);
    for (uint64_t i = 0; ok && i < MSGS; i++) {
        for (uint64_t conn = 0; ok && conn < job->conns; conn++) {
            ok = send_one(&side.node, conn, i);
        }
        ok = ok && receive(&side, (i + 1) * job->conns);
    }
    if (ok && side.node.up_cnt != job->conns) {
        ok = perf_child_fail(child, "%u connections are up", side.node.up_cnt);
    }
    node_close(&side.node);
    return ok;
}

static bool publisher_run(struct perf_child *child, void *arg)
{
    const struct job *job = arg;
    struct side side = {.arrived = 0};
    struct perf_node_spec spec = spec_of(job, PERF_ROLE_PUB, &side, on_message);
    bool ok = perf_node_open(&side.node, job->peer->node, child, &spec) &&
              perf_child_give_endpoint(child, side.node.endpoint);
    while (ok && side.node.up_cnt < job->conns) {
        ok = look(&side.node);
    }
    for (uint64_t i = 0; ok && i < MSGS; i++) {
        ok = send_one(&side.node, 0, i);
    }
    while (ok && !perf_child_stopped(child)) {
        ok = look(&side.node);
    }
    node_close(&side.node);
    return ok;
}

static bool joiner_run(struct perf_child *child, void *arg)
{
    const struct job *job = arg;
    struct side side = {.arrived = 0};
    bool ok = join(child, job, &side);
    if (ok && job->joiner == PERF_ROLE_SUB) {
        ok = receive(&side, (uint64_t)MSGS * job->conns);
    }
    for (uint64_t i = 0; ok && job->joiner == PERF_ROLE_PUSH && i < MSGS; i++) {
        ok = send_one(&side.node, 0, i);
    }
    while (ok && job->joiner == PERF_ROLE_PUSH && !perf_child_stopped(child)) {
        ok = look(&side.node);
    }
    node_close(&side.node);
    return ok;
}

static bool pull_run(struct perf_child *child, void *arg)
{
    const struct job *job = arg;
    struct side side = {.arrived = 0};
    struct perf_node_spec spec = spec_of(job, PERF_ROLE_PULL, &side, on_pulled);
    bool ok = perf_node_open(&side.node, job->peer->node, child, &spec) &&
              perf_child_give_endpoint(child, side.node.endpoint) && receive(&side, MSGS);
    node_close(&side.node);
    return ok;
}

static void pair_run(const struct job *job, perf_child_fn *binder, perf_child_fn *joiner,
                     unsigned measures)
{
    struct perf_usage usage[PERF_CREW_MAX];
    struct perf_crew crew;
    struct job copy = *job;
    char reason[PERF_REASON_MAX];
    perf_crew_pair(&crew, binder, joiner, &copy, measures);
    crew.place = PERF_PLACE_FREE;
    crew.timeout_ns = TIMEOUT_NS;
    cr_expect(perf_crew_run(&crew, usage, reason), "%s over %s, role %d, %u conns: %s",
              job->peer->name, job->transport == PERF_TRANSPORT_IPC ? "ipc" : "tcp",
              (int)job->joiner, job->conns, reason);
}

static bool has(const struct perf_peer *peer, enum perf_role a, enum perf_role b)
{
    return perf_peer_has_role(peer, a) && perf_peer_has_role(peer, b);
}

static void peer_run(const struct perf_peer *peer, enum perf_transport transport, bool spin)
{
    struct job job = {.peer = peer, .transport = transport, .spin = spin};
    for (job.conns = 1; job.conns <= CONNS; job.conns += CONNS - 1) {
        if (has(peer, PERF_ROLE_CLIENT, PERF_ROLE_SERVER)) {
            job.binder = PERF_ROLE_SERVER, job.joiner = PERF_ROLE_CLIENT;
            pair_run(&job, echo_run, client_run, PERF_CLIENT);
        }
        if (has(peer, PERF_ROLE_PUB, PERF_ROLE_SUB)) {
            job.binder = PERF_ROLE_PUB, job.joiner = PERF_ROLE_SUB;
            pair_run(&job, publisher_run, joiner_run, PERF_CLIENT);
        }
    }
    job.conns = 1;
    if (has(peer, PERF_ROLE_PUSH, PERF_ROLE_PULL)) {
        job.binder = PERF_ROLE_PULL, job.joiner = PERF_ROLE_PUSH;
        pair_run(&job, pull_run, joiner_run, PERF_SERVER);
    }
}

static void all_run(bool spin)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct perf_peer *peer = perf_peer_find(names[i]);
        bool there = peer != NULL && peer->missing == NULL && peer->node != NULL;
        for (int t = 0; there && t <= PERF_TRANSPORT_IPC; t++) {
            if ((peer->transports & 1u << t) != 0 &&
                !(spin ? peer->always_blocks : peer->always_spins)) {
                peer_run(peer, (enum perf_transport)t, spin);
            }
        }
    }
}

Test(node, every_peer_blocks, .timeout = 110)
{
    all_run(false);
}

Test(node, every_peer_spins, .timeout = 110)
{
    all_run(true);
}
