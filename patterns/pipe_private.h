/* The pipe's inside, shared by pipe.c (putting) and pipe_out.c (sending). */
#ifndef MCQ_PATTERNS_PIPE_PRIVATE_H
#define MCQ_PATTERNS_PIPE_PRIVATE_H

#include "mem/pool.h"
#include "patterns/pipe.h"

static inline size_t mcq_pipe_open_len(const struct mcq_pipe *p)
{
    return (size_t)(p->cursor - p->open);
}

static inline uint32_t mcq_pipe_open_msgs(const struct mcq_pipe *p)
{
    return p->countdown_from - p->countdown;
}

/* The next put takes the slow path. */
void mcq_pipe_shut(struct mcq_pipe *p);
/* Turns the open stretch, whole messages, into a segment; it can't fail. */
void mcq_pipe_seal(struct mcq_pipe *p);
void mcq_pipe_seg_free(struct mcq_pipe *p, struct mcq_seg *seg);
void mcq_pipe_block_release(struct mcq_pipe *p);

#endif
