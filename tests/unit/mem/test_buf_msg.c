#include "fixture.h"

static const struct mcq_buf_plan PLAN = {
    .cnt = {8, 8, 12, 3}, .large_bytes = 4 * (size_t)MCQ_BUF_GRANULE_LEN, .external_cnt = 4};

#define PIN_MAX (2 * (size_t)MCQ_BUF_RX_LEN)

static uint8_t byte_at(uint32_t id, size_t i)
{
    return (uint8_t)(id * 31 + i * 7 + (i >> 8));
}

static void put_bytes(uint8_t *to, uint32_t id, size_t from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = byte_at(id, from + i);
}

static void check_bytes(const struct mcq_msg *m, uint32_t id)
{
    size_t at = 0;
    for (uint32_t f = 0; f < mcq_msg_frame_cnt(m); f++) {
        struct mcq_frame fr = mcq_msg_frame(m, f);
        const uint8_t *p = fr.data;
        for (size_t i = 0; i < fr.len; i++, at++)
            cr_assert_eq(p[i], byte_at(id, at), "message %u, byte %zu", id, at);
    }
    cr_assert_eq(mcq_msg_frame(m, 0).data, m->data);
    cr_assert_eq(mcq_msg_frame(m, 0).len, m->len);
}

/* A receive block as the session has it: filled with len bytes, one reference, kernel done. */
static struct mcq_buf *rx_block(struct mcq_buf_heap *h, uint32_t id, size_t len)
{
    struct mcq_buf *b = mcq_buf_take_rx(h);
    cr_assert_not_null(b);
    mcq_buf_ref(h, b);
    mcq_buf_filled(h, b, len);
    put_bytes(b->base, id, 0, len);
    mcq_buf_kernel_done(h, b);
    return b;
}

static struct mcq_msg view(const struct mcq_buf *b, size_t len)
{
    struct mcq_msg m = mcq_msg_of(b->base, len);
    m.owner = mcq_owner_borrowed(b);
    return m;
}

/* Cuts b[0, len) into cnt frames. */
static struct mcq_msg view_frames(const struct mcq_buf *b, size_t len, struct mcq_frame *frames,
                                  uint32_t cnt)
{
    size_t each = len / cnt;
    for (uint32_t i = 0; i < cnt; i++)
        frames[i] = (struct mcq_frame){b->base + i * each, i + 1 < cnt ? each : len - i * each};
    struct mcq_msg m = mcq_msg_of_frames(frames, cnt);
    m.owner = mcq_owner_borrowed(b);
    return m;
}

static bool inside(const struct mcq_buf *b, const void *p)
{
    return (const uint8_t *)p >= b->base && (const uint8_t *)p < b->base + b->cap;
}

/* --- one frame ----------------------------------------------------------------------------------
 */

Test(buf_msg, small_messages_are_copied_and_pin_nothing)
{
    static const size_t lens[] = {0, 1, 511, 512, 513, 4096};
    for (size_t i = 0; i < MCQ_CNT_OF(lens); i++) {
        struct heap_fixture f;
        struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
        struct mcq_buf *rx = rx_block(h, 1, 8192);
        struct mcq_msg m = view(rx, lens[i]), kept;
        cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &kept), MCQ_OK);
        cr_assert_eq(f.stats.keeps_copied, 1);
        cr_assert_eq(f.stats.pinned_now, 0);
        mcq_buf_unref(h, rx);
        cr_assert(is_poisoned(rx->base), "the receive block is free again");
        cr_assert_eq(kept.len, lens[i]);
        cr_assert(kept.owner & MCQ_OWNER_OWNED);
        check_bytes(&kept, 1);
        mcq_buf_msg_drop(h, &kept);
        cr_assert_null(kept.data);
        cr_assert_eq(kept.owner, 0);
        fixture_close(&f);
    }
}

Test(buf_msg, bigger_messages_are_shared_and_pin_their_block_once)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *rx = rx_block(h, 2, 30000);
    struct mcq_msg m = view(rx, 4097), a, b;
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &a), MCQ_OK);
    m = view(rx, 20000);
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &b), MCQ_OK);
    cr_assert_eq((const void *)a.data, rx->base);
    cr_assert_eq(f.stats.pinned_now, MCQ_BUF_RX_LEN, "one block, though kept twice");
    cr_assert_eq(f.stats.keeps_shared, 2);
    mcq_buf_unref(h, rx);
    mcq_buf_msg_drop(h, &a);
    cr_assert_eq(f.stats.pinned_now, MCQ_BUF_RX_LEN);
    check_bytes(&b, 2);
    mcq_buf_msg_drop(h, &b);
    fixture_close(&f);
}

Test(buf_msg, past_the_pin_limit_they_are_copied)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_msg kept[4];
    struct mcq_buf *first = NULL;
    for (uint32_t i = 0; i < 4; i++) {
        struct mcq_buf *rx = rx_block(h, i, 10000);
        struct mcq_msg m = view(rx, 10000);
        cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &kept[i]), MCQ_OK);
        cr_assert_eq(inside(rx, kept[i].data), i < 2);
        cr_assert_leq(f.stats.pinned_now, PIN_MAX);
        mcq_buf_unref(h, rx);
        first = i == 0 ? rx : first;
    }
    cr_assert_eq(f.stats.keeps_shared, 2);
    cr_assert_eq(f.stats.keeps_copied, 2);
    struct mcq_msg m = view(first, 9000), again;
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &again), MCQ_OK);
    cr_assert(inside(first, again.data), "what is pinned already costs nothing more");
    mcq_buf_msg_drop(h, &again);
    for (uint32_t i = 0; i < 4; i++) {
        check_bytes(&kept[i], i);
        mcq_buf_msg_drop(h, &kept[i]);
    }
    fixture_close(&f);
}

Test(buf_msg, a_block_in_the_ring_can_be_kept)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *rx = mcq_buf_take_rx(h);
    mcq_buf_filled(h, rx, 6000);
    put_bytes(rx->base, 3, 0, 6000);
    struct mcq_msg m = view(rx, 6000), kept;
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &kept), MCQ_OK);
    mcq_buf_filled(h, rx, 100);
    mcq_buf_kernel_done(h, rx);
    check_bytes(&kept, 3);
    cr_assert_eq(f.stats.pinned_now, MCQ_BUF_RX_LEN);
    mcq_buf_msg_drop(h, &kept);
    fixture_close(&f);
}

Test(buf_msg, a_block_that_was_received_into_is_any_block_again)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *rx = rx_block(h, 14, 10000);
    mcq_buf_unref(h, rx);
    struct mcq_buf *b = mcq_buf_take(h, 10000);
    cr_assert_eq(b, rx);
    put_bytes(b->base, 14, 0, 10000);
    struct mcq_msg m = view(b, 10000), kept;
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &m, &kept), MCQ_OK);
    cr_assert(inside(b, kept.data), "assembled bytes are nobody's receive block");
    cr_assert_eq(f.stats.pinned_now, 0);
    mcq_buf_unref(h, b);
    check_bytes(&kept, 14);
    mcq_buf_msg_drop(h, &kept);
    fixture_close(&f);
}

Test(buf_msg, other_blocks_are_shared_unless_a_smaller_copy_frees_them)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b = mcq_buf_take(h, 200000);
    put_bytes(b->base, 4, 0, 200000);
    struct mcq_msg m = view(b, 200000), whole, part;
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &m, &whole), MCQ_OK);
    cr_assert(inside(b, whole.data));
    m = view(b, 5000);
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &m, &part), MCQ_OK);
    cr_assert_not(inside(b, part.data), "5,000 bytes don't hold a block of 256 KiB");
    cr_assert_eq(f.stats.pinned_now, 0);
    mcq_buf_unref(h, b);
    check_bytes(&whole, 4);
    check_bytes(&part, 4);
    mcq_buf_msg_drop(h, &whole);
    mcq_buf_msg_drop(h, &part);
    fixture_close(&f);
}

Test(buf_msg, large_bodies_are_never_copied)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *b = mcq_buf_take(h, 600000);
    put_bytes(b->base, 5, 0, 600000);
    struct mcq_msg m = view(b, 600000), kept;
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &m, &kept), MCQ_OK);
    cr_assert_eq((const void *)kept.data, b->base);
    mcq_buf_unref(h, b);
    check_bytes(&kept, 5);
    mcq_buf_msg_drop(h, &kept);
    fixture_close(&f);
}

Test(buf_msg, the_callers_own_bytes_are_copied_at_any_length)
{
    static const size_t lens[] = {0, 5, 5000, 40000, 300000};
    static uint8_t own[300000];
    for (size_t i = 0; i < MCQ_CNT_OF(lens); i++) {
        struct heap_fixture f;
        struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
        put_bytes(own, 6, 0, lens[i]);
        struct mcq_msg m = mcq_msg_of(own, lens[i]), kept;
        cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &kept), MCQ_OK);
        memset(own, 0, sizeof(own));
        check_bytes(&kept, 6);
        mcq_buf_msg_drop(h, &kept);
        fixture_close(&f);
    }
}

Test(buf_msg, keeping_an_owned_message_shares_it)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_msg m = mcq_msg_of("hello", 5), a, b;
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &a), MCQ_OK);
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &a, &b), MCQ_OK);
    cr_assert_eq(a.data, b.data);
    cr_assert_eq(f.stats.blocks_now, 1);
    mcq_buf_msg_drop(h, &a);
    cr_assert_eq(memcmp(b.data, "hello", 5), 0);
    mcq_buf_msg_drop(h, &b);
    fixture_close(&f);
}

/* A program that keeps one message for ever gets an answer, not a count that wraps. */
Test(buf_msg, references_have_a_limit)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_msg m = mcq_msg_of("hello", 5), a, b;
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &a), MCQ_OK);
    struct mcq_buf *buf = mcq_owner_buf(h, a.owner);
    buf->app_cnt = UINT32_MAX / 2;
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &a, &b), MCQ_ELIMIT);
    buf->app_cnt = 1;
    mcq_buf_msg_drop(h, &a);
    fixture_close(&f);
}

Test(buf_msg, keep_may_write_over_its_source)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_frame frames[2] = {{"ab", 2}, {"cde", 3}};
    struct mcq_msg m = mcq_msg_of_frames(frames, 2);
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &m), MCQ_OK);
    cr_assert_neq(m.frames, frames);
    cr_assert_eq(memcmp(m.frames[1].data, "cde", 3), 0);
    mcq_buf_msg_drop(h, &m);
    fixture_close(&f);
}

/* --- several frames -----------------------------------------------------------------------------
 */

Test(buf_msg, small_multipart_is_one_block)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *rx = rx_block(h, 7, 4000);
    struct mcq_frame frames[40];
    struct mcq_msg m = view_frames(rx, 2000, frames, 40), kept;
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &kept), MCQ_OK);
    cr_assert_eq(f.stats.blocks_now, 2);
    mcq_buf_unref(h, rx);
    memset(frames, 0xff, sizeof(frames));
    cr_assert_eq(kept.frame_cnt, 40);
    check_bytes(&kept, 7);
    mcq_buf_msg_drop(h, &kept);
    fixture_close(&f);
}

Test(buf_msg, big_multipart_copies_its_array_and_shares_its_bytes)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *rx = rx_block(h, 8, 32768);
    static struct mcq_frame frames[1024];
    struct mcq_msg m = view_frames(rx, 32768, frames, 1024), a, b;
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &a), MCQ_OK);
    cr_assert_eq(f.stats.pinned_now, MCQ_BUF_RX_LEN);
    cr_assert(inside(rx, a.data));
    mcq_buf_unref(h, rx);
    memset(frames, 0xff, sizeof(frames));
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &a, &b), MCQ_OK);
    mcq_buf_msg_drop(h, &a);
    cr_assert_eq(f.stats.blocks_now, 2);
    check_bytes(&b, 8);
    mcq_buf_msg_drop(h, &b);
    cr_assert(is_poisoned(rx->base), "the array's end ends the bytes");
    fixture_close(&f);
}

/* A kept array may itself stand on a kept array: the chain ends link by link, without recursion. */
Test(buf_msg, a_chain_of_parents_ends_whole)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *rx = rx_block(h, 9, 20000);
    struct mcq_frame frames[3];
    struct mcq_msg m = view_frames(rx, 20000, frames, 3), kept[5];
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &m, &kept[i]), MCQ_OK);
        m = kept[i];
        m.owner &= ~MCQ_OWNER_OWNED;
    }
    mcq_buf_unref(h, rx);
    for (size_t i = 0; i < 4; i++)
        mcq_buf_msg_drop(h, &kept[i]);
    check_bytes(&kept[4], 9);
    mcq_buf_msg_drop(h, &kept[4]);
    fixture_close(&f);
}

Test(buf_msg, multipart_past_the_pin_limit_is_one_copy)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *rx = rx_block(h, 10, 32768);
    struct mcq_frame frames[3];
    struct mcq_msg m = view_frames(rx, 32768, frames, 3), kept;
    cr_assert_eq(mcq_buf_msg_keep(h, MCQ_BUF_RX_LEN - 1, &m, &kept), MCQ_OK);
    cr_assert_eq(f.stats.pinned_now, 0);
    mcq_buf_unref(h, rx);
    cr_assert_eq(f.stats.blocks_now, 1);
    check_bytes(&kept, 10);
    mcq_buf_msg_drop(h, &kept);
    fixture_close(&f);
}

/* --- nothing left -------------------------------------------------------------------------------
 */

Test(buf_msg, an_empty_pool_is_an_answer_and_changes_nothing)
{
    struct mcq_buf_plan plan = {.cnt = {0, 0, 1, 0}};
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &plan);
    struct mcq_buf *rx = rx_block(h, 11, 10000);
    struct mcq_frame frames[3];
    struct mcq_msg kept = {NULL, 77, NULL, 77, 77};
    struct mcq_msg small = view(rx, 100), pinless = view(rx, 10000);
    struct mcq_msg parts = view_frames(rx, 10000, frames, 3);
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &small, &kept), MCQ_ELIMIT);
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &pinless, &kept), MCQ_ELIMIT);
    cr_assert_eq(mcq_buf_msg_keep(h, PIN_MAX, &parts, &kept), MCQ_ELIMIT);
    cr_assert_eq(mcq_buf_msg_external(h, "x", 1, NULL, NULL, &kept), MCQ_ELIMIT);
    cr_assert(kept.len == 77 && kept.frame_cnt == 77 && kept.owner == 77);
    cr_assert_eq(rx->app_cnt, 1);
    cr_assert_eq(f.stats.pinned_now, 0, "a failed keep pins nothing");
    cr_assert_eq(f.stats.keeps_copied + f.stats.keeps_shared, 0);
    check_bytes(&pinless, 11);
    mcq_buf_unref(h, rx);
    fixture_close(&f);
}

/* --- the user's memory --------------------------------------------------------------------------
 */

static void count_free(void *data, size_t len, void *hint)
{
    unsigned *calls = hint;
    (void)data;
    (void)len;
    (*calls)++;
}

Test(buf_msg, external_memory_is_freed_with_the_last_keep)
{
    static uint8_t mine[10000];
    unsigned calls = 0;
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_msg m, kept;
    put_bytes(mine, 12, 0, sizeof(mine));
    cr_assert_eq(mcq_buf_msg_external(h, mine, sizeof(mine), count_free, &calls, &m), MCQ_OK);
    cr_assert_eq(m.data, mine);
    struct mcq_msg lent = m;
    lent.owner &= ~MCQ_OWNER_OWNED;
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &lent, &kept), MCQ_OK);
    cr_assert_eq(kept.data, mine, "not copied");
    mcq_buf_msg_drop(h, &m);
    cr_assert_eq(calls, 0);
    mcq_buf_msg_drop(h, &kept);
    cr_assert_eq(calls, 1);
    mcq_buf_msg_drop(h, &kept);
    cr_assert_eq(calls, 1, "a dropped message is nothing");
    fixture_close(&f);
}

Test(buf_msg, dropping_a_borrowed_message_releases_nothing)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *rx = rx_block(h, 13, 100);
    struct mcq_msg m = view(rx, 100), own = mcq_msg_of("x", 1);
    mcq_buf_msg_drop(h, &m);
    mcq_buf_msg_drop(h, &own);
    cr_assert_null(m.data);
    cr_assert_eq(rx->app_cnt, 1);
    mcq_buf_unref(h, rx);
    fixture_close(&f);
}

static struct heap_fixture die_fixture;

Test(buf_msg, dropping_a_copy_of_the_handle_asserts, .signal = SIGABRT)
{
    struct mcq_buf_heap *h = fixture_open(&die_fixture, &PLAN);
    struct mcq_msg m = mcq_msg_of("x", 1), kept;
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &m, &kept), MCQ_OK);
    struct mcq_msg copy = kept;
    mcq_buf_msg_drop(h, &kept);
    mcq_buf_msg_drop(h, &copy);
}

/* --- keep and drop at random: laws 1 and 3, pins bounded, nothing lost
 * ---------------------------- */

enum { KEPT_MAX = 16 };

struct model {
    struct heap_fixture f;
    struct mcq_msg kept[KEPT_MAX];
    uint32_t id[KEPT_MAX];
    uint32_t cnt, next_id;
};

static void model_receive(struct model *m, struct rng *rng)
{
    static const size_t lens[] = {50, 3000, 6000, 32768};
    struct mcq_buf_heap *h = m->f.heap;
    size_t len = lens[rng_below(rng, 4)];
    uint32_t id = m->next_id++;
    struct mcq_frame frames[5];
    if (mcq_buf_heap_pool(h, MCQ_BUF_32K)->free_cnt == 0)
        return;
    struct mcq_buf *rx = rx_block(h, id, len);
    struct mcq_msg view_of =
        rng_below(rng, 2) == 0 ? view(rx, len) : view_frames(rx, len, frames, 5);
    for (uint32_t n = rng_below(rng, 3); n > 0 && m->cnt < KEPT_MAX; n--)
        if (mcq_buf_msg_keep(h, PIN_MAX, &view_of, &m->kept[m->cnt]) == MCQ_OK)
            m->id[m->cnt++] = id;
    mcq_buf_unref(h, rx);
    memset(frames, 0xff, sizeof(frames));
}

static void model_rekeep(struct model *m, struct rng *rng)
{
    uint32_t i = rng_below(rng, m->cnt);
    if (m->cnt == KEPT_MAX)
        return;
    cr_assert_eq(mcq_buf_msg_keep(m->f.heap, PIN_MAX, &m->kept[i], &m->kept[m->cnt]), MCQ_OK);
    m->id[m->cnt++] = m->id[i];
}

static void model_drop(struct model *m, uint32_t i)
{
    check_bytes(&m->kept[i], m->id[i]);
    mcq_buf_msg_drop(m->f.heap, &m->kept[i]);
    m->cnt--;
    m->kept[i] = m->kept[m->cnt];
    m->id[i] = m->id[m->cnt];
}

Test(buf_msg, random_against_model)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng = {seed};
        struct model m = {.cnt = 0};
        fixture_open(&m.f, &PLAN);
        for (int step = 0; step < 300; step++) {
            uint32_t op = rng_below(&rng, 10);
            if (m.cnt == 0 || op < 5)
                model_receive(&m, &rng);
            else if (op < 6)
                model_rekeep(&m, &rng);
            else
                model_drop(&m, rng_below(&rng, m.cnt));
            cr_assert_leq(m.f.stats.pinned_now, PIN_MAX, "seed %lu", (unsigned long)seed);
        }
        while (m.cnt != 0)
            model_drop(&m, 0);
        fixture_close(&m.f);
    }
}

/* A message of several blocks names the one worth sharing. */
Test(buf_msg, what_lies_in_other_blocks_is_copied_beside_the_frames)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *small = mcq_buf_take(h, 4096), *big = mcq_buf_take(h, 300000);
    put_bytes(small->base, 9, 0, 100);
    put_bytes(big->base, 9, 100, 300000);
    put_bytes(small->base + 100, 9, 300100, 2000);
    struct mcq_frame frames[4] = {{small->base, 100},
                                  {big->base, 300000},
                                  {big->base + 300000, 0},
                                  {small->base + 100, 2000}};
    struct mcq_msg m = mcq_msg_of_frames(frames, 4), kept;
    m.owner = mcq_owner_borrowed(big);
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &m, &kept), MCQ_OK);
    memset(frames, 0, sizeof(frames));
    memset(small->base, 0, 4096);
    mcq_buf_unref(h, small);
    mcq_buf_unref(h, big);
    cr_assert_eq(kept.frames[1].data, big->base, "the large body is shared");
    check_bytes(&kept, 9);
    mcq_buf_msg_drop(h, &kept);
    fixture_close(&f);
}

Test(buf_msg, a_message_that_lies_outside_its_block_is_copied)
{
    struct heap_fixture f;
    struct mcq_buf_heap *h = fixture_open(&f, &PLAN);
    struct mcq_buf *other = mcq_buf_take(h, 20000), *big = mcq_buf_take(h, 300000);
    put_bytes(other->base, 10, 0, 20000);
    struct mcq_msg m = view(other, 20000), kept;
    m.owner = mcq_owner_borrowed(big);
    cr_assert_eq(mcq_buf_msg_keep(h, 0, &m, &kept), MCQ_OK);
    memset(other->base, 0, 20000);
    mcq_buf_unref(h, other);
    mcq_buf_unref(h, big);
    check_bytes(&kept, 10);
    mcq_buf_msg_drop(h, &kept);
    fixture_close(&f);
}
