/* Event: what will happen at a time. A heap of intrusive events, first by time, then by the order
 * of their arming. O(log n). */
#ifndef MCQ_TESTS_SIM_EVENT_H
#define MCQ_TESTS_SIM_EVENT_H

#include <stdbool.h>
#include <stdint.h>

struct mcq_sim_event;
typedef void mcq_sim_event_fn(struct mcq_sim_event *e);

/* Zero is a disarmed event. */
struct mcq_sim_event {
    uint64_t at_ns, number;
    mcq_sim_event_fn *fn;
    uint32_t pos; /* 1-based; 0: disarmed */
};

#define MCQ_SIM_EVENTS_MAX 65536u

/* Forgets them all; what they belong to is forgotten too. */
void mcq_sim_event_reset(void);
/* Arms or moves: fn(e) will run, disarmed. */
void mcq_sim_event_arm(struct mcq_sim_event *e, uint64_t at_ns, mcq_sim_event_fn *fn);
void mcq_sim_event_disarm(struct mcq_sim_event *e);
/* NULL: nothing will happen. */
struct mcq_sim_event *mcq_sim_event_first(void);

static inline bool mcq_sim_event_armed(const struct mcq_sim_event *e)
{
    return e->pos != 0;
}

#endif
