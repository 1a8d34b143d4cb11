/* Errors: one closed enum, zero is success, failures are negative, and no value is ever both a
 * count and an error.
 *
 * Four kinds, four channels: our own bug is an assertion; "full, not now" is MCQ_EAGAIN followed
 * by a later `writable` callback; a peer that misbehaves is an event that ends that one
 * connection; a host that refuses something is an error with a struct mcq_detail whose text says
 * what to change.
 */
#ifndef MONOCOQUE_ERROR_H
#define MONOCOQUE_ERROR_H

#include <monocoque/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mcq_error {
    MCQ_OK = 0,
    MCQ_EAGAIN = -1,      /* a queue is full, or nobody is there yet: wait for `writable` */
    MCQ_EINVAL = -2,      /* an argument is out of its range */
    MCQ_ENOTSUP = -3,     /* this socket type or version doesn't do that */
    MCQ_ESTATE = -4,      /* not in this state (REQ sends twice, socket is closing) */
    MCQ_ESTALE = -5,      /* the peer's connection has ended */
    MCQ_ENOENT = -6,      /* no such endpoint, identity or subscription */
    MCQ_ELIMIT = -7,      /* a named limit or pool is used up */
    MCQ_ETHREAD = -8,     /* called from a thread that is not this shard's */
    MCQ_EADDR = -9,       /* the endpoint's text doesn't parse or resolve */
    MCQ_EADDRINUSE = -10, /* somebody listens there already */
    MCQ_EACCESS = -11,    /* the host forbids it: detail says which privilege or sysctl */
    MCQ_ENOMEM = -12,     /* memory or RLIMIT_MEMLOCK: detail has the ulimit line */
    MCQ_EKERNEL = -13, /* io_uring is missing, forbidden or too old: detail says what to change */
    MCQ_EOS = -14,     /* another error of the system: detail has errno */
    MCQ_ETOOBIG = -15  /* message larger than its limit or than all credit */
};

#define MCQ_DETAIL_TEXT_LEN 240

/* What went wrong, for a person. Filled only on failure; pass NULL if not wanted. */
struct mcq_detail {
    enum mcq_error code;
    int os_errno;                   /* 0 if the system had no part in it */
    char text[MCQ_DETAIL_TEXT_LEN]; /* what happened and what to do about it, NUL-terminated */
};

/* mcq_error_name returns the constant's name ("MCQ_EAGAIN"). Thread: any. Never NULL. */
MCQ_API const char *mcq_error_name(enum mcq_error code);

#ifdef __cplusplus
}
#endif
#endif
