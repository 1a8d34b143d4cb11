/* Checks of memory: what moves pages, what merges or swaps them, and whether ours may be locked. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#define CAP_IPC_LOCK_BIT 14
#define RINGS_BYTES      (1ull << 20)  /* io_uring's own memory of a shard, at most */
#define PROGRAM_BYTES    (64ull << 20) /* what a small program has mapped besides its arenas */

static void swap(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    uint32_t areas = 0;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool formed = strncmp(t.at, "Filename", 8) == 0;
    for (const char *line = doctor_words_next_line(t.at); line != NULL;
         line = doctor_words_next_line(line))
        areas++;
    if (!formed)
        doctor_check_malformed(r, &t, "a table of Filename, Type, Size");
    else if (areas == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "no swap");
    else
        doctor_check_say(r, c->worse, "%" PRIu32 " swap area%s in use", areas,
                         areas == 1 ? "" : "s");
    doctor_text_drop(&t);
}

/* Lines "Max NAME  soft  hard  unit". Returns false if the line isn't there or has another form. */
static bool soft_limit(const struct text *t, const char *name, uint64_t *soft)
{
    char line[96], word[WORDS_LEN];
    int64_t number;
    if (!doctor_words_line(t->at, name, line, sizeof line))
        return false;
    line[strcspn(line, " \t")] = '\0';
    bool formed = doctor_words_word(line, word);
    bool unlimited = formed && strcmp(word, "unlimited") == 0;
    formed = formed && (unlimited || (doctor_words_number(word, &number) && number >= 0));
    if (formed)
        *soft = unlimited ? UINT64_MAX : (uint64_t)number;
    return formed;
}

static bool may_lock(const struct exam *e)
{
    struct text t;
    uint64_t caps = 0;
    bool may = doctor_source_read(&e->source, &t, "/proc/self/status") &&
               doctor_words_key_hex(t.at, "CapEff", &caps) && (caps >> CAP_IPC_LOCK_BIT & 1) != 0;
    doctor_text_drop(&t);
    return may;
}

static void memlock(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    uint64_t soft = 0, rings = RINGS_BYTES * e->shards;
    uint64_t all = e->wants_lock ? e->memory_bytes + rings + PROGRAM_BYTES : rings;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    bool formed = soft_limit(&t, "Max locked memory", &soft);
    if (!formed)
        doctor_check_malformed(r, &t, "a line 'Max locked memory'");
    doctor_text_drop(&t);
    if (!formed)
        return;
    if (soft == UINT64_MAX || soft >= all)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "enough for %" PRIu64 " MiB", all >> 20);
    else if (may_lock(e))
        doctor_check_say(r, MCQ_DOCTOR_PASS, "%" PRIu64 " KiB, but CAP_IPC_LOCK is held",
                         soft >> 10);
    else
        doctor_check_say(r, soft < rings ? MCQ_DOCTOR_FAIL : c->worse,
                         "%" PRIu64 " KiB, %" PRIu64 " KiB would be needed", soft >> 10, all >> 10);
    doctor_check_fix(r, "ulimit -l %" PRIu64 " # of a service: LimitMEMLOCK=%" PRIu64 "K",
                     all >> 10, all >> 10);
}

/* --- huge pages ----------------------------------------------------------------------------- */

struct pages {
    const struct exam *e;
    struct mcq_doctor_result *r;
    uint32_t nodes;
    int64_t sum;
    bool failed;
};

static bool pages_of_node(void *ctx, const char *name)
{
    struct pages *p = ctx;
    struct text t;
    int64_t cnt = 0;
    if (strncmp(name, "node", 4) != 0 || strspn(name + 4, "0123456789") != strlen(name + 4) ||
        name[4] == '\0')
        return true;
    p->failed = !doctor_check_read(
        p->e, p->r, &t, "/sys/devices/system/node/%.16s/hugepages/hugepages-2048kB/nr_hugepages",
        name);
    if (!p->failed && !doctor_words_number(t.at, &cnt)) {
        doctor_check_malformed(p->r, &t, "a number");
        p->failed = true;
    }
    p->nodes++;
    p->sum += cnt;
    doctor_text_drop(&t);
    return !p->failed;
}

static void huge_pages(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct pages p = {.e = e, .r = r};
    int err = doctor_source_names(&e->source, "/sys/devices/system/node", pages_of_node, &p);
    if (p.failed)
        return;
    if (err != 0 || p.nodes == 0) { /* a kernel without NUMA has them in one place */
        struct text t;
        if (!doctor_check_read(e, r, &t, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"))
            return;
        bool formed = doctor_words_number(t.at, &p.sum);
        if (!formed)
            doctor_check_malformed(r, &t, "a number");
        doctor_text_drop(&t);
        if (!formed)
            return;
    }
    int64_t wanted = (int64_t)(e->memory_bytes / CHECK_HUGE_PAGE);
    doctor_check_say(r, p.sum >= wanted ? MCQ_DOCTOR_PASS : c->worse,
                     "%" PRId64 " of 2 MiB, the shards' memory takes %" PRId64, p.sum, wanted);
}

/* --- NUMA ----------------------------------------------------------------------------------- */

/* One node only: nothing can be far away. False too where that isn't readable. */
static bool one_node(const struct exam *e)
{
    struct text t;
    struct set nodes;
    bool one = doctor_source_read(&e->source, &t, "/sys/devices/system/node/online") &&
               doctor_set_from_list(&nodes, t.at) && doctor_set_cnt(&nodes) == 1;
    doctor_text_drop(&t);
    return one;
}

static void nic_node(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t node;
    if (!doctor_check_has_nic(e, r))
        return;
    if (one_node(e)) {
        snprintf(r->path, sizeof r->path, "/sys/devices/system/node/online");
        doctor_check_say(r, MCQ_DOCTOR_PASS, "the machine has one node");
        return;
    }
    if (!doctor_check_read(e, r, &t, "/sys/class/net/%s/device/numa_node", e->nic))
        return;
    if (!doctor_words_number(t.at, &node))
        doctor_check_malformed(r, &t, "a number");
    else if (node < 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "the firmware doesn't tell the node of %s", e->nic);
    else if (!e->node_known)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN,
                         "%s is at node %" PRId64 ", that of the shards isn't known", e->nic, node);
    else
        doctor_check_say(r, node == (int64_t)e->node ? MCQ_DOCTOR_PASS : c->worse,
                         "%s is at node %" PRId64 ", the first shard at node %u", e->nic, node,
                         e->node);
    doctor_text_drop(&t);
}

static void numa_misses(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    static const char *const keys[] = {"numa_miss", "numa_foreign"};
    int64_t before, after, sum = 0;
    if (!e->node_known) {
        snprintf(r->path, sizeof r->path, "%s", c->path);
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN,
                         "/sys/devices/system/node: the node of the first shard isn't known");
        return;
    }
    const struct sample *s = doctor_check_sample(e, r, SAMPLE_NUMASTAT);
    for (unsigned i = 0; s != NULL && i < 2; i++) {
        if (!doctor_words_key(s->before.at, keys[i], &before) ||
            !doctor_words_key(s->after.at, keys[i], &after)) {
            doctor_check_malformed(r, &s->before, "a line numa_miss, and numa_foreign");
            return;
        }
        sum += after - before;
    }
    if (s != NULL && doctor_check_twice(e, r))
        doctor_check_say(r, sum > 0 ? c->worse : MCQ_DOCTOR_PASS,
                         "%" PRId64
                         " pages of node %u came from elsewhere, or went there, in %" PRIu32 " ms",
                         sum, e->node, e->window_ms);
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_memory_checks[] = {
    {.id = "mem-numa-nic",
     .path = "/sys/class/net/NIC/device/numa_node",
     .judge = nic_node,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "the interface at the node of the shards",
     .cost = "Every packet crosses the link between packages: 0.1 to 0.5 us each way.",
     .fix = "no command: run the shards with --nic {nic}, which places them at its node"},
    {.id = "mem-numa-balancing",
     .path = "/proc/sys/kernel/numa_balancing",
     .judge = doctor_check_number,
     .op = CHECK_EQ,
     .value = 0,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0",
     .cost = "The kernel unmaps pages to see who uses them: a fault of 1 to 10 us on each, then it "
             "may move them.",
     .fix = "sysctl -w kernel.numa_balancing=0",
     .tuned = "sysctl|kernel.numa_balancing=0"},
    {.id = "mem-numa-misses",
     .path = "/sys/devices/system/node/node*/numastat",
     .judge = numa_misses,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no page from a far node during the window",
     .cost = "Memory of another node answers 50 to 100 ns later, at each miss.",
     .fix = "no command: less memory in use at that node, or shards at another one (--numa bind "
            "makes it an error)"},
    {.id = "mem-thp",
     .path = "/sys/kernel/mm/transparent_hugepage/enabled",
     .judge = doctor_check_chosen,
     .words = "never madvise",
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "madvise or never",
     .cost = "khugepaged and faults of 2 MiB at unforeseen moments: 50 us to milliseconds.",
     .fix = "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",
     .tuned = "vm|transparent_hugepages=madvise"},
    {.id = "mem-thp-defrag",
     .path = "/sys/kernel/mm/transparent_hugepage/defrag",
     .judge = doctor_check_chosen,
     .words = "never madvise defer+madvise defer",
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "madvise, defer or never",
     .cost = "A fault may compact memory before it returns: up to milliseconds.",
     .fix = "echo madvise >/sys/kernel/mm/transparent_hugepage/defrag"},
    {.id = "mem-ksm",
     .path = "/sys/kernel/mm/ksm/run",
     .judge = doctor_check_number,
     .op = CHECK_NE,
     .value = 1,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "not 1",
     .cost = "Pages are merged in the background; the next write to one faults and copies, 1 to 5 "
             "us.",
     .fix = "echo 2 >/sys/kernel/mm/ksm/run",
     .tuned = "sysfs|/sys/kernel/mm/ksm/run=2"},
    {.id = "mem-compaction",
     .path = "/proc/sys/vm/compaction_proactiveness",
     .judge = doctor_check_number,
     .op = CHECK_EQ,
     .value = 0,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0",
     .cost = "kcompactd moves pages in the background and flushes address translations of all "
             "CPUs: 1 to 10 us at a time.",
     .fix = "sysctl -w vm.compaction_proactiveness=0",
     .tuned = "sysctl|vm.compaction_proactiveness=0"},
    {.id = "mem-swap",
     .path = "/proc/swaps",
     .judge = swap,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "none",
     .cost = "A page that went to disk comes back in 0.1 to 10 ms; what shards lock doesn't go.",
     .fix = "swapoff -a"},
    {.id = "mem-swappiness",
     .path = "/proc/sys/vm/swappiness",
     .judge = doctor_check_number,
     .op = CHECK_LE,
     .value = 10,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "at most 10",
     .cost =
         "Idle pages of the program go to disk for the sake of files: 0.1 to 10 ms each to come "
         "back.",
     .fix = "sysctl -w vm.swappiness=10",
     .tuned = "sysctl|vm.swappiness=10"},
    {.id = "mem-memlock",
     .path = "/proc/self/limits",
     .judge = memlock,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "RLIMIT_MEMLOCK for rings and arenas, or CAP_IPC_LOCK",
     .cost =
         "Unlocked memory may be moved or swapped, 1 us to 10 ms at a fault; with less than the "
         "rings take, shards don't start."},
    {.id = "mem-hugepages",
     .path = "/sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages",
     .judge = huge_pages,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "as many as the shards' arenas and large blocks take",
     .cost = "Where transparent huge pages can't be had either, address translation misses cost 10 "
             "to 50 ns each.",
     .fix = "sysctl -w vm.nr_hugepages={hugepages}",
     .tuned = "sysctl|vm.nr_hugepages={hugepages}"},
};
const uint32_t doctor_memory_check_cnt =
    sizeof doctor_memory_checks / sizeof doctor_memory_checks[0];
