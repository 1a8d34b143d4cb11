#include "perf/run/crew.h"

#include "perf/run/board.h"
#include "perf/run/clock.h"
#include "perf/run/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the others may take to end after the measuring process has. */
#define ENDING_TIMEOUT_NS (5 * PERF_SECOND_NS)

/* When one has failed, the one whose failure is the cause may be about to tell. */
#define CAUSE_TIMEOUT_NS (50 * PERF_MS_NS)

#define TICK_NS (250 * PERF_MS_NS)

struct process {
    pid_t pid; /* 0: none, or reaped */
    int status;
};

struct run {
    const struct perf_crew *crew;
    struct perf_cpus cpus;
    struct perf_crew_board *board;
    struct process processes[PERF_CREW_MAX];
    struct perf_trace trace;
    bool traced;
    uint64_t deadline_ns;
    uint64_t tick_ns;
    sigset_t mask_before;
    char *reason;
};

__attribute__((format(printf, 2, 3))) static bool run_fail(struct run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run->reason, PERF_REASON_MAX, format, args);
    va_end(args);
    return false;
}

void *perf_shared_new(size_t len)
{
    void *data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return data == MAP_FAILED ? NULL : data;
}

void perf_shared_end(void *data, size_t len)
{
    if (data != NULL) {
        munmap(data, len);
    }
}

void perf_crew_pair(struct perf_crew *crew, perf_child_fn *serve, perf_child_fn *run, void *job,
                    unsigned measures)
{
    *crew = (struct perf_crew){.cnt = 2, .measures = measures};
    crew->posts[PERF_SERVER] = (struct perf_post){"server", serve, job, PERF_SEAT_SERVER};
    crew->posts[PERF_CLIENT] = (struct perf_post){"client", run, job, PERF_SEAT_CLIENT};
}

/* --- beginning ---------------------------------------------------------------------------------
 */

/* Ends and stops of children are waited for as signals, so that waiting has a deadline. */
static bool run_open(struct run *run)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &run->mask_before);
    run->board = perf_shared_new(sizeof *run->board);
    if (run->board == NULL) {
        return run_fail(run, "mapping a shared page: %s", strerror(errno));
    }
    run->board->parent = getpid();
    if (!perf_cpus_find(&run->cpus)) {
        return run_fail(run, "asking for the allowed CPUs: %s", strerror(errno));
    }
    return true;
}

static int post_cpu(const struct run *run, const struct perf_post *post)
{
    if (run->crew->place == PERF_PLACE_FREE) {
        return -1;
    }
    return post->seat == PERF_SEAT_SERVER ? run->cpus.server : run->cpus.client;
}

static bool run_spawn(struct run *run, unsigned idx)
{
    const struct perf_post *post = &run->crew->posts[idx];
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        return run_fail(run, "starting the %s: %s", post->name, strerror(errno));
    }
    if (pid == 0) {
        perf_child_live(run->crew, run->board, idx, post_cpu(run, post));
    }
    run->processes[idx].pid = pid;
    return true;
}

static bool run_begin(struct run *run)
{
    for (unsigned i = 0; i < run->crew->cnt; i++) {
        if (!run_spawn(run, i)) {
            return false;
        }
    }
    run->traced = run->crew->trace;
    for (unsigned i = 0; i < run->crew->cnt && run->traced; i++) {
        run->traced = perf_trace_seize(run->processes[i].pid);
    }
    run->deadline_ns = perf_clock_ns() + run->crew->timeout_ns;
    atomic_store(&run->board->go, true);
    return true;
}

/* --- waiting -----------------------------------------------------------------------------------
 */

static struct process *process_find(struct run *run, pid_t pid)
{
    for (unsigned i = 0; i < run->crew->cnt; i++) {
        if (run->processes[i].pid == pid) {
            return &run->processes[i];
        }
    }
    return NULL;
}

static void stopped_take(struct run *run, pid_t tid, int status)
{
    if (perf_trace_is_call(tid, status)) {
        struct process *process = process_find(run, perf_trace_process(&run->trace, tid));
        if (process != NULL) {
            struct perf_place_card *place = &run->board->places[process - run->processes];
            atomic_fetch_add(&place->syscalls, atomic_load(&place->window) ? 1 : 0);
        }
    }
    perf_trace_resume(tid, status);
}

static void ended_take(struct run *run, pid_t pid, int status)
{
    struct process *process = process_find(run, pid);
    if (process == NULL) {
        return; /* a followed thread */
    }
    size_t idx = (size_t)(process - run->processes);
    process->pid = 0;
    process->status = status;
    atomic_store(&run->board->places[idx].gone, true);
    if (idx == run->crew->measures && run->board->places[idx].ok) {
        run->deadline_ns = perf_clock_ns() + ENDING_TIMEOUT_NS;
    }
}

/* Takes what there is; how: 0 or WNOHANG. False: nothing any more. */
static bool status_take(struct run *run, int how)
{
    int status = 0;
    pid_t pid = waitpid(-1, &status, how | __WALL);
    if (pid <= 0) {
        return pid < 0 && errno == EINTR;
    }
    if (WIFSTOPPED(status)) {
        stopped_take(run, pid, status);
    } else {
        ended_take(run, pid, status);
    }
    return true;
}

static unsigned left_cnt(const struct run *run)
{
    unsigned left = 0;
    for (unsigned i = 0; i < run->crew->cnt; i++) {
        left += run->processes[i].pid != 0;
    }
    return left;
}

/* Which of those that have ended has failed: one that a signal ended, or else the first, since the
 * others fail after it and less tellingly. cnt: none. */
static unsigned failed_find(const struct run *run)
{
    unsigned found = run->crew->cnt;
    for (unsigned i = run->crew->cnt; i-- > 0;) {
        const struct perf_place_card *place = &run->board->places[i];
        bool gone = run->processes[i].pid == 0;
        bool killed = WIFSIGNALED(run->processes[i].status);
        bool found_killed = found < run->crew->cnt && WIFSIGNALED(run->processes[found].status);
        if (gone && !place->ok && (killed || !found_killed)) {
            found = i;
        }
    }
    return found;
}

static bool failed_tell(struct run *run, unsigned idx)
{
    const struct perf_place_card *place = &run->board->places[idx];
    const char *name = run->crew->posts[idx].name;
    int status = run->processes[idx].status;
    if (place->reported) {
        return run_fail(run, "%s: %s", name, place->reason);
    }
    if (WIFSIGNALED(status)) {
        return run_fail(run, "the %s died of signal %d (%s)", name, WTERMSIG(status),
                        strsignal(WTERMSIG(status)));
    }
    return run_fail(run, "the %s ended without a report", name);
}

static bool late_tell(struct run *run)
{
    unsigned idx = 0;
    while (idx + 1 < run->crew->cnt && run->processes[idx].pid == 0) {
        idx++;
    }
    return run_fail(run, "no report from the %s in time", run->crew->posts[idx].name);
}

static void tick(struct run *run, uint64_t now_ns)
{
    if (now_ns >= run->tick_ns) {
        run->tick_ns = now_ns + TICK_NS;
        if (run->crew->tick != NULL) {
            run->crew->tick(run->crew->tick_ctx);
        }
    }
}

/* Sleeps until a child has ended or stopped, at most until then. */
static void signal_wait(uint64_t until_ns)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    uint64_t now_ns = perf_clock_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / PERF_SECOND_NS),
                            .tv_nsec = (long)(left_ns % PERF_SECOND_NS)};
    sigtimedwait(&child, NULL, &left);
}

static bool run_wait(struct run *run)
{
    bool cause_waited = false;
    while (true) {
        while (status_take(run, WNOHANG)) {
        }
        uint64_t now_ns = perf_clock_ns();
        unsigned failed = failed_find(run);
        if (failed < run->crew->cnt) {
            if (cause_waited || left_cnt(run) == 0) {
                return failed_tell(run, failed);
            }
            cause_waited = true;
            signal_wait(now_ns + CAUSE_TIMEOUT_NS);
            continue;
        }
        if (left_cnt(run) == 0) {
            return true;
        }
        if (now_ns >= run->deadline_ns) {
            return late_tell(run);
        }
        tick(run, now_ns);
        signal_wait(run->deadline_ns < run->tick_ns ? run->deadline_ns : run->tick_ns);
    }
}

/* --- ending ------------------------------------------------------------------------------------
 */

static void usage_take(const struct run *run, struct perf_usage *usage)
{
    for (unsigned i = 0; i < run->crew->cnt; i++) {
        usage[i] = run->board->places[i].usage;
        usage[i].syscalls =
            run->traced ? atomic_load(&run->board->places[i].syscalls) : PERF_USAGE_NONE;
    }
}

static void run_close(struct run *run)
{
    for (unsigned i = 0; i < run->crew->cnt; i++) {
        if (run->processes[i].pid > 0) {
            kill(run->processes[i].pid, SIGKILL);
        }
    }
    while (left_cnt(run) > 0 && status_take(run, 0)) {
    }
    for (unsigned i = 0; i < run->crew->cnt && run->board != NULL; i++) {
        perf_place_remove_file(&run->board->places[i]);
    }
    perf_shared_end(run->board, sizeof *run->board);
    sigprocmask(SIG_SETMASK, &run->mask_before, NULL);
}

bool perf_crew_run(const struct perf_crew *crew, struct perf_usage *usage, char *reason)
{
    struct run run = {.crew = crew, .reason = reason};
    reason[0] = '\0';
    bool ok = run_open(&run) && run_begin(&run) && run_wait(&run);
    if (ok) {
        usage_take(&run, usage);
    }
    run_close(&run);
    return ok;
}
