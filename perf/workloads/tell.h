/* tell: how a workload begins and ends what it leaves: environment, verdicts, outputs, status. */
#ifndef MCQ_PERF_WORKLOADS_TELL_H
#define MCQ_PERF_WORKLOADS_TELL_H

#include "perf/options.h"
#include "perf/output/artefact.h"

/* Looks at what is measured on and says on stderr what the doctor thinks of it. */
void perf_tell_start(void);
/* Of the command that runs, with what it is measured on. */
struct perf_artefact *perf_tell_begin(const struct perf_options *options);
/* Compares the arms, prints to stdout what --json asks for, saves to --out, and takes a. Returns
 * the exit status: PERF_EXIT_MISSING if a run isn't valid, or nothing was measured, or ok is false.
 */
int perf_tell(const struct perf_options *options, struct perf_artefact *a, bool ok);

#endif
