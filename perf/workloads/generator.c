#include "perf/workloads/generator.h"

#include "perf/run/clock.h"
#include "perf/run/stamp.h"

#include <stdlib.h>
#include <sys/prctl.h>

/* Handed over between two polls, at most: what is due together goes out together. */
#define BATCH 64u

/* How soon a message that waits for room is tried again, whatever happens. */
#define AGAIN_NS PERF_MS_NS

#define PLACES_MIN 16u /* per connection */

struct flight {
    uint64_t due_ns, sent_ns;
};

struct connection {
    uint64_t sent; /* the number of its next message */
    struct perf_stamp_check check;
};

struct generator {
    struct perf_node node;
    const struct perf_generator_spec *spec;
    struct perf_tally *tally;
    struct connection *conns;
    struct flight *flights; /* per connection a ring of `places`, by number */
    uint64_t places;        /* a power of two */
    uint64_t room;          /* per connection: what may be under way, at most places */
    struct perf_stamper stamper;
    void *body;
    struct perf_schedule schedule, ahead;
    uint64_t start_ns, end_ns; /* the end as an offset */
    uint64_t due_ns;           /* of what is to be sent next */
    uint64_t seen_ns;          /* the first that the generator hasn't come to */
    uint64_t back_cnt;         /* answered, or known as lost */
    uint64_t foreign_cnt;      /* of no connection of ours */
    uint32_t turn;
    uint64_t refused_ns; /* just after something found no room the last time */
    bool held;           /* what is due finds no room */
    bool gone;
};

static uint64_t since(const struct generator *g)
{
    return perf_clock_ns() - g->start_ns;
}

static bool counts(const struct generator *g, uint64_t due_ns)
{
    return due_ns >= g->spec->warmup_ns && due_ns < g->end_ns;
}

/* --- what comes --------------------------------------------------------------------------------
 */

static void interval_record(struct perf_tally *tally, uint64_t in_window_ns, uint64_t ns)
{
    uint64_t idx = in_window_ns / tally->interval_ns;
    if (idx < tally->interval_cnt) {
        mcq_hdr_record(&tally->intervals[idx], ns);
    }
}

static void answer_take(struct generator *g, const struct flight *flight, uint64_t now_ns)
{
    struct perf_tally *tally = g->tally;
    if (!counts(g, flight->due_ns)) {
        return;
    }
    uint64_t response_ns = now_ns - flight->due_ns;
    mcq_hdr_record(tally->response, response_ns);
    mcq_hdr_record(tally->service, now_ns - flight->sent_ns);
    if (tally->intervals != NULL) {
        interval_record(tally, flight->due_ns - g->spec->warmup_ns, response_ns);
    }
    tally->answered_cnt++;
    tally->last_answer_ns = now_ns;
}

static void on_answer(void *ctx, uint64_t idx, const void *data, size_t len)
{
    struct generator *g = ctx;
    uint64_t number;
    if (idx >= g->node.spec.conns) {
        g->foreign_cnt++;
        return;
    }
    struct connection *conn = &g->conns[idx];
    uint64_t next = conn->check.next;
    bool ok = perf_stamp_take(&conn->check, data, len, g->node.spec.size, &number);
    if (conn->check.next > conn->sent) { /* what was never asked */
        conn->check.next = conn->sent;
        conn->check.damaged_cnt++;
        ok = false;
    }
    g->back_cnt += conn->check.next - next;
    if (ok) {
        answer_take(g, &g->flights[idx * g->places + (number & (g->places - 1))], since(g));
    }
}

/* --- what goes ---------------------------------------------------------------------------------
 */

/* The generator has come to all that is due by now, whether there is room for it or not. */
static void see(struct generator *g, uint64_t now_ns)
{
    while (!g->spec->saturate && g->seen_ns <= now_ns && g->seen_ns < g->end_ns) {
        if (counts(g, g->seen_ns)) {
            mcq_hdr_record(g->tally->lag, now_ns - g->seen_ns);
            g->tally->asked_cnt++;
        }
        g->seen_ns = perf_schedule_next(&g->ahead);
    }
}

static void sent_take(struct generator *g, uint64_t now_ns)
{
    g->tally->all_cnt++;
    if (counts(g, g->due_ns)) {
        g->tally->sent_cnt++;
        g->tally->late_cnt += g->refused_ns > g->due_ns ? 1 : 0;
        g->tally->last_sent_ns = now_ns;
        g->tally->asked_cnt += g->spec->saturate ? 1 : 0;
    }
    g->turn = g->turn + 1 == g->node.spec.conns ? 0 : g->turn + 1;
    if (!g->spec->saturate) {
        g->due_ns = perf_schedule_next(&g->schedule);
    }
}

static enum perf_put send_one(struct generator *g, uint64_t now_ns)
{
    struct connection *conn = &g->conns[g->turn];
    if (conn->sent - conn->check.next >= g->room) {
        return PERF_PUT_FULL;
    }
    struct flight *flight =
        &g->flights[(uint64_t)g->turn * g->places + (conn->sent & (g->places - 1))];
    *flight = (struct flight){g->due_ns, now_ns};
    perf_stamp_put(&g->stamper, g->body, conn->sent++);
    enum perf_put put = g->node.ops->send(&g->node, g->turn, g->body, g->node.spec.size);
    if (put != PERF_PUT_OK) {
        conn->sent--;
    }
    return put;
}

static void send_due(struct generator *g)
{
    for (unsigned i = 0; i < BATCH; i++) {
        uint64_t now_ns = since(g);
        if (g->spec->saturate) {
            g->due_ns = now_ns;
        }
        if (g->due_ns > now_ns || g->due_ns >= g->end_ns) {
            return;
        }
        see(g, now_ns);
        enum perf_put put = send_one(g, now_ns);
        if (put != PERF_PUT_OK) {
            g->held = true;
            g->refused_ns = now_ns + 1;
            g->gone = put == PERF_PUT_GONE;
            return;
        }
        g->held = false;
        sent_take(g, now_ns);
    }
}

/* --- turns -------------------------------------------------------------------------------------
 */

static bool all_sent(const struct generator *g)
{
    return g->due_ns >= g->end_ns;
}

static uint64_t poll_until(const struct generator *g, uint64_t now_ns, uint64_t deadline_ns)
{
    bool plans = !g->spec->saturate && g->seen_ns < g->end_ns;
    uint64_t until_ns = plans ? g->seen_ns : deadline_ns;
    if (!g->held && g->due_ns <= now_ns && !all_sent(g)) {
        return 0;
    }
    if (g->held && until_ns > now_ns + AGAIN_NS) {
        until_ns = now_ns + AGAIN_NS;
    }
    return until_ns <= now_ns ? 0 : g->start_ns + until_ns;
}

static bool work(struct generator *g)
{
    uint64_t deadline_ns = g->end_ns + g->spec->drain_ns;
    uint64_t now_ns = since(g);
    bool ok = true;
    while (ok && now_ns < deadline_ns && !(all_sent(g) && g->back_cnt == g->tally->all_cnt)) {
        see(g, now_ns);
        send_due(g);
        now_ns = since(g);
        ok = g->node.ops->poll(&g->node, poll_until(g, now_ns, deadline_ns));
        if (ok && (g->gone || g->node.gone_cnt > 0)) {
            ok = perf_child_fail(g->node.child, "the server has ended a connection");
        }
        now_ns = since(g);
    }
    return ok;
}

static void begin(struct generator *g)
{
    const struct perf_generator_spec *spec = g->spec;
    perf_schedule_init(&g->schedule, &spec->schedule);
    perf_schedule_init(&g->ahead, &spec->schedule);
    g->end_ns = spec->warmup_ns + spec->window_ns;
    if (!spec->saturate) {
        g->due_ns = perf_schedule_next(&g->schedule);
        g->seen_ns = perf_schedule_next(&g->ahead);
    }
    perf_crew_begin(g->node.child);
    g->start_ns = perf_clock_ns();
    atomic_store(&g->tally->start_ns, g->start_ns);
}

static void end(struct generator *g)
{
    struct perf_tally *tally = g->tally;
    perf_crew_end(g->node.child);
    see(g, g->end_ns); /* what the deadline has cut off was asked for, too */
    tally->damaged_cnt = g->foreign_cnt;
    for (uint32_t i = 0; i < g->node.spec.conns; i++) {
        const struct connection *conn = &g->conns[i];
        tally->lost_cnt += conn->check.gap_cnt + conn->sent - conn->check.next;
        tally->old_cnt += conn->check.old_cnt;
        tally->damaged_cnt += conn->check.damaged_cnt;
    }
}

/* --- opening -----------------------------------------------------------------------------------
 */

static uint64_t power_below(uint64_t cnt)
{
    return UINT64_C(1) << (63 - __builtin_clzll(cnt | 1));
}

static bool table_open(struct generator *g, struct perf_child *child, uint32_t conns)
{
    uint64_t max = g->spec->flights_max != 0 ? g->spec->flights_max : PERF_FLIGHTS_MAX;
    g->room = max / conns > 0 ? max / conns : 1;
    uint64_t least = g->room < PLACES_MIN ? PLACES_MIN : g->room;
    g->places = power_below(least);
    g->room = g->room < g->places ? g->room : g->places;
    g->conns = calloc(conns, sizeof *g->conns);
    g->flights = perf_child_alloc(child, conns * g->places * sizeof *g->flights);
    return g->flights != NULL &&
           (g->conns != NULL || perf_child_fail(child, "no memory for connections"));
}

bool perf_generator_run(struct perf_child *child, const struct perf_node_ops *ops,
                        const struct perf_node_spec *node_spec,
                        const struct perf_generator_spec *spec, struct perf_tally *tally)
{
    struct generator g = {.spec = spec, .tally = tally};
    struct perf_node_spec own = *node_spec;
    own.arrived = on_answer;
    own.ctx = &g;
    /* A generator that sleeps is to wake when a message is due, not 50 us after it. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    g.body = perf_child_alloc(child, own.size);
    bool ok = g.body != NULL && table_open(&g, child, own.conns) &&
              perf_node_open(&g.node, ops, child, &own);
    if (ok) {
        perf_stamper_init(&g.stamper, g.body, own.size);
        begin(&g);
        ok = work(&g);
        end(&g);
        ops->close(&g.node);
    }
    free(g.flights);
    free(g.conns);
    free(g.body);
    return ok;
}
