/* Publication: one message on its way to many pipes, each of which gets it whole, or not, as `slow`
 * says.
 *
 *      begin -> fits ... (block alone: all of them first) -> give ... -> end
 *
 * A body worth sharing is made owned once, before its first pipe, and every pipe holds a reference
 * to it. A small message takes the pipe's fast path, inlined here; what that refuses goes through
 * mcq_psock_put.
 *
 * With slow = block nothing is given unless all have credit, and memory for what is copied: fits
 * reserves that until the turn ends, or the message is put. The first pipe may still refuse for
 * all (err); a later one that lacks memory, for the parts of a large message, misses it, counted
 * and told.
 *
 * Thread: the shard's. Ownership: m is borrowed, its owner drops it. Cost: O(pipes).
 */
#ifndef MCQ_PATTERNS_PUBLICATION_H
#define MCQ_PATTERNS_PUBLICATION_H

#include "patterns/pipe.h"

struct mcq_publication {
    struct mcq_psock *s;
    struct mcq_msg m;
    enum mcq_slow slow; /* DROP_NEW instead of BLOCK once somebody has it */
    enum mcq_error err; /* why nobody gets it */
    bool small;         /* one short frame */
    bool share;         /* has a body worth sharing that is not owned yet */
    bool kept;          /* m holds a reference of ours */
    size_t need;        /* block: stored bytes */
    size_t copy_len;    /* ... of which so many are copied, and have to have room */
};

void mcq_publication_begin(struct mcq_publication *pub, struct mcq_psock *s,
                           const struct mcq_msg *m);
void mcq_publication_end(struct mcq_publication *pub);

/* Has p room, credit and memory? If not, the pattern's writable will be called. */
bool mcq_publication_fits(const struct mcq_publication *pub, struct mcq_pipe *p);

/* What mcq_publication_give does beyond its fast path. */
void mcq_publication_put(struct mcq_publication *pub, struct mcq_pipe *p);

static inline void mcq_publication_give(struct mcq_publication *pub, struct mcq_pipe *p)
{
    if (MCQ_UNLIKELY(!pub->small || !mcq_pipe_try_bytes(p, pub->m.data, pub->m.len)))
        mcq_publication_put(pub, p);
}

/* The same for block. false: nobody gets it, see err. */
bool mcq_publication_give_or_refuse(struct mcq_publication *pub, struct mcq_pipe *p);

/* Gives m to every peer of s: those that are up, and connects of ours that queue already.
 * Errors of block: MCQ_EAGAIN, MCQ_ETOOBIG. */
MCQ_MUST_USE enum mcq_error mcq_publication_to_all(struct mcq_psock *s, const struct mcq_msg *m);

/* What a peer that has just come up gets before anything else (the option `welcome`): behind what
 * a connect of ours still has queued, and dropped and told if that leaves no room. */
void mcq_publication_welcome(struct mcq_psock *s, struct mcq_pipe *p);

#endif
