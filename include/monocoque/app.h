/* App: options, and running the shards. */
#ifndef MONOCOQUE_APP_H
#define MONOCOQUE_APP_H

#include <monocoque/base.h>
#include <monocoque/error.h>
#include <monocoque/port.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCQ_SHARDS_MAX 128u

enum mcq_idle {
    MCQ_IDLE_DEFAULT = 0, /* spin then block */
    MCQ_IDLE_SPIN,        /* never sleeps: lowest latency, one core at 100 % */
    MCQ_IDLE_SPIN_BLOCK,  /* spins idle_spin_ns after the last event, then sleeps */
    MCQ_IDLE_BLOCK        /* sleeps as soon as there is nothing to do */
};

enum mcq_ring_mode {
    MCQ_RING_AUTO = 0, /* sqpoll if idle is spin, a CPU is to spare for it, and a trial of both at
                          start says that it is faster; else defer. The log says why */
    MCQ_RING_DEFER,    /* SINGLE_ISSUER | DEFER_TASKRUN, kernel 6.1: the shard's own thread enters
                          the kernel */
    MCQ_RING_SQPOLL    /* a thread of the kernel's takes what is submitted, on a CPU of its own */
};

enum mcq_smt {
    MCQ_SMT_LEAVE = 0, /* one hardware thread per core: its siblings stay idle */
    MCQ_SMT_USE        /* once every core has one, siblings are taken, too */
};

enum mcq_numa {
    MCQ_NUMA_PREFER = 0, /* a shard's memory comes from its node as long as that has any */
    MCQ_NUMA_BIND,       /* ... from nowhere else: a node that is full ends the process */
    MCQ_NUMA_OFF         /* from where the kernel likes */
};

enum mcq_log_level { MCQ_LOG_ERROR = 0, MCQ_LOG_WARN, MCQ_LOG_INFO, MCQ_LOG_DEBUG };

/* line: borrowed, no newline. Called on any thread of the app, never on the hot path. */
typedef void mcq_log_fn(void *ctx, enum mcq_log_level level, const char *line);

struct mcq_opts {
    size_t size;      /* sizeof(struct mcq_opts), set by MCQ_OPTS_INIT */
    uint32_t shards;  /* [1], up to MCQ_SHARDS_MAX */
    const char *cpus; /* "2" or "0,2-5": where shards are pinned, in order; "none": nowhere [as
                         monocoque/topo.h says] */
    enum mcq_idle idle;
    uint64_t idle_spin_ns;   /* MCQ_IDLE_SPIN_BLOCK [50,000] */
    enum mcq_ring_mode ring; /* AUTO: [environment MCQ_RING: auto, defer or sqpoll] */
    uint64_t arena_bytes;    /* per shard: sockets, connections, blocks [128 MiB]; from 16 MiB */
    uint64_t large_bytes; /* per shard: messages from 256 KiB up [128 MiB]; in steps of 256 KiB */
    uint32_t connections_max;   /* per shard [as many as a third of the arena holds, at most
                                   16,384]; more than fit: MCQ_EINVAL, which says how many do */
    const char *uring_features; /* mask, "-inc,-hot" or "6.1"; names: mcq_opts_usage()
                                   [environment MCQ_URING_FEATURES] */
    bool no_signals;            /* true: SIGINT and SIGTERM are left alone; else they end the app */
    bool no_mlock;              /* true: don't try to lock memory; else the arena, and what the
                                   process has mapped by then, is locked and stays so */
    mcq_log_fn *log;            /* NULL: silent. mcq_opts_parse sets mcq_log_stderr */
    void *log_ctx;
    enum mcq_log_level log_level; /* highest told [MCQ_LOG_ERROR]; mcq_opts_parse sets WARN */
    enum mcq_smt smt;
    const char *nic; /* "eth0": cores of its NUMA node come first; "node:1" names the node */
    const char *sqpoll_cpus; /* "6,7": where the kernel threads of sqpoll rings are pinned, each for
                                the shards nearest to it; "none": there are none [cores to spare] */
    uint32_t sqpoll_share;   /* shards that share such a thread, if sqpoll_cpus doesn't say [1] */
    enum mcq_numa numa;
    uint32_t sqpoll_idle_ms; /* without work until such a thread sleeps; the kernel rounds up to its
                                tick, 1 to 10 ms [10 on a CPU to spare, else 1] */
    uint32_t napi_busy_us;   /* up to 1,000,000: microseconds that a shard asks its interfaces'
                                receive queues itself before it sleeps, and in each turn that finds
                                nothing if it doesn't; kernel 6.9 [0: off] */
    bool napi_prefer;        /* ... and their interrupts stay off meanwhile: needs the interfaces'
                                gro_flush_timeout and napi_defer_hard_irqs */
};
#ifdef __cplusplus
static inline struct mcq_opts mcq_opts_init(void)
{
    struct mcq_opts opts = {};
    opts.size = sizeof opts;
    return opts;
}
#define MCQ_OPTS_INIT mcq_opts_init()
#else
#define MCQ_OPTS_INIT                   \
    {                                   \
        .size = sizeof(struct mcq_opts) \
    }
#endif

/* mcq_opts_parse reads --shards --cpus --smt --nic --numa --idle --ring --sqpoll-cpus
 * --sqpoll-share --sqpoll-idle --napi --arena --large-bytes --connections --uring-features --log
 * --help from argv, removes what it took (up to "--"), and sets the log to stderr. For main():
 * --help prints mcq_opts_usage() and exits 0; a bad value prints what is wrong and exits 2. Options
 * it doesn't know stay in argv for the program. Borrows argv's strings. */
MCQ_API void mcq_opts_parse(struct mcq_opts *opts, int *argc, char **argv);
MCQ_API const char *mcq_opts_usage(void);

MCQ_API void mcq_log_stderr(void *ctx, enum mcq_log_level level, const char *line);

/* The program. All run on the shard's thread; a missing slot is a no-op. */
struct mcq_app {
    /* Opens, binds, connects this shard's sockets. Called for one shard after the other, by id,
     * when all have been set up; their loops run once all have started. Non-zero ends the app with
     * MCQ_ESTATE and the text of the last of those calls that failed; shards that haven't started
     * by then never do, and have no on_stop. */
    int (*start)(struct mcq_shard *shard, void *arg);
    /* The last call on a shard, after every socket's `closed` on all shards, but for the
     * mcq_free_fn of memory that other shards read till then; counters are still readable. */
    void (*on_stop)(struct mcq_shard *shard, void *arg);
    /* mcq_stop, a signal or a start that refused has begun the end: called once, just before the
     * shard closes its sockets within their linger. A last message can be sent here, and a socket
     * closed with another linger; none can be opened any more. */
    void (*on_stopping)(struct mcq_shard *shard, void *arg);
    /* A typed post (mcq_post_bytes) of shard `from`; in order per sending shard and lane. data:
     * borrowed until return, aligned to 8. */
    void (*on_post)(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                    const void *data, size_t len);
    /* A post to shard `to` got MCQ_EAGAIN, and half of its ring is free again. */
    void (*on_post_room)(struct mcq_shard *shard, void *arg, uint32_t to);
    /* What threads attach to (monocoque/port.h); borrowed until mcq_run returns; may be NULL. */
    const struct mcq_port_handlers *ports;
};

/* mcq_run starts the shards, runs until mcq_stop, a signal, or until no socket, timer, port and
 * post is left on any shard, and gives everything back. detail may be NULL: the log has its text.
 * Thread: any, typically main's; blocks. Returns MCQ_OK after an orderly end; errors with what to
 * change in detail:
 *   MCQ_EINVAL, MCQ_ENOTSUP             an option
 *   MCQ_EKERNEL, MCQ_EACCESS            the kernel is too old, or the host forbids io_uring
 *   MCQ_ENOMEM, MCQ_ELIMIT, MCQ_EOS     memory, file descriptors or threads are not to be had
 *   MCQ_ESTATE                          start refused; or all went well, but messages that were
 *                                       kept (mcq_msg_keep, mcq_msg_from_memory) were never dropped
 * Kernel: 6.1 or newer. */
MCQ_API enum mcq_error mcq_run(const struct mcq_opts *opts, const struct mcq_app *app, void *arg,
                               struct mcq_detail *detail);

#ifdef __cplusplus
}
#endif
#endif
