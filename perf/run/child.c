/* A process of a crew: what crew.h says "in a child". */
#include "perf/run/board.h"
#include "perf/run/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* How often a process looks for what another one is to do first. */
#define LOOK_NS 100000

static void look_later(void)
{
    struct timespec pause = {.tv_nsec = LOOK_NS};
    nanosleep(&pause, NULL);
}

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

bool perf_child_give_endpoint(struct perf_child *child, const char *endpoint)
{
    struct perf_place_card *place = &child->board->places[child->idx];
    if (snprintf(place->endpoint, sizeof place->endpoint, "%s", endpoint) >=
        (int)sizeof place->endpoint) {
        return perf_child_fail(child, "the endpoint %s is too long", endpoint);
    }
    atomic_store(&place->named, true);
    return true;
}

bool perf_child_take_endpoint(struct perf_child *child, unsigned whose, char *endpoint)
{
    struct perf_place_card *place = &child->board->places[whose];
    while (!atomic_load(&place->named)) {
        if (atomic_load(&place->gone)) {
            return perf_child_fail(child, "the server ended before it named its endpoint");
        }
        look_later();
    }
    snprintf(endpoint, PERF_ENDPOINT_MAX, "%s", place->endpoint);
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

/* What looking itself costs is in no window: calls are counted from the last moment of opening to
 * the first of closing, and whoever looks reads himself last at the beginning and first at the end.
 */
static void usage_begin(struct perf_place_card *place)
{
    perf_usage_read(&place->at_begin, atomic_load(&place->pid));
}

static void usage_end(struct perf_place_card *place)
{
    struct perf_usage now;
    perf_usage_read(&now, atomic_load(&place->pid));
    place->usage = perf_usage_between(&place->at_begin, &now);
}

static void window_open(struct perf_place_card *place)
{
    atomic_store(&place->syscalls, 0);
    atomic_store(&place->window, true);
}

void perf_child_begin(struct perf_child *child)
{
    struct perf_place_card *place = &child->board->places[child->idx];
    atomic_store(&place->window, false);
    usage_begin(place);
    window_open(place);
}

void perf_child_end(struct perf_child *child)
{
    struct perf_place_card *place = &child->board->places[child->idx];
    if (atomic_exchange(&place->window, false)) {
        usage_end(place);
    }
}

static bool place_lives(const struct perf_child *child, unsigned idx)
{
    return atomic_load(&child->board->places[idx].pid) != 0;
}

void perf_crew_begin(struct perf_child *child)
{
    struct perf_place_card *places = child->board->places;
    atomic_store(&child->board->begun, true);
    for (unsigned i = 0; i < PERF_CREW_MAX; i++) {
        atomic_store(&places[i].window, false);
        if (i != child->idx && place_lives(child, i)) {
            usage_begin(&places[i]);
        }
    }
    usage_begin(&places[child->idx]);
    for (unsigned i = 0; i < PERF_CREW_MAX; i++) {
        if (place_lives(child, i)) {
            window_open(&places[i]);
        }
    }
}

void perf_crew_end(struct perf_child *child)
{
    struct perf_place_card *places = child->board->places;
    bool open[PERF_CREW_MAX];
    for (unsigned i = 0; i < PERF_CREW_MAX; i++) {
        open[i] = atomic_exchange(&places[i].window, false);
    }
    usage_end(&places[child->idx]);
    for (unsigned i = 0; i < PERF_CREW_MAX; i++) {
        if (i != child->idx && open[i]) {
            usage_end(&places[i]);
        }
    }
    atomic_store(&child->board->ended, true);
}

/* A process that another one still looks at stays until it has been looked at. */
static void window_leave(struct perf_child *child)
{
    struct perf_crew_board *board = child->board;
    while (atomic_load(&board->begun) && !atomic_load(&board->ended)) {
        look_later();
    }
    perf_child_end(child);
}

static bool child_work(struct perf_child *child, const struct perf_post *post)
{
    if (child->cpu >= 0 && !perf_cpus_pin(child->cpu)) {
        return perf_child_fail_os(child, "pinning to a CPU");
    }
    perf_child_begin(child);
    bool ok = post->run(child, post->job);
    if (ok) {
        window_leave(child);
    }
    return ok;
}

static void child_prepare(const struct perf_crew_board *board)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_IGN);
    while (!atomic_load(&board->go)) {
        look_later();
    }
}

_Noreturn void perf_child_live(const struct perf_crew *crew, struct perf_crew_board *board,
                               unsigned idx, int cpu)
{
    struct perf_place_card *place = &board->places[idx];
    struct perf_child child = {.cpu = cpu, .idx = idx, .board = board, .stop = &board->stop};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != board->parent) {
        _exit(1); /* it died before that was said */
    }
    atomic_store(&place->pid, getpid());
    child_prepare(board);
    bool ok = child_work(&child, &crew->posts[idx]);
    memcpy(place->reason, child.reason, sizeof place->reason);
    place->ok = ok;
    place->reported = true;
    if (ok && idx == crew->measures) {
        atomic_store(&board->stop, true);
    }
    _exit(0);
}

void perf_place_remove_file(const struct perf_place_card *place)
{
    static const char scheme[] = "ipc://";
    const char *path = place->endpoint + sizeof scheme - 1;
    if (strncmp(place->endpoint, scheme, sizeof scheme - 1) == 0 && *path == '/') {
        unlink(path);
    }
}

bool perf_crew_here(perf_child_fn *run, void *job, const atomic_bool *stop, char *reason)
{
    struct perf_cpus cpus;
    struct perf_crew_board *board = perf_shared_new(sizeof *board);
    if (board == NULL || !perf_cpus_find(&cpus)) {
        snprintf(reason, PERF_REASON_MAX, "starting: %s", strerror(errno));
        perf_shared_end(board, sizeof *board);
        return false;
    }
    struct perf_child child = {.cpu = cpus.server, .board = board, .stop = stop};
    atomic_store(&board->places[0].pid, getpid());
    const struct perf_post post = {.name = "server", .run = run, .job = job};
    bool ok = child_work(&child, &post);
    snprintf(reason, PERF_REASON_MAX, "%s", child.reason);
    perf_place_remove_file(&board->places[0]);
    perf_shared_end(board, sizeof *board);
    return ok;
}
