/* The heap behind buf.h: for buf.c and buf_msg.c, which share its counters and class sizes.
 *
 * One table of descriptors: first those of the pools, class by class, then the free ones for
 * large runs and external memory. A descriptor's place is its name for its whole life.
 */
#ifndef MCQ_MEM_BUF_HEAP_H
#define MCQ_MEM_BUF_HEAP_H

#include "mem/buf.h"
#include "mem/large.h"

_Static_assert(MCQ_LARGE_GRANULE_LEN == MCQ_BUF_GRANULE_LEN, "one granule");
_Static_assert(sizeof(struct mcq_buf) == MCQ_CACHE_LINE, "a descriptor is one cache line");

struct mcq_buf_heap {
    struct mcq_buf_table table; /* first: buf.h reads it */
    uint32_t first[MCQ_BUF_POOL_CNT];
    struct mcq_pool pools[MCQ_BUF_POOL_CNT];
    struct mcq_large large;
    uint32_t *spare; /* stack of the free descriptors for LARGE and EXTERNAL */
    uint32_t spare_cnt, spare_max;
    uint32_t rx_reserve;
    bool urgent;
    struct mcq_mem_stats *stats;
};

/* The smallest class that holds len bytes: an enum mcq_buf_class, at most MCQ_BUF_LARGE. */
static inline unsigned mcq_buf_class_of(size_t len)
{
    if (len <= 512)
        return MCQ_BUF_512;
    if (len <= 4096)
        return MCQ_BUF_4K;
    if (len <= MCQ_BUF_RX_LEN)
        return MCQ_BUF_32K;
    return len < MCQ_BUF_LARGE_MIN ? MCQ_BUF_256K : MCQ_BUF_LARGE;
}

#endif
