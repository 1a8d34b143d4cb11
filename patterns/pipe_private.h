/* The pipe's inside, shared by pipe.c and pipe_reserve.c (putting), pipe_drop.c (dropping) and
 * pipe_out.c (sending). */
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
void mcq_pipe_seg_append(struct mcq_pipe *p, struct mcq_seg *seg);
void mcq_pipe_seg_free(struct mcq_pipe *p, struct mcq_seg *seg);
void mcq_pipe_block_release(struct mcq_pipe *p);
/* p is about to get something to send: the shard marks it or, if much is `filled`, sends. */
void mcq_pipe_tell_shard(struct mcq_pipe *p, bool filled);
/* Gives back the segments whose messages are all with the kernel. */
void mcq_pipe_release_sent(struct mcq_pipe *p);
/* Nothing is queued: nothing is held. */
void mcq_pipe_idle(struct mcq_pipe *p);
/* May a message of need stored bytes be queued, as far as the marks go? One that is larger than
 * the whole credit fits an empty queue. */
bool mcq_pipe_has_credit(const struct mcq_pipe *p, uint64_t need);
/* Bytes of the whole message at the front of s, which holds it all. */
size_t mcq_pipe_message_len(struct mcq_slice s);

#endif
