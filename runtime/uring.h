/* Uring: one ring, as the rest of runtime/ sees it. With net, clock and random it is the seam
 * that a simulation replaces, so no type of liburing or of the kernel's ABI appears here.
 *
 * Operations are prepared by the functions named after them and reach the kernel with the next
 * enter; if the submission queue is full they enter at once to make room (counted as sq_full).
 * Completions appear at the next reap, never earlier. What an operation points at must live until
 * its completion; tags are the caller's (runtime/op.h).
 *
 * Ring mode defer: SINGLE_ISSUER | DEFER_TASKRUN: the kernel's half of the work runs inside our own
 * enters and nowhere else, and a flag in shared memory tells that there is some. Ring mode sqpoll:
 * a thread of the kernel's takes what is published and does that work, beside ours; an enter is
 * needed only to wake it, to wait, and to make room. Every promise here holds in both.
 *
 * Thread: the one that called init. Failures are returned as -errno.
 */
#ifndef MCQ_RUNTIME_URING_H
#define MCQ_RUNTIME_URING_H

#include <monocoque/stats.h>
#include <sys/socket.h>

#include "mem/arena.h"
#include "runtime/op.h"

struct mcq_uring;

#define MCQ_URING_SQ_CNT 512u
#define MCQ_URING_CQ_CNT 8192u

struct mcq_uring_opts {
    uint32_t sq_cnt, cq_cnt;
    bool ring_fd; /* register the ring's descriptor, if the kernel does that */
    bool sqpoll;  /* the kernel's thread submits; what follows is for it alone */
    bool sq_pin;  /* to CPU sq_cpu; ignored for a thread that is shared */
    uint32_t sq_cpu;
    uint32_t sq_idle_ms; /* without work until it sleeps; rounded up to a jiffy (1 to 10 ms), and 0
                            is a second, not never */
    int sq_share_fd;     /* > 0: mcq_uring_fd of another ring of this process whose thread it is */
    struct mcq_loop_stats *stats; /* borrowed */
};

size_t mcq_uring_footprint(void);
/* Carves the handle and sets the ring up. 0, or -errno of io_uring_setup. */
MCQ_MUST_USE int mcq_uring_init(struct mcq_arena *arena, const struct mcq_uring_opts *opts,
                                struct mcq_uring **u);
void mcq_uring_fini(struct mcq_uring *u);
/* Whether the registered descriptor was obtained. */
bool mcq_uring_has_ring_fd(const struct mcq_uring *u);
bool mcq_uring_is_sqpoll(const struct mcq_uring *u);
/* What /proc tells of the kernel's thread, microseconds; false: nothing. */
bool mcq_uring_sq_times(const struct mcq_uring *u, uint64_t *run_us, uint64_t *work_us);
/* The ring's descriptor, for mcq_uring_wake by others. */
int mcq_uring_fd(const struct mcq_uring *u);
/* kernel.io_uring_disabled: 0 if it can't be read or doesn't exist. */
int mcq_uring_disabled_sysctl(void);

/* --- operations ---------------------------------------------------------------------------- */
void mcq_uring_accept(struct mcq_uring *u, uint64_t tag, int fd, bool multishot);
void mcq_uring_connect(struct mcq_uring *u, uint64_t tag, int fd, const struct sockaddr *addr,
                       socklen_t len);
/* A multishot receive into the buffer ring that ends after limit bytes. */
void mcq_uring_recv_shot(struct mcq_uring *u, uint64_t tag, int fd, uint32_t limit);
/* One receive of up to len bytes into a block of the buffer ring. */
void mcq_uring_recv_one(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len);
/* The same, but it ends with -EAGAIN if there is nothing. */
void mcq_uring_recv_try(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len);
void mcq_uring_recv_into(struct mcq_uring *u, uint64_t tag, int fd, void *ptr, uint32_t len);
void mcq_uring_send(struct mcq_uring *u, uint64_t tag, int fd, const void *ptr, size_t len);
void mcq_uring_sendmsg(struct mcq_uring *u, uint64_t tag, int fd, const struct msghdr *msg);
/* Takes the operation with tag `target` back. */
void mcq_uring_cancel(struct mcq_uring *u, uint64_t tag, uint64_t target);
void mcq_uring_read(struct mcq_uring *u, uint64_t tag, int fd, void *ptr, uint32_t len);

/* --- the buffer ring: at most one per ring --------------------------------------------------- */
/* Registers mem (page-aligned, mcq_uring_bufs_len(cnt) bytes, zeroed; cnt a power of two). */
size_t mcq_uring_bufs_len(uint32_t cnt);
MCQ_MUST_USE int mcq_uring_bufs_open(struct mcq_uring *u, void *mem, uint32_t cnt, bool inc);
void mcq_uring_bufs_close(struct mcq_uring *u);
/* Adds a block; the kernel sees it after publish. */
void mcq_uring_bufs_add(struct mcq_uring *u, void *base, uint32_t len, uint16_t bid);
void mcq_uring_bufs_publish(struct mcq_uring *u);

/* --- NAPI: see runtime/napi.h ----------------------------------------------------------------- */
/* 0, or -EINVAL where the kernel can't. */
MCQ_MUST_USE int mcq_uring_napi(struct mcq_uring *u, uint32_t busy_us, bool prefer, bool by_name);
MCQ_MUST_USE int mcq_uring_napi_add(struct mcq_uring *u, uint32_t id);

/* --- entering the kernel --------------------------------------------------------------------- */
/* True if an enter would do anything: something to submit, or the kernel asks for one. */
bool mcq_uring_wants_enter(const struct mcq_uring *u);
/* True if the kernel has deferred work or completions it had to hold back. */
bool mcq_uring_wants_run(const struct mcq_uring *u);
/* Completions that can be reaped. */
uint32_t mcq_uring_ready(const struct mcq_uring *u);
/* For an owner who sleeps by other means: fd is readable from when there is something to run or to
 * reap until take, and while wake_fd is, if the owner's own enter reads that. 0 or -errno. Take,
 * then look at wants_run and ready: nothing is missed. */
struct mcq_uring_bell {
    int fd;      /* an epoll set */
    int ring_fd; /* an eventfd the ring signals */
};
MCQ_MUST_USE int mcq_uring_bell_open(struct mcq_uring *u, int wake_fd, struct mcq_uring_bell *bell);
void mcq_uring_bell_close(struct mcq_uring *u, const struct mcq_uring_bell *bell);
void mcq_uring_bell_take(const struct mcq_uring_bell *bell);
/* Submits alone; no system call if there is nothing to submit. */
void mcq_uring_submit(struct mcq_uring *u);
/* Submits and lets deferred work run, without waiting. */
void mcq_uring_enter(struct mcq_uring *u);
/* The same, and if no completion is there, asks the network's queues once. */
void mcq_uring_poll(struct mcq_uring *u);
/* The same, and waits for a completion or timeout_ns (UINT64_MAX: without end). */
void mcq_uring_wait(struct mcq_uring *u, uint64_t timeout_ns);

/* Posts a completion with `tag` to the ring that ring_fd is of, in the same process, whatever its
 * thread does, and submits what is prepared. One enter. false: it may not have come, for want of
 * memory, or because ring_fd is no (enabled) ring, or with sqpoll, where nobody could tell; another
 * way must be used. own_tag: of completions that failures have, unless the caller never reaps. */
MCQ_MUST_USE bool mcq_uring_wake(struct mcq_uring *u, int ring_fd, uint64_t tag, uint64_t own_tag);

/* Takes up to max completions, oldest first. No system call. */
size_t mcq_uring_reap(struct mcq_uring *u, struct mcq_done *done, size_t max);

#endif
