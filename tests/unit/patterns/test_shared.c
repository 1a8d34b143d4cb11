#include "patterns/shared.h"

#include <criterion/criterion.h>

/* The footprint is what init needs: with it everything fits, and a page less is refused. */
Test(shared, footprint_is_honest)
{
    struct mcq_buf_heap *heap = NULL; /* only borrowed */
    for (uint32_t subs = 1; subs <= 100000; subs *= 10) {
        struct mcq_pattern_plan plan = {subs, subs, subs / 2 + 1, 10, 1};
        size_t need = mcq_pattern_shared_footprint(&plan);
        struct mcq_arena arena;
        cr_assert_eq(mcq_arena_init(&arena, need, MCQ_NODE_ANY, NULL), MCQ_OK);
        cr_assert_not_null(mcq_pattern_shared_init(&arena, &plan, heap));
        cr_assert_leq(arena.used, need);
        cr_assert_lt(need - arena.used, 4096, "not much more than it takes");
        size_t used = arena.used;
        mcq_arena_fini(&arena);
        if (used <= 8192)
            continue;
        cr_assert_eq(mcq_arena_init(&arena, used - 4096, MCQ_NODE_ANY, NULL), MCQ_OK);
        cr_assert_null(mcq_pattern_shared_init(&arena, &plan, heap));
        mcq_arena_fini(&arena);
    }
}
