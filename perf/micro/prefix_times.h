/* prefix_times: what each of many updates took. The same updates are done several times over from
 * the same start, and of each the shortest time counts: what is left of the longest is the table's
 * own, not the machine's. */
#ifndef MCQ_PERF_MICRO_PREFIX_TIMES_H
#define MCQ_PERF_MICRO_PREFIX_TIMES_H

#include <stdbool.h>
#include <stdint.h>

struct prefix_times {
    uint32_t *ns; /* by update */
    uint32_t cnt;
    uint64_t raw_max; /* longest of all, the machine's share included */
};

struct prefix_spread {
    double mean;
    uint32_t p999, max;
    uint64_t raw_max;
};

bool prefix_times_open(struct prefix_times *t, uint32_t cnt);
void prefix_times_close(struct prefix_times *t);
void prefix_times_note(struct prefix_times *t, uint32_t idx, uint64_t ns);
/* Sorts what was noted: after the last. */
struct prefix_spread prefix_times_spread(struct prefix_times *t);
/* What reading the clock adds to each. */
double prefix_clock_cost_ns(void);
uint64_t prefix_clock_ns(void);

#endif
