#include "perf/output/summary.h"

#include "perf/stats/bootstrap.h"
#include "perf/stats/figure.h"

#include <math.h>

struct perf_summary perf_summary_of(const struct perf_result *r, unsigned figure)
{
    double values[PERF_RUNS_MAX], there[PERF_RUNS_MAX];
    struct perf_summary s = {NAN, NAN, NAN, 0};
    unsigned there_cnt;
    unsigned cnt = perf_figure_values(r, figure, values, &there_cnt);
    for (unsigned i = 0; i < cnt; i++) {
        if (isfinite(values[i])) {
            there[s.cnt++] = values[i];
        }
    }
    s.median = perf_median_sort(there, s.cnt);
    if (s.cnt > 0) {
        s.low = there[0];
        s.high = there[s.cnt - 1];
    }
    return s;
}

unsigned perf_summary_metric(enum perf_metric metric)
{
    return metric;
}

unsigned perf_summary_point(enum perf_hist kind, unsigned point)
{
    return PERF_METRIC_CNT + kind * PERF_POINT_CNT + point;
}

bool perf_summary_has(const struct perf_result *r, enum perf_hist kind)
{
    for (unsigned i = 0; i < r->run_cnt; i++) {
        if (r->runs[i].valid && r->runs[i].hists[kind] != NULL) {
            return true;
        }
    }
    return false;
}

uint64_t perf_summary_records(const struct perf_result *r, enum perf_hist kind)
{
    uint64_t cnt = 0;
    for (unsigned i = 0; i < r->run_cnt; i++) {
        const struct mcq_hdr *h = r->runs[i].hists[kind];
        cnt += r->runs[i].valid && h != NULL ? mcq_hdr_cnt(h) : 0;
    }
    return cnt;
}

unsigned perf_summary_valid(const struct perf_result *r)
{
    unsigned cnt = 0;
    for (unsigned i = 0; i < r->run_cnt; i++) {
        cnt += r->runs[i].valid ? 1 : 0;
    }
    return cnt;
}
