/* A pipe's queue as a whole: out of one pipe, into another. */
#include "patterns/pipe_private.h"

void mcq_pipe_take_out(struct mcq_pipe *p, struct mcq_pipe_queue *q)
{
    MCQ_ASSERT(p->flight_cnt == 0);
    p->reserved = 0;
    mcq_pipe_seal(p);
    mcq_pipe_block_release(p);
    mcq_pipe_shut(p);
    *q = (struct mcq_pipe_queue){
        .head = p->head,
        .tail = p->tail,
        .head_sent = p->head_sent,
        .bytes = p->queued_bytes,
        .msgs = p->queued_msgs,
        .pool_bytes = p->pool_bytes,
        .seg_cnt = p->seg_cnt,
    };
    p->head = NULL;
    p->tail = NULL;
    p->head_sent = 0;
    p->queued_bytes = 0;
    p->queued_msgs = 0;
    p->pool_bytes = 0;
    p->seg_cnt = 0;
    p->probe = NULL;
}

void mcq_pipe_set_marks(struct mcq_pipe *p, uint32_t hwm_msgs, uint64_t hwm_bytes)
{
    p->hwm_msgs = hwm_msgs;
    p->hwm_bytes = hwm_bytes;
    mcq_pipe_shut(p);
}

void mcq_pipe_put_back(struct mcq_pipe *p, struct mcq_pipe_queue *q)
{
    if (q->head == NULL)
        return;
    MCQ_ASSERT(p->flight_cnt == 0 && p->head_sent == 0);
    q->tail->next = p->head;
    if (p->tail == NULL)
        p->tail = q->tail;
    p->head = q->head;
    p->head_sent = q->head_sent;
    p->queued_bytes += q->bytes;
    p->queued_msgs += q->msgs;
    p->pool_bytes += q->pool_bytes;
    p->seg_cnt += q->seg_cnt;
    *q = (struct mcq_pipe_queue){.head = NULL};
    mcq_pipe_shut(p);
    mcq_pipe_tell_shard(p, false);
}
