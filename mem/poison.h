/* RAW: tells AddressSanitizer which bytes of the arena nobody may touch; sound because it changes
 * no byte and is empty without ASan; arena, pool, large and buf call it, each for memory it owns.
 *
 * Poisoned: what is not carved, what is free, and what the kernel hasn't written of a receive
 * block. The kernel itself writes through io_uring and is not checked.
 */
#ifndef MCQ_MEM_POISON_H
#define MCQ_MEM_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define MCQ_POISON_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MCQ_POISON_ON 1
#endif
#endif

#ifdef MCQ_POISON_ON
#include <sanitizer/asan_interface.h>

static inline void mcq_poison(const void *ptr, size_t len)
{
    __asan_poison_memory_region(ptr, len);
}

static inline void mcq_unpoison(const void *ptr, size_t len)
{
    __asan_unpoison_memory_region(ptr, len);
}
#else
static inline void mcq_poison(const void *ptr, size_t len)
{
    (void)ptr;
    (void)len;
}

static inline void mcq_unpoison(const void *ptr, size_t len)
{
    (void)ptr;
    (void)len;
}
#endif

#endif
