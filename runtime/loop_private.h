/* The loop's inside, shared by loop*.c, conn*.c and listen.c.
 *
 * A connection is in at most one of the lists, by its `line` node:
 *      line    receives to be armed: starved ones, and discarding ones (armed a few per turn)
 *      due     something to tell that no completion tells: the end of a stopped receive, CLOSED,
 *              FROZEN
 *      ended   CLOSED was told: the slot is free from the next turn on
 *      again   hot ones to be asked at the turn's end
 */
#ifndef MCQ_RUNTIME_LOOP_PRIVATE_H
#define MCQ_RUNTIME_LOOP_PRIVATE_H

#include "runtime/bufring.h"
#include "runtime/clock.h"
#include "runtime/features.h"
#include "runtime/hot.h"
#include "runtime/idle.h"
#include "runtime/loop.h"
#include "runtime/napi.h"
#include "runtime/random.h"
#include "runtime/ring_choice.h"

#define MCQ_LOOP_DONE_CNT   64u    /* completions taken from the ring at once */
#define MCQ_LOOP_REARMS_MAX 16u    /* per turn */
#define MCQ_LOOP_READY_MAX  256u   /* completions that are enough for one turn */
#define MCQ_LOOP_EXTRA_MAX  16u    /* enters beyond a turn's first */
#define MCQ_DRAIN_CREDIT    65536u /* bytes discarded per armed receive */

struct mcq_loop {
    struct mcq_uring *ring;
    struct mcq_loop_stats *stats;
    struct mcq_buf_heap *heap;
    struct mcq_conn *conns;
    uint32_t conns_max, free_cnt;
    uint32_t *free_slots;
    uint64_t now_ns;
    uint64_t batch; /* number of the current reap */
    uint32_t done_pos, done_cnt;
    bool worked; /* this turn told something */
    bool wake_armed, ending;
    bool rested;    /* the caller may have slept: what was deferred meanwhile is to be run */
    bool announced; /* on_sleep was told of a sleep that this turn has ended */
    int wake_fd;
    struct mcq_uring_bell bell; /* of a caller who sleeps by himself; fd -1: there is none */
    uint64_t wake_value;        /* the eventfd's read */
    struct mcq_list line, due, ended;
    struct mcq_hot hot;
    struct mcq_features features;
    struct mcq_bufring rx;
    struct mcq_clock clock;
    struct mcq_idler idler;
    struct mcq_timers timers;
    struct mcq_random random;
    mcq_loop_sleep_fn *on_sleep;
    void *on_sleep_ctx;
    struct mcq_done done[MCQ_LOOP_DONE_CNT];
    char features_text[MCQ_FEATURES_TEXT_LEN];
    struct mcq_ring_choice choice;
    struct mcq_napi napi;
};

static inline uint64_t mcq_conn_tag(const struct mcq_conn *c, enum mcq_op_kind kind)
{
    return mcq_op_tag(kind, c->slot, c->epoch);
}

static inline void mcq_conn_begin(struct mcq_conn *c, enum mcq_op_kind kind)
{
    c->inflight = (uint8_t)(c->inflight | 1u << kind);
}

static inline void mcq_conn_finish(struct mcq_conn *c, enum mcq_op_kind kind)
{
    c->inflight = (uint8_t)(c->inflight & ~(1u << kind));
}

static inline bool mcq_conn_in_flight(const struct mcq_conn *c, enum mcq_op_kind kind)
{
    return (c->inflight & 1u << kind) != 0;
}

/* conn.c: a slot in CONNECTING state without a socket; NULL: none is left. */
struct mcq_conn *mcq_conn_slot_take(struct mcq_loop *loop, void *user);
/* conn.c: CLOSED was told a turn ago, or it was given away. */
void mcq_conn_release(struct mcq_loop *loop, struct mcq_conn *c);
/* conn.c: arms what is left of the credit; recv_armed is true already. */
void mcq_conn_arm_recv(struct mcq_loop *loop, struct mcq_conn *c);
/* conn.c: joins the line of receives that wait for blocks. */
void mcq_conn_queue_recv(struct mcq_loop *loop, struct mcq_conn *c, uint32_t credit);
/* conn_close.c: takes the next step of the end that is possible now. */
void mcq_conn_advance(struct mcq_loop *loop, struct mcq_conn *c);
/* conn_move.c: tells FROZEN soon if nothing of it is in flight any more. */
void mcq_conn_settle(struct mcq_loop *loop, struct mcq_conn *c);
/* listen.c: an ACCEPT has ended and must be armed again. */
void mcq_listen_again(struct mcq_loop *loop, struct mcq_conn *c);
/* loop_init.c */
void mcq_loop_arm_wake(struct mcq_loop *loop);
/* loop_init.c: completions of the loop itself. True: tell of a wake. */
bool mcq_loop_wake_done(struct mcq_loop *loop, const struct mcq_done *done);

#endif
