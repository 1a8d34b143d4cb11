#include "perf/workloads/schedule.h"

#include <criterion/criterion.h>
#include <math.h>

#define MANY 200000u

/* The k-th message is due at k / rate, rounded down, however many went before. */
Test(schedule, fixed_is_exact)
{
    struct perf_schedule s;
    struct perf_schedule_spec spec = {.pace = PERF_PACE_FIXED, .rate = 3};
    perf_schedule_init(&s, &spec);
    for (uint64_t k = 0; k < MANY; k++) {
        cr_assert_eq(perf_schedule_next(&s), k * UINT64_C(1000000000) / 3, "message %lu", k);
    }
}

/* A day of 1,000,000 a second: no rounding has added up. */
Test(schedule, fixed_does_not_drift)
{
    struct perf_schedule s;
    struct perf_schedule_spec spec = {.pace = PERF_PACE_FIXED, .rate = 999983};
    perf_schedule_init(&s, &spec);
    s.idx = UINT64_C(86400) * 999983;
    cr_assert_eq(perf_schedule_next(&s), UINT64_C(86400000000000));
}

Test(schedule, bursts_keep_the_rate)
{
    struct perf_schedule s;
    struct perf_schedule_spec spec = {.pace = PERF_PACE_BURST, .rate = 10000, .burst = 7};
    perf_schedule_init(&s, &spec);
    for (uint64_t k = 0; k < MANY; k++) {
        cr_assert_eq(perf_schedule_next(&s), k / 7 * 7 * 100000, "message %lu", k);
    }
}

/* Gaps of a Poisson process: the mean is 1 / rate, the variance its square, and gaps that follow
 * each other have nothing to do with each other. */
Test(schedule, poisson_is_one)
{
    struct perf_schedule s;
    struct perf_schedule_spec spec = {.pace = PERF_PACE_POISSON, .rate = 10000, .seed = 1};
    double sum = 0, squares = 0, products = 0, before = 0;
    uint64_t last_ns = 0;
    unsigned short_cnt = 0;
    perf_schedule_init(&s, &spec);
    for (unsigned k = 0; k < MANY; k++) {
        uint64_t due_ns = perf_schedule_next(&s);
        cr_assert_geq(due_ns, last_ns);
        double gap = (double)(due_ns - last_ns) / 100000 - 1;
        sum += gap;
        squares += gap * gap;
        products += gap * before;
        short_cnt += gap < -1 + log(2.0) ? 1 : 0; /* below the median */
        before = gap;
        last_ns = due_ns;
    }
    /* Five times what chance makes of so many. */
    double chance = 5 / sqrt((double)MANY);
    cr_assert_float_eq(sum / MANY, 0, chance);
    cr_assert_float_eq(squares / MANY, 1, 3 * chance);
    cr_assert_float_eq(products / MANY, 0, chance);
    cr_assert_float_eq((double)short_cnt / MANY, 0.5, chance / 2);
}

Test(schedule, a_seed_is_a_plan)
{
    struct perf_schedule a, b, c;
    struct perf_schedule_spec spec = {.pace = PERF_PACE_POISSON, .rate = 1e6, .seed = 1};
    perf_schedule_init(&a, &spec);
    perf_schedule_init(&b, &spec);
    spec.seed = 2;
    perf_schedule_init(&c, &spec);
    unsigned same = 0;
    for (unsigned k = 0; k < 1000; k++) {
        uint64_t due_ns = perf_schedule_next(&a);
        cr_assert_eq(due_ns, perf_schedule_next(&b));
        same += due_ns == perf_schedule_next(&c) ? 1 : 0;
    }
    cr_assert_lt(same, 10);
}

Test(schedule, a_copy_goes_on_by_itself)
{
    struct perf_schedule s;
    struct perf_schedule_spec spec = {.pace = PERF_PACE_POISSON, .rate = 1e6, .seed = 9};
    perf_schedule_init(&s, &spec);
    perf_schedule_next(&s);
    struct perf_schedule copy = s;
    uint64_t first = perf_schedule_next(&copy), second = perf_schedule_next(&copy);
    cr_assert_eq(perf_schedule_next(&s), first);
    cr_assert_eq(perf_schedule_next(&s), second);
}

Test(schedule, a_trace_ends)
{
    uint64_t ns[] = {0, 5, 5, 900};
    struct perf_schedule s;
    struct perf_schedule_spec spec = {.pace = PERF_PACE_TRACE, .offsets = {ns, 4}};
    perf_schedule_init(&s, &spec);
    for (unsigned k = 0; k < 4; k++) {
        cr_assert_eq(perf_schedule_next(&s), ns[k]);
    }
    cr_assert_eq(perf_schedule_next(&s), PERF_SCHEDULE_END);
    cr_assert_eq(perf_schedule_next(&s), PERF_SCHEDULE_END);
}
