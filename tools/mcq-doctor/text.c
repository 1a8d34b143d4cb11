/* The report for people: a line for what is well, a paragraph for what isn't. */
#include <inttypes.h>
#include <string.h>

#include "print.h"

#define ID_WIDTH  22
#define TEXT_AT   33u /* where what was found begins */
#define LABEL_AT  10u
#define DETAIL_AT 17u

static const char *colour_of(enum mcq_doctor_status status)
{
    switch (status) {
    case MCQ_DOCTOR_PASS:
        return "\033[32m";
    case MCQ_DOCTOR_UNKNOWN:
        return "\033[2m";
    case MCQ_DOCTOR_WARN:
        return "\033[33m";
    case MCQ_DOCTOR_FAIL:
        return "\033[1;31m";
    }
    return "";
}

/* How much of a text goes into a line of so many columns: whole words, if any word fits. */
static size_t line_len(const char *text, size_t room)
{
    size_t len = strlen(text), at = room;
    if (len <= room)
        return len;
    while (at > 0 && text[at] != ' ')
        at--;
    return at == 0 ? room : at;
}

/* A command goes on behind a backslash, so that it can be pasted as it stands. */
static void wrapped(FILE *out, const char *text, unsigned indent, unsigned columns, bool command)
{
    size_t room = columns - indent;
    for (bool first = true; first || *text != '\0'; first = false) {
        size_t n = strlen(text) <= room ? strlen(text) : line_len(text, command ? room - 2 : room);
        bool more = text[n] != '\0';
        fprintf(out, "%*s%.*s%s\n", first ? 0 : (int)indent, "", (int)n, text,
                !more            ? ""
                : !command       ? ""
                : text[n] == ' ' ? " \\"
                                 : "\\");
        text += n;
        while (*text == ' ')
            text++;
    }
}

static bool is_command(const char *fix)
{
    return strncmp(fix, "no command: ", 12) != 0 && strncmp(fix, "kernel command line: ", 21) != 0;
}

static void detail(FILE *out, const char *label, const char *text, unsigned columns, bool command)
{
    fprintf(out, "%*s%-*s", (int)LABEL_AT, "", (int)(DETAIL_AT - LABEL_AT), label);
    wrapped(out, text, DETAIL_AT, columns, command);
}

static void result(FILE *out, const struct mcq_doctor_result *r, const struct print_look *look)
{
    fprintf(out, "  %s%-7s%s %-*s ", look->colours ? colour_of(r->status) : "",
            mcq_doctor_status_name(r->status), look->colours ? "\033[0m" : "", ID_WIDTH, r->id);
    wrapped(out, r->found, TEXT_AT, look->columns, false);
    if (r->status != MCQ_DOCTOR_WARN && r->status != MCQ_DOCTOR_FAIL)
        return;
    detail(out, "read", r->path, look->columns, false);
    detail(out, "wanted", r->wanted, look->columns, false);
    detail(out, "cost", r->cost, look->columns, false);
    detail(out, "fix", r->fix, look->columns, is_command(r->fix));
}

static void head(FILE *out, const struct mcq_doctor_report *report, unsigned columns)
{
    char line[MCQ_DOCTOR_FOUND_LEN + MCQ_DOCTOR_CPUS_LEN + 256];
    snprintf(line, sizeof line,
             "Linux %s; %" PRIu32 " shard%s on CPU %s (%s); interface %s; counters watched for "
             "%" PRIu32 " ms",
             report->kernel[0] == '\0' ? "?" : report->kernel, report->shards,
             report->shards == 1 ? "" : "s", report->cpus, report->note,
             report->nic[0] == '\0' ? "none" : report->nic, report->window_ms);
    wrapped(out, line, 0, columns, false);
}

/* The names of all with a status, in one paragraph. */
static void sum(FILE *out, const struct mcq_doctor_report *report, enum mcq_doctor_status status,
                const struct print_look *look)
{
    char names[MCQ_DOCTOR_RESULTS_MAX * 24] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < report->result_cnt && status >= MCQ_DOCTOR_WARN; i++)
        if (report->results[i].status == status && at + 32 < sizeof names)
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at == 0 ? "" : ", ",
                                   report->results[i].id);
    fprintf(out, "  %s%-7s%s %3" PRIu32 "%s", look->colours ? colour_of(status) : "",
            mcq_doctor_status_name(status), look->colours ? "\033[0m" : "", report->cnts[status],
            at == 0 ? "" : "  ");
    wrapped(out, names, 15, look->columns, false);
}

void print_text(FILE *out, const struct mcq_doctor_report *report, const struct print_look *look)
{
    const char *group = "";
    head(out, report, look->columns);
    for (uint32_t i = 0; i < report->result_cnt; i++) {
        const struct mcq_doctor_result *r = &report->results[i];
        if (strcmp(group, r->group) != 0)
            fprintf(out, "\n%s\n", r->group);
        group = r->group;
        result(out, r, look);
    }
    fputs("\nin all\n", out);
    for (unsigned i = MCQ_DOCTOR_STATUS_CNT; i > 0; i--)
        sum(out, report, (enum mcq_doctor_status)(i - 1), look);
}
