#include "tests/support/trial.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WATCHDOG_S     200 /* of a hang: never of a slow machine */
#define WAIT_MS        100000u
#define QUICK_TRIES    2000u
#define FAILURES_SHOWN 20u

static atomic_uint passed, failed;
static const char *current = "";
static struct mcq_shard_stats last_stats;

bool mcq_trial_check(bool ok, const char *what, const char *file, int line)
{
    if (ok) {
        atomic_fetch_add(&passed, 1);
        return true;
    }
    unsigned nr = atomic_fetch_add(&failed, 1);
    if (nr < FAILURES_SHOWN)
        printf("FAILED: %s: %s (%s:%d)\n", current, what, file, line);
    fflush(stdout);
    return false;
}

static void hung(int sig)
{
    (void)sig;
    const char text[] = "FAILED: hung: ";
    if (write(1, text, sizeof(text) - 1) < 0 || write(1, current, strlen(current)) < 0 ||
        write(1, "\n", 1) < 0)
        _exit(2);
    abort();
}

static void on_log(void *ctx, enum mcq_log_level level, const char *line)
{
    (void)ctx;
    if (level == MCQ_LOG_ERROR && !CHECK(level != MCQ_LOG_ERROR))
        printf("  log: %s\n", line);
}

/* MCQ_TRIAL_IDLE=spin or spin-block: other than block. */
static enum mcq_idle idle_mode(void)
{
    const char *text = getenv("MCQ_TRIAL_IDLE");
    if (text == NULL || strcmp(text, "block") == 0)
        return MCQ_IDLE_BLOCK;
    return strcmp(text, "spin") == 0 ? MCQ_IDLE_SPIN : MCQ_IDLE_SPIN_BLOCK;
}

struct mcq_opts mcq_trial_opts(void)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    opts.cpus = "none";
    opts.idle = idle_mode();
    opts.arena_bytes = 32u << 20;
    opts.large_bytes = 32u << 20;
    opts.connections_max = 256;
    opts.no_mlock = true;
    opts.log = on_log;
    return opts;
}

static const struct mcq_trial *running;

static int on_start(struct mcq_shard *shard, void *arg)
{
    return running->start(shard, arg);
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    struct mcq_shard_stats stats;
    (void)arg;
    mcq_shard_stats(shard, &stats);
    CHECK(stats.pattern.peers_now == 0);
    CHECK(stats.mem.large_now == 0);
    if (mcq_shard_id(shard) == 0)
        last_stats = stats;
}

static unsigned long ms_since(const struct timespec *began)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)((now.tv_sec - began->tv_sec) * 1000 +
                           (now.tv_nsec - began->tv_nsec) / 1000000);
}

/* SIGTERM is the app's, which blocks it on its own threads. */
static pthread_t peer_start(const struct mcq_trial *trial)
{
    sigset_t set, before;
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    if (pthread_create(&thread, NULL, trial->peer, trial->arg) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return thread;
}

void mcq_trial_watch(const char *name)
{
    current = name != NULL ? name : "";
    signal(SIGALRM, hung);
    alarm(name != NULL ? WATCHDOG_S : 0);
}

struct mcq_shard_stats mcq_trial_run(const struct mcq_trial *trial)
{
    const struct mcq_app app = {.start = on_start, .on_stop = on_stop};
    struct mcq_detail detail = {.text = ""};
    pthread_t thread = 0;
    struct timespec began;
    clock_gettime(CLOCK_MONOTONIC, &began);
    current = trial->name;
    running = trial;
    memset(&last_stats, 0, sizeof(last_stats));
    signal(SIGALRM, hung);
    alarm(WATCHDOG_S);
    if (trial->peer != NULL)
        thread = peer_start(trial);
    enum mcq_error err = mcq_run(&trial->opts, &app, trial->arg, &detail);
    if (!CHECK(err == MCQ_OK))
        printf("  %s: %s\n", mcq_error_name(err), detail.text);
    if (trial->peer != NULL)
        pthread_join(thread, NULL);
    alarm(0);
    if (getenv("MCQ_TRIAL_TIMES") != NULL)
        printf("# %5lu ms %s\n", ms_since(&began), trial->name);
    return last_stats;
}

int mcq_trial_end(void)
{
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

bool mcq_trial_wait(const atomic_ulong *value, unsigned long want)
{
    const struct timespec ms = {0, 1000000};
    for (unsigned i = 0; i < WAIT_MS; i++) {
        if (atomic_load(value) >= want)
            return true;
        nanosleep(&ms, NULL);
    }
    return atomic_load(value) >= want;
}

bool mcq_trial_wait_quick(const atomic_ulong *value, unsigned long want)
{
    for (unsigned i = 0; i < QUICK_TRIES; i++) {
        if (atomic_load(value) >= want)
            return true;
        sched_yield();
    }
    return mcq_trial_wait(value, want);
}

/* --- diary ---------------------------------------------------------------------------------- */

static unsigned up_find(const struct mcq_diary *d, struct mcq_peer peer)
{
    unsigned i = 0;
    while (i < d->up_cnt && !mcq_peer_equal(d->up[i], peer))
        i++;
    return i;
}

static void add_up(struct mcq_diary *d, const struct mcq_event *event)
{
    CHECK(event->peer.bits != 0 && up_find(d, event->peer) == d->up_cnt);
    if (CHECK(d->up_cnt < MCQ_TRIAL_PEERS_MAX))
        d->up[d->up_cnt++] = event->peer;
}

static void add_down(struct mcq_diary *d, const struct mcq_event *event)
{
    const struct mcq_report *r = &event->report;
    unsigned i = up_find(d, event->peer);
    if (CHECK(i < d->up_cnt))
        d->up[i] = d->up[--d->up_cnt];
    CHECK(event->reason != MCQ_REASON_NONE);
    CHECK(r->lost_lo <= r->lost_hi && r->lost_hi <= r->msgs_out + 1);
    CHECK(r->unacked_bytes <= r->bytes_out);
    d->report = *r;
}

void mcq_diary_add(struct mcq_diary *d, const struct mcq_event *event)
{
    CHECK(event->endpoint != NULL && event->detail != NULL);
    if (event->kind == MCQ_EVENT_UP)
        add_up(d, event);
    if (event->kind == MCQ_EVENT_DISCONNECTED)
        add_down(d, event);
    if (event->kind == MCQ_EVENT_DISCONNECTED || event->kind == MCQ_EVENT_REFUSED ||
        event->kind == MCQ_EVENT_HANDSHAKE_FAILED)
        atomic_fetch_add(&d->reasons[event->reason], 1);
    if (event->kind == MCQ_EVENT_DROPPED)
        atomic_fetch_add(&d->dropped, event->cnt);
    if (event->kind == MCQ_EVENT_LISTENING)
        snprintf(d->endpoint, sizeof(d->endpoint), "%s", event->endpoint);
    atomic_fetch_add(&d->cnt[event->kind], 1); /* last: others wait for it */
}

static unsigned long count(const struct mcq_diary *d, enum mcq_event_kind kind)
{
    return atomic_load(&d->cnt[kind]);
}

/* event.h's order, as far as sums can tell. */
void mcq_diary_end(const struct mcq_diary *d)
{
    unsigned long tries = count(d, MCQ_EVENT_CONNECTING), again = count(d, MCQ_EVENT_RETRY);
    unsigned long begun = tries + count(d, MCQ_EVENT_ACCEPTED);
    unsigned long refused = count(d, MCQ_EVENT_REFUSED);
    unsigned long ended =
        count(d, MCQ_EVENT_HANDSHAKE_FAILED) + refused + count(d, MCQ_EVENT_DISCONNECTED);
    CHECK(d->up_cnt == 0);
    CHECK(count(d, MCQ_EVENT_UP) == count(d, MCQ_EVENT_DISCONNECTED));
    CHECK(begun <= ended && ended <= begun + refused); /* some are refused before they begin */
    CHECK(again <= tries && tries <= again + count(d, MCQ_EVENT_UNCONNECTED));
    CHECK(count(d, MCQ_EVENT_LISTENING) == count(d, MCQ_EVENT_UNBOUND));
    CHECK(count(d, MCQ_EVENT_SLOW_END) <= count(d, MCQ_EVENT_SLOW));
}
