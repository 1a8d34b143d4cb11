/* ZMTP: one end of one stream, as a pure state machine (RFC 37 ZMTP 3.1, RFC 23 ZMTP 3.0, NULL;
 * RFC 15 ZMTP 2.0; RFC 13 ZMTP 1.0).
 *
 * Pull, not callbacks: bytes, time and randomness are arguments, everything learnt is a return
 * value. No socket, clock, thread or allocation; struct mcq_zmtp is a flat value without pointers,
 * so a session can move at any byte.
 *
 *      GREETING ---- 10 bytes, major 3 and above, 53 ----> HANDSHAKE --READY both ways---+
 *       |  |  |                                                                          v
 *       |  |  +----- 10 bytes, major 1 or 2, type -------> HANDSHAKE --identity frame--> TRAFFIC
 *       |  |                                                   ^           both ways     |
 *       |  +------- a frame instead of a signature: 1.0 -------+                         |
 *       |                                  |                                             |
 *       +-- any fault, ERROR, limit, deadline, version below the minimum, silence -------+-->
 * CLOSED (sticky)
 *
 * Input. The caller holds the undelivered bytes as one contiguous window and gives a reader over
 * it; next and next_batch consume whole units only, so what they leave must stay contiguous, with
 * new bytes behind it, at the next call. mcq_zmtp_need tells how many more bytes make progress
 * possible; the caller need not copy more than those into its window before it goes on in the
 * next block. A frame with MCQ_ZMTP_BODY_MIN or more bytes missing makes next return NEED_BODY:
 * the caller moves the window into a block with room for all of it, or waits, or closes.
 *
 * Output. mcq_zmtp_drain writes what the state machine itself has to say (greeting in stages,
 * READY or identity, ERROR, one pending PONG, one PING); it may be called at any message boundary
 * of the stream. The peer's READY or identity is not taken before ours is drained (one array serves
 * both identities): until then next answers WROTE. One drain with room for MCQ_ZMTP_DRAIN_MAX says
 * all that is due.
 *
 * Pause. mcq_zmtp_give_back un-decodes what the user refused.
 *
 * Versions. 3.1 and 3.0 are spoken; higher majors are treated as 3.1 (RFC 37); 2.0 and 1.0 down to
 * version_min, below it refused as INCOMPATIBLE with a sentence that names them. Mechanism NULL
 * only. A 1.0 peer says no socket type: peer_type stays 0, and any may meet. Its messages travel in
 * frames of their own (mcq_zmtp_is_v1): next decodes them, proto/reframe encodes them. A SUB of
 * 1.0 tells its publisher nothing and expects everything, so a PUB or XPUB learns a SUBSCRIBE to
 * the empty topic behind its HANDSHAKE_DONE, without input for it (mcq_zmtp_has_event). Ours tells
 * its subscriptions to such a publisher nonetheless, as libzmq's does: those of libzmq 3.0 and 3.1
 * spoke 1.0 and waited for them.
 *
 * Strictness. What RFC 37 forbids ends the stream: reserved flags, MORE on a command, a command
 * between the frames of a message, malformed READY, ERROR or PING, a second READY; so do commands
 * of a 2.0 peer, and an identity's frame with MORE. Unknown commands and properties, and any PONG,
 * are swallowed. A READY without Socket-Type is refused as INCOMPATIBLE (libzmq takes it, but
 * always sends one). A PING's context beyond 16 bytes is cut, as libzmq does.
 *
 * Heartbeats (3.x). A PING is due heartbeat_ms after the last input or the last output, whichever
 * is older: silence of the peer asks whether it lives, silence of ours tells it that we do, as the
 * TTL of an earlier PING promised. One is under way at a time. Any byte answers it, also of a frame
 * that isn't whole; the next one asks anew. Unanswered for heartbeat_timeout_ms since it was given
 * to the kernel, the stream ends. As long as it can't be said, because a message is being sent
 * whose bytes still leave, its time doesn't begin; once they don't, it runs out. A caller that
 * doesn't listen (paused by its user) calls mcq_zmtp_alive before mcq_zmtp_expire: that silence is
 * its own.
 *
 * Thread: none of its own; one stream, one caller at a time. Errors: sticky, after DEAD only close
 * is legal; offset then is where in the peer's stream the frame (or greeting field) at fault
 * starts.
 */
#ifndef MCQ_PROTO_ZMTP_H
#define MCQ_PROTO_ZMTP_H

#include <monocoque/event.h>
#include <monocoque/sock.h>
#include <monocoque/stats.h>

#include "mem/frame_format.h"
#include "mem/slice.h"

/* Bytes missing of a frame from which it gets its own block. */
#define MCQ_ZMTP_BODY_MIN 262144u
/* Any command, checked before it is buffered; topics have MCQ_TOPIC_LEN_MAX. */
#define MCQ_ZMTP_COMMAND_LEN_MAX 8192u
#define MCQ_ZMTP_PONG_CTX_MAX    16u  /* RFC 37: ping-context */
#define MCQ_ZMTP_DRAIN_MAX       512u /* bytes one drain may write */
#define MCQ_ZMTP_TYPE_CNT        12u

enum mcq_zmtp_state {
    MCQ_ZMTP_GREETING = 0, /* mcq_zmtp.greeting_in_len tells how far */
    MCQ_ZMTP_HANDSHAKE,
    MCQ_ZMTP_TRAFFIC,
    MCQ_ZMTP_CLOSED
};

struct mcq_zmtp_limits {
    uint64_t frame_max;  /* bytes of one body */
    uint64_t msg_max;    /* bytes of all frames of a message, headers included */
    uint32_t frames_max; /* frames of one message, <= MCQ_FRAME_CNT_MAX */
};

struct mcq_zmtp_config {
    enum mcq_sock_type type;
    uint32_t peer_mask; /* 1 << enum mcq_sock_type of each type it may meet */
    struct mcq_zmtp_limits limits;
    struct mcq_slice identity;      /* borrowed during init; <= 255 bytes */
    uint64_t handshake_deadline_ns; /* absolute; 0: none */
    uint32_t version_min;           /* MCQ_ZMTP_1_0 ... 3_0; 0: MCQ_ZMTP_2_0 */
    /* ZMTP 3: a PING after so long without input or output, 0: none; no input for so long since:
     * HEARTBEAT, 0: heartbeat_ms; the TTL it carries, 0: none, in steps of 100 ms, rounded up. */
    uint32_t heartbeat_ms, heartbeat_timeout_ms, heartbeat_ttl_ms;
};

/* Our own PING. */
enum mcq_zmtp_ping {
    MCQ_ZMTP_PING_NONE = 0,
    MCQ_ZMTP_PING_ASKED, /* the kernel has it; answered by input since ping_ns */
    MCQ_ZMTP_PING_DUE,   /* for drain */
    MCQ_ZMTP_PING_SAID   /* drained, not yet given to the kernel */
};

struct mcq_zmtp {
    /* proto/'s own; <= 512 bytes, no pointers; what a batch reads is the first cache line */
    uint8_t state;            /* enum mcq_zmtp_state */
    uint8_t type;             /* own enum mcq_sock_type */
    uint8_t peer_type;        /* enum mcq_sock_type; 0: not known yet, or never (1.0) */
    uint8_t peer_major;       /* 0: not known yet; 1, 2: ZMTP 1.0, 2.0; above: as announced */
    uint8_t peer_minor;       /* 0: subscriptions travel as messages; 1: as commands */
    uint8_t slow;             /* messages need a look each (PUB, XPUB, 1.0): no batches */
    uint8_t greeting_in_len;  /* bytes of the peer's greeting checked */
    uint8_t greeting_out_len; /* bytes of ours drained */
    uint32_t peer_mask;
    uint32_t scan_frames; /* frames of the message at the window's start that are checked */
    uint64_t scan_len;    /* bytes of them: where to go on in the window */
    uint64_t need;        /* further bytes before progress is possible */
    uint64_t offset;      /* bytes of the peer's stream consumed so far */
    struct mcq_zmtp_limits limits;
    uint64_t deadline_ns; /* handshake; 0: none */
    uint64_t last_rx_ns;
    uint64_t last_tx_ns;
    uint64_t ping_ns; /* since when an answer to our PING is waited for */
    uint64_t look_ns; /* when to look whether it came */
    uint32_t heartbeat_ms, heartbeat_timeout_ms, heartbeat_ttl_ms;
    uint32_t peer_ttl_ms; /* from its last PING; 0: none */
    uint8_t reason;       /* enum mcq_reason once CLOSED */
    uint8_t fault;        /* proto's own number of the sentence, once CLOSED */
    uint8_t flags;        /* proto's own: what drain has to say, and has said */
    uint8_t identity_len; /* bytes used of identity */
    uint8_t ping;         /* enum mcq_zmtp_ping */
    uint8_t version_min;
    uint8_t pong_len;
    uint8_t pong_ctx[MCQ_ZMTP_PONG_CTX_MAX];
    /* ours until it is drained, then the peer's, then its ERROR's text with a final zero */
    uint8_t identity[MCQ_IDENTITY_LEN_MAX + 1];
};

enum mcq_zmtp_kind {
    MCQ_ZMTP_MORE = 0,       /* nothing whole left: mcq_zmtp_need() bytes are missing */
    MCQ_ZMTP_HANDSHAKE_DONE, /* peer_type and peer identity are known; traffic may follow in the
                                same input, and an event without any (mcq_zmtp_has_event) */
    MCQ_ZMTP_MESSAGE,        /* frames[0, frame_cnt), views into the window */
    MCQ_ZMTP_SUBSCRIBE,      /* topic: from a command or from the message form of 3.0 and before */
    MCQ_ZMTP_CANCEL,
    MCQ_ZMTP_WROTE,     /* something to drain (greeting stage, READY or identity, PONG): call drain
                           before next */
    MCQ_ZMTP_NEED_BODY, /* a large frame: window_len, missing; repeats until the bytes are there */
    MCQ_ZMTP_DEAD /* CLOSED: mcq_zmtp_reason, mcq_zmtp_detail, z->offset. Only close is legal now */
};

struct mcq_zmtp_event {
    enum mcq_zmtp_kind kind;
    struct mcq_slice topic; /* SUBSCRIBE, CANCEL: borrowed from the window */
    uint32_t frame_cnt;     /* MESSAGE */
    size_t window_len;      /* MESSAGE: bytes it took from the window, headers included;
                             * NEED_BODY: bytes of the window that belong to it so far */
    uint64_t missing;       /* NEED_BODY: further bytes until the frame is whole */
};

/* Starts a stream. cfg borrowed. */
void mcq_zmtp_init(struct mcq_zmtp *z, const struct mcq_zmtp_config *cfg, uint64_t now_ns);

/* Decodes every whole single-frame message at the front of in (up to max) into views[0, *n):
 * data, len, frames NULL, frame_cnt 1, owner as given. Stops before anything else. Only in
 * TRAFFIC, else *n = 0. Cost: a few ns per message. Returns true if the front of what is left needs
 * mcq_zmtp_next (multipart, command, large frame, fault), false if in is used up or holds only a
 * part of a frame, or views is full. */
bool mcq_zmtp_next_batch(struct mcq_zmtp *z, struct mcq_reader *in, struct mcq_msg *views,
                         size_t max, uint32_t owner, size_t *n, struct mcq_proto_stats *stats);

/* Gives back all but the first `kept` of the n messages decoded last: by next_batch from in->pos ==
 * mark (frame_cnt 1 each), or the one message of next, where mark is in->pos - ev.window_len.
 * Reader, offset and counters are then as if those had not been decoded. O(kept). */
void mcq_zmtp_give_back(struct mcq_zmtp *z, struct mcq_reader *in, size_t mark, size_t n,
                        size_t kept, uint32_t frame_cnt, struct mcq_proto_stats *stats);

/* Takes the next unit, whatever it is. Cost: two passes over a message's frame headers, however
 * many pieces it came in. frames: room for MCQ_FRAME_CNT_MAX frames, filled for MESSAGE. */
void mcq_zmtp_next(struct mcq_zmtp *z, struct mcq_reader *in, uint64_t now_ns,
                   struct mcq_frame *frames, struct mcq_zmtp_event *ev,
                   struct mcq_proto_stats *stats);

/* Further bytes (>= 1) without which the next call can make no progress: after MORE or NEED_BODY,
 * and after a next_batch that returned false without filling views. */
static inline uint64_t mcq_zmtp_need(const struct mcq_zmtp *z)
{
    return z->need;
}

/* Another event waits that needs no input: call next even if there is none. */
bool mcq_zmtp_has_event(const struct mcq_zmtp *z);

/* The peer speaks 1.0: what a pipe stores has to be reframed before it is sent. */
static inline bool mcq_zmtp_is_v1(const struct mcq_zmtp *z)
{
    return z->peer_major == 1;
}

/* Writes what is to be said now; false if w had no room for all of it (call again).
 * Call after init, after WROTE, and before sending application bytes. */
bool mcq_zmtp_drain(struct mcq_zmtp *z, struct mcq_writer *w, struct mcq_proto_stats *stats);
bool mcq_zmtp_wants_drain(const struct mcq_zmtp *z);

/* Bytes have arrived: input counts as life (RFC 37). Once per receive, not per message. */
static inline void mcq_zmtp_alive(struct mcq_zmtp *z, uint64_t now_ns)
{
    z->last_rx_ns = now_ns;
}

/* From then until now nobody listened or said anything: none of it counts. */
void mcq_zmtp_deaf(struct mcq_zmtp *z, uint64_t since_ns, uint64_t now_ns);

/* Bytes are being given to the kernel, all that was drained before among them. Once per send, when
 * it is submitted: its completion may be told after the answer to what it carried. */
static inline void mcq_zmtp_told(struct mcq_zmtp *z, uint64_t now_ns)
{
    z->last_tx_ns = now_ns;
    if (MCQ_UNLIKELY(z->ping >= MCQ_ZMTP_PING_DUE)) {
        z->ping_ns = now_ns;
        if (z->ping == MCQ_ZMTP_PING_SAID)
            z->ping = MCQ_ZMTP_PING_ASKED;
    }
}

/* When mcq_zmtp_expire should be called next (handshake deadline, the peer's TTL, our heartbeat),
 * 0: never. What happens meanwhile makes it later, never earlier; but for a peer's PING, whose TTL
 * is new. */
uint64_t mcq_zmtp_expiry(const struct mcq_zmtp *z);
/* true: the stream is now CLOSED for HANDSHAKE or HEARTBEAT; false: not due (re-arm with expiry),
 * or a PING is due: wants_drain tells. */
bool mcq_zmtp_expire(struct mcq_zmtp *z, uint64_t now_ns, struct mcq_proto_stats *stats);

/* Ends the stream for a reason of the caller's (LIMIT, ...); the first reason stays. For
 * INCOMPATIBLE in the handshake an ERROR command is queued for drain; the other reasons are
 * temporary, and to a libzmq peer ERROR is final, so they are told by closing (RFC 37 "Error
 * Handling"). */
void mcq_zmtp_fail(struct mcq_zmtp *z, enum mcq_reason reason);

enum mcq_reason mcq_zmtp_reason(const struct mcq_zmtp *z);
/* A sentence for a person: what the peer did wrong. Static text, or the peer's own ERROR reason
 * made printable. */
const char *mcq_zmtp_detail(const struct mcq_zmtp *z);
/* Borrowed from *z; empty before HANDSHAKE_DONE and after the peer's ERROR. */
struct mcq_slice mcq_zmtp_peer_identity(const struct mcq_zmtp *z);

/* What must hold between any two calls. Asserted at both ends of next, next_batch and drain in
 * debug builds. */
bool mcq_zmtp_invariants(const struct mcq_zmtp *z);

/* Writes a subscription (or its end) in the form the peer understands: a command for 3.1, a
 * message for all before. false: no room, nothing written. LONG whenever the body exceeds 255 bytes
 * (libzmq <= 4.3.4 gets that wrong, #4564). */
bool mcq_zmtp_put_subscription(const struct mcq_zmtp *z, struct mcq_writer *w, bool add,
                               struct mcq_slice topic);

/* "PUB" for MCQ_PUB; and back, 0 if unknown. */
const char *mcq_zmtp_type_name(enum mcq_sock_type type);
enum mcq_sock_type mcq_zmtp_type_of(struct mcq_slice name);

#endif
