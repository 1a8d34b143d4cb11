/* What the table of checks holds for other forms: a profile of tuned, and the docs' table. */
#include <string.h>

#include "check.h"
#include "print.h"

#define LINE_MAX_LEN 640u

/* Calls each() for every "section|line" of all checks. */
typedef void line_fn(void *ctx, const char *section, size_t section_len, const char *line);

static void each_line(line_fn *each, void *ctx)
{
    for (uint32_t g = 0; g < CHECK_GROUPS; g++)
        for (uint32_t i = 0; i < *doctor_check_groups[g].cnt; i++)
            for (const char *at = doctor_check_groups[g].checks[i].tuned; at != NULL;) {
                const char *bar = strchr(at, '|');
                each(ctx, at, (size_t)(bar - at), bar + 1);
                at = strchr(at, '\n');
                at = at == NULL ? NULL : at + 1;
            }
}

struct writer {
    FILE *out;
    const struct exam *e;
    const char *section;
    const char *first, *before; /* what comes before the first line, and before others */
    uint32_t lines;
};

static void write_line(void *ctx, const char *section, size_t section_len, const char *line)
{
    struct writer *w = ctx;
    char one[LINE_MAX_LEN], text[LINE_MAX_LEN * 2];
    if (strlen(w->section) != section_len || strncmp(w->section, section, section_len) != 0 ||
        doctor_check_is_out_of_house(w->e, line))
        return;
    snprintf(one, sizeof one, "%.*s", (int)strcspn(line, "\n"), line);
    doctor_check_expand(w->e, one, text, sizeof text);
    fprintf(w->out, "%s%s", w->lines++ == 0 ? w->first : w->before, text);
}

void print_tuned(FILE *out, const struct mcq_doctor_opts *opts)
{
    static const char *const sections[] = {"cpu", "vm", "sysctl", "sysfs", "net"};
    struct exam e;
    char cpus[MCQ_DOCTOR_CPUS_LEN];
    doctor_exam_init(&e, opts);
    doctor_set_list(&e.shards_on, cpus, sizeof cpus);
    fprintf(out,
            "# Written by mcq-doctor --emit-tuned, for shards on CPU %s.\n"
            "# As /etc/tuned/monocoque/tuned.conf: tuned-adm profile monocoque, then reboot.\n"
            "# Without tuned, the kernel command line is what follows cmdline_monocoque=+.\n"
            "[main]\nsummary=Monocoque shards on CPU %s\n",
            cpus, cpus);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        fprintf(out, "\n[%s]", sections[i]);
        if (strcmp(sections[i], "net") == 0 && e.nic[0] != '\0')
            fprintf(out, "\ndevices=%s", e.nic);
        each_line(write_line, &(struct writer){out, &e, sections[i], "\n", "\n", 0});
        fputc('\n', out);
    }
    fputs("\n[bootloader]\ncmdline_monocoque=", out);
    each_line(write_line, &(struct writer){out, &e, "boot", "+", " ", 0});
    fputc('\n', out);
    doctor_exam_fini(&e);
}

/* A bar would end the cell. */
static void cell(FILE *out, const char *text)
{
    fputs(" ", out);
    for (; *text != '\0'; text++)
        fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
    fputs(" |", out);
}

void print_checks(FILE *out)
{
    fputs("| check | group | reads | wants | what it costs otherwise |\n"
          "| --- | --- | --- | --- | --- |\n",
          out);
    for (uint32_t g = 0; g < CHECK_GROUPS; g++)
        for (uint32_t i = 0; i < *doctor_check_groups[g].cnt; i++) {
            const struct check *c = &doctor_check_groups[g].checks[i];
            char path[MCQ_DOCTOR_PATH_LEN];
            snprintf(path, sizeof path, "`%s`", c->path);
            fprintf(out, "| `%s` | %s |", c->id, doctor_check_groups[g].name);
            cell(out, path);
            cell(out, c->wanted);
            cell(out, c->cost);
            fputc('\n', out);
        }
}
