/* Topo: facts about a machine and options -> who sits where.
 *
 * A pure function: the same facts and options give the same answer; no system call, no memory of
 * its own, no assertion on odd shapes (CPUs without node, nodes without CPUs, no L3, no package).
 * The facts come from topo_hwloc.c and topo_host.c, or from a test. Thread: any. Cost: cores x
 * shards at worst, cold.
 *
 * Invariants: without a list of `cpus` no hardware thread is given twice, none is given that isn't
 * usable, and either all shards are pinned or none.
 */
#ifndef MCQ_SHARDS_TOPO_H
#define MCQ_SHARDS_TOPO_H

#include <monocoque/topo.h>

#include "mem/base.h"
#include "shards/options.h"

#define MCQ_TOPO_NODES_MAX 256u
#define MCQ_TOPO_NOTES_MAX 16u
#define MCQ_TOPO_NOTE_LEN  240u
#define MCQ_TOPO_UNLIMITED UINT64_MAX

struct mcq_topo_facts {
    struct mcq_topo_cpu cpus[MCQ_CPUS_MAX]; /* in the machine's order; core < MCQ_CPUS_MAX */
    struct mcq_topo_node nodes[MCQ_TOPO_NODES_MAX];
    uint32_t cpu_cnt, node_cnt;
    uint32_t cpu_left_cnt; /* hardware threads beyond MCQ_CPUS_MAX */
    uint32_t offline_cnt;
    uint32_t nic_node;    /* MCQ_TOPO_NONE: none wanted, or it is on no node */
    uint64_t quota_milli; /* of the cgroup: thousandths of a CPU, or MCQ_TOPO_UNLIMITED */
    bool memory_known;    /* nodes[].memory_bytes is worth reading */
};

struct mcq_topo_choice {
    struct mcq_topo_shard shards[MCQ_SHARDS_MAX];
    char notes[MCQ_TOPO_NOTES_MAX][MCQ_TOPO_NOTE_LEN];
    uint32_t shard_cnt, note_cnt;
    bool may_spin;
};

/* opts: effective. Errors: MCQ_EINVAL with text: a list of CPUs. */
MCQ_MUST_USE enum mcq_error mcq_topo_choose(const struct mcq_topo_facts *facts,
                                            const struct mcq_opts *opts,
                                            struct mcq_topo_choice *out, struct mcq_detail *detail);

#endif
