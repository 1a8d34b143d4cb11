#include "tests/sim/ring.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/uring_compat.h"
#include "tests/sim/machine.h"

#define HELD_MAX     65536u
#define HELD_AT_ONCE 256u /* what the queue starts with */

/* --- what is held back --------------------------------------------------------------------- */

static uint32_t held_cnt(const struct mcq_sim_ring *r)
{
    return r->held.tail - r->held.head;
}

/* Indices begin anew when it is empty, so that little memory is touched. */
static void hold(struct mcq_sim_ring *r, const struct mcq_sim_cqe *cqe)
{
    struct mcq_sim_held *h = &r->held;
    if (held_cnt(r) == HELD_MAX)
        mcq_sim_fail("%u completions overflowed and nobody takes them", HELD_MAX);
    if (h->head == h->tail)
        h->head = h->tail = 0;
    if (h->tail == h->cap) {
        h->cap = h->cap == 0 ? HELD_AT_ONCE : 2 * h->cap;
        h->at = realloc(h->at, h->cap * sizeof(*h->at));
        if (h->at == NULL)
            mcq_sim_fail("no memory for the simulation");
    }
    h->at[h->tail++] = *cqe;
}

static uint32_t ready_cnt(const struct mcq_sim_ring *r)
{
    return r->shared->cq_tail - r->shared->cq_head;
}

static void push(struct mcq_sim_ring *r, const struct mcq_sim_cqe *cqe)
{
    struct mcq_sim_shared *s = r->shared;
    s->cqes[s->cq_tail & s->cq_mask] = cqe->cqe;
    s->file_ids[s->cq_tail & s->cq_mask] = cqe->file_id;
    s->cq_tail++;
}

static void release_held(struct mcq_sim_ring *r)
{
    while (held_cnt(r) != 0 && ready_cnt(r) < r->shared->cq_entries)
        push(r, &r->held.at[r->held.head++]);
}

/* --- life ---------------------------------------------------------------------------------- */

void mcq_sim_ring_reset(struct mcq_sim_ring *r)
{
    mcq_sim_sqpoll_close(r);
    r->open = false;
    r->handle = NULL;
    r->held.head = r->held.tail = 0;
    mcq_list_init(&r->work);
    mcq_list_init(&r->ops);
    r->in_flight = 0;
    r->cq_seen = 0;
    r->selecting = 0;
    r->asleep = false;
    r->bell = false;
    r->rests = false;
    r->stopped_until_ns = 0;
    r->blocks.open = false;
}

void mcq_sim_ring_kill(struct mcq_sim_ring *r)
{
    for (struct mcq_node *n; (n = mcq_list_first(&r->ops)) != NULL;)
        mcq_sim_op_forget(MCQ_CONTAINER_OF(n, struct mcq_sim_op, on_ring));
    mcq_sim_ring_reset(r);
}

void mcq_sim_ring_show(struct mcq_sim_ring *r)
{
    unsigned flags = held_cnt(r) != 0 ? IORING_SQ_CQ_OVERFLOW : 0;
    if (!r->open)
        return;
    if (!r->sqpoll.on && !mcq_list_empty(&r->work))
        flags |= IORING_SQ_TASKRUN;
    if (r->sqpoll.asleep)
        flags |= IORING_SQ_NEED_WAKEUP;
    r->shared->sq_flags = flags;
}

/* --- deferred work ------------------------------------------------------------------------- */

/* What the write to another eventfd brings about rings no bell: that one is looked at, too. */
void mcq_sim_ring_work(struct mcq_sim_ring *r, struct mcq_sim_op *op)
{
    r->rung |= op->kind != MCQ_SIM_READ;
    mcq_list_push_back(&r->work, &op->work);
    struct mcq_node *first = mcq_list_first(&r->work);
    if (first != &op->work && mcq_sim_strikes(mcq_sim.faults.reorder, &mcq_sim.seen.reorders)) {
        mcq_node_unlink(&op->work);
        mcq_list_insert_before(first, &op->work);
    }
    if (r->sqpoll.on)
        mcq_sim_sqpoll_kick(r);
    mcq_sim_ring_show(r);
}

void mcq_sim_ring_unwork(struct mcq_sim_ring *r, struct mcq_sim_op *op)
{
    mcq_node_unlink(&op->work);
    mcq_sim_ring_show(r);
}

void mcq_sim_ring_run_work(struct mcq_sim_ring *r)
{
    struct mcq_node *n;
    for (uint32_t i = 0; i < r->work_max && (n = mcq_list_pop_front(&r->work)) != NULL; i++)
        mcq_sim_op_run(MCQ_CONTAINER_OF(n, struct mcq_sim_op, work));
}

/* --- completions --------------------------------------------------------------------------- */

/* An overflow stays one until an enter has looked after it. */
bool mcq_sim_ring_has_room(struct mcq_sim_ring *r)
{
    if (held_cnt(r) != 0)
        return false;
    if (ready_cnt(r) >= r->shared->cq_entries) {
        mcq_sim.seen.cq_overflows++;
        return false;
    }
    return !mcq_sim_strikes(mcq_sim.faults.cq_overflow, &mcq_sim.seen.cq_overflows);
}

static bool brings_block(const struct io_uring_cqe *cqe)
{
    return (cqe->flags & IORING_CQE_F_BUFFER) != 0;
}

/* The two newest change places if nothing says that they must not: one file's are in order, and so
 * are those that share blocks; and what the process may have seen stays where it is. */
static void overtake(struct mcq_sim_ring *r)
{
    struct mcq_sim_shared *s = r->shared;
    if (ready_cnt(r) < 2 || s->cq_tail - r->cq_seen < 2)
        return;
    unsigned a = (s->cq_tail - 2) & s->cq_mask, b = (s->cq_tail - 1) & s->cq_mask;
    bool blocks = r->blocks.inc && brings_block(&s->cqes[a]) && brings_block(&s->cqes[b]);
    if (s->file_ids[a] == s->file_ids[b] || blocks ||
        !mcq_sim_strikes(mcq_sim.faults.reorder, &mcq_sim.seen.reorders))
        return;
    struct io_uring_cqe first = s->cqes[a];
    uint32_t id = s->file_ids[a];
    s->cqes[a] = s->cqes[b];
    s->file_ids[a] = s->file_ids[b];
    s->cqes[b] = first;
    s->file_ids[b] = id;
}

static unsigned flags_of(const struct mcq_done *done)
{
    unsigned flags = 0;
    if (done->flags & MCQ_DONE_MORE)
        flags |= IORING_CQE_F_MORE;
    if (done->flags & MCQ_DONE_BUFFER)
        flags |= IORING_CQE_F_BUFFER | (unsigned)done->bid << IORING_CQE_BUFFER_SHIFT;
    if (done->flags & MCQ_DONE_BUF_MORE)
        flags |= IORING_CQE_F_BUF_MORE;
    if (done->flags & MCQ_DONE_NONEMPTY)
        flags |= IORING_CQE_F_SOCK_NONEMPTY;
    return flags;
}

void mcq_sim_ring_post(struct mcq_sim_ring *r, const struct mcq_done *done, uint32_t file_id)
{
    struct mcq_sim_cqe cqe = {.file_id = file_id};
    cqe.cqe.user_data = done->tag;
    cqe.cqe.res = done->res;
    cqe.cqe.flags = flags_of(done);
    r->rung = true;
    mcq_sim.seen.dones++;
    mcq_sim_note(done->tag);
    mcq_sim_note((uint64_t)(uint32_t)done->res << 32 | (uint64_t)done->bid << 16 | done->flags);
    if ((done->flags & MCQ_DONE_MORE) == 0 && !mcq_sim_ring_has_room(r)) {
        hold(r, &cqe);
        mcq_sim_ring_show(r);
        return;
    }
    push(r, &cqe);
    overtake(r);
}

/* --- entering ------------------------------------------------------------------------------ */

void mcq_sim_ring_get(struct mcq_sim_ring *r)
{
    if (!r->sqpoll.on)
        mcq_sim_ring_run_work(r);
    release_held(r);
}

static void set_deadline(struct mcq_sim_ring *r, uint64_t ns)
{
    r->deadline_ns = ns > UINT64_MAX - mcq_sim.now_ns ? UINT64_MAX : mcq_sim.now_ns + ns;
}

void mcq_sim_ring_sleep(struct mcq_sim_ring *r, uint64_t timeout_ns)
{
    if (r->sqpoll.on)
        mcq_sim_sqpoll_wait(r);
    while (!r->sqpoll.on && ready_cnt(r) == 0 && !mcq_list_empty(&r->work))
        mcq_sim_ring_run_work(r);
    release_held(r);
    r->asleep = ready_cnt(r) == 0;
    r->rests = false;
    set_deadline(r, timeout_ns);
}

void mcq_sim_ring_rest(struct mcq_sim_ring *r, uint64_t wait_ns)
{
    if (!r->bell)
        mcq_sim_fail("process %u rests, and nobody would wake it", r->process);
    r->rests = wait_ns != 0;
    r->asleep = r->rests;
    set_deadline(r, wait_ns);
}

bool mcq_sim_ring_runnable(const struct mcq_sim_ring *r)
{
    if (!r->open || mcq_sim.now_ns < r->stopped_until_ns)
        return false;
    const struct mcq_sim_file *f = mcq_sim_process(r->process)->eventfd;
    if (r->rests)
        return r->rung || (f != NULL && f->value != 0) || mcq_sim.now_ns >= r->deadline_ns;
    bool work = !r->sqpoll.on && !mcq_list_empty(&r->work);
    bool prepared = r->handle->sq.sqe_tail != r->shared->sq_tail;
    return !r->asleep || prepared || ready_cnt(r) != 0 || held_cnt(r) != 0 || work ||
           mcq_sim.now_ns >= r->deadline_ns;
}

uint64_t mcq_sim_ring_next_ns(const struct mcq_sim_ring *r)
{
    return mcq_sim.now_ns < r->stopped_until_ns ? r->stopped_until_ns : r->deadline_ns;
}
