/* The publisher of a feed. */
#include "perf/run/descriptors.h"
#include "perf/workloads/feed_run.h"

#include <stdlib.h>
#include <sys/prctl.h>

/* Sent between two polls, at most. */
#define BURST 64u

/* After the window, so that a victim sees what it has missed. */
#define TAIL_NS PERF_MS_NS

struct publisher {
    struct perf_node node;
    struct perf_feed_run *run;
    struct perf_stamper stamper;
    void *body;
    uint64_t number; /* of the next message */
};

static void nothing_comes(void *ctx, uint64_t conn, const void *data, size_t len)
{
    (void)ctx, (void)conn, (void)data, (void)len;
}

static bool over(const struct publisher *p)
{
    return perf_child_stopped(p->node.child) || p->node.up_cnt == 0;
}

static bool look(struct publisher *p, uint64_t until_ns)
{
    return p->node.ops->poll(&p->node, until_ns);
}

static enum perf_put publish(struct publisher *p)
{
    perf_stamp_put(&p->stamper, p->body, p->number);
    enum perf_put put = p->node.ops->send(&p->node, 0, p->body, p->run->job->size);
    p->number += put == PERF_PUT_OK;
    return put;
}

/* False: it ended, or the node can't go on. */
static bool publish_waiting(struct publisher *p)
{
    enum perf_put put;
    while ((put = publish(p)) == PERF_PUT_FULL) {
        if (!look(p, perf_clock_ns() + PERF_FEED_LOOK_NS) || over(p)) {
            return false;
        }
    }
    return put == PERF_PUT_OK || perf_child_fail(p->node.child, "the subscribers are gone");
}

static bool flood(struct publisher *p)
{
    bool ok = true;
    while (ok && !over(p)) {
        enum perf_put put = PERF_PUT_OK;
        for (unsigned i = 0; i < BURST && put == PERF_PUT_OK; i++) {
            put = publish(p);
        }
        ok = look(p, put == PERF_PUT_FULL ? perf_clock_ns() + PERF_FEED_LOOK_NS : 0);
    }
    return ok;
}

/* Sent by a time that is read before: what the call itself takes is part of the way. */
static bool publish_timed(struct publisher *p, uint64_t due_ns, uint64_t now_ns)
{
    struct perf_feed_run *run = p->run;
    uint64_t number = p->number;
    atomic_store_explicit(&run->times[number].sent_ns, now_ns, memory_order_relaxed);
    if (!publish_waiting(p)) {
        return false;
    }
    if (number >= run->open) {
        mcq_hdr_record(run->hists[FEED_LAG], now_ns - due_ns);
        atomic_store_explicit(&run->last_sent_ns, now_ns, memory_order_relaxed);
    }
    return true;
}

/* Messages due at once go out in one batch, within limits. */
static bool by_schedule(struct publisher *p, uint64_t begin_ns)
{
    const struct perf_feed_run *run = p->run;
    bool ok = true;
    unsigned batch = 0;
    while (ok && p->number < run->close && !over(p)) {
        uint64_t due_ns = begin_ns + run->times[p->number].due_ns;
        uint64_t now_ns = perf_clock_ns();
        if (now_ns < due_ns || batch == BURST) {
            ok = look(p, now_ns < due_ns ? due_ns : 0);
            batch = 0;
            continue;
        }
        batch++;
        ok = publish_timed(p, due_ns, now_ns) || over(p);
    }
    return ok;
}

static bool tail(struct publisher *p)
{
    bool ok = true;
    while (ok && !over(p)) {
        uint64_t next_ns = perf_clock_ns() + TAIL_NS;
        ok = p->run->job->victim == PERF_VICTIM_NONE || publish_waiting(p) || over(p);
        while (ok && !over(p) && perf_clock_ns() < next_ns) {
            ok = look(p, next_ns);
        }
    }
    return ok;
}

static bool wait_for_all(struct publisher *p)
{
    uint32_t subs = perf_feed_subs(p->run);
    uint64_t deadline_ns = perf_clock_ns() + PERF_FEED_WAIT_NS;
    while (p->node.up_cnt < subs) {
        if (!look(p, perf_clock_ns() + PERF_FEED_LOOK_NS)) {
            return false;
        }
        if (perf_clock_ns() > deadline_ns) {
            return perf_child_fail(p->node.child, "%u of %u subscribers came in time",
                                   p->node.up_cnt, subs);
        }
    }
    return true;
}

static bool work(struct publisher *p)
{
    if (!perf_child_give_endpoint(p->node.child, p->node.endpoint) || !wait_for_all(p)) {
        return false;
    }
    uint64_t begin_ns = perf_clock_ns() + PERF_MS_NS;
    atomic_store(&p->run->begin_ns, begin_ns);
    return perf_feed_floods(p->run) ? flood(p) : by_schedule(p, begin_ns) && tail(p);
}

bool perf_feed_publish(struct perf_child *child, void *arg)
{
    struct perf_feed_run *run = arg;
    const struct perf_feed_job *job = run->job;
    struct publisher p = {.run = run};
    struct perf_node_spec spec = {
        .role = PERF_ROLE_PUB,
        .binds = true,
        .transport = job->transport,
        .size = job->size,
        .conns = perf_feed_subs(run),
        .hwm = PERF_FEED_HWM,
        .spin = job->idle == PERF_IDLE_SPIN,
        .drops = job->victim != PERF_VICTIM_NONE,
        .arrived = nothing_comes,
    };
    prctl(PR_SET_TIMERSLACK, 1);
    p.body = perf_child_alloc(child, job->size);
    bool ok = p.body != NULL && perf_descriptors_need(child, spec.conns) &&
              perf_node_open(&p.node, job->peer->node, child, &spec);
    if (ok) {
        perf_stamper_init(&p.stamper, p.body, job->size);
        ok = work(&p);
    }
    free(p.body);
    return ok;
}
