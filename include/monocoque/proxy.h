/* Proxy: two sockets of one shard joined, so that what comes to one goes out of the other, both
 * ways; a third may be given a copy of everything. Subscriptions travel from back to front.
 *
 *      clients --> front ====> back --> workers          front  back
 *                        |                               XSUB   XPUB    forwarder
 *                        v capture                       ROUTER DEALER  queue
 *                                                        PULL   PUSH    streamer
 *                                                        PAIR   PAIR    wire
 *
 * Nothing is lost in between: a side that is full pauses the peers of the other one until it is
 * writable, so the high-water marks of the far ends count. Only the capture socket drops what it
 * has no room for (counted). XPUB drops at slow subscribers, as its option `slow` has it; and one
 * client of a ROUTER that takes no replies holds up those of others, unless the front's `slow` says
 * drop-new or disconnect.
 *
 * Life: open -> bind and connect its sockets -> close -> `closed`. Thread: the owning shard's.
 */
#ifndef MONOCOQUE_PROXY_H
#define MONOCOQUE_PROXY_H

#include <monocoque/base.h>
#include <monocoque/error.h>
#include <monocoque/event.h>
#include <monocoque/sock.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mcq_proxy;

struct mcq_proxy_opts {
    size_t size;                    /* sizeof(struct mcq_proxy_opts), set by MCQ_PROXY_OPTS_INIT */
    enum mcq_sock_type front, back; /* a pair of the table above */
    enum mcq_sock_type capture;     /* PUB, PUSH, DEALER or PAIR; 0: none */
    const struct mcq_sock_opts *front_opts, *back_opts, *capture_opts; /* borrow until open returns;
                                                                           NULL: the defaults */
    /* Events of the sockets; may be NULL. */
    void (*event)(void *ctx, struct mcq_proxy *proxy, struct mcq_sock *sock,
                  const struct mcq_event *event);
    /* The last call: the sockets are closed, proxy is invalid after return. May be NULL. */
    void (*closed)(void *ctx, struct mcq_proxy *proxy);
    void *ctx;
};
#ifdef __cplusplus
static inline struct mcq_proxy_opts mcq_proxy_opts_init(void)
{
    struct mcq_proxy_opts opts = {};
    opts.size = sizeof opts;
    return opts;
}
#define MCQ_PROXY_OPTS_INIT mcq_proxy_opts_init()
#else
#define MCQ_PROXY_OPTS_INIT                   \
    {                                         \
        .size = sizeof(struct mcq_proxy_opts) \
    }
#endif

struct mcq_proxy_way {
    uint64_t msgs, bytes; /* passed on; bytes of all frames, a ROUTER's identities included */
    uint64_t dropped;     /* could not be passed on: too big, nobody to address */
    uint64_t pauses;      /* peers paused because the other side was full */
};

struct mcq_proxy_stats {
    struct mcq_proxy_way to_back, to_front;
    uint64_t captured, capture_dropped; /* messages */
    uint64_t subscriptions;             /* passed from back to front, ends included */
    bool paused;
};

/* mcq_proxy_open opens the sockets and *gives* the proxy. opts: borrowed until it returns, handlers
 * until `closed`. Errors: MCQ_EINVAL (no such pair), MCQ_ELIMIT, and those of mcq_sock_open. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_proxy_open(struct mcq_shard *shard,
                                                   const struct mcq_proxy_opts *opts,
                                                   struct mcq_proxy **proxy,
                                                   struct mcq_detail *detail);
/* Its sockets, borrowed until `closed`: for bind, connect and the calls about peers; not to be
 * closed, sent to or given another user pointer. capture: NULL if there is none. */
MCQ_API struct mcq_sock *mcq_proxy_front(const struct mcq_proxy *proxy);
MCQ_API struct mcq_sock *mcq_proxy_back(const struct mcq_proxy *proxy);
MCQ_API struct mcq_sock *mcq_proxy_capture(const struct mcq_proxy *proxy);

/* Paused, nothing is passed on, and the peers are pushed back; subscriptions still travel. */
MCQ_API void mcq_proxy_pause(struct mcq_proxy *proxy);
MCQ_API void mcq_proxy_resume(struct mcq_proxy *proxy);
MCQ_API void mcq_proxy_stats(const struct mcq_proxy *proxy, struct mcq_proxy_stats *stats);
/* *Takes* proxy: its sockets close within their linger. A second call is ignored. */
MCQ_API void mcq_proxy_close(struct mcq_proxy *proxy);

#ifdef __cplusplus
}
#endif
#endif
