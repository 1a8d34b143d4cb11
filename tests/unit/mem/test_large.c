#include "fixture.h"

#include "mem/large.h"

#define G ((size_t)MCQ_LARGE_GRANULE_LEN)

struct region {
    struct mcq_arena arena;
    struct mcq_large large;
};

static void region_open(struct region *r, size_t len)
{
    cr_assert_eq(mcq_arena_init(&r->arena, mcq_large_footprint(len) + 3, MCQ_NODE_ANY, NULL),
                 MCQ_OK);
    cr_assert_not_null(mcq_arena_carve(&r->arena, 3, 1));
    cr_assert(mcq_large_init(&r->large, &r->arena, len));
}

Test(large, first_fit_and_whole_again)
{
    struct region r;
    size_t len;
    region_open(&r, 8 * G);
    uint8_t *a = mcq_large_take(&r.large, G + 1, &len);
    cr_assert_eq(len, 2 * G);
    uint8_t *b = mcq_large_take(&r.large, 2 * G, &len);
    uint8_t *c = mcq_large_take(&r.large, 4 * G, &len);
    cr_assert(a != NULL && b == a + 2 * G && c == b + 2 * G);
    cr_assert_null(mcq_large_take(&r.large, 1, &len));
    mcq_large_give(&r.large, a);
    mcq_large_give(&r.large, c);
    cr_assert_null(mcq_large_take(&r.large, 5 * G, &len), "free, but in two pieces");
    mcq_large_give(&r.large, b);
    cr_assert_eq(mcq_large_take(&r.large, 8 * G, &len), a, "three pieces are one again");
    mcq_arena_fini(&r.arena);
}

Test(large, grows_into_what_is_free_behind)
{
    struct region r;
    size_t len;
    region_open(&r, 8 * G);
    uint8_t *a = mcq_large_take(&r.large, 2 * G, &len);
    uint8_t *b = mcq_large_take(&r.large, G, &len);
    cr_assert_not(mcq_large_grow(&r.large, a, 3 * G, &len), "b is in the way");
    cr_assert(mcq_large_grow(&r.large, a, G, &len) && len == 2 * G, "never shorter");
    cr_assert(mcq_large_grow(&r.large, b, 4 * G + 1, &len) && len == 5 * G);
    cr_assert_not(mcq_large_grow(&r.large, b, 7 * G, &len), "past the end");
    cr_assert_eq(mcq_large_take(&r.large, G, &len), b + 5 * G, "the rest is still a run");
    mcq_large_give(&r.large, b);
    cr_assert(mcq_large_grow(&r.large, a, 7 * G, &len) && len == 7 * G);
    mcq_large_give(&r.large, a);
    mcq_large_give(&r.large, b + 5 * G);
    cr_assert_eq(mcq_large_take(&r.large, 8 * G, &len), a, "whole again");
    mcq_arena_fini(&r.arena);
}

Test(large, impossible_lengths)
{
    struct region r;
    size_t len;
    region_open(&r, 3 * G + 17);
    cr_assert_eq(r.large.granule_cnt, 3, "whole granules only");
    cr_assert_null(mcq_large_take(&r.large, 3 * G + 1, &len));
    cr_assert_null(mcq_large_take(&r.large, SIZE_MAX, &len), "a length must not wrap");
    cr_assert_null(mcq_large_take(&r.large, SIZE_MAX - G + 1, &len));
    cr_assert_not_null(mcq_large_take(&r.large, 0, &len));
    cr_assert_eq(len, G);
    mcq_arena_fini(&r.arena);
    region_open(&r, G - 1);
    cr_assert_null(mcq_large_take(&r.large, 1, &len), "a region of nothing");
    mcq_arena_fini(&r.arena);
}

/* Against a map of granules: what first fit must find, and nobody's bytes change. */
enum { CNT = 23 };

struct model {
    struct region region;
    uint8_t used[CNT]; /* 0 free, else the run's mark */
    uint8_t *runs[CNT];
    uint32_t run_at[CNT], run_len[CNT];
    uint32_t run_cnt;
    uint8_t mark;
};

static int model_fit(const struct model *m, uint32_t need)
{
    for (uint32_t at = 0; at + need <= CNT; at++) {
        uint32_t n = 0;
        while (n < need && m->used[at + n] == 0)
            n++;
        if (n == need)
            return (int)at;
    }
    return -1;
}

static void model_take(struct model *m, uint32_t need, uint64_t seed)
{
    size_t len = 0;
    int at = model_fit(m, need);
    uint8_t *run = mcq_large_take(&m->region.large, need * G - (need % 2), &len);
    cr_assert_eq(run == NULL, at < 0, "seed %lu", (unsigned long)seed);
    if (run == NULL)
        return;
    cr_assert_eq(run, m->region.large.base + (size_t)at * G, "seed %lu", (unsigned long)seed);
    cr_assert_eq(len, need * G);
    cr_assert(is_open(run, len));
    m->mark = (uint8_t)(m->mark % 255 + 1);
    run[0] = run[len - 1] = m->mark;
    memset(&m->used[at], m->mark, need);
    m->runs[m->run_cnt] = run;
    m->run_at[m->run_cnt] = (uint32_t)at;
    m->run_len[m->run_cnt++] = need;
}

static void model_give(struct model *m, uint32_t i, uint64_t seed)
{
    uint8_t *run = m->runs[i];
    size_t len = m->run_len[i] * G;
    cr_assert_eq(run[0], m->used[m->run_at[i]], "seed %lu", (unsigned long)seed);
    cr_assert_eq(run[len - 1], run[0], "seed %lu", (unsigned long)seed);
    mcq_large_give(&m->region.large, run);
    cr_assert(is_poisoned(run) && is_poisoned(run + len - 1));
    memset(&m->used[m->run_at[i]], 0, m->run_len[i]);
    m->run_cnt--;
    m->runs[i] = m->runs[m->run_cnt];
    m->run_at[i] = m->run_at[m->run_cnt];
    m->run_len[i] = m->run_len[m->run_cnt];
}

Test(large, random_against_model)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng = {seed};
        struct model m;
        memset(&m, 0, sizeof(m));
        region_open(&m.region, CNT * G);
        for (int step = 0; step < 400; step++) {
            if (m.run_cnt == 0 || rng_below(&rng, 100) < 55)
                model_take(&m, 1 + rng_below(&rng, rng_below(&rng, 4) == 0 ? 12 : 3), seed);
            else
                model_give(&m, rng_below(&rng, m.run_cnt), seed);
        }
        while (m.run_cnt != 0)
            model_give(&m, rng_below(&rng, m.run_cnt), seed);
        size_t len;
        cr_assert_not_null(mcq_large_take(&m.region.large, CNT * G, &len), "seed %lu",
                           (unsigned long)seed);
        mcq_arena_fini(&m.region.arena);
    }
}

static struct region die_region;

Test(large, giving_twice_asserts, .signal = SIGABRT)
{
    size_t len;
    region_open(&die_region, 4 * G);
    uint8_t *a = mcq_large_take(&die_region.large, G, &len);
    mcq_large_give(&die_region.large, a);
    mcq_large_give(&die_region.large, a);
}

Test(large, giving_twice_after_merging_backwards_asserts, .signal = SIGABRT)
{
    size_t len;
    region_open(&die_region, 4 * G);
    uint8_t *a = mcq_large_take(&die_region.large, G, &len);
    uint8_t *b = mcq_large_take(&die_region.large, 2 * G, &len);
    mcq_large_give(&die_region.large, a);
    mcq_large_give(&die_region.large, b);
    mcq_large_give(&die_region.large, b);
}

Test(large, giving_what_is_not_a_run_asserts, .signal = SIGABRT)
{
    size_t len;
    region_open(&die_region, 4 * G);
    uint8_t *a = mcq_large_take(&die_region.large, 2 * G, &len);
    mcq_large_give(&die_region.large, a + 4096);
}
