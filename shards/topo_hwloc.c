#include "shards/topo_hwloc.h"

#include <errno.h>
#include <hwloc.h>
#include <hwloc/cpukinds.h>
#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"

/* hwloc builds every object of a synthetic machine: no more than a plan could look at. */
#define SYNTHETIC_PUS_MAX 65536u

/* --- the description ------------------------------------------------------------------------ */

/* The product of the counts outside of brackets: hardware threads that the text asks for. */
static bool synthetic_fits(const char *text)
{
    uint64_t product = 1;
    int depth = 0;
    for (const char *at = text; *at != '\0'; at++) {
        depth += (*at == '[' || *at == '(') - (*at == ']' || *at == ')');
        if (depth != 0 || *at != ':')
            continue;
        unsigned long n = strtoul(at + 1, NULL, 10);
        if (n > SYNTHETIC_PUS_MAX || product * n > SYNTHETIC_PUS_MAX)
            return false;
        product *= n == 0 ? 1 : n;
    }
    return true;
}

static enum mcq_error synthetic_set(hwloc_topology_t topo, const char *text,
                                    struct mcq_detail *detail)
{
    if (!synthetic_fits(text))
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "'%.64s' has more than %u hardware threads",
                              text, SYNTHETIC_PUS_MAX);
    if (hwloc_topology_set_synthetic(topo, text) != 0)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "'%.64s' describes no machine: write \"pack:2 [numa] l3:4 core:8 "
                              "pu:2\", from the outside in down to pu",
                              text);
    return MCQ_OK;
}

static enum mcq_error source_set(hwloc_topology_t topo, enum mcq_topo_source source,
                                 const char *text, struct mcq_detail *detail)
{
    if (source == MCQ_TOPO_HOST)
        return MCQ_OK;
    if (source == MCQ_TOPO_SYNTHETIC)
        return synthetic_set(topo, text, detail);
    if (hwloc_topology_set_io_types_filter(topo, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) == 0 &&
        hwloc_topology_set_xml(topo, text) == 0)
        return MCQ_OK;
    bool absent = errno == ENOENT;
    return mcq_detail_set(detail, absent ? MCQ_ENOENT : MCQ_EINVAL, errno,
                          absent ? "there is no file '%.128s'"
                                 : "'%.128s' is not what `lstopo FILE.xml` writes",
                          text);
}

/* Also what this process may not use, for the picture. The x86 component would move this thread
 * from CPU to CPU, and knows nothing that Linux doesn't. */
static enum mcq_error topology_open(enum mcq_topo_source source, const char *text,
                                    hwloc_topology_t *topo, struct mcq_detail *detail)
{
    if (hwloc_topology_init(topo) != 0)
        return mcq_detail_set(detail, MCQ_ENOMEM, errno, "no memory for the machine's topology");
    (void)hwloc_topology_set_flags(*topo, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    (void)hwloc_topology_set_components(*topo, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
    enum mcq_error err = source_set(*topo, source, text, detail);
    if (err == MCQ_OK && hwloc_topology_load(*topo) != 0)
        err = mcq_detail_set(detail, MCQ_EINVAL, errno, "hwloc can't make a machine of '%.128s'",
                             source == MCQ_TOPO_HOST ? "this one" : text);
    if (err != MCQ_OK)
        hwloc_topology_destroy(*topo);
    return err;
}

/* --- what it says --------------------------------------------------------------------------- */

static uint32_t ancestor_idx(hwloc_topology_t topo, hwloc_obj_type_t type, hwloc_obj_t obj)
{
    hwloc_obj_t above = hwloc_get_ancestor_obj_by_type(topo, type, obj);
    return above == NULL ? MCQ_TOPO_NONE : above->logical_index;
}

/* The kind's rank, where hwloc can tell which is faster. */
static uint32_t speed_of(hwloc_topology_t topo, hwloc_obj_t pu)
{
    int efficiency = -1;
    int kind = hwloc_cpukinds_get_by_cpuset(topo, pu->cpuset, 0);
    if (kind < 0 ||
        hwloc_cpukinds_get_info(topo, (unsigned)kind, NULL, &efficiency, NULL, NULL, 0) != 0 ||
        efficiency < 0)
        return 0;
    return (uint32_t)efficiency;
}

static void cpus_read(hwloc_topology_t topo, struct mcq_topo_facts *f)
{
    int cores = hwloc_get_nbobjs_by_type(topo, HWLOC_OBJ_CORE);
    uint32_t next_core = cores > 0 ? (uint32_t)cores : 0;
    uint32_t seen[MCQ_CPUS_MAX] = {0};
    hwloc_const_bitmap_t allowed = hwloc_topology_get_allowed_cpuset(topo);
    for (hwloc_obj_t pu = NULL;
         (pu = hwloc_get_next_obj_by_type(topo, HWLOC_OBJ_PU, pu)) != NULL;) {
        uint32_t core = ancestor_idx(topo, HWLOC_OBJ_CORE, pu);
        if (core == MCQ_TOPO_NONE)
            core = next_core++;
        if (f->cpu_cnt == MCQ_CPUS_MAX || pu->os_index >= MCQ_CPUS_MAX || core >= MCQ_CPUS_MAX) {
            f->cpu_left_cnt++;
            continue;
        }
        f->cpus[f->cpu_cnt++] =
            (struct mcq_topo_cpu){.cpu = pu->os_index,
                                  .core = core,
                                  .l3 = ancestor_idx(topo, HWLOC_OBJ_L3CACHE, pu),
                                  .node = MCQ_TOPO_NONE,
                                  .package = ancestor_idx(topo, HWLOC_OBJ_PACKAGE, pu),
                                  .sibling = seen[core]++,
                                  .speed = speed_of(topo, pu),
                                  .usable = hwloc_bitmap_isset(allowed, pu->os_index) != 0};
    }
}

/* A CPU's node is the most local one that covers it; of equals, as where fast memory lies beside
 * the ordinary one, the first. */
static void nodes_read(hwloc_topology_t topo, struct mcq_topo_facts *f)
{
    int weights[MCQ_CPUS_MAX] = {0};
    for (hwloc_obj_t n = NULL;
         (n = hwloc_get_next_obj_by_type(topo, HWLOC_OBJ_NUMANODE, n)) != NULL;) {
        int weight = hwloc_bitmap_weight(n->cpuset);
        if (f->node_cnt == MCQ_TOPO_NODES_MAX)
            return;
        f->nodes[f->node_cnt++] =
            (struct mcq_topo_node){.node = n->os_index,
                                   .package = ancestor_idx(topo, HWLOC_OBJ_PACKAGE, n),
                                   .memory_bytes = n->attr->numanode.local_memory};
        for (uint32_t i = 0; i < f->cpu_cnt; i++) {
            struct mcq_topo_cpu *cpu = &f->cpus[i];
            if (!hwloc_bitmap_isset(n->cpuset, cpu->cpu) ||
                (cpu->node != MCQ_TOPO_NONE && weights[i] <= weight))
                continue;
            cpu->node = n->os_index;
            weights[i] = weight;
        }
    }
}

/* --- interfaces ----------------------------------------------------------------------------- */

static bool nic_in_topology(hwloc_topology_t topo, const char *nic, uint32_t *node)
{
    for (hwloc_obj_t dev = NULL; (dev = hwloc_get_next_osdev(topo, dev)) != NULL;) {
        if (dev->attr->osdev.type != HWLOC_OBJ_OSDEV_NETWORK || dev->name == NULL ||
            strcmp(dev->name, nic) != 0)
            continue;
        hwloc_obj_t near = hwloc_get_non_io_ancestor_obj(topo, dev);
        /* the whole machine's nodes: on none of them */
        if (near != NULL && near->nodeset != NULL && hwloc_bitmap_weight(near->nodeset) == 1)
            *node = (uint32_t)hwloc_bitmap_first(near->nodeset);
        return true;
    }
    return false;
}

enum mcq_error mcq_topo_hwloc_load(enum mcq_topo_source source, const char *text, const char *nic,
                                   struct mcq_topo_facts *f, bool *nic_known,
                                   struct mcq_detail *detail)
{
    hwloc_topology_t topo = NULL;
    *nic_known = false;
    enum mcq_error err = topology_open(source, text, &topo, detail);
    if (err != MCQ_OK)
        return err;
    cpus_read(topo, f);
    nodes_read(topo, f);
    if (nic != NULL)
        *nic_known = nic_in_topology(topo, nic, &f->nic_node);
    hwloc_topology_destroy(topo);
    return MCQ_OK;
}
