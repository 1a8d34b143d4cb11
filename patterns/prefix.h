/* Prefix table: which of the stored topics are prefixes of this message's topic?
 *
 * The topics of a set (a PUB's, a SUB's) form a trie of strides of 4 bytes that has a fork only
 * where topics part (patterns/prefix_node.h). What hangs in the forks, of all sets of a shard, is
 * in one map, by fork and by the bytes that lead on from there (patterns/prefix_map.h):
 *
 *      EUR  EUR.USD  EUR.USD.T  GBP.USD       root --"EUR"----> EUR
 *                                                  --"EUR."---> fork at 4 --"USD"---> EUR.USD
 *                                                  |                      --"USD."--> EUR.USD.T
 *                                                  --"GBP."---> GBP.USD
 *
 * A match walks down the message's topic: at each fork one look for what goes on, and one for each
 * length of topics that end before the next stride (the fork knows which lengths there are). What
 * lies between two forks is not compared on the way, but a topic that is found is, as a whole. So a
 * match takes at most one look per byte of the message's topic, whatever peers have stored, and as
 * a rule one or two. A look reads a cache line of the map and the node it finds. Why this and
 * neither a sorted table nor a probe per length: docs/adr/0008.
 *
 * A prefix is embedded in its owner's object (fanout: a topic with its peers; subs: an own
 * subscription). Topics up to MCQ_PREFIX_INLINE_MAX bytes are stored in it, longer ones in a buf of
 * the heap, of which a shard's topics may hold long_max at a time. There are as many forks as
 * prefixes may need, so that the owners' pools are the only limit on their number. An empty set, or
 * one with a single topic, takes nothing from the pools.
 *
 * Thread: the shard's. Ownership: sets and nodes are the caller's; the table borrows them.
 * Errors: insert says false when a pool or the heap is empty, and has changed nothing then.
 * Cost: nothing is ever moved: an insert or a removal changes at most 4 places of the map. An
 * insert walks down its topic, at most a look per stride, and compares with one topic below, from
 * which at most MCQ_TOPIC_LEN_MAX / MCQ_PREFIX_STRIDE forks lead up again. A removal takes the same
 * time whatever is stored.
 */
#ifndef MCQ_PATTERNS_PREFIX_H
#define MCQ_PATTERNS_PREFIX_H

#include "mem/buf.h"
#include "mem/pool.h"
#include "patterns/prefix_map.h"
#include "patterns/prefix_node.h"

struct mcq_prefix_table {
    struct mcq_prefix_map map;
    struct mcq_pool forks; /* of struct mcq_prefix */
    struct mcq_buf_heap *heap;
    uint32_t long_cnt, long_max; /* bufs held by long topics */
};

struct mcq_prefix_set {
    struct mcq_prefix_table *table;
    struct mcq_prefix root; /* a fork */
};

/* Bytes of arena that a table for so many prefixes takes. */
size_t mcq_prefix_table_footprint(uint32_t prefixes_max);
/* Carves. false: the arena is too small. heap: borrowed. seed: random and secret. */
MCQ_MUST_USE bool mcq_prefix_table_init(struct mcq_prefix_table *t, struct mcq_arena *arena,
                                        struct mcq_buf_heap *heap, uint32_t prefixes_max,
                                        uint32_t long_max, uint64_t seed);

/* A set must stay where it is and be empty at its end. */
void mcq_prefix_set_init(struct mcq_prefix_set *set, struct mcq_prefix_table *table);

/* The prefix that equals topic, NULL if there is none. */
struct mcq_prefix *mcq_prefix_find(const struct mcq_prefix_set *set, struct mcq_slice topic);
/* Enters node, uninitialised and the caller's, under a copy of topic, which is not in the set and
 * at most MCQ_TOPIC_LEN_MAX bytes long. */
MCQ_MUST_USE bool mcq_prefix_insert(struct mcq_prefix_set *set, struct mcq_prefix *node,
                                    struct mcq_slice topic);
/* Takes node out of its set: it matches no more, its key can still be read. */
void mcq_prefix_remove(struct mcq_prefix_set *set, struct mcq_prefix *node);
/* Gives the key's buf back; after remove. */
void mcq_prefix_release(struct mcq_prefix_table *t, struct mcq_prefix *node);

static inline struct mcq_slice mcq_prefix_key(const struct mcq_prefix *node)
{
    return mcq_slice_of(node->len > MCQ_PREFIX_INLINE_MAX ? node->buf->base : node->bytes,
                        node->len);
}

/* Walks all prefixes of a topic, shortest first. The set must not change meanwhile. */
struct mcq_prefix_match {
    const struct mcq_prefix_map *map;
    const struct mcq_prefix *fork;
    struct mcq_slice topic; /* borrowed */
    uint32_t spans;         /* still to be looked for at fork */
};

/* Where there may be any for topic, no shorter than fork: bit by bit. */
static inline uint32_t mcq_prefix_spans(const struct mcq_prefix *fork, struct mcq_slice topic)
{
    return fork->fork.spans & ((2u << mcq_prefix_span(fork, topic)) - 1);
}

static inline struct mcq_prefix_match mcq_prefix_match_of(const struct mcq_prefix_set *set,
                                                          struct mcq_slice topic)
{
    return (struct mcq_prefix_match){&set->table->map, &set->root, topic,
                                     mcq_prefix_spans(&set->root, topic)};
}

/* match_next's own. */
struct mcq_prefix *mcq_prefix_match_look(struct mcq_prefix_match *m);

/* The next one, NULL after the last. */
static inline struct mcq_prefix *mcq_prefix_match_next(struct mcq_prefix_match *m)
{
    return m->spans == 0 ? NULL : mcq_prefix_match_look(m);
}

/* True if the empty prefix is in the set: everything matches. */
static inline bool mcq_prefix_set_takes_all(const struct mcq_prefix_set *set)
{
    return set->root.fork.value != NULL;
}

#endif
