/* io_uring that is missing or forbidden ends in one sentence that says what to change. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"
#include "runtime/uring_probe.h"

/* Every io_uring_setup of this process fails with err from now on. */
static void forbid(unsigned err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

static enum mcq_error try_loop(struct mcq_detail *d)
{
    struct mcq_arena arena;
    struct mcq_loop *loop;
    struct mcq_loop_stats stats = {0};
    struct mcq_mem_stats mem = {0};
    struct mcq_buf_plan plan = {.cnt = {1, 1, 16, 1}, .external_cnt = 1};
    struct mcq_loop_opts o = {.conns_max = 4, .stats = &stats};
    size_t len = mcq_buf_heap_footprint(&plan) + mcq_loop_footprint(&o) + 65536;
    cr_assert_eq(mcq_arena_init(&arena, len, MCQ_NODE_ANY, d), MCQ_OK);
    o.heap = mcq_buf_heap_init(&arena, &plan, &mem);
    enum mcq_error e = mcq_loop_init(&arena, &o, &loop, d);
    if (e == MCQ_OK)
        mcq_loop_fini(loop);
    mcq_arena_fini(&arena);
    return e;
}

static void expect(const struct mcq_detail *d, enum mcq_error code, int err, const char *word)
{
    cr_assert_eq(d->code, code);
    cr_assert_eq(d->os_errno, err);
    cr_assert_not_null(strstr(d->text, word), "%s", d->text);
    cr_assert_lt(strlen(d->text), MCQ_DETAIL_TEXT_LEN - 1, "cut: %s", d->text);
}

Test(forbidden, missing)
{
    struct mcq_detail d = {0};
    forbid(ENOSYS);
    cr_assert_eq(try_loop(&d), MCQ_EKERNEL);
    expect(&d, MCQ_EKERNEL, ENOSYS, "seccomp");
    expect(&d, MCQ_EKERNEL, ENOSYS, "CONFIG_IO_URING");
}

Test(forbidden, by_filter)
{
    struct mcq_detail d = {0};
    if (mcq_uring_disabled_sysctl() != 0)
        cr_skip("kernel.io_uring_disabled is set here");
    forbid(EPERM);
    cr_assert_eq(try_loop(&d), MCQ_EKERNEL);
    expect(&d, MCQ_EKERNEL, EPERM, "seccomp");
}

Test(forbidden, old_kernel)
{
    struct mcq_detail d = {0};
    forbid(EINVAL);
    cr_assert_eq(try_loop(&d), MCQ_EKERNEL);
    expect(&d, MCQ_EKERNEL, EINVAL, "6.1");
}

Test(forbidden, no_locked_memory)
{
    struct mcq_detail d = {0};
    forbid(ENOMEM);
    cr_assert_eq(try_loop(&d), MCQ_ENOMEM);
    expect(&d, MCQ_ENOMEM, ENOMEM, "ulimit -l");
}

Test(forbidden, no_descriptor)
{
    struct mcq_detail d = {0};
    int next = dup(0);
    close(next);
    struct rlimit low = {(rlim_t)next, (rlim_t)next};
    setrlimit(RLIMIT_NOFILE, &low);
    cr_assert_eq(try_loop(&d), MCQ_ELIMIT);
    expect(&d, MCQ_ELIMIT, EMFILE, "ulimit -n");
}

/* One descriptor, two, three: each refusal is an error with a text, and nothing is left open. */
Test(forbidden, few_descriptors)
{
    for (unsigned spare = 1;; spare++) {
        struct mcq_detail d = {0};
        struct rlimit lim;
        getrlimit(RLIMIT_NOFILE, &lim);
        int next = dup(0);
        close(next);
        lim.rlim_cur = (rlim_t)next + spare;
        setrlimit(RLIMIT_NOFILE, &lim);
        enum mcq_error e = try_loop(&d);
        int after = dup(0);
        close(after);
        cr_assert_eq(after, next, "a descriptor was lost");
        if (e == MCQ_OK)
            break;
        cr_assert_lt(spare, 10);
        cr_assert_not_null(strstr(d.text, "ulimit -n"), "%s", d.text);
    }
}
