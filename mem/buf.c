#include "mem/buf.h"

#include "mem/buf_heap.h"
#include "mem/poison.h"

static const struct {
    const char *name;
    size_t len;
} CLASSES[MCQ_BUF_POOL_CNT] = {
    [MCQ_BUF_512] = {"buf-512", 512},
    [MCQ_BUF_4K] = {"buf-4k", 4096},
    [MCQ_BUF_32K] = {"buf-32k", MCQ_BUF_RX_LEN},
    [MCQ_BUF_256K] = {"buf-256k", 262144},
};

static size_t table_cnt(const struct mcq_buf_plan *plan)
{
    size_t cnt = plan->external_cnt;
    for (unsigned c = 0; c < MCQ_BUF_POOL_CNT; c++)
        cnt += plan->cnt[c];
    return cnt;
}

size_t mcq_buf_heap_footprint(const struct mcq_buf_plan *plan)
{
    size_t len = sizeof(struct mcq_buf_heap) + MCQ_CACHE_LINE;
    len += table_cnt(plan) * sizeof(struct mcq_buf) + MCQ_CACHE_LINE;
    len += plan->external_cnt * sizeof(uint32_t) + MCQ_CACHE_LINE;
    for (unsigned c = 0; c < MCQ_BUF_POOL_CNT; c++)
        len += mcq_pool_footprint(CLASSES[c].len, plan->cnt[c]);
    return len + mcq_large_footprint(plan->large_bytes);
}

/* Descriptors of a pool's blocks are bound to them once and for all. */
static bool init_class(struct mcq_buf_heap *h, struct mcq_arena *arena, unsigned cls, uint32_t cnt)
{
    struct mcq_pool *pool = &h->pools[cls];
    if (!mcq_pool_init(pool, CLASSES[cls].name, arena, CLASSES[cls].len, cnt))
        return false;
    for (uint32_t i = 0; i < cnt; i++) {
        struct mcq_buf *b = &h->table.bufs[h->first[cls] + i];
        b->base = mcq_pool_at(pool, i);
        b->cap = CLASSES[cls].len;
        b->cls = (uint8_t)cls;
    }
    return true;
}

static void init_table(struct mcq_buf_heap *h, const struct mcq_buf_plan *plan)
{
    uint32_t at = 0;
    for (unsigned c = 0; c < MCQ_BUF_POOL_CNT; c++) {
        h->first[c] = at;
        at += plan->cnt[c];
    }
    for (uint32_t i = 0; i < h->table.cnt; i++)
        h->table.bufs[i] = (struct mcq_buf){.idx = i};
    for (uint32_t i = 0; i < plan->external_cnt; i++)
        h->spare[i] = h->table.cnt - 1 - i;
    h->spare_cnt = plan->external_cnt;
    h->spare_max = plan->external_cnt;
}

struct mcq_buf_heap *mcq_buf_heap_init(struct mcq_arena *arena, const struct mcq_buf_plan *plan,
                                       struct mcq_mem_stats *stats)
{
    size_t cnt = table_cnt(plan);
    MCQ_ASSERT(cnt < MCQ_OWNER_OWNED - 1);
    struct mcq_buf_heap *h = mcq_arena_carve(arena, sizeof(*h), MCQ_CACHE_LINE);
    if (h == NULL)
        return NULL;
    *h = (struct mcq_buf_heap){.stats = stats, .table = {NULL, (uint32_t)cnt}};
    h->table.bufs = mcq_arena_carve(arena, cnt * sizeof(struct mcq_buf), MCQ_CACHE_LINE);
    h->spare = mcq_arena_carve(arena, plan->external_cnt * sizeof(uint32_t), MCQ_CACHE_LINE);
    if (h->table.bufs == NULL || h->spare == NULL)
        return NULL;
    init_table(h, plan);
    for (unsigned c = 0; c < MCQ_BUF_POOL_CNT; c++)
        if (!init_class(h, arena, c, plan->cnt[c]))
            return NULL;
    return mcq_large_init(&h->large, arena, plan->large_bytes) ? h : NULL;
}

void mcq_buf_heap_reserve_rx(struct mcq_buf_heap *h, uint32_t cnt)
{
    h->rx_reserve = cnt;
}

uint32_t mcq_buf_heap_left(const struct mcq_buf_heap *h)
{
    const struct mcq_pool *pool = &h->pools[MCQ_BUF_32K];
    uint32_t cnt = pool->max - pool->in_use;
    return cnt > h->rx_reserve ? cnt - h->rx_reserve : 0;
}

uint32_t mcq_buf_heap_in_use(const struct mcq_buf_heap *h)
{
    uint32_t cnt = h->spare_max - h->spare_cnt;
    for (unsigned c = 0; c < MCQ_BUF_POOL_CNT; c++)
        cnt += h->pools[c].in_use;
    return cnt;
}

const struct mcq_pool *mcq_buf_heap_pool(const struct mcq_buf_heap *h, unsigned cls)
{
    MCQ_ASSERT(cls < MCQ_BUF_POOL_CNT);
    return &h->pools[cls];
}

/* --- take ---------------------------------------------------------------------------------- */

static struct mcq_buf *taken(struct mcq_buf_heap *h, struct mcq_buf *b, uint32_t app_cnt)
{
    MCQ_DASSERT(!mcq_buf_live(b));
    b->app_cnt = app_cnt;
    b->written = 0;
    struct mcq_mem_stats *s = h->stats;
    if (++s->blocks_now > s->blocks_peak)
        s->blocks_peak = s->blocks_now;
    return b;
}

static struct mcq_buf *none(struct mcq_buf_heap *h)
{
    h->stats->blocks_empty++;
    return NULL;
}

/* A block of class cls as it comes from its pool, NULL if there is none. */
static struct mcq_buf *pool_buf(struct mcq_buf_heap *h, unsigned cls)
{
    void *block = mcq_pool_take(&h->pools[cls]);
    if (block == NULL)
        return NULL;
    return &h->table.bufs[h->first[cls] + mcq_pool_idx(&h->pools[cls], block)];
}

/* Receiving goes on however much is queued. */
static struct mcq_buf *app_buf(struct mcq_buf_heap *h, unsigned cls)
{
    if (cls == MCQ_BUF_32K && mcq_buf_heap_left(h) == 0)
        return NULL;
    return pool_buf(h, cls);
}

static struct mcq_buf *spare_buf(struct mcq_buf_heap *h)
{
    return h->spare_cnt == 0 ? NULL : &h->table.bufs[h->spare[--h->spare_cnt]];
}

static struct mcq_buf *take_large(struct mcq_buf_heap *h, size_t len)
{
    if (h->spare_cnt == 0)
        return none(h);
    size_t cap;
    uint8_t *base = mcq_large_take(&h->large, len, &cap);
    struct mcq_mem_stats *s = h->stats;
    if (base == NULL) {
        s->large_empty++;
        return NULL;
    }
    struct mcq_buf *b = spare_buf(h);
    b->base = base;
    b->cap = cap;
    b->cls = MCQ_BUF_LARGE;
    s->large_now += cap;
    if (s->large_now > s->large_peak)
        s->large_peak = s->large_now;
    return taken(h, b, 1);
}

/* Half of the large region may stand in for blocks of 256 KiB; the rest is for what is large. */
static bool may_spill(const struct mcq_buf_heap *h)
{
    size_t region = h->large.granule_cnt * (size_t)MCQ_LARGE_GRANULE_LEN;
    return h->urgent || h->stats->large_now < region / 2;
}

struct mcq_buf *mcq_buf_take(struct mcq_buf_heap *h, size_t len)
{
    unsigned cls = mcq_buf_class_of(len);
    if (cls == MCQ_BUF_LARGE)
        return take_large(h, len);
    struct mcq_buf *b = app_buf(h, cls);
    /* One class up and no further: a flood of small blocks must not eat the large ones. */
    if (MCQ_UNLIKELY(b == NULL) && cls + 1 < MCQ_BUF_POOL_CNT)
        b = app_buf(h, cls + 1);
    if (MCQ_UNLIKELY(b == NULL) && cls == MCQ_BUF_256K && may_spill(h))
        return take_large(h, len);
    return b == NULL ? none(h) : taken(h, b, 1);
}

bool mcq_buf_grow(struct mcq_buf_heap *h, struct mcq_buf *b, size_t len)
{
    size_t before = b->cap;
    if (b->cls != MCQ_BUF_LARGE || !mcq_large_grow(&h->large, b->base, len, &b->cap))
        return false;
    struct mcq_mem_stats *s = h->stats;
    s->large_now += b->cap - before;
    if (s->large_now > s->large_peak)
        s->large_peak = s->large_now;
    return true;
}

bool mcq_buf_heap_scarce(const struct mcq_buf_heap *h)
{
    const struct mcq_pool *pool = &h->pools[MCQ_BUF_256K];
    return pool->in_use >= pool->max - pool->max / 2;
}

void mcq_buf_heap_urgent(struct mcq_buf_heap *h, bool on)
{
    h->urgent = on;
}

size_t mcq_buf_heap_len_max(const struct mcq_buf_heap *h)
{
    return mcq_max(h->large.granule_cnt * (size_t)MCQ_LARGE_GRANULE_LEN, MCQ_BUF_LARGE_MIN - 1);
}

struct mcq_buf *mcq_buf_take_rx(struct mcq_buf_heap *h)
{
    struct mcq_buf *b = pool_buf(h, MCQ_BUF_32K);
    if (b == NULL)
        return none(h);
    taken(h, b, 0);
    b->kernel = true;
    b->rx = true;
    mcq_poison(b->base, b->cap);
    return b;
}

struct mcq_buf *mcq_buf_take_external(struct mcq_buf_heap *h, const void *data, size_t len,
                                      mcq_free_fn *free_fn, void *hint)
{
    struct mcq_buf *b = spare_buf(h);
    if (b == NULL)
        return none(h);
    /* const ends here: nobody writes into an external buf, and free_fn wants the user's pointer */
    b->base = (uint8_t *)(uintptr_t)data;
    b->cap = len;
    b->cls = MCQ_BUF_EXTERNAL;
    b->free_fn = free_fn;
    b->free_hint = hint;
    taken(h, b, 1);
    b->written = len;
    return b;
}

/* --- the end of a buf ---------------------------------------------------------------------- */

static void give_spare(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    b->base = NULL;
    b->cap = 0;
    h->spare[h->spare_cnt++] = b->idx;
}

static void give_large(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    h->stats->large_now -= b->cap;
    mcq_large_give(&h->large, b->base);
    give_spare(h, b);
}

/* The descriptor goes first: the callback may send, and may so take this very one again. */
static void give_external(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    mcq_free_fn *free_fn = b->free_fn;
    void *hint = b->free_hint;
    uint8_t *data = b->base;
    size_t len = b->cap;
    b->free_fn = NULL;
    b->free_hint = NULL;
    give_spare(h, b);
    if (free_fn != NULL)
        free_fn(data, len, hint);
}

static void give_block(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    if (b->pinned)
        h->stats->pinned_now -= b->cap;
    b->pinned = false;
    b->rx = false;
    mcq_pool_give(&h->pools[b->cls], b->base);
}

/* The only place where a buf ends. Whose frames point into a parent holds one reference to it,
 * which ends here too: a loop, as a chain of them must not recurse. */
static void consider_free(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    while (b != NULL && !mcq_buf_live(b)) {
        struct mcq_buf *parent = mcq_owner_buf(h, b->parent);
        b->parent = 0;
        h->stats->blocks_now--;
        if (MCQ_LIKELY(b->cls < MCQ_BUF_POOL_CNT))
            give_block(h, b);
        else if (b->cls == MCQ_BUF_LARGE)
            give_large(h, b);
        else
            give_external(h, b);
        if (parent != NULL) {
            MCQ_ASSERT(parent->app_cnt != 0);
            parent->app_cnt--;
        }
        b = parent;
    }
}

void mcq_buf_unref(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    MCQ_ASSERT(b->app_cnt != 0);
    b->app_cnt--;
    consider_free(h, b);
}

void mcq_buf_tx_ref(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    (void)h;
    MCQ_DASSERT(mcq_buf_live(b));
    b->tx_cnt++;
}

void mcq_buf_tx_unref(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    MCQ_ASSERT(b->tx_cnt != 0);
    b->tx_cnt--;
    consider_free(h, b);
}

void mcq_buf_filled(struct mcq_buf_heap *h, struct mcq_buf *b, size_t len)
{
    (void)h;
    MCQ_DASSERT(mcq_buf_live(b));
    MCQ_ASSERT(len <= b->cap - b->written);
    mcq_unpoison(b->base + b->written, len);
    b->written += len;
}

void mcq_buf_kernel_done(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    MCQ_ASSERT(b->kernel);
    b->kernel = false;
    consider_free(h, b);
}
