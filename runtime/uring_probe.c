#include "runtime/uring_probe.h"

#include <errno.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "runtime/net.h"

#define BLOCK_LEN      64u
#define WAIT_NS        20000000u /* per completion that should be there already */
#define WAIT_TRIES_MAX 100u      /* a kernel thread on a busy CPU takes its time */

/* Tags of the probe's own operations. */
enum { TAG_NONE = 0, TAG_SEND, TAG_A, TAG_B, TAG_CANCEL };

struct probe {
    struct mcq_uring *u;
    void *mem;
    int a[2], b[2]; /* socket pairs: [0] receives */
    uint8_t block[2][BLOCK_LEN];
};

/* --- why there is no ring ------------------------------------------------------------------ */

static enum mcq_error explain_forbidden(struct mcq_detail *detail)
{
    switch (mcq_uring_disabled_sysctl()) {
    case 2:
        return mcq_detail_set(detail, MCQ_EKERNEL, EPERM,
                              "io_uring is switched off: kernel.io_uring_disabled is 2; "
                              "run `sysctl -w kernel.io_uring_disabled=0`");
    case 1:
        return mcq_detail_set(
            detail, MCQ_EKERNEL, EPERM,
            "io_uring is for privileged users only: kernel.io_uring_disabled is 1; "
            "run `sysctl -w kernel.io_uring_disabled=0`, or join the group of "
            "kernel.io_uring_group");
    case 0:
    default:
        return mcq_detail_set(
            detail, MCQ_EKERNEL, EPERM,
            "io_uring is forbidden by a seccomp filter (containers do that): allow "
            "io_uring_setup, io_uring_enter and io_uring_register, with docker "
            "--security-opt seccomp=unconfined or a profile of your own");
    }
}

enum mcq_error mcq_uring_explain(int err, struct mcq_detail *detail)
{
    switch (err) {
    case ENOSYS:
        return mcq_detail_set(
            detail, MCQ_EKERNEL, err,
            "io_uring is missing: a seccomp filter hides it (allow io_uring_setup, "
            "io_uring_enter and io_uring_register), or the kernel is built "
            "without CONFIG_IO_URING; Linux 6.1 or newer is needed");
    case EPERM:
    case EACCES:
        return explain_forbidden(detail);
    case EINVAL:
        return mcq_detail_set(detail, MCQ_EKERNEL, err,
                              "io_uring lacks SINGLE_ISSUER and DEFER_TASKRUN: this kernel is too "
                              "old; Linux 6.1 or newer is needed");
    case ENOMEM:
        return mcq_detail_set(
            detail, MCQ_ENOMEM, err,
            "no memory for the io_uring ring: RLIMIT_MEMLOCK is too low (about 512 "
            "KiB per shard, counted for all processes of the user); run `ulimit -l "
            "65536` or set LimitMEMLOCK=64M");
    case EMFILE:
    case ENFILE:
        return mcq_detail_set(detail, MCQ_ELIMIT, err,
                              "no file descriptor left for the io_uring ring: raise `ulimit -n`");
    default:
        return mcq_detail_set(detail, MCQ_EOS, err, "io_uring_setup failed with errno %d", err);
    }
}

/* --- the probes ---------------------------------------------------------------------------- */

/* Waits for the next completion that isn't a send's. false: none came. */
static bool next_done(struct probe *p, struct mcq_done *done)
{
    for (unsigned i = 0; i < WAIT_TRIES_MAX; i++) {
        while (mcq_uring_reap(p->u, done, 1) == 1)
            if (done->tag != TAG_SEND)
                return true;
        mcq_uring_wait(p->u, WAIT_NS);
    }
    return false;
}

/* Ends what `tag` may still have in flight: its own completion may come before the cancel's or
 * behind it, or has come long ago. */
static void end_op(struct probe *p, uint64_t tag)
{
    struct mcq_done done;
    bool cancelled = false, ended = false;
    mcq_uring_cancel(p->u, TAG_CANCEL, tag);
    while (!(cancelled && ended) && next_done(p, &done)) {
        cancelled |= done.tag == TAG_CANCEL;
        ended |= done.tag == TAG_CANCEL ? done.res == -ENOENT
                                        : done.tag == tag && !(done.flags & MCQ_DONE_MORE);
    }
}

static bool got(const struct mcq_done *done, uint64_t tag, int32_t res, unsigned flags)
{
    return done->tag == tag && done->res == res &&
           (done->flags & (MCQ_DONE_MORE | MCQ_DONE_BUF_MORE | MCQ_DONE_BUFFER)) == flags;
}

static int open_bufs(struct probe *p, bool inc)
{
    mcq_bytes_zero(p->mem, mcq_uring_bufs_len(MCQ_PROBE_BUFS_CNT));
    int err = mcq_uring_bufs_open(p->u, p->mem, MCQ_PROBE_BUFS_CNT, inc);
    if (err < 0)
        return err;
    for (uint16_t i = 0; i < 2; i++)
        mcq_uring_bufs_add(p->u, p->block[i], BLOCK_LEN, i);
    mcq_uring_bufs_publish(p->u);
    return 0;
}

/* A shot limited to 8 bytes goes on after 4 and ends with the next 4. */
static bool limit_works(struct probe *p)
{
    struct mcq_done done;
    mcq_uring_recv_shot(p->u, TAG_A, p->a[0], 8);
    mcq_uring_send(p->u, TAG_SEND, p->a[1], "abcd", 4);
    if (!next_done(p, &done))
        return false;
    if (!got(&done, TAG_A, 4, MCQ_DONE_MORE | MCQ_DONE_BUFFER)) {
        if (done.flags & MCQ_DONE_MORE)
            end_op(p, TAG_A);
        return false;
    }
    mcq_uring_send(p->u, TAG_SEND, p->a[1], "efgh", 4);
    bool ended = next_done(p, &done) && got(&done, TAG_A, 4, MCQ_DONE_BUFFER);
    if (!ended)
        end_op(p, TAG_A);
    return ended;
}

/* The next receive's bytes lie where the previous one's end: nothing but the order of completions
 * says so, and kernels before 6.16 could turn it around between a single receive and a shot. */
static bool lies_at(struct probe *p, size_t *off, unsigned flags)
{
    static const char TEXT_A[] = "ab", TEXT_B[] = "cde";
    struct mcq_done done;
    if (!next_done(p, &done) || done.res < 0 || done.bid != 0 ||
        !(done.flags & MCQ_DONE_BUF_MORE & flags))
        return false;
    struct mcq_slice want = done.tag == TAG_A ? mcq_slice_of(TEXT_A, 2) : mcq_slice_of(TEXT_B, 3);
    if (!mcq_slice_equal(mcq_slice_of(p->block[0] + *off, (size_t)done.res), want))
        return false;
    *off += (size_t)done.res;
    return true;
}

/* Two connections share the first block in the order of their completions, and it is given back
 * exactly when it is full. */
static bool inc_works(struct probe *p, bool shot)
{
    static const uint8_t REST[BLOCK_LEN];
    struct mcq_done done;
    size_t off = 0;
    mcq_uring_send(p->u, TAG_SEND, p->a[1], "ab", 2);
    mcq_uring_send(p->u, TAG_SEND, p->b[1], "cde", 3);
    mcq_uring_recv_one(p->u, TAG_A, p->a[0], BLOCK_LEN);
    if (shot)
        mcq_uring_recv_shot(p->u, TAG_B, p->b[0], BLOCK_LEN);
    else
        mcq_uring_recv_one(p->u, TAG_B, p->b[0], BLOCK_LEN);
    bool works = lies_at(p, &off, MCQ_DONE_BUF_MORE) && lies_at(p, &off, MCQ_DONE_BUF_MORE);
    if (works) {
        int32_t rest = (int32_t)(BLOCK_LEN - off);
        mcq_uring_send(p->u, TAG_SEND, p->a[1], REST, (size_t)rest);
        mcq_uring_recv_one(p->u, TAG_A, p->a[0], BLOCK_LEN);
        works = next_done(p, &done) && got(&done, TAG_A, rest, MCQ_DONE_BUFFER);
    }
    end_op(p, TAG_A);
    end_op(p, TAG_B);
    return works;
}

/* To itself, which goes the way that a wake from another thread goes. */
static bool wake_works(struct probe *p)
{
    struct mcq_done done;
    return mcq_uring_wake(p->u, mcq_uring_fd(p->u), TAG_A, TAG_B) && next_done(p, &done) &&
           got(&done, TAG_A, 0, 0);
}

static enum mcq_error probe_bufs(struct probe *p, struct mcq_features *f, struct mcq_detail *detail)
{
    int err = open_bufs(p, false);
    if (err == -ENOMEM)
        return mcq_uring_explain(ENOMEM, detail);
    if (err < 0)
        return mcq_detail_set(detail, MCQ_EKERNEL, -err,
                              "io_uring has no buffer rings: Linux 6.1 or newer is needed");
    f->sqpoll = mcq_uring_is_sqpoll(p->u);
    f->hot &= !f->sqpoll;
    f->msgring = f->msgring && wake_works(p);
    if (f->mshot_limit)
        f->mshot_limit = limit_works(p);
    mcq_uring_bufs_close(p->u);
    if (f->inc)
        f->inc = open_bufs(p, true) == 0 && inc_works(p, f->mshot_limit);
    mcq_uring_bufs_close(p->u);
    return MCQ_OK;
}

enum mcq_error mcq_uring_probe(struct mcq_uring *u, void *mem, struct mcq_features *f,
                               struct mcq_detail *detail)
{
    struct probe p = {.u = u, .mem = mem};
    int err = mcq_net_pair(p.a);
    if (err == 0) {
        err = mcq_net_pair(p.b);
        if (err != 0) {
            mcq_net_close(p.a[0]);
            mcq_net_close(p.a[1]);
        }
    }
    if (err != 0)
        return mcq_detail_set(detail, MCQ_EOS, -err,
                              "no socket pair for trying io_uring out: raise `ulimit -n`");
    enum mcq_error e = probe_bufs(&p, f, detail);
    for (unsigned i = 0; i < 2; i++) {
        mcq_net_close(p.a[i]);
        mcq_net_close(p.b[i]);
    }
    return e;
}
