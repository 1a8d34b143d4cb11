/* A pipe against a reference that knows only bytes: whatever is put, in whatever form, with blocks
 * and segments running out at any point, comes out as the same stream, whole messages or none of
 * one; and everything is back home at the end. Every random test names its failing seed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "patterns/pipe.h"

#define SEEDS      60u
#define OPS        1500u
#define SEGS_MAX   160u
#define EXTERN_MAX 24u
#define HOARD_MAX  512u
#define FRAMES_MAX 6u

struct bytes {
    uint8_t *ptr;
    size_t len, cap;
};

/* The stream that must come out, and where its messages end. */
struct model {
    struct bytes all;
    size_t *ends; /* of each message, in all */
    size_t cnt, cap;
    size_t taken; /* bytes the kernel has */
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
    struct mcq_slice flight[64];
    uint32_t flight_cnt;
    size_t flight_len;
    bool in_flight;
    struct mcq_buf *hoard[HOARD_MAX];
    uint32_t hoard_cnt;
    void *seg_hoard[SEGS_MAX];
    uint32_t seg_hoard_cnt;
    uint32_t externs, freed, marks;
    uint64_t out; /* msgs_out expected */
    uint8_t *scratch;
};

#define SCRATCH_LEN (700u * 1024u)

static uint32_t below(struct world *w, uint32_t max)
{
    uint64_t z = (w->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % max);
}

#define want(w, x) cr_assert((x), "seed %llu: %s", (unsigned long long)(w)->seed, #x)

/* --- the model ------------------------------------------------------------------------------- */

static void add(struct bytes *b, const void *ptr, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = (b->len + len) * 2;
        b->ptr = realloc(b->ptr, b->cap);
        cr_assert_not_null(b->ptr);
    }
    if (len != 0)
        memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

static void add_frame(struct bytes *b, bool more, const void *ptr, size_t len)
{
    uint8_t head[9];
    const uint8_t *end = mcq_frame_head_put(head, more ? MCQ_FRAME_MORE : 0, len);
    add(b, head, (size_t)(end - head));
    add(b, ptr, len);
}

static void end_message(struct model *m)
{
    if (m->cnt == m->cap) {
        m->cap = m->cap * 2 + 64;
        m->ends = realloc(m->ends, m->cap * sizeof(*m->ends));
        cr_assert_not_null(m->ends);
    }
    m->ends[m->cnt++] = m->all.len;
}

static size_t model_start(const struct model *m, size_t at)
{
    size_t start = 0;
    for (size_t i = 0; i < m->cnt && m->ends[i] <= at; i++)
        start = m->ends[i];
    return start;
}

static uint64_t model_whole(const struct model *m, size_t at)
{
    size_t i = 0;
    while (i < m->cnt && m->ends[i] <= at)
        i++;
    return i;
}

/* --- the world ------------------------------------------------------------------------------- */

static void on_mark(void *ctx, struct mcq_pipe *p)
{
    struct world *w = ctx;
    w->marks++;
    p->marked = true;
}

static void on_pressed(void *ctx, struct mcq_pipe *p)
{
    (void)ctx;
    (void)p;
}

static struct world *world_new(uint64_t seed)
{
    const struct mcq_buf_plan plan = {{40, 12, 24, 4}, 8 * MCQ_BUF_GRANULE_LEN, 8 + EXTERN_MAX};
    struct world *w = calloc(1, sizeof(*w));
    size_t len = mcq_buf_heap_footprint(&plan) +
                 mcq_pool_footprint(sizeof(struct mcq_seg), SEGS_MAX) + 65536;
    w->seed = seed;
    w->random = seed * 7919;
    w->scratch = malloc(SCRATCH_LEN);
    cr_assert_eq(mcq_arena_init(&w->arena, len, MCQ_NODE_ANY, NULL), MCQ_OK);
    w->heap = mcq_buf_heap_init(&w->arena, &plan, &w->mem);
    want(w, w->heap != NULL &&
                mcq_pool_init(&w->segs, "segments", &w->arena, sizeof(struct mcq_seg), SEGS_MAX));
    w->env = (struct mcq_pipe_env){.heap = w->heap,
                                   .segs = &w->segs,
                                   .stats = &w->stats,
                                   .ctx = w,
                                   .mark = on_mark,
                                   .pressed = on_pressed};
    for (size_t i = 0; i < SCRATCH_LEN; i++)
        w->scratch[i] = (uint8_t)below(w, 256);
    return w;
}

static void give_back(struct world *w)
{
    while (w->hoard_cnt != 0)
        mcq_buf_unref(w->heap, w->hoard[--w->hoard_cnt]);
    while (w->seg_hoard_cnt != 0)
        mcq_pool_give(&w->segs, w->seg_hoard[--w->seg_hoard_cnt]);
}

static void world_end(struct world *w)
{
    give_back(w);
    want(w, mcq_buf_heap_in_use(w->heap) == 0);
    want(w, w->segs.in_use == 0);
    want(w, w->freed == w->externs);
    mcq_arena_fini(&w->arena);
    free(w->m.all.ptr);
    free(w->m.ends);
    free(w->scratch);
    free(w);
}

/* Leaves a few blocks of some class, or a few segments, or gives all back. */
static void hoard(struct world *w)
{
    static const size_t lens[] = {512, 4096, MCQ_BUF_RX_LEN, 200000, MCQ_BUF_LARGE_MIN};
    uint32_t kind = below(w, 8);
    give_back(w);
    if (kind < 5) {
        uint32_t keep = below(w, 3);
        struct mcq_buf *b;
        while (w->hoard_cnt < HOARD_MAX && (b = mcq_buf_take(w->heap, lens[kind])) != NULL)
            w->hoard[w->hoard_cnt++] = b;
        while (keep-- != 0 && w->hoard_cnt != 0)
            mcq_buf_unref(w->heap, w->hoard[--w->hoard_cnt]);
    } else if (kind == 5) {
        uint32_t keep = below(w, 5);
        while (w->segs.max - w->segs.in_use > keep)
            w->seg_hoard[w->seg_hoard_cnt++] = mcq_pool_take(&w->segs);
    }
}

/* --- what must always hold ------------------------------------------------------------------- */

static void check(struct world *w)
{
    const struct mcq_pipe *p = &w->p;
    uint64_t bytes = 0, msgs = 0;
    uint32_t segs = 0;
    const struct mcq_seg *last = NULL;
    for (const struct mcq_seg *s = p->head; s != NULL; s = s->next) {
        want(w, s->len != 0 && s->buf != NULL);
        bytes += s->len;
        msgs += s->msg_cnt;
        segs++;
        last = s;
    }
    want(w, p->tail == last && p->seg_cnt == segs);
    want(w, p->queued_msgs == msgs && p->queued_bytes == bytes - p->head_sent);
    want(w, mcq_pipe_queued_bytes(p) == w->m.all.len - w->m.taken);
    want(w, mcq_pipe_empty(p) == (w->m.all.len == w->m.taken));
    want(w, mcq_pipe_queued_msgs(p) >= w->m.cnt - model_whole(&w->m, w->m.taken));
    /* Inside a segment of small messages it may say no where yes would be right. */
    want(w, !mcq_pipe_at_boundary(p) || model_start(&w->m, w->m.taken) == w->m.taken);
    want(w, mcq_pipe_at_boundary(p) || p->head_sent != 0);
    want(w, p->cursor <= p->limit || p->countdown == 0);
    want(w, p->block == NULL || p->limit <= p->block->base + p->block->cap);
    want(w, p->head != NULL || p->pool_bytes == 0);
}

/* --- putting --------------------------------------------------------------------------------- */

static size_t some_len(struct world *w, bool large)
{
    static const size_t edges[] = {0, 1, 255, 256, 4085, 4096, 16383, 16384, 16385, 32759, 32768};
    switch (below(w, large ? 6 : 4)) {
    case 0:
        return edges[below(w, MCQ_CNT_OF(edges))];
    case 1:
        return below(w, 20000);
    case 4:
        return 60000 + below(w, 200000);
    case 5:
        return 262000 + below(w, 300000);
    default:
        return below(w, 300);
    }
}

/* The model with the message, if it was taken; otherwise nothing has changed. */
static void settle(struct world *w, enum mcq_error err, struct bytes *msg)
{
    uint64_t msgs = mcq_pipe_queued_msgs(&w->p);
    if (err == MCQ_OK) {
        add(&w->m.all, msg->ptr, msg->len);
        end_message(&w->m);
    } else {
        want(w, err == MCQ_EAGAIN && w->p.starved);
    }
    want(w, w->p.hwm_msgs == MCQ_UNLIMITED || msgs <= w->p.hwm_msgs);
    free(msg->ptr);
}

/* What the marks alone decide: a message that mustn't be taken. */
static bool above_marks(const struct world *w, size_t need)
{
    uint64_t bytes = mcq_pipe_queued_bytes(&w->p);
    if (w->p.hwm_msgs != MCQ_UNLIMITED && mcq_pipe_queued_msgs(&w->p) >= w->p.hwm_msgs)
        return true;
    /* A reservation that was larger than the mark, and used in part only, leaves its rest. */
    uint64_t mark = w->p.hwm_bytes;
    if (mark < MCQ_PIPE_RESERVE_MAX + MCQ_FRAME_HEAD_MAX)
        mark = MCQ_PIPE_RESERVE_MAX + MCQ_FRAME_HEAD_MAX;
    return bytes != 0 && bytes + need > mark;
}

static void put_bytes(struct world *w)
{
    size_t len = some_len(w, false);
    struct bytes msg = {NULL, 0, 0};
    if (len > MCQ_PIPE_SHARE_MIN)
        len = MCQ_PIPE_SHARE_MIN;
    const uint8_t *from = w->scratch + below(w, 1000);
    add_frame(&msg, false, from, len);
    bool full = above_marks(w, msg.len);
    enum mcq_error err = mcq_pipe_put_bytes(&w->p, from, len);
    want(w, !full || err != MCQ_OK);
    settle(w, err, &msg);
}

static void on_free(void *data, size_t len, void *hint)
{
    struct world *w = hint;
    (void)len;
    (void)data;
    w->freed++;
}

/* The message in one of its forms: the caller's bytes, kept, or the user's memory. */
static struct mcq_msg in_form(struct world *w, const struct mcq_frame *frames, uint32_t cnt)
{
    struct mcq_msg m = mcq_msg_of_frames(frames, cnt), other;
    uint32_t form = below(w, 3);
    if (form == 1 && mcq_buf_msg_keep(w->heap, SIZE_MAX, &m, &other) == MCQ_OK)
        return other;
    if (form == 2 && cnt == 1 &&
        mcq_buf_msg_external(w->heap, frames[0].data, frames[0].len, on_free, w, &other) ==
            MCQ_OK) {
        w->externs++;
        return other;
    }
    return m;
}

static void put(struct world *w)
{
    struct mcq_frame frames[FRAMES_MAX];
    uint32_t cnt = 1 + below(w, FRAMES_MAX);
    uint32_t first = cnt > 1 && below(w, 4) == 0 ? 1 : 0;
    struct bytes msg = {NULL, 0, 0}, prefix = {NULL, 0, 0};
    bool large = below(w, 3) == 0;
    if (below(w, 3) == 0)
        cnt = 1, first = 0;
    if (below(w, 4) == 0)
        add_frame(&prefix, true, w->scratch, below(w, 900));
    add(&msg, prefix.ptr, prefix.len);
    for (uint32_t i = 0; i < cnt; i++) {
        size_t len = some_len(w, large && i == first);
        frames[i] = (struct mcq_frame){w->scratch + below(w, 5000), len};
        if (i >= first)
            add_frame(&msg, i + 1 < cnt, frames[i].data, len);
    }
    struct mcq_msg m = in_form(w, frames, cnt);
    bool full = above_marks(w, msg.len);
    enum mcq_error err = mcq_pipe_put(&w->p, mcq_slice_of(prefix.ptr, prefix.len), &m, first);
    want(w, !full || err != MCQ_OK);
    settle(w, err, &msg);
    mcq_buf_msg_drop(w->heap, &m);
    free(prefix.ptr);
}

static void reserve(struct world *w)
{
    size_t len = below(w, 3) == 0 ? below(w, MCQ_PIPE_RESERVE_MAX + 1) : below(w, 400);
    size_t used = below(w, 3) == 0 ? len : below(w, (uint32_t)len + 1);
    struct bytes msg = {NULL, 0, 0};
    void *at = NULL;
    bool full = above_marks(w, len + mcq_frame_head_len(len));
    enum mcq_error err = mcq_pipe_reserve(&w->p, len, &at);
    want(w, !full || err != MCQ_OK);
    if (err == MCQ_OK) {
        memcpy(at, w->scratch, len);
        want(w, mcq_pipe_commit(&w->p, len + 1) == MCQ_EINVAL);
        if (below(w, 5) == 0) { /* forgotten */
            mcq_pipe_forget(&w->p);
            want(w, mcq_pipe_commit(&w->p, 0) == MCQ_ESTATE);
            return;
        }
        want(w, mcq_pipe_commit(&w->p, used) == MCQ_OK);
        want(w, mcq_pipe_commit(&w->p, used) == MCQ_ESTATE);
    }
    add_frame(&msg, false, w->scratch, used);
    settle(w, err, &msg);
}

/* --- sending --------------------------------------------------------------------------------- */

static void gather(struct world *w)
{
    uint32_t max = below(w, 4) == 0 ? 1 + below(w, 3) : 64;
    size_t bytes_max = below(w, 3) == 0 ? 1 + below(w, 5000) : 262144;
    size_t at = w->m.taken;
    w->p.marked = false;
    w->flight_len = mcq_pipe_gather(&w->p, w->flight, max, bytes_max, &w->flight_cnt);
    want(w, w->flight_cnt <= max && w->flight_len <= w->m.all.len - at);
    want(w, (w->flight_len == 0) == (at == w->m.all.len));
    for (uint32_t i = 0; i < w->flight_cnt; i++) {
        want(w, w->flight[i].len != 0);
        want(w, memcmp(w->flight[i].ptr, w->m.all.ptr + at, w->flight[i].len) == 0);
        at += w->flight[i].len;
    }
    want(w, at - w->m.taken == w->flight_len);
    /* Not much more than asked for: a block, which may be of the next class. */
    want(w, w->flight_len <= bytes_max + MCQ_BUF_LARGE_MIN);
    w->in_flight = w->flight_cnt != 0;
}

/* What is in flight has not changed while it was. */
static void check_frozen(struct world *w)
{
    size_t at = w->m.taken;
    for (uint32_t i = 0; w->in_flight && i < w->flight_cnt; i++) {
        want(w, memcmp(w->flight[i].ptr, w->m.all.ptr + at, w->flight[i].len) == 0);
        at += w->flight[i].len;
    }
}

static void sent(struct world *w)
{
    size_t len = below(w, 2) == 0 ? w->flight_len : below(w, (uint32_t)w->flight_len + 1);
    bool starved = w->p.starved;
    check_frozen(w);
    bool room = mcq_pipe_sent(&w->p, len);
    w->m.taken += len;
    w->in_flight = false;
    bool low = mcq_pipe_queued_bytes(&w->p) <= w->p.hwm_bytes / 2 &&
               (w->p.hwm_msgs == MCQ_UNLIMITED || mcq_pipe_queued_msgs(&w->p) <= w->p.hwm_msgs / 2);
    want(w, room == (starved && low) && w->p.starved == (starved && !low));
}

static void rewind_pipe(struct world *w)
{
    size_t start = model_start(&w->m, w->m.taken);
    bool cut = start != w->m.taken;
    check_frozen(w);
    want(w, mcq_pipe_rewind(&w->p) == cut);
    w->m.taken = start;
    w->in_flight = false;
    want(w, w->p.msgs_out == model_whole(&w->m, start));
    want(w, mcq_pipe_at_boundary(&w->p));
}

/* --- tests ----------------------------------------------------------------------------------- */

static void step(struct world *w)
{
    switch (below(w, 14)) {
    case 0:
    case 1:
    case 2:
    case 3:
        put_bytes(w);
        break;
    case 4:
    case 5:
    case 6:
        put(w);
        break;
    case 7:
        reserve(w);
        break;
    case 8:
        if (below(w, 4) == 0)
            hoard(w);
        break;
    case 9:
        if (below(w, 8) == 0)
            rewind_pipe(w);
        break;
    default:
        if (w->in_flight)
            sent(w);
        else
            gather(w);
        break;
    }
    check(w);
}

static void drain(struct world *w)
{
    give_back(w);
    while (!mcq_pipe_empty(&w->p) || w->in_flight) {
        if (!w->in_flight)
            gather(w);
        sent(w);
        check(w);
    }
    want(w, w->p.msgs_out == w->m.cnt && w->p.head == NULL && w->p.block == NULL);
}

static void run(uint64_t seed, uint32_t hwm_msgs, uint64_t hwm_bytes, bool to_the_end)
{
    struct world *w = world_new(seed);
    mcq_pipe_init(&w->p, &w->env, NULL, hwm_msgs, hwm_bytes);
    for (uint32_t i = 0; i < OPS; i++)
        step(w);
    if (to_the_end)
        drain(w);
    else if (w->in_flight)
        sent(w);
    uint64_t left = mcq_pipe_queued_msgs(&w->p);
    want(w, mcq_pipe_fini(&w->p) == left);
    want(w, !to_the_end || left == 0);
    world_end(w);
}

Test(pipe, random_against_a_reference)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed, MCQ_UNLIMITED, UINT64_MAX, (seed & 1) != 0);
}

Test(pipe, random_with_few_messages)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed, 1 + (uint32_t)seed % 20, UINT64_MAX, (seed & 1) != 0);
}

Test(pipe, random_with_few_bytes)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed, MCQ_UNLIMITED, 1 + seed * 3001 % 100000, (seed & 1) != 0);
}

Test(pipe, high_water_mark_is_exact)
{
    struct world *w = world_new(1);
    mcq_pipe_init(&w->p, &w->env, NULL, 1000, 10000);
    for (unsigned i = 0; i < 9; i++)
        want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 998) == MCQ_OK); /* 1,007 bytes each */
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 998) == MCQ_EAGAIN);
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 928) == MCQ_OK); /* exactly full */
    want(w, mcq_pipe_queued_bytes(&w->p) == 10000);
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 0) == MCQ_EAGAIN);
    want(w, !mcq_pipe_has_room(&w->p, 0));
    want(w, mcq_pipe_fini(&w->p) == 10);
    world_end(w);
}

/* A message beyond the mark goes alone into an empty queue. */
Test(pipe, larger_than_the_mark)
{
    struct world *w = world_new(1);
    struct mcq_msg m = mcq_msg_of(w->scratch, 300000);
    const struct mcq_slice none = {NULL, 0};
    mcq_pipe_init(&w->p, &w->env, NULL, 1000, 10000);
    want(w, mcq_pipe_has_room(&w->p, 300000));
    want(w, mcq_pipe_put(&w->p, none, &m, 0) == MCQ_OK);
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 0) == MCQ_EAGAIN);
    want(w, mcq_pipe_put(&w->p, none, &m, 0) == MCQ_EAGAIN);
    want(w, mcq_pipe_fini(&w->p) == 1);
    world_end(w);
}

/* Every number of segments and blocks that may be left, for a message that needs several: taken
 * whole, or not at all. */
Test(pipe, spread_is_all_or_nothing)
{
    const size_t lens[] = {10, 20000, 70000, 300000, 5};
    for (uint32_t kind = 0; kind < 4; kind++) {
        for (uint32_t left = 0; left < 16; left++) {
            static const size_t classes[] = {4096, MCQ_BUF_RX_LEN, MCQ_BUF_LARGE_MIN};
            struct world *w = world_new(1 + left);
            struct mcq_frame frames[5];
            struct bytes msg = {NULL, 0, 0};
            mcq_pipe_init(&w->p, &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
            put_bytes(w);
            for (uint32_t i = 0; i < 5; i++) {
                frames[i] = (struct mcq_frame){w->scratch + i, lens[i]};
                add_frame(&msg, i < 4, frames[i].data, lens[i]);
            }
            if (kind == 3)
                while (w->segs.max - w->segs.in_use > left)
                    w->seg_hoard[w->seg_hoard_cnt++] = mcq_pool_take(&w->segs);
            else
                for (struct mcq_buf *b; (b = mcq_buf_take(w->heap, classes[kind])) != NULL;)
                    w->hoard[w->hoard_cnt++] = b;
            for (uint32_t i = 0; kind != 3 && i < left && w->hoard_cnt != 0; i++)
                mcq_buf_unref(w->heap, w->hoard[--w->hoard_cnt]);
            uint32_t in_use = w->segs.in_use;
            struct mcq_msg m = mcq_msg_of_frames(frames, 5);
            enum mcq_error err = mcq_pipe_put(&w->p, mcq_slice_of(NULL, 0), &m, 0);
            /* sealing what was there and one in advance is all that may stay */
            want(w, err == MCQ_OK || w->segs.in_use <= in_use + 2);
            settle(w, err, &msg);
            check(w);
            drain(w);
            mcq_pipe_fini(&w->p);
            world_end(w);
        }
    }
}

/* Queues that nobody empties leave blocks and segments to one that is new. */
Test(pipe, stalled_queues_leave_room)
{
    struct world *w = world_new(1);
    struct mcq_pipe stalled[12];
    struct mcq_msg m = mcq_msg_of(w->scratch, 20000);
    const struct mcq_slice none = {NULL, 0};
    for (size_t i = 0; i < MCQ_CNT_OF(stalled); i++)
        mcq_pipe_init(&stalled[i], &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
    for (unsigned round = 0; round < 2000; round++)
        for (size_t i = 0; i < MCQ_CNT_OF(stalled); i++)
            if (mcq_pipe_put_bytes(&stalled[i], w->scratch, 1000) != MCQ_OK)
                want(w, stalled[i].starved);
    mcq_pipe_init(&w->p, &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
    want(w, mcq_pipe_put_bytes(&w->p, w->scratch, 100) == MCQ_OK);
    want(w, mcq_pipe_put(&w->p, none, &m, 0) == MCQ_OK);
    for (size_t i = 0; i < MCQ_CNT_OF(stalled); i++)
        mcq_pipe_fini(&stalled[i]);
    mcq_pipe_fini(&w->p);
    world_end(w);
}

/* A body of the user's memory is shared, never copied; its end is told once, after the last of
 * those who share it. */
Test(pipe, memory_is_shared_and_freed_once)
{
    struct world *w = world_new(1);
    struct mcq_pipe other;
    struct mcq_msg m;
    const struct mcq_slice none = {NULL, 0};
    mcq_pipe_init(&w->p, &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
    mcq_pipe_init(&other, &w->env, NULL, MCQ_UNLIMITED, UINT64_MAX);
    want(w, mcq_buf_msg_external(w->heap, w->scratch, 50000, on_free, w, &m) == MCQ_OK);
    w->externs = 1;
    want(w, mcq_pipe_put(&w->p, none, &m, 0) == MCQ_OK);
    want(w, mcq_pipe_put(&other, none, &m, 0) == MCQ_OK);
    mcq_buf_msg_drop(w->heap, &m);
    size_t len = mcq_pipe_gather(&w->p, w->flight, 64, SIZE_MAX / 2, &w->flight_cnt);
    want(w, w->flight_cnt == 2 && len == 50009 && w->flight[1].ptr == w->scratch);
    mcq_pipe_sent(&w->p, len);
    want(w, w->freed == 0);
    mcq_pipe_fini(&other);
    want(w, w->freed == 1);
    mcq_pipe_fini(&w->p);
    world_end(w);
}
