/* Claim: a link's side of the directory. A peer of a ROUTER that is a member of a logical socket is
 * up only once its identity has been granted:
 *
 *      handshake done --begin--> claimed: nothing is delivered, nobody finds it
 *            --granted--> UP, announced to all shards
 *            --refused, deadline, connection ends--> REFUSED or HANDSHAKE_FAILED
 *      up    --revoked--> ends with MCQ_REASON_REPLACED    (identity policy replace)
 *
 * Meanwhile what the peer sends waits in the session's window, as if the pattern had refused it, so
 * that receiving stops at its credit; the handshake's deadline goes on to run. A generated identity
 * that is taken after all gives way to the next. The claim is released when the link is detached:
 * from then on nothing is delivered for it.
 *
 * Thread: the shard's.
 */
#ifndef MCQ_SHARDS_CLAIM_H
#define MCQ_SHARDS_CLAIM_H

#include "shards/directory.h"

struct mcq_link;
struct mcq_shard;

/* The shard's directory; ctx is the shard, owners are links. */
extern const struct mcq_directory_ops mcq_claim_ops;

/* The handshake is done. false: there is no room for the claim, the session has been ended. */
bool mcq_claim_begin(struct mcq_link *link);
/* It is up: announces it, at once if the lanes have room. */
void mcq_claim_up(struct mcq_link *link);
/* It is detached, or never was attached and ends. */
void mcq_claim_end(struct mcq_link *link);
/* The deadline has passed without a grant: ends the session. */
void mcq_claim_late(struct mcq_link *link);
/* MCQ_MESH_DIRECTORY */
void mcq_claim_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);

#endif
