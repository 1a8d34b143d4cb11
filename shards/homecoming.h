/* Homecoming: what is left between shards when all have taken their last turns and on_stop has been
 * told everywhere: references to other shards' blocks that were dropped as late as that, records
 * that came after the last look, connections that were being passed on. Every shard sends home what
 * it owes and takes what is its own, until nothing is on its way between any two.
 *
 * Nothing else moves any more, but for the program's mcq_free_fn of memory that comes home.
 *
 * Thread: each shard's, all at once; waits for the others.
 */
#ifndef MCQ_SHARDS_HOMECOMING_H
#define MCQ_SHARDS_HOMECOMING_H

#include <monocoque/base.h>

struct mcq_roster;
struct mcq_shard;

/* After on_stop. sh: NULL for a shard that couldn't be set up. */
void mcq_homecoming_run(struct mcq_roster *r, uint32_t id, struct mcq_shard *sh);
/* One look of it. false: there was nothing to carry. */
bool mcq_homecoming_carry(struct mcq_shard *sh);
/* For a shard that has no thread. Thread: any. */
void mcq_homecoming_skip(struct mcq_roster *r, uint32_t id);

#endif
