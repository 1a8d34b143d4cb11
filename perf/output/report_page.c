#include "perf/output/report_page.h"

#include "perf/output/json_read.h"
#include "perf/output/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_NAME "report.html"

/* The bytes of an artefact, NULL with a sentence for anything else. */
static char *artefact_text(const char *path, size_t *len, char *reason)
{
    char why[PERF_SENTENCE_MAX];
    FILE *from = fopen(path, "re");
    if (from == NULL) {
        snprintf(reason, PERF_SENTENCE_MAX, "%.200s can't be opened: %s", path, strerror(errno));
        return NULL;
    }
    char *text = perf_file_read(from, path, len, reason);
    fclose(from);
    struct perf_artefact *a = text != NULL ? perf_artefact_parse(text, *len, why) : NULL;
    if (text != NULL && a == NULL) {
        snprintf(reason, PERF_SENTENCE_MAX, "%.150s: %.230s", path, why);
        free(text);
        text = NULL;
    }
    perf_artefact_end(a);
    return text;
}

static bool artefacts_put(const struct perf_options *options, FILE *to)
{
    for (unsigned i = 0; i < options->word_cnt; i++) {
        char reason[PERF_SENTENCE_MAX];
        size_t len;
        char *text = artefact_text(options->words[i], &len, reason);
        if (text == NULL) {
            fprintf(stderr, "mcq-perf report: %s\n", reason);
            return false;
        }
        perf_page_artefact(text, len, to);
        free(text);
    }
    return true;
}

static bool page_save(const char *path, const char *page, size_t len)
{
    FILE *to = fopen(path, "we");
    bool ok = to != NULL && fwrite(page, 1, len, to) == len;
    ok = (to == NULL || fclose(to) == 0) && ok;
    if (!ok) {
        fprintf(stderr, "mcq-perf report: %s can't be written: %s\n", path, strerror(errno));
    }
    return ok;
}

int perf_report_main(const struct perf_options *options)
{
    const char *path = options->out != NULL ? options->out : PAGE_NAME;
    char *page = NULL;
    size_t len = 0;
    /* In memory first: a file that can't be read leaves an older page as it is. */
    FILE *memory = open_memstream(&page, &len);
    if (memory == NULL) {
        return PERF_EXIT_MISSING;
    }
    perf_page_begin(memory);
    bool ok = artefacts_put(options, memory);
    perf_page_end(memory);
    ok = fclose(memory) == 0 && ok && page_save(path, page, len);
    free(page);
    if (ok) {
        puts(path);
    }
    return ok ? PERF_EXIT_MEASURED : PERF_EXIT_MISSING;
}
