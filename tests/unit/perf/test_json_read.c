#include "perf/output/json_read.h"

#include "perf/output/hist_code.h"
#include "specimen.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void assert_same_hist(const struct mcq_hdr *a, const struct mcq_hdr *b)
{
    cr_assert_eq(a == NULL, b == NULL);
    if (a == NULL) {
        return;
    }
    cr_assert(a->min == b->min && a->max == b->max && a->in_cnt == b->in_cnt);
    size_t cnt = mcq_hdr_counts_cnt(a->value_max);
    cr_assert_eq(memcmp(a->counts, b->counts, cnt * sizeof *a->counts), 0);
}

static void assert_same_run(const struct perf_run *a, const struct perf_run *b)
{
    cr_assert(a->valid == b->valid && strcmp(a->reason, b->reason) == 0);
    cr_assert(a->start_s == b->start_s && a->seconds == b->seconds);
    for (unsigned i = 0; i < PERF_METRIC_CNT; i++) {
        bool same = fabs(a->metrics[i] - b->metrics[i]) <= 1e-9 * fabs(a->metrics[i]);
        cr_assert(isnan(a->metrics[i]) ? isnan(b->metrics[i]) : same);
    }
    for (unsigned i = 0; i < PERF_HIST_CNT; i++) {
        assert_same_hist(a->hists[i], b->hists[i]);
    }
    cr_assert(a->interval_cnt == b->interval_cnt && a->interval_s == b->interval_s);
}

Test(json_read, what_was_written_comes_back)
{
    char reason[PERF_SENTENCE_MAX];
    size_t len;
    struct perf_artefact *a = specimen_artefact(3, 1.2);
    perf_run_refuse(&a->results[1]->runs[2], "a gap: %d to %d, \"so\"", 3, 5);
    a->results[0]->runs[1].metrics[PERF_METRIC_FLOOR] = 7.0625;
    char *text = specimen_json(a, &len);
    struct perf_artefact *b = perf_artefact_parse(text, len, reason);
    cr_assert_not_null(b, "%s", reason);
    cr_assert_eq(a->result_cnt, b->result_cnt);
    for (unsigned i = 0; i < a->result_cnt; i++) {
        cr_assert(perf_results_alike(a->results[i], b->results[i]));
        cr_assert_str_eq(a->results[i]->arm, b->results[i]->arm);
        cr_assert_eq(a->results[i]->run_cnt, b->results[i]->run_cnt);
        for (unsigned run = 0; run < a->results[i]->run_cnt; run++) {
            assert_same_run(&a->results[i]->runs[run], &b->results[i]->runs[run]);
        }
    }
    /* Facts come back group by group. */
    cr_assert_eq(a->env.cnt, b->env.cnt);
    cr_assert_str_eq(b->env.facts[0].text, "6.1 \"x\"");
    cr_assert_str_eq(b->env.facts[1].name, "command line");
    perf_artefact_compare(b);
    cr_assert_eq(a->comparison_cnt, b->comparison_cnt);
    free(text);
    perf_artefact_end(a);
    perf_artefact_end(b);
}

/* Memory just as long as the text, so that a byte read behind it is noticed. */
static void feed(const char *text, size_t len)
{
    char reason[PERF_SENTENCE_MAX] = "";
    char *exact = malloc(len > 0 ? len : 1);
    struct perf_flat flat;
    memcpy(exact, text, len);
    struct perf_artefact *a = perf_artefact_parse(exact, len, reason);
    cr_assert(a != NULL || reason[0] != '\0');
    if (a != NULL) {
        perf_artefact_compare(a);
    }
    perf_artefact_end(a);
    perf_flat_parse(exact, len, &flat, reason);
    free(exact);
}

static struct perf_artefact *small(void)
{
    struct perf_artefact *a = perf_artefact_new("load", 0, NULL);
    struct perf_result *r = perf_result_new("load", "mcq");
    struct perf_run *run = perf_run_add(r);
    struct mcq_hdr *h = perf_hist_new();
    a->env.facts[a->env.cnt++] = (struct perf_fact){"host", "kernel", "6.1"};
    perf_result_number(r, "rate", 10.5);
    for (uint64_t i = 1; i < 30; i++) {
        mcq_hdr_record(h, i * i * 100);
    }
    perf_run_hist(run, PERF_HIST_RTT, h);
    perf_hist_end(h);
    run->metrics[PERF_METRIC_RATE] = 1e5;
    perf_artefact_add(a, r);
    return a;
}

Test(json_read, truncated_anywhere)
{
    struct perf_artefact *a = small();
    size_t len;
    char *text = specimen_json(a, &len);
    for (size_t cut = 0; cut <= len; cut++) {
        feed(text, cut);
    }
    free(text);
    perf_artefact_end(a);
}

Test(json_read, damaged_anywhere)
{
    static const char bytes[] = "\"{}[],:0-9eE.tnA=\\\x80\xff ";
    struct perf_artefact *a = small();
    size_t len;
    char *text = specimen_json(a, &len);
    for (size_t at = 0; at < len; at++) {
        char was = text[at];
        for (size_t i = at % 3; i < sizeof bytes; i += 3) {
            text[at] = bytes[i];
            feed(text, len);
        }
        text[at] = was;
    }
    free(text);
    perf_artefact_end(a);
}

/* text with each value in turn, from one colon to the next comma or brace, made another type. */
Test(json_read, wrong_types_anywhere)
{
    static const char *const others[] = {"null",
                                         "true",
                                         "-1e308",
                                         "\"x\"",
                                         "[]",
                                         "{}",
                                         "[{}]",
                                         "99999999999999999",
                                         "{\"a\":{\"b\":[1,\"c\",null]}}"};
    struct perf_artefact *a = small();
    size_t len;
    char *text = specimen_json(a, &len);
    for (size_t at = 0; at < len; at++) {
        if (text[at] != ':' && text[at] != '[') {
            continue;
        }
        size_t depth = 0, end = at + 1;
        bool inside = false;
        while (end < len && (inside || depth > 0 || strchr(",}]", text[end]) == NULL)) {
            inside = inside != (text[end] == '"');
            depth += !inside && (text[end] == '{' || text[end] == '[');
            depth -= !inside && (text[end] == '}' || text[end] == ']');
            end++;
        }
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            char *made = NULL;
            int made_len = asprintf(&made, "%.*s%s%s", (int)at + 1, text, others[i], text + end);
            feed(made, (size_t)made_len);
            free(made);
        }
    }
    free(text);
    perf_artefact_end(a);
}

static void assert_refused(const char *text, const char *why)
{
    char reason[PERF_SENTENCE_MAX] = "";
    struct perf_artefact *a = perf_artefact_parse(text, strlen(text), reason);
    cr_assert_null(a, "%s", text);
    cr_assert(strstr(reason, why) != NULL, "%s: %s", text, reason);
}

#define OPEN   "{\"schema\":\"mcq-perf\",\"version\":1,\"results\":["
#define RESULT "{\"workload\":\"w\",\"arm\":\"a\",\"params\":{},\"runs\":["

Test(json_read, refusals_say_what_is_wrong)
{
    assert_refused("", "isn't JSON");
    assert_refused("[]", "isn't a JSON object");
    assert_refused("{\"schema\":\"mcq-perf\",\"schema\":1}", "duplicate");
    assert_refused("{\"schema\":\"other\"}", "schema");
    assert_refused("{\"schema\":\"mcq-perf\",\"version\":2,\"results\":[]}", "version");
    assert_refused("{\"schema\":\"mcq-perf\",\"version\":1}", "no results");
    assert_refused(OPEN "1]}", "lacks");
    assert_refused(OPEN RESULT "7]}]}", "run");
    assert_refused(OPEN RESULT "{\"valid\":1}]}]}", "valid");
    assert_refused(OPEN RESULT "{\"valid\":true,\"metrics\":{\"msgs_per_s\":\"x\"}}]}]}",
                   "msgs_per_s");
    assert_refused(OPEN RESULT "{\"valid\":true,\"histograms\":{\"rtt\":{}}}]}]}", "hdr");
    assert_refused(OPEN RESULT "{\"valid\":true,\"histograms\":{\"rtt\":{\"hdr\":\"HIST\"}}}]}]}",
                   "damaged");
    assert_refused(OPEN RESULT "{\"valid\":true,\"series\":{\"fds\":[1,2],\"p50_us\":[1]}}]}]}",
                   "series");
}

Test(json_read, too_much_of_anything)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    fputs(OPEN RESULT "{\"valid\":true}", to);
    for (unsigned i = 0; i < PERF_RUNS_MAX; i++) {
        fputs(",{\"valid\":true}", to);
    }
    fputs("]}]}", to);
    fclose(to);
    assert_refused(text, "too many runs");
    free(text);
    to = open_memstream(&text, &len);
    fputs(OPEN RESULT "]}", to);
    for (unsigned i = 0; i < PERF_RESULTS_MAX; i++) {
        fputs("," RESULT "]}", to);
    }
    fputs("]}", to);
    fclose(to);
    assert_refused(text, "results");
    free(text);
}

Test(json_read, a_later_version_may_add)
{
    static const char text[] =
        OPEN RESULT "{\"valid\":true,\"new\":[],\"metrics\":{\"new\":\"x\",\"lost\":3},"
                    "\"histograms\":{\"new\":4},\"series\":{\"new\":[1]}}]}],\"more\":{}}";
    char reason[PERF_SENTENCE_MAX];
    struct perf_artefact *a = perf_artefact_parse(text, sizeof text - 1, reason);
    cr_assert_not_null(a, "%s", reason);
    cr_assert_eq(a->results[0]->runs[0].metrics[PERF_METRIC_LOST], 3);
    perf_artefact_end(a);
}

Test(json_read, flat_objects)
{
    static const char text[] =
        "{\"peer\": \"mcq\", \"p50_us\": 12.5, \"p9999_us\": null, \"cpus\": "
        "[0, 1], \"size\": 16}";
    char reason[PERF_SENTENCE_MAX];
    struct perf_flat flat;
    cr_assert(perf_flat_parse(text, sizeof text - 1, &flat, reason));
    cr_assert(flat.cnt == 2 && flat.values[0] == 12.5 && flat.values[1] == 16);
    cr_assert_str_eq(flat.names[0], "p50_us");
    cr_assert(!perf_flat_parse("[1]", 3, &flat, reason));
}

Test(json_read, files)
{
    char reason[PERF_SENTENCE_MAX];
    cr_assert_null(perf_artefact_load("/nowhere/at.all", reason));
    cr_assert(strstr(reason, "can't be opened") != NULL);
    cr_assert_null(perf_artefact_load("/proc/self", reason));
    cr_assert(strstr(reason, "can't be read") != NULL, "%s", reason);
}
