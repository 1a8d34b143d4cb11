/* Prefix table: which of the stored topics are prefixes of this message's topic?
 *
 * One hash table per shard holds the topics of all sets (a PUB's, a SUB's); a set also keeps the
 * distinct lengths of its topics, ascending. A match hashes the message's topic once, word by
 * word, and probes at each of those lengths:
 *
 *      lengths of the set:   3 -> 6 -> 12        topic "EURUSD.T"
 *                            |    |    (longer than the topic: end)
 *                         "EUR" "EURUSD"
 *
 * Chosen over a sorted table with links to the enclosing prefix because an update is O(1), moves
 * nothing and invalidates no link, and because the worst case is bounded by the length of the
 * topic being published, which is the user's, instead of by how deeply peers nest theirs. Real
 * sets have a handful of lengths; a set with only "" costs one probe.
 *
 * A prefix is embedded in its owner's object (fanout: a topic with its peers; subs: an own
 * subscription). Topics up to MCQ_PREFIX_INLINE_MAX bytes are stored in it, longer ones in a buf
 * of the heap, of which a shard's topics may hold long_max at a time.
 *
 * Thread: the shard's. Ownership: sets and nodes are the caller's; the table borrows them.
 * Errors: insert says false when a pool or the heap is empty, and has changed nothing then.
 */
#ifndef MCQ_PATTERNS_PREFIX_H
#define MCQ_PATTERNS_PREFIX_H

#include "mem/buf.h"
#include "mem/list.h"
#include "mem/pool.h"
#include "mem/slice.h"
#include "patterns/hash.h"

#define MCQ_PREFIX_INLINE_MAX 40u /* bytes of topic inside the node */

struct mcq_prefix;

struct mcq_prefix_table {
    struct mcq_prefix **buckets;
    uint32_t bucket_cnt; /* power of two >= 2 * prefixes_max */
    uint64_t seed;
    struct mcq_pool lengths; /* of struct mcq_prefix_length */
    struct mcq_buf_heap *heap;
    uint32_t long_cnt, long_max; /* bufs held by long topics */
};

struct mcq_prefix_length {
    struct mcq_node node; /* in mcq_prefix_set.lengths */
    uint32_t len;
    uint32_t cnt; /* prefixes of this length in the set */
};

struct mcq_prefix_set {
    struct mcq_prefix_table *table;
    struct mcq_list lengths; /* of struct mcq_prefix_length, ascending */
    uint64_t seed;
};

struct mcq_prefix {
    struct mcq_prefix *next; /* in its bucket */
    struct mcq_prefix_set *set;
    struct mcq_prefix_length *length;
    uint64_t hash;
    struct mcq_buf *buf; /* NULL: the key is in bytes */
    uint32_t len;
    uint8_t bytes[MCQ_PREFIX_INLINE_MAX];
};

size_t mcq_prefix_table_footprint(uint32_t prefixes_max);
/* Carves. false: the arena is too small. heap: borrowed. */
MCQ_MUST_USE bool mcq_prefix_table_init(struct mcq_prefix_table *t, struct mcq_arena *arena,
                                        struct mcq_buf_heap *heap, uint32_t prefixes_max,
                                        uint32_t long_max, uint64_t seed);

/* A set must stay where it is and be empty at its end. */
void mcq_prefix_set_init(struct mcq_prefix_set *set, struct mcq_prefix_table *table);

/* The prefix that equals topic, NULL if there is none. */
struct mcq_prefix *mcq_prefix_find(const struct mcq_prefix_set *set, struct mcq_slice topic);
/* Enters node, uninitialised and the caller's, under a copy of topic, which is not in the set. */
MCQ_MUST_USE bool mcq_prefix_insert(struct mcq_prefix_set *set, struct mcq_prefix *node,
                                    struct mcq_slice topic);
/* Takes node out of its set: it matches no more, its key can still be read. */
void mcq_prefix_remove(struct mcq_prefix *node);
/* Gives the key's buf back; after remove. */
void mcq_prefix_release(struct mcq_prefix_table *t, struct mcq_prefix *node);

static inline struct mcq_slice mcq_prefix_key(const struct mcq_prefix *node)
{
    return mcq_slice_of(node->buf != NULL ? node->buf->base : node->bytes, node->len);
}

/* Walks all prefixes of a topic, shortest first. The set must not change meanwhile. */
struct mcq_prefix_match {
    const struct mcq_prefix_set *set;
    struct mcq_hash_flow flow;
    struct mcq_node *at; /* next length to try, NULL: none */
};

struct mcq_prefix_match mcq_prefix_match_of(const struct mcq_prefix_set *set,
                                            struct mcq_slice topic);
/* The next one, NULL after the last. */
struct mcq_prefix *mcq_prefix_match_next(struct mcq_prefix_match *m);

/* True if the empty prefix is in the set: everything matches. */
static inline bool mcq_prefix_set_takes_all(const struct mcq_prefix_set *set)
{
    struct mcq_node *first = mcq_list_first(&set->lengths);
    return first != NULL && MCQ_CONTAINER_OF(first, struct mcq_prefix_length, node)->len == 0;
}

#endif
