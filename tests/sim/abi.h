/* Abi: io_uring as a process has it: memory that both sides see, and the calls of liburing that are
 * no inline functions. runtime/uring.c and uring_ops.c, the library's own, run on it; what they
 * prepare is read here as the kernel reads it. */
#ifndef MCQ_TESTS_SIM_ABI_H
#define MCQ_TESTS_SIM_ABI_H

#include <liburing.h>

#include "runtime/uring.h"
#include "tests/sim/blocks.h"

struct mcq_sim_shared {
    unsigned sq_head, sq_tail, sq_flags, sq_dropped, sq_mask, sq_entries;
    unsigned cq_head, cq_tail, cq_flags, cq_overflow, cq_mask, cq_entries;
    unsigned array[MCQ_URING_SQ_CNT];
    struct io_uring_sqe sqes[MCQ_URING_SQ_CNT];
    struct io_uring_cqe cqes[MCQ_URING_CQ_CNT];
    uint32_t file_ids[MCQ_URING_CQ_CNT]; /* of the completions; 0: a cancel's */
};

/* Prepared and not taken yet, whether published or not. 0 without a ring. */
unsigned mcq_sim_abi_prepared(uint32_t process);
/* One of them refers to that descriptor. */
bool mcq_sim_abi_refers(uint32_t process, int fd);

#endif
