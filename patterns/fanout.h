/* Fan-out: which peers want this message, and giving it to each of them once.
 *
 *      topic "EUR" --> [near: up to 3 pipes] [far: list]      struct mcq_topic, in the prefix table
 *                            |                  |
 *                           sub                sub             struct mcq_sub: (subscriber, topic)
 *  subscriber.subs ----------+------------------+              what a connection's end takes back
 *
 * Publishing walks the matching topics and their pipes; the pipe remembers the number of the
 * message it was given last, so several matches deliver once.
 *
 * A subscriber is one connection of a peer, with its subscriptions. When the connection ends it
 * loses its pipe at once, in O(1): nothing is given to it any more. Its subscriptions stay where
 * they are until the sweep has taken them out, MCQ_FANOUT_SWEEP_MAX per turn. Whoever comes next
 * on that pipe is another subscriber: it inherits nothing, and the sweep takes nothing of its.
 *
 *      none --first subscription--> live --connection ends--> gone --swept--> none
 *
 * On the wire a subscription is there or not: counting them is the subscriber's own affair, and
 * libzmq's SUB forwards every SUBSCRIBE but only the last CANCEL. A repeated one is counted in the
 * stats alone.
 *
 * Whom the user is told of: PUB, each peer's; XPUB, the first and the last of all on a topic,
 * verbose ones every beginning, verboser ones every end as well, manual ones all that the peer says
 * and the ends of what it had asked for. Subscriptions not yet swept count: who takes over a topic
 * from a peer that has gone is neither told as new nor is the topic's end.
 *
 * Manual: what a peer asks for and what it gets are two bits of one subscription; it is there as
 * long as either is set, and counts against the peer's limits.
 *
 * Limits: subscriptions and their bytes per peer and per socket (options), the shard's pools.
 * Thread: the shard's. Pipes are borrowed until forget. Cost: publish O(matches + their pipes);
 * a change O(1); forget O(1), and the sweep O(the peer's subscriptions).
 */
#ifndef MCQ_PATTERNS_FANOUT_H
#define MCQ_PATTERNS_FANOUT_H

#include "mem/pool.h"
#include "patterns/pipe.h"
#include "patterns/prefix.h"

#define MCQ_FANOUT_NEAR_MAX  3u   /* pipes named in the topic itself */
#define MCQ_FANOUT_SWEEP_MAX 256u /* subscriptions of peers that went taken back per turn */

struct mcq_subscriber {
    struct mcq_pipe *pipe; /* NULL: gone */
    struct mcq_peer peer;  /* its name, also then */
    struct mcq_list subs;  /* of struct mcq_sub, oldest first */
    uint32_t cnt;
    uint64_t bytes; /* of their topics */
    struct mcq_node gone_node;
    bool member;  /* another member of the logical socket */
    bool flooded; /* ... that gets everything, wanted or not */
};

struct mcq_topic {
    struct mcq_prefix prefix;
    uint32_t sub_cnt;    /* subscriptions to it, asked for or real */
    uint32_t member_cnt; /* ... of them other members' */
    bool told;           /* to the user, as wanted */
    uint32_t hold_cnt;   /* callers that need it beyond its last one */
    uint32_t near_cnt;
    struct mcq_pipe *near_pipes[MCQ_FANOUT_NEAR_MAX];
    struct mcq_sub *near_subs[MCQ_FANOUT_NEAR_MAX];
    struct mcq_list far; /* of struct mcq_sub, those that found near full */
};

struct mcq_sub {
    struct mcq_pipe *pipe;
    struct mcq_subscriber *who;
    struct mcq_topic *topic;
    struct mcq_node topic_node; /* in mcq_topic.far, if it is there */
    struct mcq_node who_node;   /* in mcq_subscriber.subs */
    uint32_t next;              /* in its bucket: position in the pool and 1, 0: the last */
    uint8_t near_idx;           /* < MCQ_FANOUT_NEAR_MAX: its place in near */
    bool asked;                 /* by the peer */
    bool real;                  /* in near or far: it gets what matches */
    uint64_t unknown;           /* of up->unknown: not real and not told yet; 0: known */
    struct mcq_node unknown_node;
};

/* What all PUB and XPUB sockets of a shard share. */
struct mcq_fanout_pools {
    struct mcq_pool topics, subs, subscribers;
    uint32_t *buckets;   /* by topic and subscriber, as mcq_sub.next */
    uint32_t bucket_cnt; /* power of two >= 2 * subs_max */
};

/* As many subscribers may be gone and not yet swept as there are connections. */
size_t mcq_fanout_pools_footprint(uint32_t subs_max, uint32_t connections_max);
/* Carves. false: the arena is too small. */
MCQ_MUST_USE bool mcq_fanout_pools_init(struct mcq_fanout_pools *pools, struct mcq_arena *arena,
                                        uint32_t subs_max, uint32_t connections_max);

struct mcq_fanout {
    struct mcq_prefix_set topics; /* of struct mcq_topic */
    struct mcq_list gone;         /* of struct mcq_subscriber, to be swept */
    struct mcq_list unknown;      /* of struct mcq_sub, oldest first */
    uint32_t subs_cnt;            /* of all peers, gone ones not yet swept included */
    uint64_t subs_bytes;
    uint64_t seq; /* number of the pass over subscribers begun last */
    bool plain;   /* neither block nor invert_matching: one pass gives */
    bool busy;    /* a message is being given */
    bool refused; /* another one, or a subscription, came meanwhile */
};

/* Slots of PUB and XPUB. close: nothing is left to sweep. */
void mcq_fanout_open(struct mcq_psock *s);
void mcq_fanout_close(struct mcq_psock *s);
enum mcq_reason mcq_fanout_attach(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_fanout_detach(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_fanout_remove(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_fanout_retire(struct mcq_psock *s, struct mcq_pipe *p);
bool mcq_fanout_sweep(struct mcq_psock *s);

/* p gets what giver, a pipe of another shard that keeps still, is subscribed to, and the welcome if
 * giver's peer hasn't been. */
bool mcq_fanout_inherit(struct mcq_psock *s, struct mcq_pipe *p, const struct mcq_pipe *giver);

bool mcq_fanout_tied(const struct mcq_psock *s, const struct mcq_pipe *p);

/* Nothing that is published, or comes from another member, is given to p until it is given again.
 * Not while a message is. */
void mcq_fanout_mute(struct mcq_pipe *p, bool on);

/* The peer subscribes or cancels; ignored of one that is leaving. Returns MCQ_REASON_LIMIT if p
 * asks for more than it or the shard may have: nothing changed. A cancel of what isn't there
 * changes nothing, and is told by a manual XPUB alone. */
enum mcq_reason mcq_fanout_change(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                  struct mcq_slice topic);
/* The user does, on its behalf. Errors: MCQ_ENOTSUP (not manual), MCQ_ELIMIT; MCQ_ENOENT if there
 * is nothing to end; MCQ_ESTALE (p is leaving); MCQ_EAGAIN as mcq_fanout_send has it, from within a
 * free callback. */
MCQ_MUST_USE enum mcq_error mcq_fanout_change_for(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                                  struct mcq_slice topic);

/* --- members of a logical socket: each other member is a subscriber to what its own peers want.
 * The user hears nothing of it, the limits of peers don't apply, and a member is never given what
 * came from another. */

/* false: no room. p->member is set. */
MCQ_MUST_USE bool mcq_fanout_member_open(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_fanout_member_close(struct mcq_psock *s, struct mcq_pipe *p);
/* The member wants the topic, or no longer. false: no room for it, or there was none when it came.
 */
MCQ_MUST_USE bool mcq_fanout_member_change(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                           struct mcq_slice topic);
/* It gets everything, whatever it wants; it filters itself. */
void mcq_fanout_member_flood(struct mcq_psock *s, struct mcq_pipe *p, bool on);
/* Messages of another member, for this one's own peers. Returns how many were taken; fewer (block):
 * `writable` follows. */
size_t mcq_fanout_relay(struct mcq_psock *s, struct mcq_msg *msgs, size_t n);
/* Every other member knows what was wanted up to there: those subscriptions are real now, told, and
 * their peers welcomed. */
void mcq_fanout_known(struct mcq_psock *s, uint64_t up_to);

/* Gives m to every pipe that wants it. Errors: MCQ_ETOOBIG (block), MCQ_EAGAIN (block; or from
 * within the free callback of a message that this socket drops while it publishes another:
 * `writable` follows). */
MCQ_MUST_USE enum mcq_error mcq_fanout_send(struct mcq_psock *s, struct mcq_pipe *to,
                                            const struct mcq_msg *m);

#endif
