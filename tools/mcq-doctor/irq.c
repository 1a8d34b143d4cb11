/* Checks of interrupts: who may raise one on a shard CPU, and who did during the window. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define SOURCES_SHOWN 4u

/* --- placement ------------------------------------------------------------------------------ */

struct irqs {
    const struct exam *e;
    uint32_t seen, on_shards, unread;
    char names[64]; /* of the first few on shard CPUs */
    char why[SOURCE_WHY_LEN];
};

static bool is_number(const char *name)
{
    return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

/* Where it goes. Where it may go, of a kernel that doesn't tell that, and of one that isn't in use,
 * so goes nowhere yet. */
static bool affinity_of(const struct exam *e, const char *irq, struct set *cpus, char *why)
{
    static const char *const files[] = {"effective_affinity_list", "smp_affinity_list"};
    for (unsigned i = 0; i < 2; i++) {
        struct text t;
        bool there = doctor_source_read(&e->source, &t, "/proc/irq/%s/%s", irq, files[i]);
        bool formed = there && doctor_set_from_list(cpus, t.at);
        bool next = there ? formed && doctor_set_cnt(cpus) == 0 : t.err == ENOENT;
        if (!there)
            snprintf(why, SOURCE_WHY_LEN, "%s", t.why);
        else if (!formed || next)
            snprintf(why, SOURCE_WHY_LEN, "/proc/irq/%.16s/%s: no list of CPUs", irq, files[i]);
        doctor_text_drop(&t);
        if (!next)
            return formed;
    }
    return false;
}

static bool irq_seen(void *ctx, const char *name)
{
    struct irqs *s = ctx;
    struct set cpus;
    if (!is_number(name))
        return true;
    s->seen++;
    if (!affinity_of(s->e, name, &cpus, s->why)) {
        s->unread++;
    } else if (doctor_set_meets(&cpus, &s->e->shards_on)) {
        size_t at = strlen(s->names);
        if (s->on_shards++ < SOURCES_SHOWN * 2)
            snprintf(s->names + at, sizeof s->names - at, "%s%.6s", at == 0 ? "" : ",", name);
    }
    return true;
}

static void placement(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct irqs s = {.e = e};
    snprintf(r->path, sizeof r->path, "%s", c->path);
    if (!doctor_check_has_cpus(e, r))
        return;
    int err = doctor_source_names(&e->source, "/proc/irq", irq_seen, &s);
    if (err != 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "/proc/irq: %s", strerror(err));
    else if (s.seen == 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "/proc/irq: shows no interrupt");
    else if (s.on_shards > 0)
        doctor_check_say(
            r, c->worse, "%" PRIu32 " of %" PRIu32 " interrupts go to shard CPUs: %s%s",
            s.on_shards, s.seen, s.names, s.on_shards > SOURCES_SHOWN * 2 ? ",..." : "");
    else if (s.unread > 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", s.why);
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS, "none of %" PRIu32 " interrupts goes to a shard CPU",
                         s.seen);
}

/* --- of the interface ----------------------------------------------------------------------- */

struct queues {
    struct irqs irqs;
    uint32_t wide; /* that may go to more than one CPU */
    struct set cpus;
};

static bool queue_seen(void *ctx, const char *name)
{
    struct queues *q = ctx;
    struct set cpus;
    if (!is_number(name))
        return true;
    q->irqs.seen++;
    if (!affinity_of(q->irqs.e, name, &cpus, q->irqs.why)) {
        q->irqs.unread++;
        return true;
    }
    q->wide += doctor_set_cnt(&cpus) > 1;
    for (uint32_t i = doctor_set_next(&cpus, 0); i < SET_CPUS_MAX;
         i = doctor_set_next(&cpus, i + 1))
        doctor_set_add(&q->cpus, i);
    return true;
}

static void of_nic(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct queues q = {.irqs = {.e = e}};
    char path[SOURCE_PATH_LEN], cpus[MCQ_DOCTOR_CPUS_LEN / 2];
    if (!doctor_check_has_nic(e, r))
        return;
    snprintf(path, sizeof path, "/sys/class/net/%s/device/msi_irqs", e->nic);
    int err = doctor_source_names(&e->source, path, queue_seen, &q);
    if (err == ENOENT) { /* a virtio device's are its parent's */
        snprintf(path, sizeof path, "/sys/class/net/%s/device/../msi_irqs", e->nic);
        err = doctor_source_names(&e->source, path, queue_seen, &q);
    }
    doctor_words_show(path, r->path, sizeof r->path);
    doctor_set_list(&q.cpus, cpus, sizeof cpus);
    if (err != 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: %s", path, strerror(err));
    else if (q.irqs.seen == 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: shows no interrupt", path);
    else if (q.irqs.unread != 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", q.irqs.why);
    else if (q.wide != 0) {
        doctor_check_say(r, c->worse,
                         "%" PRIu32 " of the %" PRIu32 " interrupts of %s may go to any of %s",
                         q.wide, q.irqs.seen, e->nic, cpus);
        doctor_check_fix(
            r, "for i in $(ls %s); do echo %" PRIu32 " >/proc/irq/$i/smp_affinity_list; done", path,
            doctor_set_next(doctor_set_cnt(&e->house) != 0 ? &e->house : &q.cpus, 0));
    } else
        doctor_check_say(r, MCQ_DOCTOR_PASS,
                         "the %" PRIu32 " interrupts of %s have a CPU each, of %s", q.irqs.seen,
                         e->nic, cpus);
}

/* --- irqbalance ----------------------------------------------------------------------------- */

struct process {
    const struct exam *e;
    const char *name;
    uint32_t seen;
    bool runs;
};

static bool process_is(void *ctx, const char *pid)
{
    struct process *p = ctx;
    struct text t;
    char word[WORDS_LEN];
    if (!is_number(pid))
        return true;
    if (doctor_source_read(&p->e->source, &t, "/proc/%s/comm", pid)) {
        p->seen++;
        p->runs = doctor_words_word(t.at, word) && strcmp(word, p->name) == 0;
    }
    doctor_text_drop(&t);
    return !p->runs;
}

static void balancer(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct process p = {.e = e, .name = "irqbalance"};
    snprintf(r->path, sizeof r->path, "%s", c->path);
    int err = doctor_source_names(&e->source, "/proc", process_is, &p);
    if (p.runs)
        doctor_check_say(r, c->worse, "irqbalance runs");
    else if (err != 0 || p.seen == 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "/proc: %s",
                         err != 0 ? strerror(err) : "shows no process");
    else
        doctor_check_say(r, MCQ_DOCTOR_PASS,
                         "irqbalance isn't among the %" PRIu32 " processes seen", p.seen);
}

/* --- during the window ---------------------------------------------------------------------- */

enum irq_class { IRQ_DEVICE, IRQ_TICK, IRQ_BETWEEN };

static bool class_has(enum irq_class class, const char *name)
{
    bool device = isdigit((unsigned char)name[0]) != 0;
    switch (class) {
    case IRQ_DEVICE:
        return device;
    case IRQ_TICK:
        return strcmp(name, "LOC") == 0;
    case IRQ_BETWEEN:
        return strcmp(name, "RES") == 0 || strcmp(name, "CAL") == 0 || strcmp(name, "TLB") == 0 ||
               strcmp(name, "IWI") == 0 || strncmp(name, "IPI", 3) == 0;
    }
    return false;
}

/* Numbers of the CPUs in the order of the columns. False: no such head. */
#define COLUMNS_MAX 1024u
struct columns {
    uint32_t cnt;
    bool shard[COLUMNS_MAX];
};

static bool columns_read(const char *head, const struct set *shards, struct columns *cols)
{
    *cols = (struct columns){0};
    for (const char *at = head; cols->cnt < COLUMNS_MAX;) {
        char *end = NULL;
        at += strspn(at, " \t");
        if (strncmp(at, "CPU", 3) != 0 || !isdigit((unsigned char)at[3]))
            return (*at == '\n' || *at == '\0') && cols->cnt != 0;
        unsigned long cpu = strtoul(at + 3, &end, 10);
        cols->shard[cols->cnt++] = cpu < SET_CPUS_MAX && doctor_set_has(shards, (uint32_t)cpu);
        at = end;
    }
    return false;
}

/* The sum on shard CPUs of a line "NAME: n n n ..."; false: not such a line. ERR and MIS have one
 * number for all. */
static bool line_sum(const char *line, const struct columns *cols, char name[16], int64_t *sum)
{
    const char *at = line + strspn(line, " ");
    size_t len = strcspn(at, ":\n");
    if (at[len] != ':' || len == 0 || len >= 16)
        return false;
    memcpy(name, at, len);
    name[len] = '\0';
    at += len + 1;
    *sum = 0;
    for (uint32_t i = 0; i < cols->cnt; i++) {
        char *end = NULL;
        at += strspn(at, " \t");
        if (!isdigit((unsigned char)*at))
            return false;
        long long n = strtoll(at, &end, 10);
        if (n < 0 || n > INT64_MAX / COLUMNS_MAX)
            return false;
        *sum += cols->shard[i] ? n : 0;
        at = end;
    }
    return true;
}

static bool sum_before(const char *before, const struct columns *cols, const char *wanted,
                       int64_t *sum)
{
    char name[16];
    for (const char *line = doctor_words_next_line(before); line != NULL;
         line = doctor_words_next_line(line))
        if (line_sum(line, cols, name, sum) && strcmp(name, wanted) == 0)
            return true;
    return false;
}

struct rise {
    int64_t all;
    uint32_t lines;
    char names[96]; /* of the first few that rose */
};

static void rise_of(const struct sample *s, const struct columns *cols, enum irq_class class,
                    struct rise *rise)
{
    char name[16];
    int64_t after, before;
    uint32_t shown = 0;
    for (const char *line = doctor_words_next_line(s->after.at); line != NULL;
         line = doctor_words_next_line(line)) {
        if (!line_sum(line, cols, name, &after) || !class_has(class, name))
            continue;
        rise->lines++;
        if (!sum_before(s->before.at, cols, name, &before))
            before = 0; /* an interrupt that is new */
        if (after <= before)
            continue;
        size_t at = strlen(rise->names);
        rise->all += after - before;
        if (shown++ < SOURCES_SHOWN)
            snprintf(rise->names + at, sizeof rise->names - at, "%s%s +%" PRId64,
                     at == 0 ? "" : ", ", name, after - before);
    }
}

static bool watch(const struct exam *e, struct mcq_doctor_result *r, enum irq_class class,
                  struct rise *rise)
{
    struct columns before, after;
    const struct sample *s = NULL;
    if (!doctor_check_has_cpus(e, r) || (s = doctor_check_sample(e, r, SAMPLE_INTERRUPTS)) == NULL)
        return false;
    if (!columns_read(s->after.at, &e->shards_on, &after) ||
        !columns_read(s->before.at, &e->shards_on, &before)) {
        doctor_check_malformed(r, &s->before, "a head CPU0 CPU1 ...");
        return false;
    }
    bool same = memcmp(&before, &after, sizeof before) == 0;
    if (same)
        rise_of(s, &after, class, rise);
    if (!same || rise->lines == 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN,
                         same ? "%s: no line of that kind" : "%s: CPUs came or went meanwhile",
                         s->before.path);
    return same && rise->lines != 0 && doctor_check_twice(e, r);
}

static void devices(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct rise rise = {0};
    if (!watch(e, r, IRQ_DEVICE, &rise))
        return;
    if (rise.all == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "none on shard CPUs in %" PRIu32 " ms", e->window_ms);
    else
        doctor_check_say(r, c->worse, "%" PRId64 " on shard CPUs in %" PRIu32 " ms: %s", rise.all,
                         e->window_ms, rise.names);
}

static void ticks(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct rise rise = {0};
    if (!watch(e, r, IRQ_TICK, &rise))
        return;
    int64_t cpus = doctor_set_cnt(&e->shards_on);
    int64_t per_s = e->window_ms == 0 ? 0 : rise.all * 1000 / cpus / e->window_ms;
    doctor_check_say(r, per_s > c->value ? c->worse : MCQ_DOCTOR_PASS,
                     "%" PRId64 " a second on each shard CPU", per_s);
}

static void between(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct rise rise = {0};
    if (!watch(e, r, IRQ_BETWEEN, &rise))
        return;
    int64_t per_s = e->window_ms == 0 ? 0 : rise.all * 1000 / e->window_ms;
    doctor_check_say(r, per_s > c->value ? c->worse : MCQ_DOCTOR_PASS, "%" PRId64 " a second%s%s",
                     per_s, rise.all == 0 ? "" : ": ", rise.names);
}

static void soft_threads(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    const struct counter *n = &e->counters[COUNTER_KSOFTIRQD];
    doctor_words_show(n->path, r->path, sizeof r->path);
    if (!n->known)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", n->why);
    else if (doctor_check_twice(e, r))
        doctor_check_say(r, n->after > n->before ? c->worse : MCQ_DOCTOR_PASS,
                         "%" PRId64 " ticks of 10 ms on shard CPUs in %" PRIu32 " ms",
                         n->after - n->before, e->window_ms);
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_irq_checks[] = {
    {.id = "irq-affinity",
     .path = "/proc/irq/*/effective_affinity_list",
     .judge = placement,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no interrupt goes to a shard CPU, but of a queue that a shard asks itself",
     .cost = "Each interrupt, with what runs after it, takes 2 to 50 us from the shard.",
     .fix = "for i in /proc/irq/[0-9]*; do echo {house} >$i/smp_affinity_list; done 2>/dev/null"},
    {.id = "irq-default",
     .path = "/proc/irq/default_smp_affinity",
     .judge = doctor_check_mask_off,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no shard CPU",
     .cost = "Interrupts of devices that come later may go to shard CPUs, 2 to 50 us each.",
     .fix = "echo {housemask} >/proc/irq/default_smp_affinity",
     .tuned = "boot|irqaffinity={house}"},
    {.id = "irq-balance",
     .path = "/proc/*/comm",
     .judge = balancer,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "irqbalance doesn't run, or knows which CPUs to leave alone",
     .cost = "It moves interrupts every 10 s, also to shard CPUs that aren't isolated: 2 to 50 us "
             "each.",
     .fix = "systemctl disable --now irqbalance # or IRQBALANCE_BANNED_CPULIST={cpus} in its "
            "environment"},
    {.id = "irq-devices",
     .path = "/proc/interrupts",
     .judge = devices,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no interrupt of a device on a shard CPU during the window",
     .cost = "Each, with what runs after it, takes 2 to 50 us from the shard.",
     .fix = "for i in /proc/irq/[0-9]*; do echo {house} >$i/smp_affinity_list; done 2>/dev/null"},
    {.id = "irq-tick",
     .path = "/proc/interrupts",
     .judge = ticks,
     .value = 10,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "at most 10 timer interrupts a second on each shard CPU",
     .cost = "Each takes 1 to 5 us: at 250 a second one message in a thousand of 4 us meets one.",
     .fix = "kernel command line: nohz_full={cpus}"},
    {.id = "irq-ipi",
     .path = "/proc/interrupts",
     .judge = between,
     .value = 100,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "at most 100 interrupts a second from other CPUs",
     .cost = "Each (a wake-up, a function call, a flush of address translations) takes 1 to 5 us, "
             "and its sender waits.",
     .fix = "kernel command line: isolcpus=domain,managed_irq,{cpus} nohz_full={cpus}"},
    {.id = "irq-nic",
     .path = "/sys/class/net/NIC/device/msi_irqs",
     .judge = of_nic,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "each interrupt of the interface on one known CPU",
     .cost = "Packets of one connection arrive by changing CPUs and cold caches, 1 to 10 us."},
    {.id = "irq-ksoftirqd",
     .path = "/proc/*/stat of ksoftirqd",
     .judge = soft_threads,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no time during the window",
     .cost = "Packets wait for a thread that takes turns with the shard: 1 to 10 ms.",
     .fix = "kernel command line: isolcpus=domain,managed_irq,{cpus} irqaffinity={house}"},
};
const uint32_t doctor_irq_check_cnt = sizeof doctor_irq_checks / sizeof doctor_irq_checks[0];
