/* What link.c and link_end.c know of each other. */
#ifndef MCQ_SHARDS_LINK_PRIVATE_H
#define MCQ_SHARDS_LINK_PRIVATE_H

#include "shards/link.h"

/* It is gone from its socket, and freed. */
void mcq_link_remove(struct mcq_link *link);
/* Is a closing link's time over? Then what is left ends for that. */
bool mcq_link_is_late(struct mcq_link *link);
/* Of all deadlines. */
void mcq_link_tick(struct mcq_timer_node *timer, uint64_t now_ns);

#endif
