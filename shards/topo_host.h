/* RAW: files under /proc and /sys, and this thread's affinity; sound because everything is read
 * once and bounded by its buffer; topo_facts.c calls, tests with a root of their own.
 *
 * Topo host: what the kernel says of this machine beyond its shape. root: "" for the machine, else
 * a folder with the same files. What can't be read is as if it were not there. Cold. */
#ifndef MCQ_SHARDS_TOPO_HOST_H
#define MCQ_SHARDS_TOPO_HOST_H

#include "shards/topo.h"

/* CPU time that the cgroups of this process grant, v2 or v1, the least of them and all above:
 * thousandths of a CPU, or MCQ_TOPO_UNLIMITED. */
uint64_t mcq_topo_host_quota(const char *root);
/* CPUs that are there but offline. */
uint32_t mcq_topo_host_offline(const char *root);
/* NUMA node of a network interface, or of what lies below it (bond, vlan, bridge); MCQ_TOPO_NONE:
 * none. false: there is no such interface. */
bool mcq_topo_host_nic(const char *root, const char *nic, uint32_t *node);
/* CPUs this thread may use, by the system's number. Returns how many; 0: it isn't told. */
uint32_t mcq_topo_host_affinity(bool usable[MCQ_CPUS_MAX]);

#endif
