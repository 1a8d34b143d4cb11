/* RAW: pthread, CPU affinity and the eventfds that tell the app; sound because everything shared is
 * written before the eventfd and read after it; app.c calls. */
#define _GNU_SOURCE
#include "shards/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mem/detail.h"
#include "shards/homecoming.h"
#include "shards/options.h"

static void signal_fd(int fd)
{
    const uint64_t one = 1;
    ssize_t n;
    do
        n = write(fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
}

/* Its CPU, or those of a list that has too few; none: it stays where it may be. */
static uint32_t cpus_of(const struct mcq_thread *t, uint32_t cpus[MCQ_CPUS_MAX])
{
    uint32_t cnt = 0;
    if (t->seat != NULL && t->seat->cpu != MCQ_TOPO_NONE) {
        cpus[0] = t->seat->cpu;
        return 1;
    }
    if (t->opts->cpus == NULL || mcq_cpus_parse(t->opts->cpus, cpus, &cnt, NULL) != MCQ_OK)
        return 0;
    return cnt;
}

static void pin(struct mcq_thread *t)
{
    uint32_t cpus[MCQ_CPUS_MAX];
    cpu_set_t set;
    char name[16];
    snprintf(name, sizeof(name), "mcq-%u", t->id);
    pthread_setname_np(pthread_self(), name);
    uint32_t cnt = cpus_of(t, cpus);
    if (cnt == 0)
        return;
    CPU_ZERO(&set);
    for (uint32_t i = 0; i < cnt; i++)
        CPU_SET(cpus[i], &set);
    int e = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    struct mcq_log log = {t->opts->log, t->opts->log_ctx, t->opts->log_level};
    if (e != 0)
        mcq_log_line(&log, MCQ_LOG_WARN, "shard %u: can't be pinned to CPU %u: %s (see --cpus)",
                     t->id, cpus[0], strerror(e));
    else if (cnt == 1)
        mcq_log_line(&log, MCQ_LOG_INFO, "shard %u: pinned to CPU %u", t->id, cpus[0]);
}

/* start says no more than no: what it last saw fail is most likely why. */
static void refused(struct mcq_thread *t)
{
    const struct mcq_detail *why = &t->shard.last_failed;
    bool known = why->code != MCQ_OK;
    t->err = mcq_detail_set(&t->detail, MCQ_ESTATE, why->os_errno,
                            "shard %u: start refused to go on%s%s", t->id, known ? ": " : "",
                            known ? why->text : "");
}

/* In its turn. false: nobody starts any more. */
static bool start(struct mcq_thread *t)
{
    mcq_gate_wait(&t->roster->starts, t->id);
    bool on = !mcq_roster_failed(t->roster);
    if (on && t->app->start != NULL && t->app->start(&t->shard, t->arg) != 0) {
        refused(t);
        mcq_roster_fail(t->roster);
        mcq_roster_stop(t->roster);
    }
    mcq_gate_advance(&t->roster->starts);
    mcq_gate_wait(&t->roster->starts, t->roster->cnt);
    return on;
}

static void give_back(struct mcq_thread *t)
{
    if (!t->up)
        return;
    uint32_t astray = mcq_shard_fini(&t->shard);
    if (astray != 0 && t->err == MCQ_OK)
        t->err = mcq_detail_set(&t->detail, MCQ_ESTATE, 0,
                                "shard %u: %u blocks are not home: messages were kept and not "
                                "dropped (mcq_msg_drop)",
                                t->id, astray);
}

static void enter(struct mcq_thread *t)
{
    t->shard.roster = t->roster;
    mcq_directory_seed(&t->shard.directory, t->roster->seed);
    t->shard.mesh = mcq_mesh_at(t->roster->mesh, t->id);
    mcq_mesh_attach(t->shard.mesh, t->shard.loop);
    t->shard.app = t->app;
    t->shard.app_arg = t->arg;
    mcq_roster_enter(t->roster, &t->shard);
}

/* The shard whose kernel thread serves this one, too, once it has been set up: the first for which
 * the plan has the same CPU, but for one without a seat: the caller's of an embedded app, whose
 * ring and its kernel thread are nowhere in particular. Threads are in a row, by id. NULL: there is
 * none, or it has failed. */
static const struct mcq_shard *kin_of(const struct mcq_thread *t)
{
    uint32_t first = 0;
    if (t->seat == NULL || t->seat->sqpoll_cpu == MCQ_TOPO_NONE)
        return NULL;
    const struct mcq_thread *all = t - t->id;
    while (all[first].seat == NULL || all[first].seat->sqpoll_cpu != t->seat->sqpoll_cpu)
        first++;
    if (first == t->id)
        return NULL;
    for (uint32_t i = 1; i < t->roster->cnt && mcq_roster_shard(t->roster, first) == NULL &&
                         !mcq_roster_failed(t->roster);
         i++)
        mcq_gate_wait(&t->roster->inits, i);
    return mcq_roster_shard(t->roster, first);
}

bool mcq_thread_enter(struct mcq_thread *t)
{
    const struct mcq_shard_place place = {.seat = t->seat, .kin = kin_of(t)};
    t->err = mcq_shard_init_at(&t->shard, t->id, t->opts, &place, t->resolver, &t->detail);
    t->up = t->err == MCQ_OK;
    if (t->up)
        enter(t);
    else
        mcq_roster_fail(t->roster);
    mcq_gate_advance(&t->roster->inits);
    mcq_gate_wait(&t->roster->inits, t->roster->cnt);
    t->started = start(t);
    if (!t->started)
        mcq_roster_end(t->roster, t->id);
    return t->started;
}

void mcq_thread_end(struct mcq_thread *t)
{
    if (t->up)
        mcq_ports_end(&t->shard);
    if (t->started && t->app->on_stop != NULL)
        t->app->on_stop(&t->shard, t->arg);
    mcq_homecoming_run(t->roster, t->id, t->up ? &t->shard : NULL);
    signal_fd(t->done_fd);
}

/* On the thread that has taken the turns: the ring belongs to it (SINGLE_ISSUER). */
void mcq_thread_leave(struct mcq_thread *t)
{
    mcq_gate_wait(&t->roster->leave, 1);
    give_back(t);
}

static void *thread_main(void *arg)
{
    struct mcq_thread *t = arg;
    sigset_t all;
    sigfillset(&all); /* signals are for other threads */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pin(t);
    if (mcq_thread_enter(t))
        while (mcq_shard_step(&t->shard))
            ;
    mcq_thread_end(t);
    mcq_thread_leave(t);
    return NULL;
}

enum mcq_error mcq_thread_start(struct mcq_thread *t, struct mcq_detail *detail)
{
    int e = pthread_create(&t->pthread, NULL, thread_main, t);
    if (e != 0)
        return mcq_detail_set(detail, MCQ_EOS, e,
                              "a thread for shard %u can't be started: %s (see ulimit -u)", t->id,
                              strerror(e));
    return MCQ_OK;
}

void mcq_thread_join(struct mcq_thread *t)
{
    pthread_join(t->pthread, NULL);
}
