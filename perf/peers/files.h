/*
 * files: how many descriptors this process may have open.
 */
#ifndef MCQ_PERF_PEERS_FILES_H
#define MCQ_PERF_PEERS_FILES_H

#include "perf/run/crew.h"

/* Room for cnt descriptors besides what any program has open: the soft limit is raised when it has
 * to be. False with the reason noted when the hard limit is too low. */
bool perf_files_allow(struct perf_child *child, uint64_t cnt);

#endif
