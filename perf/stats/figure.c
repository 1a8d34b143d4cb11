#include "perf/stats/figure.h"

#include <math.h>
#include <stdio.h>

struct place {
    bool metric;
    unsigned kind, point;
};

static struct place place_of(unsigned figure)
{
    if (figure < PERF_METRIC_CNT) {
        return (struct place){.metric = true, .kind = figure};
    }
    unsigned rest = figure - PERF_METRIC_CNT;
    return (struct place){.kind = rest / PERF_POINT_CNT, .point = rest % PERF_POINT_CNT};
}

enum perf_better perf_figure_better(unsigned figure)
{
    struct place at = place_of(figure);
    return at.metric ? perf_metric_kinds[at.kind].better : perf_hist_kinds[at.kind].better;
}

void perf_figure_name(unsigned figure, char *name)
{
    struct place at = place_of(figure);
    if (at.metric) {
        snprintf(name, PERF_TEXT_MAX, "%s", perf_metric_kinds[at.kind].name);
    } else {
        snprintf(name, PERF_TEXT_MAX, "%s %s", perf_hist_kinds[at.kind].name,
                 perf_point_names[at.point]);
    }
}

double perf_figure_of(const struct perf_run *run, unsigned figure)
{
    struct place at = place_of(figure);
    if (at.metric) {
        return run->metrics[at.kind];
    }
    return run->hists[at.kind] != NULL ? perf_point_us(run->hists[at.kind], at.point) : NAN;
}

unsigned perf_figure_values(const struct perf_result *r, unsigned figure, double *values,
                            unsigned *there_cnt)
{
    unsigned cnt = 0;
    *there_cnt = 0;
    for (unsigned i = 0; i < r->run_cnt; i++) {
        if (r->runs[i].valid) {
            values[cnt] = perf_figure_of(&r->runs[i], figure);
            *there_cnt += isfinite(values[cnt]) ? 1 : 0;
            cnt++;
        }
    }
    return cnt;
}
