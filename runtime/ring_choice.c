#include "runtime/ring_choice.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/clock.h"
#include "runtime/net.h"
#include "runtime/oserr.h"
#include "runtime/uring.h"

#define TRY_SQ_CNT     16u
#define TRY_CQ_CNT     64u
#define TRY_LEN        32u
#define DRAIN_WAIT_NS  1000000u
#define DRAIN_TRIES    1000u
#define SQPOLL_MUST_BE 9 / 10 /* of defer's time: below that it is worth a core */

enum { TAG_SEND = 1, TAG_RECV };

/* In the arena, where it stays: a ring that was closed over an operation ends it a moment later. */
struct trial {
    struct mcq_loop_stats stats;
    struct mcq_clock clock;
    struct mcq_uring *u;
    int pair[2];
    unsigned in_flight;
    uint8_t out[TRY_LEN], in[TRY_LEN];
};

size_t mcq_ring_choice_footprint(void)
{
    return 2 * (sizeof(struct trial) + MCQ_CACHE_LINE + mcq_uring_footprint());
}

static struct mcq_ring_choice mode(bool sqpoll, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static struct mcq_ring_choice mode(bool sqpoll, const char *format, ...)
{
    struct mcq_ring_choice m = {.sqpoll = sqpoll};
    va_list args;
    va_start(args, format);
    vsnprintf(m.why, sizeof(m.why), format, args);
    va_end(args);
    return m;
}

/* --- calibration --------------------------------------------------------------------------- */

static void reap(struct trial *t)
{
    struct mcq_done done;
    while (mcq_uring_reap(t->u, &done, 1) == 1)
        t->in_flight--;
}

/* One message round: false if it hadn't come back by until_ns. */
static bool round_trip(struct trial *t, uint64_t until_ns)
{
    mcq_uring_send(t->u, TAG_SEND, t->pair[1], t->out, TRY_LEN);
    mcq_uring_recv_into(t->u, TAG_RECV, t->pair[0], t->in, TRY_LEN);
    t->in_flight = 2;
    while (t->in_flight != 0) {
        if (mcq_uring_wants_enter(t->u))
            mcq_uring_enter(t->u);
        reap(t);
        if (mcq_clock_now(&t->clock) >= until_ns)
            return t->in_flight == 0;
    }
    return true;
}

/* ns for a round. */
static uint64_t measure(struct trial *t)
{
    uint64_t start_ns = mcq_clock_now(&t->clock), rounds = 0;
    uint64_t until_ns = start_ns + MCQ_RING_CHOICE_TRY_NS;
    while (mcq_clock_now(&t->clock) < until_ns && round_trip(t, until_ns))
        rounds++;
    uint64_t took_ns = mcq_clock_now(&t->clock) - start_ns;
    for (unsigned i = 0; t->in_flight != 0 && i < DRAIN_TRIES; i++) {
        mcq_uring_wait(t->u, DRAIN_WAIT_NS);
        reap(t);
    }
    return rounds == 0 ? 0 : took_ns / rounds;
}

/* 0, or -errno when there is no such ring. */
static int try_mode(struct mcq_arena *arena, const struct mcq_loop_opts *opts, bool sqpoll,
                    uint64_t *ns)
{
    struct trial *t = mcq_arena_carve(arena, sizeof(*t), MCQ_CACHE_LINE);
    const struct mcq_uring_opts o = {.sq_cnt = TRY_SQ_CNT,
                                     .cq_cnt = TRY_CQ_CNT,
                                     .sqpoll = sqpoll,
                                     .sq_pin = sqpoll,
                                     .sq_cpu = opts->sqpoll_cpu,
                                     .sq_idle_ms = MCQ_SQPOLL_IDLE_MS,
                                     .stats = t == NULL ? NULL : &t->stats};
    if (t == NULL)
        return -ENOMEM;
    *t = (struct trial){0};
    mcq_clock_init(&t->clock);
    int err = mcq_net_pair(t->pair);
    if (err != 0)
        return err;
    err = mcq_uring_init(arena, &o, &t->u);
    if (err == 0) {
        *ns = measure(t);
        mcq_uring_fini(t->u);
    }
    mcq_net_close(t->pair[0]);
    mcq_net_close(t->pair[1]);
    return err;
}

/* --- choosing ------------------------------------------------------------------------------ */

struct mcq_ring_choice mcq_ring_choice_faster(uint64_t defer_ns, uint64_t sqpoll_ns)
{
    if (sqpoll_ns == 0)
        return mode(false, "auto takes defer: the kernel's thread answered nothing in %u ms",
                    MCQ_RING_CHOICE_TRY_NS / 1000000u);
    bool faster = defer_ns == 0 || sqpoll_ns < defer_ns * SQPOLL_MUST_BE;
    return mode(faster,
                "auto takes %s: a message gets round in %llu ns with defer, in %llu ns "
                "with sqpoll",
                faster ? "sqpoll" : "defer", (unsigned long long)defer_ns,
                (unsigned long long)sqpoll_ns);
}

static struct mcq_ring_choice calibrate(struct mcq_arena *arena, const struct mcq_loop_opts *opts)
{
    uint64_t defer_ns = 0, sqpoll_ns = 0;
    int err = try_mode(arena, opts, false, &defer_ns);
    if (err == 0)
        err = try_mode(arena, opts, true, &sqpoll_ns);
    if (err != 0)
        return mode(false,
                    "auto takes defer: a ring with a kernel thread on CPU %u can't be had "
                    "(%s)",
                    opts->sqpoll_cpu, mcq_oserr_text(-err));
    return mcq_ring_choice_faster(defer_ns, sqpoll_ns);
}

struct mcq_ring_choice mcq_ring_choice_make(struct mcq_arena *arena,
                                            const struct mcq_loop_opts *opts)
{
    if (opts->ring != MCQ_RING_AUTO)
        return mode(opts->ring == MCQ_RING_SQPOLL, "%s", "");
    if (opts->idle != MCQ_IDLE_SPIN)
        return mode(false, "auto takes defer: sqpoll needs idle spin to pay");
    if (!opts->sqpoll_pin)
        return mode(false, "auto takes defer: no CPU is to spare for the kernel's thread");
    return calibrate(arena, opts);
}
