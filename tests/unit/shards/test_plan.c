/* The plan: every pool has what the options ask for, the sum is what is really carved, and what
 * can't work is refused with the number to set. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "shards/options.h"
#include "shards/shard.h"

#define MIB ((uint64_t)1 << 20)

static struct mcq_plan plan_of(uint64_t arena, uint64_t large, uint32_t connections)
{
    struct mcq_opts opts = MCQ_OPTS_INIT, eff;
    struct mcq_plan plan;
    struct mcq_detail detail = {.text = ""};
    opts.arena_bytes = arena;
    opts.large_bytes = large;
    opts.connections_max = connections;
    cr_assert_eq(mcq_opts_effective(&opts, &eff, &detail), MCQ_OK, "%s", detail.text);
    cr_assert_eq(mcq_plan_make(&eff, &plan, &detail), MCQ_OK, "%s", detail.text);
    return plan;
}

Test(plan, connections_are_as_asked_within_the_arena)
{
    cr_assert_eq(plan_of(128 * MIB, 16 * MIB, 100).links_max, 100);
    cr_assert_eq(plan_of(128 * MIB, 16 * MIB, 1).links_max, 1);
    cr_assert_gt(plan_of(128 * MIB, 16 * MIB, 1).conns_max, 1); /* listeners are besides */
    cr_assert_gt(plan_of(128 * MIB, 16 * MIB, 0).links_max, 4096);
    cr_assert_eq(plan_of(4096 * MIB, 16 * MIB, 0).links_max, MCQ_CONNECTIONS_MAX);
    cr_assert_lt(plan_of(16 * MIB, 16 * MIB, 0).links_max, 4096);
}

Test(plan, every_pool_has_something)
{
    static const uint64_t arenas[] = {16, 17, 31, 64, 128, 1000, 4096};
    for (size_t i = 0; i < MCQ_CNT_OF(arenas); i++) {
        struct mcq_plan p = plan_of(arenas[i] * MIB, MIB, 0);
        cr_assert_eq(p.conns_max, p.links_max + p.listeners_max);
        cr_assert_gt(p.socks_max, 0);
        cr_assert_gt(p.targets_max, 0);
        cr_assert_leq(p.targets_max, p.links_max);
        cr_assert_geq(p.segs_max, p.links_max);
        cr_assert_eq(p.heap_timers_max, p.links_max + p.socks_max + p.listeners_max + p.timers_max);
        for (unsigned c = 0; c < MCQ_BUF_POOL_CNT; c++)
            cr_assert_gt(p.bufs.cnt[c], 0);
        cr_assert_eq(p.bufs.large_bytes, MIB);
        /* A descriptor for each granule, and some for the user's memory. */
        cr_assert_gt(p.bufs.external_cnt, p.bufs.large_bytes / MCQ_BUF_GRANULE_LEN);
    }
}

/* The arena is what the user asked for, not a multiple of it. */
Test(plan, total_is_near_what_was_asked_for)
{
    static const uint64_t arenas[] = {16, 32, 64, 128, 512, 1024};
    for (size_t i = 0; i < MCQ_CNT_OF(arenas); i++) {
        struct mcq_plan p = plan_of(arenas[i] * MIB, 64 * MIB, 0);
        cr_assert_gt(p.total, arenas[i] * MIB / 2 + 64 * MIB);
        cr_assert_lt(p.total, arenas[i] * MIB * 3 + 64 * MIB + 64 * MIB, "arena %llu: %zu",
                     (unsigned long long)arenas[i], p.total >> 20);
    }
}

Test(plan, large_bytes_are_whole_granules)
{
    cr_assert_eq(plan_of(32 * MIB, 1000000, 100).bufs.large_bytes, 1048576);
    cr_assert_eq(plan_of(32 * MIB, 262144, 100).bufs.large_bytes, 262144);
    cr_assert_eq(MCQ_LARGE_BYTES_MIN, MCQ_BUF_GRANULE_LEN);
}

Test(plan, more_connections_than_fit_are_refused_with_how_many_do)
{
    struct mcq_opts opts = MCQ_OPTS_INIT, eff;
    struct mcq_plan plan;
    struct mcq_detail detail = {.text = ""};
    char room[64];
    uint32_t fit = plan_of(16 * MIB, MIB, 0).links_max;
    cr_assert_eq(plan_of(16 * MIB, MIB, fit).links_max, fit);
    opts.arena_bytes = 16 * MIB;
    opts.connections_max = fit + 1;
    cr_assert_eq(mcq_opts_effective(&opts, &eff, &detail), MCQ_OK);
    cr_assert_eq(mcq_plan_make(&eff, &plan, &detail), MCQ_EINVAL);
    snprintf(room, sizeof(room), "16 MiB has room for %u, not %u", fit, fit + 1);
    cr_assert_not_null(strstr(detail.text, room), "%s", detail.text);
}

/* A shard of that plan starts: the total is the sum of what is carved, at either end. */
Test(plan, total_is_enough)
{
    static const struct {
        uint64_t arena, large;
        uint32_t connections;
    } shapes[] = {{16, 1, 0}, {16, 1, 1}, {16, 1, 64}, {33, 3, 1000}, {64, 1, 0}};
    static struct mcq_shard shard;
    for (size_t i = 0; i < MCQ_CNT_OF(shapes); i++) {
        struct mcq_opts opts = MCQ_OPTS_INIT, eff;
        struct mcq_detail detail = {.text = ""};
        opts.arena_bytes = shapes[i].arena * MIB;
        opts.large_bytes = shapes[i].large * MIB;
        opts.connections_max = shapes[i].connections;
        opts.no_mlock = true;
        cr_assert_eq(mcq_opts_effective(&opts, &eff, &detail), MCQ_OK);
        cr_assert_eq(mcq_shard_init(&shard, 0, &eff, NULL, &detail), MCQ_OK, "%s", detail.text);
        cr_assert_leq(shard.arena.used, shard.plan.total);
        cr_assert_gt(shard.arena.used + 2 * MIB, shard.plan.total); /* nor much too much */
        cr_assert_eq(mcq_shard_fini(&shard), 0);
    }
}
