#include "runtime/loop.h"

#include "mem/detail.h"
#include "runtime/loop_private.h"
#include "runtime/oserr.h"

const char *mcq_loop_features(const struct mcq_loop *loop)
{
    return loop->features_text;
}

const char *mcq_loop_ring_why(const struct mcq_loop *loop)
{
    return loop->choice.why;
}

bool mcq_loop_is_sqpoll(const struct mcq_loop *loop)
{
    return loop->choice.sqpoll;
}

const char *mcq_loop_napi_why(const struct mcq_loop *loop)
{
    return loop->napi.why;
}

bool mcq_loop_sq_times(const struct mcq_loop *loop, uint64_t *run_us, uint64_t *work_us)
{
    return loop->choice.sqpoll && mcq_uring_sq_times(loop->ring, run_us, work_us);
}

int mcq_loop_wake_fd(const struct mcq_loop *loop)
{
    return loop->wake_fd;
}

int mcq_loop_ring_fd(const struct mcq_loop *loop)
{
    return mcq_uring_fd(loop->ring);
}

enum mcq_error mcq_loop_bell_open(struct mcq_loop *loop, struct mcq_detail *detail)
{
    int err = mcq_uring_bell_open(loop->ring, loop->wake_fd, &loop->bell);
    if (err == 0)
        return MCQ_OK;
    return mcq_detail_set(detail, mcq_oserr_error(-err), -err,
                          "no descriptor for the ring of an embedded shard: raise `ulimit -n`");
}

int mcq_loop_bell_fd(const struct mcq_loop *loop)
{
    return loop->bell.fd;
}

bool mcq_loop_wake_ring(struct mcq_loop *from, int ring_fd)
{
    return from->features.msgring &&
           mcq_uring_wake(from->ring, ring_fd, mcq_op_tag(MCQ_OP_WAKE_IN, 0, 0),
                          mcq_op_tag(MCQ_OP_WAKE_OUT, 0, 0));
}

void mcq_loop_on_sleep(struct mcq_loop *loop, mcq_loop_sleep_fn *fn, void *ctx)
{
    loop->on_sleep = fn;
    loop->on_sleep_ctx = ctx;
}

struct mcq_timers *mcq_loop_timers(struct mcq_loop *loop)
{
    return &loop->timers;
}

uint64_t mcq_loop_random(struct mcq_loop *loop)
{
    return mcq_random_next(&loop->random);
}

uint64_t mcq_loop_now(const struct mcq_loop *loop)
{
    return loop->now_ns;
}

uint64_t mcq_loop_clock(struct mcq_loop *loop)
{
    return mcq_clock_now(&loop->clock);
}

/* --- the turn's two ends ------------------------------------------------------------------- */

void mcq_loop_submit(struct mcq_loop *loop)
{
    mcq_uring_submit(loop->ring);
}

/* Arms a few of the waiting receives, once blocks are there. True: more could be armed. */
static bool serve_line(struct mcq_loop *loop)
{
    bool has_blocks = mcq_bufring_topup(&loop->rx);
    if (MCQ_LIKELY(mcq_list_empty(&loop->line)) || !has_blocks)
        return false;
    /* Not more than there are blocks: the others would come back at once. */
    size_t max = mcq_min(MCQ_LOOP_REARMS_MAX, loop->rx.cnt);
    for (size_t i = 0; i < max; i++) {
        struct mcq_node *n = mcq_list_pop_front(&loop->line);
        if (n == NULL)
            return false;
        mcq_conn_arm_recv(loop, MCQ_CONTAINER_OF(n, struct mcq_conn, line));
        loop->stats->rearms++;
    }
    return !mcq_list_empty(&loop->line);
}

/* One enter runs a bounded number of deferred completions: again while the kernel asks for it and
 * there isn't enough for a turn yet. */
static void run_rest(struct mcq_loop *loop)
{
    for (uint32_t i = 0; i < MCQ_LOOP_EXTRA_MAX && mcq_uring_wants_run(loop->ring) &&
                         mcq_uring_ready(loop->ring) < MCQ_LOOP_READY_MAX;
         i++) {
        mcq_uring_enter(loop->ring);
        loop->stats->enters_extra++;
    }
}

static void enter(struct mcq_loop *loop)
{
    if (!mcq_uring_wants_enter(loop->ring))
        return;
    mcq_uring_enter(loop->ring);
    run_rest(loop);
}

void mcq_loop_begin(struct mcq_loop *loop)
{
    loop->stats->turns++;
    if (MCQ_UNLIKELY(loop->announced)) {
        loop->announced = false;
        (void)loop->on_sleep(loop->on_sleep_ctx, false);
    }
    if (MCQ_UNLIKELY(loop->rested)) {
        loop->rested = false;
        enter(loop);
    }
    loop->now_ns = mcq_clock_now(&loop->clock);
    mcq_clock_sync(&loop->clock, loop->now_ns);
    for (struct mcq_node *n; (n = mcq_list_pop_front(&loop->ended)) != NULL;)
        mcq_conn_release(loop, MCQ_CONTAINER_OF(n, struct mcq_conn, line));
}

static void sleep_until(struct mcq_loop *loop, uint64_t deadline_ns)
{
    uint64_t now_ns = mcq_clock_now(&loop->clock);
    if (deadline_ns <= now_ns) {
        enter(loop);
        return;
    }
    if (loop->on_sleep != NULL && !loop->on_sleep(loop->on_sleep_ctx, true)) {
        enter(loop);
        return;
    }
    mcq_uring_wait(loop->ring, deadline_ns == UINT64_MAX ? UINT64_MAX : deadline_ns - now_ns);
    loop->announced = loop->on_sleep != NULL;
    run_rest(loop);
}

/* Whether there was or is something to do, beside what the caller knows of. */
static bool settle(struct mcq_loop *loop, bool busy)
{
    bool work = busy || loop->worked || loop->done_pos != loop->done_cnt ||
                !mcq_list_empty(&loop->due) || mcq_uring_ready(loop->ring) != 0;
    loop->worked = false;
    work |= serve_line(loop);
    mcq_bufring_relax(&loop->rx, loop->now_ns);
    loop->stats->turns_idle += !work;
    return work;
}

static bool may_rest(struct mcq_loop *loop, bool work)
{
    if (!work)
        mcq_hot_rest(loop);
    else
        mcq_hot_ask(loop);
    enter(loop);
    if (work || (loop->on_sleep != NULL && !loop->on_sleep(loop->on_sleep_ctx, true)))
        return false;
    loop->announced = loop->on_sleep != NULL;
    mcq_uring_bell_take(&loop->bell);
    loop->rested = true;
    return !mcq_uring_wants_run(loop->ring) && mcq_uring_ready(loop->ring) == 0;
}

/* A busy caller polls again at once: connections stay hot. */
uint64_t mcq_loop_rest(struct mcq_loop *loop, bool busy)
{
    if (!may_rest(loop, settle(loop, busy)))
        return 0;
    uint64_t deadline_ns = mcq_timers_next(&loop->timers);
    uint64_t now_ns = mcq_clock_now(&loop->clock);
    if (deadline_ns == UINT64_MAX)
        return UINT64_MAX;
    return deadline_ns <= now_ns ? 0 : deadline_ns - now_ns;
}

void mcq_loop_end(struct mcq_loop *loop, bool busy, uint64_t next_ns)
{
    bool work = settle(loop, busy);
    if (mcq_idler_sleeps(&loop->idler, work, loop->now_ns)) {
        mcq_hot_rest(loop);
        sleep_until(loop, mcq_min_u64(next_ns, mcq_timers_next(&loop->timers)));
        return;
    }
    mcq_hot_ask(loop);
    if (work) {
        enter(loop);
        return;
    }
    if (MCQ_UNLIKELY(loop->napi.on))
        mcq_uring_poll(loop->ring);
    enter(loop);
    mcq_clock_relax();
}
