/* The plan as a picture: who sits where on the machine. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"

#define MARGIN     24.0
#define TITLE_H    64.0 /* title and legend */
#define WIDTH_MIN  760.0
#define NOTE_FONT  12.0
#define NOTE_H     18.0
#define LEGEND_BOX 16.0

enum role { FREE, SHARD, KERNEL, BESIDE, UNUSABLE, ROLES };

static const struct {
    const char *fill, *stroke, *text, *legend;
} roles[ROLES] = {
    [FREE] = {"#ffffff", "#b6bfcb", "#5b6675", "free"},
    [SHARD] = {"#1d5fd1", "#12408f", "#ffffff", "S0: shard 0"},
    [KERNEL] = {"#f2a33a", "#b06f10", "#2b1a00",
                "K0: kernel thread of shard 0's ring; K0+1: and of one more"},
    [BESIDE] = {"#dbe7fb", "#9db8e6", "#5b6675", "sibling of one that is taken"},
    [UNUSABLE] = {"#e3e6ea", "#c9ced6", "#9aa3af", "not for this process"},
};

static const struct {
    const char *fill, *stroke, *text;
} frames[] = {
    [BOX_MACHINE] = {"none", "none", "#000000"},
    [BOX_PACKAGE] = {"#eef1f5", "#8792a2", "#2d3748"},
    [BOX_NODE] = {"#e4f2e7", "#7fb08a", "#22543d"},
    [BOX_L3] = {"#fdf6e3", "#d9c48f", "#6b5514"},
    [BOX_CORE] = {"#ffffff", "#aeb7c4", "#5b6675"},
    [BOX_CPU] = {"none", "none", "none"},
};

/* What is known of each CPU of the plan. */
struct picture {
    FILE *out;
    const struct mcq_topo_plan *plan;
    enum role *role;
    char (*name)[24]; /* "S3", "K3+1" */
    bool drawn[ROLES];
};

static void text(FILE *out, const char *words)
{
    for (; *words != '\0'; words++) {
        switch (*words) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        default:
            fputc(*words, out);
        }
    }
}

static void put_text(FILE *out, double x, double y, double font, const char *style,
                     const char *fill, const char *words)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.0f\" fill=\"%s\"%s>", x, y, font, fill,
            style);
    text(out, words);
    fputs("</text>\n", out);
}

static void put_rect(FILE *out, double x, double y, double w, double h, const char *fill,
                     const char *stroke)
{
    fprintf(out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"4\" fill=\"%s\" "
            "stroke=\"%s\"/>\n",
            x, y, w, h, fill, stroke);
}

/* --- who sits where ------------------------------------------------------------------------- */

static uint32_t cpu_idx(const struct mcq_topo_plan *plan, uint32_t cpu)
{
    for (uint32_t i = 0; cpu != MCQ_TOPO_NONE && i < plan->cpu_cnt; i++)
        if (plan->cpus[i].cpu == cpu)
            return i;
    return MCQ_TOPO_NONE;
}

static void seat_shards(struct picture *p)
{
    for (uint32_t i = 0; i < p->plan->shard_cnt; i++) {
        uint32_t idx = cpu_idx(p->plan, p->plan->shards[i].cpu);
        if (idx == MCQ_TOPO_NONE)
            continue;
        p->role[idx] = SHARD;
        snprintf(p->name[idx], sizeof p->name[idx], "S%" PRIu32, i);
    }
}

static void seat_kernel(struct picture *p, uint32_t idx)
{
    uint32_t first = MCQ_TOPO_NONE, more = 0;
    for (uint32_t i = 0; i < p->plan->shard_cnt; i++) {
        if (p->plan->shards[i].sqpoll_cpu != p->plan->cpus[idx].cpu)
            continue;
        more += first != MCQ_TOPO_NONE;
        first = first == MCQ_TOPO_NONE ? i : first;
    }
    if (first == MCQ_TOPO_NONE)
        return;
    p->role[idx] = KERNEL;
    if (more == 0)
        snprintf(p->name[idx], sizeof p->name[idx], "K%" PRIu32, first);
    else
        snprintf(p->name[idx], sizeof p->name[idx], "K%" PRIu32 "+%" PRIu32, first, more);
}

static bool core_taken(const struct picture *p, uint32_t core)
{
    for (uint32_t i = 0; i < p->plan->cpu_cnt; i++)
        if (p->plan->cpus[i].core == core && (p->role[i] == SHARD || p->role[i] == KERNEL))
            return true;
    return false;
}

static void seat(struct picture *p)
{
    seat_shards(p);
    for (uint32_t i = 0; i < p->plan->cpu_cnt; i++)
        seat_kernel(p, i);
    for (uint32_t i = 0; i < p->plan->cpu_cnt; i++) {
        if (p->role[i] == FREE && !p->plan->cpus[i].usable)
            p->role[i] = UNUSABLE;
        else if (p->role[i] == FREE && core_taken(p, p->plan->cpus[i].core))
            p->role[i] = BESIDE;
        p->drawn[p->role[i]] = true;
    }
}

/* --- drawing -------------------------------------------------------------------------------- */

static void draw_cpu(struct picture *p, const struct box *b)
{
    enum role role = p->role[b->key];
    const char *name = p->name[b->key];
    char number[16];
    double middle = b->x + b->w / 2;
    snprintf(number, sizeof number, "#%" PRIu32, p->plan->cpus[b->key].cpu);
    put_rect(p->out, b->x, b->y, b->w, b->h, roles[role].fill, roles[role].stroke);
    if (name[0] != '\0')
        put_text(p->out, middle, b->y + 17, strlen(name) > 4 ? 11 : 13,
                 " font-weight=\"bold\" text-anchor=\"middle\"", roles[role].text, name);
    put_text(p->out, middle, b->y + (name[0] == '\0' ? 22 : 30), 10, " text-anchor=\"middle\"",
             roles[role].text, number);
}

static void draw(struct picture *p, const struct box *b)
{
    if (b->kind == BOX_CPU) {
        draw_cpu(p, b);
        return;
    }
    if (b->kind != BOX_MACHINE) {
        bool core = b->kind == BOX_CORE;
        put_rect(p->out, b->x, b->y, b->w, b->h, frames[b->kind].fill, frames[b->kind].stroke);
        put_text(p->out, b->x + (core ? 5 : 10), b->y + (core ? 11 : 16), core ? 10 : 12,
                 b->kind == BOX_PACKAGE ? " font-weight=\"bold\"" : "", frames[b->kind].text,
                 b->label);
    }
    for (const struct box *c = b->child; c != NULL; c = c->next)
        draw(p, c);
}

static void draw_title(const struct picture *p)
{
    char title[128];
    uint32_t cores = 0, pinned = 0;
    for (uint32_t i = 0; i < p->plan->cpu_cnt; i++)
        cores += p->plan->cpus[i].sibling == 0;
    for (uint32_t i = 0; i < p->plan->shard_cnt; i++)
        pinned += p->plan->shards[i].cpu != MCQ_TOPO_NONE;
    snprintf(title, sizeof title,
             "%" PRIu32 " shard%s%s \xc2\xb7 %" PRIu32 " core%s, %" PRIu32 " CPU%s, %" PRIu32
             " NUMA node%s",
             p->plan->shard_cnt, p->plan->shard_cnt == 1 ? "" : "s",
             pinned == 0 ? ", not pinned" : "", cores, cores == 1 ? "" : "s", p->plan->cpu_cnt,
             p->plan->cpu_cnt == 1 ? "" : "s", p->plan->node_cnt,
             p->plan->node_cnt == 1 ? "" : "s");
    put_text(p->out, MARGIN, MARGIN + 14, 18, " font-weight=\"bold\"", "#1a202c", title);
}

static void draw_legend(const struct picture *p)
{
    double x = MARGIN, y = MARGIN + 28;
    for (int r = 0; r < ROLES; r++) {
        if (!p->drawn[r])
            continue;
        put_rect(p->out, x, y, LEGEND_BOX, LEGEND_BOX, roles[r].fill, roles[r].stroke);
        put_text(p->out, x + LEGEND_BOX + 6, y + 12, 12, "", "#2d3748", roles[r].legend);
        x += LEGEND_BOX + 6 + box_text_w(roles[r].legend, 12) + 18;
    }
}

/* Room that the legend takes; roles drawn are known. */
static double legend_w(const struct picture *p)
{
    double w = 0;
    for (int r = 0; r < ROLES; r++)
        if (p->drawn[r])
            w += LEGEND_BOX + 6 + box_text_w(roles[r].legend, 12) + 18;
    return w;
}

/* The notes, wrapped at w; without out only counted. Returns lines. */
static uint32_t draw_notes(const struct picture *p, FILE *out, double w, double y)
{
    uint32_t lines = 0;
    size_t fit = (size_t)(w / box_text_w("n", NOTE_FONT)) - 2;
    for (uint32_t i = 0; i < p->plan->note_cnt; i++) {
        const char *at = p->plan->notes[i];
        for (bool first = true; *at != '\0'; first = false, lines++) {
            char line[512];
            size_t len = strlen(at), cut = len;
            if (len > fit) {
                for (cut = fit; cut > 0 && at[cut] != ' '; cut--)
                    ;
                cut = cut == 0 ? fit : cut;
            }
            snprintf(line, sizeof line, "%s%.*s", first ? "\xe2\x80\xa2 " : "", (int)cut, at);
            if (out != NULL)
                put_text(out, MARGIN + (first ? 0 : 11), y + NOTE_H * (lines + 1), NOTE_FONT, "",
                         "#4a5568", line);
            at += cut;
            at += strspn(at, " ");
        }
    }
    return lines;
}

static void draw_all(struct picture *p, const struct box *machine)
{
    double w = machine->w, bottom = machine->y + machine->h;
    uint32_t lines = draw_notes(p, NULL, w, 0);
    double height = bottom + (lines == 0 ? 0 : 12 + NOTE_H * lines) + MARGIN;
    fprintf(p->out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\" font-family=\"DejaVu Sans, Verdana, Helvetica, Arial, "
            "sans-serif\">\n",
            w + 2 * MARGIN, height, w + 2 * MARGIN, height);
    fprintf(p->out, "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
    draw_title(p);
    draw_legend(p);
    draw(p, machine);
    draw_notes(p, p->out, w, bottom + 4);
    fputs("</svg>\n", p->out);
}

bool svg_print(FILE *out, const struct mcq_topo_plan *plan)
{
    struct picture p = {.out = out, .plan = plan};
    p.role = calloc(plan->cpu_cnt + 1u, sizeof *p.role);
    p.name = calloc(plan->cpu_cnt + 1u, sizeof *p.name);
    struct box *machine = NULL;
    if (p.role != NULL && p.name != NULL) {
        seat(&p);
        machine = box_make(plan, MARGIN, MARGIN + TITLE_H, fmax(WIDTH_MIN, legend_w(&p)));
    }
    if (machine != NULL)
        draw_all(&p, machine);
    box_free(machine);
    free(p.role);
    free(p.name);
    return machine != NULL;
}
