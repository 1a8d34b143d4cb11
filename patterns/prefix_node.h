/* Node of the prefix table: a topic, or a fork where topics part.
 *
 * A node hangs in a fork under a name: the `span` bytes that follow the fork's len, as a number.
 *
 *      span 4       a branch: the only topic that goes on with these bytes, or a further fork
 *      span 1..3    a topic that ends after them
 *      span 0       the topic that ends at the fork
 *
 * Invariants: all below a fork have its first len bytes in common, a multiple of the stride; but
 * for a set's root, at least two kids hang in it, so there are fewer forks than topics.
 */
#ifndef MCQ_PATTERNS_PREFIX_NODE_H
#define MCQ_PATTERNS_PREFIX_NODE_H

#include "mem/list.h"
#include "mem/slice.h"

#define MCQ_PREFIX_STRIDE     4u  /* bytes between two forks, or a multiple */
#define MCQ_PREFIX_INLINE_MAX 40u /* bytes of topic inside the node */

struct mcq_buf;
struct mcq_prefix;

struct mcq_prefix_fork {
    struct mcq_list kids;                /* topics first */
    struct mcq_prefix *value;            /* the one of span 0 */
    uint32_t cnt[MCQ_PREFIX_STRIDE + 1]; /* kids by span */
    uint32_t spans;                      /* bit by bit: those of which there are any */
};

/* Laid out so that a search reads one or two neighbouring cache lines of it. */
struct mcq_prefix {
    struct mcq_prefix *above; /* the fork it hangs in; NULL: a set's root */
    uint32_t word;            /* its name there, zeroes past the span */
    uint16_t len;             /* topic: its bytes; fork: those that all below have in common */
    uint8_t span;
    bool is_fork;
    union {
        struct {
            uint8_t bytes[MCQ_PREFIX_INLINE_MAX];
            struct mcq_buf *buf; /* of a longer topic */
        };
        struct mcq_prefix_fork fork;
    };
    struct mcq_node kin; /* in above->fork.kids */
};

/* The span under which key, no shorter than fork, or what leads to it, hangs in fork. */
static inline uint32_t mcq_prefix_span(const struct mcq_prefix *fork, struct mcq_slice key)
{
    return (uint32_t)mcq_min(key.len - fork->len, MCQ_PREFIX_STRIDE);
}

/* ... and the word, for a span that key has. */
static inline uint32_t mcq_prefix_word(const struct mcq_prefix *fork, struct mcq_slice key,
                                       uint32_t span)
{
    if (MCQ_LIKELY(span == MCQ_PREFIX_STRIDE))
        return mcq_slice_be32(key, fork->len);
    return (uint32_t)(mcq_slice_head(mcq_slice_of(key.ptr, fork->len + span), fork->len) >> 32);
}

#endif
