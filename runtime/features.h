/* Features: which newer parts of io_uring the loop uses. Each was probed by its behaviour
 * (runtime/uring_probe.h), each has a fallback, and a mask may take any away.
 *
 *      name          kernel  fallback
 *      inc           6.12    incremental receive blocks: a block per receive
 *      mshot-limit   6.17    multishot receives limited to the credit: single receives, armed again
 *      mshot-accept  5.19    multishot accept: single accepts, armed again
 *      ring-fd       5.18    registered ring descriptor: the plain one
 *      msgring       5.18    a wake from ring to ring: by eventfd
 *      hot           -       a spinning loop asks its busiest connections itself: all wait
 *
 * The receive ring itself can't be masked: there is nothing else to receive small messages with.
 */
#ifndef MCQ_RUNTIME_FEATURES_H
#define MCQ_RUNTIME_FEATURES_H

#include "mem/base.h"

struct mcq_features {
    bool inc;
    bool mshot_limit;
    bool mshot_accept;
    bool ring_fd;
    bool hot; /* ours, maskable to compare */
    bool msgring;
    bool sqpoll, napi; /* modes, not what a mask names */
};

/* What is there before probing: everything. */
struct mcq_features mcq_features_all(void);
/* Takes away what text names: "-inc,-mshot-limit", or "6.1" for all that is newer than that
 * kernel; NULL and "" take nothing. Names this version makes no use of are known too ("-msgring").
 * Errors: MCQ_EINVAL with the names in detail; *f is then unchanged. */
MCQ_MUST_USE enum mcq_error mcq_features_mask(struct mcq_features *f, const char *text,
                                              struct mcq_detail *detail);

#define MCQ_FEATURES_TEXT_LEN 96u

/* One line for a person, NUL-terminated: "defer, ring-fd, mshot-accept, ...". */
void mcq_features_text(const struct mcq_features *f, char text[MCQ_FEATURES_TEXT_LEN]);

#endif
