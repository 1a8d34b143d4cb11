/* Mate: one socket of a run with several shards, and the application around it, from its open to
 * `closed` or the end of its process. It sends, answers, pauses, keeps, ends and moves peers at
 * random, and holds all it is told against the waybills.
 */
#ifndef MCQ_TESTS_SIM_MATE_H
#define MCQ_TESTS_SIM_MATE_H

#include "tests/sim/many.h"
#include "tests/sim/waybill.h"

#define MCQ_MATES_MAX     400u
#define MCQ_MATE_KEPT_MAX 4u
#define MCQ_MATE_TOPICS   6u

enum mcq_mate_state { MCQ_MATE_OPEN = 0, MCQ_MATE_CLOSING, MCQ_MATE_CLOSED, MCQ_MATE_KILLED };

struct mcq_mate_kept {
    bool used;
    struct mcq_msg msg;
    uint32_t number;
};

struct mcq_mate {
    enum mcq_mate_state state;
    uint32_t uid;
    const struct mcq_part *part;
    uint32_t realm;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    uint32_t bound, connected, up; /* bits of its endpoints */
    uint32_t sent;
    bool waits; /* `writable` is due */
    uint32_t topics;
    uint32_t filtered_at; /* number of messages when its subscriptions changed last */
    uint32_t asked;       /* REQ: number of the request; 0: none */
    uint32_t owes;        /* REP: number of the request */
    uint64_t put, left, dropped;
    struct mcq_mate_kept kept[MCQ_MATE_KEPT_MAX];
};

void mcq_mate_reset(void);
/* Opens a socket for the part; NULL: there were enough in this run. */
struct mcq_mate *mcq_mate_open(const struct mcq_part *part);
/* Who plays it now; NULL: nobody. */
struct mcq_mate *mcq_mate_of(const struct mcq_part *part);
struct mcq_mate *mcq_mate_at(uint32_t uid);
uint32_t mcq_mate_cnt(void);
/* Something to do, at random. On its shard. */
void mcq_mate_act(struct mcq_mate *m);
/* What is held back is given: kept messages, paused peers, lost endpoints, replies. */
void mcq_mate_relax(struct mcq_mate *m);
/* One to everybody it knows, which must arrive. */
void mcq_mate_greet(struct mcq_mate *m);
void mcq_mate_close(struct mcq_mate *m);
/* Its process is gone. */
void mcq_mate_kill(struct mcq_mate *m);
/* NULL: at rest. */
const char *mcq_mate_unrest(const struct mcq_mate *m);
/* "t0.3 ROUTER@7": static, several at a time. */
const char *mcq_mate_name(const struct mcq_mate *m);

/* --- between its files ---------------------------------------------------------------------- */

/* mate_send.c: up to cnt of its own; false: it can't go on now. */
bool mcq_mate_send(struct mcq_mate *m, uint32_t cnt);
/* To one peer. */
bool mcq_mate_send_to(struct mcq_mate *m, uint32_t tie);
/* The reply that is owed. */
void mcq_mate_pay(struct mcq_mate *m);
void mcq_mate_send_reset(void);
/* Memory that was lent by a process that is gone. */
void mcq_mate_send_forget(uint32_t team);

/* mate_hear.c */
extern const struct mcq_sock_handlers mcq_mate_each, mcq_mate_batch;
void mcq_mate_drop_kept(struct mcq_mate *m, struct mcq_mate_kept *k);

#endif
