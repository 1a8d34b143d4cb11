#include "box.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CPU_W        46.0
#define CPU_H        36.0
#define CPUS_PER_ROW 4u
#define LABEL_FONT   12.0

/* Per kind: frame around the children, gap between them, height of the label, wanted width to
 * height. */
static const struct {
    double pad, gap, head, aspect;
} looks[] = {
    [BOX_MACHINE] = {0, 16, 0, 1.7}, [BOX_PACKAGE] = {12, 12, 22, 2.2},
    [BOX_NODE] = {10, 10, 22, 2.2},  [BOX_L3] = {8, 8, 20, 3.0},
    [BOX_CORE] = {4, 3, 15, 2.0},    [BOX_CPU] = {0, 0, 0, 1.0},
};

/* --- the tree ------------------------------------------------------------------------------- */

struct forest {
    struct box *boxes;
    size_t cnt;
};

static struct box *add(struct forest *f, struct box *parent, enum box_kind kind, uint32_t key)
{
    struct box *b = &f->boxes[f->cnt++];
    b->kind = kind;
    b->key = key;
    if (parent->last == NULL)
        parent->child = b;
    else
        parent->last->next = b;
    parent->last = b;
    return b;
}

/* The parent's box of that kind and number; the parent itself if the machine has no such level. */
static struct box *inside(struct forest *f, struct box *parent, enum box_kind kind, uint32_t key)
{
    if (key == MCQ_TOPO_NONE)
        return parent;
    for (struct box *b = parent->child; b != NULL; b = b->next)
        if (b->kind == kind && b->key == key)
            return b;
    return add(f, parent, kind, key);
}

static bool caches_span_nodes(const struct mcq_topo_plan *plan)
{
    for (uint32_t i = 1; i < plan->cpu_cnt; i++) {
        const struct mcq_topo_cpu *a = &plan->cpus[i - 1], *b = &plan->cpus[i];
        if (a->l3 == b->l3 && a->l3 != MCQ_TOPO_NONE && a->node != b->node)
            return true;
    }
    return false;
}

static void add_cpus(struct forest *f, struct box *machine, const struct mcq_topo_plan *plan)
{
    bool cache_first = caches_span_nodes(plan);
    for (uint32_t i = 0; i < plan->cpu_cnt; i++) {
        const struct mcq_topo_cpu *cpu = &plan->cpus[i];
        struct box *at = inside(f, machine, BOX_PACKAGE, cpu->package);
        if (cache_first)
            at = inside(f, at, BOX_L3, cpu->l3);
        at = inside(f, at, BOX_NODE, cpu->node);
        if (!cache_first)
            at = inside(f, at, BOX_L3, cpu->l3);
        at = inside(f, at, BOX_CORE, cpu->core);
        add(f, at, BOX_CPU, i);
    }
}

static bool node_has_cpu(const struct mcq_topo_plan *plan, uint32_t node)
{
    for (uint32_t i = 0; i < plan->cpu_cnt; i++)
        if (plan->cpus[i].node == node)
            return true;
    return false;
}

static void add_memory(struct forest *f, struct box *machine, const struct mcq_topo_plan *plan)
{
    for (uint32_t i = 0; i < plan->node_cnt; i++) {
        const struct mcq_topo_node *n = &plan->nodes[i];
        if (!node_has_cpu(plan, n->node))
            add(f, inside(f, machine, BOX_PACKAGE, n->package), BOX_NODE, n->node);
    }
}

/* --- labels --------------------------------------------------------------------------------- */

static size_t put_bytes(char *at, size_t len, uint64_t bytes)
{
    bool gib = bytes >= 1ull << 30;
    double value = (double)bytes / (double)(gib ? 1u << 30 : 1u << 20);
    int n = snprintf(at, len, value < 10 && fmod(value, 1) >= 0.05 ? "%.1f %s" : "%.0f %s", value,
                     gib ? "GiB" : "MiB");
    return n < 0 ? 0 : (size_t)n;
}

static void label_node(struct box *b, const struct mcq_topo_plan *plan)
{
    uint64_t memory = 0, arenas = 0;
    uint32_t shards = 0;
    for (uint32_t i = 0; i < plan->node_cnt; i++)
        memory = plan->nodes[i].node == b->key ? plan->nodes[i].memory_bytes : memory;
    for (uint32_t i = 0; i < plan->shard_cnt; i++)
        if (plan->shards[i].node == b->key) {
            arenas += plan->shards[i].arena_bytes;
            shards++;
        }
    size_t at = (size_t)snprintf(b->label, BOX_LABEL_LEN, "NUMA node %" PRIu32, b->key);
    if (memory != 0) {
        at += (size_t)snprintf(b->label + at, BOX_LABEL_LEN - at, " \xc2\xb7 ");
        at += put_bytes(b->label + at, BOX_LABEL_LEN - at, memory);
    }
    if (b->child == NULL)
        at += (size_t)snprintf(b->label + at, BOX_LABEL_LEN - at, " \xc2\xb7 memory only");
    if (shards != 0) {
        at += (size_t)snprintf(b->label + at, BOX_LABEL_LEN - at, " \xc2\xb7 %" PRIu32 " arena%s, ",
                               shards, shards == 1 ? "" : "s");
        put_bytes(b->label + at, BOX_LABEL_LEN - at, arenas);
    }
}

static void label(struct box *b, const struct mcq_topo_plan *plan)
{
    switch (b->kind) {
    case BOX_PACKAGE:
        snprintf(b->label, BOX_LABEL_LEN, "package %" PRIu32, b->key);
        break;
    case BOX_NODE:
        label_node(b, plan);
        break;
    case BOX_L3:
        snprintf(b->label, BOX_LABEL_LEN, "L3 %" PRIu32, b->key);
        break;
    case BOX_CORE:
        snprintf(b->label, BOX_LABEL_LEN, "core %" PRIu32, b->key);
        break;
    case BOX_MACHINE:
    case BOX_CPU:
        break;
    }
    for (struct box *c = b->child; c != NULL; c = c->next)
        label(c, plan);
}

double box_text_w(const char *text, double font)
{
    return 0.6 * font * (double)strlen(text);
}

/* --- places --------------------------------------------------------------------------------- */

struct size {
    double w, h;
};

/* Children in rows no wider than max_w, from the top left; sets their places relative to it. */
static struct size flow(struct box *b, double max_w)
{
    double gap = looks[b->kind].gap, x = 0, y = 0, row = 0;
    struct size s = {0, 0};
    for (struct box *c = b->child; c != NULL; c = c->next) {
        if (x > 0 && x + c->w > max_w + 0.5) {
            x = 0;
            y += row + gap;
            row = 0;
        }
        c->x = x;
        c->y = y;
        x += c->w + gap;
        row = fmax(row, c->h);
        s.w = fmax(s.w, x - gap);
        s.h = y + row;
    }
    return s;
}

/* As many in the first row as bring the box nearest to its wanted shape, without much waste. */
static double best_width(struct box *b)
{
    double gap = looks[b->kind].gap, best = 0, best_cost = INFINITY, w = -gap, area = 0;
    uint32_t n = 0;
    for (const struct box *c = b->child; c != NULL; c = c->next)
        area += c->w * c->h;
    for (const struct box *c = b->child; c != NULL; c = c->next) {
        w += c->w + gap;
        if (b->kind == BOX_CORE && ++n > CPUS_PER_ROW)
            break;
        struct size s = flow(b, w);
        double cost = fabs(log(s.w / s.h / looks[b->kind].aspect)) - 2.5 * area / (s.w * s.h);
        if (cost < best_cost - 1e-9) {
            best = w;
            best_cost = cost;
        }
    }
    return best;
}

static void size_up(struct box *b)
{
    double pad = looks[b->kind].pad;
    if (b->kind == BOX_CPU) {
        b->w = CPU_W;
        b->h = CPU_H;
        return;
    }
    for (struct box *c = b->child; c != NULL; c = c->next)
        size_up(c);
    struct size s = b->child == NULL ? (struct size){0, 0} : flow(b, best_width(b));
    double label_w = box_text_w(b->label, LABEL_FONT);
    b->w = fmax(s.w, label_w) + 2 * pad;
    b->h =
        looks[b->kind].head + s.h + (b->child == NULL ? 0 : pad) + (b->kind == BOX_MACHINE ? 0 : 2);
}

static void move(struct box *b, double x, double y)
{
    b->x += x;
    b->y += y;
    for (struct box *c = b->child; c != NULL; c = c->next)
        move(c, b->x + looks[b->kind].pad, b->y + looks[b->kind].head);
}

struct box *box_make(const struct mcq_topo_plan *plan, double x, double y, double min_w)
{
    struct forest f = {0};
    /* package, node, cache, core and CPU for each, a package and a node for each node */
    f.boxes = calloc(1 + (size_t)plan->cpu_cnt * 5 + (size_t)plan->node_cnt * 2, sizeof *f.boxes);
    if (f.boxes == NULL)
        return NULL;
    struct box *machine = &f.boxes[f.cnt++];
    machine->kind = BOX_MACHINE;
    add_cpus(&f, machine, plan);
    add_memory(&f, machine, plan);
    label(machine, plan);
    size_up(machine);
    machine->w = fmax(machine->w, min_w);
    move(machine, x, y);
    return machine;
}

void box_free(struct box *machine)
{
    free(machine);
}
