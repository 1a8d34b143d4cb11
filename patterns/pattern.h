/* The pattern contract: what a socket type decides (which peer gets a message, what is delivered),
 * and what the shard offers it. A pattern is one file of static functions and one const table; it
 * sees peers as pipes, and knows no frame bytes and no file descriptor.
 *
 * Life of a pipe as the pattern sees it:
 *      add (connect side: queues from now on) -> attach (handshake done) <-> detach (connection
 *      ended) -> remove.   Accepted peers: add, attach ... detach, remove in one go each.
 * The contents of a pipe survive detach; whoever removes it counts what was left.
 */
#ifndef MCQ_PATTERNS_PATTERN_H
#define MCQ_PATTERNS_PATTERN_H

#include <monocoque/event.h>
#include <monocoque/sock.h>
#include <monocoque/stats.h>

#include "mem/list.h"
#include "mem/slice.h"
#include "patterns/pipe.h"

#define MCQ_ENVELOPE_LEN_MAX 1024u /* REP: bytes of routing frames kept for the reply */

struct mcq_psock;

/* What the shard offers a socket's pattern; ctx is psock->up_ctx. None of these calls back into
 * the pattern before it returns, except deliver (the user's handler may send). */
struct mcq_psock_up {
    /* Hands n messages of p to the user; returns how many were consumed. The array may be
     * scribbled on. */
    size_t (*deliver)(void *ctx, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n);
    /* The user's `writable` shall run in this turn or the next. */
    void (*writable)(void *ctx);
    /* p has control to be told (see control): flush it in this turn. */
    void (*control)(void *ctx, struct mcq_pipe *p);
    /* Input of p that receive refused shall be offered again, from the next delivery on. false: p
     * is paused by its user, and will be offered when the user resumes it. */
    bool (*resume)(void *ctx, struct mcq_pipe *p);
    /* Ends p's connection, soon after this call; detach follows then. */
    void (*close_pipe)(void *ctx, struct mcq_pipe *p, enum mcq_reason reason);
    /* cnt messages were dropped for reason (p may be NULL): an event per reason, coalesced
     * per turn. */
    void (*dropped)(void *ctx, struct mcq_pipe *p, enum mcq_reason reason, uint64_t cnt);
    /* p became slow, or is no longer: told by an event in this turn, in order, each once. */
    void (*slow)(void *ctx, struct mcq_pipe *p, bool on);
    /* PUB, XPUB: tells the user's `subscription` handler. peer: zero is nobody in particular; its
     * pipe may be gone. */
    void (*subscription)(void *ctx, struct mcq_peer peer, bool added, struct mcq_slice topic);
    /* Members of a logical socket: peers that are up are there now, or there are none any more.
     * NULL: no member. */
    void (*peers)(void *ctx);
    /* Members that publish: the first of this member's own peers wants the topic, or the last one
     * no longer. NULL: no member. */
    void (*wanted)(void *ctx, bool added, struct mcq_slice topic);
    /* ... what every other member has to know before this one's user is told. 0: all do; else
     * passed to mcq_fanout_known once they do. NULL: no member. */
    uint64_t (*unknown)(void *ctx);
    /* There are other members now. NULL: no member. */
    bool (*member)(void *ctx);
    /* pattern->sweep shall be called once a turn until it returns false. */
    void (*sweep)(void *ctx);
    /* The pipe to a peer of that identity on another shard. NULL: *err is why not, MCQ_ENOENT or
     * MCQ_ELIMIT. The slot may be NULL: there are none. */
    struct mcq_pipe *(*find_far)(void *ctx, struct mcq_slice identity, enum mcq_error *err);
    /* REQ: arms (true) or disarms the request timeout. */
    void (*await)(void *ctx, bool on);
};

/* One subscription to be told to a publisher. topic: borrowed until the next subscribe call. */
struct mcq_control {
    bool add;
    struct mcq_slice topic;
    uint64_t seq; /* becomes pipe->control_seq once written */
};

struct mcq_pattern {
    enum mcq_sock_type type;
    uint32_t peer_mask; /* 1 << type of each type it may meet (RFC 28-31) */
    bool forgets;       /* what is queued is for this connection alone, also on a connect's side */
    /* Slots may be NULL only where said. */
    void (*open)(struct mcq_psock *s); /* NULL: nothing to do */
    /* After every pipe was removed: gives back pool objects. NULL: nothing to do. */
    void (*close)(struct mcq_psock *s);
    void (*add)(struct mcq_psock *s, struct mcq_pipe *p);
    /* Gives p an identity that no other peer of the socket has, and each time another one; before
     * attach, which does it else. NULL: peers of this type need none. */
    void (*name)(struct mcq_psock *s, struct mcq_pipe *p);
    /* MCQ_REASON_NONE: welcome, p->up is set; else the peer is refused with that reason (PAIR:
     * LIMIT; ROUTER: IDENTITY), counted, and stays as it was. p->peer and p->identity are set, and
     * nothing is in flight; ROUTER generates an identity if there is none. */
    enum mcq_reason (*attach)(struct mcq_psock *s, struct mcq_pipe *p);
    /* Clears p->up; harmless if p isn't up. remove detaches by itself. */
    void (*detach)(struct mcq_psock *s, struct mcq_pipe *p);
    void (*remove)(struct mcq_psock *s, struct mcq_pipe *p);
    /* p's connection is to end: what may go to another goes to another. Until its connection
     * changes, or, if p->leaving is set, for good. NULL: this type sends where it is
     * told to, or not at all. */
    void (*retire)(struct mcq_psock *s, struct mcq_pipe *p);
    /* n messages from p, an array the pattern may scribble on (views borrowed). Returns how many
     * were consumed (delivered or dropped with a counter); fewer than n: the rest is offered again
     * after up->resume or the user's mcq_peer_resume. */
    size_t (*receive)(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n);
    /* to: NULL, the pattern chooses. Doesn't consume m (the caller drops an owned
     * one on MCQ_OK). */
    enum mcq_error (*send)(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m);
    /* The pipe the next message would go to, with room for len bytes; for tx_reserve and the fast
     * path. NULL slot: not supported. Returns NULL and sets *err if there is none: MCQ_EAGAIN,
     * counted if `slow` is block; else a sender that has its message calls send, which deals with
     * it, and one that hasn't calls mcq_psock_again. chosen must be called after a message was put
     * there. */
    struct mcq_pipe *(*pick)(struct mcq_psock *s, size_t len, enum mcq_error *err);
    void (*chosen)(struct mcq_psock *s, struct mcq_pipe *p);
    /* A starved pipe has room again. */
    void (*writable)(struct mcq_psock *s, struct mcq_pipe *p);
    /* PUB, XPUB: the peer's subscription. Reason LIMIT closes the peer. NULL: not this type. */
    enum mcq_reason (*subscribed)(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                  struct mcq_slice topic);
    /* SUB, XSUB: the user's own subscription. NULL: MCQ_ENOTSUP. */
    enum mcq_error (*subscribe)(struct mcq_psock *s, bool add, struct mcq_slice topic);
    /* XPUB: a subscription of p's that the user makes. NULL: MCQ_ENOTSUP. */
    enum mcq_error (*subscribe_peer)(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                     struct mcq_slice topic);
    /* A bounded piece of work left over from peers that went; true: there is more. NULL: none
     * ever. */
    bool (*sweep)(struct mcq_psock *s);
    /* SUB, XSUB: the next subscription p has not been told (p->control_seq); false: none. NULL:
     * none ever. */
    bool (*control)(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_control *c);
    /* REQ: no reply in time. NULL: never armed. */
    void (*timeout)(struct mcq_psock *s);
    /* --- p goes to another member of its logical socket. attach then, with p->arriving set,
     * welcomes nobody. */
    /* A reply is due to p, or from it: not yet. NULL: never. */
    bool (*tied)(const struct mcq_psock *s, const struct mcq_pipe *p);
    /* It was to go, and therefore retired, but stays. NULL: nothing to do. */
    void (*stay)(struct mcq_psock *s, struct mcq_pipe *p);
    /* PUB, XPUB: what giver, p on the shard it comes from, is subscribed to, p is, too: borrowed,
     * and another shard's. false: more than there is room for. NULL: nothing. */
    bool (*inherit)(struct mcq_psock *s, struct mcq_pipe *p, const struct mcq_pipe *giver);
    /* SUB, XSUB: the topics that p was told of and that haven't ended for it, each after its length
     * in four bytes; w NULL: none is written. Returns their bytes. NULL: there are none. */
    size_t (*told)(const struct mcq_psock *s, const struct mcq_pipe *p, struct mcq_writer *w);
    /* Is the socket itself subscribed to that very topic? NULL as told. */
    bool (*wants)(const struct mcq_psock *s, struct mcq_slice topic);
};

/* nodes: pools and tables of a shard that patterns share; see patterns/shared.h for footprint and
 * init. */
struct mcq_pattern_shared;

/* Index is enum mcq_sock_type; NULL for types this version doesn't have. */
const struct mcq_pattern *mcq_pattern_of(enum mcq_sock_type type);

#endif
