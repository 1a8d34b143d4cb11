/* Remote references: blocks of one shard that another one reads.
 *
 * A block's counts belong to its owner's thread. What crosses is one reference at a time, taken by
 * the owner (lend) and given back by a record home (MCQ_MESH_RELEASE, urgent lane), which the owner
 * turns into an unref. The holder wraps it into an EXTERNAL buf of its own heap (hold), with counts
 * of its own; when that buf ends, the reference is due.
 *
 * A reference on its way home can't be refused and can't be lost: the node that it had from the
 * pool all along is what waits in the list of its owner, until a record has room for it. One
 * record brings up to MCQ_REMOTE_BATCH_CNT home.
 *
 *      owner   lend: app_cnt + 1, out + 1 ............................ arrived: unref, out - 1
 *      holder        hold: an EXTERNAL buf ... its end: due ... run: sent
 *
 * Invariant: app_cnt of a lent block counts every reference that is out, so no block is reused
 * while anybody may read it. Arenas are unmapped when mcq_remote_out_cnt is 0 on all shards.
 * Thread: the shard's own.
 */
#ifndef MCQ_SHARDS_REMOTE_REF_H
#define MCQ_SHARDS_REMOTE_REF_H

#include "mem/buf.h"
#include "shards/mesh.h"

#define MCQ_REMOTE_BATCH_CNT (MCQ_MESH_RECORD_MAX / sizeof(uint32_t))

/* One reference to a block of another shard. */
struct mcq_remote_ref {
    struct mcq_remote_ref *next; /* while it is due */
    struct mcq_shard *shard;     /* the holder */
    uint32_t owner, idx;         /* whose block, and which: mcq_buf.idx */
};

struct mcq_remote {
    struct mcq_pool refs;
    uint64_t out;     /* references that this shard has lent and that aren't home */
    uint32_t due_cnt; /* references that this shard is to bring home */
    uint64_t owners[MCQ_SHARDS_MAX / 64];       /* bits: whose */
    struct mcq_remote_ref *due[MCQ_SHARDS_MAX]; /* by owner */
};

/* Bytes of arena for refs_max references held at once. */
size_t mcq_remote_footprint(uint32_t refs_max);
/* false: the arena is too small. */
MCQ_MUST_USE bool mcq_remote_init(struct mcq_remote *r, struct mcq_arena *arena, uint32_t refs_max);

/* Owner: one more reference to b is out. Returns what names it. */
uint32_t mcq_remote_lend(struct mcq_shard *sh, struct mcq_buf *b);
/* Holder: gives an external buf over data[0, len), which lie in block idx of shard owner, app_cnt
 * 1; its end brings the reference home. NULL: no reference or descriptor is left (counted): the
 * caller still has the reference, may copy, and gives it back in a way of its own. */
struct mcq_buf *mcq_remote_hold(struct mcq_shard *sh, uint32_t owner, uint32_t idx,
                                const void *data, size_t len);
/* Holder: a reference that needs no buf: it is due at once. refs isn't empty. */
void mcq_remote_give_back(struct mcq_shard *sh, uint32_t owner, uint32_t idx);
/* Is b such a buf? Then whose block it is, and which. */
MCQ_MUST_USE bool mcq_remote_is_held(const struct mcq_buf *b, uint32_t *owner, uint32_t *idx);
/* Holder: b's reference is another's from now on: its end brings nothing home. */
void mcq_remote_forget(struct mcq_shard *sh, struct mcq_buf *b);
/* Owner: a reference of the caller's is now one that is out; one that was out is the caller's. */
void mcq_remote_went(struct mcq_shard *sh);
void mcq_remote_came(struct mcq_shard *sh);
/* Sends home what is due, as far as there is room. Once per turn; empty: one load. true: something
 * is left, for which room is waited. */
bool mcq_remote_run(struct mcq_shard *sh);
/* MCQ_MESH_RELEASE; body: idx of each, u32. */
void mcq_remote_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);

/* References that this shard has lent and that aren't home; that it holds of others, due ones
 * included. */
uint64_t mcq_remote_out_cnt(const struct mcq_shard *sh);
uint32_t mcq_remote_held_cnt(const struct mcq_shard *sh);

#endif
