#include "skew.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "set.h"

#define PAIRS_MAX   32u
#define ROUNDS      2000u
#define PAIR_NS_MAX 50000000ll /* a pair ends by then, with as many rounds as there were */

#if defined(__x86_64__)

struct pair {
    uint32_t far;
    _Alignas(64) _Atomic uint32_t ask;
    _Alignas(64) _Atomic uint32_t reply;
    _Atomic bool ready, failed, over;
    uint64_t stamp; /* of the far core: written before reply, read after it */
};

struct best {
    uint64_t rounds, width; /* ticks between asking and the answer, of the quickest round */
    int64_t skew;
};

static uint64_t ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool pin(uint32_t cpu)
{
    cpu_set_t cpus[SET_CPUS_MAX / CPU_SETSIZE];
    memset(cpus, 0, sizeof cpus);
    CPU_SET_S(cpu, sizeof cpus, cpus);
    return pthread_setaffinity_np(pthread_self(), sizeof cpus, cpus) == 0;
}

static void *answer(void *ctx)
{
    struct pair *p = ctx;
    uint32_t seen = 0;
    atomic_store(&p->failed, !pin(p->far));
    atomic_store(&p->ready, true);
    while (!atomic_load_explicit(&p->over, memory_order_relaxed)) {
        uint32_t ask = atomic_load_explicit(&p->ask, memory_order_acquire);
        if (ask == seen)
            continue;
        p->stamp = ticks();
        seen = ask;
        atomic_store_explicit(&p->reply, ask, memory_order_release);
    }
    return NULL;
}

/* The far stamp lies between two of ours: the quickest round holds it best. */
static void rounds(struct pair *p, struct best *best)
{
    int64_t end = now_ns() + PAIR_NS_MAX;
    *best = (struct best){.width = UINT64_MAX};
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        uint32_t spins = 0;
        uint64_t sent = ticks();
        atomic_store_explicit(&p->ask, i, memory_order_release);
        while (atomic_load_explicit(&p->reply, memory_order_acquire) != i)
            if (++spins % 4096 == 0 && now_ns() > end)
                return;
        uint64_t back = ticks();
        best->rounds++;
        if (back - sent < best->width) {
            best->width = back - sent;
            best->skew = (int64_t)(p->stamp - sent) - (int64_t)(best->width / 2);
        }
    }
}

static bool pair_run(uint32_t far, struct best *best)
{
    struct pair p = {.far = far};
    pthread_t thread;
    if (pthread_create(&thread, NULL, answer, &p) != 0)
        return false;
    while (!atomic_load(&p.ready))
        sched_yield();
    bool good = !atomic_load(&p.failed);
    if (good)
        rounds(&p, best);
    atomic_store(&p.over, true);
    pthread_join(thread, NULL);
    return good;
}

struct worst {
    const struct set *cpus;
    uint32_t pairs;
    uint64_t rounds, width;
    int64_t skew;
    double ticks_per_ns;
    const char *error;
};

/* On a thread of its own, so that the caller's affinity stays what it was. */
static void *measure(void *ctx)
{
    struct worst *w = ctx;
    uint32_t near = doctor_set_next(w->cpus, 0);
    int64_t from_ns = now_ns();
    uint64_t from = ticks();
    if (!pin(near)) {
        w->error = "not allowed to run on the shard CPUs";
        return NULL;
    }
    for (uint32_t far = doctor_set_next(w->cpus, near + 1);
         far < SET_CPUS_MAX && w->pairs < PAIRS_MAX; far = doctor_set_next(w->cpus, far + 1)) {
        struct best best;
        if (!pair_run(far, &best)) {
            w->error = "not allowed to run on the shard CPUs";
            return NULL;
        }
        w->pairs++;
        w->rounds = best.rounds < w->rounds ? best.rounds : w->rounds;
        if (w->pairs == 1 || (best.skew < 0 ? -best.skew : best.skew) > w->skew) {
            w->skew = best.skew < 0 ? -best.skew : best.skew;
            w->width = best.width;
        }
    }
    while (now_ns() - from_ns < 5000000)
        ;
    w->ticks_per_ns = (double)(ticks() - from) / (double)(now_ns() - from_ns);
    return NULL;
}

void doctor_skew_measure(const void *ctx, char *lines, size_t len)
{
    struct worst w = {.cpus = ctx, .rounds = ROUNDS};
    pthread_t thread;
    if (doctor_set_cnt(w.cpus) < 2)
        w.error = "one CPU has nothing to compare with";
    else if (pthread_create(&thread, NULL, measure, &w) != 0)
        w.error = "no thread to be had";
    else
        pthread_join(thread, NULL);
    if (w.error == NULL && w.rounds == 0)
        w.error = "a CPU didn't answer: busy with something else";
    if (w.error != NULL)
        snprintf(lines, len, "error %s\n", w.error);
    else
        snprintf(lines, len, "pairs %" PRIu32 "\nrounds %" PRIu64 "\nskew_ns %.0f\nbound_ns %.0f\n",
                 w.pairs, w.rounds, (double)w.skew / w.ticks_per_ns,
                 (double)w.width / 2 / w.ticks_per_ns);
}

#else

void doctor_skew_measure(const void *ctx, char *lines, size_t len)
{
    (void)ctx;
    snprintf(lines, len, "error only x86-64 has a time stamp counter to compare\n");
}

#endif
