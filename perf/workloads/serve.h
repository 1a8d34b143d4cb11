/* serve: an echo server until it is told to end, for a load from another host. */
#ifndef MCQ_PERF_WORKLOADS_SERVE_H
#define MCQ_PERF_WORKLOADS_SERVE_H

#include "perf/options.h"

int perf_serve_main(const struct perf_options *options);

#endif
