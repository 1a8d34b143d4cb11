/* Topo work: what the parts of mcq_topo_choose share. Private to topo.c and topo_sqpoll.c. */
#ifndef MCQ_SHARDS_TOPO_WORK_H
#define MCQ_SHARDS_TOPO_WORK_H

#include "shards/topo.h"

enum mcq_topo_use {
    MCQ_TOPO_FREE = 0,
    MCQ_TOPO_SHARD,    /* a shard is pinned there */
    MCQ_TOPO_KERNEL,   /* a kernel thread is */
    MCQ_TOPO_UNUSABLE, /* not by this process */
};

/* CPUs are indices into facts->cpus here. */
struct mcq_topo_work {
    const struct mcq_topo_facts *facts;
    const struct mcq_opts *opts;
    struct mcq_topo_choice *out;
    uint32_t order[MCQ_CPUS_MAX]; /* usable ones, best first; [0, core_cnt) one per core */
    uint32_t cnt, core_cnt;
    uint8_t use[MCQ_CPUS_MAX];      /* enum mcq_topo_use */
    bool busy[MCQ_CPUS_MAX];        /* by core: a shard or a kernel thread has it */
    uint32_t place[MCQ_SHARDS_MAX]; /* of each shard; MCQ_TOPO_NONE: not pinned, or unknown CPU */
    bool kernel_list;               /* the user names the CPUs of the kernel threads */
    uint32_t kernel[MCQ_CPUS_MAX];
    uint32_t kernel_cnt;
};

__attribute__((format(printf, 2, 3))) void mcq_topo_note(struct mcq_topo_choice *out,
                                                         const char *fmt, ...);
/* Index of the hardware thread that the system calls cpu, or MCQ_TOPO_NONE. */
uint32_t mcq_topo_find(const struct mcq_topo_facts *facts, uint32_t cpu);
void mcq_topo_take(struct mcq_topo_work *w, uint32_t idx, enum mcq_topo_use use);
/* Whether a and b are under one L3, or where there is none, on one node or package. */
bool mcq_topo_near(const struct mcq_topo_cpu *a, const struct mcq_topo_cpu *b);

/* Whether the ring mode asks for kernel threads at all: sqpoll, or auto that spins. */
bool mcq_topo_kernel_wanted(const struct mcq_opts *opts);
/* Reads and reserves the CPUs of sqpoll_cpus, before shards are placed. */
MCQ_MUST_USE enum mcq_error mcq_topo_kernel_list(struct mcq_topo_work *w,
                                                 struct mcq_detail *detail);
/* Places the shards so that each L3 has room for their kernel threads. false: nothing was placed,
 * the machine is too small for that. */
bool mcq_topo_kernel_room(struct mcq_topo_work *w);
/* Gives the placed shards their kernel threads. */
void mcq_topo_kernel_place(struct mcq_topo_work *w);

#endif
