/* Bridge: a channel between something on one shard and something on another: messages by
 * reference, both ways or one, and small control. It has two *ends*, one on each shard; what this
 * file describes is an end.
 *
 *      shard A                                                     shard B
 *      link's pipe --lend--> DATA {first segment, count} --mesh--> cargo --> ops->receive
 *           ^                                                        |       (a link's pattern, a
 *           +--- mcq_pipe_taken <--- TAKEN {bytes} <-----------------+        member, a peer's
 * pipe)
 *
 * Sending (an end with a link). The pipe is one as for any peer: a flush (mcq_bridge_flush, which
 * mcq_session_flush calls for a link with a bridge) freezes whole messages and sends one record
 * that says where they lie; the pipe's blocks are lent until the far end has told TAKEN. So
 * high-water marks, `slow`, drops and `writable` are the pipe's own, per bridge; the order of an
 * end's messages is kept; nothing is copied, but a flight of up to MCQ_BRIDGE_INLINE_MAX bytes
 * goes along in the record as well (a round trip spares two cache misses each way). Several
 * flights may be out; the far end's place in them is one pointer, so a stalled bridge holds
 * nothing there, and blocks no other.
 *
 * Receiving (an end whose ops has receive). Whole messages are decoded where they lie and offered.
 * What is refused (fewer than offered) waits in the sender's pipe: the end stalls until
 * mcq_bridge_resume. Frames from MCQ_PIPE_SHARE_MIN bytes up belong to an external buf of the
 * receiving shard: whoever keeps or forwards one (mcq_msg_keep, a pipe) holds the sender's block
 * by reference until the last such reference ends (kind RELEASE); all else is copied by who keeps.
 *
 * A mark is a point in the stream: mcq_bridge_mark puts it behind all that the pipe holds, and the
 * far owner hears of it between the last message before and the first one behind it. One at a time.
 *
 * Life, either end:
 *      (open) OPENING --OPENED--> OPEN --> ENDING --both have said END--> closed
 *                     --REFUSED--> closed
 * mcq_bridge_end may be called on either end, at any time, once or more. The other end hears of it
 * by ops->ended, once, before closed. closed is each end's last call, after which it is gone: by
 * then nothing that was lent is out, and nothing under way names it. What wasn't taken is still in
 * the sender's pipe. Refs carry an epoch: what comes late is recognised and counted.
 *
 * Every call below says what is *due*; it is sent at once or, if the lane is full, as soon as there
 * is room (state, not a queue: an end waits in a list of its shard). Everything goes by the bulk
 * lane, in order.
 *
 * Thread: each end its shard's. Limits: the pool "bridges", plan->bridges_max (0 with one shard);
 * MCQ_BRIDGE_BATCHES of MCQ_SESSION_BATCH_MAX messages a turn and bridge.
 */
#ifndef MCQ_SHARDS_BRIDGE_H
#define MCQ_SHARDS_BRIDGE_H

#include <monocoque/event.h>
#include <monocoque/sock.h>
#include <monocoque/stats.h>

#include "mem/arena.h"
#include "mem/list.h"
#include "mem/slice.h"
#include "runtime/timer.h"
#include "shards/cargo.h"

struct mcq_bridge;
struct mcq_link;
struct mcq_shard;

#define MCQ_BRIDGE_INLINE_MAX  256u /* bytes of a flight that also cross by value */
#define MCQ_BRIDGE_FLIGHTS_MAX 4u   /* out at a time; then the pipe gathers */
#define MCQ_BRIDGE_SEGS        64u  /* segments of a flight; more for one message */
#define MCQ_BRIDGE_BATCHES     16u  /* calls of receive for one end in a turn */
#define MCQ_BRIDGE_OPEN_MAX    768u /* bytes of what is said at open, and of its answer */
#define MCQ_BRIDGE_CONTROL_MAX 768u /* bytes of one control record */
#define MCQ_BRIDGE_MARK_MAX    32u  /* bytes of what a mark says */
#define MCQ_BRIDGE_OPENS_MAX   64u  /* that wait for their answer, of one shard; then others wait */
#define MCQ_BRIDGE_HUNGRY_NS   10000000u /* when memory was short: tried again after so long */

/* What an end is for: who answers an open on the other shard (bridge_kinds.c has a line each). */
enum mcq_bridge_kind {
    MCQ_BRIDGE_INPROC = 0, /* shards/inproc_far.h */
    MCQ_BRIDGE_MEMBER,     /* shards/member.h: between the members of a logical socket */
    MCQ_BRIDGE_PEER,       /* shards/remote.h: to a peer whose connection is on the other shard */
    MCQ_BRIDGE_KIND_CNT
};

/* An end as the other shard names it. epoch 0: none. */
struct mcq_bridge_ref {
    uint32_t slot, epoch;
};

/* What an end's owner does. A NULL slot: nothing, or never happens. All are called from the mesh's
 * part of the turn, but receive, room and closed also from mcq_bridge_run. Any bridge call is legal
 * inside, and the user's handlers may run inside. */
struct mcq_bridge_ops {
    /* Writes what the other owner is told when it opens: by the opener for the kind's accept, by
     * who has accepted for opened. Up to MCQ_BRIDGE_OPEN_MAX bytes; once, when there is room for
     * it. */
    void (*introduce)(struct mcq_bridge *b, struct mcq_writer *w);
    /* The other end is there, and has introduced itself. */
    void (*opened)(struct mcq_bridge *b, struct mcq_slice what);
    /* n messages, views borrowed until return, the array may be scribbled on. Returns how many were
     * taken; fewer: stalled until mcq_bridge_resume. */
    size_t (*receive)(struct mcq_bridge *b, struct mcq_msg *msgs, size_t n);
    /* All before a mark of the other end's was taken, and nothing behind it. */
    void (*marked)(struct mcq_bridge *b, struct mcq_slice what);
    /* So many bytes of messages, as stored, were taken by this end. */
    void (*got)(struct mcq_bridge *b, uint64_t bytes);
    /* A message that exceeds b->limits has come (it counts as taken): the owner ends the bridge or
     * counts it as lost. */
    void (*oversized)(struct mcq_bridge *b);
    /* The other end took bytes of the link's pipe: its stats are up to date. room: the pipe was
     * starved and has room again (pattern->writable is to be called). */
    void (*taken)(struct mcq_bridge *b, uint64_t bytes, bool room);
    /* The owner's own state is due (mcq_bridge_say): sends what there is by mcq_bridge_control.
     * false: the lane is full; asked again. */
    bool (*say)(struct mcq_bridge *b);
    /* What is to be said goes before messages that are sent after it. */
    bool says_first;
    /* One control record of the other end's owner. */
    void (*control)(struct mcq_bridge *b, struct mcq_slice body);
    /* mcq_bridge_hold: nothing that was lent is out any more. */
    void (*held)(struct mcq_bridge *b);
    /* The other end has ended, or refused to open. reason: as the
     * other owner gave it. lost: messages at the end of those taken that it couldn't use. The pipe
     * knows by now what was taken. */
    void (*ended)(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost);
    /* The last call; link->bridge is the owner's to clear. */
    void (*closed)(struct mcq_bridge *b);
};

enum mcq_bridge_state {
    MCQ_BRIDGE_OPENING = 0,
    MCQ_BRIDGE_OPEN,
    MCQ_BRIDGE_ENDING, /* this end has been ended, by its owner or the other end */
};

struct mcq_bridge {
    const struct mcq_bridge_ops *ops; /* the owner's, from open or accept on */
    void *ctx;                        /* the owner's */
    struct mcq_shard *shard;
    struct mcq_link *link; /* whose pipe is sent; NULL: this end doesn't send */
    struct mcq_cargo_limits limits;
    struct mcq_bridge_ref self, other;
    uint32_t to; /* the other end's shard */
    enum mcq_bridge_kind kind;
    enum mcq_bridge_state state;
    uint32_t due; /* bits, see bridge.c */
    struct mcq_node due_node;
    /* sending */
    bool marking; /* the other end hasn't come to the last mark yet */
    bool held;    /* until mcq_bridge_release */
    bool holding; /* ... and HELD hasn't come yet */
    uint32_t flight_cnt;
    uint64_t lent, taken; /* bytes, since it opened */
    uint64_t flight_end[MCQ_BRIDGE_FLIGHTS_MAX];
    /* receiving */
    bool stalled;           /* refused: waits for mcq_bridge_resume */
    struct mcq_cargo cargo; /* up to the mark */
    struct mcq_cargo behind;
    uint32_t mark_len; /* 0: no mark waits */
    uint8_t mark[MCQ_BRIDGE_MARK_MAX];
    uint64_t got, told;      /* bytes taken, and of which the other end was told */
    uint32_t kept;           /* of mcq_cargo_drop, until it is told */
    struct mcq_buf *control; /* a long one that the other end hasn't read yet; NULL: none */
    /* the end */
    enum mcq_reason reason;
    uint32_t lost;
    bool end_said, end_heard;
    bool again; /* opens anew then, to next_to */
    uint32_t next_to;
    char text[MCQ_ENDPOINT_LEN_MAX]; /* free for the owner */
    struct mcq_node owner_node;      /* likewise */
};

/* Answers an open, b->state OPENING: sets b->ops, ctx, limits and, to send as well, calls
 * mcq_bridge_join. Returns MCQ_REASON_NONE, or why not: then b is gone after return, without any
 * further call, and the opener hears of that reason. The user's handlers may run in here, and end
 * it: what is sent to the opener leaves after the answer. */
typedef enum mcq_reason mcq_bridge_accept_fn(struct mcq_bridge *b, uint32_t from,
                                             struct mcq_slice what);

/* Who couldn't even be given an end to refuse it with. */
struct mcq_bridge_refusal {
    struct mcq_bridge_ref to;
    uint32_t shard;
};

/* A shard's bridges. */
struct mcq_bridges {
    mcq_bridge_accept_fn *const *kinds; /* who answers an open, by kind */
    struct mcq_pool pool;               /* of struct mcq_bridge */
    uint32_t *epochs;                   /* per slot; odd: in use */
    struct mcq_list due;                /* ends with something due */
    struct mcq_list full;               /* ... that wait for room in a lane, */
    struct mcq_list openings;           /* ... for others to be opened, */
    struct mcq_list starved;            /* ... for memory */
    struct mcq_timer_node hungry;
    bool early;     /* the user waits until they have been run */
    uint32_t opens; /* without an answer */
    uint32_t refusal_cnt;
    struct mcq_bridge_refusal *refusals; /* MCQ_BRIDGE_OPENS_MAX per shard */
    struct mcq_bridge_stats stats;
};

/* --- life ------------------------------------------------------------------------------------ */

/* Opens a bridge to shard `to` for link's pipe (NULL: this end only receives), and sets
 * link->bridge and the pipe's flags. The owner sets limits, if it receives. NULL: the pool is
 * empty, counted. */
struct mcq_bridge *mcq_bridge_open(struct mcq_shard *sh, struct mcq_link *link, uint32_t to,
                                   enum mcq_bridge_kind kind, const struct mcq_bridge_ops *ops,
                                   void *ctx);
/* By kind, in bridge_kinds.c; NULL: INCOMPATIBLE. */
extern mcq_bridge_accept_fn *const mcq_bridge_kinds[MCQ_BRIDGE_KIND_CNT];
/* link's pipe is what it sends. */
void mcq_bridge_join(struct mcq_bridge *b, struct mcq_link *link);
/* Ends it; reason and lost are what the other owner is told. ops->receive isn't called any more. */
void mcq_bridge_end(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost);

/* --- sending --------------------------------------------------------------------------------- */

/* The pipe has something: lends and sends it, if the bridge is open and not held. */
void mcq_bridge_flush(struct mcq_bridge *b);
/* ops->say is to be called, soon. */
void mcq_bridge_say(struct mcq_bridge *b);
/* Sends one control record, made of head and body (together up to MCQ_TOPIC_LEN_MAX + 64 bytes,
 * long ones one at a time). For ops->say, or inside flush. false: not now; say is called again. */
MCQ_MUST_USE bool mcq_bridge_control(struct mcq_bridge *b, struct mcq_slice head,
                                     struct mcq_slice body);
/* May it be marked now? If not, ops->say is called when the last mark has been come to, or, *full,
 * should return false until there is room. */
bool mcq_bridge_may_mark(struct mcq_bridge *b, bool *full);
/* Lends all that the pipe holds, whatever limits its flights, and a mark behind it. what: up to
 * MCQ_BRIDGE_MARK_MAX bytes, not none. It may be marked, and isn't held until the mark was come to.
 */
void mcq_bridge_mark(struct mcq_bridge *b, struct mcq_slice what);
/* Lends nothing more, and takes back what is lent and not taken: ops->held tells when nothing is
 * out. The pipe queues on, with its marks. */
void mcq_bridge_hold(struct mcq_bridge *b);
/* Sends again. */
void mcq_bridge_release(struct mcq_bridge *b);
/* Held and told so: ends what is behind it over there, with reason, and opens it anew to another
 * shard (ops->introduce is asked again); ops->opened or ended follows. Owner, link and pipe stay as
 * they are; stays held until mcq_bridge_release. */
void mcq_bridge_retarget(struct mcq_bridge *b, uint32_t to, enum mcq_reason reason);

/* Inside ops->ended, if the other end refused to open: it is opened anew to that shard, and all
 * else stays as it is. */
void mcq_bridge_again(struct mcq_bridge *b, uint32_t to);

/* --- receiving ------------------------------------------------------------------------------- */

/* The target has room again: what was refused is offered in this turn or the next. */
void mcq_bridge_resume(struct mcq_bridge *b);
/* ... before the user is asked whether he wants that room. */
void mcq_bridge_retry(struct mcq_bridge *b);
/* Bytes that wait for that, as far as this end knows. O(segments). */
uint64_t mcq_bridge_waiting(const struct mcq_bridge *b);

/* --- the shard's ----------------------------------------------------------------------------- */

size_t mcq_bridges_footprint(uint32_t bridges_max, uint32_t shards);
MCQ_MUST_USE bool mcq_bridges_init(struct mcq_bridges *all, struct mcq_arena *arena,
                                   uint32_t bridges_max, uint32_t shards);
/* What is due, once per turn, before the turn's last mcq_mesh_publish. Returns whether something is
 * left that doesn't wait for room. Cheap when nothing is due: one load. */
bool mcq_bridges_run(struct mcq_shard *sh);
/* There is room in the lane to that shard. */
void mcq_bridges_room(struct mcq_shard *sh, uint32_t to);

/* mesh_kinds.c */
void mcq_bridge_on_open(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_opened(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_data(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_mark(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_marked(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_taken(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_control(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_ack(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_hold(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_held(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
void mcq_bridge_on_end(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);

#endif
