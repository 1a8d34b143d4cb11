#include "perf/workloads/logon.h"

#include "perf/run/clock.h"
#include "perf/run/descriptors.h"
#include "perf/run/stamp.h"
#include "perf/workloads/cost.h"
#include "perf/workloads/storm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BASE_TIMEOUT_S 30.0
#define LOOK_NS        (10 * PERF_MS_NS)
/* Besides those under way: what the server hasn't seen end yet. */
#define SERVER_SPARE 256u

/* In shared memory. */
struct logon_run {
    const struct perf_logon_job *job;
    struct mcq_hdr *connect, *response;
    uint64_t logons, open_ns, close_ns;
    uint64_t faulty;
};

struct logons {
    struct perf_storm storm;
    struct perf_child *child;
    struct logon_run *run;
    struct perf_stamper stamper;
    uint32_t *due; /* places without a connection */
    uint32_t due_cnt;
    uint64_t first_ns;
    bool open, over, failed;
};

static bool serve(struct perf_child *child, void *arg)
{
    const struct logon_run *run = arg;
    const struct perf_logon_job *job = run->job;
    struct perf_node_spec spec = {
        .role = PERF_ROLE_SERVER,
        .binds = true,
        .transport = job->transport,
        .size = job->size,
        .conns = 2 * job->conns + SERVER_SPARE,
        .spin = job->idle == PERF_IDLE_SPIN,
    };
    return perf_descriptors_need(child, spec.conns) &&
           perf_node_echo(child, job->peer->node, &spec, NULL);
}

/* --- the storm ---------------------------------------------------------------------------------
 */

static void on_up(void *ctx, uint32_t conn, uint64_t now_ns)
{
    struct logons *l = ctx;
    if (l->open && !l->over) {
        mcq_hdr_record(l->run->connect, now_ns - perf_storm_began_ns(&l->storm, conn));
    }
    perf_stamp_put(&l->stamper, perf_storm_body(&l->storm), conn);
    l->failed = !perf_storm_send(&l->storm, conn) || l->failed;
}

static bool answer_is_right(const struct logons *l, uint32_t conn, const void *data, size_t len)
{
    struct perf_stamp_check check = {.next = conn};
    uint64_t number;
    return perf_stamp_take(&check, data, len, l->run->job->size, &number);
}

static void on_answer(void *ctx, uint32_t conn, uint64_t now_ns, const void *data, size_t len)
{
    struct logons *l = ctx;
    struct logon_run *run = l->run;
    if (!answer_is_right(l, conn, data, len)) {
        run->faulty++;
        l->over = true;
        return;
    }
    if (l->open && !l->over) {
        mcq_hdr_record(run->response, now_ns - perf_storm_began_ns(&l->storm, conn));
        l->over = ++run->logons == run->job->count;
    }
    perf_storm_drop(&l->storm, conn);
    l->due[l->due_cnt++] = conn;
}

static bool begin_due(struct logons *l)
{
    while (l->due_cnt > 0) {
        enum perf_storm_begun begun = perf_storm_connect(&l->storm, l->due[l->due_cnt - 1]);
        if (begun != PERF_STORM_BEGUN) {
            return begun == PERF_STORM_LATER;
        }
        l->due_cnt--;
    }
    return true;
}

/* It has one logon at least; a server that gives none is patience's to tell. */
static void window_look(struct logons *l)
{
    const struct perf_logon_job *job = l->run->job;
    uint64_t now_ns = perf_clock_ns();
    if (!l->open) {
        if (now_ns - l->first_ns >= (uint64_t)(job->warmup_s * (double)PERF_SECOND_NS)) {
            perf_crew_begin(l->child);
            l->open = true;
            l->run->open_ns = perf_clock_ns();
        }
        return;
    }
    double passed_s = (double)(now_ns - l->run->open_ns) / (double)PERF_SECOND_NS;
    l->over = l->over || (passed_s >= job->seconds && l->run->logons > 0);
    l->run->close_ns = now_ns;
}

/* What was under way has to come to its end, too: patience tells a server that went silent. */
static bool drain(struct logons *l)
{
    bool ok = true;
    while (ok && l->run->faulty == 0 && l->due_cnt < l->run->job->conns) {
        ok = perf_storm_turn(&l->storm, perf_clock_ns() + LOOK_NS, false) && !l->failed;
    }
    return ok;
}

static bool storm(struct logons *l)
{
    bool ok = true;
    l->first_ns = perf_clock_ns();
    while (ok && !l->over) {
        ok = begin_due(l) && perf_storm_turn(&l->storm, perf_clock_ns() + LOOK_NS, false) &&
             !l->failed;
        window_look(l);
    }
    if (l->open) {
        perf_crew_end(l->child);
    }
    return ok && drain(l);
}

static bool storm_run(struct perf_child *child, void *arg)
{
    struct logon_run *run = arg;
    const struct perf_logon_job *job = run->job;
    struct logons l = {.child = child, .run = run};
    char endpoint[PERF_ENDPOINT_MAX];
    struct perf_storm_spec spec = {
        .endpoint = job->endpoint != NULL ? job->endpoint : endpoint,
        .wire = job->wire,
        .size = job->size,
        .conns = job->conns,
        .patience_ns = job->patience_ns,
        .up = on_up,
        .message = on_answer,
        .ctx = &l,
    };
    if (!perf_descriptors_need(child, job->conns) ||
        (job->endpoint == NULL && !perf_child_take_endpoint(child, PERF_SERVER, endpoint))) {
        return false;
    }
    l.due = calloc(job->conns, sizeof *l.due);
    bool ok = l.due != NULL || perf_child_fail(child, "no memory for a storm");
    for (uint32_t i = 0; ok && i < job->conns; i++) {
        l.due[l.due_cnt++] = job->conns - 1 - i;
    }
    if (ok) {
        ok = perf_storm_open(&l.storm, child, &spec);
        if (ok) {
            perf_stamper_init(&l.stamper, perf_storm_body(&l.storm), job->size);
        }
        ok = ok && storm(&l);
        perf_storm_close(&l.storm);
    }
    free(l.due);
    return ok;
}

/* --- what came of it ---------------------------------------------------------------------------
 */

static void crew_make(struct perf_crew *crew, struct logon_run *run)
{
    const struct perf_logon_job *job = run->job;
    perf_crew_pair(crew, serve, storm_run, run, PERF_CLIENT);
    if (job->endpoint != NULL) {
        crew->posts[0] = crew->posts[PERF_CLIENT];
        crew->cnt = 1;
        crew->measures = 0;
    }
    crew->place = job->place;
    crew->trace = job->trace;
    double timeout_s = BASE_TIMEOUT_S + job->warmup_s + job->seconds;
    crew->timeout_ns = (uint64_t)(timeout_s * (double)PERF_SECOND_NS);
}

static void cost_take(const struct logon_run *run, const struct perf_usage *usage,
                      struct perf_run *to)
{
    struct perf_cost cost;
    bool ours = run->job->endpoint == NULL;
    perf_cost_init(&cost);
    for (unsigned i = ours ? 0 : 1; i < 2; i++) {
        perf_cost_take(&cost.sides[i], &usage[ours ? i : 0], run->logons);
        perf_cost_calls(&cost.sides[i], &usage[ours ? i : 0], run->logons);
    }
    perf_cost_run(&cost, to);
}

static void result_take(const struct logon_run *run, struct perf_run *to)
{
    to->seconds = (double)(run->close_ns - run->open_ns) / (double)PERF_SECOND_NS;
    to->main = PERF_HIST_CONNECT;
    to->metrics[PERF_METRIC_MSGS] = (double)run->logons;
    to->metrics[PERF_METRIC_DAMAGED] = (double)run->faulty;
    if (to->seconds > 0) {
        to->metrics[PERF_METRIC_CONNECT_RATE] = (double)run->logons / to->seconds;
    }
    perf_run_hist(to, PERF_HIST_CONNECT, run->connect);
    perf_run_hist(to, PERF_HIST_RESPONSE, run->response);
    if (run->faulty > 0) {
        perf_run_refuse(to, "an answer isn't the message that was sent");
    }
}

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

bool perf_logon_measure(const struct perf_logon_job *job, struct perf_run *to, char *reason)
{
    struct perf_usage usage[PERF_CREW_MAX];
    struct perf_crew crew;
    size_t hist_len = (perf_hist_len() + 63) / 64 * 64;
    size_t len = 4096 + 2 * hist_len;
    struct logon_run *run = perf_shared_new(len);
    if (run == NULL) {
        snprintf(reason, PERF_REASON_MAX, "no memory for the histograms");
        return false;
    }
    run->job = job;
    run->connect = perf_hist_at((char *)run + 4096);
    run->response = perf_hist_at((char *)run + 4096 + hist_len);
    crew_make(&crew, run);
    to->start_s = now_s();
    bool ok = perf_crew_run(&crew, usage, reason);
    if (ok) {
        result_take(run, to);
        cost_take(run, usage, to);
    }
    perf_shared_end(run, len);
    return ok;
}
