/* Checks of clocks: what reading one costs, whether cores agree, how right the time is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

#include "check.h"
#include "skew.h"

#define SKEW_NS_MAX  100
#define ERROR_US_MAX 100
#define CPUINFO_LINE 4096u

/* What isn't offered can't be chosen; where that isn't readable, trying does no harm. */
static bool tsc_is_offered(const struct exam *e)
{
    struct text t;
    bool offered =
        !doctor_source_read(&e->source, &t,
                            "/sys/devices/system/clocksource/clocksource0/available_clocksource") ||
        doctor_words_has(t.at, "tsc");
    doctor_text_drop(&t);
    return offered;
}

static void source(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    static const char *const fast[] = {"tsc", "arch_sys_counter"};
    static const char *const shared[] = {"kvm-clock", "hyperv_clocksource_tsc_page"};
    struct text t;
    char word[WORDS_LEN];
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    enum mcq_doctor_status status = MCQ_DOCTOR_FAIL;
    bool formed = doctor_words_word(t.at, word);
    for (unsigned i = 0; formed && i < 2; i++) {
        if (strcmp(word, fast[i]) == 0)
            status = MCQ_DOCTOR_PASS;
        else if (strcmp(word, shared[i]) == 0)
            status = MCQ_DOCTOR_WARN;
    }
    if (formed)
        doctor_check_say(r, status, "%s", word);
    else
        doctor_check_malformed(r, &t, "a name");
    doctor_text_drop(&t);
    if (formed && status != MCQ_DOCTOR_PASS && !tsc_is_offered(e))
        doctor_check_fix(
            r, "no command: the kernel doesn't offer tsc here, and said why at boot (dmesg)");
}

static void tsc_flags(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    char flags[CPUINFO_LINE];
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool there = doctor_words_line(t.at, "flags", flags, sizeof flags);
    doctor_text_drop(&t);
    if (!there) {
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: no line of flags", c->path);
        return;
    }
    bool constant = doctor_words_has(flags, "constant_tsc"),
         nonstop = doctor_words_has(flags, "nonstop_tsc");
    doctor_check_say(r, constant && nonstop ? MCQ_DOCTOR_PASS : c->worse,
                     "%sconstant_tsc, %snonstop_tsc", constant ? "" : "no ", nonstop ? "" : "no ");
}

static void skew(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t skew_ns = 0, bound_ns = 0, rounds = 0, pairs = 0;
    /* One shard: its clock against those of the others. */
    const struct set *cpus = doctor_set_cnt(&e->shards_on) > 1 ? &e->shards_on : &e->online;
    if (!doctor_check_ask(e, r, &t, "tsc", "the TSC of each CPU", doctor_skew_measure, cpus))
        return;
    bool formed = doctor_words_key(t.at, "skew_ns", &skew_ns) &&
                  doctor_words_key(t.at, "bound_ns", &bound_ns) &&
                  doctor_words_key(t.at, "rounds", &rounds) &&
                  doctor_words_key(t.at, "pairs", &pairs);
    if (!formed)
        doctor_check_malformed(r, &t, "lines pairs, rounds, skew_ns, bound_ns");
    doctor_text_drop(&t);
    if (!formed)
        return;
    bool apart = skew_ns - bound_ns > SKEW_NS_MAX;
    doctor_check_say(r,
                     apart                   ? c->worse
                     : skew_ns > SKEW_NS_MAX ? MCQ_DOCTOR_UNKNOWN
                                             : MCQ_DOCTOR_PASS,
                     "at most %" PRId64 " ns +-%" PRId64 " apart (%" PRId64 " pair%s)%s", skew_ns,
                     bound_ns, pairs, pairs == 1 ? "" : "s",
                     !apart && skew_ns > SKEW_NS_MAX ? "; too coarse to tell, the CPUs are busy"
                                                     : "");
}

/* --- the time of day ------------------------------------------------------------------------ */

static void ask_adjtimex(const void *ctx, char *lines, size_t len)
{
    struct timex t = {.modes = 0}; /* reads only */
    (void)ctx;
    int state = adjtimex(&t);
    if (state < 0)
        snprintf(lines, len, "error %m\n");
    else
        snprintf(lines, len, "state %d\nstatus %d\nmaxerror_us %ld\nesterror_us %ld\n", state,
                 t.status, t.maxerror, t.esterror);
}

static void sync_state(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t state = 0, status = 0, max_us = 0;
    if (!doctor_check_ask(e, r, &t, "adjtimex", "adjtimex(2)", ask_adjtimex, NULL))
        return;
    bool formed = doctor_words_key(t.at, "state", &state) &&
                  doctor_words_key(t.at, "status", &status) &&
                  doctor_words_key(t.at, "maxerror_us", &max_us) && max_us >= 0;
    if (!formed)
        doctor_check_malformed(r, &t, "lines state, status, maxerror_us");
    else if (state == TIME_ERROR || (status & STA_UNSYNC) != 0)
        doctor_check_say(r, c->worse,
                         "not synchronised, says the kernel (error bound %" PRId64 " us)", max_us);
    else
        doctor_check_say(r, max_us > ERROR_US_MAX ? c->worse : MCQ_DOCTOR_PASS,
                         "synchronised, at most %" PRId64 " us wrong", max_us);
    doctor_text_drop(&t);
}

struct hunt {
    const struct exam *e;
    uint32_t seen;
    char names[96];
};

static bool daemon_seen(void *ctx, const char *pid)
{
    static const char known[] = "chronyd ntpd ntpd-rs ntp-daemon systemd-timesyn ptp4l phc2sys "
                                "timemaster sfptpd openntpd";
    struct hunt *h = ctx;
    struct text t;
    char word[WORDS_LEN];
    if (strspn(pid, "0123456789") != strlen(pid))
        return true;
    if (doctor_source_read(&h->e->source, &t, "/proc/%s/comm", pid)) {
        size_t at = strlen(h->names);
        h->seen++;
        if (doctor_words_word(t.at, word) && doctor_words_has(known, word) &&
            !doctor_words_has(h->names, word))
            snprintf(h->names + at, sizeof h->names - at, "%s%.20s", at == 0 ? "" : " ", word);
    }
    doctor_text_drop(&t);
    return true;
}

static void daemons(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct hunt h = {.e = e};
    snprintf(r->path, sizeof r->path, "%s", c->path);
    int err = doctor_source_names(&e->source, "/proc", daemon_seen, &h);
    if (err != 0 || h.seen == 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "/proc: %s",
                         err != 0 ? strerror(err) : "shows no process");
    else if (h.names[0] == '\0')
        doctor_check_say(r, c->worse, "none that is known among %" PRIu32 " processes seen",
                         h.seen);
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS, "%s", h.names);
}

struct clocks {
    const struct exam *e;
    uint32_t cnt;
    char names[160];
};

static bool clock_seen(void *ctx, const char *name)
{
    struct clocks *s = ctx;
    struct text t;
    char what[40] = "?";
    size_t at = strlen(s->names);
    if (strncmp(name, "ptp", 3) != 0)
        return true;
    if (doctor_source_read(&s->e->source, &t, "/sys/class/ptp/%.16s/clock_name", name))
        doctor_words_show(t.at, what, sizeof what);
    doctor_text_drop(&t);
    s->cnt++;
    snprintf(s->names + at, sizeof s->names - at, "%s%.8s %s", at == 0 ? "" : ", ", name, what);
    return true;
}

static void hardware_clock(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct clocks s = {.e = e};
    snprintf(r->path, sizeof r->path, "%s", c->path);
    int err = doctor_source_names(&e->source, c->path, clock_seen, &s);
    if (err != 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: %s", c->path, strerror(err));
    else if (s.cnt == 0)
        doctor_check_say(r, c->worse, "none");
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS, "%s", s.names);
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_clock_checks[] = {
    {.id = "clock-source",
     .path = "/sys/devices/system/clocksource/clocksource0/current_clocksource",
     .judge = source,
     .wanted = "tsc (x86), arch_sys_counter (arm)",
     .cost =
         "Reading the time takes 20 ns by the TSC, some 40 ns by a hypervisor's clock, 1 us and "
         "more by hpet or acpi_pm, which are system calls.",
     .fix = "echo tsc >/sys/devices/system/clocksource/clocksource0/current_clocksource"},
    {.id = "clock-tsc-flags",
     .path = "/proc/cpuinfo",
     .judge = tsc_flags,
     .worse = MCQ_DOCTOR_FAIL,
     .wanted = "constant_tsc and nonstop_tsc",
     .cost = "Counters that change their speed or stop in idle make stamps wrong by any amount.",
     .fix = "no command: another CPU, or a hypervisor that passes its TSC on (invariant TSC)"},
    {.id = "clock-tsc-skew",
     .path = "the TSC of each CPU",
     .judge = skew,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "less than 100 ns between any shard CPU and the first",
     .cost = "Times between two cores are wrong by as much, and may be negative.",
     .fix = "no command: newer firmware sets all counters alike; until then compare stamps of one "
            "core only"},
    {.id = "clock-sync",
     .path = "adjtimex(2)",
     .judge = sync_state,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "synchronised, error bound below 100 us",
     .cost = "One-way times between hosts are wrong by the error, often milliseconds; round trips "
             "aren't concerned.",
     .fix = "apt-get install chrony && systemctl enable --now chrony"},
    {.id = "clock-daemon",
     .path = "/proc/*/comm",
     .judge = daemons,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "a daemon that keeps the time: chronyd, ptp4l and phc2sys, ...",
     .cost = "The clock drifts 1 to 100 us a second from that of others.",
     .fix = "apt-get install chrony && systemctl enable --now chrony"},
    {.id = "clock-ptp",
     .path = "/sys/class/ptp",
     .judge = hardware_clock,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "a hardware clock",
     .cost = "Without one hosts agree within 10 us to 1 ms, by NTP, instead of below 1 us; round "
             "trips aren't concerned.",
     .fix = "no command: an interface with a PTP clock; of a guest of KVM, modprobe ptp_kvm"},
};
const uint32_t doctor_clock_check_cnt = sizeof doctor_clock_checks / sizeof doctor_clock_checks[0];
