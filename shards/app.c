/* RAW: the app's own memory and eventfds; one caller at a time, before the shards run
 * and after they have ended; mcq_run is public. */
#define _GNU_SOURCE
#include <errno.h>
#include <monocoque/app.h>
#include <monocoque/topo.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mem/detail.h"
#include "runtime/random.h"
#include "shards/homecoming.h"
#include "shards/options.h"
#include "shards/process.h"

/* Where the shards go; they don't spin where they would take each other's CPUs. If nothing can come
 * of it the machine isn't looked at: small programs start in less time than that takes. */
static enum mcq_error plan_seats(struct mcq_process *a, struct mcq_detail *detail)
{
    const struct mcq_log log = {a->opts.log, a->opts.log_ctx, a->opts.log_level};
    if (a->opts.cpus != NULL && strcmp(a->opts.cpus, "none") == 0 && a->opts.idle == MCQ_IDLE_BLOCK)
        return MCQ_OK;
    enum mcq_error err = mcq_topo_plan_make(&a->opts, MCQ_TOPO_HOST, NULL, &a->seats, detail);
    if (err != MCQ_OK)
        return err;
    if (!a->seats.may_spin)
        a->opts.idle = MCQ_IDLE_BLOCK;
    for (uint32_t i = 0; i < a->seats.note_cnt; i++)
        mcq_log_line(&log, a->seats.may_spin ? MCQ_LOG_INFO : MCQ_LOG_WARN, "%s",
                     a->seats.notes[i]);
    return MCQ_OK;
}

/* The caller's thread runs where the caller has it. */
static const struct mcq_topo_shard *seat_of(const struct mcq_process *a, uint32_t id)
{
    return id >= a->first && id < a->seats.shard_cnt ? &a->seats.shards[id] : NULL;
}

static enum mcq_error open_fds(struct mcq_process *a, struct mcq_detail *detail)
{
    a->done_fd = eventfd(0, EFD_CLOEXEC);
    if (a->done_fd < 0)
        return mcq_detail_set(detail, MCQ_EOS, errno,
                              "no file descriptor left for the app: raise `ulimit -n`");
    int err = a->opts.no_signals ? 0 : mcq_signals_open(&a->signals);
    if (err != 0)
        return mcq_detail_set(detail, MCQ_EOS, err,
                              "no file descriptor left for signals: raise `ulimit -n`");
    return MCQ_OK;
}

static void close_fds(struct mcq_process *a)
{
    mcq_signals_close(&a->signals);
    if (a->done_fd >= 0)
        close(a->done_fd);
}

/* Until all shards have ended; a signal asks them to. */
static void supervise(struct mcq_process *a)
{
    struct pollfd p[2] = {{.fd = a->done_fd, .events = POLLIN},
                          {.fd = a->signals.fd, .events = POLLIN}};
    if (a->running != 0) /* before that, a shard could miss the signal */
        mcq_gate_wait(&a->roster->inits, a->opts.shards);
    while (a->running != 0) {
        uint64_t ended;
        if (poll(p, 2, -1) < 0)
            continue; /* EINTR */
        if ((p[1].revents & POLLIN) != 0) {
            mcq_roster_stop(a->roster);
            p[1].fd = -1; /* once is enough */
        }
        if ((p[0].revents & POLLIN) != 0 && read(a->done_fd, &ended, sizeof(ended)) > 0)
            a->running -= ended;
    }
}

static void prepare(struct mcq_process *a, const struct mcq_app *app, void *arg)
{
    for (uint32_t i = 0; i < a->opts.shards; i++) {
        struct mcq_thread *t = &a->threads[i];
        t->id = i;
        t->roster = a->roster;
        t->seat = seat_of(a, i);
        t->opts = &a->opts;
        t->app = app;
        t->arg = arg;
        t->resolver = a->resolver;
        t->done_fd = a->done_fd;
    }
}

/* The threads of shards [first, all). Those that can't be started are stood in for at the gates,
 * so that the others come through. */
static enum mcq_error start_threads(struct mcq_process *a, struct mcq_detail *detail)
{
    enum mcq_error err = MCQ_OK;
    uint32_t next = a->first;
    a->running = a->first;
    while (next < a->opts.shards && (err = mcq_thread_start(&a->threads[next], detail)) == MCQ_OK)
        next++;
    a->threads_end = next;
    a->running = next;
    if (next < a->opts.shards)
        mcq_roster_fail(a->roster);
    for (uint32_t i = next; i < a->opts.shards; i++) {
        mcq_gate_advance(&a->roster->inits);
        mcq_gate_advance(&a->roster->starts);
        mcq_roster_end(a->roster, i);
        mcq_homecoming_skip(a->roster, i);
    }
    return err;
}

/* Each shard's inbound rings are on its node. A program that takes a shard's turns sleeps when it
 * likes. */
static enum mcq_error mesh_create(struct mcq_process *a, struct mcq_detail *detail)
{
    const struct mcq_log log = {a->opts.log, a->opts.log_ctx, a->opts.log_level};
    int nodes[MCQ_SHARDS_MAX];
    char where[MCQ_ARENA_WHERE_LEN];
    for (uint32_t i = 0; i < a->opts.shards; i++)
        nodes[i] = mcq_shard_node(&a->opts, seat_of(a, i));
    const struct mcq_mesh_opts mo = {.cnt = a->opts.shards,
                                     .nodes = nodes,
                                     .policy = mcq_shard_node_policy(&a->opts),
                                     .spins = a->opts.idle == MCQ_IDLE_SPIN && a->first == 0,
                                     .lock = !a->opts.no_mlock};
    enum mcq_error err = mcq_mesh_create(&mo, &a->mesh, detail);
    for (uint32_t i = 0; err == MCQ_OK && i < a->opts.shards && a->opts.shards > 1; i++) {
        const struct mcq_arena *arena = mcq_mesh_arena(a->mesh, i);
        mcq_log_line(&log, MCQ_LOG_INFO, "shard %u: %zu KiB of rings to it mapped, %s", i,
                     arena->cap >> 10, mcq_arena_where(arena, where));
    }
    a->roster->mesh = a->mesh;
    return err;
}

static enum mcq_error set_up(struct mcq_process *a, struct mcq_detail *detail)
{
    enum mcq_error err = open_fds(a, detail);
    if (err != MCQ_OK)
        return err;
    a->threads = calloc(a->opts.shards, sizeof(*a->threads));
    a->roster = mcq_roster_create(a->opts.shards);
    if (a->threads == NULL || a->roster == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "no memory to start the app");
    err = mesh_create(a, detail);
    if (err != MCQ_OK)
        return err;
    struct mcq_random random;
    mcq_random_init(&random);
    a->roster->seed = mcq_random_next(&random);
    return mcq_resolver_create(&a->resolver, detail);
}

enum mcq_error mcq_process_open(struct mcq_process *a, const struct mcq_opts *opts,
                                const struct mcq_app *app, void *arg, bool embedded,
                                struct mcq_detail *detail)
{
    *a = (struct mcq_process){.done_fd = -1,
                              .signals = {.fd = -1},
                              .first = embedded ? 1 : 0,
                              .seats = MCQ_TOPO_PLAN_INIT};
    if (app == NULL)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "app is NULL");
    enum mcq_error err = mcq_opts_effective(opts, &a->opts, detail);
    a->opts.no_signals = a->opts.no_signals || embedded;
    if (err == MCQ_OK)
        err = plan_seats(a, detail);
    if (err == MCQ_OK)
        err = set_up(a, detail);
    if (err != MCQ_OK)
        return err;
    prepare(a, app, arg);
    return start_threads(a, detail);
}

/* The first shard that has something to say. */
static enum mcq_error outcome(const struct mcq_process *a, enum mcq_error err,
                              struct mcq_detail *detail)
{
    for (uint32_t i = 0; i < a->threads_end && err == MCQ_OK; i++) {
        err = a->threads[i].err;
        if (err != MCQ_OK)
            *detail = a->threads[i].detail;
    }
    return err;
}

enum mcq_error mcq_process_close(struct mcq_process *a, enum mcq_error err,
                                 struct mcq_detail *detail)
{
    supervise(a);
    if (a->resolver != NULL)
        mcq_resolver_destroy(a->resolver); /* before the mailboxes it answers into are unmapped */
    if (a->roster != NULL)
        mcq_gate_advance(&a->roster->leave);
    if (a->first != 0 && a->threads_end != 0)
        mcq_thread_leave(&a->threads[0]);
    for (uint32_t i = a->first; i < a->threads_end; i++)
        mcq_thread_join(&a->threads[i]);
    err = outcome(a, err, detail);
    if (err != MCQ_OK)
        mcq_log_line(&(struct mcq_log){a->opts.log, a->opts.log_ctx, a->opts.log_level},
                     MCQ_LOG_ERROR, "%s: %s", mcq_error_name(err), detail->text);
    close_fds(a);
    if (a->roster != NULL)
        mcq_roster_destroy(a->roster);
    mcq_mesh_destroy(a->mesh);
    mcq_topo_plan_drop(&a->seats);
    free(a->threads);
    return err;
}

enum mcq_error mcq_run(const struct mcq_opts *opts, const struct mcq_app *app, void *arg,
                       struct mcq_detail *detail)
{
    struct mcq_process process;
    struct mcq_detail own = {.text = ""};
    struct mcq_detail *why = detail == NULL ? &own : detail;
    enum mcq_error err = mcq_process_open(&process, opts, app, arg, false, why);
    return mcq_process_close(&process, err, why);
}
