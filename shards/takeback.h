/* Takeback: what waits in a channel of a PUSH or DEALER for another member that has no peers any
 * more is sent again, to whoever has.
 *
 *      the other's last peer goes --> hold (bridge) --> all is here again --> balance, in turn
 *      the other has peers again  --> what is left goes there, after all
 *
 * It begins when somebody else has peers; until then it waits where it is. Order between peers was
 * never promised, so what is sent again may come behind what is newer. `slow` applies as to any
 * send; block: it waits for `writable`.
 *
 * Thread: the shard's. Cost: O(messages), large bodies by reference; MCQ_BRIDGE_BATCHES of
 * MCQ_SESSION_BATCH_MAX messages a turn and channel.
 */
#ifndef MCQ_SHARDS_TAKEBACK_H
#define MCQ_SHARDS_TAKEBACK_H

#include "shards/member.h"

/* Does what there is to do. Part of the bridge's say. false: memory is short, again. */
MCQ_MUST_USE bool mcq_takeback_run(struct mcq_channel *ch);

#endif
