/* The fan-out's inside, shared by fanout.c (who is subscribed) and fanout_send.c (publishing). */
#ifndef MCQ_PATTERNS_FANOUT_PRIVATE_H
#define MCQ_PATTERNS_FANOUT_PRIVATE_H

#include "patterns/fanout.h"

static inline struct mcq_topic *mcq_topic_of(struct mcq_prefix *prefix)
{
    return MCQ_CONTAINER_OF(prefix, struct mcq_topic, prefix);
}

static inline struct mcq_sub *mcq_sub_of_far(struct mcq_node *topic_node)
{
    return MCQ_CONTAINER_OF(topic_node, struct mcq_sub, topic_node);
}

#endif
