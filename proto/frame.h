/* Frames: flags(1) size(1 or 8, big-endian) body (RFC 37 "Framing"; the bytes are those of
 * mem/frame_format.h).
 *
 * This is the general reader, which names what is wrong; the batch reader (batch.c) takes only
 * what needs no second look. A header is judged as early as its bytes allow, always in the same
 * order, so that how the stream is cut changes no verdict. Limits are the caller's.
 *
 * Pure functions over borrowed slices; any thread.
 */
#ifndef MCQ_PROTO_FRAME_H
#define MCQ_PROTO_FRAME_H

#include "mem/frame_format.h"
#include "proto/fault.h"

#define MCQ_FRAME_HEAD_MIN 2u
#define MCQ_FRAME_SIZE_MAX (UINT64_MAX >> 1) /* RFC 37: the highest bit is zero */

struct mcq_frame_head {
    uint64_t body_len; /* valid if need is 0 */
    uint8_t flags;
    uint8_t len;  /* bytes of the header itself */
    uint8_t need; /* bytes missing of it; 0: whole */
};

/* Reads the header at the front of s. Legal or not yet whole: MCQ_FAULT_NONE. */
enum mcq_fault mcq_frame_head_read(struct mcq_slice s, struct mcq_frame_head *head);

/* Appends a header to w, LONG whenever the body needs it; false: no room, nothing written. */
bool mcq_frame_head_write(struct mcq_writer *w, unsigned flags, size_t body_len);

#endif
