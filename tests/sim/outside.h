/* Outside: threads of a simulated program that are no shards. Each is a coroutine of the one thread
 * there is: it runs until it waits (ppoll, sched_yield), wakes a shard (now and then), or says so
 * itself, and goes on when the world, or a shard that waits for it, lets it. What such a thread
 * asks the system for (eventfds, the clock, a wait) is the machine's; the linker sees to that by
 * --wrap.
 *
 * A shard that rings a thread's eventfd may find that it has run by the time the ring returns.
 */
#ifndef MCQ_TESTS_SIM_OUTSIDE_H
#define MCQ_TESTS_SIM_OUTSIDE_H

#include <stdbool.h>
#include <stdint.h>

#define MCQ_OUTSIDE_MAX     4u
#define MCQ_OUTSIDE_FD_BASE 0x60000000 /* eventfds that they opened */

/* Called before and after one runs, if set: for what the world keeps per thread. */
extern void (*mcq_outside_on_enter)(bool inside);

/* Forgets them all, wherever they are. */
void mcq_outside_reset(void);
/* fn runs from the first step on; its return is the thread's end. */
void mcq_outside_start(void (*fn)(void *arg), void *arg);
/* Lets any that can go on do so; false: none can. */
bool mcq_outside_step(void);
/* Waits of theirs that have an end are over. */
void mcq_outside_hurry(void);
/* Threads that haven't ended. */
uint32_t mcq_outside_cnt(void);

/* --- within one ----------------------------------------------------------------------------- */

void mcq_outside_yield(void);
void mcq_outside_sleep(uint64_t ns);

/* --- for the machine ------------------------------------------------------------------------ */

/* Its eventfd is written. */
void mcq_outside_ring(int fd);
/* One that has just woken somebody may be overtaken. */
void mcq_outside_pause(void);

#endif
