/* The subscribers of a feed, and the victim. */
#include "perf/run/descriptors.h"
#include "perf/workloads/feed_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Flooding, the clock is read once per so many messages of all. */
#define LOOK_MSGS 64u

/* After what was due last, where messages may be missing: then it is over. */
#define GRACE_NS (500 * PERF_MS_NS)

#define STOP_SHARE 0.1 /* of the window, before the victim is stopped */

struct subscriber {
    struct perf_stamp_check check;
    uint64_t received; /* in the window */
};

/* Who has got a message of the window. */
struct spread {
    uint64_t first_ns;
    uint32_t cnt;
};

struct subscribers {
    struct perf_node node;
    struct perf_feed_run *run;
    struct subscriber *one;
    struct spread *spreads; /* with a rate */
    uint64_t begin_ns;
    uint64_t cnt; /* of all */
    uint64_t warmup_ns, window_ns;
    uint64_t first_ns, open_ns, close_ns; /* flooding: 0 until then */
    uint64_t end_ns;                      /* when what may be missing is missing */
    uint32_t done;                        /* subscribers that have the window's last, or more */
    bool open, over, faulty, stopped;
};

bool perf_feed_join(struct perf_child *child, const struct perf_feed_run *run, struct perf_node *n,
                    uint32_t conns, bool spin, perf_arrived_fn *arrived, void *ctx)
{
    const struct perf_feed_job *job = run->job;
    char endpoint[PERF_ENDPOINT_MAX];
    struct perf_node_spec spec = {
        .role = PERF_ROLE_SUB,
        .size = job->size,
        .conns = conns,
        .hwm = PERF_FEED_HWM,
        .spin = spin,
        .arrived = arrived,
        .ctx = ctx,
    };
    if (!perf_descriptors_need(child, 2 * conns) ||
        !perf_child_take_endpoint(child, PERF_FEED_PUBLISHER, endpoint)) {
        return false;
    }
    spec.endpoint = endpoint;
    return perf_node_open(n, job->peer->node, child, &spec);
}

/* --- arrivals ----------------------------------------------------------------------------------
 */

static void window_open(struct subscribers *s)
{
    s->open = true;
    perf_crew_begin(s->node.child);
}

/* Flooding: the window is told by the clock, and begins with the first message of any. */
static void clock_look(struct subscribers *s)
{
    uint64_t now_ns = perf_clock_ns();
    if (s->first_ns == 0) {
        s->first_ns = now_ns;
    } else if (!s->open) {
        if (now_ns - s->first_ns >= s->warmup_ns) {
            window_open(s);
            s->open_ns = perf_clock_ns();
        }
    } else if (now_ns - s->open_ns >= s->window_ns) {
        s->close_ns = now_ns;
        s->over = true;
    }
}

static void flooded(struct subscribers *s, struct subscriber *sub)
{
    if (s->over) {
        return;
    }
    sub->received += s->open;
    if (s->cnt % LOOK_MSGS == 0) {
        clock_look(s);
    }
}

/* All have a message once the last one has it. */
static void spread_take(struct subscribers *s, uint64_t number, uint64_t sent_ns, uint64_t now_ns)
{
    struct spread *spread = &s->spreads[number - s->run->open];
    if (spread->cnt == 0) {
        spread->first_ns = now_ns;
    }
    if (++spread->cnt == s->run->job->subs) {
        mcq_hdr_record(s->run->hists[FEED_LAST], now_ns - sent_ns);
        mcq_hdr_record(s->run->hists[FEED_SKEW], now_ns - spread->first_ns);
    }
}

static void timed(struct subscribers *s, struct subscriber *sub, uint64_t number)
{
    struct perf_feed_run *run = s->run;
    if (number < run->open || number >= run->close) {
        return;
    }
    if (!s->open) {
        window_open(s);
    }
    const struct perf_feed_time *time = &run->times[number];
    uint64_t now_ns = perf_clock_ns();
    uint64_t sent_ns = atomic_load_explicit(&time->sent_ns, memory_order_relaxed);
    mcq_hdr_record(run->hists[FEED_ONE_WAY], now_ns - sent_ns);
    mcq_hdr_record(run->hists[FEED_RESPONSE], now_ns - (s->begin_ns + time->due_ns));
    sub->received++;
    spread_take(s, number, sent_ns, now_ns);
}

/* A gap is no fault where the publisher drops. */
static bool tolerable(const struct subscribers *s, const struct perf_stamp_check *check)
{
    return check->old_cnt == 0 && check->damaged_cnt == 0 &&
           (check->gap_cnt == 0 || s->run->job->victim != PERF_VICTIM_NONE);
}

static void on_message(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct subscribers *s = ctx;
    struct subscriber *sub = &s->one[conn];
    uint64_t before = sub->check.next;
    uint64_t number;
    if (!perf_stamp_take(&sub->check, data, len, s->run->job->size, &number) &&
        !tolerable(s, &sub->check)) {
        s->faulty = true;
        return;
    }
    s->cnt++;
    if (perf_feed_floods(s->run)) {
        flooded(s, sub);
        return;
    }
    timed(s, sub, number);
    s->done += before < s->run->close && sub->check.next >= s->run->close;
}

/* --- the end of it -----------------------------------------------------------------------------
 */

static void result_take(struct subscribers *s)
{
    struct perf_feed_run *run = s->run;
    run->least = UINT64_MAX;
    for (uint32_t i = 0; i < run->job->subs; i++) {
        const struct subscriber *sub = &s->one[i];
        run->received += sub->received;
        run->least = sub->received < run->least ? sub->received : run->least;
        run->most = sub->received > run->most ? sub->received : run->most;
        run->lost += sub->check.gap_cnt;
        run->old += sub->check.old_cnt;
        run->damaged += sub->check.damaged_cnt;
        if (run->fault[0] == '\0' && !tolerable(s, &sub->check)) {
            perf_stamp_fault(&sub->check, run->fault, sizeof run->fault);
        }
    }
    if (s->faulty) {
        return; /* and there is no window */
    }
    uint64_t ns = perf_feed_floods(run)
                      ? s->close_ns - s->open_ns
                      : run->times[run->close - 1].due_ns - run->times[run->open].due_ns;
    run->seconds = (double)ns / (double)PERF_SECOND_NS;
}

static void victim_look(struct subscribers *s, uint64_t now_ns)
{
    const struct perf_feed_job *job = s->run->job;
    uint64_t at_ns = s->begin_ns + s->warmup_ns + (uint64_t)((double)s->window_ns * STOP_SHARE);
    if (job->victim == PERF_VICTIM_STOPS && !s->stopped && now_ns >= at_ns) {
        s->stopped = true;
        kill(atomic_load(&s->run->victim_pid), SIGSTOP);
    }
}

/* True: go on. */
static bool progress(struct subscribers *s)
{
    struct perf_feed_run *run = s->run;
    uint64_t now_ns = perf_clock_ns();
    if (s->faulty || s->over) {
        return false;
    }
    if (s->begin_ns == 0) {
        s->begin_ns = atomic_load(&run->begin_ns);
        if (s->begin_ns != 0 && !perf_feed_floods(run)) {
            uint64_t last_ns = s->begin_ns + run->times[run->close - 1].due_ns;
            bool drops = run->job->victim != PERF_VICTIM_NONE;
            s->end_ns = last_ns + (drops ? GRACE_NS : PERF_FEED_WAIT_NS);
        }
        return true;
    }
    if (perf_feed_floods(run)) {
        clock_look(s);
        return !s->over;
    }
    victim_look(s, now_ns);
    return s->done < run->job->subs && now_ns < s->end_ns;
}

/* It goes on, and tells what it has missed once it sees a later message. */
static bool victim_wait(struct subscribers *s)
{
    struct perf_feed_run *run = s->run;
    uint64_t deadline_ns = perf_clock_ns() + PERF_FEED_WAIT_NS;
    bool ok = true;
    if (run->job->victim == PERF_VICTIM_NONE) {
        return true;
    }
    kill(atomic_load(&run->victim_pid), SIGCONT);
    while (ok && !atomic_load(&run->caught_up) && perf_clock_ns() < deadline_ns) {
        ok = s->node.ops->poll(&s->node, perf_clock_ns() + PERF_FEED_LOOK_NS);
    }
    return ok;
}

static bool work(struct subscribers *s)
{
    struct perf_feed_run *run = s->run;
    bool ok = true;
    while (ok && progress(s)) {
        if (s->node.gone_cnt > 0) {
            return perf_child_fail(s->node.child, "a subscriber lost the publisher");
        }
        ok = s->node.ops->poll(&s->node, perf_clock_ns() + PERF_FEED_LOOK_NS);
    }
    if (ok && !s->open && !s->faulty) {
        return perf_child_fail(s->node.child, "no message of the window arrived");
    }
    if (s->open) {
        perf_crew_end(s->node.child);
    }
    if (ok && !s->faulty && !perf_feed_floods(run) && run->job->victim == PERF_VICTIM_NONE &&
        s->done < run->job->subs) {
        return perf_child_fail(s->node.child, "%u of %u subscribers got the last message in time",
                               s->done, run->job->subs);
    }
    if (ok) {
        ok = victim_wait(s);
        result_take(s);
    }
    return ok;
}

bool perf_feed_subscribe(struct perf_child *child, void *arg)
{
    struct perf_feed_run *run = arg;
    const struct perf_feed_job *job = run->job;
    struct subscribers s = {
        .run = run,
        .warmup_ns = (uint64_t)(job->warmup_s * (double)PERF_SECOND_NS),
        .window_ns = (uint64_t)(job->seconds * (double)PERF_SECOND_NS),
    };
    uint64_t msgs = perf_feed_floods(run) ? 1 : run->close - run->open;
    s.one = calloc(job->subs, sizeof *s.one);
    s.spreads = calloc(msgs, sizeof *s.spreads);
    bool ok = (s.one != NULL && s.spreads != NULL) || perf_child_fail(child, "no memory");
    ok = ok && perf_feed_join(child, run, &s.node, job->subs, job->idle == PERF_IDLE_SPIN,
                              on_message, &s);
    if (ok) {
        ok = work(&s);
    }
    free(s.one);
    free(s.spreads);
    return ok;
}

/* --- the victim --------------------------------------------------------------------------------
 */

struct victim {
    struct perf_stamp_check check;
    struct perf_feed_run *run;
};

static void on_victims_message(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct victim *victim = ctx;
    uint64_t number;
    (void)conn;
    if (atomic_load_explicit(&victim->run->caught_up, memory_order_relaxed)) {
        return;
    }
    perf_stamp_take(&victim->check, data, len, victim->run->job->size, &number);
    if (victim->check.next > victim->run->close) {
        victim->run->victim_lost = victim->check.gap_cnt;
        atomic_store(&victim->run->caught_up, true);
    }
}

bool perf_feed_suffer(struct perf_child *child, void *arg)
{
    struct perf_feed_run *run = arg;
    struct perf_node node;
    struct victim victim = {.run = run};
    atomic_store(&run->victim_pid, getpid());
    if (!perf_feed_join(child, run, &node, 1, false, on_victims_message, &victim)) {
        return false;
    }
    bool ok = true;
    while (ok && !perf_child_stopped(child)) {
        ok = node.ops->poll(&node, perf_clock_ns() + PERF_FEED_LOOK_NS);
        atomic_store(&run->victim_gone, node.gone_cnt > 0);
    }
    return ok;
}
