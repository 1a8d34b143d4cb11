/* Thousands of connections of one node. */
#include "perf/peers/peer.h"
#include "perf/run/clock.h"
#include "perf/run/stamp.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#ifndef CONNS
#define CONNS 1500u
#endif
#define ROUNDS     2u
#define SIZE       16u
#define AT_ONCE    64u
#define TIMEOUT_NS (60 * PERF_SECOND_NS)

struct job {
    const struct perf_peer *peer;
    enum perf_transport transport;
};

struct client {
    struct perf_node node;
    struct perf_stamp_check *checks;
    uint64_t arrived;
    bool wrong;
};

static bool echo_run(struct perf_child *child, void *arg)
{
    const struct job *job = arg;
    struct perf_node_spec spec = {.role = PERF_ROLE_SERVER,
                                  .binds = true,
                                  .transport = job->transport,
                                  .size = SIZE,
                                  .conns = CONNS};
    return perf_node_echo(child, job->peer->node, &spec, NULL);
}

static void on_answer(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct client *client = ctx;
    uint64_t number;
    client->arrived++;
    if (conn >= CONNS || !perf_stamp_take(&client->checks[conn], data, len, SIZE, &number)) {
        client->wrong = true;
    }
}

/* Some at once, since a library may drop what nobody takes in time. */
static bool ask_all(struct client *client, uint64_t number)
{
    struct perf_node *n = &client->node;
    unsigned char body[SIZE];
    struct perf_stamper stamper;
    bool ok = true;
    perf_stamper_init(&stamper, body, SIZE);
    perf_stamp_put(&stamper, body, number);
    for (uint64_t conn = 0; ok && conn < CONNS; conn++) {
        while (ok && n->ops->send(n, conn, body, SIZE) == PERF_PUT_FULL) {
            ok = n->ops->poll(n, perf_clock_ns() + PERF_MS_NS);
        }
        uint64_t asked = number * CONNS + conn + 1;
        while (ok && !client->wrong && asked - client->arrived > (conn + 1 < CONNS ? AT_ONCE : 0)) {
            ok = n->ops->poll(n, perf_clock_ns() + 10 * PERF_MS_NS);
        }
    }
    return ok && !client->wrong;
}

static bool client_run(struct perf_child *child, void *arg)
{
    const struct job *job = arg;
    char endpoint[PERF_ENDPOINT_MAX];
    struct client client = {.checks = calloc(CONNS, sizeof *client.checks)};
    struct perf_node_spec spec = {.role = PERF_ROLE_CLIENT,
                                  .endpoint = endpoint,
                                  .size = SIZE,
                                  .conns = CONNS,
                                  .arrived = on_answer,
                                  .ctx = &client};
    bool ok = perf_child_take_endpoint(child, PERF_SERVER, endpoint) &&
              perf_node_open(&client.node, job->peer->node, child, &spec);
    for (uint64_t i = 0; ok && i < ROUNDS; i++) {
        ok = ask_all(&client, i);
    }
    if (ok && client.node.up_cnt != CONNS) {
        ok = perf_child_fail(child, "%u are up", client.node.up_cnt);
    }
    if (client.node.state != NULL) {
        client.node.ops->close(&client.node);
    }
    free(client.checks);
    return ok;
}

static void crowd_run(const char *name)
{
    for (int t = 0; t <= PERF_TRANSPORT_IPC; t++) {
        struct perf_usage usage[PERF_CREW_MAX];
        struct perf_crew crew;
        char reason[PERF_REASON_MAX];
        struct job job = {.peer = perf_peer_find(name), .transport = (enum perf_transport)t};
        if (job.peer->missing != NULL) {
            return;
        }
        perf_crew_pair(&crew, echo_run, client_run, &job, PERF_CLIENT);
        crew.place = PERF_PLACE_FREE;
        crew.timeout_ns = TIMEOUT_NS;
        cr_expect(perf_crew_run(&crew, usage, reason), "%s, %s: %s", name,
                  t == PERF_TRANSPORT_IPC ? "ipc" : "tcp", reason);
    }
}

Test(crowd, of_raw, .timeout = 110)
{
    crowd_run("raw");
}

Test(crowd, of_spin, .timeout = 110)
{
    crowd_run("spin");
}

Test(crowd, of_epoll, .timeout = 110)
{
    crowd_run("epoll");
}

Test(crowd, of_uring, .timeout = 110)
{
    crowd_run("uring");
}

Test(crowd, of_nng, .timeout = 110)
{
    crowd_run("nng");
}
