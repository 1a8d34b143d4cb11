/* Topo facts: everything a plan takes into account, of this machine or of a described one.
 *
 * The shape comes from hwloc. A program may be linked without it: libhwloc can't be linked with
 * -static, so the static library asks for it only where its user does (see docs/TOPOLOGY.md). Then,
 * and where hwloc fails, this machine is read from /sys, and no other can be planned for.
 * Thread: any. Cost: milliseconds, allocates. */
#ifndef MCQ_SHARDS_TOPO_FACTS_H
#define MCQ_SHARDS_TOPO_FACTS_H

#include "shards/topo.h"

/* nic: an interface, "node:N", or NULL. Errors: those of mcq_topo_plan_make. */
MCQ_MUST_USE enum mcq_error mcq_topo_facts_load(enum mcq_topo_source source, const char *text,
                                                const char *nic, struct mcq_topo_facts *facts,
                                                struct mcq_detail *detail);

#endif
