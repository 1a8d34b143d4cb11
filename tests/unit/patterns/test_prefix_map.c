#include "patterns/prefix_map.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "prefix_rig.h"

struct fixture {
    struct mcq_arena arena;
    struct mcq_prefix_map map;
    struct mcq_prefix forks[3];
    struct mcq_prefix *nodes;
    uint32_t cnt;
};

static struct fixture *open_map(uint32_t max)
{
    struct fixture *f = calloc(1, sizeof *f);
    size_t need = mcq_prefix_map_footprint(max);
    cr_assert_eq(mcq_arena_init(&f->arena, need, MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert(mcq_prefix_map_init(&f->map, &f->arena, max, 99));
    f->nodes = calloc(max, sizeof *f->nodes);
    f->cnt = max;
    return f;
}

static void close_map(struct fixture *f)
{
    cr_assert_eq(f->map.cnt, 0);
    prefix_check_map(&f->map);
    mcq_arena_fini(&f->arena);
    free(f->nodes);
    free(f);
}

static void assert_found(struct fixture *f, struct mcq_prefix *node, bool in)
{
    cr_assert_eq(mcq_prefix_map_find(&f->map, node->above, node->word, node->span),
                 in ? node : NULL);
}

/* Up to its very last place, and down again, with names that differ in one part only. */
Test(prefix_map, agrees_with_a_list_at_every_fill)
{
    static const uint32_t maxima[] = {1, 2, 7, 8, 50, 1000};
    for (size_t k = 0; k < MCQ_CNT_OF(maxima); k++) {
        struct fixture *f = open_map(maxima[k]);
        bool *in = calloc(f->cnt, sizeof *in);
        uint64_t seed = 17;
        for (uint32_t i = 0; i < f->cnt; i++) {
            f->nodes[i].above = &f->forks[i % 3];
            f->nodes[i].span = (uint8_t)(1 + i / 3 % 4);
            f->nodes[i].word = i / 12 * 0x01000000u;
        }
        for (uint32_t step = 0; step < 40 * f->cnt; step++) {
            uint32_t i = (uint32_t)(prefix_random(&seed) % f->cnt);
            bool fill = step / (10 * f->cnt) % 2 == 0;
            if (in[i] && (!fill || prefix_random(&seed) % 8 == 0)) {
                mcq_prefix_map_drop(&f->map, &f->nodes[i]);
                in[i] = false;
            } else if (!in[i]) {
                mcq_prefix_map_put(&f->map, &f->nodes[i]);
                in[i] = true;
            }
            uint32_t any = (uint32_t)(prefix_random(&seed) % f->cnt);
            assert_found(f, &f->nodes[i], in[i]);
            assert_found(f, &f->nodes[any], in[any]);
            if (step % f->cnt == 0)
                prefix_check_map(&f->map);
        }
        for (uint32_t i = 0; i < f->cnt; i++) {
            assert_found(f, &f->nodes[i], in[i]);
            if (in[i])
                mcq_prefix_map_drop(&f->map, &f->nodes[i]);
        }
        free(in);
        close_map(f);
    }
}

/* If all had the same home: found all the same, and those of other homes as well. */
Test(prefix_map, more_nodes_of_one_home_than_are_counted)
{
    struct fixture *f = open_map(3000);
    uint32_t word = 0;
    for (uint32_t i = 0; i < 1000; i++, word++) {
        struct mcq_prefix *node = &f->nodes[i];
        *node = (struct mcq_prefix){.above = &f->forks[0], .span = 4};
        while (i % 10 != 0 &&
               mcq_prefix_map_home(&f->map, mcq_prefix_map_hash(&f->map, node->above, word, 4)) !=
                   f->map.bucket_cnt - 3) /* they go round the end */
            word++;
        node->word = word;
        mcq_prefix_map_put(&f->map, node);
    }
    prefix_check_map(&f->map);
    for (uint32_t i = 0; i < 1000; i++)
        assert_found(f, &f->nodes[i], true);
    for (uint32_t i = 0; i < 1000; i += 2)
        mcq_prefix_map_drop(&f->map, &f->nodes[i]);
    prefix_check_map(&f->map);
    for (uint32_t i = 0; i < 1000; i++)
        assert_found(f, &f->nodes[i], i % 2 == 1);
    for (uint32_t i = 1; i < 1000; i += 2)
        mcq_prefix_map_drop(&f->map, &f->nodes[i]);
    close_map(f);
}

/* In one bucket, under so many secrets that all parts of the hash agree now and then: it is the
 * name that counts. */
Test(prefix_map, names_are_exact_whatever_the_hash)
{
    struct fixture *f = open_map(1);
    uint64_t seed = 31;
    uint32_t met = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        struct mcq_prefix *node = &f->nodes[0];
        uint32_t part = i % 3;
        f->map.secrets[0] = prefix_random(&seed);
        f->map.secrets[1] = prefix_random(&seed);
        *node = (struct mcq_prefix){.above = &f->forks[0], .word = 0x41420000, .span = 2};
        mcq_prefix_map_put(&f->map, node);
        const struct mcq_prefix *fork = &f->forks[part == 0];
        uint32_t word = 0x41420000 + (part == 1);
        uint32_t span = part == 2 ? 4 : 2;
        uint64_t hash = mcq_prefix_map_hash(&f->map, fork, word, span);
        met += mcq_prefix_bucket_hits(f->map.buckets, mcq_prefix_map_tag(hash)) != 0;
        cr_assert_null(mcq_prefix_map_find(&f->map, fork, word, span));
        assert_found(f, node, true);
        mcq_prefix_map_drop(&f->map, node);
    }
    cr_assert_gt(met, 20, "something was tested");
    close_map(f);
}

/* Names in a row, or that differ in one byte alone, whatever the secrets are. */
Test(prefix_map, names_spread_over_buckets)
{
    static const uint32_t steps[] = {1, 0x100, 0x10000, 0x1000000, 0x9e3779b9};
    struct fixture *f = open_map(7000);
    uint8_t *fill = calloc(f->map.bucket_cnt, 1);
    uint64_t seed = 23;
    for (uint32_t k = 0; k < 500; k++) {
        uint32_t step = steps[k % MCQ_CNT_OF(steps)];
        uint32_t most = 0;
        f->map.secrets[0] = prefix_random(&seed);
        f->map.secrets[1] = prefix_random(&seed);
        memset(fill, 0, f->map.bucket_cnt);
        for (uint32_t i = 0; i < 5000 && (step != 0x1000000 || i < 256); i++) {
            uint64_t hash = mcq_prefix_map_hash(&f->map, NULL, i * step, 4);
            uint32_t n = ++fill[mcq_prefix_map_home(&f->map, hash)];
            most = n > most ? n : most;
        }
        cr_assert_leq(most, 20, "step %x: %u in one bucket", step, most);
    }
    free(fill);
    close_map(f);
}
