#include "shards/topo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"
#include "shards/topo_work.h"

#define SPEED_MAX   255u
#define INDEX_BITS  16u
#define INDEX_MASK  ((1u << INDEX_BITS) - 1)
#define SPEED_SHIFT INDEX_BITS
#define NIC_SHIFT   (SPEED_SHIFT + 8)
#define SECOND_BIT  (1ull << (NIC_SHIFT + 2))

/* --- what the parts share ------------------------------------------------------------------- */

void mcq_topo_note(struct mcq_topo_choice *out, const char *fmt, ...)
{
    va_list args;
    if (out->note_cnt == MCQ_TOPO_NOTES_MAX)
        return;
    va_start(args, fmt);
    vsnprintf(out->notes[out->note_cnt++], MCQ_TOPO_NOTE_LEN, fmt, args);
    va_end(args);
}

uint32_t mcq_topo_find(const struct mcq_topo_facts *facts, uint32_t cpu)
{
    for (uint32_t i = 0; i < facts->cpu_cnt; i++)
        if (facts->cpus[i].cpu == cpu)
            return i;
    return MCQ_TOPO_NONE;
}

void mcq_topo_take(struct mcq_topo_work *w, uint32_t idx, enum mcq_topo_use use)
{
    w->use[idx] = (uint8_t)use;
    w->busy[w->facts->cpus[idx].core] = true;
}

bool mcq_topo_near(const struct mcq_topo_cpu *a, const struct mcq_topo_cpu *b)
{
    if (a->l3 != MCQ_TOPO_NONE || b->l3 != MCQ_TOPO_NONE)
        return a->l3 == b->l3;
    return a->node == b->node && a->package == b->package;
}

static const char *plural(uint32_t n)
{
    return n == 1 ? "" : "s";
}

static const struct mcq_topo_node *node_find(const struct mcq_topo_facts *f, uint32_t node)
{
    for (uint32_t i = 0; i < f->node_cnt; i++)
        if (f->nodes[i].node == node)
            return &f->nodes[i];
    return NULL;
}

/* --- order ---------------------------------------------------------------------------------- */

/* 0: on the interface's node, 1: in its package, 2: elsewhere, or no interface. */
static uint64_t nic_rank(const struct mcq_topo_facts *f, const struct mcq_topo_cpu *cpu)
{
    const struct mcq_topo_node *nic = node_find(f, f->nic_node);
    if (nic == NULL)
        return 2;
    if (cpu->node == nic->node)
        return 0;
    return cpu->package == nic->package && nic->package != MCQ_TOPO_NONE ? 1 : 2;
}

static int by_key(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void order_make(struct mcq_topo_work *w)
{
    uint64_t keys[MCQ_CPUS_MAX];
    bool seen[MCQ_CPUS_MAX] = {false};
    const struct mcq_topo_facts *f = w->facts;
    for (uint32_t i = 0; i < f->cpu_cnt; i++) {
        const struct mcq_topo_cpu *cpu = &f->cpus[i];
        if (w->use[i] != MCQ_TOPO_FREE)
            continue;
        uint64_t speed = SPEED_MAX - mcq_min(cpu->speed, SPEED_MAX);
        keys[w->cnt++] = (seen[cpu->core] ? SECOND_BIT : 0) | nic_rank(f, cpu) << NIC_SHIFT |
                         speed << SPEED_SHIFT | i;
        w->core_cnt += !seen[cpu->core];
        seen[cpu->core] = true;
    }
    qsort(keys, w->cnt, sizeof(keys[0]), by_key);
    for (uint32_t i = 0; i < w->cnt; i++)
        w->order[i] = (uint32_t)(keys[i] & INDEX_MASK);
}

/* How many shards can have a place of their own. Nowhere in particular, siblings count. */
static uint32_t room(const struct mcq_topo_work *w)
{
    return w->opts->smt == MCQ_SMT_USE || w->opts->cpus != NULL ? w->cnt : w->core_cnt;
}

/* --- too little ----------------------------------------------------------------------------- */

static const char *consequence(const struct mcq_topo_work *w)
{
    return w->opts->cpus == NULL ? "none is pinned and none spins" : "none spins";
}

static bool quota_short(const struct mcq_topo_work *w)
{
    uint32_t cnt = w->opts->shards;
    uint64_t milli = w->facts->quota_milli;
    if (milli == MCQ_TOPO_UNLIMITED || milli >= cnt * 1000ull)
        return false;
    mcq_topo_note(w->out,
                  "the cgroup grants %llu.%02llu CPUs of time, %u shard%s may want %u: %s; raise "
                  "cpu.max or run fewer shards",
                  (unsigned long long)milli / 1000, (unsigned long long)milli % 1000 / 10, cnt,
                  plural(cnt), cnt, consequence(w));
    return true;
}

static bool cpus_short(const struct mcq_topo_work *w)
{
    uint32_t cnt = w->opts->shards, have = room(w);
    if (cnt <= have)
        return false;
    const char *what = have == w->core_cnt ? "core" : "hardware thread";
    mcq_topo_note(w->out, "%u shard%s and %u %s%s this process may use%s: %s%s", cnt, plural(cnt),
                  have, what, plural(have), w->kernel_list ? " beside sqpoll_cpus" : "",
                  consequence(w), cnt <= w->cnt ? "; with smt use each has a hardware thread" : "");
    return true;
}

/* --- places --------------------------------------------------------------------------------- */

static void place_in_order(struct mcq_topo_work *w)
{
    if (w->opts->ring == MCQ_RING_SQPOLL && !w->kernel_list && mcq_topo_kernel_wanted(w->opts) &&
        mcq_topo_kernel_room(w))
        return;
    for (uint32_t i = 0; i < w->opts->shards; i++) {
        w->place[i] = w->order[i];
        mcq_topo_take(w, w->order[i], MCQ_TOPO_SHARD);
    }
}

/* The user's list: CPUs nobody knows or may use are told, and given all the same. Returns how many
 * those are. */
static uint32_t place_as_listed(struct mcq_topo_work *w, const uint32_t *cpus)
{
    uint32_t odd_cnt = 0, odd = 0;
    for (uint32_t i = 0; i < w->opts->shards; i++) {
        uint32_t idx = mcq_topo_find(w->facts, cpus[i]);
        w->out->shards[i].cpu = cpus[i];
        w->place[i] = idx;
        if (idx == MCQ_TOPO_NONE || !w->facts->cpus[idx].usable) {
            odd = odd_cnt++ == 0 ? cpus[i] : odd;
            continue;
        }
        mcq_topo_take(w, idx, MCQ_TOPO_SHARD);
    }
    if (odd_cnt != 0)
        mcq_topo_note(w->out, "cpus: CPU %u is not one this process may use%s: none spins", odd,
                      odd_cnt > 1 ? ", nor are others of the list" : "");
    return odd_cnt;
}

static bool place_listed(struct mcq_topo_work *w, const uint32_t *cpus, uint32_t cnt)
{
    if (cnt >= w->opts->shards)
        return place_as_listed(w, cpus) == 0;
    mcq_topo_note(w->out,
                  "cpus names %u for %u shards: they share them, none is pinned to one and none "
                  "spins",
                  cnt, w->opts->shards);
    return false;
}

/* Where the shards go. *crowded: fewer CPUs or less time than shards. */
static enum mcq_error place(struct mcq_topo_work *w, bool *crowded, struct mcq_detail *detail)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt = 0;
    enum mcq_error err = MCQ_OK;
    if (w->opts->cpus != NULL)
        err = mcq_cpus_parse(w->opts->cpus, cpus, &cnt, detail);
    if (err != MCQ_OK)
        return err;
    if (w->opts->cpus != NULL && cnt == 0)
        mcq_topo_note(w->out, "cpus none: no shard is pinned");
    *crowded = quota_short(w);
    if (cnt > 0)
        *crowded = !place_listed(w, cpus, cnt) || *crowded;
    else
        *crowded = cpus_short(w) || *crowded;
    if (w->opts->cpus == NULL && !*crowded)
        place_in_order(w);
    return MCQ_OK;
}

/* --- memory --------------------------------------------------------------------------------- */

/* The node whose memory a core gets. One without any sends it to the same package, else to the
 * first that has some. */
static uint32_t memory_node(const struct mcq_topo_facts *f, const struct mcq_topo_cpu *cpu)
{
    const struct mcq_topo_node *own = node_find(f, cpu->node);
    if (!f->memory_known || own == NULL || own->memory_bytes != 0)
        return cpu->node;
    const struct mcq_topo_node *best = NULL;
    for (uint32_t i = 0; i < f->node_cnt; i++) {
        const struct mcq_topo_node *n = &f->nodes[i];
        bool nearer = best != NULL && best->package != own->package && n->package == own->package;
        if (n->memory_bytes != 0 && (best == NULL || nearer))
            best = n;
    }
    return best == NULL ? cpu->node : best->node;
}

static void memory_notes(const struct mcq_topo_work *w)
{
    const struct mcq_topo_facts *f = w->facts;
    uint64_t each = w->opts->arena_bytes + w->opts->large_bytes;
    for (uint32_t i = 0; f->memory_known && i < f->node_cnt; i++) {
        const struct mcq_topo_node *n = &f->nodes[i];
        uint32_t cnt = 0;
        for (uint32_t k = 0; k < w->out->shard_cnt; k++)
            cnt += w->out->shards[k].node == n->node;
        if (cnt != 0 && n->memory_bytes / each < cnt)
            mcq_topo_note(
                w->out,
                "node %u has %llu MiB, and %u shard%s of %llu MiB: what doesn't fit comes "
                "from other nodes",
                n->node, (unsigned long long)n->memory_bytes >> 20, cnt, plural(cnt),
                (unsigned long long)each >> 20);
    }
    for (uint32_t k = 0; k < w->out->shard_cnt; k++) {
        uint32_t idx = w->place[k];
        if (idx == MCQ_TOPO_NONE || f->cpus[idx].node == w->out->shards[k].node)
            continue;
        mcq_topo_note(w->out,
                      "node %u has no memory: shard %u, and others there, get theirs from "
                      "node %u",
                      f->cpus[idx].node, k, w->out->shards[k].node);
        break;
    }
}

/* --- notes ---------------------------------------------------------------------------------- */

static void machine_notes(const struct mcq_topo_work *w)
{
    const struct mcq_topo_facts *f = w->facts;
    uint32_t usable = 0;
    for (uint32_t i = 0; i < f->cpu_cnt; i++)
        usable += f->cpus[i].usable;
    if (usable < f->cpu_cnt)
        mcq_topo_note(w->out, "this process may use %u of %u CPUs", usable, f->cpu_cnt);
    if (f->offline_cnt != 0)
        mcq_topo_note(w->out, "%u CPU%s offline", f->offline_cnt,
                      f->offline_cnt == 1 ? " is" : "s are");
    if (f->cpu_left_cnt != 0)
        mcq_topo_note(w->out, "%u CPUs beyond the first %u are left alone", f->cpu_left_cnt,
                      MCQ_CPUS_MAX);
}

static void nic_notes(const struct mcq_topo_work *w)
{
    const struct mcq_topo_facts *f = w->facts;
    uint32_t far = 0;
    if (w->opts->nic == NULL)
        return;
    if (f->nic_node == MCQ_TOPO_NONE) {
        mcq_topo_note(w->out, "%.64s is on no NUMA node: it decides nothing", w->opts->nic);
        return;
    }
    for (uint32_t i = 0; i < w->out->shard_cnt; i++)
        far += w->place[i] != MCQ_TOPO_NONE && f->cpus[w->place[i]].node != f->nic_node;
    mcq_topo_note(w->out, "%.64s: node %u comes first%s", w->opts->nic, f->nic_node,
                  far != 0 ? ", but not every shard found room there" : "");
}

/* What shards share though they should not, or what they differ in. */
static void core_notes(const struct mcq_topo_work *w)
{
    const struct mcq_topo_cpu *cpus = w->facts->cpus;
    uint32_t shard_of[MCQ_CPUS_MAX], doubled = MCQ_TOPO_NONE, slow = MCQ_TOPO_NONE, best = 0;
    for (uint32_t i = 0; i < MCQ_CPUS_MAX; i++)
        shard_of[i] = MCQ_TOPO_NONE;
    for (uint32_t i = 0; i < w->out->shard_cnt; i++) {
        if (w->place[i] == MCQ_TOPO_NONE)
            continue;
        const struct mcq_topo_cpu *cpu = &cpus[w->place[i]];
        best = cpu->speed > best ? cpu->speed : best;
        if (shard_of[cpu->core] != MCQ_TOPO_NONE && doubled == MCQ_TOPO_NONE)
            doubled = i;
        shard_of[cpu->core] = i;
    }
    for (uint32_t i = w->out->shard_cnt; i-- > 0;)
        if (w->place[i] != MCQ_TOPO_NONE && cpus[w->place[i]].speed < best)
            slow = i;
    if (doubled != MCQ_TOPO_NONE)
        mcq_topo_note(w->out, "shard %u is the first on a core that another one has, too", doubled);
    if (slow != MCQ_TOPO_NONE)
        mcq_topo_note(w->out, "the cores differ in speed: shard %u is the first on a slower one",
                      slow);
}

/* --- the plan ------------------------------------------------------------------------------- */

static void out_init(struct mcq_topo_choice *out, const struct mcq_opts *opts)
{
    *out = (struct mcq_topo_choice){.shard_cnt = opts->shards};
    for (uint32_t i = 0; i < opts->shards; i++)
        out->shards[i] = (struct mcq_topo_shard){.id = i,
                                                 .cpu = MCQ_TOPO_NONE,
                                                 .core = MCQ_TOPO_NONE,
                                                 .package = MCQ_TOPO_NONE,
                                                 .node = MCQ_TOPO_NONE,
                                                 .sqpoll_cpu = MCQ_TOPO_NONE,
                                                 .arena_bytes = opts->arena_bytes};
}

static void describe(struct mcq_topo_work *w)
{
    for (uint32_t i = 0; i < w->out->shard_cnt; i++) {
        struct mcq_topo_shard *s = &w->out->shards[i];
        if (w->place[i] == MCQ_TOPO_NONE)
            continue;
        const struct mcq_topo_cpu *cpu = &w->facts->cpus[w->place[i]];
        s->cpu = cpu->cpu;
        s->core = cpu->core;
        s->package = cpu->package;
        s->node = memory_node(w->facts, cpu);
    }
}

enum mcq_error mcq_topo_choose(const struct mcq_topo_facts *facts, const struct mcq_opts *opts,
                               struct mcq_topo_choice *out, struct mcq_detail *detail)
{
    struct mcq_topo_work w = {.facts = facts, .opts = opts, .out = out};
    bool crowded = false;
    MCQ_ASSERT(opts->shards >= 1 && opts->shards <= MCQ_SHARDS_MAX);
    out_init(out, opts);
    for (uint32_t i = 0; i < opts->shards; i++)
        w.place[i] = MCQ_TOPO_NONE;
    for (uint32_t i = 0; i < facts->cpu_cnt; i++)
        w.use[i] = facts->cpus[i].usable ? MCQ_TOPO_FREE : MCQ_TOPO_UNUSABLE;
    machine_notes(&w);
    enum mcq_error err = mcq_topo_kernel_list(&w, detail);
    if (err != MCQ_OK)
        return err;
    order_make(&w);
    err = place(&w, &crowded, detail);
    if (err != MCQ_OK)
        return err;
    describe(&w);
    out->may_spin = !crowded;
    mcq_topo_kernel_place(&w);
    nic_notes(&w);
    core_notes(&w);
    memory_notes(&w);
    return MCQ_OK;
}
