#include "fixture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <numaif.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/os_mem.h"

Test(arena, carves_zeroed_aligned_and_apart)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng = {seed};
        struct mcq_arena a;
        size_t cap = 1000 + rng_below(&rng, 300000);
        cr_assert_eq(mcq_arena_init(&a, cap, MCQ_NODE_ANY, NULL), MCQ_OK);
        uint8_t *end = a.base;
        for (;;) {
            size_t align = (size_t)1 << rng_below(&rng, 13);
            size_t len = rng_below(&rng, 5000);
            uint8_t *p = mcq_arena_carve(&a, len, align);
            if (p == NULL)
                break;
            cr_assert_eq((uintptr_t)p % align, 0, "seed %lu", (unsigned long)seed);
            cr_assert_geq(p, end, "seed %lu", (unsigned long)seed);
            for (size_t i = 0; i < len; i++)
                cr_assert_eq(p[i], 0, "seed %lu", (unsigned long)seed);
            memset(p, 0xff, len);
            end = p + len;
            cr_assert_leq((size_t)(end - a.base), cap);
        }
        mcq_arena_fini(&a);
        cr_assert_null(a.base);
    }
}

Test(arena, too_much_moves_nothing)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, 10000, MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert_not_null(mcq_arena_carve(&a, 1, 1));
    cr_assert_null(mcq_arena_carve(&a, 10000, 1));
    cr_assert_null(mcq_arena_carve(&a, SIZE_MAX, 1), "a length must not wrap");
    cr_assert_null(mcq_arena_carve(&a, SIZE_MAX - 62, 64));
    cr_assert_eq(a.used, 1);
    cr_assert_not_null(mcq_arena_carve(&a, 9999, 1), "the last byte is there");
    cr_assert_null(mcq_arena_carve(&a, 1, 1));
    mcq_arena_fini(&a);
}

Test(arena, nothing_uncarved_may_be_touched)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, 8192, MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert(is_poisoned(a.base));
    uint8_t *p = mcq_arena_carve(&a, 100, 64);
    cr_assert(is_open(p, 100));
    cr_assert(is_poisoned(p + 104));
    uint8_t *base = a.base;
    mcq_arena_fini(&a);
    cr_assert(is_open(base, 8192), "the range goes back to the process clean");
}

Test(arena, carving_after_the_seal_asserts, .signal = SIGABRT)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, 8192, MCQ_NODE_ANY, NULL), MCQ_OK);
    mcq_arena_seal(&a, false, NULL);
    mcq_arena_carve(&a, 1, 1);
}

Test(arena, an_odd_alignment_asserts, .signal = SIGABRT)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, 8192, MCQ_NODE_ANY, NULL), MCQ_OK);
    mcq_arena_carve(&a, 1, 24);
}

Test(arena, impossible_sizes_are_refused_with_text)
{
    static const size_t caps[] = {0, SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 55};
    for (size_t i = 0; i < MCQ_CNT_OF(caps); i++) {
        struct mcq_arena a;
        struct mcq_detail d = {MCQ_OK, 0, ""};
        cr_assert_eq(mcq_arena_init(&a, caps[i], MCQ_NODE_ANY, &d), MCQ_ENOMEM);
        cr_assert_eq(d.code, MCQ_ENOMEM);
        cr_assert_not_null(strstr(d.text, "--arena"), "%s", d.text);
        cr_assert_eq(mcq_arena_init(&a, caps[i], MCQ_NODE_ANY, NULL), MCQ_ENOMEM);
        mcq_arena_fini(&a);
    }
}

/* After the seal every page is there: counted by the kernel, not by us. */
static void check_resident(const struct mcq_arena *a)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), cnt = (a->cap + page - 1) / page;
    unsigned char *vec = malloc(cnt);
    cr_assert_eq(mincore(a->base, a->cap, vec), 0);
    for (size_t i = 0; i < cnt; i++)
        cr_assert(vec[i] & 1, "page %zu of %zu", i, cnt);
    free(vec);
}

Test(arena, seal_faults_everything_in_and_changes_nothing)
{
    static const size_t caps[] = {5000, 300000, 5u << 20};
    for (size_t i = 0; i < MCQ_CNT_OF(caps); i++) {
        struct mcq_arena a;
        cr_assert_eq(mcq_arena_init(&a, caps[i], MCQ_NODE_ANY, NULL), MCQ_OK);
        uint8_t *p = mcq_arena_carve(&a, 4500, 1);
        memset(p, 0x42, 4500);
        mcq_arena_seal(&a, false, NULL);
        for (size_t k = 0; k < 4500; k++)
            cr_assert_eq(p[k], 0x42);
        check_resident(&a);
        cr_assert_not(a.locked);
        mcq_arena_fini(&a);
    }
}

Test(arena, the_pages_reported_are_the_pages_obtained)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, (size_t)8 << 20, MCQ_NODE_ANY, NULL), MCQ_OK);
    mcq_arena_seal(&a, false, NULL);
    if (a.pages != MCQ_PAGES_4K)
        cr_assert_eq((uintptr_t)a.base % MCQ_OS_HUGE_LEN, 0);
    if (a.pages == MCQ_PAGES_THP)
        cr_assert(mcq_os_thp_obtained(a.base));
    mcq_arena_fini(&a);
    cr_assert_eq(mcq_arena_init(&a, 4096, MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert_eq(a.pages, MCQ_PAGES_4K, "a small arena wastes no huge page");
    mcq_arena_fini(&a);
}

Test(arena, node_zero_is_bound_and_an_absent_node_only_reported)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, 1 << 20, 0, NULL), MCQ_OK);
    cr_assert_eq(a.node, 0);
    cr_assert_eq(a.node_percent, -1, "nothing is there yet");
    mcq_arena_seal(&a, false, NULL);
    cr_assert_not(a.bind_failed, "%s", a.bind.text);
    cr_assert_eq(a.node_percent, 100, "one node has it all");
    mcq_arena_fini(&a);
    static const int absent[] = {1023, 1024, 100000};
    for (size_t i = 0; i < MCQ_CNT_OF(absent); i++) {
        cr_assert_eq(mcq_arena_init(&a, 1 << 20, absent[i], NULL), MCQ_OK);
        cr_assert(a.bind_failed, "node %d", absent[i]);
        cr_assert_eq(a.bind.code, MCQ_EINVAL);
        cr_assert_not_null(strstr(a.bind.text, "has no memory"), "%s", a.bind.text);
        cr_assert_not_null(mcq_arena_carve(&a, 100, 1));
        mcq_arena_seal(&a, false, NULL);
        mcq_arena_fini(&a);
    }
}

Test(arena, bound_to_its_node_it_is_there)
{
    struct mcq_arena a;
    int mode = -1;
    cr_assert_eq(mcq_arena_init_on(&a, (size_t)4 << 20, 0, MCQ_NODE_BIND, NULL), MCQ_OK);
    cr_assert_not(a.bind_failed, "%s", a.bind.text);
    cr_assert_eq(get_mempolicy(&mode, NULL, 0, a.base + (1 << 20), MPOL_F_ADDR), 0);
    cr_assert_eq(mode, MPOL_BIND);
    mcq_arena_seal(&a, false, NULL);
    cr_assert_eq(a.node_percent, 100);
    mcq_arena_fini(&a);
    cr_assert_eq(mcq_arena_init(&a, (size_t)4 << 20, 0, NULL), MCQ_OK);
    cr_assert_eq(get_mempolicy(&mode, NULL, 0, a.base, MPOL_F_ADDR), 0);
    cr_assert_eq(mode, MPOL_PREFERRED);
    mcq_arena_fini(&a);
}

Test(arena, pages_elsewhere_are_counted_as_elsewhere)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, (size_t)4 << 20, MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert_eq(mcq_os_node_percent(a.base, a.cap, 0), -1, "no page was touched");
    mcq_arena_seal(&a, false, NULL);
    cr_assert_eq(a.node_percent, -1, "nobody asked");
    cr_assert_eq(mcq_os_node_percent(a.base, a.cap, 0), 100);
    cr_assert_eq(mcq_os_node_percent(a.base, a.cap, 1), 0);
    cr_assert_eq(mcq_os_node_percent(a.base, 100, 0), -1, "less than a page");
    mcq_arena_fini(&a);
}

Test(arena, what_the_thread_takes_is_on_its_node)
{
    struct mcq_detail detail = {.text = ""};
    int mode = -1;
    cr_assert_eq(mcq_os_prefer_node(MCQ_NODE_ANY, &detail), MCQ_OK);
    cr_assert_eq(mcq_os_prefer_node(0, &detail), MCQ_OK, "%s", detail.text);
    cr_assert_eq(get_mempolicy(&mode, NULL, 0, NULL, 0), 0);
    cr_assert_eq(mode, MPOL_PREFERRED);
    cr_assert_eq(mcq_os_prefer_node(1000, &detail), MCQ_EINVAL);
    cr_assert_eq(mcq_os_prefer_node(1024, &detail), MCQ_EINVAL);
}

/* Sandboxes that don't know a system call. */
static bool forbid(unsigned call, unsigned os_errno)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | os_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {MCQ_CNT_OF(code), code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

Test(arena, without_madvise_every_page_is_touched)
{
    struct mcq_arena a;
    if (!forbid(SYS_madvise, EINVAL)) /* each page is touched instead */
        cr_skip_test("seccomp filters are not available");
    cr_assert_eq(mcq_arena_init(&a, 3 << 20, MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert_eq(a.pages, MCQ_PAGES_4K);
    uint8_t *p = mcq_arena_carve(&a, 9000, 4096);
    memset(p, 0x42, 9000);
    mcq_arena_seal(&a, false, NULL);
    check_resident(&a);
    for (size_t k = 0; k < 9000; k++)
        cr_assert_eq(p[k], 0x42);
    mcq_arena_fini(&a);
}

/* Containers that forbid the calls: the memory is had all the same, and the text says what to do.
 */
static void without_policies(unsigned os_errno)
{
    struct mcq_arena a;
    struct mcq_detail detail = {.text = ""};
    if (!forbid(SYS_mbind, os_errno) || !forbid(SYS_set_mempolicy, os_errno) ||
        !forbid(SYS_move_pages, os_errno))
        cr_skip_test("seccomp filters are not available");
    for (size_t len = 1 << 20; len <= (size_t)8 << 20; len *= 8) {
        cr_assert_eq(mcq_arena_init_on(&a, len, 0, MCQ_NODE_BIND, NULL), MCQ_OK);
        cr_assert(a.bind_failed);
        cr_assert_eq(a.bind.code, MCQ_EACCESS);
        cr_assert_eq(a.bind.os_errno, (int)os_errno);
        cr_assert_not_null(strstr(a.bind.text, "forbids mbind"), "%s", a.bind.text);
        cr_assert_not_null(strstr(a.bind.text, "--numa off"), "%s", a.bind.text);
        uint8_t *p = mcq_arena_carve(&a, 9000, 1);
        mcq_arena_seal(&a, false, NULL);
        memset(p, 1, 9000);
        cr_assert_eq(a.node_percent, -1, "nobody knows");
        mcq_arena_fini(&a);
    }
    cr_assert_eq(mcq_os_prefer_node(0, &detail), MCQ_EACCESS);
    cr_assert_not_null(strstr(detail.text, "forbids set_mempolicy"), "%s", detail.text);
}

Test(arena, where_policies_are_forbidden_it_goes_on)
{
    without_policies(EPERM);
}

Test(arena, where_policies_are_unknown_it_goes_on)
{
    without_policies(ENOSYS);
}

/* --- RLIMIT_MEMLOCK: in children, since giving up a privilege has no way back ----------------- */

struct lock_result {
    bool worked, locked, fits;
    struct mcq_detail detail, fits_detail;
};

static void lock_child(rlim_t soft, rlim_t hard, struct lock_result *r)
{
    struct mcq_arena a;
    struct rlimit lim = {soft, hard};
    if (setrlimit(RLIMIT_MEMLOCK, &lim) != 0 || setuid(65534) != 0)
        return;
    if (mcq_arena_init(&a, 1 << 20, MCQ_NODE_ANY, NULL) != MCQ_OK)
        return;
    uint8_t *p = mcq_arena_carve(&a, 1000, 1);
    r->fits = mcq_os_memlock_fits("the rings", 1 << 20, &r->fits_detail);
    mcq_arena_seal(&a, true, &r->detail);
    memset(p, 1, 1000);
    r->locked = a.locked;
    r->worked = a.sealed && p[999] == 1;
    mcq_arena_fini(&a);
}

static struct lock_result lock_run(rlim_t soft, rlim_t hard)
{
    if (geteuid() != 0)
        cr_skip_test("needs root, to give up CAP_IPC_LOCK and set the limit");
    struct lock_result *r =
        mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)r, MAP_FAILED);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        lock_child(soft, hard, r);
        _exit(0);
    }
    int status = -1;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    struct lock_result copy = *r;
    munmap(r, sizeof(*r));
    cr_assert(copy.worked);
    return copy;
}

Test(arena, a_low_memlock_limit_is_said_and_survived)
{
    struct lock_result r = lock_run(65536, 65536);
    cr_assert_not(r.locked);
    cr_assert_eq(r.detail.code, MCQ_ENOMEM);
    cr_assert_neq(r.detail.os_errno, 0);
    cr_assert_not_null(strstr(r.detail.text, "`ulimit -l 1024`"), "%s", r.detail.text);
    cr_assert_not_null(strstr(r.detail.text, "--memlock=1048576:1048576"), "%s", r.detail.text);
    cr_assert_not_null(strstr(r.detail.text, "it is 64 KiB"), "%s", r.detail.text);
    cr_assert_lt(strlen(r.detail.text), MCQ_DETAIL_TEXT_LEN - 1, "not cut");
    cr_assert_not(r.fits);
    cr_assert_not_null(strstr(r.fits_detail.text, "ulimit -l 1024"), "%s", r.fits_detail.text);
    cr_assert_not_null(strstr(r.fits_detail.text, "the rings"));
}

/* The line is exact: with what it asks for it works, with one page less it doesn't. */
Test(arena, the_ulimit_line_is_exact)
{
    struct lock_result r = lock_run(1024 << 10, 1024 << 10);
    cr_assert(r.locked, "%s", r.detail.text);
    cr_assert(r.fits);
    r = lock_run(1020 << 10, 1020 << 10);
    cr_assert_not(r.locked);
}

Test(arena, the_soft_limit_is_raised_to_the_hard_one)
{
    struct lock_result r = lock_run(65536, 4 << 20);
    cr_assert(r.locked, "%s", r.detail.text);
    cr_assert(r.fits);
}

/* All of the process, or the line that would allow it; a process far above its limit goes on. */
Test(arena, a_process_that_may_not_be_locked_is_told_how)
{
    struct mcq_detail *detail =
        mmap(NULL, sizeof(*detail), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = -1;
    if (geteuid() != 0)
        cr_skip_test("needs root, to give up CAP_IPC_LOCK and set the limit");
    cr_assert_neq((void *)detail, MAP_FAILED);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        struct rlimit lim = {1 << 20, 1 << 20};
        bool low = setrlimit(RLIMIT_MEMLOCK, &lim) == 0 && setuid(65534) == 0;
        mcq_os_touch_stack();
        bool locked = low && mcq_os_lock_process(detail);
        _exit(!low ? 2 : locked ? 1 : 0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
#ifndef __SANITIZE_ADDRESS__ /* there it locks nothing and says so by success */
    cr_assert_eq(WEXITSTATUS(status), 0);
    cr_assert_eq(detail->code, MCQ_ENOMEM);
    cr_assert_not_null(strstr(detail->text, "`ulimit -l "), "%s", detail->text);
    cr_assert_not_null(strstr(detail->text, "it is 1024 KiB"), "%s", detail->text);
    cr_assert_lt(strlen(detail->text), MCQ_DETAIL_TEXT_LEN - 1, "not cut");
#endif
}
