#include "tests/sim/sqpoll.h"

#include "tests/sim/fence.h"
#include "tests/sim/machine.h"

#define TURN_NS 5000u /* it takes to notice, at most */
#define MS_NS   1000000u

static struct mcq_sim_ring *ring_of(struct mcq_sim_event *e)
{
    struct mcq_sim_sqpoll *p = MCQ_CONTAINER_OF(e, struct mcq_sim_sqpoll, turn);
    return MCQ_CONTAINER_OF(p, struct mcq_sim_ring, sqpoll);
}

static unsigned waiting(const struct mcq_sim_ring *r, unsigned tail)
{
    return tail - r->shared->sq_head;
}

static void take_turn(struct mcq_sim_event *e)
{
    struct mcq_sim_ring *r = ring_of(e);
    struct mcq_sim_sqpoll *p = &r->sqpoll;
    uint32_t before = mcq_sim.selected;
    unsigned tail = r->shared->sq_tail;
    /* Not everything that was stored has to be there yet. */
    if (tail != p->seen && mcq_sim_below(2) == 0)
        tail = p->seen;
    p->asleep = false;
    bool work = waiting(r, tail) != 0 || !mcq_list_empty(&r->work);
    if (work)
        p->busy_until_ns = mcq_sim.now_ns + p->idle_ns;
    mcq_sim.selected = r->process; /* whose descriptors they are */
    mcq_sim_ring_submit(r, waiting(r, tail));
    mcq_sim_ring_run_work(r);
    mcq_sim.selected = before;
    if (waiting(r, p->seen) > MCQ_URING_SQ_CNT) /* it has taken more */
        p->seen = r->shared->sq_head;
    if (!work && mcq_sim.now_ns >= p->busy_until_ns && waiting(r, p->seen) == 0)
        p->asleep = true;
    else
        mcq_sim_event_arm(e, p->busy_until_ns, take_turn);
    mcq_sim_ring_show(r);
    if (!p->asleep && (waiting(r, p->seen) != 0 || !mcq_list_empty(&r->work)))
        mcq_sim_sqpoll_kick(r);
}

void mcq_sim_sqpoll_open(struct mcq_sim_ring *r, uint32_t idle_ms)
{
    r->sqpoll = (struct mcq_sim_sqpoll){.on = true, .idle_ns = (uint64_t)idle_ms * MS_NS};
    mcq_sim_sqpoll_kick(r);
}

void mcq_sim_sqpoll_close(struct mcq_sim_ring *r)
{
    mcq_sim_event_disarm(&r->sqpoll.turn);
    r->sqpoll.on = false;
    r->sqpoll.asleep = false;
}

void mcq_sim_sqpoll_kick(struct mcq_sim_ring *r)
{
    struct mcq_sim_event *e = &r->sqpoll.turn;
    uint64_t soon = mcq_sim.now_ns + 1 + mcq_sim_below(TURN_NS);
    if (!mcq_sim_event_armed(e) || e->at_ns > soon)
        mcq_sim_event_arm(e, soon, take_turn);
}

void mcq_sim_sqpoll_enter(struct mcq_sim_ring *r, bool wakeup, bool wants_room)
{
    struct mcq_sim_sqpoll *p = &r->sqpoll;
    p->seen = r->shared->sq_tail;
    if (p->asleep && wants_room && !wakeup)
        mcq_sim_fail("process %u waits for its ring's thread, which sleeps", r->process);
    if (wants_room) {
        mcq_sim_event_disarm(&p->turn);
        take_turn(&p->turn);
    } else if (!p->asleep || wakeup) {
        mcq_sim_sqpoll_kick(r);
    }
}

void mcq_sim_sqpoll_wait(struct mcq_sim_ring *r)
{
    struct mcq_sim_event *e = &r->sqpoll.turn;
    if (!mcq_sim_event_armed(e) || mcq_sim_below(4) != 0)
        return;
    mcq_sim_event_disarm(e);
    take_turn(e);
}

/* The thread may come in between the store and whatever is loaded next; what it has made of what
 * was there before, it has. */
void mcq_sim_sqpoll_fence(void)
{
    struct mcq_sim_ring *r = &mcq_sim_process(mcq_sim.selected)->ring;
    struct mcq_sim_sqpoll *p = &r->sqpoll;
    if (!p->on)
        return;
    p->seen = r->shared->sq_tail;
    if (p->asleep || waiting(r, p->seen) == 0)
        return;
    mcq_sim_sqpoll_kick(r);
    if (mcq_sim_below(8) != 0)
        return;
    mcq_sim_event_disarm(&p->turn);
    take_turn(&p->turn);
}
