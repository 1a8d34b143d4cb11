#include "perf/output/page.h"

#include "perf/output/html/template.h"

#include <stdlib.h>
#include <string.h>

void perf_page_begin(FILE *to)
{
    fwrite(perf_html_head, 1, perf_html_head_len, to);
}

void perf_page_artefact(const char *text, size_t len, FILE *to)
{
    fputs(PERF_HTML_ARTEFACT_BEGIN, to);
    for (const char *at = text, *end = text + len; at < end;) {
        const char *next = memchr(at, '<', (size_t)(end - at));
        size_t plain = (size_t)((next != NULL ? next : end) - at);
        fwrite(at, 1, plain, to);
        at += plain;
        if (at < end) {
            fputs("\\u003c", to);
            at++;
        }
    }
    fputs(PERF_HTML_ARTEFACT_END, to);
}

void perf_page_end(FILE *to)
{
    fwrite(perf_html_tail, 1, perf_html_tail_len, to);
}

void perf_page_write(const struct perf_artefact *a, FILE *to)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    perf_page_begin(to);
    if (memory != NULL) {
        perf_artefact_json(a, memory);
        fclose(memory);
        perf_page_artefact(text, len, to);
    }
    free(text);
    perf_page_end(to);
}
