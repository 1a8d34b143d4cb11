/* Proxy: what a struct mcq_proxy is inside (the public contract: monocoque/proxy.h).
 *
 *      a message of the front --> send on the back: taken    --> counted, a copy to capture
 *                                                   full     --> its peer waits in `held`
 *      `writable` of the back --> those in `held` go on, a few a turn
 *
 * and the same from back to front. Who waits longest goes on first; one that has got nothing
 * through keeps its place. ROUTER delivers without identity: it is put in front of what goes to the
 * DEALER, and taken off what comes from there, to find the peer.
 *
 * On the public socket API but for the place in line, which is a node of the peer's link, and a
 * look at the back's options.
 *
 * Thread: the shard's. Memory: a pool of the shard's; held peers cost nothing.
 */
#ifndef MCQ_SHARDS_PROXY_H
#define MCQ_SHARDS_PROXY_H

#include <monocoque/proxy.h>

#include "mem/list.h"

#define MCQ_PROXY_RESUMES_MAX 16u /* peers of a side that go on in one turn */

struct mcq_proxy_side {
    struct mcq_proxy *proxy;
    struct mcq_proxy_side *other;
    struct mcq_sock *sock;    /* NULL: not open, or closed */
    bool full;                /* a send here found no room, and `writable` hasn't come yet */
    struct mcq_list held;     /* links whose peers wait, by proxy_node */
    struct mcq_proxy_way way; /* from here to the other side */
};

struct mcq_proxy {
    struct mcq_shard *shard;
    struct mcq_proxy_opts opts; /* its pointers to options are NULL */
    struct mcq_proxy_side front, back;
    struct mcq_sock *capture;
    struct mcq_timer *timer; /* the next turn, for those who wait */
    uint64_t captured, capture_dropped, subscriptions;
    bool opened; /* the user has it */
    bool paused, closing;
};

#endif
