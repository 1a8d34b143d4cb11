/* Topo hwloc: the shape of a machine, this one or a described one, as facts for the plan.
 *
 * What hwloc or the system doesn't tell is left open: every hardware thread without a core is its
 * own core. If the shape of this machine can't be had at all, the CPUs this thread may use are
 * cores without anything around them. Thread: any. Cost: milliseconds, allocates. */
#ifndef MCQ_SHARDS_TOPO_HWLOC_H
#define MCQ_SHARDS_TOPO_HWLOC_H

#include "shards/topo.h"

/* nic: an interface, "node:N", or NULL. Errors: those of mcq_topo_plan_make. */
MCQ_MUST_USE enum mcq_error mcq_topo_facts_load(enum mcq_topo_source source, const char *text,
                                                const char *nic, struct mcq_topo_facts *facts,
                                                struct mcq_detail *detail);

#endif
