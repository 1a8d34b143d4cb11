/* Checks of what the machine takes from everybody: a hypervisor, a cgroup, heat, firmware; and of
 * what the process may have. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#define CPUINFO_LINE 4096u
#define FILES_FEW    1024u
#define FILES_MIN    65536u
#define CGROUP_DEPTH 32u
#define USER_TICK_MS 10 /* in which the kernel tells times, whatever its own tick */
#define STAT_STEAL   7u /* after user nice system idle iowait irq softirq */

static void virtual(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    char flags[CPUINFO_LINE], vendor[WORDS_LEN] = "";
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool there = doctor_words_line(t.at, "flags", flags, sizeof flags);
    doctor_text_drop(&t);
    if (doctor_source_read(&e->source, &t, "/sys/class/dmi/id/sys_vendor"))
        doctor_words_show(t.at, vendor, sizeof vendor);
    doctor_text_drop(&t);
    if (!there)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: no line of flags", c->path);
    else if (doctor_words_has(flags, "hypervisor"))
        doctor_check_say(r, c->worse, "a virtual machine%s%s", vendor[0] == '\0' ? "" : " of ",
                         vendor);
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS, "no hypervisor%s%s", vendor[0] == '\0' ? "" : ", ",
                         vendor);
}

/* --- time that was taken -------------------------------------------------------------------- */

/* The sum of a column of /proc/stat over the shard CPUs; false: one of them has no such line. */
static bool stat_sum(const struct exam *e, const struct text *t, uint32_t column, int64_t *sum)
{
    *sum = 0;
    for (uint32_t cpu = doctor_set_next(&e->shards_on, 0); cpu < SET_CPUS_MAX;
         cpu = doctor_set_next(&e->shards_on, cpu + 1)) {
        char key[16], line[256];
        int64_t values[STAT_STEAL + 1];
        snprintf(key, sizeof key, "cpu%" PRIu32, cpu);
        if (!doctor_words_line(t->at, key, line, sizeof line) ||
            doctor_words_numbers(line, values, STAT_STEAL + 1) <= column)
            return false;
        *sum += values[column];
    }
    return true;
}

static void steal(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    int64_t before, after;
    const struct sample *s = NULL;
    if (!doctor_check_has_cpus(e, r) || (s = doctor_check_sample(e, r, SAMPLE_STAT)) == NULL)
        return;
    if (!stat_sum(e, &s->before, STAT_STEAL, &before) ||
        !stat_sum(e, &s->after, STAT_STEAL, &after))
        doctor_check_malformed(r, &s->before, "a line of 8 numbers for each shard CPU");
    else
        doctor_check_say_count(e, r,
                               after > before ? MCQ_DOCTOR_FAIL
                               : after > 0    ? c->worse
                                              : MCQ_DOCTOR_PASS,
                               (after - before) * USER_TICK_MS, after * USER_TICK_MS, " ms");
}

/* --- the cgroup's share --------------------------------------------------------------------- */

enum quota { QUOTA_NONE, QUOTA_SET, QUOTA_ABSENT, QUOTA_MALFORMED, QUOTA_UNREAD };

/* Of one folder. Version 2: "max 100000" or "200000 100000"; version 1: -1, or a number in one file
 * and the period in another. */
static enum quota quota_at(const struct exam *e, const char *folder, struct text *t,
                           int64_t *thousandths)
{
    int64_t values[3] = {0, 0, 0};
    const char *file = e->cgroup_v2 ? "cpu.max" : "cpu.cfs_quota_us";
    if (!doctor_source_read(&e->source, t, "%s/%s", folder, file))
        return t->err == ENOENT ? QUOTA_ABSENT : QUOTA_UNREAD;
    if (e->cgroup_v2 && strncmp(t->at, "max ", 4) == 0)
        return QUOTA_NONE;
    if (e->cgroup_v2 ? doctor_words_numbers(t->at, values, 3) != 2
                     : !doctor_words_number(t->at, &values[0]))
        return QUOTA_MALFORMED;
    if (!e->cgroup_v2 && values[0] == -1)
        return QUOTA_NONE;
    if (!e->cgroup_v2) {
        doctor_text_drop(t);
        if (!doctor_source_read(&e->source, t, "%s/cpu.cfs_period_us", folder))
            return QUOTA_UNREAD;
        if (!doctor_words_number(t->at, &values[1]))
            return QUOTA_MALFORMED;
    }
    if (values[0] <= 0 || values[1] <= 0 || values[0] > INT64_MAX / 1000)
        return QUOTA_MALFORMED;
    *thousandths = values[0] * 1000 / values[1];
    return QUOTA_SET;
}

/* The smallest on the way up to the root, which has none of its own in version 2. */
static void cpu_max(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    char folder[SOURCE_PATH_LEN];
    int64_t least = INT64_MAX, here = 0;
    bool seen = e->cgroup_v2; /* its root has no such file */
    struct text t;
    if (e->cgroup[0] == '\0') {
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", e->cgroup_why);
        return;
    }
    snprintf(folder, sizeof folder, "%s", e->cgroup);
    snprintf(r->path, sizeof r->path, "%.120s/%s", folder,
             e->cgroup_v2 ? "cpu.max" : "cpu.cfs_quota_us");
    for (unsigned i = 0; i < CGROUP_DEPTH && strlen(folder) >= strlen("/sys/fs/cgroup"); i++) {
        enum quota quota = quota_at(e, folder, &t, &here);
        if (quota == QUOTA_UNREAD)
            doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", t.why);
        else if (quota == QUOTA_MALFORMED)
            doctor_check_malformed(r, &t, "a quota and a period");
        doctor_text_drop(&t);
        if (quota == QUOTA_UNREAD || quota == QUOTA_MALFORMED)
            return;
        seen |= quota != QUOTA_ABSENT;
        least = quota == QUOTA_SET && here < least ? here : least;
        *strrchr(folder, '/') = '\0';
    }
    if (!seen)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: %s", r->path, strerror(ENOENT));
    else if (least == INT64_MAX)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "no limit");
    else
        doctor_check_say(r, least < 1000 * (int64_t)e->shards ? MCQ_DOCTOR_FAIL : c->worse,
                         "%" PRId64 ".%03" PRId64 " CPUs for %" PRIu32 " shard%s and the rest",
                         least / 1000, least % 1000, e->shards, e->shards == 1 ? "" : "s");
}

static void throttled(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    int64_t before, after;
    if (e->cgroup[0] == '\0') {
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", e->cgroup_why);
        return;
    }
    const struct sample *s = doctor_check_sample(e, r, SAMPLE_CPU_STAT);
    if (s == NULL)
        return;
    if (!doctor_words_key(s->before.at, "nr_throttled", &before) ||
        !doctor_words_key(s->after.at, "nr_throttled", &after)) {
        /* what version 2 has where the controller isn't on */
        if (strncmp(s->before.at, "usage_usec ", 11) == 0)
            doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: counts usage only", s->before.path);
        else
            doctor_check_malformed(r, &s->before, "a line nr_throttled");
        return;
    }
    doctor_check_say_count(e, r,
                           after > before ? MCQ_DOCTOR_FAIL
                           : after > 0    ? c->worse
                                          : MCQ_DOCTOR_PASS,
                           after - before, after, "");
}

/* --- heat and firmware ---------------------------------------------------------------------- */

static void counted(const struct exam *e, const struct check *c, struct mcq_doctor_result *r,
                    enum counter_kind kind)
{
    const struct counter *n = &e->counters[kind];
    bool total_counts = kind == COUNTER_THERMAL; /* starting a machine takes some SMIs */
    doctor_words_show(n->path, r->path, sizeof r->path);
    if (!n->known)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", n->why);
    else if (n->after == 0 || total_counts || doctor_check_twice(e, r))
        doctor_check_say_count(e, r,
                               n->after > n->before           ? MCQ_DOCTOR_FAIL
                               : n->after > 0 && total_counts ? c->worse
                                                              : MCQ_DOCTOR_PASS,
                               n->after - n->before, n->after, "");
}

static void thermal(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    counted(e, c, r, COUNTER_THERMAL);
}

static void smi(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    counted(e, c, r, COUNTER_SMI);
}

/* --- the process ---------------------------------------------------------------------------- */

static void files(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    char line[96];
    int64_t soft = 0;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool formed = doctor_words_line(t.at, "Max open files", line, sizeof line);
    bool unlimited = formed && strncmp(line, "unlimited", 9) == 0;
    formed = formed && (unlimited || (doctor_words_numbers(line, &soft, 1) == 1 && soft >= 0));
    if (!formed)
        doctor_check_malformed(r, &t, "a line 'Max open files'");
    else if (unlimited)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "unlimited");
    else
        doctor_check_say(r,
                         soft >= FILES_MIN   ? MCQ_DOCTOR_PASS
                         : soft <= FILES_FEW ? MCQ_DOCTOR_FAIL
                                             : c->worse,
                         "%" PRId64, soft);
    doctor_text_drop(&t);
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_host_checks[] = {
    {.id = "host-virtual",
     .path = "/proc/cpuinfo",
     .judge = virtual,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no hypervisor",
     .cost = "Interrupts, sleeping and waking go through the hypervisor, 1 to 50 us each; it may "
             "take the CPU at any time.",
     .fix = "no command: bare metal, or vCPUs that have physical CPUs of their own"},
    {.id = "host-steal",
     .path = "/proc/stat",
     .judge = steal,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "none",
     .cost = "The hypervisor ran somebody else on the CPU: 0.1 to 30 ms at a time.",
     .fix = "no command: an instance with dedicated CPUs, or the host's vCPU pinning"},
    {.id = "host-cpu-max",
     .path = "/sys/fs/cgroup/.../cpu.max",
     .judge = cpu_max,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no limit",
     .cost = "Who has used up the quota is stopped until the period ends: up to 100 ms.",
     .fix = "systemctl set-property UNIT CPUQuota= # of a container: run it without --cpus, with "
            "--cpuset-cpus"},
    {.id = "host-throttled",
     .path = "/sys/fs/cgroup/.../cpu.stat",
     .judge = throttled,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "never",
     .cost = "Each time all threads stood still until the period ended: up to 100 ms.",
     .fix = "systemctl set-property UNIT CPUQuota= # of a container: run it without --cpus, with "
            "--cpuset-cpus"},
    {.id = "host-thermal",
     .path = "/sys/devices/system/cpu/cpuCPU/thermal_throttle/{core,package}_throttle_count",
     .judge = thermal,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0",
     .cost = "The clock fell to a half or less for milliseconds to seconds.",
     .fix = "no command: cooling, or a lower maximum clock (cpupower frequency-set -u FREQ)"},
    {.id = "host-smi",
     .path = "/dev/cpu/CPU/msr, register 0x34",
     .judge = smi,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "none during the window",
     .cost = "Firmware stops all CPUs for 10 us to milliseconds, unseen by the system.",
     .fix = "no command: in the firmware's setup turn off power capping, USB legacy support and "
            "reports of memory errors"},
    {.id = "host-files",
     .path = "/proc/self/limits",
     .judge = files,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "65536 open files or more",
     .cost = "A connection is a file: no more of them are accepted.",
     .fix = "ulimit -n 65536 # of a service: LimitNOFILE=65536"},
};
const uint32_t doctor_host_check_cnt = sizeof doctor_host_checks / sizeof doctor_host_checks[0];
