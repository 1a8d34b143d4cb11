/* Hot: the few connections that a spinning loop asks for bytes itself, once a turn, instead of
 * waiting to be told. A receive that doesn't wait costs less than being woken: nothing hangs in the
 * socket's wait queue, and bytes, reply and next question share one enter (docs/adr/0004).
 *
 *      arm --place free--> HOT --nothing for MCQ_HOT_NS, or the loop sleeps--> armed to wait
 *                           ^                                                     |
 *                           +------------- bytes came, and it is armed again -----+
 *
 * With all places taken a connection is armed to wait as ever. Thread: the shard's.
 */
#ifndef MCQ_RUNTIME_HOT_H
#define MCQ_RUNTIME_HOT_H

#include "runtime/loop.h"

#define MCQ_HOT_MAX 4u       /* each one more costs every turn a receive */
#define MCQ_HOT_NS  1000000u /* without bytes until it cools */

struct mcq_hot {
    struct mcq_list again; /* by `line`: to be asked at the turn's end */
    uint32_t cnt, max;     /* max 0: this idle policy doesn't spin */
};

/* on: the feature isn't masked. */
void mcq_hot_init(struct mcq_hot *hot, enum mcq_idle idle, bool on);
/* c is about to be armed: true if it has a place, or got one. */
bool mcq_hot_take(struct mcq_loop *loop, struct mcq_conn *c);
/* c was asked and had nothing. */
void mcq_hot_missed(struct mcq_loop *loop, struct mcq_conn *c);
/* c brought bytes. */
void mcq_hot_fed(struct mcq_loop *loop, struct mcq_conn *c);
/* c ends or is stopped. */
void mcq_hot_leave(struct mcq_loop *loop, struct mcq_conn *c);
/* The turn's end: asks each again; or, before a sleep, arms each to wait. */
void mcq_hot_ask(struct mcq_loop *loop);
void mcq_hot_rest(struct mcq_loop *loop);

#endif
