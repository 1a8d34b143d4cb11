/* Checks of the kernel: its version and what it does of its own accord. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "check.h"

#define HUNG_TASK_S_MIN 600

static void version(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    unsigned major = 0, minor = 0;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (sscanf(t.at, "%4u.%4u", &major, &minor) != 2)
        doctor_check_malformed(r, &t, "a version like 6.1.0");
    else if (major * 1000 + minor < 6001)
        doctor_check_say(r, MCQ_DOCTOR_FAIL, "%s", t.at);
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS, "%s", t.at);
    doctor_text_drop(&t);
}

/* --- preemption and tick -------------------------------------------------------------------- */

/* "none (voluntary) full": the one in parentheses is on. */
static bool preempt_chosen(const char *text, char word[WORDS_LEN])
{
    const char *open = strchr(text, '('), *close = open == NULL ? NULL : strchr(open, ')');
    if (close == NULL || close - open - 1 <= 0 || close - open - 1 >= (int)WORDS_LEN)
        return false;
    snprintf(word, WORDS_LEN, "%.*s", (int)(close - open - 1), open + 1);
    return true;
}

static void preempt(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text now, built, line;
    char word[WORDS_LEN] = "", asked[WORDS_LEN] = "";
    if (!doctor_check_read(e, r, &built, "%s", c->path))
        return;
    bool known = doctor_source_read(&e->source, &now, "/sys/kernel/debug/sched/preempt") &&
                 preempt_chosen(now.at, word);
    if (doctor_source_read(&e->source, &line, "/proc/cmdline"))
        doctor_words_param(line.at, "preempt", asked, sizeof asked);
    if (strstr(built.at, "PREEMPT_RT") != NULL)
        doctor_check_say(r, c->worse, "PREEMPT_RT");
    else if (known)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "%s, says /sys/kernel/debug/sched/preempt", word);
    else if (asked[0] != '\0')
        doctor_check_say(r, MCQ_DOCTOR_PASS, "preempt=%s in the kernel command line", asked);
    else if (strstr(built.at, "PREEMPT_DYNAMIC") != NULL)
        doctor_check_say(
            r, MCQ_DOCTOR_UNKNOWN,
            "PREEMPT_DYNAMIC: none, voluntary or full, which /sys/kernel/debug/sched/preempt "
            "would tell");
    else if (strchr(built.at, '#') == NULL)
        doctor_check_malformed(r, &built, "a build like '#1 SMP'");
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS, "%s",
                         strstr(built.at, "PREEMPT") != NULL ? "full" : "none or voluntary");
    doctor_text_drop(&built);
    doctor_text_drop(&now);
    doctor_text_drop(&line);
}

/* The coarse clock moves once a tick. */
static void ask_tick(const void *ctx, char *lines, size_t len)
{
    struct timespec t = {0};
    (void)ctx;
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &t) != 0)
        snprintf(lines, len, "error %m\n");
    else
        snprintf(lines, len, "tick_ns %ld\n", t.tv_nsec);
}

static void tick(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t ns = 0;
    if (!doctor_check_ask(e, r, &t, "tick", "clock_getres(2), the coarse clock", ask_tick, NULL))
        return;
    if (doctor_words_key(t.at, "tick_ns", &ns) && ns >= 100000 && ns <= 1000000000) {
        int64_t hz = (1000000000 + ns / 2) / ns;
        doctor_check_say(r, hz > c->value ? c->worse : MCQ_DOCTOR_PASS, "HZ=%" PRId64, hz);
    } else {
        doctor_check_malformed(r, &t, "a line tick_ns");
    }
    doctor_text_drop(&t);
}

/* --- mitigations ---------------------------------------------------------------------------- */

struct flaws {
    const struct exam *e;
    uint32_t seen, mitigated, open;
    char names[160]; /* of what is mitigated */
    char why[SOURCE_WHY_LEN];
};

static bool flaw_seen(void *ctx, const char *name)
{
    struct flaws *s = ctx;
    struct text t;
    if (!doctor_source_read(&s->e->source, &t, "/sys/devices/system/cpu/vulnerabilities/%.64s",
                            name)) {
        snprintf(s->why, sizeof s->why, "%s", t.why);
        return true;
    }
    size_t at = strlen(s->names);
    bool mitigated = strstr(t.at, "Mitigation:") != NULL;
    bool formed = mitigated || strncmp(t.at, "Vulnerable", 10) == 0 ||
                  strncmp(t.at, "Not affected", 12) == 0 || strncmp(t.at, "Unknown", 7) == 0 ||
                  strncmp(t.at, "KVM:", 4) == 0 || strncmp(t.at, "Processor vulnerable", 20) == 0;
    s->seen += formed;
    s->mitigated += mitigated;
    s->open += strncmp(t.at, "Vulnerable", 10) == 0;
    if (mitigated)
        snprintf(s->names + at, sizeof s->names - at, "%s%.32s", at == 0 ? ": " : ", ", name);
    if (!formed)
        snprintf(s->why, sizeof s->why,
                 "/sys/devices/system/cpu/vulnerabilities/%.40s: has an unknown form", name);
    doctor_text_drop(&t);
    return true;
}

static void mitigations(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct flaws s = {.e = e};
    struct text line;
    char asked[WORDS_LEN] = "";
    snprintf(r->path, sizeof r->path, "%s", c->path);
    int err =
        doctor_source_names(&e->source, "/sys/devices/system/cpu/vulnerabilities", flaw_seen, &s);
    if (doctor_source_read(&e->source, &line, "/proc/cmdline"))
        doctor_words_param(line.at, "mitigations", asked, sizeof asked);
    doctor_text_drop(&line);
    if (err != 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "/sys/devices/system/cpu/vulnerabilities: %s",
                         strerror(err));
    else if (s.seen == 0 || s.why[0] != '\0')
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s",
                         s.why[0] != '\0' ? s.why
                                          : "/sys/devices/system/cpu/vulnerabilities: is empty");
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS,
                         "%s%s%s%" PRIu32 " of %" PRIu32 " mitigated, %" PRIu32 " open%s",
                         asked[0] == '\0' ? "" : "mitigations=", asked,
                         asked[0] == '\0' ? "" : ", ", s.mitigated, s.seen, s.open, s.names);
}

/* --- watchdogs ------------------------------------------------------------------------------ */

/* The soft watchdog's threads may be kept off the shard CPUs instead of being turned off. */
static void soft_watchdog(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t on = 0;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool formed = doctor_words_number(t.at, &on);
    if (!formed)
        doctor_check_malformed(r, &t, "a number");
    doctor_text_drop(&t);
    if (!formed)
        return;
    struct set cpus;
    bool kept_off = on != 0 &&
                    doctor_source_read(&e->source, &t, "/proc/sys/kernel/watchdog_cpumask") &&
                    doctor_set_from_list(&cpus, t.at) && doctor_set_cnt(&e->shards_on) != 0 &&
                    !doctor_set_meets(&cpus, &e->shards_on);
    if (on != 0)
        doctor_text_drop(&t);
    doctor_check_say(r, on != 0 && !kept_off ? c->worse : MCQ_DOCTOR_PASS, "%" PRId64 "%s", on,
                     kept_off ? ", but not on shard CPUs (watchdog_cpumask)" : "");
}

static void hung_task(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t seconds = 0;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (doctor_words_number(t.at, &seconds))
        doctor_check_say(r, seconds == 0 || seconds >= HUNG_TASK_S_MIN ? MCQ_DOCTOR_PASS : c->worse,
                         "%" PRId64 " s%s", seconds, seconds == 0 ? ", which is off" : "");
    else
        doctor_check_malformed(r, &t, "a number");
    doctor_text_drop(&t);
}

/* Corrected errors are polled for unless they are ignored, or the interval is 0. */
static void machine_check(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t ignored = 0;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool formed = doctor_words_number(t.at, &ignored);
    if (!formed)
        doctor_check_malformed(r, &t, "a number");
    doctor_text_drop(&t);
    if (!formed)
        return;
    int64_t interval = -1;
    if (doctor_source_read(&e->source, &t,
                           "/sys/devices/system/machinecheck/machinecheck0/check_interval"))
        (void)doctor_words_number(t.at, &interval);
    doctor_text_drop(&t);
    doctor_check_say(r, ignored != 0 || interval == 0 ? MCQ_DOCTOR_PASS : c->worse,
                     "ignore_ce %" PRId64 "%s", ignored,
                     interval == 0 ? ", but check_interval is 0" : "");
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_kernel_checks[] = {
    {.id = "kernel-version",
     .path = "/proc/sys/kernel/osrelease",
     .judge = version,
     .wanted = "6.1 or newer",
     .cost = "Shards don't start below 6.1.",
     .fix = "no command: install a kernel from 6.1 on (apt-get install linux-image-amd64)"},
    {.id = "kernel-preempt",
     .path = "/proc/sys/kernel/version",
     .judge = preempt,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "reported; not PREEMPT_RT",
     .cost = "PREEMPT_RT runs the network in threads: some us more per message, less throughput; a "
             "shard alone on its CPU gains nothing by it.",
     .fix = "no command: boot the distribution's kernel without RT"},
    {.id = "kernel-hz",
     .path = "clock_getres(2), the coarse clock",
     .judge = tick,
     .value = 250,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "at most 250",
     .cost = "Without nohz_full the tick takes 1 to 5 us from a spinning shard, HZ times a second.",
     .fix = "kernel command line: nohz_full={cpus}"},
    {.id = "kernel-mitigations",
     .path = "/sys/devices/system/cpu/vulnerabilities/*",
     .judge = mitigations,
     .wanted = "reported",
     .cost = "Each system call and interrupt takes 0.1 to 1 us more; what depends on the host's "
             "exposure isn't for this program to advise."},
    {.id = "kernel-nmi-watchdog",
     .path = "/proc/sys/kernel/nmi_watchdog",
     .judge = doctor_check_number,
     .op = CHECK_EQ,
     .value = 0,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0",
     .cost = "An NMI on each CPU every 10 s, 1 to 10 us, and a performance counter taken.",
     .fix = "sysctl -w kernel.nmi_watchdog=0",
     .tuned = "sysctl|kernel.nmi_watchdog=0\nboot|nmi_watchdog=0"},
    {.id = "kernel-softlockup",
     .path = "/proc/sys/kernel/soft_watchdog",
     .judge = soft_watchdog,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0, or not on shard CPUs",
     .cost = "A timer and a thread on each CPU every 4 s, 5 to 20 us.",
     .fix = "sysctl -w kernel.soft_watchdog=0",
     .tuned = "boot|nosoftlockup"},
    {.id = "kernel-hung-task",
     .path = "/proc/sys/kernel/hung_task_timeout_secs",
     .judge = hung_task,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0, or at least 600",
     .cost = "A thread walks all tasks that often, for up to milliseconds with many tasks.",
     .fix = "sysctl -w kernel.hung_task_timeout_secs=600",
     .tuned = "sysctl|kernel.hung_task_timeout_secs=600"},
    {.id = "kernel-stat-interval",
     .path = "/proc/sys/vm/stat_interval",
     .judge = doctor_check_number,
     .op = CHECK_GE,
     .value = 10,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "at least 10",
     .cost = "Memory counters are gathered by a work item on each CPU that often, 5 to 20 us.",
     .fix = "sysctl -w vm.stat_interval=10",
     .tuned = "sysctl|vm.stat_interval=10"},
    {.id = "kernel-timer-migration",
     .path = "/proc/sys/kernel/timer_migration",
     .judge = doctor_check_number,
     .op = CHECK_EQ,
     .value = 0,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0",
     .cost = "Timers of idle CPUs move to busy ones, so to those of spinning shards: 1 to 10 us "
             "each.",
     .fix = "sysctl -w kernel.timer_migration=0",
     .tuned = "sysctl|kernel.timer_migration=0"},
    {.id = "kernel-rt-runtime",
     .path = "/proc/sys/kernel/sched_rt_runtime_us",
     .judge = doctor_check_number,
     .op = CHECK_EQ,
     .value = -1,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "-1, if shards run under SCHED_FIFO",
     .cost = "A real-time thread that spins is stopped for 50 ms each second; others aren't "
             "concerned.",
     .fix = "sysctl -w kernel.sched_rt_runtime_us=-1",
     .tuned = "sysctl|kernel.sched_rt_runtime_us=-1"},
    {.id = "kernel-machine-check",
     .path = "/sys/devices/system/machinecheck/machinecheck0/ignore_ce",
     .judge = machine_check,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "1, or check_interval 0",
     .cost = "Each CPU polls for corrected errors every 5 minutes, 10 to 100 us; without it they "
             "aren't logged.",
     .fix = "for f in /sys/devices/system/machinecheck/machinecheck*/ignore_ce; do echo 1 >$f; "
            "done",
     .tuned = "sysfs|/sys/devices/system/machinecheck/machinecheck*/ignore_ce=1"},
};
const uint32_t doctor_kernel_check_cnt =
    sizeof doctor_kernel_checks / sizeof doctor_kernel_checks[0];
