/* Inproc: two links of one shard joined, in place of a connection and ZMTP.
 *
 *      sender's pipe --gather--> views into its blocks --> partner's pattern->receive
 *           |                                                       |
 *           +--- what was consumed is sent, what was refused stays <-+
 *
 * Both ends are links as for any peer, with a pipe each. At the flush point of the turn a link
 * with something queued joins the line of those that are due; its turn there decodes what is queued
 * where it lies and offers it to the partner. The views' owner is the sender's block, so nothing is
 * copied, and mcq_msg_keep works as for what was received; only a body of 32 to 128 KiB that the
 * sender lent, and that was copied over several blocks, is joined in one. What the partner refuses
 * (paused, or a pattern that waits) stays in the sender's queue and counts against its high-water
 * mark; there is no second queue.
 *
 * Names belong to the app (shards/inproc_names.h): a listener without a connection holds one. This
 * file joins links of one shard; a name of another one's is shards/inproc_far's affair. A connect
 * to a name nobody has waits for it, without retries. A pair that has come up ends as one: both
 * sides are told in one go, from the loop, whoever ended it; then the connect side tries again as
 * any connect does.
 *
 * A handler's sends to its peer are offered in a later hop: the shard makes MCQ_SHARD_HOPS_MAX of
 * them in one turn, or as many as it takes for MCQ_SHARD_HOPPED_MAX messages, and goes on in the
 * next, without sleeping. No system call, no descriptor, no
 * slot of a connection.
 *
 * Limits of messages are those of the receiving socket's options: one beyond them is taken from the
 * queue and reported as lost, and the pair ends with MCQ_REASON_LIMIT, as on a wire.
 *
 * Thread: the shard's. Cost: O(messages); a name is looked for among the shard's listeners.
 */
#ifndef MCQ_SHARDS_INPROC_H
#define MCQ_SHARDS_INPROC_H

#include <monocoque/event.h>
#include <monocoque/sock.h>

#include "mem/list.h"
#include "mem/slice.h"
#include "shards/inproc_names.h"

struct mcq_link;
struct mcq_listener;
struct mcq_shard;

#define MCQ_INPROC_SEGS    64u /* of a sender's queue, looked at in one hop; more for one message */
#define MCQ_INPROC_SUBS    256u /* subscriptions told in one hop */
#define MCQ_INPROC_BATCHES 4u   /* calls of the receiver's pattern in one hop */

/* A link's part. */
struct mcq_inproc_side {
    struct mcq_link *partner;     /* NULL: not joined */
    struct mcq_node node;         /* in due, or in waiting */
    uint64_t bytes_in, bytes_out; /* of this pair, as stored */
    uint64_t lost; /* messages at the end of msgs_out that the partner couldn't take */
};

/* The shard's part. */
struct mcq_inproc {
    struct mcq_list due;       /* links with something for their partner, or that have ended */
    struct mcq_list waiting;   /* connects to names nobody has */
    struct mcq_list names;     /* listeners */
    struct mcq_shard_set tell; /* shards that look for a name, and are to look again */
    bool tells;                /* there are any */
    uint8_t topic[MCQ_TOPIC_LEN_MAX]; /* scratch of one hop */
};

void mcq_inproc_init(struct mcq_inproc *in);

/* Enters the listener under that name, and writes its endpoint. Errors: MCQ_EADDRINUSE. */
MCQ_MUST_USE enum mcq_error mcq_inproc_bind(struct mcq_listener *l, const char *name,
                                            struct mcq_detail *detail);
/* The listener has been announced: those who wait for its name try again. */
void mcq_inproc_bound(struct mcq_listener *l);
/* Nobody finds it any more; harmless if it has no name. */
void mcq_inproc_unbind(struct mcq_listener *l);

/* The socket that has the name on this shard, and has been announced; NULL: none. */
struct mcq_sock *mcq_inproc_find(struct mcq_shard *sh, const char *text);
/* The connects that wait for that name try again; NULL: for any. */
void mcq_inproc_look_again(struct mcq_shard *sh, const char *text);
/* The two socket types may not meet: ends it. */
void mcq_inproc_misfit(struct mcq_link *link);
/* What its end is to the other side: as it would be told over a wire. */
enum mcq_reason mcq_inproc_echo(const struct mcq_link *link);
/* A connect's try: joins it with a new link of whoever has the name, or lets it wait. */
void mcq_inproc_connect(struct mcq_link *link);
/* The link has something for its partner, or has ended: its turn comes. Harmless without one. */
void mcq_inproc_due(struct mcq_link *link);
/* One hop for each link that is due. Returns how many messages were consumed. */
uint64_t mcq_inproc_run(struct mcq_shard *sh);
/* A link's hop: subscriptions and messages. Both sides are joined and haven't ended. */
void mcq_inproc_hop(struct mcq_link *from);
/* The pair has ended: fills in the side's report. */
void mcq_inproc_closed(struct mcq_link *link, struct mcq_report *report);

#endif
