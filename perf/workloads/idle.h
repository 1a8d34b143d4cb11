/*
 * idle: what one message costs after a gap in which nothing came and nothing went: caches that went
 * cold, a CPU that went to sleep. The gap begins with the answer before; the figure is a round
 * trip, counted from the send. Each gap is a crew of its own, and a few trips without a gap come
 * first.
 *
 * A gap is repeated for --seconds (1), so 10 us a thousand times, at most --count (1,000), and 1 s
 * and 10 s once: a percentile needs longer runs there. Where trips take longer than gaps it ends
 * after PERF_IDLE_OVERTIME times that, with what it has.
 */
#ifndef MCQ_PERF_WORKLOADS_IDLE_H
#define MCQ_PERF_WORKLOADS_IDLE_H

#include "perf/options.h"

#define PERF_IDLE_OVERTIME 2.0

int perf_idle_main(const struct perf_options *options);

/* How many messages are sent after gaps of this length. */
uint64_t perf_idle_samples(double gap_ns, double seconds, uint64_t count);

#endif
