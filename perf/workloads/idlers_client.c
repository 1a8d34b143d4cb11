/* The client of idlers. */
#include "perf/run/clock.h"
#include "perf/run/descriptors.h"
#include "perf/workloads/idlers_run.h"
#include "perf/workloads/storm.h"

#include <stdlib.h>
#include <sys/prctl.h>

#define LOOK_NS (10 * PERF_MS_NS)
/* Connections whose hello is under way at once. */
#define OPENING_MAX 128u
/* Due at once, sent between two turns. */
#define BURST 32u
/* Each active connection, before anything is read, so that all it ever touches is touched. */
#define PRIMING_MSGS 20u
/* For the last answers; and for counters that are told now and then. */
#define DRAIN_NS  (5 * PERF_SECOND_NS)
#define SETTLE_NS (150 * PERF_MS_NS)

struct client {
    struct perf_storm storm;
    struct perf_child *child;
    struct perf_idlers_run *run;
    struct perf_stamper stamper;
    struct perf_stamp_check *checks; /* by active connection */
    uint64_t *sent_ns;               /* of its last request that waits for nobody before it */
    uint64_t *numbers;               /* by active connection: of its next request */
    uint64_t begin_ns;               /* of what is due; 0: priming */
    uint64_t open;                   /* the first message of the window, over all */
    uint64_t sent, answered;
    bool faulty, failed;
};

static void on_up(void *ctx, uint32_t conn, uint64_t now_ns)
{
    (void)ctx, (void)conn, (void)now_ns;
}

/* When the number-th message of all since the beginning is due. */
static uint64_t due_ns(const struct client *c, uint64_t number)
{
    long double rate = (long double)c->run->job->rate;
    return c->begin_ns + (uint64_t)((long double)number * 1e9L / rate);
}

static void on_answer(void *ctx, uint32_t conn, uint64_t now_ns, const void *data, size_t len)
{
    struct client *c = ctx;
    const struct perf_idlers_job *job = c->run->job;
    uint64_t number;
    if (conn >= job->active || !perf_stamp_take(&c->checks[conn], data, len, job->size, &number)) {
        c->faulty = true;
        return;
    }
    c->answered++;
    if (number < PRIMING_MSGS || c->begin_ns == 0) {
        return;
    }
    uint64_t all = (number - PRIMING_MSGS) * job->active + conn;
    if (all >= c->open) {
        mcq_hdr_record(c->run->hists[IDLERS_RESPONSE], now_ns - due_ns(c, all));
        c->run->answered++;
        if (c->numbers[conn] == number + 1) {
            mcq_hdr_record(c->run->hists[IDLERS_SERVICE], now_ns - c->sent_ns[conn]);
        }
    }
}

static bool turn(struct client *c, uint64_t until_ns, bool spin)
{
    return perf_storm_turn(&c->storm, until_ns, spin) && !c->failed;
}

/* --- connections -------------------------------------------------------------------------------
 */

static bool connect_upto(struct client *c, uint32_t cnt)
{
    bool ok = true;
    for (uint32_t next = c->storm.up_cnt; ok && c->storm.up_cnt < cnt;) {
        while (ok && next < cnt && next - c->storm.up_cnt < OPENING_MAX) {
            enum perf_storm_begun begun = perf_storm_connect(&c->storm, next);
            ok = begun != PERF_STORM_FAILED;
            if (begun != PERF_STORM_BEGUN) {
                break;
            }
            next++;
        }
        ok = ok && turn(c, perf_clock_ns() + LOOK_NS, false);
    }
    return ok;
}

static bool ask(struct client *c, uint32_t conn, uint64_t now_ns)
{
    perf_stamp_put(&c->stamper, perf_storm_body(&c->storm), c->numbers[conn]++);
    c->sent_ns[conn] = now_ns;
    c->sent++;
    return perf_storm_send(&c->storm, conn);
}

/* False: failed, or not all has come in time. */
static bool answers_wait(struct client *c, bool spin)
{
    uint64_t deadline_ns = perf_clock_ns() + DRAIN_NS;
    bool ok = true;
    while (ok && !c->faulty && c->answered < c->sent) {
        ok = turn(c, perf_clock_ns() + LOOK_NS, spin);
        if (ok && perf_clock_ns() > deadline_ns) {
            return perf_child_fail(c->child, "%llu of %llu answers came in time",
                                   (unsigned long long)c->answered, (unsigned long long)c->sent);
        }
    }
    return ok;
}

static bool prime(struct client *c)
{
    bool ok = true;
    for (unsigned i = 0; ok && i < PRIMING_MSGS; i++) {
        for (uint32_t conn = 0; ok && conn < c->run->job->active; conn++) {
            ok = ask(c, conn, perf_clock_ns());
        }
        ok = ok && answers_wait(c, false);
    }
    return ok;
}

static bool settle(struct client *c, struct perf_footprint *footprint, uint64_t *buffers)
{
    uint64_t until_ns = perf_clock_ns() + SETTLE_NS;
    bool ok = true;
    while (ok && perf_clock_ns() < until_ns) {
        ok = turn(c, until_ns, false);
    }
    perf_footprint_read(footprint, atomic_load(&c->run->server_pid));
    *buffers = atomic_load(&c->run->buffers);
    return ok;
}

/* --- the window --------------------------------------------------------------------------------
 */

static bool by_rate(struct client *c)
{
    const struct perf_idlers_job *job = c->run->job;
    uint64_t cnt = c->open + c->run->asked;
    bool spin = job->idle == PERF_IDLE_SPIN;
    bool ok = true;
    unsigned batch = 0;
    for (uint64_t all = 0; ok && !c->faulty && all < cnt;) {
        uint64_t now_ns = perf_clock_ns();
        uint64_t at_ns = due_ns(c, all);
        if (now_ns < at_ns || batch == BURST) {
            ok = turn(c, now_ns < at_ns ? at_ns : 0, spin);
            batch = 0;
            continue;
        }
        if (all == c->open) {
            perf_crew_begin(c->child);
            now_ns = perf_clock_ns();
        }
        if (all >= c->open) {
            mcq_hdr_record(c->run->hists[IDLERS_LAG], now_ns - at_ns);
        }
        ok = ask(c, (uint32_t)(all++ % job->active), now_ns);
        batch++;
    }
    ok = ok && answers_wait(c, spin);
    if (ok) {
        perf_crew_end(c->child);
    }
    return ok;
}

static void checks_tell(struct client *c)
{
    struct perf_idlers_run *run = c->run;
    for (uint32_t i = 0; i < run->job->active; i++) {
        run->lost += c->checks[i].gap_cnt;
        run->old += c->checks[i].old_cnt;
        run->damaged += c->checks[i].damaged_cnt;
        if (run->fault[0] == '\0') {
            perf_stamp_fault(&c->checks[i], run->fault, sizeof run->fault);
        }
    }
}

static bool work(struct client *c)
{
    struct perf_idlers_run *run = c->run;
    const struct perf_idlers_job *job = run->job;
    bool ok =
        connect_upto(c, job->active) && prime(c) && settle(c, &run->before, &run->buffers_before) &&
        connect_upto(c, job->active + job->idle_cnt) && settle(c, &run->after, &run->buffers_after);
    if (ok && !c->faulty) {
        run->asked = (uint64_t)(job->rate * job->seconds);
        run->asked = run->asked == 0 ? 1 : run->asked;
        run->seconds = (double)run->asked / job->rate;
        c->open = (uint64_t)(job->rate * job->warmup_s);
        c->begin_ns = perf_clock_ns() + PERF_MS_NS;
        ok = by_rate(c);
    }
    checks_tell(c);
    return ok;
}

static bool client_open(struct client *c)
{
    const struct perf_idlers_job *job = c->run->job;
    c->checks = calloc(job->active, sizeof *c->checks);
    c->sent_ns = calloc(job->active, sizeof *c->sent_ns);
    c->numbers = calloc(job->active, sizeof *c->numbers);
    prctl(PR_SET_TIMERSLACK, 1);
    return (c->checks != NULL && c->sent_ns != NULL && c->numbers != NULL) ||
           perf_child_fail(c->child, "no memory for a client");
}

bool perf_idlers_hold(struct perf_child *child, void *arg)
{
    struct perf_idlers_run *run = arg;
    const struct perf_idlers_job *job = run->job;
    struct client c = {.child = child, .run = run};
    char endpoint[PERF_ENDPOINT_MAX];
    struct perf_storm_spec spec = {
        .endpoint = endpoint,
        .wire = job->wire,
        .size = job->size,
        .conns = job->active + job->idle_cnt,
        .up = on_up,
        .message = on_answer,
        .ctx = &c,
    };
    bool ok = perf_descriptors_need(child, spec.conns) && client_open(&c) &&
              perf_child_take_endpoint(child, PERF_SERVER, endpoint);
    if (ok) {
        ok = perf_storm_open(&c.storm, child, &spec);
        if (ok) {
            perf_stamper_init(&c.stamper, perf_storm_body(&c.storm), job->size);
        }
        ok = ok && work(&c);
        perf_storm_close(&c.storm);
    }
    free(c.checks);
    free(c.sent_ns);
    free(c.numbers);
    return ok;
}
