#include "perf/output/artefact.h"
#include "perf/output/csv.h"
#include "perf/output/hgrm.h"
#include "perf/output/hist.h"
#include "perf/output/hlog.h"
#include "perf/output/page.h"
#include "perf/output/summary.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_LEN_MAX 4096
#define NAME_LEN_MAX 200

static FILE *file_open(const char *dir, const char *name)
{
    char path[PATH_LEN_MAX];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
    } else {
        FILE *to = fopen(path, "we");
        if (to != NULL) {
            return to;
        }
    }
    fprintf(stderr, "mcq-perf: %s can't be written in %s: %s\n", name, dir, strerror(errno));
    return NULL;
}

static bool file_end(FILE *to, const char *dir, const char *name)
{
    bool failed = ferror(to) != 0;
    if (fclose(to) == 0 && !failed) {
        return true;
    }
    fprintf(stderr, "mcq-perf: %s can't be written in %s: %s\n", name, dir, strerror(errno));
    return false;
}

/* "load-mcq-3": letters, digits and what a shell leaves alone; the number keeps them apart. */
static void name_of(const struct perf_artefact *a, unsigned result, char *name)
{
    const struct perf_result *r = a->results[result];
    snprintf(name, NAME_LEN_MAX, "%.60s-%s-%u", r->workload, r->arm, result);
    for (char *at = name; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("-._", *at) == NULL) {
            *at = '_';
        }
    }
}

static bool hgrm_save(const struct perf_artefact *a, unsigned result, enum perf_hist kind,
                      const char *dir)
{
    char stem[NAME_LEN_MAX], name[NAME_LEN_MAX + 40];
    name_of(a, result, stem);
    snprintf(name, sizeof name, "%s-%s.hgrm", stem, perf_hist_kinds[kind].name);
    FILE *to = file_open(dir, name);
    if (to == NULL) {
        return false;
    }
    struct mcq_hdr *all = perf_hist_together(a->results[result], kind);
    perf_hgrm_write(all, to);
    perf_hist_end(all);
    return file_end(to, dir, name);
}

static bool hlog_save(const struct perf_artefact *a, unsigned result, const char *dir)
{
    char stem[NAME_LEN_MAX], name[NAME_LEN_MAX + 8];
    name_of(a, result, stem);
    snprintf(name, sizeof name, "%s.hlog", stem);
    FILE *to = file_open(dir, name);
    if (to == NULL) {
        return false;
    }
    perf_hlog_write(a->results[result], to);
    return file_end(to, dir, name);
}

static bool result_save(const struct perf_artefact *a, unsigned result, const char *dir)
{
    bool ok = true, any = false;
    for (unsigned kind = 0; kind < PERF_HIST_CNT; kind++) {
        if (perf_summary_has(a->results[result], kind)) {
            ok = hgrm_save(a, result, kind, dir) && ok;
            any = true;
        }
    }
    return (!any || hlog_save(a, result, dir)) && ok;
}

typedef void write_fn(const struct perf_artefact *a, FILE *to);

static void json_write(const struct perf_artefact *a, FILE *to)
{
    perf_artefact_json(a, to);
}

static void page_write(const struct perf_artefact *a, FILE *to)
{
    perf_page_write(a, to);
}

static bool table_save(const struct perf_artefact *a, const char *dir, const char *name,
                       write_fn *write)
{
    FILE *to = file_open(dir, name);
    if (to == NULL) {
        return false;
    }
    write(a, to);
    return file_end(to, dir, name);
}

bool perf_artefact_save(const struct perf_artefact *a, const char *dir)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "mcq-perf: the folder %s can't be made: %s\n", dir, strerror(errno));
        return false;
    }
    bool ok = table_save(a, dir, "result.json", json_write);
    ok = table_save(a, dir, "runs.csv", perf_csv_runs) && ok;
    ok = table_save(a, dir, "points.csv", perf_csv_points) && ok;
    ok = table_save(a, dir, "report.html", page_write) && ok;
    for (unsigned i = 0; i < a->result_cnt; i++) {
        ok = result_save(a, i, dir) && ok;
    }
    return ok;
}
