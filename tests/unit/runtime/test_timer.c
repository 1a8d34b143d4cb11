#include "runtime/timer.h"

#include <criterion/criterion.h>

#define CNT 500u

static struct mcq_arena arena;
static struct mcq_timers ts;
static struct mcq_timer_node node[CNT];
static uint64_t model[CNT]; /* 0: disarmed */
static uint64_t last_at, fired;

static uint64_t seed = 88172645463325252u;

static uint64_t random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void on_timer(struct mcq_timer_node *t, uint64_t now_ns)
{
    size_t i = (size_t)(t - node);
    cr_assert_eq(t->heap_pos, 0);
    cr_assert_leq(t->at_ns, now_ns);
    cr_assert_eq(model[i], t->at_ns);
    cr_assert_geq(t->at_ns, last_at, "out of order");
    last_at = t->at_ns;
    model[i] = 0;
    fired++;
}

static void setup(uint32_t max)
{
    struct mcq_detail d;
    cr_assert_eq(mcq_arena_init(&arena, mcq_timers_footprint(max) + 4096, MCQ_NODE_ANY, &d),
                 MCQ_OK);
    cr_assert(mcq_timers_init(&ts, &arena, max));
    for (uint32_t i = 0; i < CNT; i++)
        node[i] = (struct mcq_timer_node){.fn = on_timer};
}

static uint64_t model_next(void)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < CNT; i++)
        if (model[i] != 0 && model[i] < first)
            first = model[i];
    return first;
}

/* Arms, moves, disarms and expires at random; a plain array says what must be. */
Test(timer, against_model)
{
    uint64_t now = 1;
    setup(CNT);
    for (unsigned step = 0; step < 60000; step++) {
        uint32_t i = (uint32_t)(random_next() % CNT);
        switch (random_next() % 8) {
        case 0:
            mcq_timer_node_disarm(&ts, &node[i]);
            model[i] = 0;
            break;
        case 1:
            now += random_next() % 400;
            last_at = 0;
            while (mcq_timers_expire(&ts, now) != 0)
                ;
            break;
        default:
            model[i] = now + random_next() % 1000;
            mcq_timer_node_arm(&ts, &node[i], model[i]);
        }
        if (step % 16 == 0)
            cr_assert_eq(mcq_timers_next(&ts), model_next());
    }
    cr_assert_gt(fired, 1000);
    mcq_arena_fini(&arena);
}

Test(timer, bounded_per_turn)
{
    setup(CNT);
    for (uint32_t i = 0; i < CNT; i++) {
        model[i] = 7;
        mcq_timer_node_arm(&ts, &node[i], 7);
    }
    cr_assert_eq(mcq_timers_expire(&ts, 6), 0);
    cr_assert_eq(mcq_timers_expire(&ts, 7), MCQ_TIMERS_PER_TURN_MAX);
    cr_assert_eq(mcq_timers_expire(&ts, 7), CNT - MCQ_TIMERS_PER_TURN_MAX);
    cr_assert_eq(mcq_timers_next(&ts), UINT64_MAX);
    mcq_arena_fini(&arena);
}

static void on_again(struct mcq_timer_node *t, uint64_t now_ns)
{
    fired++;
    mcq_timer_node_arm(&ts, t, now_ns + 10);
}

/* Lazy timers arm themselves again from their own function. */
Test(timer, arms_itself_again)
{
    setup(1);
    node[0].fn = on_again;
    mcq_timer_node_arm(&ts, &node[0], 10);
    for (uint64_t now = 10; now < 100; now += 10)
        cr_assert_eq(mcq_timers_expire(&ts, now), 1);
    cr_assert_eq(fired, 9);
    mcq_timer_node_disarm(&ts, &node[0]);
    mcq_timer_node_disarm(&ts, &node[0]);
    cr_assert_eq(mcq_timers_next(&ts), UINT64_MAX);
    mcq_arena_fini(&arena);
}
