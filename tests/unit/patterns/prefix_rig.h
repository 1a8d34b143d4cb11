/* A prefix table of its own for tests, items to put into it, and a look at everything that must
 * hold inside it. */
#ifndef MCQ_TESTS_PATTERNS_PREFIX_RIG_H
#define MCQ_TESTS_PATTERNS_PREFIX_RIG_H

#include "patterns/prefix.h"

#define PREFIX_RIG_KEY_MAX 4096u

struct prefix_rig {
    struct mcq_arena arena;
    struct mcq_buf_heap *heap;
    struct mcq_mem_stats mem;
    struct mcq_prefix_table table;
    void **held; /* forks held back, so that the pool looks empty */
    uint32_t held_cnt;
};

struct prefix_item {
    struct mcq_prefix node;
    struct prefix_item *next;   /* in the oracle's bucket */
    struct mcq_slice key;       /* a copy of its own */
    struct mcq_prefix_set *set; /* NULL: in none */
};

/* A table for so many prefixes, and long_max topics of up to 4096 bytes. */
struct prefix_rig *prefix_rig_new(uint32_t prefixes_max, uint32_t long_max);
/* Asserts that everything is back home. */
void prefix_rig_free(struct prefix_rig *r);

/* Leaves so many free forks (or as many as there are). */
void prefix_rig_hold(struct prefix_rig *r, uint32_t left);
/* Gives them back. */
void prefix_rig_let_go(struct prefix_rig *r);

/* The key is copied. False: refused. */
bool prefix_item_enter(struct prefix_item *it, struct mcq_prefix_set *set, struct mcq_slice key);
void prefix_item_leave(struct prefix_item *it);

struct prefix_shape {
    uint64_t prefixes, forks, named; /* named: in the map */
    uint64_t sum;                    /* of all that is stored: differs if anything does */
};

/* Asserts every invariant of prefix.h and prefix_map.h for what is in the set. */
struct prefix_shape prefix_check(const struct mcq_prefix_set *set);
/* The same for the map itself: counts, and who has passed whom. */
uint64_t prefix_check_map(const struct mcq_prefix_map *map);

uint64_t prefix_random(uint64_t *state);

#endif
