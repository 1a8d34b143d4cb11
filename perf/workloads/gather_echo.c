/* The two sides of a gathering that is answered: CLIENT and SERVER. */
#include "perf/run/descriptors.h"
#include "perf/workloads/gather_run.h"

#include <stdlib.h>

struct asker {
    struct perf_gatherer g; /* first: what checks is told of it */
    struct perf_node node;
    struct perf_stamper stamper;
    void *body;
    uint64_t *numbers;  /* by client: of its next request */
    uint64_t *asked_ns; /* by client and place: when it was sent */
    uint32_t *owed;     /* by client: requests that found no room */
    bool owes, failed;
};

static struct perf_node_spec spec_of(const struct perf_gather_job *job, enum perf_role role)
{
    return (struct perf_node_spec){
        .role = role,
        .binds = role == PERF_ROLE_SERVER,
        .transport = job->transport,
        .size = job->size,
        .conns = job->conns,
        .spin = job->idle == PERF_IDLE_SPIN,
    };
}

bool perf_gather_serve(struct perf_child *child, void *arg)
{
    struct perf_gather_run *run = arg;
    struct perf_node_spec spec = spec_of(run->job, PERF_ROLE_SERVER);
    return perf_descriptors_need(child, run->job->conns) &&
           perf_node_echo(child, run->job->peer->node, &spec, NULL);
}

static uint64_t *asked_at(const struct asker *a, uint32_t conn, uint64_t number)
{
    uint32_t depth = a->g.run->job->depth;
    return &a->asked_ns[(size_t)conn * depth + number % depth];
}

static void ask(struct asker *a, uint32_t conn)
{
    uint64_t number = a->numbers[conn];
    perf_stamp_put(&a->stamper, a->body, perf_gather_number(conn, number));
    *asked_at(a, conn, number) = perf_clock_ns();
    enum perf_put put = a->node.ops->send(&a->node, conn, a->body, a->g.run->job->size);
    if (put == PERF_PUT_OK) {
        a->numbers[conn]++;
        return;
    }
    a->failed = a->failed || put == PERF_PUT_GONE;
    a->owed[conn]++;
    a->owes = true;
}

/* Whoever is answered asks again at once. */
static void on_answer(void *ctx, uint64_t said, const void *data, size_t len)
{
    struct asker *a = ctx;
    struct perf_gatherer *g = &a->g;
    uint32_t conn;
    uint64_t number;
    if (!perf_gatherer_take(g, data, len, &conn, &number)) {
        return;
    }
    if (conn != said) {
        g->strangers++; /* whole, and somebody else's */
        g->faulty = true;
        return;
    }
    uint64_t now_ns = perf_clock_ns();
    if (g->open && !g->over) {
        g->received[conn]++;
        mcq_hdr_record(g->run->hists[GATHER_SERVICE], now_ns - *asked_at(a, conn, number));
    }
    g->cnt++;
    perf_gatherer_look(g, now_ns);
    ask(a, conn);
}

static void pay(struct asker *a)
{
    a->owes = false;
    for (uint32_t conn = 0; conn < a->g.run->job->conns; conn++) {
        uint32_t owed = a->owed[conn];
        a->owed[conn] = 0;
        for (; owed > 0; owed--) {
            ask(a, conn);
        }
    }
}

static bool work(struct asker *a)
{
    struct perf_gatherer *g = &a->g;
    const struct perf_gather_job *job = g->run->job;
    double most_s = job->warmup_s + job->seconds;
    uint64_t deadline_ns =
        perf_clock_ns() + (uint64_t)(most_s * (double)PERF_SECOND_NS) + PERF_GATHER_WAIT_NS;
    for (uint32_t conn = 0; conn < job->conns; conn++) {
        a->owed[conn] = job->depth;
    }
    bool ok = true;
    a->owes = true;
    while (ok && !g->over && !g->faulty) {
        if (a->owes) {
            pay(a);
        }
        ok = a->node.ops->poll(&a->node, perf_clock_ns() + PERF_GATHER_LOOK_NS);
        if (a->failed || a->node.gone_cnt > 0) {
            return perf_child_fail(g->child, "a connection to the server has ended");
        }
        if (perf_clock_ns() > deadline_ns) {
            return perf_child_fail(g->child, "%llu answers came and no more in time",
                                   (unsigned long long)g->cnt);
        }
    }
    if (ok) {
        perf_gatherer_tell(g);
    }
    return ok;
}

static bool asker_init(struct asker *a, struct perf_gather_run *run, struct perf_child *child)
{
    const struct perf_gather_job *job = run->job;
    *a = (struct asker){
        .body = perf_child_alloc(child, job->size),
        .numbers = calloc(job->conns, sizeof *a->numbers),
        .asked_ns = calloc((size_t)job->conns * job->depth, sizeof *a->asked_ns),
        .owed = calloc(job->conns, sizeof *a->owed),
    };
    bool ok = perf_gatherer_init(&a->g, run, child);
    if (ok && (a->body == NULL || a->numbers == NULL || a->asked_ns == NULL || a->owed == NULL)) {
        return perf_child_fail(child, "no memory for %u clients", job->conns);
    }
    if (ok) {
        perf_stamper_init(&a->stamper, a->body, job->size);
    }
    return ok;
}

static void asker_fini(struct asker *a)
{
    perf_gatherer_fini(&a->g);
    free(a->body);
    free(a->numbers);
    free(a->asked_ns);
    free(a->owed);
}

bool perf_gather_ask(struct perf_child *child, void *arg)
{
    struct perf_gather_run *run = arg;
    struct asker a;
    struct perf_node_spec spec = spec_of(run->job, PERF_ROLE_CLIENT);
    char endpoint[PERF_ENDPOINT_MAX];
    spec.endpoint = endpoint;
    spec.arrived = on_answer;
    spec.ctx = &a;
    bool ok = asker_init(&a, run, child) && perf_descriptors_need(child, 2 * run->job->conns) &&
              perf_child_take_endpoint(child, PERF_SERVER, endpoint) &&
              perf_node_open(&a.node, run->job->peer->node, child, &spec);
    if (ok) {
        ok = work(&a);
    }
    asker_fini(&a);
    return ok;
}
