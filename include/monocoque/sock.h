/* Sockets: a pattern on one shard, with any number of listeners, connects and peers.
 *
 * A *logical socket* is the sockets of the same `logical` name and type on an app's shards, one
 * per shard at most, its *members*. All bind to the same endpoint, and peers come in on any; each
 * member tells of its own peers, and has its own state of a pattern (a REP answers where the
 * request came in, a SUB subscribes for itself). What is sent on one goes to the peers of all:
 *   ROUTER           by name or identity, to a peer of any member; an identity has one owner
 *   PUB, XPUB        to every subscriber, in order per publishing member
 *   PUSH, DEALER     to the member's own peers in turn; only if it has none to another's
 * Its high-water marks and `slow` hold on each way between two shards, and again towards the peer.
 *
 *        open --> bind / connect --> send, receive in callbacks --> close --> `closed` callback
 *
 * Everything here is called on the owning shard's thread (from its callbacks), else MCQ_ETHREAD.
 * Handlers run from the shard's loop, never inside the call that armed them. Any call of this
 * page is legal inside any handler, unless the handler's comment says otherwise.
 *
 * Nothing blocks. A send that finds no room returns MCQ_EAGAIN, and `writable` runs once there is
 * room again. Sends gather and leave at the end of the turn, or earlier: by mcq_flush; or, looked
 * at whenever a block (4 or 32 KiB) or 256 messages have been filled for a peer inside one
 * callback, when 64 KiB wait for that peer or the oldest unsent message of this turn waits for more
 * than 20 microseconds.
 */
#ifndef MONOCOQUE_SOCK_H
#define MONOCOQUE_SOCK_H

#include <monocoque/base.h>
#include <monocoque/error.h>
#include <monocoque/event.h>
#include <monocoque/msg.h>
#include <monocoque/steer.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mcq_sock_type {
    MCQ_PAIR = 1,
    MCQ_PUB,
    MCQ_SUB,
    MCQ_REQ,
    MCQ_REP,
    MCQ_DEALER,
    MCQ_ROUTER,
    MCQ_PULL,
    MCQ_PUSH,
    MCQ_XPUB,
    MCQ_XSUB
};

#define MCQ_IDENTITY_LEN_MAX 255
#define MCQ_FRAME_CNT_MAX    1024
#define MCQ_TOPIC_LEN_MAX    4096
#define MCQ_WELCOME_LEN_MAX  1024
#define MCQ_DEVICE_LEN_MAX   15
#define MCQ_LOGICAL_LEN_MAX  63
#define MCQ_LOGICALS_MAX     64  /* logical sockets of an app */
#define MCQ_ENDPOINT_LEN_MAX 265 /* with the terminating zero; inproc names have up to 255 */

enum mcq_flow {
    MCQ_CONTINUE = 0,
    MCQ_PAUSE = 1 /* this message is consumed, the next ones wait for mcq_peer_resume */
};

/* What a send does about a peer whose queue is at a high-water mark. */
enum mcq_slow {
    MCQ_SLOW_DEFAULT = 0, /* PUB, XPUB, XSUB, REP, and ROUTER by identity: drop-new; else block */
    MCQ_SLOW_BLOCK,     /* the send is MCQ_EAGAIN, and `writable` follows. PUB, XPUB, XSUB: as soon
                           as one of the peers it goes to is full, and then nobody gets it */
    MCQ_SLOW_DROP_NEW,  /* that peer misses this message */
    MCQ_SLOW_DROP_OLD,  /* the oldest that the kernel has no byte of make room */
    MCQ_SLOW_CONFLATE,  /* only the newest waits, at any time, full or not (libzmq's CONFLATE) */
    MCQ_SLOW_DISCONNECT /* that peer's connection ends, with MCQ_REASON_SLOW */
};

/* What happens when a peer announces an identity that another one has. */
enum mcq_identity_policy {
    MCQ_IDENTITY_REJECT = 0, /* the newcomer is refused (MCQ_EVENT_REFUSED) */
    MCQ_IDENTITY_REPLACE     /* the older connection ends: it may be a ghost */
};

/* On which shard a peer stays that a member of a logical socket has accepted: it is handed over
 * once its handshake is done, before it is UP. */
enum mcq_placement {
    MCQ_PLACEMENT_NONE = 0, /* where it came in: on the shard that steering chose */
    MCQ_PLACEMENT_LEAST,    /* on the member with the fewest connections */
    MCQ_PLACEMENT_HANDLER   /* where the handler `place` says */
};

/* Values of zmtp_min: the lowest version of the protocol a peer may speak. */
#define MCQ_ZMTP_1_0 10u
#define MCQ_ZMTP_2_0 20u
#define MCQ_ZMTP_3_0 30u

/* Every option: zero means the default in brackets. MCQ_UNLIMITED and MCQ_NONE where noted. */
struct mcq_sock_opts {
    size_t size;          /* sizeof(struct mcq_sock_opts), set by MCQ_SOCK_OPTS_INIT */
    const void *identity; /* borrows until open returns; [0..255] bytes, first byte not 0; of REQ,
                             DEALER and ROUTER only, else MCQ_EINVAL [none] */
    size_t identity_len;
    uint32_t send_hwm_msgs;      /* per peer [1,000]; MCQ_UNLIMITED */
    uint32_t send_hwm_bytes;     /* per peer [8 MiB]; a larger message fits an empty queue */
    uint32_t recv_hwm_bytes;     /* undelivered per peer, beside the kernel's buffer [256 KiB] */
    uint32_t frame_max_bytes;    /* received [64 MiB] */
    uint32_t msg_max_bytes;      /* received, all frames and their headers [64 MiB + 64 KiB] */
    uint32_t msg_frames_max;     /* received [1,024], at most MCQ_FRAME_CNT_MAX */
    uint32_t handshake_ms;       /* from accepted or connected to done [10,000] */
    uint32_t linger_ms;          /* after close: time to send what is queued [1,000]; MCQ_NONE: 0 */
    uint32_t reconnect_min_ms;   /* [100]; doubles with jitter up to the maximum */
    uint32_t reconnect_max_ms;   /* [5,000] */
    uint32_t request_timeout_ms; /* REQ: give up waiting, `timeout` handler [none] */
    uint32_t subs_max;           /* subscriptions one peer may hold on a PUB or XPUB [10,000] */
    uint32_t notsent_lowat_bytes; /* TCP_NOTSENT_LOWAT [512 KiB]; MCQ_NONE: leave the system's */
    uint32_t backlog;             /* listen(2) [1,024] */

    /* --- high-water marks and slow peers */
    uint32_t recv_hwm_msgs; /* undelivered per peer [1,000]; no receive is begun while so many wait,
                               the one that reaches it may go over; MCQ_UNLIMITED */
    enum mcq_slow slow;     /* not of REQ, SUB and PULL, which take block alone */
    bool immediate;         /* connects: only peers that are up are sent to; what waits for one ends
                               with its connection, as for accepted ones (libzmq's IMMEDIATE) */

    /* --- limits on what peers subscribe to (PUB, XPUB), beside subs_max; a peer that goes beyond
     * one loses its connection, MCQ_REASON_LIMIT */
    uint32_t subs_max_bytes;      /* of topics, per peer [1 MiB] */
    uint32_t subs_sock_max;       /* of all peers of this socket [what the shard has room for] */
    uint32_t subs_sock_max_bytes; /* the same in bytes [64 MiB] */

    /* --- connections. Heartbeats: a peer that its user has paused is not listened to, so its
     * silence isn't held against it; but its own PINGs wait behind what it has sent, and if it
     * beats, it may take us for dead: pause for less than its patience. */
    uint32_t connect_timeout_ms;   /* until the transport is up [handshake_ms] */
    bool stop_on_refused;          /* a connect that is refused is not tried again: its link ends */
    uint32_t heartbeat_ms;         /* ZMTP 3: PING after so long without input or output [none] */
    uint32_t heartbeat_timeout_ms; /* no byte from the peer for so long since the PING: it is dead,
                                      MCQ_REASON_HEARTBEAT [heartbeat_ms] */
    uint32_t heartbeat_ttl_ms;     /* how long our silence means we are dead, told to the peer with
                                      each PING; tenths of seconds, up to 6,553,500 [none] */
    uint32_t tcp_user_timeout_ms;  /* TCP_USER_TIMEOUT: sent data may stay unacknowledged so long
                                      [the system's] */
    uint32_t keepalive_idle_s;     /* any of these three set: SO_KEEPALIVE, with the system's values
                                      for the others; finds out who is gone while nothing is on its
                                      way to him: for what is, set tcp_user_timeout_ms [off] */
    uint32_t keepalive_interval_s;
    uint32_t keepalive_cnt;
    uint32_t send_buffer_bytes; /* SO_SNDBUF [the system's] */
    uint32_t recv_buffer_bytes; /* SO_RCVBUF [the system's] */
    uint32_t tos;               /* IP_TOS, IPV6_TCLASS, up to 255 [0] */
    const char *device; /* SO_BINDTODEVICE, an interface's name of up to 15 bytes; borrows until
                           open returns; may need CAP_NET_RAW [any] */
    uint32_t zmtp_min;  /* MCQ_ZMTP_*; below it a peer is refused as incompatible [MCQ_ZMTP_2_0] */

    /* --- patterns; one that the socket's type doesn't have is MCQ_EINVAL */
    bool req_correlate;    /* REQ: a frame with a request number goes before the delimiter, and only
                              the reply with that number is taken. Wanted with request_timeout_ms
                              behind a proxy, whose workers overtake one another */
    bool req_relaxed;      /* REQ: a request may follow another before its reply, which is given up;
                              implies req_correlate */
    bool router_mandatory; /* ROUTER by identity: unknown is MCQ_ENOENT, full is what `slow` says,
                              with block as default */
    enum mcq_identity_policy identity_policy; /* ROUTER [reject] */
    bool probe;    /* ROUTER, DEALER, REQ: each peer that comes up is sent an empty message */
    bool verbose;  /* XPUB: `subscription` is called for every subscription, not just for the
                      first of all peers to a topic */
    bool verboser; /* XPUB: and for every end of one */
    bool manual;   /* XPUB: a subscription is only told; mcq_peer_subscribe makes it real */
    bool invert_matching; /* PUB, XPUB, SUB: who has a matching subscription does not get it */
    const void *welcome;  /* PUB, XPUB: message of one frame that every peer gets first (a SUB must
                             be subscribed to it); borrows until open returns */
    size_t welcome_len;   /* up to MCQ_WELCOME_LEN_MAX; 0: none */

    /* --- many shards */
    const char *logical; /* a name of up to 63 bytes: this socket is a member of the logical socket
                            of that name; borrows until open returns; not of PAIR [none] */
    const char *steer;   /* who of its members gets whom, as text, behind what `steering` says;
                            <monocoque/steer.h>; of the member that binds first. Borrowed until
                            `closed`; needs `logical` [mode=hash] */
    const struct mcq_steer_opts *steering; /* the same as a struct; borrowed until `closed` */
    enum mcq_placement placement;          /* of the peers that a logical socket accepts */
};
#ifdef __cplusplus
static inline struct mcq_sock_opts mcq_sock_opts_init(void)
{
    struct mcq_sock_opts opts = {};
    opts.size = sizeof opts;
    return opts;
}
#define MCQ_SOCK_OPTS_INIT mcq_sock_opts_init()
#else
#define MCQ_SOCK_OPTS_INIT                   \
    {                                        \
        .size = sizeof(struct mcq_sock_opts) \
    }
#endif

/* mcq_sock_opts_set sets one option by its name above and a text, for programs that read their
 * options: a number, "none", "unlimited", "true", "false", an enum's value as in "drop-old", or the
 * text itself (identity, welcome, device: value is then borrowed for as long as opts is used). What
 * it means for a socket's type is checked by mcq_sock_open.
 * Thread: any. Errors: MCQ_EINVAL (no such option or value); MCQ_ENOTSUP (an option of libzmq's:
 * detail says which of ours does that, or why none). */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_sock_opts_set(struct mcq_sock_opts *opts, const char *name,
                                                      const char *value, struct mcq_detail *detail);

/* What the shard calls. A table of the user's, borrowed until `closed`; a NULL slot is a no-op
 * (without message and messages, what arrives is dropped and counted). */
struct mcq_sock_handlers {
    /* One message, borrowed until return (mcq_msg_keep). Returns MCQ_CONTINUE or MCQ_PAUSE.
     * ROUTER: no identity frame is put in front; `from` says who it is, mcq_send_to(sock, from, ..)
     * answers, mcq_peer_identity names it. REQ, REP: without the empty delimiter (and REP without
     * the path before it): those are put back by mcq_send. DEALER, ROUTER: as on the wire. */
    enum mcq_flow (*message)(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *msg);
    /* The fast form, used instead of `message` if set: n in [1, 256] messages of one peer,
     * borrowed until return. Returns how many were consumed; fewer than n pauses this peer until
     * mcq_peer_resume, and the rest comes again then. The array is the callee's to scribble on. */
    size_t (*messages)(void *ctx, struct mcq_sock *sock, struct mcq_peer from, struct mcq_msg *msgs,
                       size_t n);
    /* A send that returned MCQ_EAGAIN may succeed now; also after the first peer came up. */
    void (*writable)(void *ctx, struct mcq_sock *sock);
    /* Borrows *event and its strings. */
    void (*event)(void *ctx, struct mcq_sock *sock, const struct mcq_event *event);
    /* topic[0, len) is borrowed until return.
     * PUB: a peer added or cancelled its subscription to it.
     * XPUB: the first peer of all subscribed to it, or the last one's subscription ended; verbose:
     * every beginning, verboser: every end too; manual: whatever a peer says, repeated or not.
     * A peer that goes ends its subscriptions, a few per turn: on a PUB it is named as ever, but
     * may be gone for good (MCQ_ESTALE) by then; on an XPUB peer is zero. What others subscribe to
     * meanwhile doesn't end. */
    void (*subscription)(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                         const void *topic, size_t len);
    /* REQ: no reply within request_timeout_ms; the socket may send again. */
    void (*timeout)(void *ctx, struct mcq_sock *sock);
    /* peer's connection has been handed over, by mcq_peer_move or by placement: called on the shard
     * it left (what is sent to it in there goes along; afterwards only a ROUTER can from there, the
     * others get MCQ_ENOTSUP; all may mcq_peer_move), then on the one it came to. Its user pointer
     * has come with it. to == from: it couldn't go and has stayed. */
    void (*moved)(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                  uint32_t to);
    /* With MCQ_PLACEMENT_HANDLER: the shard for a peer with that identity (len 0: none announced).
     * One without a member means this one. */
    uint32_t (*place)(void *ctx, struct mcq_sock *sock, const void *identity, size_t len);
    /* The last call: all is sent or given up, every peer is gone, sock is invalid after return. */
    void (*closed)(void *ctx, struct mcq_sock *sock);
};

/* mcq_sock_open opens a socket and *gives* it; mcq_sock_close ends it.
 * opts: NULL for the defaults; borrows. handlers, ctx: borrowed until `closed`.
 * Cost: O(1), no allocation after start. Errors: MCQ_EINVAL, MCQ_ENOTSUP, MCQ_ELIMIT, MCQ_ETHREAD,
 * MCQ_ESTATE (the app is ending).
 */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_sock_open(struct mcq_shard *shard, enum mcq_sock_type type,
                                                  const struct mcq_sock_opts *opts,
                                                  const struct mcq_sock_handlers *handlers,
                                                  void *ctx, struct mcq_sock **sock,
                                                  struct mcq_detail *detail);

/* mcq_sock_close stops accepting, sends what is queued within linger, then closes every
 * connection; `closed` is the end. *Takes* sock. A second call is ignored. */
MCQ_API void mcq_sock_close(struct mcq_sock *sock);
/* The same with another linger than the option's: ms, MCQ_NONE for 0. */
MCQ_API void mcq_sock_close_within(struct mcq_sock *sock, uint32_t linger_ms);

/* mcq_sock_bind listens at endpoint: tcp://ADDR:PORT, tcp://[V6]:PORT, ADDR * for all, port 0 or *
 * for an ephemeral one, an interface's name for its first address; ipc://PATH, ipc://@ABSTRACT;
 * inproc://NAME, for sockets of the same app, on any shard. Borrows endpoint. At once, no name
 * lookup. The file of a path that nobody serves any more is replaced. A program that was killed
 * with SIGKILL keeps its addresses for some milliseconds, until the kernel has taken its ring
 * apart: MCQ_EADDRINUSE. A member of a logical socket binds as all of its members do, with the same
 * text: the first gets the address, the others join it and have the same actual endpoint; they
 * listen from the first turn on. Nobody else may listen there, no other process either:
 * MCQ_EADDRINUSE. Errors: MCQ_EADDR, MCQ_EADDRINUSE, MCQ_EACCESS, MCQ_ELIMIT, MCQ_ENOMEM,
 * MCQ_ENOTSUP, MCQ_EOS, MCQ_ESTATE (the socket is closing), MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_sock_bind(struct mcq_sock *sock, const char *endpoint,
                                                  struct mcq_detail *detail);

/* mcq_sock_connect starts a link that connects, reconnects and keeps its queue until
 * mcq_sock_disconnect; nobody needs to listen yet. Host names are looked up by another thread,
 * at each try; handing one over takes a lock, a numeric address takes none. tcp://SRC;HOST:PORT
 * with SRC = ADDR:PORT or INTERFACE:PORT, port 0 for any, binds the near end first.
 * Errors: MCQ_EADDR (text only), MCQ_ELIMIT, MCQ_ENOTSUP, MCQ_ESTATE (the socket is closing),
 * MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_sock_connect(struct mcq_sock *sock, const char *endpoint,
                                                     struct mcq_detail *detail);

/* mcq_sock_unbind and mcq_sock_disconnect take back one bind (by its actual endpoint) or one
 * connect (by the text it was given). Established peers of an unbound listener stay. What is queued
 * for the connect is still sent, within linger; all types but ROUTER and REP give it nothing more.
 * Errors: MCQ_ENOENT, MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_sock_unbind(struct mcq_sock *sock, const char *endpoint,
                                                    struct mcq_detail *detail);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_sock_disconnect(struct mcq_sock *sock, const char *endpoint,
                                                        struct mcq_detail *detail);

/* mcq_sock_endpoint returns the endpoint of the last successful bind, the ephemeral port filled
 * in, "" if there is none. Borrowed until the next bind or close. */
MCQ_API const char *mcq_sock_endpoint(const struct mcq_sock *sock);

MCQ_API struct mcq_shard *mcq_sock_shard(const struct mcq_sock *sock);
MCQ_API enum mcq_sock_type mcq_sock_type(const struct mcq_sock *sock);
MCQ_API void *mcq_sock_user(const struct mcq_sock *sock); /* the ctx of mcq_sock_open */
MCQ_API void mcq_sock_set_user(struct mcq_sock *sock, void *ctx);
MCQ_API uint32_t mcq_sock_peer_cnt(const struct mcq_sock *sock); /* peers that are up */

/* --- Sending -------------------------------------------------------------------------------
 * Which peer: PAIR the peer; PUSH, DEALER, REQ the next with room, in turn; REP the requester;
 * PUB, XPUB every subscriber, XSUB every publisher; ROUTER by its first frame, an identity, which
 * is removed (unknown: dropped, counted, and told as an event, or MCQ_ENOENT if router_mandatory).
 * A peer without room is dealt with as the option `slow` says; PUSH and DEALER: when nobody has
 * room, with the one that has been full for the longest time.
 *
 * mcq_send: on success *takes* an owned message and zeroes *msg; a borrowed one is copied as far
 * as it is kept, and zeroed too. On failure nothing changed.
 * Cost: <= 10 ns for small messages; no system call, no allocation. O(subscribers) for PUB.
 * Errors: MCQ_EAGAIN, MCQ_ETOOBIG, MCQ_ESTATE (REQ out of turn, REP without a request),
 * MCQ_ENOENT (router_mandatory), MCQ_ELIMIT (to a peer of another shard: every connection's place,
 * or every bridge, is in use here), MCQ_ENOTSUP (SUB, PULL), MCQ_EINVAL (no frame, too many; XSUB:
 * the first byte is 0 or 1, which would be a subscription), MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_send(struct mcq_sock *sock, struct mcq_msg *msg);

/* mcq_send_to sends to one peer: ROUTER, PAIR, DEALER, PUSH. `slow` applies, with block as
 * default. A ROUTER sends to peers of all members; the others only on the shard that has the peer's
 * connection. Errors also: MCQ_ESTALE (gone), MCQ_ENOTSUP (not a ROUTER, and the connection is, as
 * far as is known here, another shard's: have that one's member send it, by mcq_post_bytes to where
 * mcq_peer_shard says, or have the peer come here by mcq_peer_move). */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_send_to(struct mcq_sock *sock, struct mcq_peer to,
                                                struct mcq_msg *msg);

/* mcq_send_bytes sends one frame of len bytes: borrows data, copies. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_send_bytes(struct mcq_sock *sock, const void *data,
                                                   size_t len);

/* mcq_send_many sends msgs[0, n) in order until one can't be sent; *sent tells how many were.
 * Returns MCQ_OK if all were, else the error of msgs[*sent]. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_send_many(struct mcq_sock *sock, struct mcq_msg *msgs,
                                                  size_t n, size_t *sent);

/* mcq_tx_reserve *gives* room for one frame of up to len bytes (at most 16 KiB) inside the next
 * peer's transmit block; the caller writes there and calls mcq_tx_commit with the bytes used,
 * before any other call on this socket and before returning to the loop; a reservation not
 * committed is forgotten. PUSH, DEALER, PAIR; others MCQ_ENOTSUP.
 * When nobody has room: with `slow` drop-old or conflate what waits makes room, now; with the
 * others MCQ_EAGAIN, as with block, for there is no message yet that could be dropped. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_tx_reserve(struct mcq_sock *sock, size_t len, void **at);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_tx_commit(struct mcq_sock *sock, size_t len);

/* mcq_flush hands what is queued on this socket to the kernel now: up to 256 KiB per peer, and
 * nothing for a peer whose last send is still on its way (the rest follows by itself). A peer by
 * inproc on this shard gets its messages once the handlers that run have returned, flushed or not;
 * one on another shard, at once. Cost: a system
 * call, if there is anything. Errors: MCQ_ETHREAD. */
MCQ_API enum mcq_error mcq_flush(struct mcq_sock *sock);

/* --- Members of a logical socket ---------------------------------------------------------------
 * What one member sends is the logical socket's, as far as the type allows:
 *   PUB, XPUB     to the subscribers of all members. An XPUB's user hears of what the peers of his
 *                 own member subscribe to, once every other member knows of it; only from then on a
 *                 peer gets it, and its welcome, which then takes a subscription, comes before.
 *   PUSH, DEALER  to the peers of this member; while it has none that are up, to members that have,
 *                 in turn. What waits for such a member when its last peer goes, waits for its
 * next. What waits for another member counts as for a peer: by the same marks, with `slow` (where
 * disconnect is drop-new), and what is dropped is told with peer zero. PULL, SUB, XSUB, REQ and REP
 * have no such dealings: each member has its own peers, and a request is answered where it came. */

/* --- SUB, XSUB ------------------------------------------------------------------------------
 * Subscriptions are prefixes of the first frame, counted: n subscribes need n unsubscribes. Sent
 * to every publisher now and after each reconnect. SUB delivers what matches, XSUB what comes.
 * topic: borrows [0..MCQ_TOPIC_LEN_MAX] bytes.
 * Errors: MCQ_ENOTSUP (not a SUB or XSUB), MCQ_ELIMIT, MCQ_EINVAL; unsubscribe also MCQ_ENOENT. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_subscribe(struct mcq_sock *sock, const void *topic,
                                                  size_t len);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_unsubscribe(struct mcq_sock *sock, const void *topic,
                                                    size_t len);

/* --- Peers ----------------------------------------------------------------------------------
 * A peer's name is good from MCQ_EVENT_UP until MCQ_EVENT_DISCONNECTED has been told, so that what
 * belongs to it can be given back there; afterwards all return MCQ_ESTALE (or NULL). Sends to it
 * are refused, and mcq_peer_find passes it over, from the moment its connection begins to end.
 *
 * A logical ROUTER's peers of other members are found, sent to, closed and killed from here, too;
 * their identity is known. User pointer and stats are this member's own: what it has queued for the
 * peer. Not known here is their endpoint (""), and mcq_peer_resume is MCQ_ENOTSUP. That one has
 * gone is heard a moment later than over there: what was sent to it meanwhile is dropped and told.
 */

/* mcq_peer_find looks a peer up by the identity it announced. Errors: MCQ_ENOENT. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_peer_find(const struct mcq_sock *sock, const void *identity,
                                                  size_t len, struct mcq_peer *peer);
/* mcq_peer_identity borrows the peer's identity until it disconnects; peers of a ROUTER that
 * announced none have a generated one of 5 bytes, the first 0 (RFC 28). */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_peer_identity(const struct mcq_sock *sock,
                                                      struct mcq_peer peer, struct mcq_frame *id);
/* mcq_peer_endpoint borrows the far address as an endpoint until the next call; "" if stale, or if
 * the peer has no name (an accepted ipc peer). */
MCQ_API const char *mcq_peer_endpoint(const struct mcq_sock *sock, struct mcq_peer peer);
/* mcq_peer_resume delivers to a paused peer again, from the next turn on. */
MCQ_API enum mcq_error mcq_peer_resume(struct mcq_sock *sock, struct mcq_peer peer);
/* mcq_peer_close ends the connection after sending what is queued, within linger, and what is sent
 * to this very peer until then; else all types but ROUTER and REP give it nothing more. A connect
 * of ours ends with it and isn't tried again: mcq_sock_connect starts a new one. */
MCQ_API enum mcq_error mcq_peer_close(struct mcq_sock *sock, struct mcq_peer peer);
/* mcq_peer_kill ends the connection at once, what is queued for an accepted peer included; a
 * connect of ours tries again. MCQ_REASON_KILLED. Nothing more is sent or delivered, but, inside a
 * `message` handler that goes on with MCQ_CONTINUE, what came together with its message. */
MCQ_API enum mcq_error mcq_peer_kill(struct mcq_sock *sock, struct mcq_peer peer);
MCQ_API void *mcq_peer_user(const struct mcq_sock *sock, struct mcq_peer peer);
MCQ_API enum mcq_error mcq_peer_set_user(struct mcq_sock *sock, struct mcq_peer peer, void *user);

/* XPUB with `manual`: subscribes the peer to a topic, or ends that, on its behalf; n subscribes
 * count once. Errors: MCQ_ENOTSUP (also: the peer is on another shard, as for mcq_send_to),
 * MCQ_EINVAL, MCQ_ESTALE, MCQ_ELIMIT; unsubscribe MCQ_ENOENT;
 * MCQ_EAGAIN from within the free callback of a message that this socket drops while it sends
 * another, as for sends there: `writable` follows. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_peer_subscribe(struct mcq_sock *sock, struct mcq_peer peer,
                                                       const void *topic, size_t len);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_peer_unsubscribe(struct mcq_sock *sock,
                                                         struct mcq_peer peer, const void *topic,
                                                         size_t len);

/* mcq_peer_move hands the peer's connection over to another shard's member of this logical socket,
 * at any moment of it and any number of times: no byte is lost or comes out of order, the far end
 * notices nothing, and the peer's name stays good everywhere. What is queued goes with it. `moved`
 * tells on both shards. The peer may be on any shard: where it isn't here, its shard is asked;
 * where it is there already, nothing happens. A REP whose reply is due to it, and a REQ that awaits
 * one from it, keep it until then. While it is on its way mcq_peer_resume and mcq_peer_subscribe
 * say MCQ_EAGAIN; the user pointer goes with it as it is when `moved` returns on the shard it
 * leaves. A SUB's publisher is told what the new member subscribes to, a PUB's subscriber keeps
 * what it has. Thread: owning shard. Cost: cancels what the kernel holds of it, some microseconds.
 * Errors: MCQ_ESTALE, MCQ_EAGAIN (it is moving, or its connection ends), MCQ_EINVAL (no member on
 * that shard), MCQ_ENOTSUP (no logical socket, or a peer by inproc), MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_peer_move(struct mcq_sock *sock, struct mcq_peer peer,
                                                  uint32_t shard);
/* mcq_peer_shard tells where the peer's connection is, as far as this shard knows: a ROUTER's
 * members hear of every move; the others know of peers that came up here, and of any other one only
 * on which shard it came up, which knows where it went. Errors: MCQ_ESTALE, MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_peer_shard(const struct mcq_sock *sock,
                                                   struct mcq_peer peer, uint32_t *shard);

/* What one peer costs and owes, at this moment. Counts are of this connection. */
struct mcq_peer_stats {
    uint64_t msgs_in, msgs_out, bytes_in, bytes_out;
    uint64_t queued_msgs, queued_bytes; /* with us, not taken by the kernel */
    uint64_t unacked_bytes;             /* taken by the kernel, not acknowledged; tcp */
    uint64_t waiting_bytes;             /* received, not delivered */
    uint64_t dropped;                   /* messages to it that its slowness cost */
    uint64_t slow_cnt;                  /* times it became slow */
    bool slow;                          /* is at its high-water mark, and hasn't left it since */
    bool paused;                        /* by the user */
};
/* Cost: one system call. Errors: MCQ_ESTALE, MCQ_ETHREAD. */
MCQ_API enum mcq_error mcq_peer_stats(const struct mcq_sock *sock, struct mcq_peer peer,
                                      struct mcq_peer_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
