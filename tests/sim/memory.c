/* The arenas of the simulated processes: mem/os_mem.h with every address a function of the order of
 * the calls, so that a run replays exactly, and with pages that exist once they are touched, so
 * that a run costs what it uses. */
#include <sys/mman.h>

#include "mem/detail.h"
#include "mem/os_mem.h"

#define ARENAS_MAX 64u
#define FIRST      ((uintptr_t)0x200000000000u)
#define STRIDE     ((uintptr_t)1 << 32)

static bool taken[ARENAS_MAX];

enum mcq_error mcq_os_map(size_t len, struct mcq_os_map *map, struct mcq_detail *detail)
{
    for (uint32_t i = 0; i < ARENAS_MAX && len <= STRIDE / 2; i++) {
        if (taken[i])
            continue;
        void *at = (void *)(FIRST + i * STRIDE);
        void *got = mmap(at, len, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
        if (got != at)
            break;
        madvise(at, len, MADV_NOHUGEPAGE);
        taken[i] = true;
        map->base = at;
        map->pages = MCQ_PAGES_4K;
        map->bind.code = MCQ_OK;
        return MCQ_OK;
    }
    return mcq_detail_set(detail, MCQ_ENOMEM, 0, "no arena left for a simulated process");
}

enum mcq_error mcq_os_bind_node(void *base, size_t len, int node, enum mcq_node_policy policy,
                                struct mcq_detail *detail)
{
    (void)base, (void)len, (void)node, (void)policy, (void)detail;
    return MCQ_OK;
}

enum mcq_error mcq_os_prefer_node(int node, struct mcq_detail *detail)
{
    (void)node, (void)detail;
    return MCQ_OK;
}

int mcq_os_node_percent(const void *base, size_t len, int node)
{
    (void)base, (void)len, (void)node;
    return -1;
}

void mcq_os_unmap(void *base, size_t len)
{
    munmap(base, len);
    taken[((uintptr_t)base - FIRST) / STRIDE] = false;
}

void mcq_os_populate(void *base, size_t len)
{
    (void)base;
    (void)len;
}

bool mcq_os_thp_obtained(const void *base)
{
    (void)base;
    return false;
}

bool mcq_os_lock(const void *base, size_t len, struct mcq_detail *detail)
{
    (void)base;
    (void)len;
    (void)detail;
    return false;
}

bool mcq_os_lock_process(struct mcq_detail *detail)
{
    (void)detail;
    return false;
}

void mcq_os_touch_stack(void)
{
}

bool mcq_os_memlock_fits(const char *what, size_t len, struct mcq_detail *detail)
{
    (void)what;
    (void)len;
    (void)detail;
    return true;
}

uint64_t mcq_os_minor_faults(void)
{
    return 0;
}
