/* Inproc between shards: a link of one and a link of another, joined by a bridge that carries both
 * ways; what inproc.h says holds here as well, but for these:
 *
 *      connect: CONNECTING -> OPEN -> ACCEPTED, UP -> OPENED -> CONNECTED, UP
 *
 * The accepted side is up first. What one side sends waits in its own pipe until the other has
 * taken it, as over a wire. Each side hears of the pair's end when both have agreed on what was
 * taken. Subscriptions cross as control, before the messages sent after them.
 *
 * Names are the app's (shards/inproc_names.h). A shard that looked for one nobody had is told by a
 * record without a body (INPROC_BOUND) to look again.
 *
 * Thread: the shard's.
 */
#ifndef MCQ_SHARDS_INPROC_FAR_H
#define MCQ_SHARDS_INPROC_FAR_H

#include "shards/bridge.h"

struct mcq_listener;

/* A connect's try, to a name of another shard. */
void mcq_inproc_far_connect(struct mcq_link *link, uint32_t to);
/* Tells the shards in sh->inproc.tell, as far as there is room. */
void mcq_inproc_far_tell(struct mcq_shard *sh);

/* bridge_kinds.c, mesh_kinds.c */
enum mcq_reason mcq_inproc_far_accept(struct mcq_bridge *b, uint32_t from, struct mcq_slice what);
void mcq_inproc_far_bound(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);

#endif
