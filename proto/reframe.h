/* Reframe: what pipes store (the framing of ZMTP 2.0 and 3.x, mem/frame_format.h) becomes what a
 * ZMTP 1.0 peer reads (proto/frame_v1.h).
 *
 * A pure, resumable converter: stored bytes in any pieces in, bytes of 1.0 out, as far as the input
 * and the room go. Bodies pass in pieces; a header is taken whole and written whole, with the
 * exception that a piece of one at the end of the input is kept here. So once it stops, what was
 * taken is what was written, and the one is on a message's boundary if the other is. A value
 * without pointers; zero is the start of a stream, between two messages. Stored headers are long
 * where they must be and nowhere else, as mcq_frame_head_put writes them.
 *
 * Thread: the stream's. Cost: a copy. No errors: the input is our own, so a fault in it is a bug.
 */
#ifndef MCQ_PROTO_REFRAME_H
#define MCQ_PROTO_REFRAME_H

#include "mem/frame_format.h"
#include "mem/slice.h"

struct mcq_reframe {
    uint64_t body_left; /* of the frame whose header is written */
    uint8_t head_len;   /* bytes of the next one's header that were taken */
    uint8_t head[MCQ_FRAME_HEAD_MAX];
};

/* Takes from `in` and appends to w until one of them is used up (w: until it has no room for the
 * longest header). */
void mcq_reframe_run(struct mcq_reframe *r, struct mcq_reader *in, struct mcq_writer *w);

/* How many stored bytes `sent`, the first bytes of what a run from `start` on wrote, stand for:
 * those of a message are all counted only if all of it was sent, and at least one is if any was. */
size_t mcq_reframe_stored_len(const struct mcq_reframe *start, struct mcq_slice sent);

#endif
