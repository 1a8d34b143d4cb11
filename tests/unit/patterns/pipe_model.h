/* A pipe and a reference of it that knows only messages: whatever is put, in whatever form, with
 * blocks and segments running out at any point, dropped, cut and sent again, the queue holds what
 * the reference says, and everything is back home at the end. */
#ifndef MCQ_TESTS_PATTERNS_PIPE_MODEL_H
#define MCQ_TESTS_PATTERNS_PIPE_MODEL_H

#include <criterion/criterion.h>

#include "patterns/pipe.h"

#define MODEL_SEGS_MAX   160u
#define MODEL_EXTERN_MAX 24u
#define MODEL_HOARD_MAX  512u
#define MODEL_SCRATCH    (700u * 1024u)

struct bytes {
    uint8_t *ptr;
    size_t len, cap;
};

/* What is queued, in stored form, oldest first, and how much of it is the kernel's. */
struct model {
    struct bytes *ring;
    size_t cap, first, cnt; /* cap: a power of two */
    size_t bytes;           /* of all of them */
    size_t taken;           /* bytes of the first that the kernel has */
    uint64_t out;           /* messages it has whole */
};

struct world {
    uint64_t seed, random;
    struct mcq_arena arena;
    struct mcq_mem_stats mem;
    struct mcq_pattern_stats stats;
    struct mcq_buf_heap *heap;
    struct mcq_pool segs;
    struct mcq_pipe_env env;
    struct mcq_pipe p;
    struct model m;
    bool small; /* few large messages */
    struct mcq_slice flight[64];
    uint32_t flight_cnt;
    size_t flight_len;
    bool in_flight;
    struct mcq_buf *hoard[MODEL_HOARD_MAX];
    uint32_t hoard_cnt;
    void *seg_hoard[MODEL_SEGS_MAX];
    uint32_t seg_hoard_cnt;
    uint32_t externs, freed, marks;
    uint64_t dropped, refused, steps;
    uint8_t *scratch;
};

/* Without a message to the framework for what is true: there are millions. */
#define want(w, x)                                                                   \
    do {                                                                             \
        if (!(x))                                                                    \
            cr_assert_fail("seed %llu step %llu: %s", (unsigned long long)(w)->seed, \
                           (unsigned long long)(w)->steps, #x);                      \
    } while (0)

struct world *world_new(uint64_t seed);
/* After the pipe's end. */
void world_end(struct world *w);
uint32_t world_below(struct world *w, uint32_t max);
/* Leaves a few blocks of some class, or a few segments, or gives all back. */
void world_hoard(struct world *w);
void world_give_back(struct world *w);

void world_add_frame(struct bytes *b, bool more, const void *ptr, size_t len);
/* A put has returned err: the reference has the message then, or nothing has changed. Takes msg. */
void world_settle(struct world *w, enum mcq_error err, struct bytes *msg);
/* Everything that must hold at any time. */
void world_check(struct world *w);

/* The end of memory of the user's: a mcq_free_fn, the world is its hint. */
void world_freed(void *data, size_t len, void *hint);

/* Random puts in every form. */
void world_put_bytes(struct world *w);
void world_put(struct world *w);
void world_reserve(struct world *w);
/* The kernel's part. */
void world_gather(struct world *w);
void world_sent(struct world *w);
void world_rewind(struct world *w);
/* Another shard's, of a pipe that is whole: more is lent, some is taken, nothing is lent. */
void world_lend(struct world *w);
void world_taken(struct world *w);
void world_recall(struct world *w);
/* A new connection: an empty message goes first. */
void world_probe(struct world *w);
/* Sends all there is. */
void world_drain(struct world *w);
/* Drops the oldest for a message of `need` stored bytes: exactly as many as that takes. */
void world_drop_old(struct world *w, size_t need);
/* Ends the pipe's queue; it may be used again. */
void world_fini(struct world *w);

#endif
