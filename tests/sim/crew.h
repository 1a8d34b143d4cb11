/* Crew: runs many seeds, in as many processes as are wanted. A seed that fails ends its process:
 * by a violation, an assertion, a signal, or a clock, for one that hangs; another process goes on
 * with the next seed. Thread: the caller's; forks.
 */
#ifndef MCQ_TESTS_SIM_CREW_H
#define MCQ_TESTS_SIM_CREW_H

#include <stdbool.h>
#include <stdint.h>

struct mcq_world_result;

struct mcq_crew_plan {
    void (*run)(uint64_t seed, struct mcq_world_result *result);
    uint64_t from, cnt; /* seeds */
    uint32_t jobs;
    uint32_t failures_max; /* then it stops; 0: never */
};

struct mcq_crew_sum {
    uint64_t seeds, steps, sent, taken, failures;
    uint64_t first_failed; /* the lowest of those seeds */
    double seconds;
};

void mcq_crew_run(const struct mcq_crew_plan *plan, struct mcq_crew_sum *sum);

#endif
