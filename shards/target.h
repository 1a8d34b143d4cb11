/* Target: the connect side of a link: where to, the tries, and how long to wait between them.
 *
 *      WAITING --> RESOLVING --> CONNECTING --> (the link's session) --> WAITING ...
 *          ^____________|______________|  tried again after a backoff
 *
 * Owned by its link, from the pool of connects; ends with it, or, if the resolver's answer is on
 * its way then, with that answer. Thread: the shard's.
 */
#ifndef MCQ_SHARDS_TARGET_H
#define MCQ_SHARDS_TARGET_H

#include "shards/endpoint.h"
#include "shards/resolver.h"

struct mcq_link;
struct mcq_sock;

struct mcq_target {
    char text[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_endpoint ep;
    struct mcq_query query;
    struct mcq_link *link; /* whose it is */
    bool orphan;           /* the link is gone, but the resolver's answer waits in the mailbox */
    uint32_t failures;     /* in a row, for the backoff */
    uint64_t retry_at_ns;
    uint64_t deadline_ns; /* of the try that is under way */
};

/* A connect-side link; starts in the next turn. Errors: MCQ_ELIMIT. */
MCQ_MUST_USE enum mcq_error mcq_target_open(struct mcq_sock *sock, const char *text,
                                            const struct mcq_endpoint *ep,
                                            struct mcq_detail *detail);
/* The link is going. false: it must stay until the resolver's answer has freed it. */
MCQ_MUST_USE bool mcq_target_leave(struct mcq_link *link);
/* It is time: looks the name up or connects. */
void mcq_target_try(struct mcq_link *link);
/* The try has failed: tells why; CLOSED of the connection follows. */
void mcq_target_failed(struct mcq_link *link, int os_errno);
/* Waits for the next try. */
void mcq_target_retry(struct mcq_link *link);

#endif
