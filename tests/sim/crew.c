#include "tests/sim/crew.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/world.h"

#define JOBS_MAX   64u
#define HANG_S     120u
#define EXIT_FOUND 3

/* Between the processes. */
struct desk {
    uint64_t next, end; /* seeds */
    bool stop;
    struct {
        uint64_t seed; /* under way; UINT64_MAX: none */
        uint64_t seeds, steps, sent, taken;
    } worker[JOBS_MAX];
};

static double now_s(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void found(void)
{
    fflush(stderr);
    _exit(EXIT_FOUND);
}

static void (*run)(uint64_t seed, struct mcq_world_result *result); /* of the plan */

static void work(struct desk *desk, uint32_t idx)
{
    mcq_sim_on_fail = found;
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* not in pieces between another's */
    for (;;) {
        struct mcq_world_result r;
        uint64_t seed = __atomic_fetch_add(&desk->next, 1, __ATOMIC_RELAXED);
        if (seed >= desk->end || __atomic_load_n(&desk->stop, __ATOMIC_RELAXED))
            break;
        desk->worker[idx].seed = seed;
        alarm(HANG_S);
        run(seed, &r);
        desk->worker[idx].seeds++;
        desk->worker[idx].steps += r.steps;
        desk->worker[idx].sent += r.sent;
        desk->worker[idx].taken += r.taken;
    }
    desk->worker[idx].seed = UINT64_MAX;
    _exit(0);
}

static pid_t start(struct desk *desk, uint32_t idx)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        work(desk, idx);
    return pid;
}

static const char *how(int status)
{
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGALRM   ? "hangs"
               : WTERMSIG(status) == SIGABRT ? "aborted"
                                             : "crashed";
    return WEXITSTATUS(status) == EXIT_FOUND ? "failed" : "ended badly";
}

/* False: it ended well. */
static bool failed(struct desk *desk, uint32_t idx, int status, struct mcq_crew_sum *sum)
{
    uint64_t seed = desk->worker[idx].seed;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    fprintf(stderr, "sim: seed %llu %s; replay: scripts/sim --seed %llu --trace\n",
            (unsigned long long)seed, how(status), (unsigned long long)seed);
    if (sum->failures == 0 || seed < sum->first_failed)
        sum->first_failed = seed;
    sum->failures++;
    desk->worker[idx].seeds++;
    return true;
}

static void add_up(const struct desk *desk, uint32_t jobs, struct mcq_crew_sum *sum)
{
    for (uint32_t i = 0; i < jobs; i++) {
        sum->seeds += desk->worker[i].seeds;
        sum->steps += desk->worker[i].steps;
        sum->sent += desk->worker[i].sent;
        sum->taken += desk->worker[i].taken;
    }
}

void mcq_crew_run(const struct mcq_crew_plan *plan, struct mcq_crew_sum *sum)
{
    pid_t pids[JOBS_MAX];
    uint32_t jobs = plan->jobs == 0 ? 1 : plan->jobs > JOBS_MAX ? JOBS_MAX : plan->jobs;
    uint32_t alive = jobs;
    double began = now_s();
    run = plan->run;
    struct desk *desk =
        mmap(NULL, sizeof(*desk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (desk == MAP_FAILED)
        abort();
    *desk = (struct desk){.next = plan->from, .end = plan->from + plan->cnt};
    *sum = (struct mcq_crew_sum){0};
    for (uint32_t i = 0; i < jobs; i++)
        pids[i] = start(desk, i);
    while (alive != 0) {
        int status;
        pid_t pid = wait(&status);
        uint32_t i = 0;
        while (i < jobs && pids[i] != pid)
            i++;
        if (i == jobs)
            continue;
        if (failed(desk, i, status, sum) &&
            (plan->failures_max == 0 || sum->failures < plan->failures_max))
            pids[i] = start(desk, i);
        else
            alive--;
        if (plan->failures_max != 0 && sum->failures >= plan->failures_max)
            __atomic_store_n(&desk->stop, true, __ATOMIC_RELAXED);
    }
    add_up(desk, jobs, sum);
    sum->seconds = now_s() - began;
    munmap(desk, sizeof(*desk));
}
