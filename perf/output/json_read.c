#include "perf/output/json_read.h"

#include "perf/output/hist_code.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct perf_artefact *artefact;
    char *reason;
};

__attribute__((format(printf, 2, 3))) static bool refuse(char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reason, PERF_SENTENCE_MAX, format, args);
    va_end(args);
    return false;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static double number_of(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double number_at(const json_t *object, const char *key)
{
    return number_of(json_object_get(object, key));
}

static void environment_read(struct reader *r, json_t *groups)
{
    struct perf_environment *env = &r->artefact->env;
    const char *group, *name;
    json_t *facts, *fact;
    json_object_foreach(groups, group, facts)
    {
        json_object_foreach(facts, name, fact)
        {
            if (!json_is_string(fact) || env->cnt == PERF_FACTS_MAX) {
                continue;
            }
            struct perf_fact *to = &env->facts[env->cnt++];
            to->group = perf_artefact_word(r->artefact, group);
            to->name = perf_artefact_word(r->artefact, name);
            snprintf(to->text, sizeof to->text, "%s", json_string_value(fact));
        }
    }
}

static bool params_read(struct reader *r, struct perf_result *to, json_t *params)
{
    const char *name;
    json_t *value;
    if (json_object_size(params) > PERF_PARAMS_MAX) {
        return refuse(r->reason, "a result has more than %u parameters", PERF_PARAMS_MAX);
    }
    json_object_foreach(params, name, value)
    {
        const char *word = perf_artefact_word(r->artefact, name);
        if (json_is_string(value)) {
            perf_result_text(to, word, json_string_value(value));
        } else if (json_is_number(value)) {
            perf_result_number(to, word, json_number_value(value));
        } else {
            return refuse(r->reason, "parameter '%.40s' is neither a text nor a number", name);
        }
    }
    return true;
}

/* Of PERF_*_CNT kinds; cnt when there is none of that name. */
static unsigned kind_find(const struct perf_kind *kinds, unsigned cnt, const char *name)
{
    unsigned i = 0;
    while (i < cnt && strcmp(kinds[i].name, name) != 0) {
        i++;
    }
    return i;
}

/* The extremes, which the code rounds to steps, in ns; wrong ones are left as the code has them. */
static void extremes_read(struct mcq_hdr *h, const json_t *hist)
{
    double min = number_at(hist, "min_us") * 1e3, max = number_at(hist, "max_us") * 1e3;
    if (h->in_cnt == 0 || !(min >= 0) || !(max >= min) || !(max < 1e18)) {
        return;
    }
    uint64_t lowest = (uint64_t)llround(min), highest = (uint64_t)llround(max);
    uint64_t held = highest < h->value_max ? highest : h->value_max;
    if (mcq_hdr_index(lowest) == mcq_hdr_index(h->min) &&
        mcq_hdr_index(held) == mcq_hdr_index(h->max < h->value_max ? h->max : h->value_max)) {
        h->min = lowest;
        h->max = highest;
    }
}

static bool hists_read(struct reader *r, struct perf_run *run, json_t *hists)
{
    const char *name;
    json_t *hist;
    json_object_foreach(hists, name, hist)
    {
        unsigned kind = kind_find(perf_hist_kinds, PERF_HIST_CNT, name);
        const char *code = text_of(hist, "hdr");
        if (kind == PERF_HIST_CNT) {
            continue;
        }
        if (code == NULL) {
            return refuse(r->reason, "histogram '%s' has no text 'hdr'", name);
        }
        run->hists[kind] = perf_hist_new();
        if (!perf_hist_decode(code, run->hists[kind])) {
            return refuse(r->reason, "histogram '%s' is damaged: its 'hdr' can't be decoded", name);
        }
        extremes_read(run->hists[kind], hist);
    }
    return true;
}

static bool metrics_read(struct reader *r, struct perf_run *run, json_t *metrics)
{
    const char *name;
    json_t *value;
    json_object_foreach(metrics, name, value)
    {
        unsigned kind = kind_find(perf_metric_kinds, PERF_METRIC_CNT, name);
        if (kind == PERF_METRIC_CNT || json_is_null(value)) {
            continue;
        }
        if (!json_is_number(value)) {
            return refuse(r->reason, "metric '%s' isn't a number", name);
        }
        run->metrics[kind] = json_number_value(value);
    }
    return true;
}

static bool series_read(struct reader *r, struct perf_run *run, json_t *series)
{
    const char *name;
    json_t *values;
    double interval_s = number_at(series, "interval_s");
    run->interval_s = interval_s > 0 ? interval_s : 0;
    json_object_foreach(series, name, values)
    {
        unsigned kind = kind_find(perf_series_kinds, PERF_SERIES_CNT, name);
        size_t cnt = json_array_size(values);
        if (kind == PERF_SERIES_CNT || cnt == 0) {
            continue;
        }
        if (cnt > PERF_INTERVALS_MAX || (run->interval_cnt > 0 && cnt != run->interval_cnt)) {
            return refuse(r->reason, "series '%s' has %zu values: others have not", name, cnt);
        }
        run->interval_cnt = (uint32_t)cnt;
        run->series[kind] = perf_zeroed(cnt, sizeof(double));
        for (size_t i = 0; i < cnt; i++) {
            run->series[kind][i] = number_of(json_array_get(values, i));
        }
    }
    return true;
}

static bool run_read(struct reader *r, struct perf_result *to, json_t *json)
{
    const json_t *valid = json_object_get(json, "valid");
    struct perf_run *run = json_is_object(json) ? perf_run_add(to) : NULL;
    if (run == NULL || !json_is_boolean(valid)) {
        return refuse(r->reason, run == NULL && json_is_object(json)
                                     ? "a result has too many runs"
                                     : "a run isn't an object with a boolean 'valid'");
    }
    if (json_is_false(valid)) {
        const char *reason = text_of(json, "reason");
        perf_run_refuse(run, "%s", reason != NULL ? reason : "no reason is given");
    }
    run->start_s = number_at(json, "start_s");
    run->seconds = number_at(json, "seconds");
    return metrics_read(r, run, json_object_get(json, "metrics")) &&
           hists_read(r, run, json_object_get(json, "histograms")) &&
           series_read(r, run, json_object_get(json, "series"));
}

static bool result_read(struct reader *r, json_t *json)
{
    const char *workload = text_of(json, "workload"), *arm = text_of(json, "arm");
    json_t *runs = json_object_get(json, "runs"), *params = json_object_get(json, "params");
    if (workload == NULL || arm == NULL || !json_is_array(runs) || !json_is_object(params)) {
        return refuse(r->reason, "a result lacks one of workload, arm, params, runs");
    }
    if (r->artefact->result_cnt == PERF_RESULTS_MAX) {
        return refuse(r->reason, "there are more than %u results", PERF_RESULTS_MAX);
    }
    struct perf_result *to = perf_result_new(perf_artefact_word(r->artefact, workload), arm);
    perf_artefact_add(r->artefact, to);
    size_t i;
    json_t *run;
    if (!params_read(r, to, params)) {
        return false;
    }
    json_array_foreach(runs, i, run)
    {
        if (!run_read(r, to, run)) {
            return false;
        }
    }
    return true;
}

static bool artefact_read(struct reader *r, json_t *json)
{
    const char *schema = text_of(json, "schema");
    json_t *version = json_object_get(json, "version");
    json_t *results = json_object_get(json, "results");
    if (schema == NULL || strcmp(schema, "mcq-perf") != 0) {
        return refuse(r->reason, "it isn't an artefact of mcq-perf: \"schema\" isn't \"mcq-perf\"");
    }
    if (json_integer_value(version) != PERF_SCHEMA_VERSION) {
        return refuse(r->reason,
                      "its schema has another version than %d: use the mcq-perf that "
                      "wrote it, or measure again",
                      PERF_SCHEMA_VERSION);
    }
    if (!json_is_array(results)) {
        return refuse(r->reason, "it has no results");
    }
    const char *command = text_of(json, "command");
    r->artefact->command = perf_artefact_word(r->artefact, command != NULL ? command : "unknown");
    environment_read(r, json_object_get(json, "environment"));
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result)
    {
        if (!result_read(r, result)) {
            return false;
        }
    }
    return true;
}

static json_t *object_parse(const char *text, size_t len, char *reason)
{
    json_error_t error;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        refuse(reason, "it isn't JSON: line %d, column %d: %.200s", error.line, error.column,
               error.text);
    } else if (!json_is_object(json)) {
        refuse(reason, "it isn't a JSON object");
        json_decref(json);
        json = NULL;
    }
    return json;
}

struct perf_artefact *perf_artefact_parse(const char *text, size_t len, char *reason)
{
    json_t *json = object_parse(text, len, reason);
    if (json == NULL) {
        return NULL;
    }
    struct reader r = {perf_artefact_new("unknown", 0, NULL), reason};
    if (!artefact_read(&r, json)) {
        perf_artefact_end(r.artefact);
        r.artefact = NULL;
    }
    json_decref(json);
    return r.artefact;
}

char *perf_file_read(FILE *from, const char *name, size_t *len, char *reason)
{
    size_t cap = 65536;
    char *text = perf_zeroed(1, cap + 1);
    size_t got;
    *len = 0;
    while ((got = fread(text + *len, 1, cap - *len, from)) > 0) {
        *len += got;
        if (*len == cap) {
            char *more = perf_zeroed(1, 2 * cap + 1);
            memcpy(more, text, *len);
            free(text);
            text = more;
            cap *= 2;
        }
        if (*len > PERF_FILE_MAX) {
            refuse(reason, "%s is longer than %zu MiB", name, PERF_FILE_MAX >> 20);
            free(text);
            return NULL;
        }
    }
    if (ferror(from)) {
        refuse(reason, "%s can't be read: %s", name, strerror(errno));
        free(text);
        return NULL;
    }
    text[*len] = '\0';
    return text;
}

struct perf_artefact *perf_artefact_load(const char *path, char *reason)
{
    char why[PERF_SENTENCE_MAX];
    size_t len;
    FILE *from = fopen(path, "re");
    if (from == NULL) {
        refuse(reason, "%.200s can't be opened: %s", path, strerror(errno));
        return NULL;
    }
    char *text = perf_file_read(from, path, &len, reason);
    fclose(from);
    if (text == NULL) {
        return NULL;
    }
    struct perf_artefact *a = perf_artefact_parse(text, len, why);
    free(text);
    if (a == NULL) {
        refuse(reason, "%.150s: %.230s", path, why);
    }
    return a;
}

bool perf_flat_parse(const char *text, size_t len, struct perf_flat *flat, char *reason)
{
    json_t *json = object_parse(text, len, reason);
    const char *name;
    json_t *value;
    flat->cnt = 0;
    if (json == NULL) {
        return false;
    }
    json_object_foreach(json, name, value)
    {
        if (json_is_number(value) && flat->cnt < PERF_FLAT_MAX && strlen(name) < PERF_TEXT_MAX) {
            snprintf(flat->names[flat->cnt], PERF_TEXT_MAX, "%s", name);
            flat->values[flat->cnt++] = json_number_value(value);
        }
    }
    json_decref(json);
    return true;
}
