/* Plans of machines one doesn't have: the golden ones of tests/topo, and what must hold of any.
 *   topo_plans            compares each tests/topo/NAME.txt with NAME.json, then tries random
 * machines topo_plans --write    writes every NAME.json anew, to be read before it is committed
 *   topo_plans SEED CNT   random machines only */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shards/topo_facts.h"

#define FOLDER    "tests/topo"
#define LINE_LEN  512u
#define JSON_LEN  (64u << 10)
#define ARGS_MAX  32
#define MACHINES  20000u
#define NAMES_MAX 256

static unsigned passed, failed;

/* --- one case ------------------------------------------------------------------------------- */

struct scene {
    struct mcq_topo_facts facts;
    struct mcq_opts opts;
    enum mcq_topo_source source;
    char text[LINE_LEN], args[LINE_LEN];
    char edits[32][LINE_LEN]; /* of the facts, once they are loaded */
    unsigned edit_cnt;
};

_Noreturn static void broken(const char *name, const char *what, const char *more)
{
    fprintf(stderr, "%s: %s: %s\n", name, what, more);
    exit(2);
}

static void args_read(struct scene *s)
{
    static char program[] = "topo_plans";
    char *argv[ARGS_MAX + 2] = {program};
    int argc = 1;
    for (char *word = strtok(s->args, " "); word != NULL && argc < ARGS_MAX;
         word = strtok(NULL, " "))
        argv[argc++] = word;
    mcq_opts_parse(&s->opts, &argc, argv);
    if (argc != 1)
        broken("args", "not an option", argv[1]);
}

static bool listed(const char *list, uint32_t cpu)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt;
    if (mcq_cpus_parse(list, cpus, &cnt, NULL) != MCQ_OK)
        broken("list", "not one", list);
    for (uint32_t i = 0; i < cnt; i++)
        if (cpus[i] == cpu)
            return true;
    return false;
}

static void forget(struct mcq_topo_facts *f, const char *what)
{
    for (uint32_t i = 0; i < f->cpu_cnt; i++) {
        struct mcq_topo_cpu *c = &f->cpus[i];
        c->node = strcmp(what, "node") == 0 ? MCQ_TOPO_NONE : c->node;
        c->l3 = strcmp(what, "l3") == 0 ? MCQ_TOPO_NONE : c->l3;
        c->package = strcmp(what, "package") == 0 ? MCQ_TOPO_NONE : c->package;
    }
    if (strcmp(what, "node") == 0)
        f->node_cnt = 0;
}

static void offline(struct mcq_topo_facts *f, const char *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->cpu_cnt; i++) {
        if (listed(list, f->cpus[i].cpu))
            f->offline_cnt++;
        else
            f->cpus[kept++] = f->cpus[i];
    }
    f->cpu_cnt = kept;
}

static void node_edit(struct mcq_topo_facts *f, uint32_t node, uint64_t bytes)
{
    uint32_t i = 0;
    while (i < f->node_cnt && f->nodes[i].node != node)
        i++;
    if (i == f->node_cnt)
        f->nodes[f->node_cnt++] = (struct mcq_topo_node){.node = node, .package = MCQ_TOPO_NONE};
    f->nodes[i].memory_bytes = bytes;
    f->memory_known = true;
}

static void edit(struct mcq_topo_facts *f, const char *name, const char *line)
{
    char word[32], rest[LINE_LEN] = "";
    unsigned node;
    unsigned long long bytes;
    if (sscanf(line, "%31s %511[^\n]", word, rest) < 1)
        broken(name, "no edit", line);
    if (strcmp(word, "allowed") == 0)
        for (uint32_t i = 0; i < f->cpu_cnt; i++)
            f->cpus[i].usable = listed(rest, f->cpus[i].cpu);
    else if (strcmp(word, "quota") == 0)
        f->quota_milli = strtoull(rest, NULL, 10);
    else if (strcmp(word, "forget") == 0)
        forget(f, rest);
    else if (strcmp(word, "offline") == 0)
        offline(f, rest);
    else if (strcmp(word, "memory") == 0 && sscanf(rest, "%u %llu", &node, &bytes) == 2)
        node_edit(f, node, bytes);
    else
        broken(name, "no edit", line);
}

static void scene_read(struct scene *s, const char *name)
{
    char path[LINE_LEN], line[LINE_LEN], word[32], rest[LINE_LEN];
    snprintf(path, sizeof path, FOLDER "/%s.txt", name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        broken(name, "can't be read", path);
    while (fgets(line, sizeof line, f) != NULL) {
        rest[0] = '\0';
        if (line[0] == '#' || sscanf(line, "%31s %511[^\n]", word, rest) < 1)
            continue;
        if (strcmp(word, "synthetic") == 0) {
            s->source = MCQ_TOPO_SYNTHETIC;
            memcpy(s->text, rest, sizeof rest);
        } else if (strcmp(word, "xml") == 0) {
            s->source = MCQ_TOPO_XML;
            snprintf(s->text, sizeof s->text, FOLDER "/%.200s", rest);
        } else if (strcmp(word, "args") == 0) {
            memcpy(s->args, rest, sizeof rest);
        } else {
            memcpy(s->edits[s->edit_cnt++], line, sizeof line);
        }
    }
    fclose(f);
}

static void plan(const char *name, struct mcq_topo_choice *choice)
{
    struct scene s = {.opts = MCQ_OPTS_INIT};
    struct mcq_opts opts;
    struct mcq_detail detail = {.text = ""};
    scene_read(&s, name);
    args_read(&s);
    enum mcq_error err = mcq_opts_effective(&s.opts, &opts, &detail);
    const char *nic = opts.nic; /* looked for in what the edits have left */
    bool early = nic != NULL && strncmp(nic, "node:", 5) != 0;
    if (err == MCQ_OK)
        err = mcq_topo_facts_load(s.source, s.text, early ? nic : NULL, &s.facts, &detail);
    for (unsigned i = 0; i < s.edit_cnt; i++)
        edit(&s.facts, name, s.edits[i]);
    for (uint32_t i = 0; nic != NULL && !early && i < s.facts.node_cnt; i++)
        if (s.facts.nodes[i].node == strtoul(nic + 5, NULL, 10))
            s.facts.nic_node = s.facts.nodes[i].node;
    if (err == MCQ_OK)
        err = mcq_topo_choose(&s.facts, &opts, choice, &detail);
    if (err != MCQ_OK)
        broken(name, mcq_error_name(err), detail.text);
}

/* --- golden --------------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    t->len += (size_t)vsnprintf(t->at + t->len, JSON_LEN - t->len, fmt, args);
    va_end(args);
}

static void put_number(struct text *t, const char *key, uint32_t value)
{
    if (value == MCQ_TOPO_NONE)
        put(t, ", \"%s\": null", key);
    else
        put(t, ", \"%s\": %u", key, value);
}

/* As mcq-topo --json has it. */
static void json(const struct mcq_topo_choice *c, struct text *t)
{
    put(t, "{\"shards\": [");
    for (uint32_t i = 0; i < c->shard_cnt; i++) {
        const struct mcq_topo_shard *s = &c->shards[i];
        put(t, "%s\n  {\"id\": %u", i == 0 ? "" : ",", s->id);
        put_number(t, "cpu", s->cpu);
        put_number(t, "core", s->core);
        put_number(t, "package", s->package);
        put_number(t, "node", s->node);
        put_number(t, "sqpoll_cpu", s->sqpoll_cpu);
        put(t, ", \"arena_bytes\": %llu}", (unsigned long long)s->arena_bytes);
    }
    put(t, "],\n \"notes\": [");
    for (uint32_t i = 0; i < c->note_cnt; i++)
        put(t, "%s\n  \"%s\"", i == 0 ? "" : ",", c->notes[i]);
    put(t, "]}\n");
}

static void golden(const char *name, bool write)
{
    static char made[JSON_LEN], wanted[JSON_LEN];
    static struct mcq_topo_choice choice;
    char path[LINE_LEN];
    struct text t = {made, 0};
    plan(name, &choice);
    json(&choice, &t);
    snprintf(path, sizeof path, FOLDER "/%s.json", name);
    FILE *f = fopen(path, write ? "w" : "r");
    size_t len = 0;
    if (f != NULL && write)
        fputs(made, f);
    else if (f != NULL)
        len = fread(wanted, 1, sizeof wanted - 1, f);
    if (f != NULL)
        fclose(f);
    wanted[len] = '\0';
    bool same = f != NULL && (write || strcmp(made, wanted) == 0);
    passed += same;
    failed += !same;
    if (!same)
        printf("FAILED: %s\n--- wanted\n%s--- made\n%s", name, wanted, made);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void goldens(bool write)
{
    static char names[NAMES_MAX][64];
    size_t cnt = 0;
    DIR *d = opendir(FOLDER);
    if (d == NULL)
        broken("topo_plans", "start it from the root of the source", FOLDER);
    for (const struct dirent *e; (e = readdir(d)) != NULL && cnt < NAMES_MAX;) {
        size_t len = strlen(e->d_name);
        if (len > 4 && len < sizeof names[0] && strcmp(e->d_name + len - 4, ".txt") == 0)
            snprintf(names[cnt++], sizeof names[0], "%.*s", (int)(len - 4), e->d_name);
    }
    closedir(d);
    qsort(names, cnt, sizeof names[0], by_name);
    for (size_t i = 0; i < cnt; i++)
        golden(names[i], write);
}

/* --- any machine ---------------------------------------------------------------------------- */

static uint64_t dice_state;

static uint32_t dice(uint32_t sides)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice_state >> 33) % sides;
}

static bool chance(uint32_t percent)
{
    return dice(100) < percent;
}

/* Odd shapes on purpose: levels that are missing for some, nodes without CPUs, holes in numbers. */
static void machine(struct mcq_topo_facts *f)
{
    uint32_t packages = 1 + dice(4), nodes = 1 + dice(4), l3s = 1 + dice(3), cores = 1 + dice(8);
    uint32_t pus = chance(50) ? 1 : 1 + dice(4), core = 0, node = 0, l3 = 0, cpu = 0,
             hole = dice(30);
    bool no_node = chance(10), no_l3 = chance(15), no_package = chance(10), hybrid = chance(15);
    uint32_t allowed = chance(60) ? 100 : dice(101);
    *f = (struct mcq_topo_facts){.nic_node = MCQ_TOPO_NONE, .quota_milli = MCQ_TOPO_UNLIMITED};
    for (uint32_t p = 0; p < packages; p++)
        for (uint32_t n = 0; n < nodes; n++, node++) {
            f->nodes[f->node_cnt++] = (struct mcq_topo_node){
                node, no_package ? MCQ_TOPO_NONE : p, chance(10) ? 0 : (uint64_t)dice(64) << 30};
            for (uint32_t l = 0; l < l3s; l++, l3++)
                for (uint32_t c = 0; c < cores; c++, core++)
                    for (uint32_t t = 0; t < pus && f->cpu_cnt < MCQ_CPUS_MAX; t++) {
                        cpu += chance(hole) ? 2 : 1;
                        f->cpus[f->cpu_cnt++] = (struct mcq_topo_cpu){
                            .cpu = cpu,
                            .core = core % MCQ_CPUS_MAX,
                            .l3 = no_l3 || chance(2) ? MCQ_TOPO_NONE : l3,
                            .node = no_node || chance(2) ? MCQ_TOPO_NONE : node,
                            .package = no_package ? MCQ_TOPO_NONE : p,
                            .sibling = t,
                            .speed = hybrid ? c % 3 : 0,
                            .usable = chance(allowed)};
                    }
        }
    if (no_node)
        f->node_cnt = 0;
    f->memory_known = chance(50);
    if (chance(20))
        f->quota_milli = 100 * (uint64_t)dice(800);
    if (chance(40))
        f->nic_node = dice(node + 2); /* may be none of them */
}

static void wishes(struct mcq_opts *o)
{
    static const char *const lists[] = {NULL, NULL, NULL, "0-3", "2,9", "none", "700"};
    struct mcq_opts given = MCQ_OPTS_INIT;
    given.shards = 1 + dice(chance(70) ? 16 : MCQ_SHARDS_MAX);
    given.smt = chance(40) ? MCQ_SMT_USE : MCQ_SMT_LEAVE;
    given.ring = (enum mcq_ring_mode)dice(3);
    given.idle = (enum mcq_idle)dice(4);
    given.sqpoll_cpus = lists[dice(7)];
    given.sqpoll_share = dice(6);
    given.nic = chance(50) ? "eth0" : NULL;
    if (mcq_opts_effective(&given, o, NULL) != MCQ_OK)
        broken("wishes", "not legal", "");
}

#define HOLDS(x)                                                            \
    do {                                                                    \
        if (!(x)) {                                                         \
            printf("FAILED: %s:%d: machine %llu: %s\n", __FILE__, __LINE__, \
                   (unsigned long long)seed, #x);                           \
            return false;                                                   \
        }                                                                   \
    } while (0)

static const struct mcq_topo_cpu *cpu_at(const struct mcq_topo_facts *f, uint32_t cpu)
{
    for (uint32_t i = 0; i < f->cpu_cnt; i++)
        if (f->cpus[i].cpu == cpu)
            return &f->cpus[i];
    return NULL;
}

struct census {
    uint32_t usable, cores, nic_cores; /* cores: with something usable */
};

static struct census census(const struct mcq_topo_facts *f, const struct mcq_opts *o, bool reserved)
{
    struct census c = {0};
    bool seen[MCQ_CPUS_MAX] = {false};
    for (uint32_t i = 0; i < f->cpu_cnt; i++) {
        const struct mcq_topo_cpu *cpu = &f->cpus[i];
        if (!cpu->usable || (reserved && listed(o->sqpoll_cpus, cpu->cpu)))
            continue;
        c.usable++;
        c.cores += !seen[cpu->core];
        c.nic_cores += !seen[cpu->core] && cpu->node == f->nic_node;
        seen[cpu->core] = true;
    }
    return c;
}

static bool kernel_wanted(const struct mcq_opts *o)
{
    bool none = o->sqpoll_cpus != NULL && strcmp(o->sqpoll_cpus, "none") == 0;
    return !none &&
           (o->ring == MCQ_RING_SQPOLL || (o->ring == MCQ_RING_AUTO && o->idle == MCQ_IDLE_SPIN));
}

static bool shard_holds(uint64_t seed, const struct mcq_topo_facts *f, const struct mcq_opts *o,
                        const struct mcq_topo_shard *s, uint32_t used[MCQ_CPUS_MAX * 3])
{
    const struct mcq_topo_cpu *cpu = cpu_at(f, s->cpu);
    HOLDS(cpu != NULL && cpu->usable);
    HOLDS(cpu->core == s->core && cpu->package == s->package);
    HOLDS(f->memory_known || cpu->node == s->node);
    HOLDS(used[s->cpu]++ == 0);
    if (s->sqpoll_cpu == MCQ_TOPO_NONE)
        return true;
    const struct mcq_topo_cpu *kernel = cpu_at(f, s->sqpoll_cpu);
    HOLDS(kernel != NULL && kernel->usable && kernel_wanted(o));
    HOLDS(o->smt == MCQ_SMT_USE || o->sqpoll_cpus != NULL || kernel->core != cpu->core);
    HOLDS(o->sqpoll_cpus == NULL || listed(o->sqpoll_cpus, s->sqpoll_cpu));
    HOLDS(o->ring == MCQ_RING_SQPOLL || o->sqpoll_cpus != NULL || kernel->l3 == cpu->l3);
    return true;
}

static bool machine_holds(uint64_t seed)
{
    static struct mcq_topo_facts f;
    static struct mcq_topo_choice c, again;
    struct mcq_opts o;
    uint32_t used[MCQ_CPUS_MAX * 3] = {0}, load[MCQ_CPUS_MAX * 3] = {0}, on_nic = 0, pinned = 0;
    bool core_used[MCQ_CPUS_MAX] = {false};
    dice_state = seed * 2654435761u + 1;
    machine(&f);
    wishes(&o);
    HOLDS(mcq_topo_choose(&f, &o, &c, NULL) == MCQ_OK);
    HOLDS(mcq_topo_choose(&f, &o, &again, NULL) == MCQ_OK && memcmp(&c, &again, sizeof c) == 0);
    HOLDS(c.shard_cnt == o.shards && c.note_cnt <= MCQ_TOPO_NOTES_MAX);
    bool reserved = kernel_wanted(&o) && o.sqpoll_cpus != NULL;
    struct census all = census(&f, &o, reserved);
    uint32_t room = o.smt == MCQ_SMT_USE ? all.usable : all.cores;
    bool enough = room >= o.shards && f.quota_milli >= o.shards * 1000ull;
    HOLDS(c.may_spin == enough && (enough || c.note_cnt > 0));
    for (uint32_t i = 0; i < c.shard_cnt; i++) {
        const struct mcq_topo_shard *s = &c.shards[i];
        HOLDS(s->id == i && s->arena_bytes == o.arena_bytes);
        HOLDS((s->cpu != MCQ_TOPO_NONE) == enough);
        if (s->cpu == MCQ_TOPO_NONE) {
            HOLDS(s->core == MCQ_TOPO_NONE && s->node == MCQ_TOPO_NONE &&
                  s->sqpoll_cpu == MCQ_TOPO_NONE);
            continue;
        }
        pinned++;
        if (!shard_holds(seed, &f, &o, s, used))
            return false;
        HOLDS(o.shards > all.cores || !core_used[s->core]);
        core_used[s->core] = true;
        on_nic += cpu_at(&f, s->cpu)->node == f.nic_node && f.nic_node != MCQ_TOPO_NONE;
    }
    for (uint32_t i = 0; i < c.shard_cnt; i++) {
        uint32_t kernel = c.shards[i].sqpoll_cpu;
        if (kernel == MCQ_TOPO_NONE)
            continue;
        HOLDS(used[kernel] == 0);
        HOLDS(++load[kernel] <= o.sqpoll_share || o.sqpoll_cpus != NULL);
    }
    bool node_exists = f.node_cnt > f.nic_node;
    if (pinned != 0 && node_exists && o.shards <= all.cores && !kernel_wanted(&o))
        HOLDS(on_nic == (o.shards < all.nic_cores ? o.shards : all.nic_cores));
    return true;
}

static void machines(uint64_t first, uint64_t cnt)
{
    for (uint64_t seed = first; seed < first + cnt; seed++) {
        if (machine_holds(seed))
            continue;
        failed++;
        return;
    }
    passed++;
}

int main(int argc, char **argv)
{
    bool write = argc == 2 && strcmp(argv[1], "--write") == 0;
    if (argc == 3) {
        machines(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10));
    } else {
        goldens(write);
        machines(1, MACHINES);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
