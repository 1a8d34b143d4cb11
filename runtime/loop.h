/* Loop: one core's I/O. It owns the ring, the receive buffer ring, the table of connections and
 * listeners, the timers and the clock, and knows nothing of what the bytes mean.
 *
 * One turn, driven by the shard:
 *
 *      mcq_loop_begin  (clock) -> mcq_loop_reap (events, until it returns 0 or the budget is used)
 *      -> ... the shard works, calls conn_send, conn_recv, ... -> mcq_timers_expire
 *      -> mcq_loop_end (one submitting enter; sleeps if nothing is due and the idle policy says so)
 *
 * Promises that hold in every ring mode: no completion is seen before the next reap; everything an
 * operation points at lives in its connection until its completion; an operation may have to wait
 * for room in the submission queue (it is then submitted by the loop itself, in order); every send
 * has a completion; a slot is reused only when nothing of it is in flight.
 *
 * Thread: the shard's own.
 */
#ifndef MCQ_RUNTIME_LOOP_H
#define MCQ_RUNTIME_LOOP_H

#include <monocoque/app.h>
#include <monocoque/event.h>
#include <monocoque/stats.h>

#include "mem/buf.h"
#include "runtime/conn.h"
#include "runtime/timer.h"

struct mcq_loop;

struct mcq_loop_opts {
    enum mcq_idle idle;
    uint64_t idle_spin_ns;
    uint32_t conns_max;           /* connections and listeners together */
    uint32_t timers_max;          /* the owner's; the connections' own come on top */
    uint32_t rx_blocks_max;       /* most blocks the receive ring may hold; 0: MCQ_RX_BLOCKS_MAX */
    const char *features;         /* mask text, NULL: nothing masked */
    struct mcq_buf_heap *heap;    /* borrowed */
    struct mcq_loop_stats *stats; /* borrowed */
    enum mcq_ring_mode ring;      /* auto: runtime/ring_choice.h */
    bool sqpoll_pin;              /* a CPU is to spare for the kernel's thread: sqpoll_cpu */
    uint32_t sqpoll_cpu;
    uint32_t sqpoll_idle_ms; /* without work until the thread sleeps; 0: the default */
    int sqpoll_share_fd;     /* > 0: mcq_loop_ring_fd of another loop in ring mode sqpoll of this
                                process, whose thread serves this one, too */
    uint32_t napi_busy_us;   /* runtime/napi.h; 0: off */
    bool napi_prefer;
};

/* Defaults: on a CPU to spare, and elsewhere. */
#define MCQ_SQPOLL_IDLE_MS          10u
#define MCQ_SQPOLL_IDLE_MS_UNPINNED 1u

#define MCQ_RX_BLOCKS_MAX 1024u /* 32 MiB: entries of the receive ring */

/* Bytes of arena it takes. */
size_t mcq_loop_footprint(const struct mcq_loop_opts *opts);
/* Carves from the arena, creates and probes the ring. Gives *loop. Errors: MCQ_EKERNEL (io_uring
 * missing, forbidden by seccomp or kernel.io_uring_disabled, kernel before 6.1: the text says what
 * to change), MCQ_ENOMEM (RLIMIT_MEMLOCK: the text has the ulimit line), MCQ_EINVAL (mask; a CPU
 * that the kernel's thread can't be pinned to). */
MCQ_MUST_USE enum mcq_error mcq_loop_init(struct mcq_arena *arena, const struct mcq_loop_opts *opts,
                                          struct mcq_loop **loop, struct mcq_detail *detail);
/* After every connection has ended: gives back the ring and its blocks. */
void mcq_loop_fini(struct mcq_loop *loop);
/* What was probed and taken, one line for a person ("defer, mshot-limit, inc, ..."). */
const char *mcq_loop_features(const struct mcq_loop *loop);

/* Why the ring mode is what auto made it; empty if nothing was to be chosen. */
const char *mcq_loop_ring_why(const struct mcq_loop *loop);
/* Whether the ring mode is sqpoll. Thread: any, once the loop is there. */
bool mcq_loop_is_sqpoll(const struct mcq_loop *loop);
/* Why there is no NAPI busy poll although it was asked for; else empty. */
const char *mcq_loop_napi_why(const struct mcq_loop *loop);
/* Microseconds that the kernel's thread of an sqpoll ring has run, and worked, so far. false: there
 * is none, or this kernel (before 6.8) doesn't tell. Cold: reads a file of /proc. */
bool mcq_loop_sq_times(const struct mcq_loop *loop, uint64_t *run_us, uint64_t *work_us);

enum mcq_io_kind {
    MCQ_IO_ACCEPTED = 1,  /* listener: fd is given */
    MCQ_IO_ACCEPT_FAILED, /* listener: os_errno; it is not armed: mcq_listen_arm again */
    MCQ_IO_CONNECTED,
    MCQ_IO_CONNECT_FAILED, /* os_errno; the slot goes on to CLOSED by mcq_conn_abort */
    MCQ_IO_RECV,   /* buf[off, off + len): the event gives one app reference (RECV_INTO: none) */
    MCQ_IO_EOF,    /* the peer sends no more */
    MCQ_IO_ERROR,  /* receive or send failed: os_errno */
    MCQ_IO_SENT,   /* len bytes of the send were taken by the kernel; nothing is in flight now */
    MCQ_IO_CLOSED, /* the slot is about to be reused: last event; report fields of conn are final */
    MCQ_IO_WAKE,   /* somebody wrote the eventfd, or mcq_loop_wake_ring */
    MCQ_IO_FROZEN  /* mcq_conn_freeze: nothing of it is in flight any more */
};

struct mcq_io_event {
    enum mcq_io_kind kind;
    int fd;
    int os_errno;
    uint32_t off, len;     /* bytes */
    struct mcq_conn *conn; /* of connections and listeners; borrowed until CLOSED */
    struct mcq_buf *buf;
    bool into; /* RECV: of mcq_conn_recv_into */
};

/* Reads the clock once for the turn: mcq_loop_now. */
void mcq_loop_begin(struct mcq_loop *loop);
uint64_t mcq_loop_now(const struct mcq_loop *loop); /* the turn's time, ns monotonic */
uint64_t mcq_loop_clock(struct mcq_loop *loop);     /* now */

/* Turns completions that are there into events[0, n); returns n <= max, 0 when there is nothing
 * left. No system call. */
size_t mcq_loop_reap(struct mcq_loop *loop, struct mcq_io_event *events, size_t max);

/* Submits without looking at completions: for a flush inside a callback. One enter. */
void mcq_loop_submit(struct mcq_loop *loop);

/* Ends the turn. busy: the shard found work or has work left, so don't sleep. next_ns: the first
 * timer is known to the loop itself; UINT64_MAX otherwise, or an earlier wish of the shard.
 * Submits, lets deferred completions run (again, counted, while the kernel asks for it), re-arms
 * starved receives, tops up the ring. Returns after at most one sleep. */
void mcq_loop_end(struct mcq_loop *loop, bool busy, uint64_t next_ns);

/* The same for a turn whose sleep is the caller's: returns for how long he may sleep, provided that
 * he wakes when mcq_loop_bell_fd becomes readable: 0 if busy or if there is work after all,
 * UINT64_MAX: without end. The next turn ends the sleep. */
uint64_t mcq_loop_rest(struct mcq_loop *loop, bool busy);
/* Once, before the first rest. Errors: MCQ_ELIMIT, MCQ_EOS. */
MCQ_MUST_USE enum mcq_error mcq_loop_bell_open(struct mcq_loop *loop, struct mcq_detail *detail);
int mcq_loop_bell_fd(const struct mcq_loop *loop);

/* The eventfd that interrupts a sleep: write 8 bytes from any thread. -1 before init. */
int mcq_loop_wake_fd(const struct mcq_loop *loop);
/* The other way to interrupt the sleep of a loop, for the thread of another: MCQ_IO_WAKE comes at
 * the loop whose mcq_loop_ring_fd is ring_fd. Submits at once, with all that `from` has prepared.
 * Valid until that loop's fini. false: it may not come (the kernel can't, or `from` is in ring mode
 * sqpoll): write its eventfd. */
int mcq_loop_ring_fd(const struct mcq_loop *loop);
MCQ_MUST_USE bool mcq_loop_wake_ring(struct mcq_loop *from, int ring_fd);
/* True from just before the loop re-checks and sleeps until the next turn begins: see
 * shards/mailbox. The callback re-checks for work (false: don't sleep) after the flag is visible
 * to other threads. */
typedef bool mcq_loop_sleep_fn(void *ctx, bool sleeping);
void mcq_loop_on_sleep(struct mcq_loop *loop, mcq_loop_sleep_fn *fn, void *ctx);

struct mcq_timers *mcq_loop_timers(struct mcq_loop *loop);
uint64_t mcq_loop_random(struct mcq_loop *loop);

#endif
