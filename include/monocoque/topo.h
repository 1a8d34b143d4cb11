/* Topo: where shards go. A plan says for each shard the hardware thread it is pinned to and the
 * NUMA node its memory comes from. mcq_run makes the same one and logs its notes; mcq-topo prints
 * it.
 *
 * One shard per physical core; a second hardware thread of a core only with MCQ_SMT_USE. Order: the
 * node of the network interface (nic), other nodes of its package, the rest; within these the
 * fastest cores, then the machine's own order, which fills one L3 after the other. What this
 * process may not use (affinity, cpuset, offline) gets nothing. Are there fewer CPUs, or less
 * cgroup time, than shards, none is pinned and none spins. The list of `cpus` overrules all of it.
 */
#ifndef MONOCOQUE_TOPO_H
#define MONOCOQUE_TOPO_H

#include <monocoque/app.h>
#include <monocoque/base.h>
#include <monocoque/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCQ_TOPO_NONE UINT32_MAX /* not pinned; no such core, cache, node or package */

enum mcq_topo_source {
    MCQ_TOPO_HOST = 0,  /* this machine, as this process may use it; text: not read */
    MCQ_TOPO_SYNTHETIC, /* text: "pack:2 [numa] l3:4 core:8 pu:2", hwloc's own notation */
    MCQ_TOPO_XML        /* text: the file that `lstopo FILE.xml` wrote on some machine */
};

/* Cores, caches and packages are counted over the whole machine from 0; cpu and node are the
 * system's own numbers. */
struct mcq_topo_shard {
    uint32_t id, cpu, core, package;
    uint32_t node;       /* whose memory it gets: that of its core, or the nearest that has any */
    uint32_t sqpoll_cpu; /* of the kernel thread of its ring; shards with the same one share it */
    uint64_t arena_bytes;
};

/* A hardware thread. */
struct mcq_topo_cpu {
    uint32_t cpu, core, l3, node, package;
    uint32_t sibling; /* 0: the first of its core */
    uint32_t speed;   /* of cores that differ the fastest have the greatest; else 0 */
    bool usable;      /* by this process: affinity, cpuset, online */
};

struct mcq_topo_node {
    uint32_t node, package;
    uint64_t memory_bytes; /* 0: none, or unknown */
};

struct mcq_topo_plan {
    size_t size; /* sizeof(struct mcq_topo_plan), set by MCQ_TOPO_PLAN_INIT */
    const struct mcq_topo_shard *shards;
    const struct mcq_topo_cpu *cpus; /* in the machine's order: by package, node, L3, core */
    const struct mcq_topo_node *nodes;
    const char *const *notes; /* sentences: what was taken into account, and what is missing */
    uint32_t shard_cnt, cpu_cnt, node_cnt, note_cnt;
    bool may_spin; /* false: fewer CPUs or less time than shards, idle becomes MCQ_IDLE_BLOCK */
    void *own;     /* the library's */
};
#ifdef __cplusplus
static inline struct mcq_topo_plan mcq_topo_plan_init(void)
{
    struct mcq_topo_plan plan = {};
    plan.size = sizeof plan;
    return plan;
}
#define MCQ_TOPO_PLAN_INIT mcq_topo_plan_init()
#else
#define MCQ_TOPO_PLAN_INIT                   \
    {                                        \
        .size = sizeof(struct mcq_topo_plan) \
    }
#endif

/* mcq_topo_plan_make plans for opts (NULL: the defaults) and *gives* what the plan points to. Of a
 * machine that is not this one everything is usable, unless its XML says otherwise.
 * Thread: any. Cost: milliseconds. Errors, with what to change in detail (may be NULL):
 *   MCQ_EINVAL, MCQ_ENOTSUP   an option, or text that describes no machine
 *   MCQ_ENOENT                no such file; no network interface of that name
 *   MCQ_ENOMEM */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_topo_plan_make(const struct mcq_opts *opts,
                                                       enum mcq_topo_source source,
                                                       const char *text, struct mcq_topo_plan *plan,
                                                       struct mcq_detail *detail);
/* mcq_topo_plan_drop *takes* what the plan points to; harmless on one that was never made. */
MCQ_API void mcq_topo_plan_drop(struct mcq_topo_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
