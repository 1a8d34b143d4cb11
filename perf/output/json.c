#include "perf/output/artefact.h"
#include "perf/output/hist.h"
#include "perf/output/hist_code.h"
#include "perf/output/summary.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CURVE_PER_HALF 8u
/* Above this a double isn't a whole number any more. */
#define WHOLE_MAX 9007199254740992.0

static json_t *number(double value)
{
    if (!isfinite(value)) {
        return json_null();
    }
    if (value == floor(value) && fabs(value) < WHOLE_MAX) {
        return json_integer((json_int_t)value);
    }
    return json_real(value);
}

/* Arguments and file names may hold anything; JSON is UTF-8. */
static json_t *text(const char *bytes)
{
    json_t *as_is = json_string(bytes);
    if (as_is != NULL) {
        return as_is;
    }
    char *plain = perf_zeroed(1, strlen(bytes) + 1);
    for (size_t i = 0; bytes[i] != '\0'; i++) {
        plain[i] = (unsigned char)bytes[i] < 0x80 ? bytes[i] : '?';
    }
    json_t *made = json_string(plain);
    free(plain);
    return made;
}

static json_t *environment_json(const struct perf_environment *env)
{
    json_t *groups = json_object();
    for (unsigned i = 0; i < env->cnt; i++) {
        const struct perf_fact *fact = &env->facts[i];
        json_t *group = json_object_get(groups, fact->group);
        if (group == NULL) {
            group = json_object();
            json_object_set_new(groups, fact->group, group);
        }
        json_object_set_new(group, fact->name, text(fact->text));
    }
    return groups;
}

static json_t *params_json(const struct perf_result *r)
{
    json_t *params = json_object();
    for (unsigned i = 0; i < r->param_cnt; i++) {
        const struct perf_param *param = &r->params[i];
        json_t *value = param->number ? number(strtod(param->text, NULL)) : text(param->text);
        json_object_set_new(params, param->name, value);
    }
    return params;
}

static json_t *metrics_json(const struct perf_run *run)
{
    json_t *metrics = json_object();
    for (unsigned i = 0; i < PERF_METRIC_CNT; i++) {
        if (!isnan(run->metrics[i])) {
            json_object_set_new(metrics, perf_metric_kinds[i].name, number(run->metrics[i]));
        }
    }
    return metrics;
}

static json_t *hist_json(const struct mcq_hdr *h)
{
    json_t *hist = json_object();
    json_t *points = json_object();
    struct perf_moments moments = perf_hist_moments(h);
    bool some = mcq_hdr_cnt(h) > 0;
    char *code = perf_hist_encode(h);
    for (unsigned i = 0; i < PERF_POINT_CNT; i++) {
        json_object_set_new(points, perf_point_names[i], number(perf_point_us(h, i)));
    }
    json_object_set_new(hist, "count", json_integer((json_int_t)mcq_hdr_cnt(h)));
    json_object_set_new(hist, "min_us", number(some ? (double)h->min / 1e3 : NAN));
    json_object_set_new(hist, "mean_us", number(moments.mean_us));
    json_object_set_new(hist, "stddev_us", number(moments.stddev_us));
    json_object_set_new(hist, "max_us", number(some ? (double)h->max / 1e3 : NAN));
    json_object_set_new(hist, "points", points);
    json_object_set_new(hist, "hdr", json_string(code));
    free(code);
    return hist;
}

static json_t *hists_json(const struct perf_run *run)
{
    json_t *hists = json_object();
    for (unsigned i = 0; i < PERF_HIST_CNT; i++) {
        if (run->hists[i] != NULL) {
            json_object_set_new(hists, perf_hist_kinds[i].name, hist_json(run->hists[i]));
        }
    }
    return hists;
}

/* NULL when the run has none. */
static json_t *series_json(const struct perf_run *run)
{
    json_t *series = NULL;
    for (unsigned kind = 0; kind < PERF_SERIES_CNT; kind++) {
        if (run->series[kind] == NULL) {
            continue;
        }
        if (series == NULL) {
            series = json_object();
            json_object_set_new(series, "interval_s", number(run->interval_s));
        }
        json_t *values = json_array();
        for (uint32_t i = 0; i < run->interval_cnt; i++) {
            json_array_append_new(values, number(run->series[kind][i]));
        }
        json_object_set_new(series, perf_series_kinds[kind].name, values);
    }
    return series;
}

static json_t *run_json(const struct perf_run *run)
{
    json_t *json = json_object();
    json_t *series = series_json(run);
    json_object_set_new(json, "valid", json_boolean(run->valid));
    json_object_set_new(json, "reason", run->valid ? json_null() : text(run->reason));
    json_object_set_new(json, "start_s", number(run->start_s));
    json_object_set_new(json, "seconds", number(run->seconds));
    json_object_set_new(json, "metrics", metrics_json(run));
    json_object_set_new(json, "histograms", hists_json(run));
    if (series != NULL) {
        json_object_set_new(json, "series", series);
    }
    return json;
}

static json_t *summary_json(const struct perf_summary *s)
{
    json_t *json = json_object();
    json_object_set_new(json, "median", number(s->median));
    json_object_set_new(json, "low", number(s->low));
    json_object_set_new(json, "high", number(s->high));
    return json;
}

/* [percentile, us] up to where PERF_ABOVE_MIN records lie above. */
static json_t *curve_json(const struct mcq_hdr *h)
{
    json_t *curve = json_array();
    struct perf_climb climb = {.h = h, .per_half = CURVE_PER_HALF, .steady = true};
    double cnt = (double)mcq_hdr_cnt(h);
    while (perf_climb_next(&climb) && cnt * (1 - climb.percentile / 100) >= PERF_ABOVE_MIN) {
        json_t *point = json_array();
        json_array_append_new(point, number(climb.percentile));
        json_array_append_new(point, number(climb.value_us));
        json_array_append_new(curve, point);
    }
    return curve;
}

static json_t *hist_summary_json(const struct perf_result *r, enum perf_hist kind)
{
    json_t *json = json_object();
    json_t *points = json_object();
    struct mcq_hdr *all = perf_hist_together(r, kind);
    for (unsigned i = 0; i < PERF_POINT_CNT; i++) {
        struct perf_summary s = perf_summary_of(r, perf_summary_point(kind, i));
        json_object_set_new(points, perf_point_names[i],
                            s.cnt > 0 ? summary_json(&s) : json_null());
    }
    json_object_set_new(json, "points", points);
    json_object_set_new(json, "curve", curve_json(all));
    perf_hist_end(all);
    return json;
}

static json_t *result_summary_json(const struct perf_result *r)
{
    json_t *json = json_object();
    json_t *metrics = json_object();
    json_t *hists = json_object();
    for (unsigned i = 0; i < PERF_METRIC_CNT; i++) {
        struct perf_summary s = perf_summary_of(r, perf_summary_metric(i));
        if (s.cnt > 0) {
            json_object_set_new(metrics, perf_metric_kinds[i].name, summary_json(&s));
        }
    }
    for (unsigned i = 0; i < PERF_HIST_CNT; i++) {
        if (perf_summary_has(r, i)) {
            json_object_set_new(hists, perf_hist_kinds[i].name, hist_summary_json(r, i));
        }
    }
    json_object_set_new(json, "metrics", metrics);
    json_object_set_new(json, "histograms", hists);
    return json;
}

static json_t *result_json(const struct perf_result *r)
{
    json_t *json = json_object();
    json_t *runs = json_array();
    for (unsigned i = 0; i < r->run_cnt; i++) {
        json_array_append_new(runs, run_json(&r->runs[i]));
    }
    json_object_set_new(json, "workload", text(r->workload));
    json_object_set_new(json, "arm", text(r->arm));
    json_object_set_new(json, "params", params_json(r));
    json_object_set_new(json, "runs", runs);
    json_object_set_new(json, "summary", result_summary_json(r));
    return json;
}

static json_t *comparison_json(const struct perf_artefact *a, const struct perf_comparison *c)
{
    const struct perf_verdict *v = &c->verdict;
    json_t *json = json_object();
    json_object_set_new(json, "workload", text(a->results[c->a]->workload));
    json_object_set_new(json, "a", json_integer(c->a));
    json_object_set_new(json, "b", json_integer(c->b));
    json_object_set_new(json, "figure", text(c->figure));
    json_object_set_new(json, "median_a", number(v->median_a));
    json_object_set_new(json, "median_b", number(v->median_b));
    json_object_set_new(json, "ratio", number(v->ratio));
    json_object_set_new(json, "low", number(v->low));
    json_object_set_new(json, "high", number(v->high));
    json_object_set_new(json, "p_value", number(v->p_value));
    json_object_set_new(json, "runs_a", json_integer(v->runs_a));
    json_object_set_new(json, "runs_b", json_integer(v->runs_b));
    json_object_set_new(json, "verdict", json_string(perf_judgement_name(v->judgement)));
    return json;
}

static json_t *artefact_json(const struct perf_artefact *a)
{
    json_t *json = json_object();
    json_t *arguments = json_array();
    json_t *results = json_array();
    json_t *comparisons = json_array();
    for (int i = 0; i < a->argc; i++) {
        json_array_append_new(arguments, text(a->argv[i]));
    }
    for (unsigned i = 0; i < a->result_cnt; i++) {
        json_array_append_new(results, result_json(a->results[i]));
    }
    for (unsigned i = 0; i < a->comparison_cnt; i++) {
        json_array_append_new(comparisons, comparison_json(a, &a->comparisons[i]));
    }
    json_object_set_new(json, "schema", json_string("mcq-perf"));
    json_object_set_new(json, "version", json_integer(PERF_SCHEMA_VERSION));
    json_object_set_new(json, "command", text(a->command));
    json_object_set_new(json, "arguments", arguments);
    json_object_set_new(json, "valid", json_boolean(perf_artefact_valid(a)));
    json_object_set_new(json, "environment", environment_json(&a->env));
    json_object_set_new(json, "results", results);
    json_object_set_new(json, "comparisons", comparisons);
    return json;
}

bool perf_artefact_json(const struct perf_artefact *a, FILE *to)
{
    json_t *json = artefact_json(a);
    bool ok = json_dumpf(json, to, JSON_REAL_PRECISION(13)) == 0 && fputc('\n', to) != EOF &&
              fflush(to) == 0;
    json_decref(json);
    return ok;
}
