/* Member: a socket's part in its logical socket, and its channels to the members on other shards.
 * PUB, XPUB, PUSH and DEALER have channels; the other types need none.
 *
 *      member A --- channel: a link without connection, a bridge both ways --- member B
 *
 * A channel's link is the socket's, with a pipe as towards a peer: high-water marks, `slow`, drops
 * and `writable` are that pipe's, and its drops are told as of nobody in particular. It is no peer:
 * it has no name, isn't counted, and no other event tells of it. What comes out of a channel goes
 * to the member's own peers alone, never on to another member.
 *
 * PUSH, DEALER: each member tells the others whether it has peers that are up. One that has none
 * gives its messages to those that have, in turn; its own peers come first. What waits in a channel
 * when the far member's last peer goes, or moves to another shard, is taken back and sent again, as
 * soon as anybody has peers (shards/takeback).
 *
 * PUB, XPUB: each member tells the others what its own peers want, as the distinct topics (its
 * summary), up to MCQ_MEMBER_TOPICS_MAX, and beyond that: everything; it filters what comes anyway.
 * So does who can't store all of another's summary, until what found no room is wanted no more.
 * With invert_matching nothing is told, and everything is sent. A change is acknowledged: an XPUB's
 * user hears of a topic, and a peer's subscription counts and its welcome is sent, once every other
 * member knows of it.
 *
 *      SUBSCRIBE, CANCEL, FLOOD ... MARK {changes so far}  -->  applied in order  -->  KNOWN
 * {changes}
 *
 * Room of a member's peers is offered by lot to the user or to a channel first, so all who wait for
 * `writable` get like shares of it. But what a channel has here is what its sender's high-water
 * mark lets it have, and more is a way through the mesh behind: with marks of a few small messages
 * the user on the peer's own shard gets many times as much. Who sends again without waiting for
 * `writable` takes what others wait for.
 *
 * All of that is state, said when there is room. Life: with the socket; a channel from the later
 * member's open to the first's end. Thread: the shard's. Limits: the pools "members", "channels".
 */
#ifndef MCQ_SHARDS_MEMBER_H
#define MCQ_SHARDS_MEMBER_H

#include "patterns/psock.h"
#include "shards/bridge.h"
#include "shards/inproc_names.h"

struct mcq_sock;

#define MCQ_MEMBER_TOPICS_MAX 1024u /* of a summary; then everything is sent */

/* A point in what a member publishes, shards/crossing.h. */
struct mcq_cut {
    struct mcq_peer peer;
    uint32_t gen, giver, taker;
    bool due;
};

struct mcq_member {
    struct mcq_sock *sock;
    uint64_t nr; /* among all that have joined: the later of two opens their channel */
    struct mcq_list channels;
    bool publishes;                     /* PUB, XPUB; else PUSH, DEALER */
    struct mcq_psock summary;           /* what its peers want, as a SUB of the other members */
    struct mcq_pattern_stats own_stats; /* of the summary: nobody's */
    uint32_t topic_cnt;                 /* in the summary */
    uint32_t left_out_cnt;              /* wanted, but not in the summary: everything is sent */
    uint64_t changes;                   /* of the summary */
    struct mcq_list crossings;          /* shards/crossing.h */
    struct mcq_cut cut;                 /* ... that this member has asked of itself */
};

/* One end of what joins two members. */
struct mcq_channel {
    struct mcq_member *member;
    struct mcq_link *link;
    struct mcq_bridge *bridge;
    struct mcq_node node;
    struct mcq_pipe told; /* stands for the other member in the summary */
    bool flood_said;      /* what it was told last */
    bool peers_said;
    uint64_t mark_said;
    uint64_t known;        /* changes that the other member has acknowledged */
    uint64_t heard;        /* MARK of the other's changes ... */
    uint64_t known_said;   /* ... that was acknowledged */
    bool peers;            /* the other has some: PUSH, DEALER */
    uint32_t left_out_cnt; /* of the other's summary, for want of room: it gets everything */
    bool flood;            /* the other wants that itself */
    bool asking;           /* the other for a cut, which hasn't come */
    struct mcq_cut cut;    /* that the other has asked for */
};

/* Whether sockets of that type have channels. */
bool mcq_member_has_channels(enum mcq_sock_type type);
/* The socket has joined the logical socket after `earlier`. Errors: MCQ_ELIMIT. */
MCQ_MUST_USE enum mcq_error mcq_member_open(struct mcq_sock *sock,
                                            const struct mcq_shard_set *earlier,
                                            struct mcq_detail *detail);
/* All channels are closed. */
void mcq_member_close(struct mcq_sock *sock);
/* There may be room for what came out of the channels; before the user is told. */
void mcq_member_writable(struct mcq_sock *sock);

/* What patterns ask of a member (patterns/pattern.h). */
void mcq_member_peers(struct mcq_member *m);
void mcq_member_wanted(struct mcq_member *m, bool added, struct mcq_slice topic);
/* The changes that all other members know of. */
uint64_t mcq_member_known(const struct mcq_member *m);
uint64_t mcq_member_unknown(const struct mcq_member *m);
/* Part of the bridge's say. false: there is no room. */
MCQ_MUST_USE bool mcq_channel_ask_cut(struct mcq_channel *ch, struct mcq_slice body);
/* Every channel has something to say. */
void mcq_member_say(struct mcq_member *m);
/* The channel's link has begun to end: nothing more is given to it. */
void mcq_channel_detach(struct mcq_channel *ch);

/* bridge_kinds.c */
enum mcq_reason mcq_member_accept(struct mcq_bridge *b, uint32_t from, struct mcq_slice what);

#endif
