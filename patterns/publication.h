/* Publication: one message on its way to many pipes, each of which gets it whole, or not, as `slow`
 * says.
 *
 *      begin -> fits ... (block alone: all of them first) -> give ... -> end
 *
 * A body worth sharing is made owned once, before its first pipe, and every pipe holds a reference
 * to it. A small message takes the pipe's fast path, inlined here; what that refuses, and whatever
 * the pipe has to look at, goes through mcq_psock_put.
 *
 * With slow = block nothing is given unless all fit: high-water marks are asked before. A block of
 * memory that is missing afterwards costs its pipe this message, dropped and told as ever.
 *
 * Thread: the shard's. Ownership: m is borrowed, its owner drops it. Cost: O(pipes).
 */
#ifndef MCQ_PATTERNS_PUBLICATION_H
#define MCQ_PATTERNS_PUBLICATION_H

#include "patterns/pipe.h"

struct mcq_publication {
    struct mcq_psock *s;
    struct mcq_msg m;
    enum mcq_slow slow; /* never BLOCK: that is what fits is for */
    bool small;         /* one short frame that only a full pipe has to look at */
    bool share;         /* has a body worth sharing that is not owned yet */
    bool kept;          /* m holds a reference of ours */
    size_t len;         /* bytes a queue has to have room for */
};

void mcq_publication_begin(struct mcq_publication *pub, struct mcq_psock *s,
                           const struct mcq_msg *m);
void mcq_publication_end(struct mcq_publication *pub);

/* Has p room? If not, the pattern's writable will be called. */
bool mcq_publication_fits(const struct mcq_publication *pub, struct mcq_pipe *p);

/* What mcq_publication_give does beyond its fast path. */
void mcq_publication_give_slow(struct mcq_publication *pub, struct mcq_pipe *p);

static inline void mcq_publication_give(struct mcq_publication *pub, struct mcq_pipe *p)
{
    if (MCQ_UNLIKELY(!pub->small || !mcq_pipe_try_bytes(p, pub->m.data, pub->m.len)))
        mcq_publication_give_slow(pub, p);
}

/* Gives m to every peer of s: those that are up, and connects of ours that queue already.
 * Errors: MCQ_EAGAIN (block). */
MCQ_MUST_USE enum mcq_error mcq_publication_to_all(struct mcq_psock *s, const struct mcq_msg *m);

/* What a peer that has just come up gets before anything else (the option `welcome`): behind what
 * a connect of ours still has queued, and dropped and told if that leaves no room. */
void mcq_publication_welcome(struct mcq_psock *s, struct mcq_pipe *p);

#endif
