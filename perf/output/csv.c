#include "perf/output/csv.h"

#include <math.h>
#include <string.h>

#define COLUMNS_MAX 64u

struct columns {
    const char *names[COLUMNS_MAX]; /* of parameters */
    unsigned cnt;
};

static const char *param_text(const struct perf_result *r, const char *name)
{
    for (unsigned i = 0; i < r->param_cnt; i++) {
        if (strcmp(r->params[i].name, name) == 0) {
            return r->params[i].text;
        }
    }
    return "";
}

static void columns_find(const struct perf_artefact *a, struct columns *columns)
{
    columns->cnt = 0;
    for (unsigned i = 0; i < a->result_cnt; i++) {
        for (unsigned p = 0; p < a->results[i]->param_cnt; p++) {
            const char *name = a->results[i]->params[p].name;
            unsigned at = 0;
            while (at < columns->cnt && strcmp(columns->names[at], name) != 0) {
                at++;
            }
            if (at == columns->cnt && at < COLUMNS_MAX) {
                columns->names[columns->cnt++] = name;
            }
        }
    }
}

static void text_put(const char *text, FILE *to)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, to);
        return;
    }
    fputc('"', to);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', to);
        }
        fputc(*text, to);
    }
    fputc('"', to);
}

static void number_put(double value, FILE *to)
{
    fputc(',', to);
    if (isfinite(value)) {
        fprintf(to, "%.13g", value);
    }
}

static void head_put(const struct columns *columns, FILE *to)
{
    fputs("workload,arm", to);
    for (unsigned i = 0; i < columns->cnt; i++) {
        fputc(',', to);
        text_put(columns->names[i], to);
    }
    fputs(",run,valid", to);
}

static void run_put(const struct perf_result *r, unsigned run, const struct columns *columns,
                    FILE *to)
{
    text_put(r->workload, to);
    fputc(',', to);
    text_put(r->arm, to);
    for (unsigned i = 0; i < columns->cnt; i++) {
        fputc(',', to);
        text_put(param_text(r, columns->names[i]), to);
    }
    fprintf(to, ",%u,%d", run + 1, r->runs[run].valid);
}

static bool metric_known(const struct perf_artefact *a, unsigned metric)
{
    for (unsigned i = 0; i < a->result_cnt; i++) {
        for (unsigned run = 0; run < a->results[i]->run_cnt; run++) {
            if (!isnan(a->results[i]->runs[run].metrics[metric])) {
                return true;
            }
        }
    }
    return false;
}

static void metrics_put(const struct perf_run *run, const bool *known, FILE *to)
{
    number_put(run->start_s, to);
    number_put(run->seconds, to);
    for (unsigned i = 0; i < PERF_METRIC_CNT; i++) {
        if (known[i]) {
            number_put(run->metrics[i], to);
        }
    }
    fputc(',', to);
    text_put(run->reason, to);
    fputs("\r\n", to);
}

void perf_csv_runs(const struct perf_artefact *a, FILE *to)
{
    struct columns columns;
    bool known[PERF_METRIC_CNT];
    columns_find(a, &columns);
    head_put(&columns, to);
    fputs(",start_s,seconds", to);
    for (unsigned i = 0; i < PERF_METRIC_CNT; i++) {
        known[i] = metric_known(a, i);
        if (known[i]) {
            fprintf(to, ",%s", perf_metric_kinds[i].name);
        }
    }
    fputs(",reason\r\n", to);
    for (unsigned i = 0; i < a->result_cnt; i++) {
        for (unsigned run = 0; run < a->results[i]->run_cnt; run++) {
            run_put(a->results[i], run, &columns, to);
            metrics_put(&a->results[i]->runs[run], known, to);
        }
    }
}

static void points_put(const struct perf_result *r, unsigned run, const struct columns *columns,
                       FILE *to)
{
    for (unsigned kind = 0; kind < PERF_HIST_CNT; kind++) {
        const struct mcq_hdr *h = r->runs[run].hists[kind];
        for (unsigned point = 0; h != NULL && point < PERF_POINT_CNT; point++) {
            run_put(r, run, columns, to);
            fprintf(to, ",%s,%s", perf_hist_kinds[kind].name, perf_point_names[point]);
            number_put(perf_point_us(h, point), to);
            fputs("\r\n", to);
        }
    }
}

void perf_csv_points(const struct perf_artefact *a, FILE *to)
{
    struct columns columns;
    columns_find(a, &columns);
    head_put(&columns, to);
    fputs(",histogram,point,us\r\n", to);
    for (unsigned i = 0; i < a->result_cnt; i++) {
        for (unsigned run = 0; run < a->results[i]->run_cnt; run++) {
            points_put(a->results[i], run, &columns, to);
        }
    }
}
