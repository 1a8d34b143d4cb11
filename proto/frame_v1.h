/* Frames of ZMTP 1.0: length(1, or ff and 8 big-endian) flags(1) body, where length counts the
 * flags (RFC 13). Only bit 0 of the flags, MORE, means anything: libzmq 2.1 sends all the reserved
 * ones set, so they are neither judged nor kept.
 *
 * Pure functions over borrowed slices; any thread.
 */
#ifndef MCQ_PROTO_FRAME_V1_H
#define MCQ_PROTO_FRAME_V1_H

#include "proto/frame.h"

#define MCQ_FRAME_V1_HEAD_MIN  2u
#define MCQ_FRAME_V1_HEAD_MAX  10u
#define MCQ_FRAME_V1_SHORT_MAX 253u  /* bytes of body that a one-byte length can say */
#define MCQ_FRAME_V1_LONG      0xffu /* in place of a one-byte length */

/* Reads the header at the front of s, as mcq_frame_head_read does. */
enum mcq_fault mcq_frame_v1_head_read(struct mcq_slice s, struct mcq_frame_head *head);

/* Appends a header to w; false: no room, nothing written. */
bool mcq_frame_v1_head_write(struct mcq_writer *w, bool more, uint64_t body_len);

static inline size_t mcq_frame_v1_head_len(uint64_t body_len)
{
    return body_len <= MCQ_FRAME_V1_SHORT_MAX ? MCQ_FRAME_V1_HEAD_MIN : MCQ_FRAME_V1_HEAD_MAX;
}

#endif
