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

/* How much of a text goes into a line of so many columns: whole words, else whole parts of a path.
 */
static size_t line_len(const char *text, size_t room)
{
    size_t at = room;
    while (at > 0 && text[at] != ' ')
        at--;
    if (at > 0)
        return at;
    for (at = room; at > room / 2 && text[at] != '/'; at--)
        ;
    return text[at] == '/' ? at : room;
}

/* Begins in a line where indent columns are taken already. Each further line begins with `begin`,
 * each but the last ends with `end`. */
static void wrapped(FILE *out, const char *text, unsigned indent, unsigned columns,
                    const char *begin, const char *end)
{
    size_t room = columns - indent - strlen(begin) - strlen(end);
    while (strlen(text) > room + strlen(end)) {
        size_t n = line_len(text, room);
        bool word = text[n] == ' ';
        fprintf(out, "%.*s%s%s\n%*s%s", (int)n, text, word && end[0] != '\0' ? " " : "", end,
                (int)indent, "", begin);
        text += n + word;
    }
    fprintf(out, "%s\n", text);
}

static bool is_command(const char *fix)
{
    return strncmp(fix, "no command: ", 12) != 0 && strncmp(fix, "kernel command line: ", 21) != 0;
}

static void detail(FILE *out, const char *label, const char *text, unsigned columns)
{
    fprintf(out, "%*s%-*s", (int)LABEL_AT, "", (int)(DETAIL_AT - LABEL_AT), label);
    wrapped(out, text, DETAIL_AT, columns, "", "");
}

/* A command goes on behind a backslash, so that it can be pasted as it stands; its comment, in
 * which a shell knows no such thing, has lines of its own. */
static void fix_print(FILE *out, const char *fix, unsigned columns)
{
    char command[MCQ_DOCTOR_FIX_LEN];
    const char *comment = is_command(fix) ? strstr(fix, " # ") : NULL;
    if (!is_command(fix)) {
        detail(out, "fix", fix, columns);
        return;
    }
    snprintf(command, sizeof command, "%.*s",
             comment == NULL ? (int)strlen(fix) : (int)(comment - fix), fix);
    fprintf(out, "%*s%-*s", (int)LABEL_AT, "", (int)(DETAIL_AT - LABEL_AT), "fix");
    wrapped(out, command, DETAIL_AT, columns - 1, "", "\\");
    if (comment == NULL)
        return;
    fprintf(out, "%*s# ", (int)DETAIL_AT, "");
    wrapped(out, comment + 3, DETAIL_AT, columns, "# ", "");
}

static void result(FILE *out, const struct mcq_doctor_result *r, const struct print_look *look)
{
    fprintf(out, "  %s%-7s%s %-*s ", look->colours ? colour_of(r->status) : "",
            mcq_doctor_status_name(r->status), look->colours ? "\033[0m" : "", ID_WIDTH, r->id);
    wrapped(out, r->found, TEXT_AT, look->columns, "", "");
    if (r->status != MCQ_DOCTOR_WARN && r->status != MCQ_DOCTOR_FAIL)
        return;
    detail(out, "read", r->path, look->columns);
    detail(out, "wanted", r->wanted, look->columns);
    detail(out, "cost", r->cost, look->columns);
    fix_print(out, r->fix, look->columns);
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
    wrapped(out, line, 0, columns, "", "");
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
    wrapped(out, names, 15, look->columns, "", "");
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
