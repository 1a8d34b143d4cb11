#include "perf/output/text.h"
#include "perf/output/artefact.h"
#include "perf/output/slower.h"
#include "perf/output/summary.h"

#include <math.h>
#include <string.h>

/* What a table of percentiles has in a column. */
#define CELL_LEN 12

/* Three digits or so, in the unit that makes them short. */
static void duration_text(char *cell, double us)
{
    if (isnan(us)) {
        snprintf(cell, CELL_LEN, "n/a");
    } else if (us < 1) {
        snprintf(cell, CELL_LEN, "%.0fns", us * 1e3);
    } else if (us < 1e3) {
        snprintf(cell, CELL_LEN, "%.*fus", us < 100 ? 2 : 1, us);
    } else if (us < 1e6) {
        snprintf(cell, CELL_LEN, "%.*fms", us < 1e5 ? 2 : 1, us / 1e3);
    } else {
        snprintf(cell, CELL_LEN, "%.2fs", us / 1e6);
    }
}

static void heading_print(const struct perf_result *r, FILE *to)
{
    unsigned valid = perf_summary_valid(r);
    fprintf(to, "\n%s  %s", r->workload, r->arm);
    for (unsigned i = 0; i < r->param_cnt; i++) {
        fprintf(to, "  %s %s", r->params[i].name, r->params[i].text);
    }
    if (r->run_cnt == 0) {
        fprintf(to, "  INVALID: no run\n");
    } else if (valid == r->run_cnt) {
        fprintf(to, "  %.3gs x%u  VALID\n", r->runs[0].seconds, r->run_cnt);
    } else {
        fprintf(to, "  %.3gs x%u  INVALID: %u of %u runs\n", r->runs[0].seconds, r->run_cnt,
                r->run_cnt - valid, r->run_cnt);
    }
    for (unsigned i = 0; i < r->run_cnt; i++) {
        if (!r->runs[i].valid) {
            fprintf(to, "  run %u: %s\n", i + 1, r->runs[i].reason);
        }
    }
}

static void percentiles_head(FILE *to)
{
    static const char *const names[PERF_POINT_CNT] = {"p50",    "p90",     "p99", "p99.9",
                                                      "p99.99", "p99.999", "max"};
    fprintf(to, "  %-10s", "");
    for (unsigned i = 0; i < PERF_POINT_CNT; i++) {
        fprintf(to, "%10s", names[i]);
    }
    fprintf(to, "%14s\n", "samples");
}

static void spread_row(const char *name, const struct perf_summary *points, bool high, FILE *to)
{
    fprintf(to, "  %10s", name);
    for (unsigned i = 0; i < PERF_POINT_CNT; i++) {
        char cell[CELL_LEN];
        duration_text(cell, high ? points[i].high : points[i].low);
        fprintf(to, "%10s", points[i].cnt > 0 ? cell : "");
    }
    fprintf(to, "\n");
}

static void hist_print(const struct perf_result *r, enum perf_hist kind, FILE *to)
{
    struct perf_summary points[PERF_POINT_CNT];
    fprintf(to, "  %-10s", perf_hist_kinds[kind].name);
    for (unsigned i = 0; i < PERF_POINT_CNT; i++) {
        char cell[CELL_LEN];
        points[i] = perf_summary_of(r, perf_summary_point(kind, i));
        duration_text(cell, points[i].median);
        fprintf(to, "%10s", cell);
    }
    fprintf(to, "%14llu", (unsigned long long)perf_summary_records(r, kind));
    fprintf(to, kind == PERF_HIST_LAG ? "  <- the generator, not what is measured\n" : "\n");
    if (perf_summary_valid(r) > 1) {
        spread_row("least", points, false, to);
        spread_row("most", points, true, to);
    }
}

static void hists_print(const struct perf_result *r, FILE *to)
{
    bool first = true;
    for (unsigned kind = 0; kind < PERF_HIST_CNT; kind++) {
        if (!perf_summary_has(r, kind)) {
            continue;
        }
        if (first) {
            percentiles_head(to);
        }
        first = false;
        hist_print(r, kind, to);
    }
}

static void metrics_print(const struct perf_result *r, FILE *to)
{
    for (unsigned i = 0; i < PERF_METRIC_CNT; i++) {
        struct perf_summary s = perf_summary_of(r, perf_summary_metric(i));
        const struct perf_kind *kind = &perf_metric_kinds[i];
        int digits = (int)kind->digits;
        if (s.cnt == 0) {
            continue;
        }
        fprintf(to, "  %-24s%14.*f %-7s", kind->name, digits, s.median, kind->unit);
        if (s.cnt > 1) {
            fprintf(to, "  %.*f - %.*f", digits, s.low, digits, s.high);
        }
        fprintf(to, "\n");
    }
}

static void result_print(const struct perf_result *r, FILE *to)
{
    heading_print(r, to);
    hists_print(r, to);
    metrics_print(r, to);
}

static void interval_print(const struct perf_verdict *v, FILE *to)
{
    char ratio[64] = "n/a";
    if (isfinite(v->ratio) && isfinite(v->low)) {
        snprintf(ratio, sizeof ratio, "%.3f [%.3f, %.3f]", v->ratio, v->low, v->high);
    } else if (isfinite(v->ratio)) {
        snprintf(ratio, sizeof ratio, "%.3f", v->ratio);
    }
    fprintf(to, "%-25s", ratio);
}

void perf_text_verdict_head(const char *a, const char *b, FILE *to)
{
    fprintf(to, "  %-24s%12.11s%12.11s  %-25s%s\n", "", a, b, "ratio [95 %]", "verdict");
}

void perf_text_verdict(const char *figure, const struct perf_verdict *v, FILE *to)
{
    fprintf(to, "  %-24s%12.6g%12.6g  ", figure, v->median_a, v->median_b);
    interval_print(v, to);
    if (v->runs_a < PERF_VERDICT_RUNS_MIN || v->runs_b < PERF_VERDICT_RUNS_MIN) {
        fprintf(to, "%-12s(%u and %u runs, %u are needed)\n", perf_judgement_name(v->judgement),
                v->runs_a, v->runs_b, PERF_VERDICT_RUNS_MIN);
    } else {
        fprintf(to, "%-12sp %.4f\n", perf_judgement_name(v->judgement), v->p_value);
    }
}

static void comparisons_print(const struct perf_artefact *a, FILE *to)
{
    for (unsigned i = 0; i < a->comparison_cnt; i++) {
        const struct perf_comparison *c = &a->comparisons[i];
        const struct perf_comparison *before = i > 0 ? &a->comparisons[i - 1] : NULL;
        if (before == NULL || before->a != c->a || before->b != c->b) {
            const struct perf_result *r = a->results[c->b];
            fprintf(to, "\n%s  %s against %s", r->workload, r->arm, a->results[c->a]->arm);
            for (unsigned p = 0; p < r->param_cnt; p++) {
                fprintf(to, "  %s %s", r->params[p].name, r->params[p].text);
            }
            fputc('\n', to);
            perf_text_verdict_head(a->results[c->a]->arm, r->arm, to);
        }
        perf_text_verdict(c->figure, &c->verdict, to);
    }
}

static const char *fact_find(const struct perf_environment *env, const char *group,
                             const char *name)
{
    const char *text = perf_environment_find(env, group, name);
    return text != NULL ? text : "unknown";
}

static void machine_print(const struct perf_environment *env, FILE *to)
{
    fprintf(to, "%s, Linux %s, CPUs %s, doctor: %s\n", fact_find(env, "cpu", "model"),
            fact_find(env, "host", "kernel"), fact_find(env, "cpu", "used"),
            fact_find(env, "doctor", "verdict"));
}

void perf_artefact_print(const struct perf_artefact *a, FILE *to)
{
    machine_print(&a->env, to);
    perf_slower_print(a, to);
    for (unsigned i = 0; i < a->result_cnt; i++) {
        result_print(a->results[i], to);
    }
    comparisons_print(a, to);
    if (a->result_cnt > 0) {
        fputs(
            "\nFigures are medians over the valid runs, with the least and the most of them; n/a: "
            "fewer\nthan 10 samples lie above. us, ms and s are times of one sample.\n",
            to);
    }
    if (a->comparison_cnt > 0) {
        fputs("A verdict is worse or better only if all figures of a comparison, taken together, "
              "leave no\nmore than 1.6 % to chance (docs/MEASURING.md).\n",
              to);
    }
}
