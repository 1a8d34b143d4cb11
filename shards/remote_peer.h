/* Remote peer: a peer of a logical ROUTER whose connection is on another shard, as this shard sends
 * to it: a link without connection, with a pipe and a bridge to the peer's shard.
 *
 *      here: mcq_send, mcq_send_to                     there: the peer's link
 *      pipe (high-water marks, slow, writable) --bridge--> its pipe --> the wire
 *
 * It is made by the first send, under the peer's own name (shards/alias), and ends with the peer:
 * what still waits here is dropped and told, with the reason the peer ended for, and the name is
 * stale from the moment that is known. Over there a full pipe takes nothing, whatever the socket's
 * `slow` is: the messages wait here, where `slow` decides. SLOW, SLOW_END and DROPPED of what waits
 * here are told here; UP and DISCONNECTED where the connection is.
 *
 * A name can be heard of (in a post) before the directory has told of it: it is believed, and what
 * was sent to it is dropped and told if nobody there has that name. Of names that have gone a shard
 * remembers the last MCQ_REMOTE_PEER_DEAD_MAX, roughly: one older than that is believed again.
 *
 * mcq_peer_close and mcq_peer_kill reach the peer through its bridge; user pointer and stats are
 * this shard's own; a peer is resumed where its messages are delivered.
 *
 * Thread: the shard's. Limits: links (connections_max), bridges; MCQ_ELIMIT, counted.
 */
#ifndef MCQ_SHARDS_REMOTE_PEER_H
#define MCQ_SHARDS_REMOTE_PEER_H

#include <monocoque/event.h>
#include <monocoque/sock.h>

#include "mem/arena.h"
#include "mem/slice.h"

struct mcq_bridge;
struct mcq_link;

#define MCQ_REMOTE_PEER_DEAD_MAX 4096u /* a power of two */

/* Names of other shards' peers that have gone: of each slot, as far as they don't meet, the newest.
 */
struct mcq_remote_dead {
    uint64_t *at; /* NULL: one shard */
};

size_t mcq_remote_dead_footprint(uint32_t shards);
MCQ_MUST_USE bool mcq_remote_dead_init(struct mcq_remote_dead *d, struct mcq_arena *arena,
                                       uint32_t shards);
void mcq_remote_dead_add(struct mcq_remote_dead *d, struct mcq_peer peer);
bool mcq_remote_dead_has(const struct mcq_remote_dead *d, struct mcq_peer peer);

/* The link by which sock sends to that peer of another shard; it had none. NULL: *err is why not,
 * MCQ_ESTALE or MCQ_ELIMIT. */
struct mcq_link *mcq_remote_peer_reach(struct mcq_sock *sock, struct mcq_peer peer,
                                       enum mcq_error *err);
/* The same for who has that identity. NULL and MCQ_ENOENT: nobody elsewhere. */
struct mcq_link *mcq_remote_peer_find(struct mcq_sock *sock, struct mcq_slice identity,
                                      enum mcq_error *err);
/* The peer has gone; what is known of how comes by its bridge. Harmless if it isn't sent to. */
void mcq_remote_peer_gone(struct mcq_shard *sh, struct mcq_peer peer);
/* Why its bridge ends, to its peer's shard: KILLED and SLOW end the peer at once, LOCAL orderly,
 * NONE is this side's affair alone. */
enum mcq_reason mcq_remote_peer_echo(const struct mcq_link *link);

/* OWNER has come (shards/handoff), to a link that may have been made in the middle of the move: its
 * bridge goes where the peer is, unless the peer is about to leave there, too. */
void mcq_remote_peer_follow(struct mcq_link *link);
/* The peer comes here (shards/handoff). May its stand-in go? Only if nothing of it is on its way.
 */
bool mcq_remote_peer_may_part(const struct mcq_link *link);
/* What waits in it goes on in `heir`; it ends without a word. */
void mcq_remote_peer_give_way(struct mcq_link *link, struct mcq_link *heir);

/* --- where the connection is ----------------------------------------------------------------- */

/* MCQ_BRIDGE_PEER */
enum mcq_reason mcq_remote_peer_accept(struct mcq_bridge *b, uint32_t from, struct mcq_slice what);
/* The link's pipe has room again: for those on other shards, too. */
void mcq_remote_peer_room(struct mcq_link *link);
/* The link is detached: whoever sends to it from elsewhere ends. */
void mcq_remote_peer_leave(struct mcq_link *link);

/* The peer goes to another shard: who sends to it from elsewhere follows. */
void mcq_remote_peer_part(struct mcq_link *link);

#endif
