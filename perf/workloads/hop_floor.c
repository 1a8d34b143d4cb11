#include "perf/workloads/hop.h"

#include "perf/run/affinity.h"
#include "perf/run/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct floor {
    enum perf_idle idle;
    uint64_t trips, warmup;
    struct perf_cpus cpus;
    struct mcq_hdr *hdr;
    int fd[2];
    _Alignas(128) atomic_uint_fast64_t line[2];
};

static void pass(struct floor *f, unsigned to, uint64_t value)
{
    if (f->idle == PERF_IDLE_SPIN) {
        atomic_store_explicit(&f->line[to], value, memory_order_release);
    } else {
        (void)!write(f->fd[to], &value, sizeof value);
    }
}

static void await(struct floor *f, unsigned at, uint64_t value)
{
    uint64_t seen;
    if (f->idle != PERF_IDLE_SPIN) {
        (void)!read(f->fd[at], &seen, sizeof seen);
        return;
    }
    while (atomic_load_explicit(&f->line[at], memory_order_acquire) != value) {
    }
}

static void *answer(void *ctx)
{
    struct floor *f = ctx;
    perf_cpus_pin(f->cpus.client);
    for (uint64_t i = 1; i <= f->warmup + f->trips; i++) {
        await(f, 0, i);
        pass(f, 1, i);
    }
    return NULL;
}

static void *ask(void *ctx)
{
    struct floor *f = ctx;
    uint64_t last_ns = 0;
    perf_cpus_pin(f->cpus.server);
    for (uint64_t i = 1; i <= f->warmup + f->trips; i++) {
        pass(f, 0, i);
        await(f, 1, i);
        uint64_t now_ns = perf_clock_ns();
        if (i > f->warmup) {
            mcq_hdr_record(f->hdr, now_ns - last_ns);
        }
        last_ns = now_ns;
    }
    return NULL;
}

bool perf_hop_floor(enum perf_idle idle, uint64_t trips, struct mcq_hdr *hdr)
{
    struct floor f = {.idle = idle, .trips = trips, .warmup = trips / 10 + 1, .hdr = hdr};
    pthread_t asks, answers;
    f.fd[0] = eventfd(0, EFD_CLOEXEC);
    f.fd[1] = eventfd(0, EFD_CLOEXEC);
    bool ok = f.fd[0] >= 0 && f.fd[1] >= 0 && perf_cpus_find(&f.cpus) && f.cpus.allowed_cnt > 1 &&
              pthread_create(&answers, NULL, answer, &f) == 0;
    if (ok && pthread_create(&asks, NULL, ask, &f) != 0) {
        ask(&f); /* on this thread, then */
    } else if (ok) {
        pthread_join(asks, NULL);
    }
    if (ok) {
        pthread_join(answers, NULL);
    }
    close(f.fd[0]);
    close(f.fd[1]);
    return ok;
}
