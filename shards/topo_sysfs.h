/* RAW: files under /sys; sound because every read is bounded by its buffer and nothing is written;
 * topo_facts.c calls, and tests with a root of their own.
 *
 * Topo sysfs: the shape of this machine as the kernel tells it, for programs without hwloc (those
 * linked with -static) and hosts on which hwloc fails: cores, packages, nodes, L3, siblings; all
 * cores are equally fast. root: "" for the machine. Cold. */
#ifndef MCQ_SHARDS_TOPO_SYSFS_H
#define MCQ_SHARDS_TOPO_SYSFS_H

#include "shards/topo.h"

/* Of the CPUs marked (by the system's number) and their nodes. What can't be read is left open. */
void mcq_topo_sysfs_load(const char *root, const bool wanted[MCQ_CPUS_MAX],
                         struct mcq_topo_facts *facts);

#endif
