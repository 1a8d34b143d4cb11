/* Visitor: a thread outside the house that talks with its shards: through ports, and by mcq_post.
 *
 * A visit is one port, from its open to its close. Each message says its number; how long it is,
 * every byte, and how many replies it asks for follow from that, and so it is with the replies.
 * Held against the library: each way everything once and in order, and nothing lost unless the
 * shard has ended; a close tells all that was sent; who found no room is told of some; who waits is
 * woken.
 *
 * Thread: the visitor's functions run outside (outside.h), the handlers on the shards.
 */
#ifndef MCQ_TESTS_SIM_VISITOR_H
#define MCQ_TESTS_SIM_VISITOR_H

#include "tests/sim/many.h"
#include "tests/sim/outside.h"

extern const struct mcq_port_handlers mcq_visitor_handlers;

/* cnt of them, for the whole run. */
void mcq_visitors_start(uint32_t cnt);
/* The house is about to be killed, and they with it: nothing they see counts any more. */
void mcq_visitors_kill(void);
/* A new life of the house has begun. */
void mcq_visitors_begin(void);
/* An unasked-for message to everybody who has a port to the shard. On it. */
void mcq_visitors_greet(struct mcq_shard *sh);
/* NULL: all that was sent has come, both ways. */
const char *mcq_visitors_unrest(void);

#endif
