/* Monocoque: names every public header shares.
 *
 * Words: an *app* is the process; a *shard* is one core's thread with its ring, arena and
 * connections; a *socket* is a pattern endpoint on one shard; a *peer* is the far end of one
 * connection. Everything but mcq_post() and mcq_stop() belongs to the thread of its shard.
 *
 * Ownership words, one on every pointer: *borrows* (valid until the call returns), *takes*
 * (yours no longer), *gives* (now yours, to be dropped by you).
 */
#ifndef MONOCOQUE_BASE_H
#define MONOCOQUE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MCQ_VERSION_MAJOR 0
#define MCQ_VERSION_MINOR 1
#define MCQ_VERSION_PATCH 0

#define MCQ_API         __attribute__((visibility("default")))
#define MCQ_MUST_USE    __attribute__((warn_unused_result))
#define MCQ_LIKELY(x)   __builtin_expect(!!(x), 1)
#define MCQ_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Option values: zero always means "the default"; these two are explicit. */
#define MCQ_NONE      UINT32_MAX       /* off: no limit in time, no wait */
#define MCQ_UNLIMITED (UINT32_MAX - 1) /* no limit in number or bytes */

#ifdef __cplusplus
extern "C" {
#endif

struct mcq_shard;
struct mcq_sock;
struct mcq_timer;

/* A peer's name: valid process-wide, by value, for as long as anyone keeps it. A name whose
 * connection has ended is recognised as stale (MCQ_ESTALE); it never reaches another peer.
 * Zero names nobody. */
struct mcq_peer {
    uint64_t bits;
};

static inline bool mcq_peer_equal(struct mcq_peer a, struct mcq_peer b)
{
    return a.bits == b.bits;
}

/* mcq_version returns MAJOR << 16 | MINOR << 8 | PATCH of the library in use.
 * Thread: any. Cost: a constant. */
MCQ_API uint32_t mcq_version(void);

#ifdef __cplusplus
}
#endif
#endif
