/* Fence: stands in for mem/fence.h where runtime/uring.c is compiled for the simulator (forced in
 * front of it). A fence is where the kernel's thread of a ring may come in between, and where it is
 * bound to see what was stored before. */
#ifndef MCQ_MEM_FENCE_H
#define MCQ_MEM_FENCE_H

void mcq_sim_sqpoll_fence(void);

static inline void mcq_fence(void)
{
    mcq_sim_sqpoll_fence();
}

#endif
