/* RAW: mmap, mbind, madvise and mlock; sound because every range is one that mcq_os_map returned
 * and that its arena still owns; see mem/os_mem.h for who may call. */
#include "mem/os_mem.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/mman.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem/detail.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define NODE_MAX   1024u
#define SAMPLE_MAX 256u   /* pages whose node is asked for */
#define STACK_LEN  65536u /* what a turn and its callbacks use at most */

static size_t page_len(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t rounded(size_t len)
{
    return mcq_align_up(len, len < MCQ_OS_HUGE_LEN ? page_len() : MCQ_OS_HUGE_LEN);
}

static uint8_t *map_anonymous(size_t len, int flags)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* --- nodes ---------------------------------------------------------------------------------- */

struct node_mask {
    unsigned long words[NODE_MAX / (8 * sizeof(unsigned long))];
};

static bool mask_of(int node, struct node_mask *mask)
{
    const size_t bits = 8 * sizeof(mask->words[0]);
    *mask = (struct node_mask){{0}};
    if ((unsigned)node >= NODE_MAX)
        return false;
    mask->words[(size_t)node / bits] = 1ul << ((size_t)node % bits);
    return true;
}

static enum mcq_error node_refused(int node, const char *call, int os_errno,
                                   struct mcq_detail *detail)
{
    if (os_errno == EINVAL)
        return mcq_detail_set(detail, MCQ_EINVAL, os_errno,
                              "NUMA node %d has no memory for this process: its pages come from "
                              "where the kernel likes",
                              node);
    return mcq_detail_set(detail, MCQ_EACCESS, os_errno,
                          "the host forbids %s (%s): memory for NUMA node %d comes from where the "
                          "kernel likes; allow it in the container's seccomp profile, or say "
                          "--numa off",
                          call, strerror(os_errno), node);
}

/* By default PREFERRED, not BIND: a node that is full must cost latency, not the process (with
 * reserved huge pages BIND ends in SIGBUS). Containers often refuse the call. */
enum mcq_error mcq_os_bind_node(void *base, size_t len, int node, enum mcq_node_policy policy,
                                struct mcq_detail *detail)
{
    struct node_mask mask;
    if (node == MCQ_NODE_ANY)
        return MCQ_OK;
    if (!mask_of(node, &mask))
        return node_refused(node, "mbind", EINVAL, detail);
    /* the kernel reads one bit less than it is told */
    int mode = policy == MCQ_NODE_BIND ? MPOL_BIND : MPOL_PREFERRED;
    if (mbind(base, len, mode, mask.words, NODE_MAX + 1, 0) == 0)
        return MCQ_OK;
    return node_refused(node, "mbind", errno, detail);
}

enum mcq_error mcq_os_prefer_node(int node, struct mcq_detail *detail)
{
    struct node_mask mask;
    if (node == MCQ_NODE_ANY)
        return MCQ_OK;
    if (!mask_of(node, &mask))
        return node_refused(node, "set_mempolicy", EINVAL, detail);
    if (set_mempolicy(MPOL_PREFERRED, mask.words, NODE_MAX + 1) == 0)
        return MCQ_OK;
    return node_refused(node, "set_mempolicy", errno, detail);
}

int mcq_os_node_percent(const void *base, size_t len, int node)
{
    void *pages[SAMPLE_MAX];
    int status[SAMPLE_MAX];
    size_t step = page_len(), total = len / step, cnt = mcq_min(total, SAMPLE_MAX);
    size_t here = 0, known = 0;
    if (node == MCQ_NODE_ANY || cnt == 0)
        return -1;
    for (size_t i = 0; i < cnt; i++)
        pages[i] = (uint8_t *)(uintptr_t)base + i * total / cnt * step;
    if (move_pages(0, cnt, pages, NULL, status, 0) != 0)
        return -1;
    for (size_t i = 0; i < cnt; i++) {
        known += status[i] >= 0; /* -ENOENT: never touched */
        here += status[i] == node;
    }
    return known == 0 ? -1 : (int)(here * 100 / known);
}

/* --- mappings ------------------------------------------------------------------------------- */

static void bind_map(struct mcq_os_map *map, size_t len)
{
    map->bind = (struct mcq_detail){.code = MCQ_OK};
    (void)mcq_os_bind_node(map->base, len, map->node, map->policy, &map->bind);
}

/* Reserved huge pages are populated here: mmap may succeed where the first touch would be SIGBUS
 * (hugetlb cgroup), and only the populating call can say so. */
static bool map_huge(size_t len, struct mcq_os_map *map)
{
    map->base = map_anonymous(len, MAP_HUGETLB | MAP_HUGE_2MB);
    if (map->base == NULL)
        return false;
    bind_map(map, len);
    if (madvise(map->base, len, MADV_POPULATE_WRITE) != 0) {
        munmap(map->base, len);
        return false;
    }
    map->pages = MCQ_PAGES_HUGE;
    return true;
}

/* madvise(MADV_HUGEPAGE) succeeds even where the administrator has said never. */
static bool thp_allowed(void)
{
    char line[128] = "";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (f == NULL)
        return false;
    bool never = fgets(line, sizeof(line), f) == NULL || strstr(line, "[never]") != NULL;
    fclose(f);
    return !never;
}

static bool map_thp(size_t len, struct mcq_os_map *map)
{
    if (!thp_allowed())
        return false;
    uint8_t *raw = map_anonymous(len + MCQ_OS_HUGE_LEN, 0);
    if (raw == NULL)
        return false;
    size_t head = (MCQ_OS_HUGE_LEN - (uintptr_t)raw % MCQ_OS_HUGE_LEN) % MCQ_OS_HUGE_LEN;
    if (head != 0)
        munmap(raw, head);
    munmap(raw + head + len, MCQ_OS_HUGE_LEN - head);
    map->base = raw + head;
    bind_map(map, len);
    map->pages = madvise(map->base, len, MADV_HUGEPAGE) == 0 ? MCQ_PAGES_THP : MCQ_PAGES_4K;
    return true;
}

enum mcq_error mcq_os_map(size_t len, struct mcq_os_map *map, struct mcq_detail *detail)
{
    /* half of the address space: nothing that is added below can wrap */
    bool sane = len != 0 && len <= SIZE_MAX / 2;
    size_t full = sane ? rounded(len) : 0;
    if (sane && full >= MCQ_OS_HUGE_LEN && (map_huge(full, map) || map_thp(full, map)))
        return MCQ_OK;
    errno = ENOMEM;
    map->base = sane ? map_anonymous(full, 0) : NULL;
    if (map->base == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, errno,
                              "the system refuses to map %zu MiB for a shard's arena: ask for less "
                              "(--arena, --large-bytes) or raise `ulimit -v` or the cgroup's "
                              "memory.max",
                              len >> 20);
    bind_map(map, full);
    map->pages = MCQ_PAGES_4K;
    return MCQ_OK;
}

void mcq_os_unmap(void *base, size_t len)
{
    int rc = munmap(base, rounded(len));
    MCQ_ASSERT(rc == 0);
}

/* Uncarved bytes are poisoned, and writing a byte back to itself is sound even there. */
__attribute__((no_sanitize("address"))) static void touch(volatile uint8_t *base, size_t len)
{
    for (size_t at = 0, step = page_len(); at < len; at += step)
        base[at] = base[at];
}

void mcq_os_populate(void *base, size_t len)
{
    /* refused by some sandboxes, and ended early by a signal */
    if (madvise(base, len, MADV_POPULATE_WRITE) != 0)
        touch(base, len);
}

bool mcq_os_thp_obtained(const void *base)
{
    char line[256];
    bool inside = false;
    size_t rss = 0, huge = 0;
    FILE *f = fopen("/proc/self/smaps", "re");
    if (f == NULL)
        return true;
    while (fgets(line, sizeof(line), f) != NULL) {
        uintptr_t from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            if (inside)
                break;
            inside = from <= (uintptr_t)base && (uintptr_t)base < to;
        } else if (inside && sscanf(line, "Rss: %zu", &rss) != 1) {
            sscanf(line, "AnonHugePages: %zu", &huge);
        }
    }
    fclose(f);
    return !inside || huge >= rss - rss / 2;
}

static bool has_ipc_lock(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    return syscall(SYS_capget, &head, data) == 0 && (data[0].effective & (1u << CAP_IPC_LOCK)) != 0;
}

/* A size of the process in bytes; name: of its line in /proc, with the colon. */
static size_t process_len(const char *name)
{
    char line[256];
    size_t kib = 0, name_len = strlen(name);
    FILE *f = fopen("/proc/self/status", "re");
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, name, name_len) == 0 && sscanf(line + name_len, "%zu", &kib) == 1)
            break;
    fclose(f);
    return kib << 10;
}

static size_t locked_now(void)
{
    return process_len("VmLck:");
}

static void explain(const char *what, size_t need, int os_errno, struct mcq_detail *detail)
{
    struct rlimit lim = {0, 0};
    getrlimit(RLIMIT_MEMLOCK, &lim);
    size_t kib = (need + 1023) >> 10;
    mcq_detail_set(detail, MCQ_ENOMEM, os_errno,
                   "locking %s needs RLIMIT_MEMLOCK of %zu KiB, it is %zu KiB: start after "
                   "`ulimit -l %zu`, or as root with `prlimit --memlock=%zu:%zu PROGRAM`; going "
                   "on unlocked",
                   what, kib, (size_t)(lim.rlim_cur >> 10), kib, kib << 10, kib << 10);
}

static bool raise_soft_limit(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_MEMLOCK, &lim) != 0 || lim.rlim_cur == lim.rlim_max)
        return false;
    lim.rlim_cur = lim.rlim_max;
    return setrlimit(RLIMIT_MEMLOCK, &lim) == 0;
}

/* Not by its name: the sanitizers turn mlock into nothing and call it a success. */
static bool lock_range(const void *base, size_t len)
{
    return syscall(SYS_mlock, base, len) == 0;
}

bool mcq_os_lock(const void *base, size_t len, struct mcq_detail *detail)
{
    if (lock_range(base, len) || (raise_soft_limit() && lock_range(base, len)))
        return true;
    int os_errno = errno;
    explain("the arena", locked_now() + mcq_align_up(len, page_len()), os_errno, detail);
    return false;
}

/* By its name: under the sanitizers, whose shadow is terabytes, it does nothing. */
bool mcq_os_lock_process(struct mcq_detail *detail)
{
    if (mlockall(MCL_CURRENT) == 0 || (raise_soft_limit() && mlockall(MCL_CURRENT) == 0))
        return true;
    int os_errno = errno;
    explain("code and stacks, besides the arena,", process_len("VmSize:"), os_errno, detail);
    return false;
}

__attribute__((noinline)) void mcq_os_touch_stack(void)
{
    volatile uint8_t below[STACK_LEN];
    for (size_t at = 0, step = page_len(); at < sizeof(below); at += step)
        below[at] = 0;
}

bool mcq_os_memlock_fits(const char *what, size_t len, struct mcq_detail *detail)
{
    struct rlimit lim;
    if (has_ipc_lock() || getrlimit(RLIMIT_MEMLOCK, &lim) != 0 || lim.rlim_cur == RLIM_INFINITY)
        return true;
    size_t need = locked_now() + mcq_align_up(len, page_len());
    if (need <= lim.rlim_cur || (raise_soft_limit() && need <= lim.rlim_max))
        return true;
    explain(what, need, 0, detail);
    return false;
}

uint64_t mcq_os_minor_faults(void)
{
    struct rusage u;
    return getrusage(RUSAGE_THREAD, &u) == 0 ? (uint64_t)u.ru_minflt : 0;
}
