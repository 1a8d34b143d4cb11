/* Placement: on which shard a peer stays that a member of a logical socket has accepted. Looked at
 * once, when its handshake is done and before it is UP; one that is to be elsewhere is handed over
 * (shards/handoff) and comes up there, or stays if it can't go.
 *
 *      none      here
 *      least     on the member with the fewest connections
 *      handler   where the user's `place` says
 *
 * least: every member tells the others how many connections it has (MCQ_MESH_LOAD), once a turn in
 * which that changed, without those that are leaving it. Whoever hands one over counts it where it
 * goes until that is done: what the other tells from then on has it. So a crowd that comes at once
 * is shared out as if it came one by one; what is told late is what others have accepted meanwhile.
 *
 * Thread: the shard's. Cost: nothing but for sockets with `least`, and then O(shards) per change.
 */
#ifndef MCQ_SHARDS_PLACEMENT_H
#define MCQ_SHARDS_PLACEMENT_H

#include <monocoque/sock.h>

#include "mem/arena.h"
#include "mem/list.h"

struct mcq_link;
struct mcq_shard;
struct mcq_sock;

struct mcq_load {
    uint32_t cnt;    /* its own, or as told; UINT32_MAX: no member, as far as known */
    uint32_t coming; /* from here; of one's own: leaving */
};

struct mcq_placements {
    uint32_t shards;
    struct mcq_load *loads; /* [logical * shards + shard] */
    struct mcq_list news;   /* sockets with a number to be told */
};

size_t mcq_placement_footprint(uint32_t shards);
MCQ_MUST_USE bool mcq_placement_init(struct mcq_placements *p, struct mcq_arena *arena,
                                     uint32_t shards);

/* An accepted peer's handshake is done. true: it goes. */
bool mcq_placement_moves(struct mcq_link *link);
/* The socket has one connection more, or less. */
void mcq_placement_count(struct mcq_sock *sock, int more);
/* One is being handed over to a shard, or stays after all. */
void mcq_placement_leaves(struct mcq_sock *sock, uint32_t to, int more);
/* It has been taken there: at once when that is told, as the number told next has it. */
void mcq_placement_left(struct mcq_sock *sock, uint32_t to);
/* The socket has been opened, with its options; it ends. */
void mcq_placement_open(struct mcq_sock *sock);
void mcq_placement_close(struct mcq_sock *sock);
/* Once per turn. */
void mcq_placement_run(struct mcq_shard *sh);
/* MCQ_MESH_LOAD */
void mcq_placement_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);

#endif
