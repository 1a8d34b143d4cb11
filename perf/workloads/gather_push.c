/* The two sides of a gathering one way: PUSH and PULL. */
#include "perf/run/descriptors.h"
#include "perf/workloads/gather_run.h"

#include <stdlib.h>
#include <sys/prctl.h>

/* Of one client in its turn. */
#define BURST 32u
/* Flooded, the clock is read once per so many messages. */
#define LOOK_MSGS 64u

#define HWM 1000u

static struct perf_node_spec spec_of(const struct perf_gather_job *job, enum perf_role role)
{
    return (struct perf_node_spec){
        .role = role,
        .binds = role == PERF_ROLE_PULL,
        .transport = job->transport,
        .size = job->size,
        .conns = job->conns,
        .hwm = HWM,
        .spin = job->idle == PERF_IDLE_SPIN,
    };
}

/* --- PULL --------------------------------------------------------------------------------------
 */

static void timed(struct perf_gatherer *g, uint32_t conn, uint64_t number)
{
    struct perf_gather_run *run = g->run;
    uint64_t all = number * run->job->conns + conn;
    if (all < run->open || all >= run->close) {
        return;
    }
    if (!g->open) {
        perf_gatherer_open(g);
    }
    uint64_t now_ns = perf_clock_ns();
    uint64_t sent_ns = atomic_load_explicit(&run->sent_ns[all], memory_order_relaxed);
    uint64_t due_ns = atomic_load(&run->begin_ns) + perf_gather_due_ns(run, all);
    mcq_hdr_record(run->hists[GATHER_ONE_WAY], now_ns - sent_ns);
    mcq_hdr_record(run->hists[GATHER_RESPONSE], now_ns - due_ns);
    g->received[conn]++;
    g->over = ++g->cnt == run->close - run->open;
}

static void on_message(void *ctx, uint64_t token, const void *data, size_t len)
{
    struct perf_gatherer *g = ctx;
    uint32_t conn;
    uint64_t number;
    (void)token;
    if (!perf_gatherer_take(g, data, len, &conn, &number)) {
        return;
    }
    if (g->run->job->rate > 0) {
        timed(g, conn, number);
        return;
    }
    g->received[conn] += g->open && !g->over;
    if (++g->cnt % LOOK_MSGS == 0) {
        perf_gatherer_look(g, perf_clock_ns());
    }
}

/* With a rate the window is as long as what is due in it. */
static void window_by_plan(struct perf_gatherer *g)
{
    if (g->run->job->rate > 0) {
        g->open_ns = perf_gather_due_ns(g->run, g->run->open);
        g->close_ns = perf_gather_due_ns(g->run, g->run->close);
    }
}

static bool pull(struct perf_gatherer *g, struct perf_node *node)
{
    const struct perf_gather_job *job = g->run->job;
    double most_s = job->warmup_s + job->seconds;
    uint64_t deadline_ns = 0;
    bool ok = perf_child_give_endpoint(g->child, node->endpoint);
    while (ok && !g->over && !g->faulty) {
        ok = node->ops->poll(node, perf_clock_ns() + PERF_GATHER_LOOK_NS);
        uint64_t now_ns = perf_clock_ns();
        if (deadline_ns == 0 && atomic_load(&g->run->begin_ns) != 0) {
            deadline_ns =
                now_ns + (uint64_t)(most_s * (double)PERF_SECOND_NS) + PERF_GATHER_WAIT_NS;
        }
        if (deadline_ns != 0 && now_ns > deadline_ns) {
            return perf_child_fail(g->child, "%llu messages arrived and no more in time",
                                   (unsigned long long)g->cnt);
        }
        if (node->gone_cnt > 0) {
            return perf_child_fail(g->child, "a client has gone");
        }
    }
    if (ok) {
        window_by_plan(g);
        perf_gatherer_tell(g);
    }
    return ok;
}

bool perf_gather_pull(struct perf_child *child, void *arg)
{
    struct perf_gather_run *run = arg;
    struct perf_gatherer g;
    struct perf_node node;
    struct perf_node_spec spec = spec_of(run->job, PERF_ROLE_PULL);
    spec.arrived = on_message;
    spec.ctx = &g;
    bool ok = perf_gatherer_init(&g, run, child) &&
              perf_descriptors_need(child, 2 * run->job->conns) &&
              perf_node_open(&node, run->job->peer->node, child, &spec);
    if (ok) {
        ok = pull(&g, &node);
    }
    perf_gatherer_fini(&g);
    return ok;
}

/* --- PUSH --------------------------------------------------------------------------------------
 */

struct pusher {
    struct perf_node node;
    struct perf_gather_run *run;
    struct perf_stamper stamper;
    void *body;
    uint64_t *numbers; /* by client: of its next message */
};

static void nothing_comes(void *ctx, uint64_t conn, const void *data, size_t len)
{
    (void)ctx, (void)conn, (void)data, (void)len;
}

static bool over(const struct pusher *p)
{
    return perf_child_stopped(p->node.child) || p->node.gone_cnt > 0;
}

static enum perf_put push_one(struct pusher *p, uint32_t conn)
{
    perf_stamp_put(&p->stamper, p->body, perf_gather_number(conn, p->numbers[conn]));
    enum perf_put put = p->node.ops->send(&p->node, conn, p->body, p->run->job->size);
    p->numbers[conn] += put == PERF_PUT_OK;
    return put;
}

/* How many were sent. */
static uint64_t round_of_all(struct pusher *p)
{
    uint64_t sent = 0;
    for (uint32_t conn = 0; conn < p->run->job->conns; conn++) {
        enum perf_put put = PERF_PUT_OK;
        for (unsigned i = 0; i < BURST && put == PERF_PUT_OK; i++) {
            put = push_one(p, conn);
            sent += put == PERF_PUT_OK;
        }
    }
    return sent;
}

static bool flood(struct pusher *p)
{
    bool ok = true;
    while (ok && !over(p)) {
        uint64_t sent = round_of_all(p);
        ok = p->node.ops->poll(&p->node, sent > 0 ? 0 : perf_clock_ns() + PERF_GATHER_LOOK_NS);
    }
    return ok;
}

static bool push_due(struct pusher *p, uint64_t all, uint64_t due_ns, uint64_t now_ns)
{
    struct perf_gather_run *run = p->run;
    uint32_t conn = (uint32_t)(all % run->job->conns);
    atomic_store_explicit(&run->sent_ns[all], now_ns, memory_order_relaxed);
    while (push_one(p, conn) != PERF_PUT_OK) {
        if (!p->node.ops->poll(&p->node, perf_clock_ns() + PERF_GATHER_LOOK_NS) || over(p)) {
            return false;
        }
    }
    if (all >= run->open) {
        mcq_hdr_record(run->hists[GATHER_LAG], now_ns - due_ns);
        atomic_store_explicit(&run->last_sent_ns, now_ns, memory_order_relaxed);
    }
    return true;
}

static bool by_rate(struct pusher *p, uint64_t begin_ns)
{
    struct perf_gather_run *run = p->run;
    uint64_t all = 0;
    unsigned batch = 0;
    bool ok = true;
    while (ok && !over(p)) {
        uint64_t due_ns = begin_ns + perf_gather_due_ns(run, all);
        uint64_t now_ns = perf_clock_ns();
        bool done = all == run->close;
        if (done || now_ns < due_ns || batch == BURST) {
            uint64_t until_ns = now_ns < due_ns ? due_ns : 0;
            ok = p->node.ops->poll(&p->node, done ? now_ns + PERF_GATHER_LOOK_NS : until_ns);
            batch = 0;
            continue;
        }
        batch++;
        ok = push_due(p, all, due_ns, now_ns) || over(p);
        all++;
    }
    return ok;
}

static bool push(struct pusher *p)
{
    uint64_t begin_ns = perf_clock_ns() + PERF_MS_NS;
    atomic_store(&p->run->begin_ns, begin_ns);
    return p->run->job->rate > 0 ? by_rate(p, begin_ns) : flood(p);
}

bool perf_gather_push(struct perf_child *child, void *arg)
{
    struct perf_gather_run *run = arg;
    const struct perf_gather_job *job = run->job;
    struct pusher p = {.run = run};
    struct perf_node_spec spec = spec_of(job, PERF_ROLE_PUSH);
    char endpoint[PERF_ENDPOINT_MAX];
    spec.endpoint = endpoint;
    spec.arrived = nothing_comes;
    prctl(PR_SET_TIMERSLACK, 1);
    p.body = perf_child_alloc(child, job->size);
    p.numbers = calloc(job->conns, sizeof *p.numbers);
    bool ok = p.body != NULL && (p.numbers != NULL || perf_child_fail(child, "no memory")) &&
              perf_descriptors_need(child, 2 * job->conns) &&
              perf_child_take_endpoint(child, PERF_SERVER, endpoint) &&
              perf_node_open(&p.node, job->peer->node, child, &spec);
    if (ok) {
        perf_stamper_init(&p.stamper, p.body, job->size);
        ok = push(&p);
    }
    free(p.body);
    free(p.numbers);
    return ok;
}
