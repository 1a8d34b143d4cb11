#include "perf/workloads/offsets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4096u
#define LINE_MAX  64u

struct reading {
    struct perf_offsets *offsets;
    uint64_t cap;
    uint64_t line;
    const char *path;
    char *reason;
};

static bool bad(const struct reading *reading, const char *what)
{
    snprintf(reading->reason, PERF_OFFSETS_TEXT, "%.150s: line %llu: %s", reading->path,
             (unsigned long long)reading->line, what);
    return false;
}

static bool room_make(struct reading *reading)
{
    struct perf_offsets *offsets = reading->offsets;
    if (offsets->cnt < reading->cap) {
        return true;
    }
    if (offsets->cnt == PERF_OFFSETS_MAX) {
        return bad(reading, "more messages than a trace may have");
    }
    uint64_t cap = reading->cap == 0 ? FIRST_CAP : reading->cap * 2;
    uint64_t *ns = realloc(offsets->ns, cap * sizeof *ns);
    if (ns == NULL) {
        return bad(reading, "no memory for more");
    }
    offsets->ns = ns;
    reading->cap = cap;
    return true;
}

static bool line_take(struct reading *reading, const char *text)
{
    struct perf_offsets *offsets = reading->offsets;
    char *end = NULL;
    errno = 0;
    unsigned long long ns = strtoull(text, &end, 10);
    end += strspn(end, " \t\r\n");
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0) {
        return bad(reading, "this is no offset in ns");
    }
    if (ns > PERF_OFFSETS_MAX_NS) {
        return bad(reading, "the offset is longer than a day");
    }
    if (offsets->cnt > 0 && ns < offsets->ns[offsets->cnt - 1]) {
        return bad(reading, "the offset is before the one above it");
    }
    if (!room_make(reading)) {
        return false;
    }
    offsets->ns[offsets->cnt++] = ns;
    return true;
}

static bool lines_read(struct reading *reading, FILE *file)
{
    char text[LINE_MAX];
    bool whole = true; /* text begins a line */
    while (fgets(text, sizeof text, file) != NULL) {
        bool ends = strchr(text, '\n') != NULL || feof(file);
        bool remark = !whole || text[0] == '#';
        reading->line += whole ? 1 : 0;
        if (!remark && !(ends ? line_take(reading, text) : bad(reading, "the line is too long"))) {
            return false;
        }
        whole = ends;
    }
    return !ferror(file) || bad(reading, "it can't be read on");
}

bool perf_offsets_read(struct perf_offsets *offsets, const char *path, char *reason)
{
    *offsets = (struct perf_offsets){0};
    struct reading reading = {.offsets = offsets, .path = path, .reason = reason};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(reason, PERF_OFFSETS_TEXT, "%.150s: %s", path, strerror(errno));
        return false;
    }
    bool ok = lines_read(&reading, file);
    fclose(file);
    if (ok && offsets->cnt == 0) {
        snprintf(reason, PERF_OFFSETS_TEXT, "%.150s: there is no offset in it", path);
        ok = false;
    }
    if (!ok) {
        perf_offsets_end(offsets);
    }
    return ok;
}

void perf_offsets_end(struct perf_offsets *offsets)
{
    free(offsets->ns);
    *offsets = (struct perf_offsets){0};
}
