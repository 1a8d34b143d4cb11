#include "perf/run/fork.h"

#include "perf/run/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the other side may take to end after the measuring side has. */
#define ENDING_TIMEOUT_NS (5 * PERF_SECOND_NS)

struct report {
    bool ok;
    char reason[PERF_REASON_MAX];
    unsigned char result[PERF_RESULT_MAX];
};

struct process {
    pid_t pid;
    int report_fd; /* parent's end */
    bool reported;
    bool ok;
};

struct run {
    const struct perf_pair *pair;
    struct perf_cpus cpus;
    atomic_bool *stop;
    int port_pipe[2];
    int report_pipe[2][2];
    struct process process[2];
    uint64_t deadline_ns;
    char *reason;
};

static const char *const side_names[] = {[PERF_SERVER] = "server", [PERF_CLIENT] = "client"};

static bool run_fail(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool run_fail(struct run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run->reason, PERF_REASON_MAX, format, args);
    va_end(args);
    return false;
}

static void fd_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* ---- the child's side ---- */

bool perf_child_fail(struct perf_child *child, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(child->reason, sizeof child->reason, format, args);
    va_end(args);
    return false;
}

bool perf_child_fail_os(struct perf_child *child, const char *what)
{
    return perf_child_fail(child, "%s: %s", what, strerror(errno));
}

bool perf_child_give_port(struct perf_child *child, uint16_t port)
{
    if (write(child->port_fd, &port, sizeof port) != (ssize_t)sizeof port) {
        return perf_child_fail_os(child, "telling the client the port");
    }
    return true;
}

bool perf_child_take_port(struct perf_child *child, uint16_t *port)
{
    if (read(child->port_fd, port, sizeof *port) != (ssize_t)sizeof *port) {
        return perf_child_fail(child, "the server ended before it named its port");
    }
    return true;
}

void *perf_child_alloc(struct perf_child *child, size_t len)
{
    /* Untouched pages would all be the one zero page, which is always in cache: too good a source.
     */
    void *data = malloc(len);
    if (data == NULL) {
        perf_child_fail(child, "no memory for a buffer of %zu bytes", len);
        return NULL;
    }
    return memset(data, 0xa5, len);
}

static void child_prepare(struct run *run, enum perf_side side)
{
    enum perf_side other = side == PERF_SERVER ? PERF_CLIENT : PERF_SERVER;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    fd_close(&run->report_pipe[side][0]);
    fd_close(&run->report_pipe[other][0]);
    fd_close(&run->report_pipe[other][1]);
    /* Without this the reader would never see the end of a writer that died. */
    fd_close(&run->port_pipe[side == PERF_SERVER ? 0 : 1]);
}

static bool child_work(struct run *run, enum perf_side side, struct perf_child *child)
{
    if (child->cpu >= 0 && !perf_cpus_pin(child->cpu)) {
        return perf_child_fail_os(child, "pinning to a CPU");
    }
    perf_child_fn work = side == PERF_SERVER ? run->pair->serve : run->pair->run;
    return work(child, run->pair->job);
}

static _Noreturn void child_main(struct run *run, enum perf_side side)
{
    const struct perf_pair *pair = run->pair;
    int cpu = side == PERF_SERVER ? run->cpus.server : run->cpus.client;
    struct perf_child child = {
        .cpu = pair->place == PERF_PLACE_PINNED ? cpu : -1,
        .port_fd = run->port_pipe[side == PERF_SERVER ? 1 : 0],
        .stop = run->stop,
    };
    struct report report = {0};
    child_prepare(run, side);
    report.ok = child_work(run, side, &child);
    memcpy(report.reason, child.reason, sizeof report.reason);
    if (side == pair->measures) {
        memcpy(report.result, pair->result, pair->result_len);
    }
    ssize_t put = write(run->report_pipe[side][1], &report, sizeof report);
    _exit(put == (ssize_t)sizeof report ? 0 : 1);
}

/* ---- the parent's side ---- */

static bool run_open(struct run *run)
{
    void *page =
        mmap(NULL, sizeof(atomic_bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return run_fail(run, "mapping a shared page: %s", strerror(errno));
    }
    run->stop = page;
    atomic_init(run->stop, false);
    if (pipe(run->port_pipe) != 0 || pipe(run->report_pipe[PERF_SERVER]) != 0 ||
        pipe(run->report_pipe[PERF_CLIENT]) != 0) {
        return run_fail(run, "opening a pipe: %s", strerror(errno));
    }
    if (!perf_cpus_find(&run->cpus)) {
        return run_fail(run, "asking for the allowed CPUs: %s", strerror(errno));
    }
    return true;
}

static bool run_spawn(struct run *run, enum perf_side side)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        return run_fail(run, "starting the %s: %s", side_names[side], strerror(errno));
    }
    if (pid == 0) {
        child_main(run, side);
    }
    run->process[side].pid = pid;
    run->process[side].report_fd = run->report_pipe[side][0];
    return true;
}

/* The parent keeps only the reading ends of the reports. */
static void run_close_child_ends(struct run *run)
{
    fd_close(&run->port_pipe[0]);
    fd_close(&run->port_pipe[1]);
    fd_close(&run->report_pipe[PERF_SERVER][1]);
    fd_close(&run->report_pipe[PERF_CLIENT][1]);
}

static bool process_died(struct run *run, enum perf_side side)
{
    struct process *process = &run->process[side];
    int status = 0;
    if (waitpid(process->pid, &status, 0) == process->pid) {
        process->pid = 0;
    }
    if (WIFSIGNALED(status)) {
        return run_fail(run, "the %s died of signal %d (%s)", side_names[side], WTERMSIG(status),
                        strsignal(WTERMSIG(status)));
    }
    return run_fail(run, "the %s ended without a report", side_names[side]);
}

static bool process_report(struct run *run, enum perf_side side)
{
    struct process *process = &run->process[side];
    struct report report;
    if (read(process->report_fd, &report, sizeof report) != (ssize_t)sizeof report) {
        return process_died(run, side);
    }
    process->reported = true;
    process->ok = report.ok;
    if (!report.ok) {
        return run_fail(run, "%s: %s", side_names[side], report.reason);
    }
    if (side == run->pair->measures) {
        memcpy(run->pair->result, report.result, run->pair->result_len);
        uint64_t ending_ns = perf_clock_ns() + ENDING_TIMEOUT_NS;
        run->deadline_ns = ending_ns;
        atomic_store(run->stop, true);
    }
    return true;
}

/* Waits until at least one more child has reported. */
static bool run_wait_some(struct run *run)
{
    uint64_t now_ns = perf_clock_ns();
    uint64_t left_ns = run->deadline_ns > now_ns ? run->deadline_ns - now_ns : 0;
    struct pollfd fds[2];
    for (int side = 0; side < 2; side++) {
        bool waits = !run->process[side].reported;
        fds[side] = (struct pollfd){waits ? run->process[side].report_fd : -1, POLLIN, 0};
    }
    int ready = poll(fds, 2, (int)(left_ns / PERF_MS_NS));
    if (ready < 0 && errno != EINTR) {
        return run_fail(run, "waiting for the children: %s", strerror(errno));
    }
    if (ready == 0) {
        return run_fail(run, "no report from the %s in time",
                        run->process[PERF_SERVER].reported ? "client" : "server");
    }
    /* The server first: when it fails the client fails after it, and less tellingly. */
    for (int side = 0; ready > 0 && side < 2; side++) {
        if (fds[side].revents != 0 && !process_report(run, (enum perf_side)side)) {
            return false;
        }
    }
    return true;
}

static bool run_wait(struct run *run)
{
    while (!run->process[PERF_SERVER].reported || !run->process[PERF_CLIENT].reported) {
        if (!run_wait_some(run)) {
            return false;
        }
    }
    return true;
}

/* A child that has reported is on its way out; any other is killed. So no wait here is long. */
static void run_close(struct run *run)
{
    for (int side = 0; side < 2; side++) {
        struct process *process = &run->process[side];
        if (process->pid > 0) {
            if (!process->reported) {
                kill(process->pid, SIGKILL);
            }
            waitpid(process->pid, NULL, 0);
        }
        fd_close(&run->report_pipe[side][0]);
    }
    run_close_child_ends(run);
    if (run->stop != NULL) {
        munmap(run->stop, sizeof(atomic_bool));
    }
}

bool perf_pair_run(const struct perf_pair *pair, char *reason)
{
    struct run run = {
        .pair = pair,
        .port_pipe = {-1, -1},
        .report_pipe = {{-1, -1}, {-1, -1}},
        .reason = reason,
    };
    reason[0] = '\0';
    bool ok = run_open(&run) && run_spawn(&run, PERF_SERVER) && run_spawn(&run, PERF_CLIENT);
    if (ok) {
        run_close_child_ends(&run);
        run.deadline_ns = perf_clock_ns() + pair->timeout_ns;
        ok = run_wait(&run);
    }
    run_close(&run);
    return ok;
}
