#include "tests/sim/blocks.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "tests/sim/kernel.h"
#include "tests/sim/raw.h"

#define SCRIBBLE_LEN 64u
#define SCRIBBLE     0xd5

int mcq_sim_blocks_open(struct mcq_sim_blocks *b, void *mem, uint32_t cnt, bool inc)
{
    if (b->open)
        return -EEXIST;
    if (cnt == 0 || cnt > MCQ_SIM_BLOCKS_MAX || (cnt & (cnt - 1)) != 0)
        return -EINVAL;
    b->open = true;
    b->inc = inc;
    b->mem = mem;
    b->cnt = cnt;
    b->head = 0;
    b->end = 0;
    memset(b->bucket, 0, sizeof(b->bucket));
    memset(b->present, 0, sizeof(b->present));
    return 0;
}

void mcq_sim_blocks_close(struct mcq_sim_blocks *b)
{
    b->open = false;
}

static bool is_present(const struct mcq_sim_blocks *b, uint16_t bid)
{
    return (b->present[bid / 64] >> bid % 64 & 1) != 0;
}

static uint16_t *bucket(struct mcq_sim_blocks *b, const uint8_t *base)
{
    uint64_t h = (uint64_t)(uintptr_t)base * 0x9e3779b97f4a7c15u;
    return &b->bucket[h >> 54];
}

static void insert(struct mcq_sim_blocks *b, struct mcq_sim_block *block)
{
    uint16_t *at = bucket(b, block->base);
    for (uint16_t bid = *at; bid != 0; bid = b->block[bid - 1].next)
        if (b->block[bid - 1].base == block->base)
            mcq_sim_fail("a block was given to the buffer ring twice, as %u and %u", bid - 1u,
                         block->bid);
    block->next = *at;
    *at = (uint16_t)(block->bid + 1);
    b->present[block->bid / 64] |= 1ull << block->bid % 64;
}

static void take_out(struct mcq_sim_blocks *b, const struct mcq_sim_block *block)
{
    uint16_t *at = bucket(b, block->base);
    while (*at != block->bid + 1)
        at = &b->block[*at - 1].next;
    *at = block->next;
    b->present[block->bid / 64] &= ~(1ull << block->bid % 64);
}

static void add(struct mcq_sim_blocks *b, void *base, uint32_t len, uint16_t bid)
{
    if (!b->open || bid >= b->cnt || len == 0)
        mcq_sim_fail("block %u of %u bytes is none for the buffer ring", bid, len);
    if (is_present(b, bid))
        mcq_sim_fail("block %u was given to the buffer ring twice", bid);
    if (b->end - b->head == b->cnt)
        mcq_sim_fail("the buffer ring was given more than %u blocks", b->cnt);
    struct mcq_sim_block *block = &b->block[bid];
    *block = (struct mcq_sim_block){.base = base, .len = len, .bid = bid};
    insert(b, block);
    b->queue[b->end++ & (b->cnt - 1)] = bid;
    /* Whoever still reads there shall see it. */
    mcq_sim_raw_fill(base, SCRIBBLE, len < SCRIBBLE_LEN ? len : SCRIBBLE_LEN);
}

void mcq_sim_blocks_look(struct mcq_sim_blocks *b)
{
    const struct io_uring_buf_ring *ring = b->mem;
    while (b->open && (uint16_t)b->end != ring->tail) {
        const struct io_uring_buf *buf = &ring->bufs[b->end & (b->cnt - 1)];
        add(b, (void *)(uintptr_t)buf->addr, buf->len, buf->bid);
    }
}

bool mcq_sim_blocks_empty(struct mcq_sim_blocks *b)
{
    mcq_sim_blocks_look(b);
    return b->head == b->end;
}

static struct mcq_sim_block *first(struct mcq_sim_blocks *b)
{
    return &b->block[b->queue[b->head & (b->cnt - 1)]];
}

uint8_t *mcq_sim_blocks_peek(struct mcq_sim_blocks *b, size_t *room)
{
    const struct mcq_sim_block *block = first(b);
    *room = block->len - block->off;
    return block->base + block->off;
}

bool mcq_sim_blocks_commit(struct mcq_sim_blocks *b, size_t len, uint16_t *bid)
{
    struct mcq_sim_block *block = first(b);
    *bid = block->bid;
    block->off += (uint32_t)len;
    if (b->inc && block->off != block->len)
        return true;
    take_out(b, block);
    b->head++;
    return false;
}

uint16_t mcq_sim_blocks_waste(struct mcq_sim_blocks *b)
{
    uint16_t bid = first(b)->bid;
    if (!b->inc) {
        take_out(b, first(b));
        b->head++;
    }
    return bid;
}
