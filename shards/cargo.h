/* Cargo: what a pipe has frozen for somebody who reads it in place (mcq_pipe_lend): a run of its
 * segments, whole messages, decoded where they lie and offered to a receiver.
 *
 *      seg --> seg --> seg          taken messages are passed; what is refused stays in front
 *        ^front
 *
 * It may grow at its end: the run goes on in the last segment's successor. Segments before the
 * front aren't looked at again, so that their owner may free them once he has been told.
 *
 * Where the segments are this shard's own, views belong to their blocks, and mcq_msg_keep works as
 * for what was received. Where they are another shard's, the counts of their blocks aren't touched:
 * small frames belong to nobody, and who keeps them copies; a body that has a block for itself is
 * lent to this shard by reference (shards/remote_ref), belongs to an external buf while it is
 * offered, and goes home when the last who holds it lets go. A message that was offered and refused
 * keeps its external buf for the next time: who refuses may have kept.
 *
 * A body of 32 to 128 KiB that was copied over several blocks is joined in one of this shard's.
 *
 * Thread: that of the shard that reads. Cost: O(messages). Limits: those of the receiving socket's
 * options; MCQ_SESSION_BATCH_MAX messages in one call.
 */
#ifndef MCQ_SHARDS_CARGO_H
#define MCQ_SHARDS_CARGO_H

#include <monocoque/sock.h>

#include "patterns/pipe.h"

struct mcq_shard;

struct mcq_cargo {
    const struct mcq_seg *seg; /* where the next message begins; NULL: nothing is left */
    size_t off;                /* ... in it */
    uint32_t cnt;              /* segments from there on */
    struct mcq_buf *held;      /* the external buf of the message in front; NULL: none */
    uint32_t held_idx;         /* ... and what its owner calls the block */
};

/* Of what the receiver takes. */
struct mcq_cargo_limits {
    uint64_t frame_max, msg_max; /* bytes */
    uint32_t frames_max;
};

enum mcq_cargo_outcome {
    MCQ_CARGO_EMPTY = 0, /* all is taken */
    MCQ_CARGO_LATER,     /* the budget is used up, or the receiver wants no more */
    MCQ_CARGO_REFUSED,   /* the message in front was */
    MCQ_CARGO_STARVED,   /* memory is short: no block to join in, or no reference */
    MCQ_CARGO_OVERSIZED, /* a message beyond the limits has been passed */
};

/* One go at it. */
struct mcq_cargo_job {
    struct mcq_shard *shard;
    uint32_t owner; /* the shard whose segments they are */
    struct mcq_cargo_limits limits;
    /* Returns how many of n were consumed; sets stop, if it wants no more for now. */
    size_t (*receive)(struct mcq_cargo_job *job, struct mcq_msg *msgs, size_t n);
    void *ctx;
    bool stop;
    uint64_t bytes, msgs; /* that were passed, as stored; that were consumed */
};

struct mcq_cargo_limits mcq_cargo_limits_of(const struct mcq_sock_opts *opts);
/* At most `batches` calls of receive. */
enum mcq_cargo_outcome mcq_cargo_offer(struct mcq_cargo *c, struct mcq_cargo_job *job,
                                       uint32_t batches);
/* Passes len bytes, whole messages without bodies of their own: they were taken elsewhere. */
void mcq_cargo_pass(struct mcq_cargo *c, uint64_t len);
/* Gives up what is left of another shard's. Returns the index of the block whose reference the
 * receiver still has, and 1; 0: all that wasn't passed is the owner's again. */
uint32_t mcq_cargo_drop(struct mcq_cargo *c, struct mcq_shard *sh);

#endif
