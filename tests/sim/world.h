/* World: a run of one seed: the simulated machine, its processes (hosts), the actors on them, and
 * what happens in which order.
 *
 *      draw -> open -> ACTIVE (random acts, faults, blows) -> SETTLE (no faults, all give what they
 *      owe; everything that is queued must arrive) -> GREET (one more round; must arrive) -> END
 *      (every process stops; nothing may be left)
 *
 * A violation calls mcq_sim_fail, which doesn't return. Thread: one; one run at a time.
 */
#ifndef MCQ_TESTS_SIM_WORLD_H
#define MCQ_TESTS_SIM_WORLD_H

#include <monocoque/event.h>

#include "tests/sim/host.h"
#include "tests/sim/scenario.h"

enum mcq_phase { MCQ_PHASE_ACTIVE = 0, MCQ_PHASE_SETTLE, MCQ_PHASE_GREET, MCQ_PHASE_END };

struct mcq_world_result {
    uint64_t steps; /* of shards */
    uint64_t sent, taken, ended_ns;
    uint64_t digest; /* of all that was told: equal for equal seeds */
};

/* The whole life of a seed. */
void mcq_world_run(uint64_t seed, struct mcq_world_result *result);
/* The same in pieces, for a program with a scenario of its own: open, fill in the scenario, start,
 * any number of rounds, finish. */
void mcq_world_open(uint64_t seed, const struct mcq_sim_faults *faults);
struct mcq_scenario *mcq_world_scenario(void);
void mcq_world_start(void);
/* Lets one thing happen. */
void mcq_world_round(void);
/* Settles, greets, ends. */
void mcq_world_finish(struct mcq_world_result *result);

enum mcq_phase mcq_world_phase(void);
/* In the last round, and all was at rest when the count of calls was `since`. */
bool mcq_world_rested(uint64_t since);
/* Calls in either direction so far: an order of all that happens. */
uint64_t mcq_world_calls(void);
uint64_t mcq_world_steps(void);
/* Of the next message that anybody sends. */
uint32_t mcq_world_number(void);
void mcq_world_count_sent(uint64_t cnt);
void mcq_world_count_taken(void);

/* Events that were told so far. */
uint64_t mcq_world_told(enum mcq_event_kind kind, enum mcq_reason reason);
void mcq_world_count_event(enum mcq_event_kind kind, enum mcq_reason reason);

struct mcq_actor;
/* "h2 PUSH@7": static, several at a time. */
const char *mcq_world_name(const struct mcq_actor *a);
/* The welcome message of a cast. */
struct mcq_parcel mcq_world_welcome(const struct mcq_cast *cast);

/* A line of the trace, if it is wanted; mixed into the digest anyway. */
extern bool mcq_world_tracing;
__attribute__((format(printf, 1, 2))) void mcq_world_trace(const char *format, ...);
void mcq_world_digest(uint64_t value);

#endif
