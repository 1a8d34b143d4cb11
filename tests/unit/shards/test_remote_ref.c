#include "shards/remote_ref.h"

#include <criterion/criterion.h>
#include <string.h>

#include "shards/options.h"
#include "shards/shard.h"

/* Two shards of one app, whose turns this thread takes as far as they matter here. */
static struct mcq_shard shards[2];
static struct mcq_mesh *mesh;

static void shards_open(void)
{
    struct mcq_opts opts = MCQ_OPTS_INIT, effective;
    struct mcq_detail detail = {.text = ""};
    opts.shards = 2;
    opts.arena_bytes = (uint64_t)16 << 20;
    opts.large_bytes = (uint64_t)1 << 20;
    opts.no_mlock = true;
    cr_assert_eq(mcq_opts_effective(&opts, &effective, &detail), MCQ_OK, "%s", detail.text);
    cr_assert_eq(mcq_mesh_create(&(struct mcq_mesh_opts){.cnt = 2}, &mesh, NULL), MCQ_OK);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(mcq_shard_init(&shards[i], i, &effective, NULL, &detail), MCQ_OK, "%s",
                     detail.text);
        shards[i].mesh = mcq_mesh_at(mesh, i);
    }
}

static void shards_close(void)
{
    cr_assert_eq(mcq_remote_out_cnt(&shards[0]), 0);
    cr_assert_eq(mcq_remote_held_cnt(&shards[1]), 0);
    cr_assert_eq(mcq_shard_fini(&shards[0]), 0);
    cr_assert_eq(mcq_shard_fini(&shards[1]), 0);
    mcq_mesh_destroy(mesh);
}

static bool bring_home(void)
{
    bool left = mcq_remote_run(&shards[1]);
    mcq_mesh_publish(shards[1].mesh);
    return left;
}

static struct mcq_buf *lent(uint32_t len, struct mcq_buf **held)
{
    struct mcq_buf *b = mcq_buf_take(shards[0].heap, len);
    cr_assert_not_null(b);
    memset(b->base, (int)len, len);
    mcq_buf_filled(shards[0].heap, b, len);
    *held = mcq_remote_hold(&shards[1], 0, mcq_remote_lend(&shards[0], b), b->base, len);
    cr_assert_not_null(*held);
    return b;
}

Test(remote_ref, the_block_stays_until_its_reference_is_home)
{
    struct mcq_buf *held;
    shards_open();
    uint32_t before = mcq_buf_heap_in_use(shards[0].heap);
    struct mcq_buf *b = lent(1000, &held);
    mcq_buf_unref(shards[0].heap, b); /* the owner's own */
    cr_assert_eq(b->app_cnt, 1);
    cr_assert_eq(held->cls, MCQ_BUF_EXTERNAL);
    cr_assert_eq(held->base[999], (uint8_t)1000);
    mcq_buf_ref(shards[1].heap, held);
    mcq_buf_unref(shards[1].heap, held);
    cr_assert_not(bring_home());
    cr_assert_eq(mcq_mesh_run(shards[0].mesh, &shards[0]), 0, "it is still held");
    mcq_buf_unref(shards[1].heap, held);
    cr_assert_eq(mcq_remote_held_cnt(&shards[1]), 1);
    cr_assert_eq(b->app_cnt, 1);
    cr_assert_not(bring_home());
    cr_assert_eq(mcq_remote_held_cnt(&shards[1]), 0);
    cr_assert_eq(mcq_remote_out_cnt(&shards[0]), 1);
    cr_assert_eq(mcq_mesh_run(shards[0].mesh, &shards[0]), 1);
    cr_assert_eq(mcq_buf_heap_in_use(shards[0].heap), before);
    shards_close();
}

Test(remote_ref, one_block_lent_many_times_ends_once)
{
    struct mcq_buf *b, *held[600];
    shards_open();
    b = lent(64, &held[0]);
    for (uint32_t i = 1; i < MCQ_CNT_OF(held); i++)
        held[i] = mcq_remote_hold(&shards[1], 0, mcq_remote_lend(&shards[0], b), b->base, 64);
    cr_assert_eq(mcq_remote_out_cnt(&shards[0]), MCQ_CNT_OF(held));
    for (uint32_t i = 0; i < MCQ_CNT_OF(held); i++)
        mcq_buf_unref(shards[1].heap, held[i]);
    cr_assert_not(bring_home());
    cr_assert_eq(mcq_mesh_run(shards[0].mesh, &shards[0]), 3, "256 in a record");
    cr_assert_eq(b->app_cnt, 1);
    mcq_buf_unref(shards[0].heap, b);
    shards_close();
}

/* The ring home is full: what is due waits, and goes when there is room; none is lost. */
Test(remote_ref, a_full_ring_delays_and_loses_nothing)
{
    struct mcq_buf *b, *held;
    uint32_t cnt = 0;
    shards_open();
    b = lent(64, &held);
    while (mcq_mesh_send(shards[1].mesh, 0, MCQ_LANE_URGENT, MCQ_MESH_RELEASE, NULL, 0))
        ;
    mcq_buf_unref(shards[1].heap, held);
    cr_assert(bring_home());
    cr_assert(bring_home());
    cr_assert_eq(mcq_remote_held_cnt(&shards[1]), 1);
    while (bring_home()) {
        cr_assert_lt(cnt++, 100);
        (void)mcq_mesh_run(shards[0].mesh, &shards[0]);
        (void)mcq_mesh_run(shards[1].mesh, &shards[1]);
    }
    while (mcq_mesh_run(shards[0].mesh, &shards[0]) != 0)
        ;
    cr_assert_eq(b->app_cnt, 1);
    mcq_buf_unref(shards[0].heap, b);
    shards_close();
}

Test(remote_ref, without_a_reference_left_the_caller_hears_of_it)
{
    static struct mcq_buf *held[MCQ_PLAN_REMOTE_REFS_MAX + 1];
    uint32_t cnt = 0;
    shards_open();
    struct mcq_buf *b = lent(64, &held[cnt++]);
    uint32_t blocks = mcq_buf_heap_in_use(shards[1].heap);
    for (;; cnt++) {
        uint32_t idx = mcq_remote_lend(&shards[0], b);
        cr_assert_leq(cnt, MCQ_PLAN_REMOTE_REFS_MAX);
        held[cnt] = mcq_remote_hold(&shards[1], 0, idx, b->base, 64);
        if (held[cnt] == NULL)
            break;
    }
    cr_assert_eq(mcq_buf_heap_in_use(shards[1].heap), blocks + cnt - 1);
    cr_assert_eq(mcq_remote_held_cnt(&shards[1]), cnt);
    cr_assert_eq(b->app_cnt, cnt + 2);
    shards[0].remote.out--; /* the refused one, given back by other means */
    mcq_buf_unref(shards[0].heap, b);
    for (uint32_t i = 0; i < cnt; i++)
        mcq_buf_unref(shards[1].heap, held[i]);
    while (bring_home() || mcq_mesh_run(shards[0].mesh, &shards[0]) != 0)
        (void)mcq_mesh_run(shards[1].mesh, &shards[1]);
    cr_assert_eq(b->app_cnt, 1);
    mcq_buf_unref(shards[0].heap, b);
    shards_close();
}
