/*
 * template: the page of the HTML report, without what it shows.
 *
 * A report is the head, then any number of artefacts, then the tail, all UTF-8:
 *
 *      head <script type="application/json" class="artefact">JSON</script>... tail
 *
 * JSON is an artefact as it is saved, with every '<' in it written as \u003c (it can only stand in
 * strings), so that no text of an artefact can end its element. The page takes all else in it as
 * text. Built from the parts in this folder; scripts and styles are allowed by their hashes, so
 * head and tail are to be written as they are.
 */
#ifndef MCQ_PERF_OUTPUT_HTML_TEMPLATE_H
#define MCQ_PERF_OUTPUT_HTML_TEMPLATE_H

#include <stddef.h>

extern const char perf_html_head[], perf_html_tail[];
extern const size_t perf_html_head_len, perf_html_tail_len;

#define PERF_HTML_ARTEFACT_BEGIN "<script type=\"application/json\" class=\"artefact\">"
#define PERF_HTML_ARTEFACT_END   "</script>\n"

#endif
