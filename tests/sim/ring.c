#include "tests/sim/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/uring.h"
#include "tests/sim/machine.h"

#define SQ_SHORT          4u
#define CQ_SHORT          16u
#define CQ_SHORTS         10u /* doublings */
#define WORK_MAX          20u
#define HELD_MAX          65536u
#define WAKES_PER_FAILURE 16u
#define DONES_AT_ONCE     256u /* what a queue of completions starts with */

struct mcq_uring {
    uint32_t process;
    int fd;
    bool ring_fd;
};

/* --- queues of completions ----------------------------------------------------------------- */

static uint32_t dones_cnt(const struct mcq_sim_dones *d)
{
    return d->tail - d->head;
}

/* Indices begin anew when it is empty, so that little memory is touched. */
static void dones_push(struct mcq_sim_dones *d, const struct mcq_sim_cqe *cqe)
{
    if (d->head == d->tail) {
        d->head = 0;
        d->tail = 0;
    }
    if (d->tail == d->cap) {
        d->cap = d->cap == 0 ? DONES_AT_ONCE : 2 * d->cap;
        d->at = realloc(d->at, d->cap * sizeof(*d->at));
        if (d->at == NULL)
            mcq_sim_fail("no memory for the simulation");
    }
    d->at[d->tail++] = *cqe;
}

static void dones_clear(struct mcq_sim_dones *d)
{
    d->head = 0;
    d->tail = 0;
}

/* --- life ---------------------------------------------------------------------------------- */

void mcq_sim_ring_reset(struct mcq_sim_ring *r)
{
    r->open = false;
    r->sq_cnt = 0;
    dones_clear(&r->cq);
    dones_clear(&r->held);
    mcq_list_init(&r->work);
    mcq_list_init(&r->ops);
    r->in_flight = 0;
    r->selecting = 0;
    r->asleep = false;
    r->bell = false;
    r->rests = false;
    r->stopped_until_ns = 0;
    r->blocks.open = false;
}

void mcq_sim_ring_kill(struct mcq_sim_ring *r)
{
    for (uint32_t i = 0; i < r->sq_cnt; i++)
        mcq_sim_op_forget(r->sq[i]);
    for (struct mcq_node *n; (n = mcq_list_first(&r->ops)) != NULL;)
        mcq_sim_op_forget(MCQ_CONTAINER_OF(n, struct mcq_sim_op, on_ring));
    mcq_sim_ring_reset(r);
}

static void draw_kernel(struct mcq_sim_ring *r)
{
    uint64_t draw = mcq_sim_random();
    r->work_max = draw & 1 ? WORK_MAX : UINT32_MAX;
    r->eager_enobufs = (draw & 2) != 0;
    r->block_at_end = (draw & 4) != 0;
    r->strict_limit = (draw & 24) == 0;
    /* Short queues do nothing else than long ones, only sooner. */
    if ((draw & 0xe0) == 0)
        r->sq_max = SQ_SHORT;
    if (mcq_sim.faults.cq_overflow != 0)
        r->cq_max = CQ_SHORT << mcq_sim_below(CQ_SHORTS);
}

size_t mcq_uring_footprint(void)
{
    return sizeof(struct mcq_uring) + MCQ_CACHE_LINE;
}

int mcq_uring_init(struct mcq_arena *arena, const struct mcq_uring_opts *opts,
                   struct mcq_uring **out)
{
    struct mcq_sim_ring *r = &mcq_sim_process(mcq_sim.selected)->ring;
    struct mcq_uring *u = mcq_arena_carve(arena, sizeof(*u), MCQ_CACHE_LINE);
    if (u == NULL)
        return -ENOBUFS;
    if (opts->sqpoll) /* there is no such kernel here */
        return -EINVAL;
    if (r->open || opts->sq_cnt > MCQ_URING_SQ_CNT)
        mcq_sim_fail("process %u: a second ring", mcq_sim.selected);
    mcq_sim_ring_reset(r);
    r->open = true;
    r->stats = opts->stats;
    r->sq_max = opts->sq_cnt;
    r->cq_max = opts->cq_cnt;
    draw_kernel(r);
    u->process = mcq_sim.selected;
    u->ring_fd = opts->ring_fd;
    u->fd = mcq_sim_fd_open(u->process, mcq_sim_file_take(MCQ_SIM_RING));
    *out = u;
    return u->fd < 0 ? u->fd : 0;
}

/* The selected process's own; it is awake. */
static struct mcq_sim_ring *ring_of(const struct mcq_uring *u)
{
    struct mcq_sim_ring *r = &mcq_sim_process(u->process)->ring;
    if (u->process != mcq_sim.selected || !r->open)
        mcq_sim_fail("process %u uses the ring of process %u", mcq_sim.selected, u->process);
    return r;
}

void mcq_uring_fini(struct mcq_uring *u)
{
    struct mcq_sim_ring *r = ring_of(u);
    if (r->in_flight + r->sq_cnt != 0)
        mcq_sim_fail("process %u: the ring was closed over %u operations", u->process,
                     r->in_flight + r->sq_cnt);
    mcq_sim_ring_reset(r);
    mcq_sim_fd_close(u->process, u->fd);
}

bool mcq_uring_has_ring_fd(const struct mcq_uring *u)
{
    return u->ring_fd;
}

bool mcq_uring_is_sqpoll(const struct mcq_uring *u)
{
    (void)u;
    return false;
}

bool mcq_uring_sq_times(const struct mcq_uring *u, uint64_t *run_us, uint64_t *work_us)
{
    (void)u;
    *run_us = 0;
    *work_us = 0;
    return false;
}

int mcq_uring_fd(const struct mcq_uring *u)
{
    return MCQ_SIM_RING_BASE + (int)u->process;
}

static void set_deadline(struct mcq_sim_ring *r, uint64_t ns)
{
    r->deadline_ns = ns > UINT64_MAX - mcq_sim.now_ns ? UINT64_MAX : mcq_sim.now_ns + ns;
}

/* Of an owner who sleeps by himself. The numbers are nobody's: he looks at the ring. */
int mcq_uring_bell_open(struct mcq_uring *u, int wake_fd, struct mcq_uring_bell *bell)
{
    struct mcq_sim_ring *r = ring_of(u);
    (void)wake_fd;
    r->bell = true;
    r->rung = true;
    *bell = (struct mcq_uring_bell){mcq_uring_fd(u), mcq_uring_fd(u)};
    return 0;
}

void mcq_uring_bell_close(struct mcq_uring *u, const struct mcq_uring_bell *bell)
{
    (void)bell;
    ring_of(u)->bell = false;
}

void mcq_uring_bell_take(const struct mcq_uring_bell *bell)
{
    (void)bell;
    mcq_sim_process(mcq_sim.selected)->ring.rung = false;
}

void mcq_sim_ring_rest(struct mcq_sim_ring *r, uint64_t wait_ns)
{
    if (!r->bell)
        mcq_sim_fail("process %u rests, and nobody would wake it", mcq_sim.selected);
    r->rests = wait_ns != 0;
    r->asleep = r->rests;
    set_deadline(r, wait_ns);
}

int mcq_uring_disabled_sysctl(void)
{
    return 0;
}

/* --- deferred work ------------------------------------------------------------------------- */

/* What the write to another eventfd brings about rings no bell: that one is looked at, too. */
void mcq_sim_ring_work(struct mcq_sim_ring *r, struct mcq_sim_op *op)
{
    r->rung |= op->kind != MCQ_SIM_READ;
    mcq_list_push_back(&r->work, &op->work);
    struct mcq_node *first = mcq_list_first(&r->work);
    if (first == &op->work || !mcq_sim_strikes(mcq_sim.faults.reorder, &mcq_sim.seen.reorders))
        return;
    mcq_node_unlink(&op->work);
    mcq_list_insert_before(first, &op->work);
}

void mcq_sim_ring_unwork(struct mcq_sim_ring *r, struct mcq_sim_op *op)
{
    (void)r;
    mcq_node_unlink(&op->work);
}

static void run_work(struct mcq_sim_ring *r)
{
    struct mcq_node *n;
    for (uint32_t i = 0; i < r->work_max && (n = mcq_list_pop_front(&r->work)) != NULL; i++)
        mcq_sim_op_run(MCQ_CONTAINER_OF(n, struct mcq_sim_op, work));
}

/* --- completions --------------------------------------------------------------------------- */

/* An overflow stays one until an enter has looked after it. */
bool mcq_sim_ring_has_room(struct mcq_sim_ring *r)
{
    if (dones_cnt(&r->held) != 0)
        return false;
    if (dones_cnt(&r->cq) >= r->cq_max) {
        mcq_sim.seen.cq_overflows++;
        return false;
    }
    return !mcq_sim_strikes(mcq_sim.faults.cq_overflow, &mcq_sim.seen.cq_overflows);
}

/* The two newest change places if nothing says that they must not: one file's are in order, and so
 * are those that share blocks. */
static void overtake(struct mcq_sim_ring *r)
{
    struct mcq_sim_dones *d = &r->cq;
    if (dones_cnt(d) < 2)
        return;
    struct mcq_sim_cqe *a = &d->at[d->tail - 2], *b = &d->at[d->tail - 1];
    bool blocks = r->blocks.inc && (a->done.flags & b->done.flags & MCQ_DONE_BUFFER) != 0;
    if (a->file_id == b->file_id || blocks ||
        !mcq_sim_strikes(mcq_sim.faults.reorder, &mcq_sim.seen.reorders))
        return;
    struct mcq_sim_cqe first = *a;
    *a = *b;
    *b = first;
}

void mcq_sim_ring_post(struct mcq_sim_ring *r, const struct mcq_done *done, uint32_t file_id)
{
    struct mcq_sim_cqe cqe = {*done, file_id};
    r->rung = true;
    mcq_sim.seen.dones++;
    mcq_sim_note(done->tag);
    mcq_sim_note((uint64_t)(uint32_t)done->res << 32 | (uint64_t)done->bid << 16 | done->flags);
    if ((done->flags & MCQ_DONE_MORE) == 0 && !mcq_sim_ring_has_room(r)) {
        if (dones_cnt(&r->held) == HELD_MAX)
            mcq_sim_fail("%u completions overflowed and nobody takes them", HELD_MAX);
        dones_push(&r->held, &cqe);
        return;
    }
    dones_push(&r->cq, &cqe);
    overtake(r);
}

static void release_held(struct mcq_sim_ring *r)
{
    while (dones_cnt(&r->held) != 0 && dones_cnt(&r->cq) < r->cq_max)
        dones_push(&r->cq, &r->held.at[r->held.head++]);
}

size_t mcq_uring_reap(struct mcq_uring *u, struct mcq_done *done, size_t max)
{
    struct mcq_sim_ring *r = ring_of(u);
    size_t n = 0;
    while (n < max && dones_cnt(&r->cq) != 0)
        done[n++] = r->cq.at[r->cq.head++].done;
    r->stats->cqes += n;
    return n;
}

uint32_t mcq_uring_ready(const struct mcq_uring *u)
{
    return dones_cnt(&ring_of(u)->cq);
}

/* --- entering ------------------------------------------------------------------------------ */

/* Its process's eventfd. */
static bool is_written(const struct mcq_sim_ring *r)
{
    for (uint32_t i = 0; i < mcq_sim.used; i++)
        if (&mcq_sim.process[i].ring == r)
            return mcq_sim.process[i].eventfd != NULL && mcq_sim.process[i].eventfd->value != 0;
    return false;
}

bool mcq_sim_ring_runnable(const struct mcq_sim_ring *r)
{
    if (!r->open || mcq_sim.now_ns < r->stopped_until_ns)
        return false;
    if (r->rests)
        return r->rung || is_written(r) || mcq_sim.now_ns >= r->deadline_ns;
    return !r->asleep || dones_cnt(&r->cq) != 0 || dones_cnt(&r->held) != 0 ||
           !mcq_list_empty(&r->work) || mcq_sim.now_ns >= r->deadline_ns;
}

uint64_t mcq_sim_ring_next_ns(const struct mcq_sim_ring *r)
{
    return mcq_sim.now_ns < r->stopped_until_ns ? r->stopped_until_ns : r->deadline_ns;
}

static void submit(struct mcq_sim_ring *r)
{
    uint32_t cnt = r->sq_cnt;
    r->sq_cnt = 0;
    r->stats->cq_overflow += dones_cnt(&r->held) != 0;
    r->stats->enters++;
    r->asleep = false;
    mcq_sim.seen.enters++;
    for (uint32_t i = 0; i < cnt; i++)
        mcq_sim_op_submit(r->sq[i]);
}

bool mcq_uring_wants_run(const struct mcq_uring *u)
{
    const struct mcq_sim_ring *r = ring_of(u);
    return !mcq_list_empty(&r->work) || dones_cnt(&r->held) != 0;
}

bool mcq_uring_wants_enter(const struct mcq_uring *u)
{
    return ring_of(u)->sq_cnt != 0 || mcq_uring_wants_run(u);
}

void mcq_uring_submit(struct mcq_uring *u)
{
    struct mcq_sim_ring *r = ring_of(u);
    if (r->sq_cnt != 0)
        submit(r);
}

void mcq_uring_enter(struct mcq_uring *u)
{
    struct mcq_sim_ring *r = ring_of(u);
    submit(r);
    run_work(r);
    release_held(r);
}

void mcq_uring_wait(struct mcq_uring *u, uint64_t timeout_ns)
{
    struct mcq_sim_ring *r = ring_of(u);
    mcq_uring_enter(u);
    while (dones_cnt(&r->cq) == 0 && !mcq_list_empty(&r->work))
        run_work(r);
    release_held(r);
    r->stats->waits++;
    r->asleep = dones_cnt(&r->cq) == 0;
    r->rests = false;
    set_deadline(r, timeout_ns);
}

void mcq_uring_poll(struct mcq_uring *u)
{
    mcq_uring_enter(u);
}

/* No interface here has a queue to ask. */
int mcq_uring_napi(struct mcq_uring *u, uint32_t busy_us, bool prefer, bool by_name)
{
    (void)ring_of(u);
    (void)busy_us;
    (void)prefer;
    (void)by_name;
    return -EINVAL;
}

int mcq_uring_napi_add(struct mcq_uring *u, uint32_t id)
{
    (void)ring_of(u);
    (void)id;
    return -EINVAL;
}

/* Now and then it fails, as for want of memory; to itself, when it is tried out, never. */
bool mcq_uring_wake(struct mcq_uring *u, int ring_fd, uint64_t tag, uint64_t own_tag)
{
    struct mcq_sim_ring *r = ring_of(u);
    uint32_t process = (uint32_t)(ring_fd - MCQ_SIM_RING_BASE);
    (void)own_tag;
    if (ring_fd < MCQ_SIM_RING_BASE || process >= MCQ_SIM_PROCESSES_MAX)
        mcq_sim_fail("descriptor %d is no ring", ring_fd);
    struct mcq_sim_ring *target = &mcq_sim_process(process)->ring;
    r->stats->sqes++;
    submit(r);
    if (!target->open || (target != r && mcq_sim_below(WAKES_PER_FAILURE) == 0))
        return false;
    mcq_sim_ring_post(target, &(struct mcq_done){.tag = tag}, 0);
    return true;
}

/* --- operations ---------------------------------------------------------------------------- */

static struct mcq_sim_op *prepare(struct mcq_uring *u, enum mcq_sim_op_kind kind, uint64_t tag,
                                  int fd)
{
    struct mcq_sim_ring *r = ring_of(u);
    r->asleep = false;
    if (r->sq_cnt == r->sq_max) {
        r->stats->sq_full++;
        submit(r);
    }
    r->stats->sqes++;
    return r->sq[r->sq_cnt++] = mcq_sim_op_take(kind, tag, fd);
}

void mcq_uring_accept(struct mcq_uring *u, uint64_t tag, int fd, bool multishot)
{
    prepare(u, MCQ_SIM_ACCEPT, tag, fd)->shot = multishot;
}

void mcq_uring_connect(struct mcq_uring *u, uint64_t tag, int fd, const struct sockaddr *addr,
                       socklen_t len)
{
    struct mcq_sim_op *op = prepare(u, MCQ_SIM_CONNECT, tag, fd);
    op->addr.len = len;
    memcpy(&op->addr.ss, addr, len);
}

static struct mcq_sim_op *prepare_recv(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    struct mcq_sim_op *op = prepare(u, MCQ_SIM_RECV, tag, fd);
    op->len = len;
    op->select = true;
    return op;
}

void mcq_uring_recv_shot(struct mcq_uring *u, uint64_t tag, int fd, uint32_t limit)
{
    prepare_recv(u, tag, fd, limit)->shot = true;
}

void mcq_uring_recv_one(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    (void)prepare_recv(u, tag, fd, len);
}

void mcq_uring_recv_try(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    prepare_recv(u, tag, fd, len)->no_wait = true;
}

void mcq_uring_recv_into(struct mcq_uring *u, uint64_t tag, int fd, void *ptr, uint32_t len)
{
    struct mcq_sim_op *op = prepare(u, MCQ_SIM_RECV, tag, fd);
    op->ptr = ptr;
    op->len = len;
}

void mcq_uring_send(struct mcq_uring *u, uint64_t tag, int fd, const void *ptr, size_t len)
{
    struct mcq_sim_op *op = prepare(u, MCQ_SIM_SEND, tag, fd);
    op->source = ptr;
    op->len = len;
}

void mcq_uring_sendmsg(struct mcq_uring *u, uint64_t tag, int fd, const struct msghdr *msg)
{
    prepare(u, MCQ_SIM_SEND, tag, fd)->msg = msg;
}

void mcq_uring_cancel(struct mcq_uring *u, uint64_t tag, uint64_t target)
{
    prepare(u, MCQ_SIM_CANCEL, tag, -1)->target = target;
}

void mcq_uring_read(struct mcq_uring *u, uint64_t tag, int fd, void *ptr, uint32_t len)
{
    struct mcq_sim_op *op = prepare(u, MCQ_SIM_READ, tag, fd);
    op->ptr = ptr;
    op->len = len;
}

/* --- the buffer ring ----------------------------------------------------------------------- */

size_t mcq_uring_bufs_len(uint32_t cnt)
{
    return cnt * (size_t)16; /* as the kernel's entries */
}

int mcq_uring_bufs_open(struct mcq_uring *u, void *mem, uint32_t cnt, bool inc)
{
    (void)mem;
    return mcq_sim_blocks_open(&ring_of(u)->blocks, cnt, inc);
}

void mcq_uring_bufs_close(struct mcq_uring *u)
{
    struct mcq_sim_ring *r = ring_of(u);
    if (r->selecting != 0)
        mcq_sim_fail("process %u: the buffer ring was closed over %u receives", u->process,
                     r->selecting);
    mcq_sim_blocks_close(&r->blocks);
}

void mcq_uring_bufs_add(struct mcq_uring *u, void *base, uint32_t len, uint16_t bid)
{
    mcq_sim_blocks_add(&ring_of(u)->blocks, base, len, bid);
}

void mcq_uring_bufs_publish(struct mcq_uring *u)
{
    mcq_sim_blocks_publish(&ring_of(u)->blocks);
}
