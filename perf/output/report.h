/* report: one measurement, or one that couldn't be made, as JSON or for a reader, on stdout. */
#ifndef MCQ_PERF_REPORT_H
#define MCQ_PERF_REPORT_H

#include "perf/peers/peer.h"

#include <stdio.h>

/* JSON: NAN becomes null. */
void perf_report_json_number(const char *key, double value);
void perf_report_json_text(const char *key, const char *text);

/* A figure in a column `width` wide, with digits fit for its size; "-" for NAN. */
void perf_report_cell(int width, double value);

/* One line: CPU model, kernel, which CPUs the two processes are on. Prints a leading indent. */
void perf_report_machine(FILE *to);

void perf_report_rtt(const struct perf_peer *peer, const struct perf_rtt_job *job,
                     const struct perf_rtt_result *result, bool json);
void perf_report_rate(const struct perf_peer *peer, const struct perf_rate_job *job,
                      const struct perf_rate_result *result, bool json);
void perf_report_missing(const char *workload, const struct perf_peer *peer, const char *reason,
                         bool json);

#endif
