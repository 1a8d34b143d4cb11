/* connect: a storm of logons (workloads/logon.h), with more and more of them under way at once. */
#ifndef MCQ_PERF_WORKLOADS_CONNECT_H
#define MCQ_PERF_WORKLOADS_CONNECT_H

#include "perf/options.h"

int perf_connect_main(const struct perf_options *options);

#endif
