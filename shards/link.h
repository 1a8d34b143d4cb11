/* Link: one configured connect, or one accepted connection: pipe, session, and on the connect side
 * the target (shards/target) with its tries.
 *
 *   connect:  WAITING -> RESOLVING -> CONNECTING -> SESSION -> WAITING (backoff) ... -> removed
 *   accepted:                                       SESSION -> removed
 *   handed over (shards/handoff):                   SESSION <-> AWAY -> removed
 *
 * What becomes of it is told in this order, each once (event.h): a try or an accepted peer, its end
 * or UP, what its pipe did, DISCONNECTED, RETRY or UNCONNECTED. Slowness and drops wait in one slot
 * per kind until the turn's point for them, or until the peer goes.
 *
 * `closing` is orthogonal: what is queued is still sent until the linger deadline, then the link
 * is removed. All its deadlines share one lazy timer (mcq_link_tick).
 */
#ifndef MCQ_SHARDS_LINK_H
#define MCQ_SHARDS_LINK_H

#include "patterns/pipe.h"
#include "runtime/op.h"
#include "runtime/timer.h"
#include "shards/bridge.h"
#include "shards/inproc.h"
#include "shards/session.h"
#include "shards/target.h"

struct mcq_sock;

enum mcq_link_state {
    MCQ_LINK_WAITING = 0,
    MCQ_LINK_RESOLVING,
    MCQ_LINK_CONNECTING,
    MCQ_LINK_SESSION,
    MCQ_LINK_AWAY /* the connection is on another shard */
};

/* Reasons for which messages are dropped one by one while a socket is at work. */
enum mcq_drop {
    MCQ_DROP_HWM = 0,
    MCQ_DROP_NO_PEER,
    MCQ_DROP_PATTERN,
    MCQ_DROP_CONFLATED,
    MCQ_DROP_SLOW,
    MCQ_DROP_CNT
};

/* Dropped messages nobody was told of yet. */
struct mcq_drops {
    uint64_t cnt[MCQ_DROP_CNT];
};

/* What became of the pipe's slowness, and nobody was told of yet: bits of slow_due. */
#define MCQ_LINK_SLOW     1u
#define MCQ_LINK_SLOW_END 2u

struct mcq_link {
    struct mcq_pipe pipe;
    struct mcq_session session;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_target *target; /* NULL: accepted */
    struct mcq_inproc_side inproc;
    struct mcq_channel *channel; /* to another member of the logical socket; NULL: to a peer */
    struct mcq_bridge *bridge;   /* to another shard, instead of a connection; NULL: none */
    enum mcq_link_state state;
    bool attached;    /* the pattern knows it as up */
    bool addressable; /* ... and messages may be sent to it by its name */
    bool closing;
    bool added;               /* ... and as a pipe at all */
    bool refused;             /* by the pattern */
    bool hungry;              /* found no block although nothing of it is queued */
    bool slow_now, slow_told; /* what its pipe is, and what was told of that last */
    uint8_t slow_due;
    enum mcq_reason close_reason;
    enum mcq_reason late_reason; /* the same if something is left at the linger deadline */
    struct mcq_drops drops;
    uint64_t slow_msgs; /* that waited when it became slow */
    uint64_t linger_deadline_ns;
    struct mcq_timer_node timer;
    struct mcq_node sock_node;
    struct mcq_node due_node;   /* has slowness or drops to be told */
    struct mcq_node proxy_node; /* in the line of a proxy's held peers */
    struct mcq_node alias_node; /* its name's home is another shard */
    struct mcq_list feeders;    /* ends of bridges of other shards that send to its peer, too */
    bool remote;                /* its peer is on another shard, shards/remote_peer.h */
    bool ends_peer;             /* ... and ends with it */
    /* shards/handoff */
    struct mcq_move *move;         /* NULL: it doesn't leave */
    struct mcq_crossing *crossing; /* NULL: its pattern needs none, or it is over */
    bool held;                     /* is on its way, or has just come: nothing happens to it */
    uint32_t owner;                /* AWAY: which shard has the connection */
    uint32_t hold_from;            /* a remote one's: who waits until its bridge holds, */
    uint32_t hold_serial;          /* ... for which move; 0: nobody */
    uint32_t hold_gen;             /* ... and the newest that was announced to it */
    uint32_t at_gen;               /* ... and the one that its bridge's other end has come by */
    uint32_t gen;                  /* moves of its peer so far */
    struct mcq_pipe_queue arrived; /* what came along, until it may go on */
    struct mcq_buf *topics;        /* SUB: told by the member it came from; NULL: nothing */
    size_t topics_pos;
    uint8_t news; /* enum mcq_move_word to be told to all */
    uint32_t news_next;
    struct mcq_peer news_peer;
    struct mcq_node news_node;
    struct mcq_claim *claim;    /* to its peer's identity, shards/claim.h; NULL: none */
    uint64_t claim_deadline_ns; /* of its grant */
    bool nameless;              /* its peer announced no identity: one is made up */
};

/* A link of the socket's, without connection; NULL: the pool is empty, counted. */
struct mcq_link *mcq_link_create(struct mcq_sock *sock);
/* Gives it back, with its target. It is in no list any more. */
void mcq_link_free(struct mcq_link *link);
/* An accepted fd (taken). Counts and closes it if a limit is reached. */
void mcq_link_accept(struct mcq_sock *sock, int fd);
/* The loop's event about its connection. */
void mcq_link_event(struct mcq_link *link, const struct mcq_io_event *ev);
/* The handshake is done: the pattern may refuse. false: the session has been ended. true: up, or
 * its identity is claimed first (session.refused: nothing is delivered meanwhile). */
bool mcq_link_up(struct mcq_link *link);
/* The same, and it stays on this shard. */
bool mcq_link_up_here(struct mcq_link *link);
/* The name of its peer was given here, to this slot. */
bool mcq_link_is_home(const struct mcq_link *link);
/* One that has no connection ends, and with it its name on this shard. */
void mcq_link_vanish(struct mcq_link *link);
/* The same once the claim is granted, under the name it was made with. */
bool mcq_link_granted(struct mcq_link *link, struct mcq_peer name);
/* A new name for its next peer: no name is used twice. */
struct mcq_peer mcq_link_name(struct mcq_link *link);
/* The session has begun to end: the pattern takes no more notice of it. */
void mcq_link_detach(struct mcq_link *link);
/* Sends what is queued within linger_ns, then removes the link. A pattern that chooses whom to send
 * to doesn't choose it any more. */
void mcq_link_close(struct mcq_link *link, enum mcq_reason reason, uint64_t linger_ns);
/* Ends its connection soon, and with MCQ_REASON_KILLED; nobody can send to it any more. */
void mcq_link_kill(struct mcq_link *link);
/* Looks at its deadlines again, at once. */
void mcq_link_touch(struct mcq_link *link);
/* A block was missing, and nothing is in flight that would tell of room: tries again soon. */
void mcq_link_hungry(struct mcq_link *link);
/* A starved pipe has room again: tells its pattern, and senders on other shards. */
void mcq_link_room(struct mcq_link *link);
/* The queue has drained: a closing link goes on. */
void mcq_link_drained(struct mcq_link *link);
/* Tells the event handler, with the far end's endpoint. */
void mcq_link_tell(struct mcq_link *link, struct mcq_event *ev);
/* Endpoint of the far end. text: scratch; returns text or the target's own. */
const char *mcq_link_endpoint(const struct mcq_link *link, char text[MCQ_ENDPOINT_LEN_MAX]);

/* The link a peer name means now, NULL if stale or of another socket. */
struct mcq_link *mcq_link_of_peer(const struct mcq_sock *sock, struct mcq_peer peer);
/* The peer's connection is another shard's, as far as this one knows. link: of_peer's answer. Of a
 * socket that claims identities the directory knows better. */
bool mcq_link_is_elsewhere(const struct mcq_sock *sock, struct mcq_peer peer,
                           const struct mcq_link *link);

static inline struct mcq_link *mcq_link_of_pipe(struct mcq_pipe *p)
{
    return MCQ_CONTAINER_OF(p, struct mcq_link, pipe);
}

#endif
