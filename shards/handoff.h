/* Handoff: a live connection goes from one shard to another (docs/adr/0011).
 *
 *      giver                       taker                     all others
 *      ASKED  tied: wait
 *      FREEZING  nothing is delivered or sent; the kernel gives back what it holds
 *      ANNOUNCED ----- MOVING ------------------------------> hold what they have for the peer
 *                <---- HELD --------------------------------
 *      OFFERED ------- OFFER ----> takes or refuses all
 *         (refused: back to where it was, `moved` says so)
 *      `moved`, LEFT <- TAKEN ---- has a place, a descriptor and copies; waits
 *         ------------ GO -------> `moved`, delivers, sends
 *                                  OWNER ------------------> to the new shard from now on
 *      free <--------- DONE ------ what was sent meanwhile is there, too
 *
 * Until it is told TAKEN the giver keeps everything, the connection's slot included; until it is
 * told GO the taker does nothing with it: so one of both has it at any time, and a refusal has
 * nothing to undo but the taker's own copies. What is sent to the peer on the giver's shard between
 * OFFER and TAKEN waits in its link's pipe and follows with GO, before what the taker's shard has
 * queued meanwhile.
 *
 * The record of a move is the giver's, from a pool; it is linked into whoever's due list has to say
 * the next word, so a full ring delays a word and loses none.
 *
 * Names. A peer's home is the shard where it came up. There its slot stays: as a link without
 * connection (`away`) that knows the owner, until the peer's session ends (END). Elsewhere a name
 * is found by the table of aliases. Each move has a number of the peer's (gen): an announcement
 * with an older one is of yesterday. Requests for a peer that is not here (move, close, kill) go to
 * its home, and on to the owner; a name is a number that anybody may have, so they say of which
 * logical socket they are, and aren't complied with for a peer of another one's.
 *
 * A subscriber is given what is published on one of the two shards, and on the other from one
 * message on: TAKEN waits for that (shards/crossing).
 *
 * A claim to the peer's identity (shards/directory) goes with GO: given up in silence on one shard
 * and announced from the other.
 *
 * Tied: a claim that not everyone has heard of; a REP whose reply is due to the peer, a REQ whose
 * reply is due from it. The move waits. It also waits for one delivery of what is there, and one
 * flush and one receive come before it: so however often somebody moves a peer on, its messages get
 * through. While it is frozen its time stands still: nobody has listened.
 *
 * Thread: the shard's. Cost: O(what waits), large bodies by reference.
 */
#ifndef MCQ_SHARDS_HANDOFF_H
#define MCQ_SHARDS_HANDOFF_H

#include "mem/pool.h"
#include "runtime/conn.h"
#include "shards/handoff_pack.h"
#include "shards/link.h"

#define MCQ_HANDOFF_MOVES_MAX 512u  /* of a shard's connections at once */
#define MCQ_HANDOFF_ASKS_MAX  1024u /* requests that wait for a ring's room */
#define MCQ_HANDOFF_HOPS_MAX  64u   /* of a request that looks for its peer */

enum mcq_move_state {
    MCQ_MOVE_ASKED = 0,
    MCQ_MOVE_FREEZING,
    MCQ_MOVE_ANNOUNCED,
    MCQ_MOVE_OFFERED,
    MCQ_MOVE_LEFT
};

/* What a record says. */
enum mcq_move_word {
    MCQ_MOVE_SILENT = 0,
    MCQ_MOVE_MOVING,
    MCQ_MOVE_HELD,
    MCQ_MOVE_OFFER,
    MCQ_MOVE_TAKEN,
    MCQ_MOVE_REFUSED,
    MCQ_MOVE_GO,
    MCQ_MOVE_DONE,
    MCQ_MOVE_OWNER,
    MCQ_MOVE_END,
    MCQ_MOVE_ASK, /* requests: please move, close, kill */
    MCQ_MOVE_CLOSE,
    MCQ_MOVE_KILL
};

/* MCQ_MESH_MOVE */
struct mcq_move_record {
    uint16_t word; /* enum mcq_move_word */
    uint16_t hops;
    uint32_t shard; /* MOVING, ASK: where to; OWNER: who */
    uint32_t gen;
    uint32_t serial; /* MOVING, HELD: of the giver's move */
    uint32_t life;   /* requests: of the logical socket whose peer is meant */
    struct mcq_peer peer;
    struct mcq_move *move;
};

/* What of a pipe goes along, beside its queue. With GO dropped and slow_cnt are those since OFFER.
 */
struct mcq_move_pipe {
    uint64_t msgs_out, dropped, slow_cnt, late_cnt;
    bool starved, at_mark, slow, slow_told;
    void *user;
};

struct mcq_move {
    struct mcq_node node; /* in due, or in tied */
    struct mcq_link *link;
    struct mcq_link *taken; /* the taker's */
    uint32_t from, to, gen, serial, logical, life;
    enum mcq_move_state state;
    enum mcq_move_word say; /* to say_to: still to be said */
    uint32_t say_to;
    uint32_t next, held_cnt; /* MOVING: shards told, shards that answered */
    uint64_t turn;           /* it was asked for in */
    uint64_t frozen_ns;      /* since when; 0: not yet */
    enum mcq_move_word wish; /* what was asked for meanwhile: CLOSE, KILL */
    bool up;                 /* the peer has a name */
    uint64_t generation;     /* of the claim to its identity, shards/directory */
    enum mcq_way win_way;
    struct mcq_peer peer;
    struct mcq_conn_parcel conn;
    struct mcq_move_pipe pipe;
    struct mcq_pipe_queue queue, late;
    uint32_t late_ahead;    /* of late, the taker may send it all before it says DONE */
    struct mcq_buf *topics; /* SUB, XSUB: what the publisher was told; NULL: nothing */
};

struct mcq_handoff {
    struct mcq_pool moves;
    struct mcq_pool crossings; /* of subscribers, on both sides */
    struct mcq_list due;       /* moves with a word to be said */
    struct mcq_list tied;      /* ... that wait for a reply */
    struct mcq_list news;      /* links with something to be told to all */
    uint64_t turn;
    uint32_t serial;
    uint32_t ask_cnt, ask_max;
    struct mcq_handoff_ask {
        uint32_t to;
        struct mcq_move_record record;
    } * asks; /* answers HELD as well, of which there is one per move of the others at most */
};

/* shards: of the app. */
size_t mcq_handoff_footprint(uint32_t moves_max, uint32_t shards);
MCQ_MUST_USE bool mcq_handoff_init(struct mcq_handoff *h, struct mcq_arena *arena,
                                   uint32_t moves_max, uint32_t shards);

/* Begins to move the link's connection. A peer that isn't up yet comes up over there. Errors:
 * MCQ_EAGAIN. */
MCQ_MUST_USE enum mcq_error mcq_handoff_begin(struct mcq_link *link, uint32_t to);
/* MCQ_IO_FROZEN */
void mcq_handoff_frozen(struct mcq_link *link);
/* The link's session is about to end, or to close: it stays. Harmless if it doesn't move. */
void mcq_handoff_call_off(struct mcq_link *link);
/* The peer's session has ended: whoever knows its name hears of it. */
void mcq_handoff_ended(struct mcq_link *link);
/* A stand-in's bridge holds, as it was asked to, or has ended: its peer may leave its shard. */
void mcq_handoff_held(struct mcq_link *link);
/* A request about a peer of sock's logical socket that is not here; whose peer it is is looked at
 * there. link: its stand-in, NULL: none. Errors: MCQ_EAGAIN. */
MCQ_MUST_USE enum mcq_error mcq_handoff_ask(const struct mcq_sock *sock, struct mcq_peer peer,
                                            const struct mcq_link *link, enum mcq_move_word word,
                                            uint32_t to);
/* Says what is due. Once per turn, if there is something. true: the next turn shall come at once.
 */
bool mcq_handoff_run(struct mcq_shard *sh);
static inline bool mcq_handoff_is_due(const struct mcq_handoff *h)
{
    return !mcq_list_empty(&h->due) || !mcq_list_empty(&h->tied) || !mcq_list_empty(&h->news) ||
           h->ask_cnt != 0;
}
bool mcq_handoff_idle(const struct mcq_handoff *h);
/* MCQ_MESH_MOVE */
void mcq_handoff_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);

/* --- handoff_names.c -------------------------------------------------------------------------- */

/* false: no room. */
MCQ_MUST_USE bool mcq_handoff_send(struct mcq_shard *sh, uint32_t to,
                                   const struct mcq_move_record *r);
/* Whichever link of this shard has that name, of any socket. */
struct mcq_link *mcq_handoff_link_named(struct mcq_shard *sh, struct mcq_peer peer);
/* OWNER, END, and requests. */
void mcq_handoff_owner_told(struct mcq_shard *sh, const struct mcq_move_record *r);
void mcq_handoff_end_told(struct mcq_shard *sh, const struct mcq_move_record *r);
void mcq_handoff_asked(struct mcq_shard *sh, const struct mcq_move_record *r);
/* What has to go on, and can't be refused any more, waits for room. */
void mcq_handoff_ask_on(struct mcq_shard *sh, uint32_t to, const struct mcq_move_record *r);
void mcq_handoff_run_news(struct mcq_shard *sh);
void mcq_handoff_run_asks(struct mcq_shard *sh);

/* --- handoff_topics.c: of SUB and XSUB -------------------------------------------------------- */

/* The giver's list, for the taker. false: no memory. */
MCQ_MUST_USE bool mcq_handoff_give_topics(struct mcq_move *m);
MCQ_MUST_USE bool mcq_handoff_take_topics(struct mcq_link *link, const struct mcq_move *m);
/* A topic that the publisher was told of by another member, and that nobody here wants:
 * it has to hear of that. false: none. The caller says when it has. */
bool mcq_handoff_next_topic(struct mcq_link *link, struct mcq_slice *topic);
void mcq_handoff_topic_told(struct mcq_link *link, struct mcq_slice topic);
void mcq_handoff_drop_topics(struct mcq_link *link);

/* --- handoff_take.c: the taker's part ------------------------------------------------------- */

/* What this shard has sent to the peer by another one's link is at rest. false: soon. */
MCQ_MUST_USE bool mcq_handoff_ready(struct mcq_shard *sh, const struct mcq_move *m);
/* false: refused, and nothing of it is here. */
MCQ_MUST_USE bool mcq_handoff_take(struct mcq_shard *sh, struct mcq_move *m);
/* GO. false: no memory for what followed; again. */
MCQ_MUST_USE bool mcq_handoff_go(struct mcq_shard *sh, struct mcq_move *m);
/* All shards shall hear that the link's peer is here. */
void mcq_handoff_news(struct mcq_link *link, enum mcq_move_word word);
/* Says `word` of m to a shard, as soon as there is room. */
void mcq_handoff_say(struct mcq_shard *sh, struct mcq_move *m, enum mcq_move_word word,
                     uint32_t to);

#endif
