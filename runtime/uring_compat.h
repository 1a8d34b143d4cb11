/* RAW: constants of io_uring that liburing 2.3 doesn't have yet, and one field it gives no name;
 * sound because they are the kernel's ABI; only uring.c includes it. */
#ifndef MCQ_RUNTIME_URING_COMPAT_H
#define MCQ_RUNTIME_URING_COMPAT_H

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1U << 4) /* 6.12 */
#endif

/* An enum in newer headers, hence the own name. */
#define MCQ_PBUF_RING_INC 2u /* 6.12 */

#define MCQ_REGISTER_NAPI      27u /* 6.9 */
#define MCQ_NAPI_OP_REGISTER   0u
#define MCQ_NAPI_OP_STATIC_ADD 1u /* 6.13; before, what isn't 0 behind `prefer` is EINVAL */
#define MCQ_NAPI_DYNAMIC       0u
#define MCQ_NAPI_STATIC        1u

struct mcq_compat_napi {
    uint32_t busy_poll_us;
    uint8_t prefer, opcode, pad[2];
    uint32_t param; /* how queues are tracked; STATIC_ADD: the queue's id */
    uint32_t resv;
};

/* The 16 bits behind bgid: `pad` in 2.3, `flags` since. */
static inline void mcq_compat_buf_reg_flags(struct io_uring_buf_reg *reg, unsigned flags)
{
    unsigned short v = (unsigned short)flags;
    memcpy((char *)reg + offsetof(struct io_uring_buf_reg, bgid) + sizeof(reg->bgid), &v,
           sizeof(v));
}

/* `optlen` since 6.17, where file_index is: bytes after which a multishot receive ends. Kernels
 * before refuse it with EINVAL. */
static inline void mcq_compat_recv_limit(struct io_uring_sqe *sqe, unsigned len)
{
    sqe->file_index = len;
}

#endif
