/* Checks of the shard CPUs: clock frequency, idle states, and who else runs there. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#define WAKE_US_MAX     3  /* leaving C1 takes 1 to 3 us */
#define WAKE_US_FAIL    50 /* from here on the first message after a pause is late by it */
#define IDLE_STATES_MAX 16u

/* --- idle states ---------------------------------------------------------------------------- */

struct idle {
    int64_t latency_us; /* of the slowest state that is allowed */
    char name[WORDS_LEN];
};

static bool attribute(const struct exam *e, struct mcq_doctor_result *r, const char *path,
                      int64_t *value)
{
    struct text t;
    if (!doctor_check_read(e, r, &t, "%s", path))
        return false;
    bool formed = doctor_words_number(t.at, value);
    if (!formed)
        doctor_check_malformed(r, &t, "a number");
    doctor_text_drop(&t);
    return formed;
}

static void state_name(const struct exam *e, const char *folder, char name[WORDS_LEN])
{
    struct text t;
    if (doctor_source_read(&e->source, &t, "%s/name", folder))
        doctor_words_show(t.at, name, WORDS_LEN);
    doctor_text_drop(&t);
}

/* False: something wasn't readable, and r says so. */
static bool slowest_state(const struct exam *e, struct mcq_doctor_result *r, uint32_t cpu,
                          struct idle *slowest)
{
    for (unsigned i = 0; i < IDLE_STATES_MAX; i++) {
        char folder[96], path[128];
        int64_t latency, disabled;
        snprintf(folder, sizeof folder, "/sys/devices/system/cpu/cpu%" PRIu32 "/cpuidle/state%u",
                 cpu, i);
        if (i > 0 && !doctor_source_is_there(&e->source, folder))
            break;
        snprintf(path, sizeof path, "%s/latency", folder);
        if (!attribute(e, r, path, &latency))
            return false;
        snprintf(path, sizeof path, "%s/disable", folder);
        if (!attribute(e, r, path, &disabled))
            return false;
        if (disabled == 0 && latency > slowest->latency_us) {
            slowest->latency_us = latency;
            state_name(e, folder, slowest->name);
        }
    }
    return true;
}

/* What somebody who holds the file open has asked for, in microseconds; nobody: 2,000,000,000. */
static bool quality_of_service(const struct exam *e, int32_t *us)
{
    return doctor_source_bytes(&e->source, "/dev/cpu_dma_latency", 0, us, sizeof *us) == 0 &&
           *us >= 0;
}

static void idle_states(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct idle slowest = {.latency_us = -1};
    int32_t held = 0;
    (void)c;
    if (!doctor_check_has_cpus(e, r))
        return;
    for (uint32_t cpu = doctor_set_next(&e->shards_on, 0); cpu < SET_CPUS_MAX;
         cpu = doctor_set_next(&e->shards_on, cpu + 1))
        if (!slowest_state(e, r, cpu, &slowest))
            return;
    bool known = quality_of_service(e, &held);
    if (slowest.latency_us <= WAKE_US_MAX)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "slowest state allowed: %s, %" PRId64 " us to wake up",
                         slowest.name[0] == '\0' ? "none" : slowest.name, slowest.latency_us);
    else if (known && held <= WAKE_US_MAX)
        doctor_check_say(r, MCQ_DOCTOR_PASS,
                         "%s is there, but /dev/cpu_dma_latency is held at %" PRId32 " us",
                         slowest.name, held);
    else
        doctor_check_say(r, slowest.latency_us >= WAKE_US_FAIL ? MCQ_DOCTOR_FAIL : MCQ_DOCTOR_WARN,
                         "%s is allowed, %" PRId64 " us to wake up%s", slowest.name,
                         slowest.latency_us, known ? "" : "; /dev/cpu_dma_latency isn't readable");
}

/* --- isolation ------------------------------------------------------------------------------ */

/* What isolcpus= took out, and what a cgroup partition has (kernel 6.8). */
static void isolated(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    struct set boot, group;
    if (!doctor_check_has_cpus(e, r) || !doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool formed = doctor_set_from_list(&boot, t.at);
    if (!formed)
        doctor_check_malformed(r, &t, "a list of CPUs");
    doctor_text_drop(&t);
    if (!formed)
        return;
    if (doctor_source_read(&e->source, &t, "/sys/fs/cgroup/cpuset.cpus.isolated") &&
        doctor_set_from_list(&group, t.at))
        for (uint32_t cpu = doctor_set_next(&group, 0); cpu < SET_CPUS_MAX;
             cpu = doctor_set_next(&group, cpu + 1))
            doctor_set_add(&boot, cpu);
    doctor_text_drop(&t);
    char has[MCQ_DOCTOR_CPUS_LEN / 2], lacks[MCQ_DOCTOR_CPUS_LEN / 2];
    struct set missing = doctor_set_without(&e->shards_on, &boot);
    doctor_set_list(&boot, has, sizeof has);
    doctor_set_list(&missing, lacks, sizeof lacks);
    if (doctor_set_cnt(&missing) == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "isolated: %s", has);
    else
        doctor_check_say(r, c->worse, "isolated: %s; not so shard CPU %s", has, lacks);
}

/* nohz_full= takes the callbacks along; rcu_nocbs alone means all CPUs. */
static void rcu_nocbs(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    char list[MCQ_DOCTOR_CPUS_LEN];
    if (!doctor_check_has_cpus(e, r) || !doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool given = doctor_words_param(t.at, "rcu_nocbs", list, sizeof list);
    bool all = given && (list[0] == '\0' || strcmp(list, "all") == 0);
    if (!given)
        given = doctor_words_param(t.at, "nohz_full", list, sizeof list);
    doctor_text_drop(&t);
    struct set cpus = {0};
    if (all) {
        doctor_check_say(r, MCQ_DOCTOR_PASS, "rcu_nocbs for all CPUs");
    } else if (given && !doctor_set_from_list(&cpus, list)) {
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN,
                         "'%s' in the kernel command line isn't a plain list of CPUs", list);
    } else {
        struct set missing = doctor_set_without(&e->shards_on, &cpus);
        char lacks[MCQ_DOCTOR_CPUS_LEN / 2];
        doctor_set_list(&missing, lacks, sizeof lacks);
        if (doctor_set_cnt(&missing) == 0)
            doctor_check_say(r, MCQ_DOCTOR_PASS, "callbacks run elsewhere for %s", list);
        else
            doctor_check_say(r, c->worse, "callbacks run on shard CPU %s", lacks);
    }
}

static void first_cpu(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    snprintf(r->path, sizeof r->path, "%s", c->path);
    if (!doctor_check_has_cpus(e, r))
        return;
    if (doctor_set_has(&e->shards_on, 0))
        doctor_check_say(r, c->worse, "a shard runs on CPU 0");
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS, "no shard runs on CPU 0");
}

/* A line "Cpus_allowed_list" of a process: kthreadd's is inherited by threads of the kernel. */
static bool allowed_list(const struct exam *e, const struct check *c, struct mcq_doctor_result *r,
                         struct set *allowed)
{
    struct text t;
    char list[MCQ_DOCTOR_CPUS_LEN];
    if (!doctor_check_has_cpus(e, r) || !doctor_check_read(e, r, &t, "%s", c->path))
        return false;
    bool formed = doctor_words_line(t.at, "Cpus_allowed_list", list, sizeof list) &&
                  doctor_set_from_list(allowed, list);
    if (!formed)
        doctor_check_malformed(r, &t, "a line Cpus_allowed_list");
    doctor_text_drop(&t);
    return formed;
}

static void kernel_threads(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct set allowed;
    char on[MCQ_DOCTOR_CPUS_LEN / 2];
    if (!allowed_list(e, c, r, &allowed))
        return;
    struct set both = doctor_set_and(&allowed, &e->shards_on);
    doctor_set_list(&both, on, sizeof on);
    if (doctor_set_cnt(&both) == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "new threads of the kernel stay off the shard CPUs");
    else
        doctor_check_say(r, c->worse, "threads of the kernel may run on shard CPU %s", on);
}

static void affinity(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct set allowed;
    char list[MCQ_DOCTOR_CPUS_LEN / 2];
    if (!allowed_list(e, c, r, &allowed))
        return;
    struct set missing = doctor_set_without(&e->shards_on, &allowed);
    doctor_set_list(doctor_set_cnt(&missing) == 0 ? &allowed : &missing, list, sizeof list);
    if (doctor_set_cnt(&missing) == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "this process may use %s", list);
    else
        doctor_check_say(r, c->worse, "this process may not use shard CPU %s", list);
}

static void shard_cnt(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    snprintf(r->path, sizeof r->path, "%s", c->path);
    if (!e->online_known || !doctor_check_has_cpus(e, r)) {
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: which CPUs are online can't be read", c->path);
        return;
    }
    uint32_t online = doctor_set_cnt(&e->online);
    struct set absent = doctor_set_without(&e->shards_on, &e->online);
    char list[64];
    doctor_set_list(&absent, list, sizeof list);
    if (doctor_set_cnt(&absent) != 0)
        doctor_check_say(r, MCQ_DOCTOR_FAIL, "not online: shard CPU %s", list);
    else if (e->shards > doctor_set_cnt(&e->shards_on))
        doctor_check_say(r, MCQ_DOCTOR_FAIL, "%" PRIu32 " shards on %" PRIu32 " CPUs", e->shards,
                         doctor_set_cnt(&e->shards_on));
    else if (doctor_set_cnt(&e->house) == 0)
        doctor_check_say(r, MCQ_DOCTOR_WARN, "%" PRIu32 " CPUs online, none left for anything else",
                         online);
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS, "%" PRIu32 " shard%s, %" PRIu32 " CPUs online",
                         e->shards, e->shards == 1 ? "" : "s", online);
}

/* --- siblings ------------------------------------------------------------------------------- */

static bool siblings_of(const struct exam *e, struct mcq_doctor_result *r, uint32_t cpu,
                        struct set *siblings)
{
    struct text t;
    struct set list;
    if (!doctor_check_read(
            e, r, &t, "/sys/devices/system/cpu/cpu%" PRIu32 "/topology/thread_siblings_list", cpu))
        return false;
    bool formed = doctor_set_from_list(&list, t.at);
    if (!formed)
        doctor_check_malformed(r, &t, "a list of CPUs");
    doctor_text_drop(&t);
    for (uint32_t i = formed ? doctor_set_next(&list, 0) : SET_CPUS_MAX; i < SET_CPUS_MAX;
         i = doctor_set_next(&list, i + 1))
        if (i != cpu)
            doctor_set_add(siblings, i);
    return formed;
}

static void smt(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct set siblings = {0};
    char list[MCQ_DOCTOR_CPUS_LEN / 4], words[MCQ_DOCTOR_CPUS_LEN];
    if (!doctor_check_has_cpus(e, r))
        return;
    for (uint32_t cpu = doctor_set_next(&e->shards_on, 0); cpu < SET_CPUS_MAX;
         cpu = doctor_set_next(&e->shards_on, cpu + 1))
        if (!siblings_of(e, r, cpu, &siblings))
            return;
    siblings = e->online_known ? doctor_set_and(&siblings, &e->online) : siblings;
    struct set both = doctor_set_and(&siblings, &e->shards_on);
    doctor_set_list(&siblings, list, sizeof list);
    if (doctor_set_cnt(&siblings) == 0) {
        doctor_check_say(r, MCQ_DOCTOR_PASS, "each shard CPU has its core alone");
    } else if (doctor_set_cnt(&both) != 0) {
        doctor_set_list(&both, list, sizeof list);
        doctor_check_say(r, c->worse, "shard CPU %s have cores in common", list);
        doctor_check_fix(r,
                         "no command: give each shard a core of its own, as `mcq-topo` plans it");
    } else {
        doctor_check_say(r, c->worse, "online siblings of shard CPUs: %s", list);
        doctor_set_words(&siblings, words, sizeof words);
        doctor_check_fix(r, "for c in %s; do echo 0 >/sys/devices/system/cpu/cpu$c/online; done",
                         words);
    }
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_cpu_checks[] = {
    {.id = "cpu-count",
     .path = "/sys/devices/system/cpu/online",
     .judge = shard_cnt,
     .wanted = "a CPU for each shard, and one for the rest",
     .cost = "Two spinning threads on one CPU wait for one another's time slice, 1 to 10 ms.",
     .fix = "no command: fewer shards (--shards), or a machine with more CPUs"},
    {.id = "cpu-affinity",
     .path = "/proc/self/status",
     .judge = affinity,
     .worse = MCQ_DOCTOR_FAIL,
     .wanted = "this process may use the shard CPUs",
     .cost = "Shards that can't be pinned aren't; they move between cores and lose their caches, "
             "10 to 100 us each time.",
     .fix = "taskset -pc {cpus} $$ # or the cpuset of the container, AllowedCPUs= of the unit"},
    {.id = "cpu-governor",
     .path = "/sys/devices/system/cpu/cpuCPU/cpufreq/scaling_governor",
     .judge = doctor_check_cpu_word,
     .words = "performance",
     .worse = MCQ_DOCTOR_FAIL,
     .wanted = "performance",
     .cost = "A core that clocked down in a pause serves the next messages at half its speed, for "
             "10 us to 10 ms.",
     .fix = "for c in {each}; do echo performance "
            ">/sys/devices/system/cpu/cpu$c/cpufreq/scaling_governor; done",
     .tuned = "cpu|governor=performance"},
    {.id = "cpu-epp",
     .path = "/sys/devices/system/cpu/cpuCPU/cpufreq/energy_performance_preference",
     .judge = doctor_check_cpu_word,
     .words = "performance 0",
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "performance",
     .cost = "The core itself rather saves energy: it reaches its full clock tens of us to "
             "milliseconds after the load has come.",
     .fix = "for c in {each}; do echo performance >/sys/devices/system/cpu/cpu$c/cpufreq/"
            "energy_performance_preference; done",
     .tuned = "cpu|energy_performance_preference=performance"},
    {.id = "cpu-epb",
     .path = "/sys/devices/system/cpu/cpuCPU/power/energy_perf_bias",
     .judge = doctor_check_cpu_number,
     .op = CHECK_EQ,
     .value = 0,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0",
     .cost = "The package rather saves energy: clocks of cores and of the cache between them rise "
             "late, some 10 us.",
     .fix = "for c in {each}; do echo 0 >/sys/devices/system/cpu/cpu$c/power/energy_perf_bias; "
            "done",
     .tuned = "cpu|energy_perf_bias=performance"},
    {.id = "cpu-min-perf",
     .path = "/sys/devices/system/cpu/intel_pstate/min_perf_pct",
     .judge = doctor_check_number,
     .op = CHECK_EQ,
     .value = 100,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "100",
     .cost = "The clock falls between bursts; the way up takes tens of us.",
     .fix = "echo 100 >/sys/devices/system/cpu/intel_pstate/min_perf_pct",
     .tuned = "cpu|min_perf_pct=100"},
    {.id = "cpu-idle-states",
     .path = "/sys/devices/system/cpu/cpuCPU/cpuidle/state*/{latency,disable}",
     .judge = idle_states,
     .wanted = "no state on shard CPUs that takes more than 3 us to leave",
     .cost = "The first message after a pause waits for the core to wake up: 1 to 3 us from C1, "
             "50 to 200 us and more from C6.",
     .fix = "for c in {each}; do for s in /sys/devices/system/cpu/cpu$c/cpuidle/state*; do "
            "[ $(cat $s/latency) -le 3 ] || echo 1 >$s/disable; done; done",
     .tuned = "cpu|force_latency=cstate.id_no_zero:1|3"},
    {.id = "cpu-isolated",
     .path = "/sys/devices/system/cpu/isolated",
     .judge = isolated,
     .worse = MCQ_DOCTOR_FAIL,
     .wanted = "all shard CPUs",
     .cost =
         "Any thread of the system may be put on a shard CPU and keep it for a time slice, 1 to "
         "10 ms.",
     .fix = "kernel command line: isolcpus=domain,managed_irq,{cpus}",
     .tuned = "boot|isolcpus=domain,managed_irq,{cpus}"},
    {.id = "cpu-nohz-full",
     .path = "/sys/devices/system/cpu/nohz_full",
     .judge = doctor_check_list_on,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "all shard CPUs",
     .cost = "The tick interrupts a spinning shard 100 to 1,000 times a second for 1 to 5 us.",
     .fix = "kernel command line: nohz_full={cpus}",
     .tuned = "boot|nohz_full={cpus}"},
    {.id = "cpu-rcu-nocbs",
     .path = "/proc/cmdline",
     .judge = rcu_nocbs,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "rcu_nocbs= or nohz_full= with all shard CPUs",
     .cost = "What the kernel frees late is freed on shard CPUs, some to hundreds of us at a time.",
     .fix = "kernel command line: rcu_nocbs={cpus}",
     .tuned = "boot|rcu_nocbs={cpus}"},
    {.id = "cpu-zero",
     .path = "the list of shard CPUs",
     .judge = first_cpu,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no shard on CPU 0",
     .cost = "CPU 0 keeps the time and gets the interrupts nobody placed; it can't be isolated "
             "whole: several us at any moment.",
     .fix = "no command: run the shards with --cpus and a list without 0"},
    {.id = "cpu-kthreads",
     .path = "/proc/2/status",
     .judge = kernel_threads,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "kthreadd, whose mask others inherit, off the shard CPUs",
     .cost = "Threads of the kernel that are bound to no CPU run on shard CPUs, 10 us to "
             "milliseconds each.",
     .fix = "for p in $(pgrep -P 2) 2; do taskset -pc {house} $p; done 2>/dev/null # at boot "
            "nohz_full={cpus} does it"},
    {.id = "cpu-workqueue",
     .path = "/sys/devices/virtual/workqueue/cpumask",
     .judge = doctor_check_mask_off,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no shard CPU",
     .cost = "Deferred work of drivers and file systems runs on shard CPUs, 10 to 100 us at a "
             "time.",
     .fix = "echo {housemask} >/sys/devices/virtual/workqueue/cpumask",
     .tuned = "sysfs|/sys/devices/virtual/workqueue/cpumask={housemask}"},
    {.id = "cpu-writeback",
     .path = "/sys/devices/virtual/workqueue/writeback/cpumask",
     .judge = doctor_check_mask_off,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no shard CPU",
     .cost = "Dirty pages are written from shard CPUs, up to milliseconds while a disk is busy.",
     .fix = "echo {housemask} >/sys/devices/virtual/workqueue/writeback/cpumask",
     .tuned = "sysfs|/sys/devices/virtual/workqueue/writeback/cpumask={housemask}"},
    {.id = "cpu-smt",
     .path = "/sys/devices/system/cpu/cpuCPU/topology/thread_siblings_list",
     .judge = smt,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "siblings of shard CPUs offline, or idle",
     .cost = "A busy sibling takes a part of the core's units and caches: 20 to 50 % of its speed, "
             "while it runs.",
     .fix = "echo off >/sys/devices/system/cpu/smt/control"},
};
const uint32_t doctor_cpu_check_cnt = sizeof doctor_cpu_checks / sizeof doctor_cpu_checks[0];
