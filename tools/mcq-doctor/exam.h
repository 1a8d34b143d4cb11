/* Exam: one run over a host: where facts come from, which CPUs are meant, and what was counted
 * twice, at the beginning and the end of the window. Checks borrow it and change nothing in it. */
#ifndef MCQ_DOCTOR_EXAM_H
#define MCQ_DOCTOR_EXAM_H

#include "doctor.h"
#include "set.h"
#include "source.h"

/* Files whose change is looked at. Under another root the second look is at its folder later/;
 * what isn't there hasn't changed, and without that folder there was one look only. */
enum sample_kind {
    SAMPLE_INTERRUPTS, /* /proc/interrupts */
    SAMPLE_STAT,       /* /proc/stat */
    SAMPLE_SOFTNET,    /* /proc/net/softnet_stat */
    SAMPLE_CPU_STAT,   /* cpu.stat of the process's cgroup */
    SAMPLE_NUMASTAT,   /* of the node of the first shard CPU */
    SAMPLE_CNT
};

struct sample {
    struct text before, after;
};

/* Numbers that are gathered from many files. */
enum counter_kind { COUNTER_KSOFTIRQD, COUNTER_THERMAL, COUNTER_SMI, COUNTER_CNT };

struct counter {
    bool known;
    int64_t before, after;
    char path[SOURCE_PATH_LEN]; /* the first file of it */
    char why[SOURCE_WHY_LEN];   /* not known: the reason */
};

struct exam {
    struct source source;
    struct set online, shards_on; /* shards_on: CPUs the shards run on */
    struct set house;             /* online and none of theirs: for everything else */
    bool online_known;
    uint32_t shards;
    uint64_t memory_bytes; /* arenas and large blocks of all shards */
    uint32_t napi_busy_us;
    bool wants_lock;
    char nic[MCQ_DOCTOR_NIC_LEN]; /* "": none; nic_why says more */
    char nic_why[SOURCE_WHY_LEN];
    bool nic_physical;            /* has a device, so interrupts and registers */
    char cgroup[SOURCE_PATH_LEN]; /* folder of the process's cgroup for CPU time; "": unknown */
    char cgroup_why[SOURCE_WHY_LEN];
    bool cgroup_v2;
    bool node_known;
    unsigned node; /* of the first shard CPU */
    uint32_t window_ms;
    bool twice; /* counters were looked at twice, so that their rise is known */
    struct sample samples[SAMPLE_CNT];
    struct counter counters[COUNTER_CNT];
    char note[MCQ_DOCTOR_FOUND_LEN];
};

/* Reads what all checks need, waits for the window, and counts again. doctor_exam_fini drops it. */
void doctor_exam_init(struct exam *e, const struct mcq_doctor_opts *opts);
void doctor_exam_fini(struct exam *e);

/* Where the process's share of CPU time is written (cgroup.c). */
void doctor_exam_find_cgroup(struct exam *e);
/* One look at a counter (counters.c): false, and why, if it can't be read. */
bool doctor_exam_count(const struct exam *e, enum counter_kind kind, bool later, int64_t *value,
                       char path[SOURCE_PATH_LEN], char why[SOURCE_WHY_LEN]);

#endif
