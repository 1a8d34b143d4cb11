/* RAW: the only caller of liburing; sound because the ring belongs to one thread, what operations
 * point at lives in its connection until the completion, and the two indices shared with the
 * kernel are read and written with the orders its ABI asks for; called by loop, conn, bufring and
 * uring_probe. */
#include "runtime/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runtime/uring_compat.h"

#define BUF_GROUP 0

struct mcq_uring {
    struct io_uring ring;
    struct mcq_loop_stats *stats;
    struct io_uring_buf_ring *bufs;
    int bufs_mask, bufs_added;
    unsigned enter_flags; /* REGISTERED_RING, if so */
};

size_t mcq_uring_footprint(void)
{
    return sizeof(struct mcq_uring) + MCQ_CACHE_LINE;
}

int mcq_uring_init(struct mcq_arena *arena, const struct mcq_uring_opts *opts,
                   struct mcq_uring **out)
{
    struct mcq_uring *u = mcq_arena_carve(arena, sizeof(*u), MCQ_CACHE_LINE);
    if (u == NULL)
        return -ENOBUFS;
    struct io_uring_params p = {
        .cq_entries = opts->cq_cnt,
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
    };
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

static unsigned to_submit(const struct mcq_uring *u)
{
    return u->ring.sq.sqe_tail - *u->ring.sq.khead;
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

static int enter(struct mcq_uring *u, unsigned wait_cnt, unsigned flags, void *arg, size_t arg_len)
{
    struct io_uring_sq *sq = &u->ring.sq;
    __atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
    sq->sqe_head = sq->sqe_tail;
    unsigned cnt = to_submit(u);
    if (sq_flags(u) & IORING_SQ_CQ_OVERFLOW)
        u->stats->cq_overflow++;
    int res = io_uring_enter2((unsigned)u->ring.enter_ring_fd, cnt, wait_cnt,
                              flags | u->enter_flags, arg, arg_len);
    u->stats->enters++;
    MCQ_ASSERT(is_harmless(res));
    return res;
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
    if (to_submit(u) != 0)
        (void)enter(u, 0, 0, NULL, _NSIG / 8);
}

void mcq_uring_enter(struct mcq_uring *u)
{
    (void)enter(u, 0, IORING_ENTER_GETEVENTS, NULL, _NSIG / 8);
}

void mcq_uring_wait(struct mcq_uring *u, uint64_t timeout_ns)
{
    struct __kernel_timespec ts = {(long long)(timeout_ns / 1000000000u),
                                   (long long)(timeout_ns % 1000000000u)};
    struct io_uring_getevents_arg arg = {.sigmask_sz = _NSIG / 8};
    if (timeout_ns != UINT64_MAX)
        arg.ts = (uintptr_t)&ts;
    (void)enter(u, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
    u->stats->waits++;
}

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

/* --- operations ---------------------------------------------------------------------------- */

/* Enters that may be needed to make room when the kernel is short of memory. */
#define ROOM_TRIES_MAX 1000000u

static struct io_uring_sqe *next_sqe(struct mcq_uring *u, uint64_t tag)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (MCQ_UNLIKELY(sqe == NULL)) {
        u->stats->sq_full++;
        for (unsigned i = 0; sqe == NULL; i++) {
            MCQ_ASSERT(i < ROOM_TRIES_MAX);
            (void)enter(u, 0, 0, NULL, _NSIG / 8);
            sqe = io_uring_get_sqe(&u->ring);
        }
    }
    u->stats->sqes++;
    sqe->user_data = tag;
    return sqe;
}

void mcq_uring_accept(struct mcq_uring *u, uint64_t tag, int fd, bool multishot)
{
    struct io_uring_sqe *sqe = next_sqe(u, tag);
    io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    if (multishot)
        sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
}

void mcq_uring_connect(struct mcq_uring *u, uint64_t tag, int fd, const struct sockaddr *addr,
                       socklen_t len)
{
    io_uring_prep_connect(next_sqe(u, tag), fd, addr, len);
}

static struct io_uring_sqe *select_recv(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    struct io_uring_sqe *sqe = next_sqe(u, tag);
    io_uring_prep_recv(sqe, fd, NULL, len, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUF_GROUP;
    return sqe;
}

void mcq_uring_recv_shot(struct mcq_uring *u, uint64_t tag, int fd, uint32_t limit)
{
    struct io_uring_sqe *sqe = select_recv(u, tag, fd, 0);
    sqe->ioprio |= IORING_RECV_MULTISHOT;
    mcq_compat_recv_limit(sqe, limit);
}

void mcq_uring_recv_one(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    (void)select_recv(u, tag, fd, len);
}

void mcq_uring_recv_try(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    select_recv(u, tag, fd, len)->msg_flags |= MSG_DONTWAIT;
}

void mcq_uring_recv_into(struct mcq_uring *u, uint64_t tag, int fd, void *ptr, uint32_t len)
{
    io_uring_prep_recv(next_sqe(u, tag), fd, ptr, len, 0);
}

void mcq_uring_send(struct mcq_uring *u, uint64_t tag, int fd, const void *ptr, size_t len)
{
    io_uring_prep_send(next_sqe(u, tag), fd, ptr, len, MSG_NOSIGNAL);
}

void mcq_uring_sendmsg(struct mcq_uring *u, uint64_t tag, int fd, const struct msghdr *msg)
{
    io_uring_prep_sendmsg(next_sqe(u, tag), fd, msg, MSG_NOSIGNAL);
}

void mcq_uring_cancel(struct mcq_uring *u, uint64_t tag, uint64_t target)
{
    io_uring_prep_cancel64(next_sqe(u, tag), target, 0);
}

void mcq_uring_read(struct mcq_uring *u, uint64_t tag, int fd, void *ptr, uint32_t len)
{
    io_uring_prep_read(next_sqe(u, tag), fd, ptr, len, 0);
}

/* --- the buffer ring ----------------------------------------------------------------------- */

size_t mcq_uring_bufs_len(uint32_t cnt)
{
    return cnt * sizeof(struct io_uring_buf);
}

int mcq_uring_bufs_open(struct mcq_uring *u, void *mem, uint32_t cnt, bool inc)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)mem, .ring_entries = cnt, .bgid = BUF_GROUP};
    if (inc)
        mcq_compat_buf_reg_flags(&reg, MCQ_PBUF_RING_INC);
    int err = io_uring_register_buf_ring(&u->ring, &reg, 0);
    if (err < 0)
        return err;
    u->bufs = mem;
    u->bufs_mask = io_uring_buf_ring_mask(cnt);
    u->bufs_added = 0;
    io_uring_buf_ring_init(u->bufs);
    return 0;
}

void mcq_uring_bufs_close(struct mcq_uring *u)
{
    if (u->bufs != NULL)
        (void)io_uring_unregister_buf_ring(&u->ring, BUF_GROUP);
    u->bufs = NULL;
}

void mcq_uring_bufs_add(struct mcq_uring *u, void *base, uint32_t len, uint16_t bid)
{
    io_uring_buf_ring_add(u->bufs, base, len, bid, u->bufs_mask, u->bufs_added++);
}

void mcq_uring_bufs_publish(struct mcq_uring *u)
{
    io_uring_buf_ring_advance(u->bufs, u->bufs_added);
    u->bufs_added = 0;
}
