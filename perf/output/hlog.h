/*
 * hlog: the histograms of a result over time, as the log that HdrHistogram's tools read (1.3).
 *
 * Times are in seconds since the start of the first run, which a comment of the format names. A
 * line is an interval, tagged with its run ("run1"); of a run without intervals it is the whole
 * run, one per histogram, tagged with both ("run1-response"). Runs that aren't valid are left out.
 * Values are in ns; the column of maxima is in ms, as the format's own tools have it.
 */
#ifndef MCQ_PERF_OUTPUT_HLOG_H
#define MCQ_PERF_OUTPUT_HLOG_H

#include "perf/output/result.h"

#include <stdio.h>

void perf_hlog_write(const struct perf_result *r, FILE *to);

#endif
