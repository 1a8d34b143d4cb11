#include "perf/output/hlog.h"

#include "perf/output/hist_code.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static void line_put(const char *tag, double start_s, double seconds, const struct mcq_hdr *h,
                     FILE *to)
{
    char *code = perf_hist_encode(h);
    fprintf(to, "Tag=%s,%.3f,%.3f,%.3f,%s\n", tag, start_s, seconds, (double)h->max / 1e6, code);
    free(code);
}

static void intervals_put(const struct perf_run *run, unsigned number, double start_s, FILE *to)
{
    char tag[32];
    snprintf(tag, sizeof tag, "run%u", number);
    for (uint32_t i = 0; i < run->interval_cnt; i++) {
        if (run->intervals[i] != NULL) {
            line_put(tag, start_s + i * run->interval_s, run->interval_s, run->intervals[i], to);
        }
    }
}

static void whole_put(const struct perf_run *run, unsigned number, double start_s, FILE *to)
{
    for (unsigned kind = 0; kind < PERF_HIST_CNT; kind++) {
        char tag[64];
        if (run->hists[kind] != NULL) {
            snprintf(tag, sizeof tag, "run%u-%s", number, perf_hist_kinds[kind].name);
            line_put(tag, start_s, run->seconds, run->hists[kind], to);
        }
    }
}

static void head_put(const struct perf_result *r, double start_s, FILE *to)
{
    char when[64] = "";
    struct tm utc;
    time_t second = (time_t)start_s;
    if (gmtime_r(&second, &utc) != NULL) {
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    fprintf(to, "#[mcq-perf %s of %s, values in ns, maxima in ms]\n", r->workload, r->arm);
    fputs("#[Histogram log format version 1.3]\n", to);
    fprintf(to, "#[StartTime: %.3f (seconds since epoch), %s]\n", start_s, when);
    fputs("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
          "\"Interval_Compressed_Histogram\"\n",
          to);
}

void perf_hlog_write(const struct perf_result *r, FILE *to)
{
    double start_s = NAN;
    for (unsigned i = 0; i < r->run_cnt; i++) {
        if (r->runs[i].valid) {
            start_s = fmin(start_s, r->runs[i].start_s);
        }
    }
    start_s = isfinite(start_s) ? start_s : 0;
    head_put(r, start_s, to);
    for (unsigned i = 0; i < r->run_cnt; i++) {
        const struct perf_run *run = &r->runs[i];
        double since_s = run->start_s - start_s;
        if (!run->valid) {
            continue;
        }
        if (run->intervals != NULL) {
            intervals_put(run, i + 1, since_s, to);
        } else {
            whole_put(run, i + 1, since_s, to);
        }
    }
}
