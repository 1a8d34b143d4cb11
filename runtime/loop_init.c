#include <errno.h>

#include "mem/detail.h"
#include "runtime/loop_private.h"
#include "runtime/net.h"
#include "runtime/uring_probe.h"

#define WAKE_TRIES_MAX 100u
#define WAKE_WAIT_NS   10000000u

static uint32_t rx_blocks_max(const struct mcq_loop_opts *opts)
{
    return opts->rx_blocks_max == 0 ? MCQ_RX_BLOCKS_MAX
                                    : (uint32_t)mcq_min(opts->rx_blocks_max, MCQ_RX_BLOCKS_MAX);
}

size_t mcq_loop_footprint(const struct mcq_loop_opts *opts)
{
    return sizeof(struct mcq_loop) + MCQ_CACHE_LINE + mcq_uring_footprint() +
           mcq_ring_choice_footprint() +
           opts->conns_max * (sizeof(struct mcq_conn) + sizeof(uint32_t)) + 2 * MCQ_CACHE_LINE +
           mcq_timers_footprint(opts->timers_max + opts->conns_max) +
           mcq_bufring_footprint(rx_blocks_max(opts));
}

static bool init_conns(struct mcq_loop *loop, struct mcq_arena *arena, uint32_t max)
{
    MCQ_ASSERT(max <= MCQ_OP_SLOT_MAX);
    loop->conns = mcq_arena_carve(arena, max * sizeof(struct mcq_conn), MCQ_CACHE_LINE);
    loop->free_slots = mcq_arena_carve(arena, max * sizeof(uint32_t), MCQ_CACHE_LINE);
    if (loop->conns == NULL || loop->free_slots == NULL)
        return false;
    for (uint32_t i = 0; i < max; i++) {
        loop->conns[i].slot = i;
        loop->conns[i].fd = -1;
        loop->free_slots[i] = max - 1 - i; /* slot 0 is taken first */
    }
    loop->conns_max = max;
    loop->free_cnt = max;
    return true;
}

static bool init_memory(struct mcq_loop *loop, struct mcq_arena *arena,
                        const struct mcq_loop_opts *opts)
{
    return init_conns(loop, arena, opts->conns_max) &&
           mcq_timers_init(&loop->timers, arena, opts->timers_max + opts->conns_max) &&
           mcq_bufring_init(&loop->rx, arena, opts->heap, rx_blocks_max(opts));
}

static enum mcq_error open_rx(struct mcq_loop *loop, struct mcq_detail *detail)
{
    enum mcq_error e = mcq_uring_probe(loop->ring, loop->rx.mem, &loop->features, detail);
    if (e != MCQ_OK)
        return e;
    int err = mcq_bufring_open(&loop->rx, loop->ring, loop->features.inc, loop->stats);
    return err < 0 ? mcq_uring_explain(-err, detail) : MCQ_OK;
}

static enum mcq_error explain(const struct mcq_loop *loop, const struct mcq_uring_opts *o, int err,
                              struct mcq_detail *detail)
{
    if (!loop->choice.sqpoll || (err != EINVAL && err != EPERM && err != ENXIO && err != EBADF))
        return mcq_uring_explain(err, detail);
    if (o->sq_pin)
        return mcq_detail_set(detail, MCQ_EINVAL, err,
                              "no sqpoll ring with its kernel thread on CPU %u: name one that this "
                              "process may use with --sqpoll-cpus, or use --ring defer",
                              o->sq_cpu);
    return mcq_detail_set(detail, MCQ_EKERNEL, err,
                          "io_uring forbids rings with a kernel thread here (errno %d): use --ring "
                          "defer",
                          err);
}

/* A thread that takes its CPU from somebody should let go of it soon. */
static uint32_t sq_idle_ms(const struct mcq_loop_opts *opts)
{
    if (opts->sqpoll_idle_ms != 0)
        return opts->sqpoll_idle_ms;
    return opts->sqpoll_pin ? MCQ_SQPOLL_IDLE_MS : MCQ_SQPOLL_IDLE_MS_UNPINNED;
}

static enum mcq_error open_ring(struct mcq_loop *loop, struct mcq_arena *arena,
                                const struct mcq_loop_opts *opts, struct mcq_detail *detail)
{
    loop->choice = mcq_ring_choice_make(arena, opts);
    const struct mcq_uring_opts o = {
        .sq_cnt = MCQ_URING_SQ_CNT,
        .cq_cnt = MCQ_URING_CQ_CNT,
        .ring_fd = loop->features.ring_fd,
        .sqpoll = loop->choice.sqpoll,
        .sq_pin = opts->sqpoll_pin,
        .sq_cpu = opts->sqpoll_cpu,
        .sq_idle_ms = sq_idle_ms(opts),
        .sq_share_fd = opts->sqpoll_share_fd,
        .stats = loop->stats,
    };
    int err = mcq_uring_init(arena, &o, &loop->ring);
    if (err < 0)
        return explain(loop, &o, -err, detail);
    loop->features.ring_fd = mcq_uring_has_ring_fd(loop->ring);
    enum mcq_error e = open_rx(loop, detail);
    if (e != MCQ_OK) {
        mcq_uring_fini(loop->ring);
        return e;
    }
    loop->wake_fd = mcq_net_eventfd();
    if (loop->wake_fd < 0) {
        mcq_bufring_close(&loop->rx);
        mcq_uring_fini(loop->ring);
        return mcq_detail_set(detail, MCQ_ELIMIT, -loop->wake_fd,
                              "no file descriptor left for an eventfd: raise `ulimit -n`");
    }
    return MCQ_OK;
}

static enum mcq_error no_arena(struct mcq_detail *detail)
{
    return mcq_detail_set(detail, MCQ_ENOMEM, 0,
                          "the arena is too small for the loop: raise --arena or lower "
                          "--connections");
}

enum mcq_error mcq_loop_init(struct mcq_arena *arena, const struct mcq_loop_opts *opts,
                             struct mcq_loop **out, struct mcq_detail *detail)
{
    struct mcq_features features = mcq_features_all();
    enum mcq_error e = mcq_features_mask(&features, opts->features, detail);
    if (e != MCQ_OK)
        return e;
    struct mcq_loop *loop = mcq_arena_carve(arena, sizeof(*loop), MCQ_CACHE_LINE);
    if (loop == NULL)
        return no_arena(detail);
    *loop = (struct mcq_loop){.stats = opts->stats,
                              .heap = opts->heap,
                              .wake_fd = -1,
                              .bell = {-1, -1},
                              .features = features};
    mcq_list_init(&loop->line);
    mcq_list_init(&loop->due);
    mcq_list_init(&loop->ended);
    if (!init_memory(loop, arena, opts))
        return no_arena(detail);
    e = open_ring(loop, arena, opts, detail);
    if (e != MCQ_OK)
        return e;
    mcq_napi_open(&loop->napi, loop->ring, opts->napi_busy_us, opts->napi_prefer);
    loop->features.napi = loop->napi.on;
    loop->features.hot &= !loop->napi.on;
    mcq_hot_init(&loop->hot, opts->idle, loop->features.hot);
    mcq_features_text(&loop->features, loop->features_text);
    mcq_clock_init(&loop->clock);
    mcq_random_init(&loop->random);
    loop->now_ns = mcq_clock_now(&loop->clock);
    loop->idler = mcq_idler_of(opts->idle, opts->idle_spin_ns, loop->now_ns);
    uint64_t target = loop->stats->ring_target_now;
    *loop->stats = (struct mcq_loop_stats){.ring_target_now = target}; /* probing doesn't count */
    mcq_loop_arm_wake(loop);
    *out = loop;
    return MCQ_OK;
}

/* --- the eventfd --------------------------------------------------------------------------- */

void mcq_loop_arm_wake(struct mcq_loop *loop)
{
    loop->wake_armed = true;
    mcq_uring_read(loop->ring, mcq_op_tag(MCQ_OP_WAKE, 0, 0), loop->wake_fd, &loop->wake_value,
                   sizeof(loop->wake_value));
}

bool mcq_loop_wake_done(struct mcq_loop *loop, const struct mcq_done *done)
{
    loop->wake_armed = false;
    if (loop->ending)
        return false;
    mcq_loop_arm_wake(loop);
    return done->res > 0;
}

/* The read points into the loop: it must have ended before the memory goes. */
static void end_wake(struct mcq_loop *loop)
{
    struct mcq_done done;
    loop->ending = true;
    mcq_uring_cancel(loop->ring, mcq_op_tag(MCQ_OP_CANCEL, 0, 0), mcq_op_tag(MCQ_OP_WAKE, 0, 0));
    for (unsigned i = 0; loop->wake_armed && i < WAKE_TRIES_MAX; i++) {
        mcq_uring_wait(loop->ring, WAKE_WAIT_NS);
        while (mcq_uring_reap(loop->ring, &done, 1) == 1)
            if (mcq_op_kind_of(done.tag) == MCQ_OP_WAKE)
                (void)mcq_loop_wake_done(loop, &done);
    }
}

void mcq_loop_fini(struct mcq_loop *loop)
{
    for (struct mcq_node *n; (n = mcq_list_pop_front(&loop->ended)) != NULL;)
        mcq_conn_release(loop, MCQ_CONTAINER_OF(n, struct mcq_conn, line));
    MCQ_ASSERT(loop->free_cnt == loop->conns_max);
    end_wake(loop);
    if (loop->bell.fd >= 0)
        mcq_uring_bell_close(loop->ring, &loop->bell);
    mcq_bufring_close(&loop->rx);
    mcq_uring_fini(loop->ring);
    mcq_net_close(loop->wake_fd);
    loop->wake_fd = -1;
}
