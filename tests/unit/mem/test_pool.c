#include "fixture.h"

#include "mem/pool.h"

static struct mcq_arena arena_of(size_t cap)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, cap, MCQ_NODE_ANY, NULL), MCQ_OK);
    return a;
}

Test(pool, exhaustion_is_counted_and_ends)
{
    struct mcq_arena a = arena_of(mcq_pool_footprint(24, 3));
    struct mcq_pool p;
    cr_assert(mcq_pool_init(&p, "three", &a, 24, 3));
    cr_assert_eq(p.obj_len, 32);
    void *o[3];
    for (int i = 0; i < 3; i++)
        cr_assert_not_null(o[i] = mcq_pool_take(&p));
    cr_assert_null(mcq_pool_take(&p));
    cr_assert_null(mcq_pool_take(&p));
    cr_assert_eq(p.empty_cnt, 2);
    mcq_pool_give(&p, o[1]);
    cr_assert_eq(mcq_pool_take(&p), o[1], "the hottest object comes first");
    cr_assert_eq(p.in_use, 3);
    cr_assert_eq(p.in_use_peak, 3);
    mcq_arena_fini(&a);
}

Test(pool, an_empty_pool_is_legal)
{
    struct mcq_arena a = arena_of(mcq_pool_footprint(64, 0));
    struct mcq_pool p;
    cr_assert(mcq_pool_init(&p, "none", &a, 64, 0));
    cr_assert_null(mcq_pool_take(&p));
    mcq_arena_fini(&a);
}

/* The footprint is enough wherever the arena stands, and a smaller arena is refused. */
Test(pool, footprint_is_enough_at_any_offset)
{
    static const size_t lens[] = {1, 16, 24, 40, 64, 120, 512, 4096, 4104, 32768};
    for (size_t i = 0; i < MCQ_CNT_OF(lens); i++) {
        for (uint32_t max = 1; max < 40; max += 7) {
            size_t need = mcq_pool_footprint(lens[i], max);
            size_t skew = 1 + (i * 37 + max) % 200;
            struct mcq_arena a = arena_of(skew + need);
            struct mcq_pool p;
            cr_assert_not_null(mcq_arena_carve(&a, skew, 1));
            cr_assert(mcq_pool_init(&p, "p", &a, lens[i], max), "%zu x %u", lens[i], max);
            mcq_arena_fini(&a);
            a = arena_of(lens[i] * max);
            cr_assert_not(mcq_pool_init(&p, "p", &a, lens[i], max), "%zu x %u", lens[i], max);
            mcq_arena_fini(&a);
        }
    }
}

/* The multiplication by the inverse is exact for every object of every odd size. */
Test(pool, idx_and_at_are_inverse)
{
    for (size_t len = 16; len <= 4800; len += 16) {
        uint32_t max = 97;
        struct mcq_arena a = arena_of(mcq_pool_footprint(len, max));
        struct mcq_pool p;
        cr_assert(mcq_pool_init(&p, "p", &a, len, max));
        for (uint32_t i = 0; i < max; i++)
            cr_assert_eq(mcq_pool_idx(&p, mcq_pool_at(&p, i)), i, "len %zu", len);
        mcq_arena_fini(&a);
    }
}

Test(pool, many_small_objects)
{
    uint32_t max = 3000000;
    struct mcq_arena a = arena_of(mcq_pool_footprint(48, max));
    struct mcq_pool p;
    cr_assert(mcq_pool_init(&p, "p", &a, 48, max));
    for (uint32_t i = 0; i < max; i += 101)
        cr_assert_eq(mcq_pool_idx(&p, mcq_pool_at(&p, i)), i);
    cr_assert_eq(mcq_pool_idx(&p, mcq_pool_at(&p, max - 1)), max - 1);
    mcq_arena_fini(&a);
}

/* Each object in use is filled with its own byte: two in one place would show. */
Test(pool, random_against_model)
{
    enum { MAX = 33, LEN = 112 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng = {seed};
        struct mcq_arena a = arena_of(mcq_pool_footprint(LEN, MAX));
        struct mcq_pool p;
        uint8_t *live[MAX];
        uint8_t mark[MAX];
        uint32_t cnt = 0, peak = 0;
        cr_assert(mcq_pool_init(&p, "p", &a, LEN, MAX));
        for (int step = 0; step < 5000; step++) {
            if (rng_below(&rng, 100) < 52) {
                uint8_t *o = mcq_pool_take(&p);
                cr_assert_eq(o == NULL, cnt == MAX, "seed %lu", (unsigned long)seed);
                if (o == NULL)
                    continue;
                cr_assert(is_open(o, LEN));
                mark[cnt] = (uint8_t)rng_next(&rng);
                memset(o, mark[cnt], LEN);
                live[cnt++] = o;
                peak = peak > cnt ? peak : cnt;
            } else if (cnt != 0) {
                uint32_t i = rng_below(&rng, cnt);
                for (int k = 0; k < LEN; k++)
                    cr_assert_eq(live[i][k], mark[i], "seed %lu", (unsigned long)seed);
                mcq_pool_give(&p, live[i]);
                cr_assert(is_poisoned(live[i]) && is_poisoned(live[i] + LEN - 1));
                live[i] = live[--cnt];
                mark[i] = mark[cnt];
            }
            cr_assert_eq(p.in_use, cnt);
            cr_assert_eq(p.free_cnt, MAX - cnt);
        }
        cr_assert_eq(p.in_use_peak, peak);
        mcq_arena_fini(&a);
    }
}

static struct mcq_arena die_arena;
static struct mcq_pool die_pool;

static uint8_t *die_setup(void)
{
    die_arena = arena_of(mcq_pool_footprint(64, 4));
    cr_assert(mcq_pool_init(&die_pool, "p", &die_arena, 64, 4));
    return mcq_pool_take(&die_pool);
}

Test(pool, giving_twice_asserts, .signal = SIGABRT)
{
    uint8_t *o = die_setup();
    mcq_pool_give(&die_pool, o);
    mcq_pool_give(&die_pool, o);
}

Test(pool, giving_what_was_never_taken_asserts, .signal = SIGABRT)
{
    mcq_pool_give(&die_pool, die_setup() + 64);
}

Test(pool, giving_the_inside_of_an_object_asserts, .signal = SIGABRT)
{
    mcq_pool_give(&die_pool, die_setup() + 16);
}

Test(pool, giving_an_unaligned_pointer_asserts, .signal = SIGABRT)
{
    mcq_pool_give(&die_pool, die_setup() + 1);
}

Test(pool, giving_what_lies_behind_asserts, .signal = SIGABRT)
{
    die_setup();
    mcq_pool_give(&die_pool, die_pool.base + 4 * 64);
}

Test(pool, giving_what_lies_before_asserts, .signal = SIGABRT)
{
    die_setup();
    mcq_pool_give(&die_pool, die_pool.base - 64);
}
