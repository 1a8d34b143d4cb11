/* The report for programs. */
#include <inttypes.h>

#include "print.h"

static void string(FILE *out, const char *key, const char *text)
{
    fprintf(out, ", \"%s\": \"", key);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20 || *at > 0x7e)
            fprintf(out, "\\u%04x", *at);
        else
            fputc(*at, out);
    }
    fputc('"', out);
}

static void string_or_null(FILE *out, const char *key, const char *text)
{
    if (text[0] == '\0')
        fprintf(out, ", \"%s\": null", key);
    else
        string(out, key, text);
}

static void result(FILE *out, const struct mcq_doctor_result *r)
{
    fprintf(out, "{\"id\": \"%s\", \"group\": \"%s\", \"status\": \"%s\"", r->id, r->group,
            mcq_doctor_status_name(r->status));
    string(out, "found", r->found);
    string(out, "path", r->path);
    string(out, "wanted", r->wanted);
    string(out, "cost", r->cost);
    string_or_null(out, "fix", r->fix);
    fputc('}', out);
}

void print_json(FILE *out, const struct mcq_doctor_report *report)
{
    fprintf(out, "{\"schema\": \"mcq-doctor\", \"version\": 1, \"verdict\": \"%s\"",
            mcq_doctor_status_name(mcq_doctor_verdict(report)));
    string_or_null(out, "kernel", report->kernel);
    string(out, "cpus", report->cpus);
    string(out, "note", report->note);
    string_or_null(out, "nic", report->nic);
    fprintf(out, ", \"shards\": %" PRIu32 ", \"window_ms\": %" PRIu32 ",\n \"counts\": {",
            report->shards, report->window_ms);
    for (unsigned i = 0; i < MCQ_DOCTOR_STATUS_CNT; i++)
        fprintf(out, "%s\"%s\": %" PRIu32, i == 0 ? "" : ", ",
                mcq_doctor_status_name((enum mcq_doctor_status)i), report->cnts[i]);
    fputs("},\n \"checks\": [", out);
    for (uint32_t i = 0; i < report->result_cnt; i++) {
        fputs(i == 0 ? "\n  " : ",\n  ", out);
        result(out, &report->results[i]);
    }
    fputs("]}\n", out);
}
