/* report page: the command that puts artefacts, as they were saved, into one page to send around.
 */
#ifndef MCQ_PERF_OUTPUT_REPORT_PAGE_H
#define MCQ_PERF_OUTPUT_REPORT_PAGE_H

#include "perf/options.h"

/* words: files of artefacts; out: the page's file. Returns enum perf_exit. */
int perf_report_main(const struct perf_options *options);

#endif
