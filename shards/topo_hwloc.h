/* Topo hwloc: the shape of a machine, this one or a described one, as hwloc sees it.
 *
 * Every hardware thread without a core is its own core. Thread: any. Cost: milliseconds, allocates.
 */
#ifndef MCQ_SHARDS_TOPO_HWLOC_H
#define MCQ_SHARDS_TOPO_HWLOC_H

#include "shards/topo.h"

/* Fills CPUs, nodes, and nic_node if the machine has an interface nic (NULL: none is looked for);
 * *nic_known: whether it has. usable is what the topology says. Errors: MCQ_EINVAL, MCQ_ENOENT,
 * MCQ_ENOMEM. */
MCQ_MUST_USE enum mcq_error mcq_topo_hwloc_load(enum mcq_topo_source source, const char *text,
                                                const char *nic, struct mcq_topo_facts *f,
                                                bool *nic_known, struct mcq_detail *detail);

#endif
