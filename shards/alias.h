/* Alias: the links of this shard whose peer's name has its home on another one: peers that came
 * from there, and peers over there that were sent to from here. A hash table over the name's bits,
 * chained through the links.
 *
 * A name's home is the shard it was given on; there its slot tells the link without a table.
 *
 * Thread: the shard's. Cost: O(1), a cache miss or two.
 */
#ifndef MCQ_SHARDS_ALIAS_H
#define MCQ_SHARDS_ALIAS_H

#include <monocoque/base.h>

#include "mem/arena.h"
#include "mem/list.h"

struct mcq_link;

struct mcq_alias {
    struct mcq_list *buckets;
    uint64_t mask;
};

/* Bytes of arena for up to links_max of them. */
size_t mcq_alias_footprint(uint32_t links_max);
MCQ_MUST_USE bool mcq_alias_init(struct mcq_alias *a, struct mcq_arena *arena, uint32_t links_max);
/* Enters the link under its pipe's peer name, which no other has. */
void mcq_alias_enter(struct mcq_alias *a, struct mcq_link *link);
/* Harmless if it isn't entered. */
void mcq_alias_leave(struct mcq_link *link);
/* NULL: no such name. */
struct mcq_link *mcq_alias_find(const struct mcq_alias *a, struct mcq_peer peer);

#endif
