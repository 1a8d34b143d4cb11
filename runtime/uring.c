/* RAW: the only caller of liburing; sound because the ring belongs to one thread, what operations
 * point at lives in its connection until the completion, and the indices shared with the kernel are
 * read and written with the orders its ABI asks for; called by loop, conn, bufring and uring_probe.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "mem/fence.h"
#include "runtime/uring_private.h"

size_t mcq_uring_footprint(void)
{
    return sizeof(struct mcq_uring) + MCQ_CACHE_LINE;
}

static struct io_uring_params params_of(const struct mcq_uring_opts *opts)
{
    struct io_uring_params p = {.cq_entries = opts->cq_cnt,
                                .flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE};
    if (!opts->sqpoll) {
        p.flags |=
            IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
        return p;
    }
    p.flags |= IORING_SETUP_SQPOLL;
    p.sq_thread_idle = opts->sq_idle_ms;
    if (opts->sq_pin) {
        p.flags |= IORING_SETUP_SQ_AFF;
        p.sq_thread_cpu = opts->sq_cpu;
    }
    if (opts->sq_share_fd > 0) {
        p.flags |= IORING_SETUP_ATTACH_WQ;
        p.wq_fd = (unsigned)opts->sq_share_fd;
    }
    return p;
}

int mcq_uring_init(struct mcq_arena *arena, const struct mcq_uring_opts *opts,
                   struct mcq_uring **out)
{
    struct mcq_uring *u = mcq_arena_carve(arena, sizeof(*u), MCQ_CACHE_LINE);
    if (u == NULL)
        return -ENOBUFS;
    struct io_uring_params p = params_of(opts);
    int err = io_uring_queue_init_params(opts->sq_cnt, &u->ring, &p);
    if (err < 0)
        return err;
    if (!(p.features & IORING_FEAT_EXT_ARG) || !(p.features & IORING_FEAT_NODROP)) {
        io_uring_queue_exit(&u->ring);
        return -EINVAL;
    }
    io_uring_ring_dontfork(&u->ring);
    u->stats = opts->stats;
    u->bufs = NULL;
    u->sqpoll = opts->sqpoll;
    u->enter_flags = 0;
    if (opts->ring_fd && io_uring_register_ring_fd(&u->ring) == 1)
        u->enter_flags = IORING_ENTER_REGISTERED_RING;
    *out = u;
    return 0;
}

void mcq_uring_fini(struct mcq_uring *u)
{
    io_uring_queue_exit(&u->ring);
}

bool mcq_uring_has_ring_fd(const struct mcq_uring *u)
{
    return u->enter_flags != 0;
}

bool mcq_uring_is_sqpoll(const struct mcq_uring *u)
{
    return u->sqpoll;
}

int mcq_uring_fd(const struct mcq_uring *u)
{
    return u->ring.ring_fd;
}

int mcq_uring_disabled_sysctl(void)
{
    char c = '0';
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (read(fd, &c, 1) != 1)
        c = '0';
    close(fd);
    return c >= '0' && c <= '2' ? c - '0' : 0;
}

/* --- entering the kernel ------------------------------------------------------------------- */

/* What the kernel hasn't taken; with sqpoll: what its thread can't see yet. */
static unsigned to_submit(const struct mcq_uring *u)
{
    const struct io_uring_sq *sq = &u->ring.sq;
    return sq->sqe_tail - (u->sqpoll ? *sq->ktail : *sq->khead);
}

static unsigned sq_flags(const struct mcq_uring *u)
{
    return __atomic_load_n(u->ring.sq.kflags, __ATOMIC_RELAXED);
}

/* What an enter may end with without anybody being at fault. EAGAIN and EBUSY: the kernel is short
 * of memory or of room for completions; what was not taken stays queued. EBADR: completions were
 * lost for want of kernel memory, which NODROP makes the kernel's last resort. */
static bool is_harmless(int res)
{
    return res >= 0 || res == -EINTR || res == -ETIME || res == -EAGAIN || res == -EBUSY ||
           res == -EBADR || res == -ENOMEM;
}

/* Shows the kernel what is prepared. Its thread announces that it is going to sleep and then looks
 * at the tail once more; we store the tail and then look at the announcement. Only with a full
 * fence between the two can't both miss the other's. */
static unsigned publish(struct mcq_uring *u)
{
    struct io_uring_sq *sq = &u->ring.sq;
    __atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
    sq->sqe_head = sq->sqe_tail;
    if (!u->sqpoll)
        return 0;
    mcq_fence();
    return sq_flags(u) & IORING_SQ_NEED_WAKEUP ? IORING_ENTER_SQ_WAKEUP : 0;
}

static int enter(struct mcq_uring *u, unsigned wait_cnt, unsigned flags, void *arg, size_t arg_len)
{
    flags |= publish(u);
    if (sq_flags(u) & IORING_SQ_CQ_OVERFLOW)
        u->stats->cq_overflow++;
    int res = io_uring_enter2((unsigned)u->ring.enter_ring_fd, to_submit(u), wait_cnt,
                              flags | u->enter_flags, arg, arg_len);
    u->stats->enters++;
    MCQ_ASSERT(is_harmless(res));
    return res;
}

/* The thread sees it by itself, unless it sleeps. */
static void show(struct mcq_uring *u)
{
    if (publish(u) != 0)
        (void)enter(u, 0, 0, NULL, _NSIG / 8);
}

bool mcq_uring_wants_run(const struct mcq_uring *u)
{
    return (sq_flags(u) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

bool mcq_uring_wants_enter(const struct mcq_uring *u)
{
    return to_submit(u) != 0 || mcq_uring_wants_run(u);
}

uint32_t mcq_uring_ready(const struct mcq_uring *u)
{
    return io_uring_cq_ready(&u->ring);
}

void mcq_uring_submit(struct mcq_uring *u)
{
    if (to_submit(u) == 0)
        return;
    if (u->sqpoll)
        show(u);
    else
        (void)enter(u, 0, 0, NULL, _NSIG / 8);
}

void mcq_uring_enter(struct mcq_uring *u)
{
    if (u->sqpoll && !mcq_uring_wants_run(u))
        show(u);
    else
        (void)enter(u, 0, IORING_ENTER_GETEVENTS, NULL, _NSIG / 8);
}

static void wait(struct mcq_uring *u, uint64_t timeout_ns)
{
    struct __kernel_timespec ts = {(long long)(timeout_ns / 1000000000u),
                                   (long long)(timeout_ns % 1000000000u)};
    struct io_uring_getevents_arg arg = {.sigmask_sz = _NSIG / 8};
    if (timeout_ns != UINT64_MAX)
        arg.ts = (uintptr_t)&ts;
    (void)enter(u, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
}

void mcq_uring_wait(struct mcq_uring *u, uint64_t timeout_ns)
{
    wait(u, timeout_ns);
    u->stats->waits++;
}

void mcq_uring_poll(struct mcq_uring *u)
{
    if (u->sqpoll) /* its thread does */
        mcq_uring_enter(u);
    else
        wait(u, 0);
}

/* Enters that may be needed to make room when the kernel is short of memory, or when signals end
 * the wait for its thread. */
#define ROOM_TRIES_MAX 1000000u

void mcq_uring_make_room(struct mcq_uring *u)
{
    u->stats->sq_full++;
    for (unsigned i = 0; io_uring_sq_space_left(&u->ring) == 0; i++) {
        MCQ_ASSERT(i < ROOM_TRIES_MAX);
        (void)enter(u, 0, u->sqpoll ? IORING_ENTER_SQ_WAIT : 0, NULL, _NSIG / 8);
    }
}

/* --- waking another ring ------------------------------------------------------------------- */

/* Whether one of the completions from `from` on has this tag, or was held back and might have it.
 * An enter that only submits brings no more of them than it submits operations. */
static bool has_failed(const struct mcq_uring *u, unsigned from, uint64_t tag)
{
    const struct io_uring_cq *cq = &u->ring.cq;
    unsigned tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
    if (sq_flags(u) & IORING_SQ_CQ_OVERFLOW)
        return true;
    while (tail != from)
        if (cq->cqes[--tail & *cq->kring_mask].user_data == tag)
            return true;
    return false;
}

bool mcq_uring_wake(struct mcq_uring *u, int ring_fd, uint64_t tag, uint64_t own_tag)
{
    if (u->sqpoll)
        return false;
    if (io_uring_sq_space_left(&u->ring) == 0)
        mcq_uring_make_room(u);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    io_uring_prep_msg_ring(sqe, ring_fd, 0, tag, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = own_tag;
    u->stats->sqes++;
    unsigned from = __atomic_load_n(u->ring.cq.ktail, __ATOMIC_RELAXED);
    (void)enter(u, 0, 0, NULL, _NSIG / 8);
    return to_submit(u) == 0 && !has_failed(u, from, own_tag);
}

/* --- completions --------------------------------------------------------------------------- */

static uint16_t done_flags(unsigned flags)
{
    unsigned f = 0;
    if (flags & IORING_CQE_F_MORE)
        f |= MCQ_DONE_MORE;
    if (flags & IORING_CQE_F_BUFFER)
        f |= MCQ_DONE_BUFFER;
    if (flags & IORING_CQE_F_BUF_MORE)
        f |= MCQ_DONE_BUF_MORE;
    if (flags & IORING_CQE_F_SOCK_NONEMPTY)
        f |= MCQ_DONE_NONEMPTY;
    return (uint16_t)f;
}

size_t mcq_uring_reap(struct mcq_uring *u, struct mcq_done *done, size_t max)
{
    struct io_uring_cq *cq = &u->ring.cq;
    unsigned head = *cq->khead;
    unsigned tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
    if (head == tail)
        return 0;
    size_t n = 0;
    for (; head != tail && n < max; head++, n++) {
        const struct io_uring_cqe *cqe = &cq->cqes[head & *cq->kring_mask];
        done[n].tag = cqe->user_data;
        done[n].res = cqe->res;
        done[n].bid = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        done[n].flags = done_flags(cqe->flags);
    }
    __atomic_store_n(cq->khead, head, __ATOMIC_RELEASE);
    u->stats->cqes += n;
    return n;
}
