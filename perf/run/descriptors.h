/* descriptors: how many a process may have open. Thousands of connections need more than a shell
 * usually gives. */
#ifndef MCQ_PERF_RUN_DESCRIPTORS_H
#define MCQ_PERF_RUN_DESCRIPTORS_H

#include "perf/run/crew.h"

/* Makes room for so many connections, and some descriptors besides. Before a library is opened, as
 * some look at the limit once. False with what to do noted, when the hard limit forbids it. */
bool perf_descriptors_need(struct perf_child *child, uint32_t conns);

#endif
