#include "shards/topo_facts.h"

#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"
#include "shards/topo_host.h"
#include "shards/topo_hwloc.h"
#include "shards/topo_sysfs.h"

/* From an archive the linker takes topo_hwloc only if somebody asks for it by name. */
extern __typeof__(mcq_topo_hwloc_load) mcq_topo_hwloc_load __attribute__((weak));

static bool have_hwloc(void)
{
    return mcq_topo_hwloc_load != NULL;
}

/* --- interfaces ----------------------------------------------------------------------------- */

static bool node_named(const struct mcq_topo_facts *f, const char *digits, uint32_t *node)
{
    char *end;
    unsigned long n = strtoul(digits, &end, 10);
    if (digits[0] < '0' || digits[0] > '9' || *end != '\0')
        return false;
    for (uint32_t i = 0; i < f->node_cnt; i++) {
        if (f->nodes[i].node == n) {
            *node = f->nodes[i].node;
            return true;
        }
    }
    return false;
}

/* Described machines: hwloc has looked for the interface. */
static enum mcq_error nic_find(enum mcq_topo_source source, const char *nic, bool known,
                               struct mcq_topo_facts *f, struct mcq_detail *detail)
{
    static const char named[] = "node:";
    size_t named_len = sizeof(named) - 1;
    if (strncmp(nic, named, named_len) == 0) {
        if (node_named(f, nic + named_len, &f->nic_node))
            return MCQ_OK;
        return mcq_detail_set(detail, MCQ_ENOENT, 0, "nic: there is no NUMA node '%.16s'",
                              nic + named_len);
    }
    if (source == MCQ_TOPO_HOST)
        known = mcq_topo_host_nic("", nic, &f->nic_node);
    if (known)
        return MCQ_OK;
    return mcq_detail_set(
        detail, MCQ_ENOENT, 0, "nic: there is no network interface '%.64s': %s", nic,
        source == MCQ_TOPO_HOST ? "see `ip link`" : "node:N names a NUMA node instead");
}

/* --- this machine --------------------------------------------------------------------------- */

static void host_load(struct mcq_topo_facts *f)
{
    bool usable[MCQ_CPUS_MAX], nic_known;
    bool told = mcq_topo_host_affinity(usable) != 0;
    bool shaped = have_hwloc() &&
                  mcq_topo_hwloc_load(MCQ_TOPO_HOST, NULL, NULL, f, &nic_known, NULL) == MCQ_OK;
    if (!shaped)
        mcq_topo_sysfs_load("", usable, f);
    for (uint32_t i = 0; told && i < f->cpu_cnt; i++)
        f->cpus[i].usable = f->cpus[i].usable && usable[f->cpus[i].cpu];
    f->memory_known = true;
    f->quota_milli = mcq_topo_host_quota("");
    f->offline_cnt = mcq_topo_host_offline("");
}

enum mcq_error mcq_topo_facts_load(enum mcq_topo_source source, const char *text, const char *nic,
                                   struct mcq_topo_facts *f, struct mcq_detail *detail)
{
    bool nic_known = false;
    enum mcq_error err = MCQ_OK;
    *f = (struct mcq_topo_facts){.nic_node = MCQ_TOPO_NONE, .quota_milli = MCQ_TOPO_UNLIMITED};
    if (source == MCQ_TOPO_HOST)
        host_load(f);
    else if (!have_hwloc())
        err = mcq_detail_set(detail, MCQ_ENOTSUP, 0,
                             "this program was linked without hwloc: it plans for the machine it "
                             "runs on alone");
    else
        err = mcq_topo_hwloc_load(source, text, nic, f, &nic_known, detail);
    /* hwloc gives a described machine memory that nobody described */
    if (source == MCQ_TOPO_XML || (source == MCQ_TOPO_SYNTHETIC && strstr(text, "memory=") != NULL))
        f->memory_known = true;
    if (err == MCQ_OK && nic != NULL)
        err = nic_find(source, nic, nic_known, f, detail);
    return err;
}
