/* Cargo: what a pipe has frozen for somebody who reads it in place: a run of its segments, and
 * whole messages in it, decoded where they lie.
 *
 *      seg --> seg --> seg          of whole messages; at: the next one
 *        ^at
 *
 * It may grow at its end (the run goes on in the last segment's successor). Segments behind `at`
 * aren't looked at again, so that their owner may free them once he has been told.
 *
 * Foreign: the segments are another shard's. Then their blocks' counts aren't touched: views of
 * small frames belong to nobody (who keeps them copies), those of large ones to an external buf of
 * this shard (shards/remote_ref).
 *
 * Thread: the shard's that reads. Cost: O(messages).
 */
#ifndef MCQ_SHARDS_CARGO_H
#define MCQ_SHARDS_CARGO_H

#include <monocoque/sock.h>

#include "mem/pool.h"
#include "patterns/pipe.h"

struct mcq_cargo {
    const struct mcq_seg *seg; /* where the next message begins; NULL: nothing is left */
    size_t off;                /* ... in it */
    uint32_t cnt;              /* segments from there on */
};

#endif
