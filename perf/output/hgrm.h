/*
 * hgrm: one histogram as the percentile table that HdrHistogram's plotters read (classic format):
 * value, percentile, records up to it and 1/(1-percentile) a line, five lines per halving of what
 * lies above, and a foot of mean, deviation, maximum and count. Values in us.
 */
#ifndef MCQ_PERF_OUTPUT_HGRM_H
#define MCQ_PERF_OUTPUT_HGRM_H

#include "mem/hdr.h"

#include <stdio.h>

void perf_hgrm_write(const struct mcq_hdr *h, FILE *to);

#endif
