/* Target: the connect side of a link: where to, the tries, and how long to wait between them.
 *
 *      WAITING --> RESOLVING --> CONNECTING --> (the link's session) --> WAITING ...
 *          ^____________|______________|__________________|  tried again after a backoff
 *
 * Every try begins with CONNECTING and ends with one of CONNECTED and HANDSHAKE_FAILED, whoever
 * fails: the resolver, the system at once, the far end, the deadline, or we who change our mind.
 *
 * The backoff doubles from reconnect_min_ms to reconnect_max_ms with every end that comes before a
 * connection was up for MCQ_TARGET_STABLE_NS: neither a transport without a handshake nor a peer
 * that dies right after it makes us come back faster. A peer that says it won't have us (ERROR, or
 * types that may not meet) is asked again at the slowest pace.
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

#define MCQ_TARGET_STABLE_NS 1000000000u

struct mcq_target {
    char text[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_endpoint ep;
    struct mcq_query query;
    struct mcq_link *link; /* whose it is */
    bool orphan;           /* the link is gone, but the resolver's answer waits in the mailbox */
    bool refused;          /* the last try: nobody listens there */
    uint32_t failures;     /* in a row, for the backoff */
    uint64_t retry_at_ns;
    uint64_t deadline_ns; /* of the try that is under way */
    uint64_t up_at_ns;    /* since when the connection is up, 0: it isn't */
};

/* A connect-side link; starts in the next turn. Errors: MCQ_ELIMIT. */
MCQ_MUST_USE enum mcq_error mcq_target_open(struct mcq_sock *sock, const char *text,
                                            const struct mcq_endpoint *ep,
                                            struct mcq_detail *detail);
/* The link is going. false: it must stay until the resolver's answer has freed it. */
MCQ_MUST_USE bool mcq_target_leave(struct mcq_link *link);
/* It is time: looks the name up or connects. */
void mcq_target_try(struct mcq_link *link);
/* The try has failed, or is taken back: its connection ends. The first reason stays. */
void mcq_target_fail(struct mcq_link *link, enum mcq_reason reason, int os_errno);
/* The connection of a failed try is closed: tells why. */
void mcq_target_failed(struct mcq_link *link);
/* The handshake is done. */
void mcq_target_up(struct mcq_link *link);
/* The option says to stop here. */
bool mcq_target_stops(const struct mcq_link *link);
/* Waits for the next try. */
void mcq_target_retry(struct mcq_link *link);

#endif
