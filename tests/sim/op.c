#include "tests/sim/op.h"

#include <errno.h>
#include <string.h>

#include "tests/sim/machine.h"
#include "tests/sim/socket.h"
#include "tests/sim/transfer.h"

#define BUCKETS_CNT 4096u

static struct mcq_sim_op pool[MCQ_SIM_OPS_MAX];
static uint32_t pool_used;
static struct mcq_sim_op *pool_free;

/* In flight, by process and tag. */
static struct mcq_sim_op *buckets[BUCKETS_CNT];

void mcq_sim_op_reset(void)
{
    pool_used = 0;
    pool_free = NULL;
    memset(buckets, 0, sizeof(buckets));
}

static struct mcq_sim_ring *ring_of(const struct mcq_sim_op *op)
{
    return &mcq_sim_process(op->process)->ring;
}

/* --- tags ---------------------------------------------------------------------------------- */

static struct mcq_sim_op **bucket(uint32_t process, uint64_t tag)
{
    uint64_t h = (tag + process) * 0x9e3779b97f4a7c15u;
    return &buckets[h >> 52];
}

static struct mcq_sim_op *find(uint32_t process, uint64_t tag)
{
    struct mcq_sim_op *op = *bucket(process, tag);
    while (op != NULL && (op->tag != tag || op->process != process))
        op = op->next;
    return op;
}

static void insert(struct mcq_sim_op *op)
{
    if (find(op->process, op->tag) != NULL)
        mcq_sim_fail("process %u: two operations in flight with tag %#llx", op->process,
                     (unsigned long long)op->tag);
    struct mcq_sim_op **at = bucket(op->process, op->tag);
    op->next = *at;
    *at = op;
}

static void take_out(struct mcq_sim_op *op)
{
    struct mcq_sim_op **at = bucket(op->process, op->tag);
    while (*at != op)
        at = &(*at)->next;
    *at = op->next;
}

/* --- life ---------------------------------------------------------------------------------- */

struct mcq_sim_op *mcq_sim_op_take(enum mcq_sim_op_kind kind, uint64_t tag, int fd)
{
    struct mcq_sim_op *op = pool_free;
    if (op != NULL)
        pool_free = op->next;
    else if (pool_used < MCQ_SIM_OPS_MAX)
        op = &pool[pool_used++];
    else
        mcq_sim_fail("the simulation has more than %u operations", MCQ_SIM_OPS_MAX);
    memset(op, 0, sizeof(*op));
    op->kind = kind;
    op->process = mcq_sim.selected;
    op->tag = tag;
    op->fd = fd;
    return op;
}

static void give(struct mcq_sim_op *op)
{
    op->next = pool_free;
    pool_free = op;
}

void mcq_sim_op_forget(struct mcq_sim_op *op)
{
    if (op->state == MCQ_SIM_PREPARED) {
        give(op);
        return;
    }
    struct mcq_sim_file *f = op->file;
    take_out(op);
    mcq_sim_event_disarm(&op->later);
    if (mcq_node_linked(&op->work))
        mcq_sim_ring_unwork(ring_of(op), op);
    mcq_node_unlink(&op->on_file);
    mcq_node_unlink(&op->on_ring);
    ring_of(op)->in_flight--;
    ring_of(op)->selecting -= op->select;
    give(op);
    mcq_sim_file_unref(f);
}

void mcq_sim_op_end(struct mcq_sim_op *op, int32_t res, uint16_t bid, uint16_t flags)
{
    struct mcq_done done = {.tag = op->tag, .res = res, .bid = bid, .flags = flags};
    mcq_sim_ring_post(ring_of(op), &done, op->file == NULL ? 0 : op->file->id);
    if (op->kind == MCQ_SIM_CANCEL)
        give(op);
    else
        mcq_sim_op_forget(op);
}

bool mcq_sim_op_tell(struct mcq_sim_op *op, int32_t res, uint16_t bid, uint16_t flags)
{
    struct mcq_done done = {.tag = op->tag, .res = res, .bid = bid};
    if (!mcq_sim_ring_has_room(ring_of(op))) {
        mcq_sim_op_end(op, res, bid, flags);
        return false;
    }
    done.flags = (uint16_t)(flags | MCQ_DONE_MORE);
    mcq_sim_ring_post(ring_of(op), &done, op->file->id);
    return true;
}

/* --- getting ready ------------------------------------------------------------------------- */

static void become_work(struct mcq_sim_op *op)
{
    mcq_sim_event_disarm(&op->later);
    op->state = MCQ_SIM_WORK;
    mcq_sim_ring_work(ring_of(op), op);
}

void mcq_sim_op_wake(struct mcq_sim_file *f)
{
    for (struct mcq_node *n = mcq_list_first(&f->ops); n != NULL; n = mcq_list_next(&f->ops, n)) {
        struct mcq_sim_op *op = MCQ_CONTAINER_OF(n, struct mcq_sim_op, on_file);
        if (op->state == MCQ_SIM_ARMED && mcq_sim_transfer_ready(op))
            become_work(op);
    }
}

static void on_later(struct mcq_sim_event *e)
{
    become_work(MCQ_CONTAINER_OF(e, struct mcq_sim_op, later));
}

static void go_on_later(struct mcq_sim_op *op)
{
    op->state = MCQ_SIM_LATER;
    mcq_sim_event_arm(&op->later, mcq_sim.now_ns + 1 + mcq_sim_below(MCQ_SIM_HOP_NS), on_later);
}

/* Tries; what isn't ended waits, or is work again. */
static void try(struct mcq_sim_op *op)
{
    op->state = MCQ_SIM_ARMED;
    if (mcq_sim_transfer_try(op))
        return;
    if (mcq_sim_transfer_ready(op))
        become_work(op);
}

void mcq_sim_op_run(struct mcq_sim_op *op)
{
    if (op->cancelled)
        mcq_sim_op_end(op, op->res, 0, 0);
    else
        try(op);
}

/* --- cancelling ---------------------------------------------------------------------------- */

/* What the target waits for comes just before the cancel. True: it has ended. */
static bool overtaken(struct mcq_sim_op *target)
{
    if (target->kind == MCQ_SIM_RECV && target->file->stream != NULL)
        mcq_sim_stream_hurry(target->file);
    if (target->kind == MCQ_SIM_CONNECT && mcq_sim_event_armed(&target->later)) {
        mcq_sim_event_disarm(&target->later);
        target->later.fn(&target->later);
    }
    if (!mcq_sim_transfer_ready(target))
        return false;
    if (mcq_node_linked(&target->work))
        mcq_sim_ring_unwork(ring_of(target), target);
    mcq_sim_event_disarm(&target->later);
    target->state = MCQ_SIM_ARMED;
    if (mcq_sim_transfer_try(target))
        return true;
    if (mcq_sim_transfer_ready(target))
        become_work(target);
    return false;
}

/* The target ends by itself, later, as one that a kernel thread is at. */
static void stop_later(struct mcq_sim_op *target)
{
    target->res = mcq_sim_below(2) == 0 ? -ECANCELED : -EINTR;
    target->cancelled = true;
    if (mcq_node_linked(&target->work))
        mcq_sim_ring_unwork(ring_of(target), target);
    go_on_later(target);
}

static int32_t cancel(struct mcq_sim_op *target)
{
    if (target == NULL)
        return -ENOENT;
    if (target->cancelled)
        return 0;
    if (mcq_sim_strikes(mcq_sim.faults.cancel_late, &mcq_sim.seen.cancels_late)) {
        if (overtaken(target))
            return -ENOENT;
        if (target->kind != MCQ_SIM_READ && mcq_sim_below(2) == 0) {
            stop_later(target);
            return -EALREADY;
        }
    }
    target->cancelled = true;
    target->res = -ECANCELED;
    if (target->state != MCQ_SIM_WORK)
        become_work(target);
    return 0;
}

/* --- submitting ---------------------------------------------------------------------------- */

static void attach(struct mcq_sim_op *op)
{
    struct mcq_sim_file *f = mcq_sim_fd_file(op->process, op->fd, "an operation");
    insert(op);
    op->file = mcq_sim_file_ref(f);
    mcq_list_push_back(&f->ops, &op->on_file);
    mcq_list_push_back(&ring_of(op)->ops, &op->on_ring);
    ring_of(op)->in_flight++;
    ring_of(op)->selecting += op->select;
    op->state = MCQ_SIM_ARMED;
}

void mcq_sim_op_submit(struct mcq_sim_op *op)
{
    if (op->kind == MCQ_SIM_CANCEL) {
        mcq_sim.seen.cancels++;
        mcq_sim_op_end(op, cancel(find(op->process, op->target)), 0, 0);
        return;
    }
    attach(op);
    if (op->kind == MCQ_SIM_CONNECT) {
        mcq_sim_socket_connect(op);
        return;
    }
    if (op->no_wait) {
        if (!mcq_sim_transfer_try(op))
            mcq_sim_op_end(op, -EAGAIN, 0, 0);
        return;
    }
    bool possible = mcq_sim_transfer_possible(op);
    if (possible && mcq_sim_strikes(mcq_sim.faults.inline_done, &mcq_sim.seen.inlines)) {
        try(op);
        return;
    }
    if (op->kind == MCQ_SIM_SEND)
        mcq_sim_transfer_watch(op);
    if (possible)
        go_on_later(op);
}
