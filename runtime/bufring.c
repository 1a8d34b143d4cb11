/* RAW: memory that the kernel writes; sound because a block is in the ring exactly while its buf
 * says `kernel`, and what was written is made visible by the count the completion carries, never
 * more; called by loop, loop_init and loop_reap. */
#include "runtime/bufring.h"

#include <unistd.h>

#define PAGE_LEN        4096u
#define QUIET_NS        1000000000u
#define HOT_LEN_UNKNOWN (512u << 10)

/* Entries the kernel sees: a power of two. */
static uint32_t entries_of(uint32_t cnt_max)
{
    uint32_t n = MCQ_BUFRING_START_MIN;
    while (n < cnt_max)
        n *= 2;
    return n;
}

/* Half of the level 2 cache: the rest is for what the blocks are decoded into. */
static uint32_t hot_cnt(void)
{
    long len = sysconf(_SC_LEVEL2_CACHE_SIZE);
    size_t hot = len <= 0 ? HOT_LEN_UNKNOWN : (size_t)len / 2;
    return (uint32_t)mcq_max(hot / MCQ_BUF_RX_LEN, MCQ_BUFRING_START_MIN);
}

size_t mcq_bufring_footprint(uint32_t cnt_max)
{
    uint32_t n = entries_of(cnt_max);
    return mcq_uring_bufs_len(n) + PAGE_LEN + n * sizeof(struct mcq_buf *) + MCQ_CACHE_LINE +
           n * sizeof(uint16_t) + MCQ_CACHE_LINE;
}

bool mcq_bufring_init(struct mcq_bufring *r, struct mcq_arena *arena, struct mcq_buf_heap *heap,
                      uint32_t cnt_max)
{
    uint32_t n = entries_of(cnt_max);
    MCQ_ASSERT(cnt_max != 0 && n <= 32768);
    *r = (struct mcq_bufring){.heap = heap, .cnt_max = cnt_max};
    r->mem = mcq_arena_carve(arena, mcq_uring_bufs_len(n), PAGE_LEN);
    r->bufs = mcq_arena_carve(arena, n * sizeof(struct mcq_buf *), MCQ_CACHE_LINE);
    r->free_bids = mcq_arena_carve(arena, n * sizeof(uint16_t), MCQ_CACHE_LINE);
    if (r->mem == NULL || r->bufs == NULL || r->free_bids == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++)
        r->free_bids[i] = (uint16_t)(n - 1 - i);
    r->free_cnt = n;
    const uint32_t share = mcq_buf_heap_pool(heap, MCQ_BUF_32K)->max / 2;
    r->target_max = (uint32_t)mcq_min(mcq_max(share, MCQ_BUFRING_START_MIN), cnt_max);
    r->target_min = (uint32_t)mcq_min(hot_cnt(), r->target_max);
    return true;
}

static void set_target(struct mcq_bufring *r, uint32_t target)
{
    r->target = target;
    r->stats->ring_target_now = target;
}

int mcq_bufring_open(struct mcq_bufring *r, struct mcq_uring *u, bool inc,
                     struct mcq_loop_stats *stats)
{
    uint32_t n = entries_of(r->cnt_max);
    __builtin_memset(r->mem, 0, mcq_uring_bufs_len(n));
    int err = mcq_uring_bufs_open(u, r->mem, n, inc);
    if (err < 0)
        return err;
    r->u = u;
    r->inc = inc;
    r->stats = stats;
    set_target(r, r->target_min);
    (void)mcq_bufring_topup(r);
    return 0;
}

static void settle(struct mcq_bufring *r, uint16_t bid)
{
    struct mcq_buf *b = r->bufs[bid];
    r->bufs[bid] = NULL;
    r->free_bids[r->free_cnt++] = bid;
    r->cnt--;
    mcq_buf_kernel_done(r->heap, b);
}

void mcq_bufring_close(struct mcq_bufring *r)
{
    if (r->u == NULL)
        return;
    mcq_uring_bufs_close(r->u);
    uint32_t n = entries_of(r->cnt_max);
    for (uint32_t bid = 0; bid < n; bid++)
        if (r->bufs[bid] != NULL)
            settle(r, (uint16_t)bid);
    r->u = NULL;
}

/* Whether the kernel has let go of the block. Without bytes an incremental block isn't used up,
 * whatever the flag says: some kernels forget BUF_MORE at the end of a stream. */
static bool is_done(const struct mcq_bufring *r, const struct mcq_done *done)
{
    return !r->inc || (done->res > 0 && !(done->flags & MCQ_DONE_BUF_MORE));
}

struct mcq_buf *mcq_bufring_take(struct mcq_bufring *r, const struct mcq_done *done, uint32_t *off)
{
    if (!(done->flags & MCQ_DONE_BUFFER))
        return NULL;
    MCQ_ASSERT(done->bid < entries_of(r->cnt_max) && r->bufs[done->bid] != NULL);
    struct mcq_buf *b = r->bufs[done->bid];
    bool has_bytes = done->res > 0;
    if (has_bytes) {
        *off = (uint32_t)b->written;
        mcq_buf_filled(r->heap, b, (size_t)done->res);
        mcq_buf_ref(r->heap, b);
    }
    if (is_done(r, done))
        settle(r, done->bid);
    return has_bytes ? b : NULL;
}

void mcq_bufring_starved(struct mcq_bufring *r, uint64_t now_ns)
{
    r->stats->enobufs++;
    /* One burst ends many shots, and a heap that is empty has nothing to fill up with: raise only
     * what was reached. */
    if (r->filled)
        set_target(r, (uint32_t)mcq_min(r->target + r->target / 2, r->target_max));
    r->filled = false;
    r->relax_ns = now_ns + QUIET_NS;
}

bool mcq_bufring_topup(struct mcq_bufring *r)
{
    if (MCQ_LIKELY(r->cnt >= r->target))
        return true;
    uint32_t before = r->cnt;
    while (r->cnt < r->target) {
        struct mcq_buf *b = mcq_buf_take_rx(r->heap);
        if (b == NULL)
            break;
        uint16_t bid = r->free_bids[--r->free_cnt];
        r->bufs[bid] = b;
        r->cnt++;
        mcq_uring_bufs_add(r->u, b->base, (uint32_t)b->cap, bid);
    }
    if (r->cnt != before)
        mcq_uring_bufs_publish(r->u);
    r->filled |= r->cnt >= r->target;
    return r->cnt != 0;
}

void mcq_bufring_relax(struct mcq_bufring *r, uint64_t now_ns)
{
    if (MCQ_LIKELY(now_ns < r->relax_ns) || r->target == r->target_min)
        return;
    uint32_t step = (uint32_t)mcq_max(r->target / 8, 1);
    set_target(r, (uint32_t)mcq_max(r->target - step, r->target_min));
    r->relax_ns = now_ns + QUIET_NS;
}
