/* What every room shares: assertions in two levels, checked arithmetic, small macros.
 *
 * MCQ_ASSERT stays on in release (boundaries, cold paths); MCQ_DASSERT is for debug builds.
 * Both are for our own bugs alone: nothing a peer or the host does may fail one.
 */
#ifndef MCQ_MEM_BASE_H
#define MCQ_MEM_BASE_H

#include <monocoque/base.h>
#include <monocoque/error.h>

/* Prints what failed and aborts. Cold. */
_Noreturn void mcq_assert_fail(const char *expr, const char *file, int line);

#define MCQ_ASSERT(x) (MCQ_LIKELY(x) ? (void)0 : mcq_assert_fail(#x, __FILE__, __LINE__))
#ifdef NDEBUG
#define MCQ_DASSERT(x) ((void)sizeof(x))
#else
#define MCQ_DASSERT(x) MCQ_ASSERT(x)
#endif

/* The struct that holds member at ptr; ptr's type is checked. */
#define MCQ_CONTAINER_OF(ptr, type, member)                          \
    ({                                                               \
        __typeof__(((type *)0)->member) *mcq_ptr_ = (ptr);           \
        (type *)(void *)((char *)mcq_ptr_ - offsetof(type, member)); \
    })

#define MCQ_CNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MCQ_CACHE_LINE    64u

static inline size_t mcq_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t mcq_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline uint64_t mcq_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Rounds n up to a multiple of align, a power of two. n + align must not wrap. */
static inline size_t mcq_align_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

#endif
