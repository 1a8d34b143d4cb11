/* RAW: files under /sys; sound because every read is bounded by its buffer and nothing is written;
 * topo_facts.c calls, and tests with a root of their own. */
#include "shards/topo_sysfs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_LEN   512u
#define LINE_LEN   8192u
#define CACHES_MAX 8u

/* The first line of a file; path: printf's. */
__attribute__((format(printf, 2, 3))) static bool line_read(char line[LINE_LEN], const char *path,
                                                            ...)
{
    char name[PATH_LEN];
    va_list args;
    va_start(args, path);
    int len = vsnprintf(name, sizeof(name), path, args);
    va_end(args);
    FILE *f = len < (int)sizeof(name) ? fopen(name, "re") : NULL;
    if (f == NULL)
        return false;
    bool got = fgets(line, LINE_LEN, f) != NULL;
    fclose(f);
    return got;
}

/* The first number of a list, which names what its CPUs share. */
static uint32_t first_of(const char *list)
{
    return list[0] >= '0' && list[0] <= '9' ? (uint32_t)strtoul(list, NULL, 10) : MCQ_TOPO_NONE;
}

static bool list_has(const char *list, uint32_t cpu)
{
    for (const char *at = list;;) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (end == at)
            return false;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        if (first <= cpu && cpu <= last)
            return true;
        if (*end != ',')
            return false;
        at = end + 1;
    }
}

static uint32_t cache_of(const char *root, uint32_t cpu)
{
    static const char dir[] = "%s/sys/devices/system/cpu/cpu%u/cache/index%u/%s";
    char line[LINE_LEN];
    for (uint32_t i = 0; i < CACHES_MAX; i++)
        if (line_read(line, dir, root, cpu, i, "level") && first_of(line) == 3 &&
            line_read(line, dir, root, cpu, i, "shared_cpu_list"))
            return first_of(line);
    return MCQ_TOPO_NONE;
}

/* Cores, caches and packages are still named by a CPU or a number of the system. */
static void cpu_read(const char *root, uint32_t cpu, struct mcq_topo_cpu *c)
{
    static const char dir[] = "%s/sys/devices/system/cpu/cpu%u/topology/%s";
    char line[LINE_LEN];
    *c = (struct mcq_topo_cpu){.cpu = cpu,
                               .core = cpu,
                               .l3 = cache_of(root, cpu),
                               .node = MCQ_TOPO_NONE,
                               .package = MCQ_TOPO_NONE,
                               .usable = true};
    if (line_read(line, dir, root, cpu, "thread_siblings_list") && first_of(line) < MCQ_CPUS_MAX)
        c->core = first_of(line);
    if (line_read(line, dir, root, cpu, "physical_package_id"))
        c->package = first_of(line);
}

static uint64_t memory_of(const char *root, uint32_t node)
{
    char line[LINE_LEN];
    unsigned long long kib = 0;
    /* the first line: "Node 0 MemTotal: 16316412 kB" */
    if (!line_read(line, "%s/sys/devices/system/node/node%u/meminfo", root, node) ||
        sscanf(line, "Node %*u MemTotal: %llu", &kib) != 1)
        return 0;
    return kib << 10;
}

static void nodes_read(const char *root, struct mcq_topo_facts *f)
{
    char online[LINE_LEN], line[LINE_LEN];
    if (!line_read(online, "%s/sys/devices/system/node/online", root))
        return;
    for (uint32_t node = 0; node < MCQ_TOPO_NODES_MAX; node++) {
        if (!list_has(online, node))
            continue;
        struct mcq_topo_node *n = &f->nodes[f->node_cnt++];
        *n = (struct mcq_topo_node){
            .node = node, .package = MCQ_TOPO_NONE, .memory_bytes = memory_of(root, node)};
        if (!line_read(line, "%s/sys/devices/system/node/node%u/cpulist", root, node))
            continue;
        for (uint32_t i = 0; i < f->cpu_cnt; i++) {
            if (!list_has(line, f->cpus[i].cpu))
                continue;
            f->cpus[i].node = node;
            n->package = f->cpus[i].package;
        }
    }
}

static int compare(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *a, const void *b)
{
    const struct mcq_topo_cpu *x = a, *y = b;
    int order = compare(x->package, y->package);
    order = order != 0 ? order : compare(x->node, y->node);
    order = order != 0 ? order : compare(x->l3, y->l3);
    order = order != 0 ? order : compare(x->core, y->core);
    return order != 0 ? order : compare(x->cpu, y->cpu);
}

/* Counts what the CPUs share from 0 in the machine's order. */
static uint32_t count(uint32_t name, uint32_t names[MCQ_CPUS_MAX], uint32_t *cnt)
{
    if (name == MCQ_TOPO_NONE)
        return MCQ_TOPO_NONE;
    for (uint32_t i = 0; i < *cnt; i++)
        if (names[i] == name)
            return i;
    names[*cnt] = name;
    return (*cnt)++;
}

static void number(struct mcq_topo_facts *f)
{
    uint32_t cores[MCQ_CPUS_MAX], l3s[MCQ_CPUS_MAX], packages[MCQ_CPUS_MAX];
    uint32_t core_cnt = 0, l3_cnt = 0, package_cnt = 0, siblings[MCQ_CPUS_MAX] = {0};
    qsort(f->cpus, f->cpu_cnt, sizeof(f->cpus[0]), by_place);
    for (uint32_t i = 0; i < f->cpu_cnt; i++) {
        struct mcq_topo_cpu *c = &f->cpus[i];
        c->core = count(c->core, cores, &core_cnt);
        c->l3 = count(c->l3, l3s, &l3_cnt);
        c->package = count(c->package, packages, &package_cnt);
        c->sibling = siblings[c->core]++;
    }
    for (uint32_t i = 0; i < f->node_cnt; i++)
        f->nodes[i].package = count(f->nodes[i].package, packages, &package_cnt);
}

void mcq_topo_sysfs_load(const char *root, const bool wanted[MCQ_CPUS_MAX],
                         struct mcq_topo_facts *f)
{
    f->cpu_cnt = f->node_cnt = 0;
    for (uint32_t cpu = 0; cpu < MCQ_CPUS_MAX; cpu++)
        if (wanted[cpu])
            cpu_read(root, cpu, &f->cpus[f->cpu_cnt++]);
    nodes_read(root, f);
    number(f);
}
