/* Fair queueing: pipes whose input was refused wait in line, and one at a time gets the turn.
 *
 *      input refused --wait--> [ line ] --next--> turn --take--> served
 *
 * While a pipe holds the turn nobody else is served, so a peer whose input happens to come first
 * in every turn of the shard can't starve the others.
 *
 * Thread: the shard's. Pipes are borrowed from wait to take or forget. Cost: O(1).
 */
#ifndef MCQ_PATTERNS_FAIRQ_H
#define MCQ_PATTERNS_FAIRQ_H

#include "mem/list.h"
#include "patterns/pipe.h"

struct mcq_fairq {
    struct mcq_list line;  /* by fairq_node */
    struct mcq_pipe *turn; /* was called, has not come yet; NULL: whoever comes first */
};

void mcq_fairq_init(struct mcq_fairq *q);
/* p goes to the end of the line, or keeps its place. */
void mcq_fairq_wait(struct mcq_fairq *q, struct mcq_pipe *p);
/* p comes with input: true if it may be served, which ends its wait. */
bool mcq_fairq_take(struct mcq_fairq *q, struct mcq_pipe *p);
/* Nobody holds the turn: the first of the line gets it and is returned, NULL if nobody waits. */
struct mcq_pipe *mcq_fairq_next(struct mcq_fairq *q);
/* p waits no more and holds no turn. */
void mcq_fairq_forget(struct mcq_fairq *q, struct mcq_pipe *p);

#endif
