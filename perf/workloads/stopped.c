#include "perf/workloads/stopped.h"

#include "mem/hdr.h"
#include "perf/run/clock.h"

#include <monocoque.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARMUP_NS      (300 * PERF_MS_NS)
#define BURST_MAX      512u /* messages published in one turn */
#define RUN_TIMEOUT_S  30.0
#define LATENCY_MAX_NS (UINT64_C(60) * PERF_SECOND_NS)
#define STOP_SHARE     0.1 /* of the window, before the victim is stopped */
#define P50_PPM        500000u
#define P99_PPM        990000u

enum phase { PHASE_WARMUP, PHASE_WINDOW, PHASE_END };

/* What every message begins with: the topic "m" first. */
struct head {
    char topic;
    uint8_t phase;
    uint64_t sent_ns;
};

struct stopped_run {
    struct perf_stopped_job job;
    struct perf_stopped_result result;
};

static uint64_t seconds_ns(double seconds)
{
    return (uint64_t)(seconds * (double)PERF_SECOND_NS);
}

static size_t message_len(const struct perf_stopped_job *job, enum phase phase)
{
    size_t least = sizeof(struct head);
    if (phase == PHASE_END) {
        least += sizeof(struct perf_stopped_seen);
    }
    return job->size < least ? least : job->size;
}

/* ---- the publisher ---- */

struct publisher {
    struct perf_child *child;
    const struct perf_stopped_job *job;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_timer *timer;
    struct mcq_peer victim;
    struct perf_stopped_seen seen;
    uint32_t joined;
    uint64_t begin_ns, open_ns, close_ns;
    uint64_t sent;
    bool full, failed;
    void *body;
};

static void publisher_fail(struct publisher *p, const char *what, const char *why)
{
    if (!p->failed) {
        perf_child_fail(p->child, "%s: %s", what, why);
    }
    p->failed = true;
    mcq_stop(p->shard);
}

static bool publish(struct publisher *p, enum phase phase)
{
    struct head head = {.topic = 'm', .phase = (uint8_t)phase, .sent_ns = perf_clock_ns()};
    memcpy(p->body, &head, sizeof head);
    enum mcq_error error = mcq_send_bytes(p->sock, p->body, message_len(p->job, phase));
    p->full = error == MCQ_EAGAIN;
    if (error != MCQ_OK && error != MCQ_EAGAIN) {
        publisher_fail(p, "publishing", mcq_error_name(error));
    }
    if (error != MCQ_OK) {
        return false;
    }
    p->sent++;
    p->seen.published += phase == PHASE_WINDOW;
    return true;
}

/* Everything that was seen goes out as the last message, by a socket that waits for room. */
static void publisher_end(struct publisher *p, uint64_t now_ns)
{
    struct mcq_shard_stats stats;
    mcq_shard_stats(p->shard, &stats);
    p->seen.seconds = (double)(now_ns - p->open_ns) / (double)PERF_SECOND_NS;
    p->seen.dropped_counted = stats.pattern.drops_hwm;
    p->seen.blocks_peak = stats.mem.blocks_peak;
    p->seen.blocks_empty = stats.mem.blocks_empty;
    memcpy((char *)p->body + sizeof(struct head), &p->seen, sizeof p->seen);
    if (publish(p, PHASE_END)) {
        mcq_timer_close(p->timer);
        p->timer = NULL;
        mcq_sock_close(p->sock);
    }
}

static uint64_t due(const struct publisher *p, uint64_t now_ns)
{
    if (p->job->msgs_per_s <= 0) {
        return UINT64_MAX;
    }
    double since_s = (double)(now_ns - p->begin_ns) / (double)PERF_SECOND_NS;
    return (uint64_t)(since_s * p->job->msgs_per_s);
}

static void on_tick(void *ctx, struct mcq_timer *timer)
{
    struct publisher *p = ctx;
    uint64_t now_ns = perf_clock_ns();
    uint64_t goal = due(p, now_ns);
    enum phase phase = now_ns < p->open_ns ? PHASE_WARMUP : PHASE_WINDOW;
    if (now_ns >= p->close_ns) {
        publisher_end(p, now_ns);
    } else {
        for (uint32_t i = 0; i < BURST_MAX && p->sent < goal && publish(p, phase); i++) {
        }
    }
    if (p->timer != NULL && !p->failed) {
        mcq_timer_arm(timer, 0);
    }
}

static void on_join(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                    const void *topic, size_t len)
{
    struct publisher *p = ctx;
    (void)sock;
    if (!added || len != 1) {
        return;
    }
    if (*(const char *)topic == 'v') {
        p->victim = peer;
        return;
    }
    if (++p->joined == p->job->subs) {
        p->begin_ns = perf_clock_ns();
        p->open_ns = p->begin_ns + WARMUP_NS;
        p->close_ns = p->open_ns + seconds_ns(p->job->seconds);
        mcq_timer_arm(p->timer, 0);
    }
}

static void on_publisher_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct publisher *p = ctx;
    (void)sock;
    bool victim = mcq_peer_equal(event->peer, p->victim);
    if (event->kind == MCQ_EVENT_SLOW) {
        *(victim ? &p->seen.slow_victim : &p->seen.slow_others) += 1;
    } else if (event->kind == MCQ_EVENT_DROPPED) {
        *(victim ? &p->seen.dropped_victim : &p->seen.dropped_others) += event->cnt;
    }
}

static int publisher_start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers handlers = {.event = on_publisher_event,
                                                      .subscription = on_join};
    struct publisher *p = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_detail detail = {.text = ""};
    p->shard = shard;
    opts.slow = p->job->msgs_per_s > 0 ? MCQ_SLOW_DROP_NEW : MCQ_SLOW_BLOCK;
    opts.send_hwm_msgs = 10000;
    if (mcq_sock_open(shard, MCQ_PUB, &opts, &handlers, p, &p->sock, &detail) != MCQ_OK ||
        mcq_timer_open(shard, on_tick, p, &p->timer) != MCQ_OK ||
        mcq_sock_bind(p->sock, "tcp://127.0.0.1:0", &detail) != MCQ_OK) {
        publisher_fail(p, "starting the publisher", detail.text);
        return 1;
    }
    return perf_child_give_endpoint(p->child, mcq_sock_endpoint(p->sock)) ? 0 : 1;
}

static bool app_run(struct perf_child *child, const struct mcq_app *app, void *arg,
                    enum mcq_idle idle, const bool *failed)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    struct mcq_detail detail = {.text = ""};
    char cpus[16] = "none";
    if (child->cpu >= 0) {
        snprintf(cpus, sizeof cpus, "%d", child->cpu);
    }
    opts.cpus = cpus;
    opts.idle = idle;
    opts.no_signals = true;
    enum mcq_error error = mcq_run(&opts, app, arg, &detail);
    if (error != MCQ_OK && !*failed) {
        return perf_child_fail(child, "%s: %s", mcq_error_name(error), detail.text);
    }
    return !*failed;
}

static bool publisher_run(struct perf_child *child, void *arg)
{
    static const struct mcq_app app = {.start = publisher_start};
    const struct stopped_run *run = arg;
    struct publisher p = {.child = child, .job = &run->job};
    p.body = perf_child_alloc(child, message_len(&run->job, PHASE_END));
    bool ok = p.body != NULL && app_run(child, &app, &p, MCQ_IDLE_SPIN, &p.failed);
    free(p.body);
    return ok;
}

/* ---- the subscribers ---- */

struct subscriber {
    struct subscribers *all;
    uint64_t received;
    bool ended;
};

struct subscribers {
    struct perf_child *child;
    struct stopped_run *run;
    struct mcq_shard *shard;
    struct mcq_timer *timer; /* stops the victim */
    pid_t victim;
    char endpoint[PERF_ENDPOINT_MAX];
    bool is_victim, planned, failed;
    uint32_t cnt, ended;
    struct mcq_hdr hdr;
    struct subscriber one[PERF_STOPPED_SUBS_MAX];
};

static void subscribers_fail(struct subscribers *s, const char *what, const char *why)
{
    if (!s->failed) {
        perf_child_fail(s->child, "%s: %s", what, why);
    }
    s->failed = true;
    mcq_stop(s->shard);
}

static void on_end(struct subscriber *sub, const void *data)
{
    struct subscribers *s = sub->all;
    memcpy(&s->run->result.seen, (const char *)data + sizeof(struct head),
           sizeof s->run->result.seen);
    if (!sub->ended && ++s->ended == s->cnt) {
        mcq_stop(s->shard);
    }
    sub->ended = true;
}

/* Counted from the first message: only then are all there, the victim among them. */
static void stop_plan(struct subscribers *s)
{
    double wait_s = s->run->job.seconds * STOP_SHARE;
    if (s->timer != NULL && !s->planned) {
        s->planned = true;
        mcq_timer_arm(s->timer, mcq_shard_now(s->shard) + WARMUP_NS + seconds_ns(wait_s));
    }
}

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct subscriber *sub = ctx;
    struct subscribers *s = sub->all;
    uint64_t now_ns = perf_clock_ns();
    (void)sock;
    (void)from;
    stop_plan(s);
    for (size_t i = 0; i < n; i++) {
        struct head head;
        memcpy(&head, msgs[i].data, sizeof head);
        if (head.phase == PHASE_WINDOW) {
            sub->received++;
            mcq_hdr_record(&s->hdr, now_ns - head.sent_ns);
        } else if (head.phase == PHASE_END) {
            on_end(sub, msgs[i].data);
        }
    }
    return n;
}

static void on_subscriber_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct subscriber *sub = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_DISCONNECTED && !sub->ended && !sub->all->is_victim) {
        subscribers_fail(sub->all, "a subscriber lost the publisher",
                         mcq_reason_name(event->reason));
    }
}

static void on_stop_due(void *ctx, struct mcq_timer *timer)
{
    struct subscribers *s = ctx;
    (void)timer;
    if (s->run->job.stop && kill(s->victim, SIGSTOP) != 0) {
        subscribers_fail(s, "stopping the victim", "no such process");
    }
}

static bool subscribe_one(struct subscribers *s, struct subscriber *sub)
{
    static const struct mcq_sock_handlers handlers = {.messages = on_messages,
                                                      .event = on_subscriber_event};
    struct mcq_sock *sock;
    struct mcq_detail detail = {.text = ""};
    sub->all = s;
    /* The victim's own topic first: the publisher knows it by that. */
    if (mcq_sock_open(s->shard, MCQ_SUB, NULL, &handlers, sub, &sock, &detail) != MCQ_OK ||
        (s->is_victim && mcq_subscribe(sock, "v", 1) != MCQ_OK) ||
        mcq_subscribe(sock, "m", 1) != MCQ_OK ||
        mcq_sock_connect(sock, s->endpoint, &detail) != MCQ_OK) {
        subscribers_fail(s, "opening a subscriber", detail.text);
        return false;
    }
    return true;
}

static int subscribers_start(struct mcq_shard *shard, void *arg)
{
    struct subscribers *s = arg;
    s->shard = shard;
    for (uint32_t i = 0; i < s->cnt; i++) {
        if (!subscribe_one(s, &s->one[i])) {
            return 1;
        }
    }
    return s->is_victim || mcq_timer_open(shard, on_stop_due, s, &s->timer) == MCQ_OK ? 0 : 1;
}

static const struct mcq_app subscribers_app = {.start = subscribers_start};

/* Never returns; the process is killed by the one that started it. */
static _Noreturn void victim_main(struct subscribers *s)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    s->is_victim = true;
    s->cnt = 1;
    (void)app_run(s->child, &subscribers_app, s, MCQ_IDLE_BLOCK, &s->failed);
    _exit(0);
}

static void result_take(struct subscribers *s)
{
    struct perf_stopped_result *r = &s->run->result;
    r->least = UINT64_MAX;
    for (uint32_t i = 0; i < s->cnt; i++) {
        uint64_t n = s->one[i].received;
        r->received += n;
        r->least = n < r->least ? n : r->least;
        r->most = n > r->most ? n : r->most;
    }
    r->msgs_per_s = (double)r->received / s->cnt / r->seen.seconds;
    r->p50_us = (double)mcq_hdr_percentile(&s->hdr, P50_PPM) / 1000.0;
    r->p99_us = (double)mcq_hdr_percentile(&s->hdr, P99_PPM) / 1000.0;
    r->max_us = (double)s->hdr.max / 1000.0;
}

static bool subscribers_go(struct subscribers *s)
{
    s->victim = fork();
    if (s->victim < 0) {
        return perf_child_fail_os(s->child, "starting the victim");
    }
    if (s->victim == 0) {
        victim_main(s);
    }
    s->cnt = s->run->job.subs - 1;
    bool ok = app_run(s->child, &subscribers_app, s, MCQ_IDLE_BLOCK, &s->failed);
    kill(s->victim, SIGKILL);
    waitpid(s->victim, NULL, 0);
    if (ok && s->ended < s->cnt) {
        return perf_child_fail(s->child, "the publisher ended before all subscribers had its end");
    }
    if (ok) {
        result_take(s);
    }
    return ok;
}

static bool subscribers_run(struct perf_child *child, void *arg)
{
    struct subscribers *s = calloc(1, sizeof *s);
    size_t counts_cnt = mcq_hdr_counts_cnt(LATENCY_MAX_NS);
    uint64_t *counts = calloc(counts_cnt, sizeof *counts);
    bool ok = s != NULL && counts != NULL;
    if (!ok) {
        perf_child_fail(child, "no memory for the subscribers");
    } else {
        s->child = child;
        s->run = arg;
        ok = mcq_hdr_init(&s->hdr, counts, counts_cnt, LATENCY_MAX_NS) &&
             perf_child_take_endpoint(child, PERF_SERVER, s->endpoint) && subscribers_go(s);
    }
    free(counts);
    free(s);
    return ok;
}

bool perf_stopped_measure(const struct perf_stopped_job *job, struct perf_stopped_result *result,
                          char *reason)
{
    struct stopped_run *run = perf_shared_new(sizeof *run);
    if (run == NULL) {
        snprintf(reason, PERF_REASON_MAX, "no memory for a result");
        return false;
    }
    run->job = *job;
    struct perf_crew crew;
    struct perf_usage usage[PERF_CREW_MAX];
    perf_crew_pair(&crew, publisher_run, subscribers_run, run, PERF_CLIENT);
    crew.place = PERF_PLACE_PINNED;
    crew.timeout_ns = seconds_ns(job->seconds + RUN_TIMEOUT_S);
    bool ok = perf_crew_run(&crew, usage, reason);
    *result = run->result;
    perf_shared_end(run, sizeof *run);
    return ok;
}
