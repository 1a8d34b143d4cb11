/* Registry: identity -> pipe, for every socket of a shard. One table of chains threaded through
 * the pipes themselves; nothing is allocated and no insertion can fail.
 *
 * The key is (socket, identity). ROUTER asks before it inserts, so its identities are unique;
 * other types may have several peers of one name, and find gives one of them.
 *
 * Thread: the shard's. Pipes: borrowed from put to remove. Cost: O(1) on average; the seed keeps
 * peers from choosing identities that meet in one chain.
 */
#ifndef MCQ_PATTERNS_REGISTRY_H
#define MCQ_PATTERNS_REGISTRY_H

#include "mem/arena.h"
#include "mem/list.h"
#include "mem/slice.h"
#include "patterns/pipe.h"

struct mcq_registry {
    struct mcq_list *buckets;
    uint32_t bucket_cnt; /* power of two >= 2 * pipes_max */
    uint64_t seed;
};

size_t mcq_registry_footprint(uint32_t pipes_max);
/* Carves. false: the arena is too small. */
MCQ_MUST_USE bool mcq_registry_init(struct mcq_registry *r, struct mcq_arena *arena,
                                    uint32_t pipes_max, uint64_t seed);

/* The pipe of s with that identity, NULL if there is none. */
struct mcq_pipe *mcq_registry_find(const struct mcq_registry *r, const struct mcq_psock *s,
                                   struct mcq_slice identity);
/* Enters p under p->sock and p->identity, which must not change until remove. */
void mcq_registry_put(struct mcq_registry *r, struct mcq_pipe *p);
/* Harmless if p was not entered. */
void mcq_registry_remove(struct mcq_pipe *p);

#endif
