/* RAW: the ring's inside, shared by uring*.c; sound because only they include it and each keeps to
 * runtime/uring.h. */
#ifndef MCQ_RUNTIME_URING_PRIVATE_H
#define MCQ_RUNTIME_URING_PRIVATE_H

#include "runtime/uring.h"
#include "runtime/uring_compat.h"

struct mcq_uring {
    struct io_uring ring;
    struct mcq_loop_stats *stats;
    struct io_uring_buf_ring *bufs;
    int bufs_mask, bufs_added;
    unsigned enter_flags; /* REGISTERED_RING, if so */
    bool sqpoll;
};

/* uring.c: prepares nothing, waits until the submission queue has room for one more. */
void mcq_uring_make_room(struct mcq_uring *u);

#endif
