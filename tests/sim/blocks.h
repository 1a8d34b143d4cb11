/* Blocks: the buffer ring of a process, as the kernel sees it: blocks in the order they were given,
 * each used up by one receive or, incrementally, piece by piece. Its entries are copied, and held
 * against those that are there, when the kernel first looks at them after they were published. */
#ifndef MCQ_TESTS_SIM_BLOCKS_H
#define MCQ_TESTS_SIM_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MCQ_SIM_BLOCKS_MAX     32768u
#define MCQ_SIM_BLOCKS_BUCKETS 1024u

struct mcq_sim_block {
    uint8_t *base;
    uint32_t len, off;
    uint16_t bid;
    uint16_t next; /* 1-based bid in the same bucket of addresses */
};

struct mcq_sim_blocks {
    bool open, inc;
    uint32_t cnt;                                   /* entries of the ring */
    void *mem;                                      /* the ring; NULL: none */
    uint32_t head, end;                             /* of the queue */
    uint16_t bucket[MCQ_SIM_BLOCKS_BUCKETS];        /* 1-based bids, by address */
    uint64_t present[MCQ_SIM_BLOCKS_MAX / 64];      /* bids */
    uint16_t queue[MCQ_SIM_BLOCKS_MAX];             /* bids, head..end */
    struct mcq_sim_block block[MCQ_SIM_BLOCKS_MAX]; /* by bid */
};

/* 0 or -errno. */
int mcq_sim_blocks_open(struct mcq_sim_blocks *b, void *mem, uint32_t cnt, bool inc);
void mcq_sim_blocks_close(struct mcq_sim_blocks *b);
/* Looks at what was published. */
void mcq_sim_blocks_look(struct mcq_sim_blocks *b);
/* Looks, too. */
bool mcq_sim_blocks_empty(struct mcq_sim_blocks *b);
/* Where the next receive writes, up to *room bytes. Not when empty. */
uint8_t *mcq_sim_blocks_peek(struct mcq_sim_blocks *b, size_t *room);
/* len bytes were written there. True: the kernel keeps the rest of the block. */
bool mcq_sim_blocks_commit(struct mcq_sim_blocks *b, size_t len, uint16_t *bid);
/* A receive without bytes took a block: given back, or, incremental, not really taken. */
uint16_t mcq_sim_blocks_waste(struct mcq_sim_blocks *b);

#endif
