/* Link: one configured connect, or one accepted connection: pipe, session, and on the connect side
 * the target and its retries.
 *
 *   connect:  WAITING -> RESOLVING -> CONNECTING -> SESSION -> WAITING (backoff) ... -> removed
 *   accepted:                                       SESSION -> removed
 *
 * `closing` is orthogonal: what is queued is still sent until the linger deadline, then the link
 * is removed. All its deadlines share one lazy timer (link_tick).
 */
#ifndef MCQ_SHARDS_LINK_H
#define MCQ_SHARDS_LINK_H

#include "patterns/pipe.h"
#include "runtime/op.h"
#include "runtime/timer.h"
#include "shards/endpoint.h"
#include "shards/resolver.h"
#include "shards/session.h"

struct mcq_sock;

enum mcq_link_state {
    MCQ_LINK_WAITING = 0,
    MCQ_LINK_RESOLVING,
    MCQ_LINK_CONNECTING,
    MCQ_LINK_SESSION
};

/* Connect side only. */
struct mcq_target {
    char text[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_endpoint ep;
    struct mcq_query query;
    struct mcq_link *link; /* whose it is */
    uint32_t failures;     /* in a row, for the backoff */
    uint64_t retry_at_ns;
};

/* Dropped messages nobody was told of yet, for the reasons HWM, NO_PEER and PATTERN. */
struct mcq_drops {
    uint64_t cnt[MCQ_REASON_PATTERN - MCQ_REASON_HWM + 1];
};

struct mcq_link {
    struct mcq_pipe pipe;
    struct mcq_session session;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_target *target; /* NULL: accepted */
    enum mcq_link_state state;
    bool attached; /* the pattern knows it as up */
    bool closing;
    bool orphan;  /* removed, but the resolver's answer waits in the mailbox: freed by it */
    bool added;   /* ... and as a pipe at all */
    bool refused; /* by the pattern */
    bool hungry;  /* found no block although nothing of it is queued */
    enum mcq_reason close_reason;
    struct mcq_drops drops;
    uint64_t connect_deadline_ns;
    uint64_t linger_deadline_ns;
    struct mcq_timer_node timer;
    struct mcq_node sock_node;
    struct mcq_node drop_node;
};

/* A connect-side link; starts in the next turn. Errors: MCQ_ELIMIT. */
MCQ_MUST_USE enum mcq_error mcq_link_connect(struct mcq_sock *sock, const char *text,
                                             const struct mcq_endpoint *ep,
                                             struct mcq_detail *detail);
/* An accepted fd (taken). Counts and closes it if a limit is reached. */
void mcq_link_accept(struct mcq_sock *sock, int fd);
/* The loop's event about its connection. */
void mcq_link_event(struct mcq_link *link, const struct mcq_io_event *ev);
/* The handshake is done: the pattern may refuse. false: the session has been ended. */
bool mcq_link_up(struct mcq_link *link);
/* The session has begun to end: the pattern takes no more notice of it. */
void mcq_link_detach(struct mcq_link *link);
/* Sends what is queued within linger_ns, then removes the link. */
void mcq_link_close(struct mcq_link *link, enum mcq_reason reason, uint64_t linger_ns);
/* Looks at its deadlines again, at once. */
void mcq_link_touch(struct mcq_link *link);
/* A block was missing, and nothing is in flight that would tell of room: tries again soon. */
void mcq_link_hungry(struct mcq_link *link);
/* The queue has drained: a closing link goes on. */
void mcq_link_drained(struct mcq_link *link);
/* Endpoint of the far end. text: scratch; returns text or the target's own. */
const char *mcq_link_endpoint(const struct mcq_link *link, char text[MCQ_ENDPOINT_LEN_MAX]);

/* The link a peer name means now, NULL if stale or of another socket. */
struct mcq_link *mcq_link_of_peer(const struct mcq_sock *sock, struct mcq_peer peer);

static inline struct mcq_link *mcq_link_of_pipe(struct mcq_pipe *p)
{
    return MCQ_CONTAINER_OF(p, struct mcq_link, pipe);
}

#endif
