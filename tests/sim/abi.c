#include "tests/sim/abi.h"

#include <errno.h>
#include <string.h>

#include "runtime/uring_compat.h"
#include "runtime/uring_private.h"
#include "tests/sim/machine.h"

#define SQ_SHORT          4u
#define CQ_SHORT          16u
#define CQ_SHORTS         10u /* doublings */
#define WORK_MAX          20u
#define WAKES_PER_FAILURE 16u

static struct mcq_sim_shared shared[MCQ_SIM_PROCESSES_MAX];

/* --- life ---------------------------------------------------------------------------------- */

static uint32_t process_of(int fd)
{
    uint32_t process = (uint32_t)(fd - MCQ_SIM_RING_BASE);
    if (fd < MCQ_SIM_RING_BASE || process >= MCQ_SIM_PROCESSES_MAX)
        mcq_sim_fail("descriptor %d is no ring", fd);
    return process;
}

/* The selected process's own. */
static struct mcq_sim_ring *ring_at(int fd)
{
    uint32_t process = process_of(fd);
    struct mcq_sim_ring *r = &mcq_sim_process(process)->ring;
    if (process != mcq_sim.selected || !r->open)
        mcq_sim_fail("process %u uses the ring of process %u", mcq_sim.selected, process);
    return r;
}

/* Short queues do nothing else than long ones, only sooner. */
static void draw_kernel(struct mcq_sim_ring *r, struct mcq_sim_shared *s)
{
    uint64_t draw = mcq_sim_random();
    r->work_max = draw & 1 ? WORK_MAX : UINT32_MAX;
    r->eager_enobufs = (draw & 2) != 0;
    r->block_at_end = (draw & 4) != 0;
    r->strict_limit = (draw & 24) == 0;
    if ((draw & 0xe0) == 0)
        s->sq_entries = SQ_SHORT;
    if (mcq_sim.faults.cq_overflow != 0)
        s->cq_entries = CQ_SHORT << mcq_sim_below(CQ_SHORTS);
}

static void show_queues(struct io_uring *ring, struct mcq_sim_shared *s)
{
    ring->sq = (struct io_uring_sq){.khead = &s->sq_head,
                                    .ktail = &s->sq_tail,
                                    .kring_mask = &s->sq_mask,
                                    .kring_entries = &s->sq_entries,
                                    .kflags = &s->sq_flags,
                                    .kdropped = &s->sq_dropped,
                                    .array = s->array,
                                    .sqes = s->sqes,
                                    .ring_mask = s->sq_mask,
                                    .ring_entries = s->sq_entries};
    ring->cq = (struct io_uring_cq){.khead = &s->cq_head,
                                    .ktail = &s->cq_tail,
                                    .kring_mask = &s->cq_mask,
                                    .kring_entries = &s->cq_entries,
                                    .kflags = &s->cq_flags,
                                    .koverflow = &s->cq_overflow,
                                    .cqes = s->cqes,
                                    .ring_mask = s->cq_mask,
                                    .ring_entries = s->cq_entries};
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
    uint32_t process = mcq_sim.selected;
    struct mcq_sim_ring *r = &mcq_sim_process(process)->ring;
    struct mcq_sim_shared *s = &shared[process];
    if (r->open || entries > MCQ_URING_SQ_CNT || p->cq_entries > MCQ_URING_CQ_CNT)
        mcq_sim_fail("process %u: a second ring", process);
    mcq_sim_ring_reset(r);
    memset(s, 0, offsetof(struct mcq_sim_shared, array));
    s->sq_entries = entries;
    s->cq_entries = p->cq_entries;
    draw_kernel(r, s);
    s->sq_mask = s->sq_entries - 1;
    s->cq_mask = s->cq_entries - 1;
    for (unsigned i = 0; i < s->sq_entries; i++)
        s->array[i] = i;
    r->open = true;
    r->process = process;
    r->shared = s;
    r->handle = ring;
    show_queues(ring, s);
    ring->flags = p->flags;
    ring->ring_fd = ring->enter_ring_fd = MCQ_SIM_RING_BASE + (int)process;
    p->features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
    r->fd = mcq_sim_fd_open(process, mcq_sim_file_take(MCQ_SIM_RING));
    if (r->fd < 0)
        return r->fd;
    if ((p->flags & IORING_SETUP_SQPOLL) != 0)
        mcq_sim_sqpoll_open(r, p->sq_thread_idle);
    return 0;
}

unsigned mcq_sim_abi_prepared(uint32_t process)
{
    const struct mcq_sim_ring *r = &mcq_sim_process(process)->ring;
    return r->open ? r->handle->sq.sqe_tail - r->shared->sq_head : 0;
}

static const struct io_uring_sqe *sqe_at(const struct mcq_sim_ring *r, unsigned at)
{
    const struct mcq_sim_shared *s = r->shared;
    return &s->sqes[s->array[at & s->sq_mask]];
}

void io_uring_queue_exit(struct io_uring *ring)
{
    struct mcq_sim_ring *r = ring_at(ring->ring_fd);
    unsigned left = r->in_flight;
    for (unsigned i = mcq_sim_abi_prepared(r->process); i-- > 0;) /* a cancel may come too late */
        left +=
            !r->sqpoll.on || sqe_at(r, r->shared->sq_head + i)->opcode != IORING_OP_ASYNC_CANCEL;
    if (left != 0)
        mcq_sim_fail("process %u: the ring was closed over %u operations", r->process, left);
    uint32_t process = r->process;
    int fd = r->fd;
    mcq_sim_ring_reset(r);
    mcq_sim_fd_close(process, fd);
}

int io_uring_ring_dontfork(struct io_uring *ring)
{
    (void)ring;
    return 0;
}

/* The number stays the same: it says whose ring it is. */
int io_uring_register_ring_fd(struct io_uring *ring)
{
    (void)ring_at(ring->ring_fd);
    return 1;
}

int io_uring_register(unsigned fd, unsigned opcode, const void *arg, unsigned cnt)
{
    (void)ring_at((int)fd), (void)opcode, (void)arg, (void)cnt;
    return -EINVAL; /* no interface here has a queue to ask */
}

int io_uring_register_buf_ring(struct io_uring *ring, struct io_uring_buf_reg *reg, unsigned flags)
{
    struct mcq_sim_ring *r = ring_at(ring->ring_fd);
    uint16_t more; /* as uring_compat.h writes them */
    (void)flags;
    memcpy(&more, (char *)reg + offsetof(struct io_uring_buf_reg, bgid) + sizeof(reg->bgid),
           sizeof(more));
    return mcq_sim_blocks_open(&r->blocks, (void *)(uintptr_t)reg->ring_addr, reg->ring_entries,
                               (more & MCQ_PBUF_RING_INC) != 0);
}

int io_uring_unregister_buf_ring(struct io_uring *ring, int bgid)
{
    struct mcq_sim_ring *r = ring_at(ring->ring_fd);
    (void)bgid;
    if (r->selecting != 0)
        mcq_sim_fail("process %u: the buffer ring was closed over %u receives", r->process,
                     r->selecting);
    mcq_sim_blocks_close(&r->blocks);
    return 0;
}

/* --- what was prepared --------------------------------------------------------------------- */

bool mcq_sim_abi_refers(uint32_t process, int fd)
{
    const struct mcq_sim_ring *r = &mcq_sim_process(process)->ring;
    unsigned cnt = mcq_sim_abi_prepared(process);
    for (unsigned i = 0; i < cnt; i++) {
        const struct io_uring_sqe *sqe = sqe_at(r, r->shared->sq_head + i);
        if (sqe->opcode != IORING_OP_ASYNC_CANCEL && sqe->fd == fd)
            return true;
    }
    return false;
}

static void *pointer(uint64_t value)
{
    return (void *)(uintptr_t)value;
}

static void read_recv(const struct io_uring_sqe *sqe, struct mcq_sim_op *op)
{
    op->shot = (sqe->ioprio & IORING_RECV_MULTISHOT) != 0;
    op->select = (sqe->flags & IOSQE_BUFFER_SELECT) != 0;
    op->no_wait = (sqe->msg_flags & MSG_DONTWAIT) != 0;
    op->len = op->shot ? sqe->file_index : sqe->len;
    op->ptr = pointer(sqe->addr);
}

static struct mcq_sim_op *take_as(const struct io_uring_sqe *sqe, enum mcq_sim_op_kind kind)
{
    return mcq_sim_op_take(kind, sqe->user_data, sqe->fd);
}

static struct mcq_sim_op *read_sqe(const struct io_uring_sqe *sqe)
{
    struct mcq_sim_op *op = NULL;
    switch (sqe->opcode) {
    case IORING_OP_ACCEPT:
        op = take_as(sqe, MCQ_SIM_ACCEPT);
        op->shot = (sqe->ioprio & IORING_ACCEPT_MULTISHOT) != 0;
        break;
    case IORING_OP_CONNECT:
        op = take_as(sqe, MCQ_SIM_CONNECT);
        op->addr.len = (socklen_t)sqe->off;
        memcpy(&op->addr.ss, pointer(sqe->addr), sqe->off);
        break;
    case IORING_OP_RECV:
        op = take_as(sqe, MCQ_SIM_RECV);
        read_recv(sqe, op);
        break;
    case IORING_OP_SEND:
        op = take_as(sqe, MCQ_SIM_SEND);
        op->source = pointer(sqe->addr);
        op->len = sqe->len;
        break;
    case IORING_OP_SENDMSG:
        op = take_as(sqe, MCQ_SIM_SEND);
        op->msg = pointer(sqe->addr);
        break;
    case IORING_OP_ASYNC_CANCEL:
        op = take_as(sqe, MCQ_SIM_CANCEL);
        op->target = sqe->addr;
        break;
    case IORING_OP_READ:
        op = take_as(sqe, MCQ_SIM_READ);
        op->ptr = pointer(sqe->addr);
        op->len = sqe->len;
        break;
    default:
        mcq_sim_fail("operation %u is none that this machine has", sqe->opcode);
    }
    return op;
}

/* A completion for another ring. Now and then it fails, as for want of memory. */
static void send_wake(struct mcq_sim_ring *r, const struct io_uring_sqe *sqe)
{
    struct mcq_sim_ring *target = &mcq_sim_process(process_of(sqe->fd))->ring;
    bool fails = target != r && mcq_sim_below(WAKES_PER_FAILURE) == 0;
    int32_t res = !target->open ? -EBADFD : fails ? -ENOMEM : 0;
    if (res == 0)
        mcq_sim_ring_post(target, &(struct mcq_done){.tag = sqe->off}, 0);
    if (res != 0 || (sqe->flags & IOSQE_CQE_SKIP_SUCCESS) == 0)
        mcq_sim_ring_post(r, &(struct mcq_done){.tag = sqe->user_data, .res = res}, 0);
}

void mcq_sim_ring_submit(struct mcq_sim_ring *r, unsigned cnt)
{
    for (; cnt != 0; cnt--) {
        struct io_uring_sqe sqe = *sqe_at(r, r->shared->sq_head);
        r->shared->sq_head++;
        if (sqe.opcode == IORING_OP_MSG_RING)
            send_wake(r, &sqe);
        else
            mcq_sim_op_submit(read_sqe(&sqe));
    }
}

/* --- entering ------------------------------------------------------------------------------ */

static uint64_t timeout_of(const struct io_uring_getevents_arg *arg)
{
    const struct __kernel_timespec *ts = pointer(arg->ts);
    return ts == NULL ? UINT64_MAX : (uint64_t)ts->tv_sec * 1000000000u + (uint64_t)ts->tv_nsec;
}

int io_uring_enter2(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                    sigset_t *sig, size_t len)
{
    struct mcq_sim_ring *r = ring_at((int)fd);
    (void)len;
    r->asleep = false;
    r->cq_seen = r->shared->cq_tail;
    mcq_sim.seen.enters++;
    if (r->sqpoll.on)
        mcq_sim_sqpoll_enter(r, (flags & IORING_ENTER_SQ_WAKEUP) != 0,
                             (flags & IORING_ENTER_SQ_WAIT) != 0);
    else
        mcq_sim_ring_submit(r, to_submit);
    mcq_sim_blocks_look(&r->blocks);
    if ((flags & IORING_ENTER_GETEVENTS) != 0)
        mcq_sim_ring_get(r);
    if (min_complete != 0) {
        const struct io_uring_getevents_arg *arg = (const void *)sig;
        mcq_sim_ring_sleep(r, timeout_of(arg));
    }
    mcq_sim_ring_show(r);
    return (int)to_submit;
}

/* --- what has no place in the ABI ---------------------------------------------------------- */

bool mcq_uring_sq_times(const struct mcq_uring *u, uint64_t *run_us, uint64_t *work_us)
{
    (void)u;
    *run_us = 0;
    *work_us = 0;
    return false;
}

/* Of an owner who sleeps by himself. The numbers are nobody's: he looks at the ring. */
int mcq_uring_bell_open(struct mcq_uring *u, int wake_fd, struct mcq_uring_bell *bell)
{
    struct mcq_sim_ring *r = ring_at(mcq_uring_fd(u));
    (void)wake_fd;
    r->bell = true;
    r->rung = true;
    *bell = (struct mcq_uring_bell){mcq_uring_fd(u), mcq_uring_fd(u)};
    return 0;
}

void mcq_uring_bell_close(struct mcq_uring *u, const struct mcq_uring_bell *bell)
{
    (void)bell;
    ring_at(mcq_uring_fd(u))->bell = false;
}

void mcq_uring_bell_take(const struct mcq_uring_bell *bell)
{
    ring_at(bell->fd)->rung = false;
}
