/* Pipe: the queue, the credit and the policy between a socket and one peer. It belongs to the
 * link, so on a connect side it outlives connections.
 *
 * The queue is a list of segments, each a stretch of bytes in a buf: whole small messages written
 * one after the other into a transmit block, or one large body that is shared, not copied. What is
 * stored is the framing of ZMTP 2/3 (mem/frame_format.h), so sending needs no further step.
 *
 *      head                                    tail     block: open .. cursor .. limit
 *      [seg][seg] | [seg][seg][seg]  ...  [seg]  +  [ written, not sealed |  room  ]
 *       in flight     may be dropped
 *       (frozen)      or moved
 *
 * Every segment knows whether it starts and ends on a message boundary; those in flight are frozen
 * until mcq_pipe_sent. A message cut by a disconnect is sent again whole after mcq_pipe_rewind.
 *
 * A pipe that drops its oldest for the newest (sheds) keeps a quarter of its high-water marks in
 * one segment, and half of them in flight: the rest can always be dropped. One that conflates has
 * room for one message behind the one that is being sent, and each goes alone.
 *
 * Hot path: one compare of room and one countdown on one cache line (mcq_pipe_put_bytes). limit is
 * the lower of block end and byte credit; it equals cursor whenever the slow path has to look
 * (nothing marked for flush yet, no credit, reserved), countdown likewise for messages.
 *
 * Thread: the shard's. Memory: bufs from the heap, segments from a named pool; nothing is held by
 * an idle pipe.
 */
#ifndef MCQ_PATTERNS_PIPE_H
#define MCQ_PATTERNS_PIPE_H

#include <monocoque/sock.h>
#include <monocoque/stats.h>

#include "mem/buf.h"
#include "mem/frame_format.h"
#include "mem/list.h"

#define MCQ_PIPE_SHARE_MIN   16384u /* bytes of body from which it is shared instead of copied */
#define MCQ_PIPE_BURST_MAX   256u   /* messages between two looks at the time of the oldest */
#define MCQ_PIPE_RESERVE_MAX 16384u

struct mcq_psock;
struct mcq_pipe;
struct mcq_subscriber;

/* What all pipes of a shard share. */
struct mcq_pipe_env {
    struct mcq_buf_heap *heap;
    struct mcq_pool *segs; /* of struct mcq_seg */
    struct mcq_pattern_stats *stats;
    void *ctx;
    /* p has bytes to send and is not marked yet: the shard puts it in its line for this turn. */
    void (*mark)(void *ctx, struct mcq_pipe *p);
    /* p has filled a block or a burst: the shard may send now instead of at the turn's end. */
    void (*pressed)(void *ctx, struct mcq_pipe *p);
};

struct mcq_seg {
    struct mcq_seg *next;
    struct mcq_buf *buf; /* one app reference */
    const uint8_t *ptr;
    size_t len;
    uint32_t msg_cnt; /* messages that end in it */
    bool starts_msg;  /* its first byte starts a message */
    bool ends_msg;    /* its last byte ends one */
    bool alone;       /* has the block for itself: a body */
    uint8_t way;      /* how it goes to another shard, shards/handoff_pack.h */
};

struct mcq_pipe {
    /* hot line */
    uint8_t *cursor; /* where the next frame goes */
    uint8_t *limit;
    uint32_t countdown;      /* messages until the slow path looks */
    uint32_t countdown_from; /* what it was when the open stretch began or was last accounted */
    uint8_t *open;           /* start of what is written but not sealed */
    struct mcq_buf *block;   /* one app reference, NULL: none */
    struct mcq_pipe_env *env;
    struct mcq_psock *sock;
    uint64_t fanout_seq; /* PUB: the last message it was given: once, however many prefixes match */

    struct mcq_seg *head, *tail;
    struct mcq_seg *spare;  /* taken in advance, so that sealing can't fail */
    struct mcq_seg *flight; /* first segment in flight */
    struct mcq_seg *lent;   /* the last one, of mcq_pipe_lend */
    uint32_t flight_cnt;    /* segments in flight, from flight on */
    uint64_t head_sent;     /* bytes from head on that the kernel has taken; kept for a rewind */
    uint64_t queued_bytes;  /* all not yet taken by the kernel, the open stretch excluded */
    uint64_t queued_msgs;   /* ... that end in sealed segments still in the queue */
    uint64_t pool_bytes;    /* of the pools' blocks that the segments hold */
    uint32_t seg_cnt;       /* segments in the list */
    uint32_t hwm_msgs;      /* MCQ_UNLIMITED: none */
    uint64_t hwm_bytes;     /* UINT64_MAX: none */
    uint64_t msgs_out;      /* messages the kernel has taken whole */
    bool marked;            /* in the shard's line for this turn */
    bool up;                /* handshake done */
    bool connecting;        /* connect side: takes messages before it is up */
    bool starved;           /* a put was refused: tell `writable` */
    bool at_mark;           /* ... for a high-water mark, not because memory was short */
    bool sheds;             /* drop-old: short segments and flights, so that most may be dropped */
    bool conflates;         /* one message may wait; no high-water marks */
    bool ending;            /* its connection is about to be ended */
    bool whole;             /* few frames are cut by a segment: they are read where they lie */
    bool lends;             /* ... by another shard: what is in flight stays there for a while */
    bool leaving;           /* only what is queued is still sent */
    bool member;            /* leads to another member of the logical socket, not to a peer */
    bool welcomed;          /* has been sent the option `welcome` */
    bool slow;              /* at a high-water mark, and not yet down to half of it */
    bool arriving;          /* attach welcomes nobody: its peer was up on another shard */
    uint64_t dropped;       /* messages its slowness cost, of this connection */
    uint64_t slow_cnt;      /* times it became slow, of this connection */
    size_t reserved;        /* bytes of tx_reserve and one, 0: none */
    const uint8_t *reserved_at;  /* the cursor then: anything put since ends it */
    const struct mcq_seg *probe; /* of mcq_pipe_probe, while it is queued */

    /* patterns' own */
    struct mcq_node peers_node; /* socket's list of pipes */
    struct mcq_node balance_node;
    bool full; /* balance_node is in the line of full pipes */
    struct mcq_node fairq_node;
    struct mcq_node registry_node;
    struct mcq_subscriber *subscriber; /* PUB, XPUB; NULL: no subscription on this connection yet */
    uint64_t control_seq;              /* SUB: subscriptions told to this peer so far */
    uint64_t control_base;             /* SUB: what was over before it attached is never told */
    uint64_t late_cnt;                 /* REQ: replies given up on, to be dropped when they come */

    /* shards' own */
    struct mcq_node mark_node;
    struct mcq_peer peer;
    void *user; /* mcq_peer_user */
    void *link; /* struct mcq_link */
    uint8_t identity_len;
    uint8_t identity[MCQ_IDENTITY_LEN_MAX];
};

void mcq_pipe_init(struct mcq_pipe *p, struct mcq_pipe_env *env, struct mcq_psock *sock,
                   uint32_t hwm_msgs, uint64_t hwm_bytes);
/* Drops all that is queued; nothing may be in flight. Returns how many whole messages that were.
 * The pipe may be used again. */
uint64_t mcq_pipe_fini(struct mcq_pipe *p);

/* The slow path: makes room for `need` bytes of one more message, or says why not.
 * MCQ_EAGAIN: high-water mark or no block; MCQ_ETOOBIG. Sets starved on EAGAIN. */
MCQ_MUST_USE enum mcq_error mcq_pipe_room(struct mcq_pipe *p, size_t need);

/* The fast path alone: false if the slow path has to look. */
static inline bool mcq_pipe_try_bytes(struct mcq_pipe *p, const void *data, size_t len)
{
    size_t need = mcq_frame_head_len(len) + len;
    if (MCQ_UNLIKELY(need > (size_t)(p->limit - p->cursor) || p->countdown == 0))
        return false;
    uint8_t *body = mcq_frame_head_put(p->cursor, 0, len);
    mcq_bytes_copy_short(body, data, len);
    p->cursor = body + len;
    p->countdown--;
    return true;
}

/* Queues one frame of len <= MCQ_PIPE_SHARE_MIN bytes as a message; copies. */
static inline enum mcq_error mcq_pipe_put_bytes(struct mcq_pipe *p, const void *data, size_t len)
{
    while (!mcq_pipe_try_bytes(p, data, len)) {
        enum mcq_error err = mcq_pipe_room(p, mcq_frame_head_len(len) + len);
        if (err != MCQ_OK)
            return err;
    }
    return MCQ_OK;
}

/* Queues a message: the bytes of prefix (frames in stored form that come before, e.g. an
 * envelope; len 0: none), then the frames of m from `first` on. All or nothing. Bodies from
 * MCQ_PIPE_SHARE_MIN up are shared by reference if m owns them, else copied into a block of their
 * own. m is not consumed: the caller drops an owned one after success. O(frames). */
MCQ_MUST_USE enum mcq_error mcq_pipe_put(struct mcq_pipe *p, struct mcq_slice prefix,
                                         const struct mcq_msg *m, uint32_t first);

/* Queues an empty message before everything else; one that still waits there is enough. Nothing may
 * be in flight, nor cut. Marks don't count. false: no block or segment. */
MCQ_MUST_USE bool mcq_pipe_probe(struct mcq_pipe *p);
/* Could a message of len bytes be queued now, as far as credit goes? Sets starved if not. */
bool mcq_pipe_has_room(struct mcq_pipe *p, size_t len);
/* Drops the oldest messages of which the kernel has nothing, and which aren't in flight, until one
 * of `need` stored bytes has credit; none if even all of them wouldn't be enough. SIZE_MAX, and a
 * pipe that conflates: all of them. Returns how many. Users' memory may be freed in here, so its
 * owners may send. Cost: O(dropped + segments in flight). */
uint64_t mcq_pipe_drop_old(struct mcq_pipe *p, size_t need);
/* Bytes that prefix and the frames of m from `first` on take in a queue. O(frames). */
size_t mcq_pipe_need(struct mcq_slice prefix, const struct mcq_msg *m, uint32_t first);

/* mcq_tx_reserve / mcq_tx_commit on this pipe. */
MCQ_MUST_USE enum mcq_error mcq_pipe_reserve(struct mcq_pipe *p, size_t len, void **at);
MCQ_MUST_USE enum mcq_error mcq_pipe_commit(struct mcq_pipe *p, size_t len);
/* The turn ends: what was reserved and not committed is forgotten. */
void mcq_pipe_forget(struct mcq_pipe *p);

/* Anything not yet taken by the kernel? */
bool mcq_pipe_empty(const struct mcq_pipe *p);
uint64_t mcq_pipe_queued_msgs(const struct mcq_pipe *p);
uint64_t mcq_pipe_queued_bytes(const struct mcq_pipe *p);
/* True if the next byte to send starts a message: control may be sent before it. */
bool mcq_pipe_at_boundary(const struct mcq_pipe *p);

/* Freezes up to max segments and about bytes_max bytes from the head into out[0, *cnt) and returns
 * their bytes. Nothing may be in flight. Unless the first message alone exceeds bytes_max, the end
 * is a message boundary. The blocks carry a transmit reference until mcq_pipe_sent. */
size_t mcq_pipe_gather(struct mcq_pipe *p, struct mcq_slice *out, uint32_t max, size_t bytes_max,
                       uint32_t *cnt);
/* The kernel took len of the bytes in flight; nothing is in flight now. Returns true if a starved
 * pipe has room again (half of its high-water mark): call the pattern's writable. */
bool mcq_pipe_sent(struct mcq_pipe *p, size_t len);

/* Segments that somebody reads where they lie, from `off` in the first on: whole messages. */
struct mcq_pipe_run {
    const struct mcq_seg *seg;
    size_t off;
    uint32_t cnt;
    uint64_t bytes;
};
/* Freezes up to max segments behind those in flight, more if it takes more for one message; cnt 0:
 * there is none. Instead of gather, in a pipe that is whole. */
void mcq_pipe_lend(struct mcq_pipe *p, uint32_t max, struct mcq_pipe_run *run);
/* len bytes from the front of what is lent were taken, whole messages; the rest stays lent. Returns
 * as mcq_pipe_sent. */
bool mcq_pipe_taken(struct mcq_pipe *p, size_t len);
/* Nothing is lent any more: what wasn't taken is queued as before. */
void mcq_pipe_recall(struct mcq_pipe *p);
/* The connection is gone and nothing is in flight: the message that was cut is whole again.
 * Returns true if there was one. */
bool mcq_pipe_rewind(struct mcq_pipe *p);

/* --- from one pipe to another ---------------------------------------------------------------- */

/* What waited in a pipe. */
struct mcq_pipe_queue {
    struct mcq_seg *head, *tail;
    uint64_t head_sent; /* as in the pipe */
    uint64_t bytes, msgs, pool_bytes;
    uint32_t seg_cnt;
};

/* What is in flight isn't any more, and nothing of it has been sent: all of it may leave. */
void mcq_pipe_land(struct mcq_pipe *p);
/* The pools' bytes that seg holds. */
size_t mcq_pipe_seg_bytes(const struct mcq_seg *seg);
/* Everything leaves p, a cut message included; nothing is in flight. p may be used again. */
void mcq_pipe_take_out(struct mcq_pipe *p, struct mcq_pipe_queue *q);
/* Other high-water marks from now on. */
void mcq_pipe_set_marks(struct mcq_pipe *p, uint32_t hwm_msgs, uint64_t hwm_bytes);
/* q, of p's own segments and bufs, goes before all that p holds, of which the kernel has nothing if
 * it has some of q. Credit isn't asked for. q is empty then. */
void mcq_pipe_put_back(struct mcq_pipe *p, struct mcq_pipe_queue *q);

#endif
