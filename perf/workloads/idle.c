#include "perf/workloads/idle.h"

#include "perf/run/clock.h"
#include "perf/run/stamp.h"
#include "perf/workloads/cost.h"
#include "perf/workloads/lineup.h"
#include "perf/workloads/tell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define COUNT_DEFAULT     1000u
#define SECONDS_DEFAULT   1.0
#define SECONDS_QUICK     0.2
#define WARMUP_CNT        20u
#define ANSWER_TIMEOUT_NS (20 * PERF_SECOND_NS)
#define BASE_TIMEOUT_NS   (60 * PERF_SECOND_NS)

static const double gaps_usual_ns[] = {1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
#define GAPS_USUAL (sizeof gaps_usual_ns / sizeof gaps_usual_ns[0])
#define GAPS_QUICK 5u /* to 100 ms */

struct idle {
    const struct perf_options *options;
    const double *gaps_ns;
    unsigned gap_cnt;
    double seconds;
};

/* What both processes of a crew work from; the histogram is in memory they share. */
struct silence {
    const struct perf_options *options;
    const struct perf_arm *arm;
    uint64_t gap_ns, samples;
    uint64_t long_ns; /* no further sample after that */
    struct mcq_hdr *hist;
};

struct asker {
    struct perf_node node;
    struct perf_stamp_check check;
    struct perf_stamper stamper;
    void *body;
    uint64_t sent, arrived_ns;
    bool waits, failed;
};

uint64_t perf_idle_samples(double gap_ns, double seconds, uint64_t count)
{
    double fit = floor(seconds * 1e9 / gap_ns);
    uint64_t most = count != 0 ? count : COUNT_DEFAULT;
    return fit < 1 ? 1 : fit < (double)most ? (uint64_t)fit : most;
}

/* --- the crew ----------------------------------------------------------------------------------
 */

static struct perf_node_spec node_spec(const struct silence *silence, enum perf_role role)
{
    return (struct perf_node_spec){
        .role = role,
        .binds = role == PERF_ROLE_SERVER,
        .transport = silence->options->transport,
        .size = silence->options->size,
        .conns = 1,
        .spin = silence->arm->idle == PERF_IDLE_SPIN,
        .socket_type = silence->options->socket_type,
    };
}

static bool server_run(struct perf_child *child, void *arg)
{
    struct silence *silence = arg;
    struct perf_node_spec spec = node_spec(silence, PERF_ROLE_SERVER);
    struct perf_handler handler = perf_options_handler(silence->options);
    return perf_node_echo(child, silence->arm->peer->node, &spec, &handler);
}

static void on_answer(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct asker *asker = ctx;
    uint64_t number;
    (void)conn;
    asker->arrived_ns = perf_clock_ns();
    asker->failed = !perf_stamp_take(&asker->check, data, len, asker->node.spec.size, &number) ||
                    !asker->waits || asker->failed;
    asker->waits = false;
}

static bool keep_silent(struct asker *asker, uint64_t until_ns)
{
    bool ok = true;
    while (ok && perf_clock_ns() < until_ns && !asker->failed && asker->node.gone_cnt == 0) {
        ok = asker->node.ops->poll(&asker->node, until_ns);
    }
    return ok;
}

/* One message and its answer; how long it took, or 0 with the reason noted. */
static uint64_t ask(struct asker *asker)
{
    struct perf_node *node = &asker->node;
    perf_stamp_put(&asker->stamper, asker->body, asker->sent++);
    uint64_t begin_ns = perf_clock_ns();
    uint64_t until_ns = begin_ns + ANSWER_TIMEOUT_NS;
    asker->waits = true;
    if (node->ops->send(node, 0, asker->body, node->spec.size) != PERF_PUT_OK) {
        perf_child_fail(node->child, "a message found no room on an idle connection");
        return 0;
    }
    while (asker->waits && node->gone_cnt == 0 && perf_clock_ns() < until_ns) {
        if (!node->ops->poll(node, until_ns)) {
            return 0;
        }
    }
    if (asker->failed || asker->waits) {
        perf_child_fail(node->child, asker->failed ? "an answer isn't the message that was sent"
                                                   : "the server doesn't answer any more");
        return 0;
    }
    return asker->arrived_ns - begin_ns;
}

static bool ask_all(struct asker *asker, const struct silence *silence)
{
    for (unsigned i = 0; i < WARMUP_CNT; i++) {
        if (ask(asker) == 0) {
            return false;
        }
    }
    perf_crew_begin(asker->node.child);
    asker->arrived_ns = perf_clock_ns();
    uint64_t end_ns = asker->arrived_ns + silence->long_ns;
    for (uint64_t i = 0; i < silence->samples && (i == 0 || asker->arrived_ns < end_ns); i++) {
        if (!keep_silent(asker, asker->arrived_ns + silence->gap_ns)) {
            return false;
        }
        uint64_t took_ns = ask(asker);
        if (took_ns == 0) {
            return false;
        }
        mcq_hdr_record(silence->hist, took_ns);
    }
    perf_crew_end(asker->node.child);
    return true;
}

static bool client_run(struct perf_child *child, void *arg)
{
    const struct silence *silence = arg;
    struct asker asker = {0};
    struct perf_node_spec spec = node_spec(silence, PERF_ROLE_CLIENT);
    char endpoint[PERF_ENDPOINT_MAX];
    const char *strange = silence->options->connect;
    if (strange == NULL && !perf_child_take_endpoint(child, PERF_SERVER, endpoint)) {
        return false;
    }
    prctl(PR_SET_TIMERSLACK, 1UL);
    spec.endpoint = strange != NULL ? strange : endpoint;
    spec.arrived = on_answer;
    spec.ctx = &asker;
    asker.body = perf_child_alloc(child, spec.size);
    bool ok =
        asker.body != NULL && perf_node_open(&asker.node, silence->arm->peer->node, child, &spec);
    if (ok) {
        perf_stamper_init(&asker.stamper, asker.body, spec.size);
        ok = ask_all(&asker, silence);
        asker.node.ops->close(&asker.node);
    }
    free(asker.body);
    return ok;
}

/* --- runs --------------------------------------------------------------------------------------
 */

static void crew_make(struct perf_crew *crew, struct silence *silence)
{
    perf_crew_pair(crew, server_run, client_run, silence, PERF_CLIENT);
    if (silence->options->connect != NULL) {
        crew->posts[0] = crew->posts[PERF_CLIENT];
        crew->cnt = 1;
        crew->measures = 0;
    }
    crew->place = silence->arm->place;
    crew->timeout_ns = BASE_TIMEOUT_NS + 2 * silence->samples * silence->gap_ns;
}

static void run_fill(struct perf_run *run, const struct silence *silence,
                     const struct perf_usage *usage)
{
    bool ours = silence->options->connect == NULL;
    const struct perf_usage *client = &usage[ours ? PERF_CLIENT : 0];
    struct perf_cost cost;
    perf_cost_init(&cost);
    uint64_t cnt = mcq_hdr_cnt(silence->hist);
    perf_cost_take(&cost.sides[PERF_CLIENT], client, cnt);
    if (ours) {
        perf_cost_take(&cost.sides[PERF_SERVER], &usage[PERF_SERVER], cnt);
    }
    perf_cost_run(&cost, run);
    run->start_s = (double)time(NULL) - (double)client->wall_ns / 1e9;
    run->seconds = (double)client->wall_ns / 1e9;
    run->main = PERF_HIST_RTT;
    run->metrics[PERF_METRIC_MSGS] = (double)cnt;
    perf_run_hist(run, PERF_HIST_RTT, silence->hist);
}

static bool measure(void *ctx, struct perf_arm *arm, struct perf_run *run, char *reason)
{
    const struct idle *idle = ctx;
    struct silence silence = {
        .options = idle->options,
        .arm = arm,
        .gap_ns = arm->param,
        .samples = perf_idle_samples((double)arm->param, idle->seconds, idle->options->count),
        .long_ns = (uint64_t)(idle->seconds * PERF_IDLE_OVERTIME * (double)PERF_SECOND_NS),
    };
    struct perf_usage usage[PERF_CREW_MAX];
    struct perf_crew crew;
    void *shared = perf_shared_new(perf_hist_len());
    if (shared == NULL) {
        snprintf(reason, PERF_REASON_MAX, "no memory for the histogram");
        return false;
    }
    silence.hist = perf_hist_at(shared);
    crew_make(&crew, &silence);
    bool ok = perf_crew_run(&crew, usage, reason);
    if (ok) {
        run_fill(run, &silence, usage);
    }
    perf_shared_end(shared, perf_hist_len());
    return ok;
}

static int idle_run(struct idle *idle, const struct perf_lineup *lineup)
{
    const struct perf_options *options = idle->options;
    struct perf_artefact *a = perf_tell_begin(options);
    struct perf_arm *arms = perf_zeroed(lineup->cnt * idle->gap_cnt, sizeof *arms);
    unsigned cnt = 0;
    for (unsigned gap = 0; gap < idle->gap_cnt; gap++) {
        for (unsigned i = 0; i < lineup->cnt; i++) {
            struct perf_result *r = perf_lineup_result(options, "idle", &lineup->entrants[i]);
            perf_result_number(r, "gap_us", idle->gaps_ns[gap] / 1e3);
            perf_lineup_arm(&arms[cnt++], &lineup->entrants[i], r, (uint64_t)idle->gaps_ns[gap]);
            perf_artefact_add(a, r);
        }
    }
    bool ok = perf_arms_run(arms, cnt, options->runs != 0 ? options->runs : 1, measure, idle,
                            options->quiet);
    perf_lineup_missing(arms, cnt);
    free(arms);
    return perf_tell(options, a, ok);
}

int perf_idle_main(const struct perf_options *options)
{
    bool given = options->gaps_ns.cnt > 0;
    struct idle idle = {
        .options = options,
        .gaps_ns = given ? options->gaps_ns.values : gaps_usual_ns,
        .gap_cnt = given            ? options->gaps_ns.cnt
                   : options->quick ? GAPS_QUICK
                                    : (unsigned)GAPS_USUAL,
        .seconds = options->seconds > 0 ? options->seconds
                   : options->quick     ? SECONDS_QUICK
                                        : SECONDS_DEFAULT,
    };
    struct perf_lineup lineup;
    perf_lineup_make(&lineup, options);
    if (lineup.cnt * idle.gap_cnt > PERF_RESULTS_MAX) {
        fprintf(stderr, "mcq-perf: %u peers after %u gaps are more than %u results\n", lineup.cnt,
                idle.gap_cnt, PERF_RESULTS_MAX);
        return PERF_EXIT_USAGE;
    }
    return idle_run(&idle, &lineup);
}
