/*
 * hist_code: a histogram as the text that HdrHistogram's tools read: V2, compressed, base64.
 *
 * Big-endian. Outside: cookie, length, a zlib stream. Inside: cookie, length, normalizing offset
 * (0), digits (3), lowest value (1), highest (60 s in ns), ratio (1.0), and the counts as ZigZag
 * LEB128 of at most 9 bytes, a negative one standing for so many zeros. The counts lie as in struct
 * mcq_hdr: with three digits from 1 ns both cut each power of two into 1024 steps. Records above
 * the highest value are written as if they were it, for the format has no place for them.
 */
#ifndef MCQ_PERF_OUTPUT_HIST_CODE_H
#define MCQ_PERF_OUTPUT_HIST_CODE_H

#include "perf/output/result.h"

/* To be freed. */
char *perf_hist_encode(const struct mcq_hdr *h);

/* Into h, which is of perf_hist_new; min and max become those of the steps. False, with h empty,
 * for anything that isn't such a text, whatever it is. */
bool perf_hist_decode(const char *text, struct mcq_hdr *h);

#endif
