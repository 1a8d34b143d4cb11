/* prefix_keys: what the prefix tables under test store and are asked for.
 *
 * Keys: 4 to 32 random bytes, none a prefix of another. Topics: a key picked at random with up to
 * 16 random bytes behind it; so each matches exactly one key. Objects are as large as what a
 * publisher keeps per topic, and lie in memory in another order than the keys sort in.
 */
#ifndef MCQ_PERF_MICRO_PREFIX_KEYS_H
#define MCQ_PERF_MICRO_PREFIX_KEYS_H

#include "mem/arena.h"
#include "patterns/fanout.h"

#define PREFIX_KEY_MIN   4u
#define PREFIX_KEY_MAX   32u
#define PREFIX_TOPIC_MAX (PREFIX_KEY_MAX + 16u)

/* What is stored: the key of a rival is read from the same place as ours. */
struct prefix_obj {
    _Alignas(16) struct mcq_prefix node;
    uint8_t rest[sizeof(struct mcq_topic) - sizeof(struct mcq_prefix)];
};

struct prefix_topic {
    uint8_t len;
    uint8_t bytes[PREFIX_TOPIC_MAX];
};

struct prefix_keys {
    struct mcq_arena arena;
    struct prefix_obj *objs; /* with node.len and node.bytes set */
    uint32_t cnt;
    struct prefix_topic *topics;
    uint32_t topic_cnt; /* a power of two */
    uint64_t seed;
};

/* false: no memory. */
bool prefix_keys_open(struct prefix_keys *k, uint32_t cnt);
void prefix_keys_close(struct prefix_keys *k);
/* New topics, for the first cnt keys: at least as many as keys, so that none is in a cache just
 * because it was asked for before. */
void prefix_keys_ask(struct prefix_keys *k, uint32_t cnt);

uint64_t prefix_random(uint64_t *seed);

/* An arena of that many bytes, mapped as a shard maps its own and faulted in, in one piece. */
uint8_t *prefix_arena_open(struct mcq_arena *a, size_t len);

static inline struct mcq_slice prefix_obj_key(const struct prefix_obj *o)
{
    return mcq_slice_of(o->node.bytes, o->node.len);
}

#endif
