/* Group: one collective bind of a logical socket: the listeners that its members have at one
 * address, and who of them gets whom (<monocoque/steer.h>).
 *
 *      bind      the first member's takes the address: nobody else listens there, no other process
 *                claims it; an ephemeral port is chosen. The others' with the same text join it.
 *                A member that binds the same text again begins another group
 *      listen    with the first turn of any member all that have joined begin to listen at once, so
 *                that nobody is steered among a part of them; who joins later listens by itself
 *      leave     first it is steered to no more, then it accepts what still waits, then it closes;
 *                on the ebpf rung the kernel gives the others what is left, handshakes included; on
 *                those below it goes on accepting for a while, deaf to new ones, so that
 *                handshakes which are under way come to their end
 *      drain     as leave, but the bind stays, and listens again afterwards
 *
 * On the rung `handoff`, and on ipc, all members accept from one socket, each by a descriptor of
 * its own. Where the kernel doesn't follow the policy, mcq_group_place does: the shard that accepts
 * passes the descriptor on through the mesh (MCQ_MESH_ACCEPT, struct mcq_group_pass).
 *
 * The table belongs to the app; its mutex is taken at setup: bind, first turn, end, a change of the
 * rules, and the first connection after one. Groups are malloc'd.
 */
#ifndef MCQ_SHARDS_GROUP_H
#define MCQ_SHARDS_GROUP_H

#include <pthread.h>

#include "shards/endpoint.h"
#include "shards/steer.h"

struct mcq_group;
struct mcq_listener;
struct mcq_shard;

#define MCQ_GROUPS_MAX       128u /* binds of logical sockets of an app */
#define MCQ_GROUP_PASSES_MAX 256u /* connections of a shard that wait for room in the mesh */
#define MCQ_GROUP_NONE       UINT32_MAX

/* How long a listener that closes goes on accepting. Where new ones go elsewhere meanwhile, longer
 * than a round trip to most clients; where the kernel's hash still chooses it, enough for those of
 * this host: who isn't answered asks again after a second. */
#define MCQ_GROUP_GOODBYE_NS 50000000u
#define MCQ_GROUP_DEAF_NS    2000000u

struct mcq_groups {
    pthread_mutex_t mutex;
    uint32_t shard_cnt;
    uint32_t epoch;              /* of the newest group */
    struct mcq_steer_load *load; /* by shard; whole pages; NULL: no memory, all count as idle */
    int load_fd;                 /* the map that it is in; -1: none */
    struct mcq_group *at[MCQ_GROUPS_MAX];
};

/* A connection on its way to another shard: body of MCQ_MESH_ACCEPT. */
struct mcq_group_pass {
    int32_t fd;
    uint32_t logical;
    uint32_t group, epoch;
    uint32_t why; /* MCQ_STEER_WHY_* */
};

/* Those that the mesh had no room for: of the shard, in order. */
struct mcq_group_passes {
    uint32_t cnt;
    uint32_t to[MCQ_GROUP_PASSES_MAX];
    struct mcq_group_pass pass[MCQ_GROUP_PASSES_MAX];
};

void mcq_groups_init(struct mcq_groups *all, uint32_t shard_cnt);
/* After all shards have ended. */
void mcq_groups_fini(struct mcq_groups *all);

/* The bind `text` of a member. l->conn becomes its listener, l->text the actual endpoint; it is
 * silent (l->silent) if another member tells of it. Errors: as mcq_sock_bind. */
MCQ_MUST_USE enum mcq_error mcq_group_join(struct mcq_listener *l, const struct mcq_endpoint *ep,
                                           const char *text, struct mcq_detail *detail);
/* Its first turn: all members that have joined listen from now on, and this one accepts. Errors: of
 * this one: MCQ_EADDRINUSE, MCQ_EOS. */
MCQ_MUST_USE enum mcq_error mcq_group_listen(struct mcq_listener *l, struct mcq_detail *detail);
/* Its listener is about to close: mcq_group_part after so many ns, 0: now. */
MCQ_MUST_USE uint64_t mcq_group_leave(struct mcq_listener *l);
void mcq_group_part(struct mcq_listener *l);
/* Its descriptor is closed: it isn't in the kernel's group any more. mcq_group_suspended: because
 * it drains. */
void mcq_group_left(struct mcq_listener *l);
void mcq_group_suspended(struct mcq_listener *l);
/* The bind has ended for this member, and for all with the last. */
void mcq_group_quit(struct mcq_listener *l);
/* A connection that it has accepted. true: it belongs to another shard, and is on its way. */
MCQ_MUST_USE bool mcq_group_place(struct mcq_listener *l, int fd);

/* MCQ_MESH_ACCEPT. */
void mcq_group_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
/* Passes on what waits for room. Once per turn. */
void mcq_group_run(struct mcq_shard *sh);
/* What never found room is closed. */
void mcq_group_drop_passes(struct mcq_shard *sh);
/* The shard's connections have become more or fewer. */
void mcq_group_weigh(struct mcq_shard *sh);

#endif
