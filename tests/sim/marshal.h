/* Marshal: changes who gets which connection of a logical socket while connections come: rules,
 * mode, weights, shards that drain, members that unbind; and holds every connection that comes up
 * against what was in force from its beginning to then, by a policy of its own.
 *
 * A connection may go where any of those states says. One that names a shard which wasn't live all
 * the time says nothing: it goes where the hash says, to a live one.
 */
#ifndef MCQ_TESTS_SIM_MARSHAL_H
#define MCQ_TESTS_SIM_MARSHAL_H

#include "tests/sim/mate.h"

/* The house begins anew. */
void mcq_marshal_reset(void);
/* Something to do, by a member of a steered circuit. */
void mcq_marshal_act(struct mcq_mate *m);
/* All shards take part again. */
void mcq_marshal_relax(struct mcq_mate *m);
/* After each turn of the house. */
void mcq_marshal_look(void);
/* A connection to the member has come up. */
void mcq_marshal_landed(const struct mcq_mate *m, struct mcq_peer peer, const char *endpoint);
/* A connection of the circuit has ended, or failed to come up, without anybody's wish. */
void mcq_marshal_lost(const struct mcq_mate *m, const struct mcq_event *ev);

#endif
