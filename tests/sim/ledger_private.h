/* The ledger's inside: ledger.c has the books, ledger_flow.c what is entered into them. */
#ifndef MCQ_TESTS_SIM_LEDGER_PRIVATE_H
#define MCQ_TESTS_SIM_LEDGER_PRIVATE_H

#include "tests/sim/actor.h"

struct mcq_ledger {
    struct mcq_queue queues[MCQ_LEDGER_QUEUES_MAX];
    struct mcq_connection conns[MCQ_LEDGER_CONNS_MAX];
    uint32_t queues_used, conns_used; /* those behind were never taken in this run */
    uint64_t inproc_cnt;              /* joined pairs */
    struct mcq_actor *sending;
    /* of the last glance */
    struct mcq_tap_link links[MCQ_TAP_LINKS_MAX];
    struct mcq_queue *queue_of[MCQ_TAP_LINKS_MAX];
    uint32_t link_cnt;
};

extern struct mcq_ledger mcq_ledger;

/* Fills in links and queue_of. */
void mcq_ledger_glance(struct mcq_actor *a);
/* Nothing changed since the last look, but for up to may_grow more messages. */
void mcq_queue_check(struct mcq_actor *a, struct mcq_queue *q, uint32_t may_grow);
struct mcq_parcel *mcq_queue_parcel(struct mcq_queue *q, uint64_t idx);
/* Before the idx-th, or, idx being the tail, behind all. */
void mcq_queue_insert(struct mcq_queue *q, uint64_t idx, const struct mcq_parcel *p);
/* Its link is no more. */
void mcq_queue_forget(struct mcq_queue *q);
/* The first parcel that may still be asked for. */
uint64_t mcq_queue_floor(const struct mcq_queue *q);
struct mcq_connection *mcq_connection_get(uint64_t stream);
struct mcq_connection *mcq_connection_of(const struct mcq_end *end);
void mcq_connection_free(struct mcq_connection *c);

static inline bool mcq_end_over(const struct mcq_end *end)
{
    return end->state == MCQ_END_DOWN || end->state == MCQ_END_KILLED;
}

#endif
