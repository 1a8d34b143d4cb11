/* RAW: reads the time stamp counter and the system's clock; sound because the counter is used only
 * where the CPU says that it ticks evenly; part of the simulation seam, called by loop and
 * loop_init. */
#include "runtime/clock.h"

#include <time.h>

#define SECOND_NS      1000000000ull
#define SYNC_NS        SECOND_NS
#define CALIBRATE_NS   2000000ull
#define JUMP_NS        1000000ull /* further behind the system's clock: jump */
#define SLEW_MAX_NS    500000ll   /* of error eaten up per second */
#define PAIR_TRIES_MAX 5u

static uint64_t system_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

static bool has_even_ticks(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
}

static inline uint64_t ticks(void)
{
    return __rdtsc();
}

void mcq_clock_relax(void)
{
    _mm_pause();
}
#else
static bool has_even_ticks(void)
{
    return false;
}

static inline uint64_t ticks(void)
{
    return 0;
}

void mcq_clock_relax(void)
{
#if defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
#endif

/* Both clocks at about the same moment: the tightest of a few tries. */
static void read_pair(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < PAIR_TRIES_MAX; i++) {
        uint64_t before = ticks();
        uint64_t at = system_ns();
        uint64_t after = ticks();
        if (after - before >= best)
            continue;
        best = after - before;
        *tsc = before + best / 2;
        *ns = at;
    }
}

static uint64_t rate_of(uint64_t ns, uint64_t tsc)
{
    return (uint64_t)(((unsigned __int128)ns << 32) / tsc);
}

static uint64_t ns_at(const struct mcq_clock *c, uint64_t tsc)
{
    return c->base_ns + (uint64_t)(((unsigned __int128)(tsc - c->base_tsc) * c->rate) >> 32);
}

void mcq_clock_init(struct mcq_clock *c)
{
    *c = (struct mcq_clock){.tsc = has_even_ticks()};
    if (!c->tsc)
        return;
    uint64_t tsc, ns;
    read_pair(&c->anchor_tsc, &c->anchor_ns);
    while (system_ns() - c->anchor_ns < CALIBRATE_NS)
        mcq_clock_relax();
    read_pair(&tsc, &ns);
    if (tsc <= c->anchor_tsc || ns <= c->anchor_ns) {
        c->tsc = false;
        return;
    }
    c->rate = rate_of(ns - c->anchor_ns, tsc - c->anchor_tsc);
    c->base_tsc = tsc;
    c->base_ns = ns;
    /* Two milliseconds are a rough measure: look again soon. */
    c->sync_ns = ns + SYNC_NS / 10;
}

uint64_t mcq_clock_now(struct mcq_clock *c)
{
    if (MCQ_UNLIKELY(!c->tsc))
        return system_ns();
    uint64_t tsc = ticks();
    /* Another core's counter may be a little behind. */
    uint64_t ns = tsc < c->base_tsc ? c->base_ns : ns_at(c, tsc);
    if (MCQ_UNLIKELY(ns < c->last_ns))
        return c->last_ns;
    c->last_ns = ns;
    return ns;
}

/* What the rate must be for error_ns to be gone after the next period. */
static uint64_t steer(uint64_t rate, int64_t error_ns)
{
    if (error_ns > SLEW_MAX_NS)
        error_ns = SLEW_MAX_NS;
    if (error_ns < -SLEW_MAX_NS)
        error_ns = -SLEW_MAX_NS;
    return (uint64_t)((__int128)rate + (__int128)rate * error_ns / (int64_t)SYNC_NS);
}

void mcq_clock_sync(struct mcq_clock *c, uint64_t now_ns)
{
    if (MCQ_LIKELY(now_ns < c->sync_ns) || !c->tsc)
        return;
    uint64_t tsc, ns;
    read_pair(&tsc, &ns);
    if (tsc <= c->anchor_tsc || ns <= c->anchor_ns) {
        c->tsc = false;
        return;
    }
    uint64_t mine = ns_at(c, tsc);
    uint64_t rate = rate_of(ns - c->anchor_ns, tsc - c->anchor_tsc);
    if (ns > mine && ns - mine > JUMP_NS)
        mine = ns;
    c->base_tsc = tsc;
    c->base_ns = mine;
    c->rate = steer(rate, (int64_t)(ns - mine));
    c->anchor_tsc = tsc;
    c->anchor_ns = ns;
    c->sync_ns = mine + SYNC_NS;
}
