#include "perf/run/clock.h"
#include "perf/run/crew.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS      1000u
#define BURN_NS    (30 * PERF_MS_NS)
#define TIMEOUT_NS (20 * PERF_SECOND_NS)

struct shared {
    atomic_uint seen;
    atomic_bool window, done;
    char endpoint[PERF_ENDPOINT_MAX];
};

static struct perf_usage usage[PERF_CREW_MAX];
static char reason[PERF_REASON_MAX];

static struct perf_crew crew_of(perf_child_fn *serve, perf_child_fn *run, void *job,
                                unsigned measures)
{
    struct perf_crew crew;
    perf_crew_pair(&crew, serve, run, job, measures);
    crew.place = PERF_PLACE_FREE;
    crew.timeout_ns = TIMEOUT_NS;
    return crew;
}

static void none_left(void)
{
    cr_expect_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    cr_expect_eq(errno, ECHILD);
}

static bool serves_until_stopped(struct perf_child *child, void *job)
{
    (void)job;
    bool ok = perf_child_give_endpoint(child, "tcp://127.0.0.1:7");
    while (!perf_child_stopped(child)) {
        usleep(100);
    }
    return ok;
}

static bool takes_endpoint(struct perf_child *child, void *job)
{
    struct shared *shared = job;
    return perf_child_take_endpoint(child, PERF_SERVER, shared->endpoint);
}

static bool fails(struct perf_child *child, void *job)
{
    (void)job;
    return perf_child_fail(child, "no %s", "luck");
}

static bool dies(struct perf_child *child, void *job)
{
    (void)child, (void)job;
    raise(SIGKILL);
    return true;
}

static bool hangs(struct perf_child *child, void *job)
{
    (void)child, (void)job;
    while (true) {
        pause();
    }
    return true;
}

static bool is_well(struct perf_child *child, void *job)
{
    (void)child, (void)job;
    return true;
}

Test(crew, endpoint_goes_over_and_the_server_is_stopped, .timeout = 60)
{
    struct shared *shared = perf_shared_new(sizeof *shared);
    struct perf_crew crew = crew_of(serves_until_stopped, takes_endpoint, shared, PERF_CLIENT);
    cr_assert(perf_crew_run(&crew, usage, reason), "%s", reason);
    cr_assert_str_eq(shared->endpoint, "tcp://127.0.0.1:7");
    none_left();
}

Test(crew, failures_are_told, .timeout = 60)
{
    static const struct {
        perf_child_fn *serve, *run;
        const char *reason;
    } cases[] = {
        {fails, takes_endpoint, "server: no luck"},
        {serves_until_stopped, fails, "client: no luck"},
        {dies, takes_endpoint, "the server died of signal 9 (Killed)"},
        {fails, dies, "the client died of signal 9 (Killed)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shared *shared = perf_shared_new(sizeof *shared);
        struct perf_crew crew = crew_of(cases[i].serve, cases[i].run, shared, PERF_CLIENT);
        cr_assert_not(perf_crew_run(&crew, usage, reason));
        cr_expect_str_eq(reason, cases[i].reason);
        none_left();
    }
}

Test(crew, what_hangs_is_killed, .timeout = 60)
{
    struct perf_crew crew = crew_of(hangs, hangs, NULL, PERF_CLIENT);
    crew.timeout_ns = 100 * PERF_MS_NS;
    for (int traced = 0; traced < 2; traced++) {
        crew.trace = traced == 1;
        cr_assert_not(perf_crew_run(&crew, usage, reason));
        cr_expect_str_eq(reason, "no report from the server in time");
        none_left();
    }
    crew.posts[PERF_CLIENT].run = is_well;
    crew.posts[PERF_SERVER].run = dies;
    crew.trace = true;
    cr_assert_not(perf_crew_run(&crew, usage, reason));
    none_left();
}

static void burn(uint64_t ns)
{
    uint64_t until_ns = perf_clock_ns() + ns;
    while (perf_clock_ns() < until_ns) {
    }
}

static void *calls_from_a_thread(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < CALLS; i++) {
        syscall(SYS_getppid);
    }
    return NULL;
}

static bool calls_in_a_window(struct perf_child *child, void *job)
{
    pthread_t thread;
    (void)job;
    calls_from_a_thread(NULL); /* before the window */
    perf_child_begin(child);
    bool ok = pthread_create(&thread, NULL, calls_from_a_thread, NULL) == 0;
    calls_from_a_thread(NULL);
    pthread_join(thread, NULL);
    perf_child_end(child);
    calls_from_a_thread(NULL);
    return ok;
}

Test(crew, system_calls_of_all_threads_are_counted_in_the_window, .timeout = 60)
{
    struct perf_crew crew = crew_of(is_well, calls_in_a_window, NULL, PERF_CLIENT);
    crew.trace = true;
    cr_assert(perf_crew_run(&crew, usage, reason), "%s", reason);
    if (usage[PERF_CLIENT].syscalls == PERF_USAGE_NONE) {
        cr_skip_test("this host forbids ptrace");
    }
    /* Threads need some calls of their own to come and go. */
    cr_expect_geq(usage[PERF_CLIENT].syscalls, 2 * CALLS);
    cr_expect_leq(usage[PERF_CLIENT].syscalls, 2 * CALLS + 50);
    crew.trace = false;
    cr_assert(perf_crew_run(&crew, usage, reason), "%s", reason);
    cr_expect_eq(usage[PERF_CLIENT].syscalls, PERF_USAGE_NONE);
    none_left();
}

/* Burns and calls in three parts, of which the client measures the second. */
static bool server_in_parts(struct perf_child *child, void *job)
{
    struct shared *shared = job;
    (void)child;
    for (unsigned part = 1; part <= 3; part++) {
        burn(BURN_NS * part);
        calls_from_a_thread(NULL);
        atomic_store(&shared->seen, part);
        while (part == 1 ? !atomic_load(&shared->window)
                         : part == 2 && !atomic_load(&shared->done)) {
        }
    }
    return true;
}

static bool client_opens_windows(struct perf_child *child, void *job)
{
    struct shared *shared = job;
    while (atomic_load(&shared->seen) < 1) {
        usleep(100);
    }
    perf_crew_begin(child);
    atomic_store(&shared->window, true);
    while (atomic_load(&shared->seen) < 2) {
        usleep(100);
    }
    perf_crew_end(child);
    atomic_store(&shared->done, true);
    return true;
}

Test(crew, one_opens_the_window_of_all, .timeout = 60)
{
    struct shared *shared = perf_shared_new(sizeof *shared);
    struct perf_crew crew = crew_of(server_in_parts, client_opens_windows, shared, PERF_CLIENT);
    cr_assert(perf_crew_run(&crew, usage, reason), "%s", reason);
    const struct perf_usage *server = &usage[PERF_SERVER];
    cr_expect_leq(server->cpu_ns, server->wall_ns + PERF_MS_NS);
    cr_expect_geq(server->wall_ns, 2 * BURN_NS);
    cr_expect_gt(server->rss_bytes, 4096);
    memset(shared, 0, sizeof *shared);
    crew.trace = true;
    cr_assert(perf_crew_run(&crew, usage, reason), "%s", reason);
    if (server->syscalls != PERF_USAGE_NONE) {
        cr_expect_eq(server->syscalls, CALLS);
    }
}
