#define _GNU_SOURCE
#include "wake.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "mem/arena.h"
#include "runtime/loop.h"
#include "runtime/net.h"

#define COUNT        20000u
#define COUNT_MAX    10000000u
#define WARM_UP      1000u
#define LET_SLEEP_NS 30000u
#define LONG_NS      10000000000u

enum by { BY_EVENTFD, BY_RING, BY_CNT };

static const char *const BY[] = {"eventfd", "ring"};

/* A loop and its memory, for the thread that opens it. */
struct side {
    struct mcq_arena arena;
    struct mcq_mem_stats mem;
    struct mcq_loop_stats stats;
    struct mcq_loop *loop;
};

static struct {
    uint32_t count;
    size_t cpu[2];
    enum mcq_idle idle; /* of the one that is woken */
    bool bare;
    int bare_fd;
    struct side target;
    atomic_uint opened; /* the target is there: 1; it can't be: 2 */
    atomic_uint seen;   /* wakes that were told */
    atomic_uint asleep; /* times it announced a sleep */
    uint64_t *told_ns;  /* when each was */
    uint64_t *from_ns, *call_ns;
} w;

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void pin(size_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

static bool two_cpus(size_t cpu[2])
{
    cpu_set_t set;
    unsigned cnt = 0;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return false;
    for (size_t i = 0; i < CPU_SETSIZE && cnt < 2; i++)
        if (CPU_ISSET(i, &set))
            cpu[cnt++] = i;
    return cnt == 2;
}

/* --- a loop -------------------------------------------------------------------------------- */

static bool side_open(struct side *s, enum mcq_idle idle)
{
    struct mcq_detail d = {.text = ""};
    const struct mcq_buf_plan plan = {.cnt = {16, 16, 64, 2}, .external_cnt = 16};
    struct mcq_loop_opts o = {
        .idle = idle, .conns_max = 4, .timers_max = 4, .ring = MCQ_RING_DEFER, .stats = &s->stats};
    size_t len = mcq_buf_heap_footprint(&plan) + mcq_loop_footprint(&o) + 65536;
    if (mcq_arena_init(&s->arena, len, MCQ_NODE_ANY, &d) == MCQ_OK) {
        o.heap = mcq_buf_heap_init(&s->arena, &plan, &s->mem);
        if (mcq_loop_init(&s->arena, &o, &s->loop, &d) == MCQ_OK)
            return true;
        mcq_arena_fini(&s->arena);
    }
    fprintf(stderr, "mcq-micro: %s\n", d.text);
    return false;
}

static void side_close(struct side *s)
{
    mcq_loop_fini(s->loop);
    mcq_arena_fini(&s->arena);
}

static uint32_t side_turn(struct side *s)
{
    struct mcq_io_event ev[16];
    uint32_t wakes = 0;
    size_t n;
    mcq_loop_begin(s->loop);
    while ((n = mcq_loop_reap(s->loop, ev, 16)) != 0)
        for (size_t i = 0; i < n; i++)
            wakes += ev[i].kind == MCQ_IO_WAKE;
    if (wakes != 0) {
        uint32_t seen = atomic_load_explicit(&w.seen, memory_order_relaxed);
        w.told_ns[seen] = now_ns();
        atomic_store_explicit(&w.seen, seen + 1, memory_order_release);
    }
    mcq_loop_end(s->loop, false, mcq_loop_now(s->loop) + LONG_NS);
    return wakes;
}

/* --- the one that is woken ------------------------------------------------------------------- */

static bool on_sleep(void *ctx, bool sleeping)
{
    (void)ctx;
    if (sleeping)
        atomic_fetch_add(&w.asleep, 1);
    return true;
}

static void sleep_bare(void)
{
    for (uint32_t i = 0; i < w.count; i++) {
        uint64_t value;
        atomic_fetch_add(&w.asleep, 1);
        if (read(w.bare_fd, &value, sizeof(value)) != sizeof(value))
            return;
        w.told_ns[i] = now_ns();
        atomic_store_explicit(&w.seen, i + 1, memory_order_release);
    }
}

static void *target_main(void *arg)
{
    (void)arg;
    pin(w.cpu[1]);
    if (w.bare) {
        atomic_store(&w.opened, 1);
        sleep_bare();
        return NULL;
    }
    if (!side_open(&w.target, w.idle)) {
        atomic_store(&w.opened, 2);
        return NULL;
    }
    mcq_loop_on_sleep(w.target.loop, on_sleep, NULL);
    atomic_store(&w.opened, 1);
    while (atomic_load_explicit(&w.seen, memory_order_relaxed) < w.count)
        (void)side_turn(&w.target);
    side_close(&w.target);
    return NULL;
}

/* --- the one that wakes -------------------------------------------------------------------- */

static void wake_once(struct side *mine, enum by by)
{
    if (w.bare) {
        mcq_net_wake(w.bare_fd);
        return;
    }
    if (by == BY_EVENTFD || !mcq_loop_wake_ring(mine->loop, mcq_loop_ring_fd(w.target.loop)))
        mcq_net_wake(mcq_loop_wake_fd(w.target.loop));
}

static void let_sleep(uint32_t round)
{
    if (w.idle == MCQ_IDLE_BLOCK)
        while (atomic_load(&w.asleep) <= round)
            ;
    for (uint64_t end = now_ns() + LET_SLEEP_NS; now_ns() < end;)
        ;
}

static void wake_all(struct side *mine, enum by by)
{
    for (uint32_t i = 0; i < w.count; i++) {
        let_sleep(i);
        w.from_ns[i] = now_ns();
        wake_once(mine, by);
        w.call_ns[i] = now_ns() - w.from_ns[i];
        while (atomic_load_explicit(&w.seen, memory_order_acquire) <= i)
            ;
    }
}

static bool run(enum by by)
{
    static struct side mine;
    pthread_t thread;
    atomic_store(&w.opened, 0);
    atomic_store(&w.seen, 0);
    atomic_store(&w.asleep, 0);
    if (!side_open(&mine, MCQ_IDLE_SPIN))
        return false;
    if (pthread_create(&thread, NULL, target_main, NULL) != 0)
        abort();
    while (atomic_load(&w.opened) == 0)
        ;
    bool ok = atomic_load(&w.opened) == 1;
    if (ok)
        wake_all(&mine, by);
    pthread_join(thread, NULL);
    side_close(&mine);
    return ok;
}

/* --- what came out --------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double at_us(const uint64_t *sorted, double share)
{
    return (double)sorted[(size_t)((double)(w.count - WARM_UP - 1) * share)] / 1000;
}

static void report(const char *target, const char *by, bool json)
{
    uint64_t *wake = w.told_ns + WARM_UP, *call = w.call_ns + WARM_UP;
    for (uint32_t i = WARM_UP; i < w.count; i++)
        w.told_ns[i] -= w.from_ns[i];
    qsort(wake, w.count - WARM_UP, sizeof(*wake), compare);
    qsort(call, w.count - WARM_UP, sizeof(*call), compare);
    printf(json ? "{\"target\":\"%s\",\"by\":\"%s\",\"p50_us\":%.2f,\"p99_us\":%.2f,"
                  "\"call_p50_us\":%.2f}\n"
                : "%-10s %-8s %9.2f %9.2f %9.2f\n",
           target, by, at_us(wake, 0.5), at_us(wake, 0.99), at_us(call, 0.5));
}

static bool measure(bool json)
{
    static const struct {
        const char *name;
        enum mcq_idle idle;
    } TARGETS[] = {{"sleeping", MCQ_IDLE_BLOCK}, {"spinning", MCQ_IDLE_SPIN}};
    w.bare = true;
    w.idle = MCQ_IDLE_BLOCK;
    if (!run(BY_EVENTFD))
        return false;
    report("sleeping", "bare", json);
    w.bare = false;
    for (size_t t = 0; t < 2; t++)
        for (enum by by = BY_EVENTFD; by < BY_CNT; by++) {
            w.idle = TARGETS[t].idle;
            if (!run(by))
                return false;
            report(TARGETS[t].name, BY[by], json);
        }
    return true;
}

static bool parse(int argc, char **argv, bool *json)
{
    for (int i = 0; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--json") == 0) {
            *json = true;
            continue;
        }
        if (strcmp(argv[i], "--count") != 0 || i + 1 == argc)
            return false;
        unsigned long n = strtoul(argv[++i], &end, 10);
        if (*end != '\0' || n == 0 || n > COUNT_MAX)
            return false;
        w.count = (uint32_t)n + WARM_UP;
    }
    return true;
}

int wake_main(int argc, char **argv)
{
    bool json = false;
    w.count = COUNT + WARM_UP;
    if (!parse(argc, argv, &json)) {
        fprintf(stderr, "usage: mcq-micro wake [--count N] [--json]\n");
        return 2;
    }
    if (!two_cpus(w.cpu)) {
        fprintf(stderr, "mcq-micro: wake needs two CPUs\n");
        return 1;
    }
    pin(w.cpu[0]);
    w.bare_fd = eventfd(0, EFD_CLOEXEC);
    w.told_ns = calloc(w.count, sizeof(*w.told_ns));
    w.from_ns = calloc(w.count, sizeof(*w.from_ns));
    w.call_ns = calloc(w.count, sizeof(*w.call_ns));
    bool ok = w.bare_fd >= 0 && w.told_ns != NULL && w.from_ns != NULL && w.call_ns != NULL;
    if (ok && !json)
        printf("us per wake, %u wakes\n%-10s %-8s %9s %9s %9s\n", w.count - WARM_UP, "target", "by",
               "p50", "p99", "call p50");
    ok = ok && measure(json);
    close(w.bare_fd);
    free(w.told_ns);
    free(w.from_ns);
    free(w.call_ns);
    return ok ? 0 : 1;
}
