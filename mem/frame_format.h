/* RAW: writes headers through pointers that the caller has checked for room; patterns' pipes and
 * proto's encoder call it.
 *
 * The stored form of a message: for each frame flags(1) length(1 or 8, big-endian) body. It is the
 * framing of ZMTP 2.0 and 3.x (RFC 23, RFC 37 "Framing"), so what a pipe stores is what the kernel
 * sends, and nothing is encoded twice.
 */
#ifndef MCQ_MEM_FRAME_FORMAT_H
#define MCQ_MEM_FRAME_FORMAT_H

#include "mem/slice.h"

#define MCQ_FRAME_MORE      0x01u
#define MCQ_FRAME_LONG      0x02u
#define MCQ_FRAME_COMMAND   0x04u
#define MCQ_FRAME_RESERVED  0xf8u
#define MCQ_FRAME_SHORT_MAX 255u /* bytes of body that a one-byte length can say */
#define MCQ_FRAME_HEAD_MAX  9u

static inline size_t mcq_frame_head_len(size_t body_len)
{
    return body_len <= MCQ_FRAME_SHORT_MAX ? 2 : MCQ_FRAME_HEAD_MAX;
}

/* Writes the header of a body of body_len bytes at `at` (room for mcq_frame_head_len), returns
 * where the body goes. flags: MORE or COMMAND or 0. */
static inline uint8_t *mcq_frame_head_put(uint8_t *at, unsigned flags, size_t body_len)
{
    if (MCQ_LIKELY(body_len <= MCQ_FRAME_SHORT_MAX)) {
        at[0] = (uint8_t)flags;
        at[1] = (uint8_t)body_len;
        return at + 2;
    }
    uint64_t raw = __builtin_bswap64((uint64_t)body_len);
    at[0] = (uint8_t)(flags | MCQ_FRAME_LONG);
    __builtin_memcpy(at + 1, &raw, sizeof(raw));
    return at + MCQ_FRAME_HEAD_MAX;
}

/* Reads one header. Returns its length in bytes, 0 if `s` is too short to tell. */
static inline size_t mcq_frame_head_get(struct mcq_slice s, uint8_t *flags, uint64_t *body_len)
{
    if (s.len < 2)
        return 0;
    *flags = s.ptr[0];
    if (MCQ_LIKELY((s.ptr[0] & MCQ_FRAME_LONG) == 0)) {
        *body_len = s.ptr[1];
        return 2;
    }
    if (s.len < MCQ_FRAME_HEAD_MAX)
        return 0;
    uint64_t raw;
    __builtin_memcpy(&raw, s.ptr + 1, sizeof(raw));
    *body_len = __builtin_bswap64(raw);
    return MCQ_FRAME_HEAD_MAX;
}

#endif
