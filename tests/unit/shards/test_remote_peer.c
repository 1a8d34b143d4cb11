/* Names of other shards' peers that have gone are known as such; no living one is. */
#include "shards/remote_peer.h"

#include <criterion/criterion.h>

static struct mcq_peer name(uint64_t shard, uint64_t slot, uint32_t epoch)
{
    return (struct mcq_peer){shard << 56 | slot << 32 | epoch};
}

Test(remote_peer, dead_names_are_remembered)
{
    struct mcq_arena arena;
    struct mcq_remote_dead dead;
    cr_assert_eq(mcq_arena_init(&arena, mcq_remote_dead_footprint(2), MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert(mcq_remote_dead_init(&dead, &arena, 2));
    cr_assert(!mcq_remote_dead_has(&dead, name(1, 0, 1)));
    mcq_remote_dead_add(&dead, name(1, 7, 5));
    cr_assert(mcq_remote_dead_has(&dead, name(1, 7, 5)));
    cr_assert(mcq_remote_dead_has(&dead, name(1, 7, 1)), "a slot's older ones went before it");
    cr_assert(!mcq_remote_dead_has(&dead, name(1, 7, 6)));
    cr_assert(!mcq_remote_dead_has(&dead, name(2, 7, 5)));
    cr_assert(!mcq_remote_dead_has(&dead, name(1, 8, 5)));
    mcq_remote_dead_add(&dead, name(1, 7, 4)); /* late news */
    cr_assert(mcq_remote_dead_has(&dead, name(1, 7, 5)));
    mcq_arena_fini(&arena);
}

/* However many there are: what is forgotten is an old one, never a living one's place. */
Test(remote_peer, no_living_name_is_taken_for_dead)
{
    struct mcq_arena arena;
    struct mcq_remote_dead dead;
    uint32_t known = 0;
    cr_assert_eq(mcq_arena_init(&arena, mcq_remote_dead_footprint(2), MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert(mcq_remote_dead_init(&dead, &arena, 2));
    for (uint64_t shard = 1; shard < 8; shard++)
        for (uint64_t slot = 0; slot < 2048; slot++) {
            mcq_remote_dead_add(&dead, name(shard, slot, 3));
            cr_assert(mcq_remote_dead_has(&dead, name(shard, slot, 3)));
        }
    for (uint64_t shard = 1; shard < 8; shard++)
        for (uint64_t slot = 0; slot < 2048; slot++) {
            cr_assert(!mcq_remote_dead_has(&dead, name(shard, slot, 4)));
            known += mcq_remote_dead_has(&dead, name(shard, slot, 3)) ? 1 : 0;
        }
    cr_assert_gt(known, MCQ_REMOTE_PEER_DEAD_MAX / 2);
    mcq_arena_fini(&arena);
}

Test(remote_peer, one_shard_alone_remembers_nothing)
{
    struct mcq_remote_dead dead;
    cr_assert_eq(mcq_remote_dead_footprint(1), 0);
    cr_assert(mcq_remote_dead_init(&dead, NULL, 1));
    cr_assert(!mcq_remote_dead_has(&dead, name(1, 0, 1)));
}
