/* Crossing: a subscriber on its way between two members of a logical PUB or XPUB, so that it gets
 * what each member publishes once and in order.
 *
 *      any member X             giver (its peer still)          taker (its peer already)
 *                                                               subscribes; all know what it wants
 *         <--------------------------- please cut ------------------
 *      a point between two
 *      of its messages
 *         ------ mark ------->  before it: to the peer
 *         ------------------------------- mark -------------------> behind it: to the peer
 *                               has every member's: its queue goes to the taker
 *
 * The marks lie in the channels' streams, behind what X had published by then (mcq_bridge_mark), so
 * each side switches for X at the same message. A member's cut of what it publishes itself is made
 * on the spot: by the giver when it sends the taker a mark, by the taker likewise. The giver's
 * queue, whole when all have cut, goes before what the taker has collected (shards/handoff: GO),
 * whose own marks may come later still: until then the peer stays.
 *
 * A taker asks each member for one cut at a time; a member cuts when neither channel has a mark on
 * its way. Who has no channel (any more) to a side publishes nothing there, and isn't waited for.
 *
 * With slow = block a peer on its way takes all that comes by channels, or it would wait for
 * itself: that is no more than they hold, which are full at their own marks. What is published
 * where it is waits for it as ever, and its next move until it is within its marks again: so its
 * queue doesn't grow by moves. It waits for those that are full, as everything published does.
 *
 * A member that leaves and joins again is another one: of what it publishes then, the peer gets all
 * on the taker's side if the giver has let go of it, else it is asked for a cut anew.
 *
 * Thread: the shard's. Limits: the pool "crossings", two for each move of a shard's: a taker that
 * finds none refuses the peer.
 */
#ifndef MCQ_SHARDS_CROSSING_H
#define MCQ_SHARDS_CROSSING_H

#include "shards/inproc_names.h"
#include "shards/member.h"

struct mcq_move;

/* One side of it, of the peer's link there. */
struct mcq_crossing {
    struct mcq_node node; /* in the member's */
    struct mcq_member *member;
    struct mcq_link *link;
    struct mcq_peer peer;
    uint32_t gen, giver, taker;
    bool subscribed;            /* taker: to what it was over there */
    bool ready;                 /* taker: every member knows what the peer wants */
    bool here;                  /* taker: the giver has let go of it */
    uint64_t changes;           /* taker: of the summary, with what the peer wants */
    struct mcq_shard_set cut;   /* members whose mark has come */
    struct mcq_shard_set asked; /* taker */
};

/* The link's peer is about to leave, or to come: nothing happens if it has none to cross. false:
 * the pool is empty. */
MCQ_MUST_USE bool mcq_crossing_begin(struct mcq_link *link, const struct mcq_move *m);
/* Taker: it is subscribed here to what it is subscribed to there. */
void mcq_crossing_subscribed(struct mcq_link *link);
/* Giver: nothing more comes for the peer; true also without a crossing. */
bool mcq_crossing_done(const struct mcq_link *link);
/* Taker: the giver has let go of the peer, whose high-water marks count again. */
void mcq_crossing_arrived(struct mcq_link *link);
/* It isn't to move (again) yet. */
bool mcq_crossing_ties(const struct mcq_link *link);
/* Ends it, in any state. Harmless if there is none. */
void mcq_crossing_end(struct mcq_link *link);

/* --- for the member alone -------------------------------------------------------------------- */

/* What the channels know, or which there are, has changed. */
void mcq_crossing_check(struct mcq_member *m);
/* The other member is gone. */
void mcq_crossing_left(struct mcq_channel *ch);
/* Before what shard `from` has published is given to peers, and after with the own one. */
void mcq_crossing_mute(struct mcq_member *m, uint32_t from);
/* The other member asks for a cut; its mark has come. */
void mcq_crossing_asked(struct mcq_channel *ch, struct mcq_slice body);
void mcq_crossing_cut(struct mcq_channel *ch, struct mcq_slice body);
/* Asks, and cuts, as far as it can be done now. Part of the bridge's say. false: there is no room.
 */
MCQ_MUST_USE bool mcq_crossing_say(struct mcq_channel *ch);

#endif
