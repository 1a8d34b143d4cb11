/* Sqpoll: the kernel's thread of a ring in that mode. It takes what is published and does the
 * ring's work by itself; without any for so long it says that it wants to be woken (NEED_WAKEUP),
 * looks at the tail once more, and sleeps.
 *
 * That last look sees what was stored before the process's last fence or system call; later stores
 * may still be in its CPU's store buffer. What is published while it sleeps is taken when somebody
 * wakes it, or the ring has work: perhaps never.
 */
#ifndef MCQ_TESTS_SIM_SQPOLL_H
#define MCQ_TESTS_SIM_SQPOLL_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/event.h"

struct mcq_sim_ring;

struct mcq_sim_sqpoll {
    bool on, asleep;
    unsigned seen;    /* tail at the last fence or system call */
    uint64_t idle_ns; /* without work until it sleeps */
    uint64_t busy_until_ns;
    struct mcq_sim_event turn;
};

void mcq_sim_sqpoll_open(struct mcq_sim_ring *r, uint32_t idle_ms);
void mcq_sim_sqpoll_close(struct mcq_sim_ring *r);
/* There is work, or it is woken. */
void mcq_sim_sqpoll_kick(struct mcq_sim_ring *r);
/* A system call of the process: all that it stored is seen. */
void mcq_sim_sqpoll_enter(struct mcq_sim_ring *r, bool wakeup, bool wants_room);
/* The process waits: the thread may be so quick that it needn't. */
void mcq_sim_sqpoll_wait(struct mcq_sim_ring *r);
/* See fence.h. */
void mcq_sim_sqpoll_fence(void);

#endif
