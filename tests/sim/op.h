/* Op: an operation of a ring, from its preparation to its last completion.
 *
 *      take -> PREPARED --submit--> ARMED --the file is ready--> WORK --run--> completed, or ARMED
 *                              \--it could go on at once, but not inline--> LATER --event--> WORK
 *
 * WORK is what Linux defers to the next enter. An operation refers to its file from its submission
 * on. Cancelled ones complete by WORK too.
 */
#ifndef MCQ_TESTS_SIM_OP_H
#define MCQ_TESTS_SIM_OP_H

#include <sys/socket.h>

#include "runtime/op.h"
#include "tests/sim/event.h"
#include "tests/sim/file.h"

#define MCQ_SIM_OPS_MAX   32768u
#define MCQ_SIM_SHOTS_MAX 32u /* completions of a multishot at a time */

enum mcq_sim_op_kind {
    MCQ_SIM_ACCEPT,
    MCQ_SIM_CONNECT,
    MCQ_SIM_RECV,
    MCQ_SIM_SEND,
    MCQ_SIM_READ, /* of an eventfd */
    MCQ_SIM_CANCEL
};

enum mcq_sim_op_state { MCQ_SIM_PREPARED, MCQ_SIM_ARMED, MCQ_SIM_LATER, MCQ_SIM_WORK };

struct mcq_sim_op {
    enum mcq_sim_op_kind kind;
    enum mcq_sim_op_state state;
    uint32_t process;
    uint64_t tag, target;
    int fd;
    struct mcq_sim_file *file;
    bool shot, select, no_wait; /* multishot, into the buffer ring, MSG_DONTWAIT */
    bool cancelled, answered;
    void *ptr;
    const void *source;
    const struct msghdr *msg;
    size_t len; /* of a multishot receive: what is left of its limit */
    bool watched;
    uint64_t sum; /* of what is sent, when it was submitted, if watched */
    int32_t res;  /* of a connect that was answered; of a late cancel */
    uint32_t tries;
    struct mcq_addr addr;
    struct mcq_sim_event later;
    struct mcq_node on_file, on_ring, work;
    struct mcq_sim_op *next; /* free, or with the same hash */
};

void mcq_sim_op_reset(void);
struct mcq_sim_op *mcq_sim_op_take(enum mcq_sim_op_kind kind, uint64_t tag, int fd);
/* It may be completed when this returns. */
void mcq_sim_op_submit(struct mcq_sim_op *op);
/* Something about the file has changed: what can go on becomes work. */
void mcq_sim_op_wake(struct mcq_sim_file *f);
/* Does one's deferred work. */
void mcq_sim_op_run(struct mcq_sim_op *op);
/* The last completion; op is free. bid and flags: runtime/op.h. */
void mcq_sim_op_end(struct mcq_sim_op *op, int32_t res, uint16_t bid, uint16_t flags);
/* A multishot's completion; false: the queue was full, so it was the last one and op is free. */
bool mcq_sim_op_tell(struct mcq_sim_op *op, int32_t res, uint16_t bid, uint16_t flags);
/* Its process ends: nobody is told. */
void mcq_sim_op_forget(struct mcq_sim_op *op);

#endif
