#include "fixture.h"

static const struct mcq_buf_plan PLAN = {
    .cnt = {4, 4, 6, 2}, .large_bytes = 6 * (size_t)MCQ_BUF_GRANULE_LEN, .external_cnt = 4};

/* --- taking ---------------------------------------------------------------------------------- */

Test(buf, the_class_fits_the_length)
{
    static const struct {
        size_t len;
        unsigned cls;
        size_t cap;
    } cases[] = {
        {0, MCQ_BUF_512, 512},           {512, MCQ_BUF_512, 512},
        {513, MCQ_BUF_4K, 4096},         {4096, MCQ_BUF_4K, 4096},
        {4097, MCQ_BUF_32K, 32768},      {32768, MCQ_BUF_32K, 32768},
        {32769, MCQ_BUF_256K, 262144},   {262143, MCQ_BUF_256K, 262144},
        {262144, MCQ_BUF_LARGE, 262144}, {262145, MCQ_BUF_LARGE, 524288},
    };
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    for (size_t i = 0; i < MCQ_CNT_OF(cases); i++) {
        struct mcq_buf *b = mcq_buf_take(h, cases[i].len);
        cr_assert_not_null(b);
        cr_assert_eq(b->cls, cases[i].cls, "len %zu", cases[i].len);
        cr_assert_eq(b->cap, cases[i].cap, "len %zu", cases[i].len);
        cr_assert_eq(b->written, 0);
        cr_assert_eq(b->app_cnt, 1);
        cr_assert(is_open(b->base, b->cap));
        cr_assert_eq(mcq_buf_at(h, b->idx), b);
        cr_assert_eq(mcq_owner_buf(h, mcq_owner_borrowed(b)), b);
        cr_assert_eq(mcq_owner_buf(h, mcq_owner_borrowed(b) | MCQ_OWNER_OWNED), b);
        mcq_buf_unref(h, b);
    }
    cr_assert_null(mcq_owner_buf(h, 0));
    fixture_close(&f);
}

/* A flood of small blocks takes its own class and the next, and leaves the large ones alone. */
Test(buf, an_empty_class_borrows_from_the_next_one_only)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b[8];
    for (size_t i = 0; i < 8; i++) {
        b[i] = mcq_buf_take(h, 100);
        cr_assert_not_null(b[i]);
        cr_assert_eq(b[i]->cls, i < 4 ? MCQ_BUF_512 : MCQ_BUF_4K);
    }
    cr_assert_null(mcq_buf_take(h, 100));
    cr_assert_eq(f.stats.blocks_empty, 1);
    cr_assert_eq(mcq_buf_heap_pool(h, MCQ_BUF_512)->empty_cnt, 5);
    cr_assert_eq(mcq_buf_heap_pool(h, MCQ_BUF_32K)->in_use, 0);
    struct mcq_buf *wide = mcq_buf_take(h, 4000);
    cr_assert_eq(wide->cls, MCQ_BUF_32K);
    cr_assert_eq(f.stats.blocks_now, 9);
    cr_assert_eq(mcq_buf_heap_in_use(h), 9);
    mcq_buf_unref(h, wide);
    for (size_t i = 0; i < 8; i++)
        mcq_buf_unref(h, b[i]);
    cr_assert_eq(f.stats.blocks_peak, 9);
    fixture_close(&f);
}

Test(buf, receive_blocks_come_from_one_class_only)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b[6];
    for (size_t i = 0; i < 6; i++)
        cr_assert_not_null(b[i] = mcq_buf_take_rx(h));
    cr_assert_null(mcq_buf_take_rx(h));
    cr_assert_eq(f.stats.blocks_empty, 1);
    cr_assert_eq(mcq_buf_heap_pool(h, MCQ_BUF_256K)->in_use, 0);
    mcq_buf_kernel_done(h, b[3]);
    cr_assert_eq(mcq_buf_take_rx(h), b[3], "the hottest block comes first");
    for (size_t i = 0; i < 6; i++)
        mcq_buf_kernel_done(h, b[i]);
    fixture_close(&f);
}

Test(buf, the_largest_class_has_no_next)
{
    struct heap_fixture f;
    struct mcq_buf_plan plan = PLAN;
    plan.cnt[MCQ_BUF_32K] = 0;
    struct mcq_buf_heap *h = fixture_open(&f, &plan);
    struct mcq_buf *wide = mcq_buf_take(h, 30000);
    cr_assert_eq(wide->cls, MCQ_BUF_256K);
    mcq_buf_unref(h, wide);
    struct mcq_buf *b[64];
    uint32_t cnt = 0;
    size_t half = plan.large_bytes / 2;
    while ((b[cnt] = mcq_buf_take(h, 100000)) != NULL)
        cr_assert_lt(++cnt, 64);
    cr_assert_eq(cnt - plan.cnt[MCQ_BUF_256K], half / MCQ_BUF_GRANULE_LEN, "half stands in");
    cr_assert_eq(f.stats.large_now, half);
    mcq_buf_heap_urgent(h, true);
    b[cnt] = mcq_buf_take(h, 100000);
    cr_assert_not_null(b[cnt++], "in need all of it does");
    mcq_buf_heap_urgent(h, false);
    while (cnt != 0)
        mcq_buf_unref(h, b[--cnt]);
    fixture_close(&f);
}

Test(buf, scarce_is_half)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b[64];
    uint32_t cnt = 0;
    while (!mcq_buf_heap_scarce(h))
        cr_assert_not_null(b[cnt++] = mcq_buf_take(h, 200000));
    cr_assert_eq(cnt, PLAN.cnt[MCQ_BUF_256K] - PLAN.cnt[MCQ_BUF_256K] / 2);
    while (cnt != 0)
        mcq_buf_unref(h, b[--cnt]);
    cr_assert_not(mcq_buf_heap_scarce(h));
    fixture_close(&f);
}

Test(buf, large_bodies_grow_in_place)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b = mcq_buf_take(h, MCQ_BUF_LARGE_MIN);
    struct mcq_buf *small = mcq_buf_take(h, 1000);
    const uint8_t *base = b->base;
    cr_assert(mcq_buf_grow(h, b, MCQ_BUF_LARGE_MIN + 1));
    cr_assert_eq(b->base, base);
    cr_assert_eq(b->cap, 2 * (size_t)MCQ_BUF_GRANULE_LEN);
    cr_assert_eq(f.stats.large_now, b->cap);
    b->base[b->cap - 1] = 1; /* ASan: it is ours */
    cr_assert_not(mcq_buf_grow(h, b, PLAN.large_bytes + 1));
    cr_assert_eq(b->cap, 2 * (size_t)MCQ_BUF_GRANULE_LEN);
    cr_assert_not(mcq_buf_grow(h, small, 1001));
    mcq_buf_unref(h, small);
    mcq_buf_unref(h, b);
    cr_assert_eq(f.stats.large_now, 0);
    fixture_close(&f);
}

Test(buf, large_bodies_are_counted_and_bounded)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b = mcq_buf_take(h, 5 * (size_t)MCQ_BUF_GRANULE_LEN - 1);
    cr_assert_eq(f.stats.large_now, 5 * (uint64_t)MCQ_BUF_GRANULE_LEN);
    cr_assert_null(mcq_buf_take(h, 2 * (size_t)MCQ_BUF_GRANULE_LEN));
    cr_assert_null(mcq_buf_take(h, SIZE_MAX));
    cr_assert_eq(f.stats.large_empty, 2);
    cr_assert_eq(f.stats.blocks_empty, 0);
    mcq_buf_unref(h, b);
    b = mcq_buf_take(h, 6 * (size_t)MCQ_BUF_GRANULE_LEN);
    cr_assert_not_null(b, "what came back is whole");
    mcq_buf_unref(h, b);
    cr_assert_eq(f.stats.large_peak, 6 * (uint64_t)MCQ_BUF_GRANULE_LEN);
    fixture_close(&f);
}

Test(buf, without_a_descriptor_no_large_run_is_lost)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b[4];
    for (size_t i = 0; i < 4; i++)
        b[i] = mcq_buf_take(h, MCQ_BUF_LARGE_MIN);
    cr_assert_null(mcq_buf_take(h, MCQ_BUF_LARGE_MIN));
    cr_assert_null(mcq_buf_take_external(h, "x", 1, NULL, NULL));
    cr_assert_eq(f.stats.blocks_empty, 2);
    cr_assert_eq(f.stats.large_now, 4 * (uint64_t)MCQ_BUF_GRANULE_LEN);
    for (size_t i = 0; i < 4; i++)
        mcq_buf_unref(h, b[i]);
    fixture_close(&f);
}

Test(buf, footprint_is_enough_and_less_is_refused)
{
    static const struct mcq_buf_plan plans[] = {
        {{0, 0, 0, 0}, 0, 0},
        {{1, 0, 0, 0}, 0, 3},
        {{3, 5, 7, 1}, MCQ_BUF_GRANULE_LEN, 1},
        {{1000, 1, 2, 0}, 0, 17},
    };
    for (size_t i = 0; i < MCQ_CNT_OF(plans); i++) {
        struct mcq_mem_stats stats = {0};
        struct mcq_arena a;
        size_t need = mcq_buf_heap_footprint(&plans[i]);
        for (size_t skew = 1; skew < 70; skew += 4) {
            cr_assert_eq(mcq_arena_init(&a, need + skew, MCQ_NODE_ANY, NULL), MCQ_OK);
            cr_assert_not_null(mcq_arena_carve(&a, skew, 1));
            cr_assert_not_null(mcq_buf_heap_init(&a, &plans[i], &stats), "plan %zu", i);
            mcq_arena_fini(&a);
        }
        size_t bytes = plans[i].large_bytes;
        static const size_t lens[] = {512, 4096, 32768, 262144};
        for (size_t c = 0; c < MCQ_BUF_POOL_CNT; c++)
            bytes += plans[i].cnt[c] * lens[c];
        for (size_t cap = 64; cap <= bytes; cap += bytes / 64 + 1) {
            cr_assert_eq(mcq_arena_init(&a, cap, MCQ_NODE_ANY, NULL), MCQ_OK);
            cr_assert_null(mcq_buf_heap_init(&a, &plans[i], &stats), "plan %zu", i);
            mcq_arena_fini(&a);
        }
    }
}

/* --- law 1: no reuse while referenced, by any of the three holders ------------------------------
 */

Test(buf, each_holder_alone_keeps_it)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b = mcq_buf_take_rx(h);
    mcq_buf_ref(h, b);
    mcq_buf_tx_ref(h, b);
    mcq_buf_unref(h, b);
    cr_assert_eq(f.stats.blocks_now, 1, "the kernel sends it and receives into it");
    mcq_buf_tx_unref(h, b);
    cr_assert_eq(f.stats.blocks_now, 1, "the kernel receives into it");
    mcq_buf_ref(h, b);
    mcq_buf_kernel_done(h, b);
    cr_assert_eq(f.stats.blocks_now, 1, "the application reads it");
    mcq_buf_tx_ref(h, b);
    mcq_buf_unref(h, b);
    cr_assert_eq(f.stats.blocks_now, 1, "the kernel sends it");
    mcq_buf_tx_unref(h, b);
    fixture_close(&f);
}

/* --- law 2: no byte past what the kernel wrote is visible ---------------------------------------
 */

Test(buf, only_what_was_filled_may_be_read)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b = mcq_buf_take_rx(h);
    struct rng rng = {7};
    cr_assert(is_poisoned(b->base));
    while (b->written < b->cap) {
        size_t len = mcq_min(b->cap - b->written, 1 + rng_below(&rng, 3000));
        mcq_buf_filled(h, b, len);
        cr_assert(is_open(b->base, b->written));
        cr_assert(b->written == b->cap || is_poisoned(b->base + b->written));
        cr_assert(b->written == b->cap || is_poisoned(b->base + b->cap - 1));
    }
    mcq_buf_kernel_done(h, b);
    cr_assert(is_poisoned(b->base));
    struct mcq_buf *again = mcq_buf_take_rx(h);
    cr_assert_eq(again, b);
    cr_assert_eq(again->written, 0);
    cr_assert(is_poisoned(again->base), "the bytes of another connection stay hidden");
    mcq_buf_kernel_done(h, again);
    struct mcq_buf *tx = mcq_buf_take(h, 20000);
    cr_assert(is_open(tx->base, tx->cap), "a block to write into is open as a whole");
    mcq_buf_unref(h, tx);
    cr_assert(is_poisoned(tx->base));
    fixture_close(&f);
}

/* --- external memory ----------------------------------------------------------------------------
 */

struct freed {
    struct mcq_buf_heap *heap;
    void *data;
    size_t len;
    unsigned calls;
    struct mcq_buf *next; /* what the callback takes, to check that it may */
};

static void on_free(void *data, size_t len, void *hint)
{
    struct freed *fr = hint;
    fr->data = data;
    fr->len = len;
    fr->calls++;
    fr->next = mcq_buf_take_external(fr->heap, "next", 4, NULL, NULL);
}

Test(buf, the_free_callback_comes_once_and_last)
{
    static const char text[] = "the user's";
    struct mcq_buf_plan plan = {.external_cnt = 1};
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &plan);
    struct freed fr = {.heap = h};
    struct mcq_buf *b = mcq_buf_take_external(h, text, sizeof(text), on_free, &fr);
    cr_assert_eq((const void *)b->base, text);
    cr_assert_eq(b->written, sizeof(text));
    mcq_buf_ref(h, b);
    mcq_buf_tx_ref(h, b);
    mcq_buf_unref(h, b);
    mcq_buf_unref(h, b);
    cr_assert_eq(fr.calls, 0, "the kernel still reads it");
    mcq_buf_tx_unref(h, b);
    cr_assert_eq(fr.calls, 1);
    cr_assert_eq(fr.data, text);
    cr_assert_eq(fr.len, sizeof(text));
    cr_assert_eq(fr.next, b, "the only descriptor is free inside the callback");
    mcq_buf_unref(h, fr.next);
    cr_assert_eq(fr.calls, 1);
    fixture_close(&f);
}

/* --- all of it, at random -----------------------------------------------------------------------
 */

enum { LIVE_MAX = 24 };

struct live {
    struct mcq_buf *buf;
    uint32_t app, tx;
    bool kernel;
    uint8_t mark;
};

struct model {
    struct heap_fixture f;
    struct live live[LIVE_MAX];
    uint32_t cnt;
    unsigned freed, external; /* callbacks seen, and external bufs taken */
    uint64_t seed;
};

static void count_free(void *data, size_t len, void *hint)
{
    unsigned *freed = hint;
    (void)data;
    (void)len;
    (*freed)++;
}

static bool writable(const struct live *l)
{
    return l->buf->cls != MCQ_BUF_EXTERNAL && !l->buf->rx;
}

static void model_add(struct model *m, struct mcq_buf *b, bool kernel)
{
    if (b == NULL)
        return;
    for (uint32_t i = 0; i < m->cnt; i++)
        cr_assert_neq(m->live[i].buf, b, "seed %lu: taken while in use", (unsigned long)m->seed);
    struct live *l = &m->live[m->cnt++];
    *l = (struct live){b, kernel ? 0 : 1, 0, kernel, (uint8_t)(m->cnt * 7)};
    if (writable(l))
        b->base[0] = b->base[b->cap - 1] = l->mark;
}

static void model_take(struct model *m, struct rng *rng)
{
    static const size_t lens[] = {10, 600, 5000, 40000, 262144, 600000};
    static char user[64];
    uint32_t kind = rng_below(rng, 8);
    if (m->cnt == LIVE_MAX)
        return;
    if (kind == 0) {
        struct mcq_buf *b =
            mcq_buf_take_external(m->f.heap, user, sizeof(user), count_free, &m->freed);
        m->external += b != NULL;
        model_add(m, b, false);
    } else if (kind == 1) {
        model_add(m, mcq_buf_take_rx(m->f.heap), true);
    } else {
        model_add(m, mcq_buf_take(m->f.heap, lens[kind - 2]), false);
    }
}

static void model_drop_one(struct model *m, struct live *l, uint32_t op)
{
    struct mcq_buf_heap *h = m->f.heap;
    if (op == 0 && l->app != 0) {
        l->app--;
        mcq_buf_unref(h, l->buf);
    } else if (op == 1 && l->tx != 0) {
        l->tx--;
        mcq_buf_tx_unref(h, l->buf);
    } else if (op == 2 && l->kernel) {
        l->kernel = false;
        mcq_buf_kernel_done(h, l->buf);
    }
    if (l->app == 0 && l->tx == 0 && !l->kernel)
        *l = m->live[--m->cnt];
}

static void model_use(struct model *m, struct rng *rng)
{
    struct live *l = &m->live[rng_below(rng, m->cnt)];
    struct mcq_buf *b = l->buf;
    if (writable(l))
        cr_assert(b->base[0] == l->mark && b->base[b->cap - 1] == l->mark,
                  "seed %lu: changed while held", (unsigned long)m->seed);
    uint32_t op = rng_below(rng, 7);
    if (op == 3) {
        l->app++;
        mcq_buf_ref(m->f.heap, b);
    } else if (op == 4) {
        l->tx++;
        mcq_buf_tx_ref(m->f.heap, b);
    } else if (op == 5 && l->kernel) {
        mcq_buf_filled(m->f.heap, b, rng_below(rng, (uint32_t)(b->cap - b->written) / 4 + 1));
    } else {
        model_drop_one(m, l, op);
    }
}

static void model_check(struct model *m)
{
    cr_assert_eq(mcq_buf_heap_in_use(m->f.heap), m->cnt, "seed %lu", (unsigned long)m->seed);
    cr_assert_eq(m->f.stats.blocks_now, m->cnt);
    unsigned external = 0;
    for (uint32_t i = 0; i < m->cnt; i++) {
        struct live *l = &m->live[i];
        cr_assert_eq(l->buf->app_cnt, l->app, "seed %lu", (unsigned long)m->seed);
        cr_assert_eq(l->buf->tx_cnt, l->tx, "seed %lu", (unsigned long)m->seed);
        cr_assert_eq(l->buf->kernel, l->kernel, "seed %lu", (unsigned long)m->seed);
        external += l->buf->cls == MCQ_BUF_EXTERNAL;
    }
    cr_assert_eq(m->freed, m->external - external, "seed %lu", (unsigned long)m->seed);
}

Test(buf, random_against_model)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng = {seed};
        struct model m = {.cnt = 0, .seed = seed};
        fixture_open(&m.f, &PLAN);
        for (int step = 0; step < 3000; step++) {
            if (m.cnt == 0 || rng_below(&rng, 4) == 0)
                model_take(&m, &rng);
            else
                model_use(&m, &rng);
            model_check(&m);
        }
        while (m.cnt != 0)
            model_drop_one(&m, &m.live[0], rng_below(&rng, 3));
        model_check(&m);
        fixture_close(&m.f);
    }
}

/* --- our own bugs abort -------------------------------------------------------------------------
 */

static struct heap_fixture die_fixture;

Test(buf, unref_of_a_free_buf_asserts, .signal = SIGABRT)
{
    struct mcq_buf_heap *h = fixture_open(&die_fixture, &PLAN);
    struct mcq_buf *b = mcq_buf_take(h, 1);
    mcq_buf_unref(h, b);
    mcq_buf_unref(h, b);
}

Test(buf, tx_unref_without_a_send_asserts, .signal = SIGABRT)
{
    struct mcq_buf_heap *h = fixture_open(&die_fixture, &PLAN);
    mcq_buf_tx_unref(h, mcq_buf_take(h, 1));
}

Test(buf, kernel_done_twice_asserts, .signal = SIGABRT)
{
    struct mcq_buf_heap *h = fixture_open(&die_fixture, &PLAN);
    struct mcq_buf *b = mcq_buf_take_rx(h);
    mcq_buf_ref(h, b);
    mcq_buf_kernel_done(h, b);
    mcq_buf_kernel_done(h, b);
}

Test(buf, filling_past_the_end_asserts, .signal = SIGABRT)
{
    struct mcq_buf_heap *h = fixture_open(&die_fixture, &PLAN);
    struct mcq_buf *b = mcq_buf_take_rx(h);
    mcq_buf_filled(h, b, b->cap);
    mcq_buf_filled(h, b, 1);
}

#ifndef NDEBUG
Test(buf, ref_of_a_free_buf_asserts, .signal = SIGABRT)
{
    struct mcq_buf_heap *h = fixture_open(&die_fixture, &PLAN);
    struct mcq_buf *b = mcq_buf_take(h, 1);
    mcq_buf_unref(h, b);
    mcq_buf_ref(h, b);
}

Test(buf, an_idx_outside_the_table_asserts, .signal = SIGABRT)
{
    mcq_buf_at(fixture_open(&die_fixture, &PLAN), 20);
}
#endif
