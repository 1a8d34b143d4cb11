/* Ring: a process's io_uring, the kernel's half: work that waits for the next enter, and
 * completions. What the process sees of it, and how it enters, is abi.h.
 *
 * Kernels differ; each ring draws which one it has (the fields under "which kernel").
 */
#ifndef MCQ_TESTS_SIM_RING_H
#define MCQ_TESTS_SIM_RING_H

#include "mem/list.h"
#include "tests/sim/abi.h"
#include "tests/sim/op.h"
#include "tests/sim/sqpoll.h"

/* Completions that overflowed. */
struct mcq_sim_held {
    struct mcq_sim_cqe *at;
    uint32_t head, tail, cap;
};

struct mcq_sim_cqe {
    struct io_uring_cqe cqe;
    uint32_t file_id; /* 0: a cancel's */
};

struct mcq_sim_ring {
    bool open;
    uint32_t process;
    int fd;
    struct mcq_sim_shared *shared;
    const struct io_uring *handle; /* the process's */
    struct mcq_sim_held held;
    struct mcq_list work, ops; /* ops by `work`, and all in flight by `on_ring` */
    uint32_t in_flight, selecting;
    unsigned cq_seen; /* the tail when it last entered */
    bool asleep;
    uint64_t deadline_ns; /* of the sleep */
    bool bell, rung;      /* its owner sleeps by himself: there is one; readable */
    bool rests;           /* he sleeps */
    uint64_t stopped_until_ns;
    struct mcq_sim_sqpoll sqpoll;
    /* --- which kernel --- */
    uint32_t work_max;  /* deferred operations of one enter: 20 since 6.13 */
    bool eager_enobufs; /* a multishot without blocks ends although there are no bytes either */
    bool strict_limit;  /* of a multishot: no byte more; 6.18 isn't so */
    bool block_at_end;  /* the end of a stream comes with a block that was not used */
    struct mcq_sim_blocks blocks;
};

void mcq_sim_ring_reset(struct mcq_sim_ring *r);
/* The process is gone. */
void mcq_sim_ring_kill(struct mcq_sim_ring *r);
/* An operation's work for the next enter; taking it back. */
void mcq_sim_ring_work(struct mcq_sim_ring *r, struct mcq_sim_op *op);
void mcq_sim_ring_unwork(struct mcq_sim_ring *r, struct mcq_sim_op *op);
/* Does some of it. */
void mcq_sim_ring_run_work(struct mcq_sim_ring *r);
/* Whether a completion would be seen, not held back: decides for a multishot. */
bool mcq_sim_ring_has_room(struct mcq_sim_ring *r);
void mcq_sim_ring_post(struct mcq_sim_ring *r, const struct mcq_done *done, uint32_t file_id);
/* The flags that the process sees are as things are. */
void mcq_sim_ring_show(struct mcq_sim_ring *r);
/* When a process that isn't runnable will be by itself. */
uint64_t mcq_sim_ring_next_ns(const struct mcq_sim_ring *r);
/* Whether the process would find something to do. */
bool mcq_sim_ring_runnable(const struct mcq_sim_ring *r);

/* --- an enter: submits, gets, sleeps --------------------------------------------------------- */

/* abi.c: takes cnt of what is published. */
void mcq_sim_ring_submit(struct mcq_sim_ring *r, unsigned cnt);
/* Lets deferred work run and gives what was held back. */
void mcq_sim_ring_get(struct mcq_sim_ring *r);
/* Until a completion comes, or for so long. */
void mcq_sim_ring_sleep(struct mcq_sim_ring *r, uint64_t timeout_ns);
/* Its owner sleeps by himself, until its bell rings or so long; 0: he doesn't. */
void mcq_sim_ring_rest(struct mcq_sim_ring *r, uint64_t wait_ns);

#endif
