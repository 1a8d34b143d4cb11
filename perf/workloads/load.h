/*
 * load: an open loop at a rate, or by a trace, against each peer's echo: response, service and the
 * generator's own lag (workloads/generator.h).
 */
#ifndef MCQ_PERF_WORKLOADS_LOAD_H
#define MCQ_PERF_WORKLOADS_LOAD_H

#include "perf/options.h"
#include "perf/output/result.h"
#include "perf/workloads/generator.h"

int perf_load_main(const struct perf_options *options);

/* Warm-up, window and schedule as the command line has them; seconds and rate where it doesn't say.
 * False with a sentence on stderr. To be given to perf_load_plan_end. */
bool perf_load_plan(const struct perf_options *options, double seconds, double rate,
                    struct perf_generator_spec *spec);
void perf_load_plan_end(struct perf_generator_spec *spec);
/* What a result says of its plan. */
void perf_load_params(struct perf_result *r, const struct perf_options *options,
                      const struct perf_generator_spec *spec);

#endif
