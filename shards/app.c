/* RAW: the app's own memory and eventfds; one caller at a time, before the shards run
 * and after they have ended; mcq_run is public. */
#define _GNU_SOURCE
#include <errno.h>
#include <monocoque/app.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mem/detail.h"
#include "shards/options.h"
#include "shards/signals.h"
#include "shards/thread.h"

/* The app: the process's side of its shards. */
struct app {
    struct mcq_opts opts;
    struct mcq_thread *thread; /* one in this version */
    struct mcq_resolver *resolver;
    int ready_fd, done_fd, end_fd;
    struct mcq_signals signals;
};

static uint32_t first_allowed_cpu(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return MCQ_THREAD_CPU_ANY;
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            return cpu;
    return MCQ_THREAD_CPU_ANY;
}

/* Where the shard goes: as --cpus says, else the first CPU this process may use. */
static enum mcq_error choose_cpu(const struct mcq_opts *opts, uint32_t *cpu,
                                 struct mcq_detail *detail)
{
    uint32_t cpus[MCQ_CPUS_MAX];
    uint32_t cnt = 0;
    if (opts->cpus == NULL) {
        *cpu = first_allowed_cpu();
        return MCQ_OK;
    }
    enum mcq_error err = mcq_cpus_parse(opts->cpus, cpus, &cnt, detail);
    if (err != MCQ_OK)
        return err;
    *cpu = cnt == 0 ? MCQ_THREAD_CPU_ANY : cpus[0];
    return MCQ_OK;
}

static enum mcq_error open_fds(struct app *a, struct mcq_detail *detail)
{
    a->ready_fd = eventfd(0, EFD_CLOEXEC);
    a->done_fd = eventfd(0, EFD_CLOEXEC);
    a->end_fd = eventfd(0, EFD_CLOEXEC);
    if (a->ready_fd < 0 || a->done_fd < 0 || a->end_fd < 0)
        return mcq_detail_set(detail, MCQ_EOS, errno,
                              "no file descriptor left for the app: raise `ulimit -n`");
    int err = a->opts.no_signals ? 0 : mcq_signals_open(&a->signals);
    if (err != 0)
        return mcq_detail_set(detail, MCQ_EOS, err,
                              "no file descriptor left for signals: raise `ulimit -n`");
    return MCQ_OK;
}

static void close_fds(struct app *a)
{
    mcq_signals_close(&a->signals);
    const int fds[] = {a->ready_fd, a->done_fd, a->end_fd};
    for (size_t i = 0; i < MCQ_CNT_OF(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Until the shard has ended; a signal asks it to. */
static void supervise(struct app *a)
{
    struct pollfd p[2] = {{.fd = a->done_fd, .events = POLLIN},
                          {.fd = a->signals.fd, .events = POLLIN}};
    while ((p[0].revents & POLLIN) == 0) {
        if (poll(p, 2, -1) < 0)
            continue; /* EINTR */
        if ((p[1].revents & POLLIN) != 0) {
            mcq_stop(&a->thread->shard);
            p[1].fd = -1; /* once is enough */
        }
    }
}

static enum mcq_error run_thread(struct app *a, const struct mcq_app *app, void *arg,
                                 struct mcq_detail *detail)
{
    struct mcq_thread *t = a->thread;
    *t = (struct mcq_thread){.opts = &a->opts,
                             .app = app,
                             .arg = arg,
                             .resolver = a->resolver,
                             .ready_fd = a->ready_fd,
                             .done_fd = a->done_fd,
                             .end_fd = a->end_fd};
    enum mcq_error err = choose_cpu(&a->opts, &t->cpu, detail);
    if (err == MCQ_OK)
        err = mcq_thread_start(t, detail);
    if (err != MCQ_OK) {
        mcq_resolver_destroy(a->resolver);
        return err;
    }
    mcq_thread_wait(a->ready_fd);
    supervise(a);
    mcq_resolver_destroy(a->resolver); /* before the mailbox it answers into is unmapped */
    mcq_thread_join(t);
    if (t->err != MCQ_OK && detail != NULL)
        *detail = t->detail;
    return t->err;
}

enum mcq_error mcq_run(const struct mcq_opts *opts, const struct mcq_app *app, void *arg,
                       struct mcq_detail *detail)
{
    struct app a = {.ready_fd = -1, .done_fd = -1, .end_fd = -1, .signals = {.fd = -1}};
    struct mcq_detail own = {.text = ""};
    if (detail == NULL)
        detail = &own;
    if (app == NULL)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "mcq_run: app is NULL");
    enum mcq_error err = mcq_opts_effective(opts, &a.opts, detail);
    if (err == MCQ_OK)
        err = open_fds(&a, detail);
    if (err == MCQ_OK) {
        a.thread = calloc(1, sizeof(*a.thread));
        err = a.thread == NULL
                  ? mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "no memory to start the app")
                  : mcq_resolver_create(&a.resolver, detail);
    }
    if (err == MCQ_OK)
        err = run_thread(&a, app, arg, detail);
    if (err != MCQ_OK)
        mcq_log_line(&(struct mcq_log){a.opts.log, a.opts.log_ctx, a.opts.log_level}, MCQ_LOG_ERROR,
                     "%s: %s", mcq_error_name(err), detail->text);
    close_fds(&a);
    free(a.thread);
    return err;
}
