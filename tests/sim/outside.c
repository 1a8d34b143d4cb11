#define _GNU_SOURCE
#include "tests/sim/outside.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <ucontext.h>

#include "tests/sim/machine.h"

#define STACK_LEN (256u << 10)
#define FDS_MAX   16u
#define NS        1000000000u

struct thread {
    bool alive, started;
    bool waits, timed; /* for fd, for the event */
    int fd;            /* -1: none */
    struct mcq_sim_event until;
    ucontext_t context;
    void (*fn)(void *arg);
    void *arg;
};

static struct thread threads[MCQ_OUTSIDE_MAX];
static _Alignas(64) char stacks[MCQ_OUTSIDE_MAX][STACK_LEN];
static struct thread *here; /* who runs; NULL: a shard, or the world */
static ucontext_t world;

static struct {
    bool open;
    uint64_t value;
} fds[FDS_MAX];

void (*mcq_outside_on_enter)(bool inside);

/* --- life ---------------------------------------------------------------------------------- */

void mcq_outside_reset(void)
{
    memset(threads, 0, sizeof(threads));
    memset(fds, 0, sizeof(fds));
    here = NULL;
}

void mcq_outside_start(void (*fn)(void *arg), void *arg)
{
    uint32_t i = 0;
    while (i < MCQ_OUTSIDE_MAX && threads[i].alive)
        i++;
    if (i == MCQ_OUTSIDE_MAX)
        mcq_sim_fail("more than %u threads outside", MCQ_OUTSIDE_MAX);
    threads[i] = (struct thread){.alive = true, .fd = -1, .fn = fn, .arg = arg};
}

uint32_t mcq_outside_cnt(void)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < MCQ_OUTSIDE_MAX; i++)
        cnt += threads[i].alive;
    return cnt;
}

void mcq_outside_hurry(void)
{
    for (uint32_t i = 0; i < MCQ_OUTSIDE_MAX; i++)
        mcq_sim_event_disarm(&threads[i].until);
}

static void leave(void)
{
    struct thread *t = here;
    here = NULL;
    if (swapcontext(&t->context, &world) != 0)
        mcq_sim_fail("a thread outside can't be left");
}

static void begin(void)
{
    here->fn(here->arg);
    here->alive = false;
    leave();
}

static bool can_run(const struct thread *t)
{
    if (!t->alive)
        return false;
    bool rung = t->fd >= 0 && fds[t->fd - MCQ_OUTSIDE_FD_BASE].value != 0;
    return !t->waits || rung || (t->timed && !mcq_sim_event_armed(&t->until));
}

static void resume(struct thread *t)
{
    mcq_sim_event_disarm(&t->until);
    t->waits = false;
    if (!t->started) {
        t->started = true;
        getcontext(&t->context);
        t->context.uc_stack.ss_sp = stacks[t - threads];
        t->context.uc_stack.ss_size = STACK_LEN;
        t->context.uc_link = NULL;
        makecontext(&t->context, begin, 0);
    }
    if (mcq_outside_on_enter != NULL)
        mcq_outside_on_enter(true);
    here = t;
    if (swapcontext(&world, &t->context) != 0)
        mcq_sim_fail("a thread outside can't be entered");
    if (mcq_outside_on_enter != NULL)
        mcq_outside_on_enter(false);
}

bool mcq_outside_step(void)
{
    uint32_t first = (uint32_t)mcq_sim_below(MCQ_OUTSIDE_MAX);
    for (uint32_t i = 0; i < MCQ_OUTSIDE_MAX && here == NULL; i++) {
        struct thread *t = &threads[(first + i) % MCQ_OUTSIDE_MAX];
        if (!can_run(t))
            continue;
        resume(t);
        return true;
    }
    return false;
}

/* --- waiting ------------------------------------------------------------------------------- */

void mcq_outside_yield(void)
{
    here->fd = -1;
    leave();
}

/* It is seen that the event has run: it isn't armed any more. */
static void on_time(struct mcq_sim_event *e)
{
    (void)e;
}

static void wait_for(int fd, uint64_t ns)
{
    struct thread *t = here;
    t->waits = true;
    t->fd = fd;
    t->timed = ns != UINT64_MAX;
    if (t->timed)
        mcq_sim_event_arm(&t->until, mcq_sim.now_ns + ns, on_time);
    leave();
}

void mcq_outside_sleep(uint64_t ns)
{
    wait_for(-1, ns);
}

void mcq_outside_pause(void)
{
    if (here != NULL && mcq_sim_below(4) == 0)
        mcq_outside_yield();
}

void mcq_outside_ring(int fd)
{
    uint32_t i = (uint32_t)(fd - MCQ_OUTSIDE_FD_BASE);
    if (i >= FDS_MAX || !fds[i].open)
        mcq_sim_fail("descriptor %d is no eventfd", fd);
    fds[i].value++;
    if (mcq_sim_below(3) == 0)
        (void)mcq_outside_step();
}

/* --- what they ask the system for ---------------------------------------------------------- */

int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
ssize_t __real_read(int fd, void *ptr, size_t len);
ssize_t __wrap_read(int fd, void *ptr, size_t len);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_ppoll(struct pollfd *p, nfds_t cnt, const struct timespec *ts, const sigset_t *mask);
int __wrap_ppoll(struct pollfd *p, nfds_t cnt, const struct timespec *ts, const sigset_t *mask);
int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __real_sched_yield(void);
int __wrap_sched_yield(void);

int __wrap_eventfd(unsigned value, int flags)
{
    uint32_t i = 0;
    if (here == NULL)
        return __real_eventfd(value, flags);
    while (i < FDS_MAX && fds[i].open)
        i++;
    if (i == FDS_MAX)
        mcq_sim_fail("more than %u eventfds outside", FDS_MAX);
    fds[i].open = true;
    fds[i].value = value;
    return MCQ_OUTSIDE_FD_BASE + (int)i;
}

static bool is_ours(int fd)
{
    return fd >= MCQ_OUTSIDE_FD_BASE && fd < MCQ_OUTSIDE_FD_BASE + (int)FDS_MAX;
}

ssize_t __wrap_read(int fd, void *ptr, size_t len)
{
    if (!is_ours(fd))
        return __real_read(fd, ptr, len);
    uint64_t *value = &fds[fd - MCQ_OUTSIDE_FD_BASE].value;
    if (*value == 0) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(ptr, value, sizeof(*value));
    *value = 0;
    return sizeof(*value);
}

int __wrap_close(int fd)
{
    if (!is_ours(fd))
        return __real_close(fd);
    fds[fd - MCQ_OUTSIDE_FD_BASE].open = false;
    fds[fd - MCQ_OUTSIDE_FD_BASE].value = 0;
    return 0;
}

int __wrap_ppoll(struct pollfd *p, nfds_t cnt, const struct timespec *ts, const sigset_t *mask)
{
    if (here == NULL || cnt != 1 || !is_ours(p->fd))
        return __real_ppoll(p, cnt, ts, mask);
    wait_for(p->fd, ts == NULL ? UINT64_MAX : (uint64_t)ts->tv_sec * NS + (uint64_t)ts->tv_nsec);
    p->revents = fds[p->fd - MCQ_OUTSIDE_FD_BASE].value != 0 ? POLLIN : 0;
    return p->revents != 0;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
    if (here == NULL)
        return __real_clock_gettime(id, ts);
    *ts = (struct timespec){(time_t)(mcq_sim.now_ns / NS), (long)(mcq_sim.now_ns % NS)};
    return 0;
}

/* Who yields waits for the other side: a shard for a thread, which then goes on at once. */
int __wrap_sched_yield(void)
{
    if (here != NULL)
        mcq_outside_yield();
    else if (!mcq_outside_step())
        return __real_sched_yield();
    return 0;
}
