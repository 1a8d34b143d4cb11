/* RAW: atomics between the posting threads and the shard; see the handshake below; mcq_post,
 * resolver and thread.c call.
 *
 * Mailbox: what a shard finds in its turn from other threads. A bounded ring of {fn, arg} with many
 * producers and one consumer (a sequence number per cell), and the handshake of sleep and wake:
 *
 *      producer: publish cell; exchange sleeping to false; whoever got true writes the eventfd
 *      shard:    exchange sleeping to true; look again; empty: sleep; then exchange it to false
 *
 * Every write of `sleeping` is an exchange, so all of them form one chain in which each sees what
 * came before the last: either the producer gets true and wakes, or the shard, looking again, finds
 * the cell. A plain store or a load in place of one would lose wakes (store-load reordering, also
 * on x86). An exchange rather than stand-alone fences, because ThreadSanitizer understands it; it
 * costs the same.
 */
#ifndef MCQ_SHARDS_MAILBOX_H
#define MCQ_SHARDS_MAILBOX_H

#include <monocoque/shard.h>

#include "mem/arena.h"

#define MCQ_MAILBOX_MAX          1024u /* posts waiting */
#define MCQ_MAILBOX_PER_TURN_MAX 128u

struct mcq_mailbox; /* private: carved from the arena */

/* Bytes of arena it takes, alignment included. */
size_t mcq_mailbox_footprint(void);
/* wake_fd: a non-blocking eventfd, borrowed; -1: nobody ever sleeps in the kernel. NULL: the arena
 * is too small. */
struct mcq_mailbox *mcq_mailbox_init(struct mcq_arena *arena, int wake_fd);
/* Thread: any. MCQ_EAGAIN: full (counted). */
enum mcq_error mcq_mailbox_post(struct mcq_mailbox *m, mcq_post_fn *fn, void *arg);
/* Async-signal-safe stop request; wakes. Thread: any, signal handlers too. */
void mcq_mailbox_stop(struct mcq_mailbox *m);
bool mcq_mailbox_stopped(const struct mcq_mailbox *m);
/* Interrupts the shard's sleep: what it should see was made visible before. Thread: any. */
void mcq_mailbox_nudge(struct mcq_mailbox *m);
/* Every post so far has been taken to run. Thread: any. */
bool mcq_mailbox_drained(const struct mcq_mailbox *m);
/* At the end: waits for the threads that are still within post or stop. What they asked for may
 * have ended the shard before they were through, and they touch the mailbox and the eventfd to the
 * last. Owner only. */
void mcq_mailbox_quiesce(const struct mcq_mailbox *m);
/* Runs up to MCQ_MAILBOX_PER_TURN_MAX posts; returns how many. Owner only. Empty: one load. */
uint32_t mcq_mailbox_run(struct mcq_mailbox *m, struct mcq_shard *shard);
bool mcq_mailbox_empty(const struct mcq_mailbox *m);
/* As mcq_loop_sleep_fn wants it (ctx: the mailbox): sleeping true: announces, then returns false if
 * there is work after all (and takes the announcement back). A stop keeps it awake once: the shard
 * has to look at mcq_mailbox_stopped every turn, and sleeps again while it ends. Owner only. */
bool mcq_mailbox_sleep(void *ctx, bool sleeping);
uint64_t mcq_mailbox_posts(const struct mcq_mailbox *m);
uint64_t mcq_mailbox_full(const struct mcq_mailbox *m);
uint64_t mcq_mailbox_wakes(const struct mcq_mailbox *m);

#endif
