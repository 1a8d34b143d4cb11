/* RAW: one atomic operation; sound anywhere, as it touches nothing of others; who shares memory
 * with another thread, or the kernel, without a lock calls it.
 *
 * Fence: stores before it are seen by others before loads after it are made. Release and acquire
 * don't order these two; nor does x86. ThreadSanitizer knows no fences (and gcc refuses them then):
 * there it is an atomic read-modify-write of a place of its own, which on x86 is one and ties no
 * two threads together that the code doesn't. */
#ifndef MCQ_MEM_FENCE_H
#define MCQ_MEM_FENCE_H

#include <stdint.h>

static inline void mcq_fence(void)
{
#ifdef __SANITIZE_THREAD__
    volatile uint64_t own = 0;
    (void)__atomic_fetch_add(&own, 1, __ATOMIC_SEQ_CST);
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

#endif
