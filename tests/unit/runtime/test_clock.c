#include "runtime/clock.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

static uint64_t system_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Distance to the system's clock; the smallest of some, as the thread may be put aside between. */
static int64_t distance(struct mcq_clock *c)
{
    int64_t best = INT64_MAX;
    for (unsigned i = 0; i < 50; i++) {
        uint64_t before = system_ns();
        int64_t d = (int64_t)(mcq_clock_now(c) - before);
        if (llabs(d) < llabs(best))
            best = d;
    }
    return best;
}

Test(clock, follows_the_system)
{
    struct mcq_clock c;
    mcq_clock_init(&c);
    cr_assert_lt(llabs(distance(&c)), 100000);
    uint64_t last = mcq_clock_now(&c), end = system_ns() + 400000000u;
    while (system_ns() < end) {
        uint64_t now = mcq_clock_now(&c);
        cr_assert_geq(now, last);
        last = now;
        mcq_clock_sync(&c, now);
    }
    cr_assert_lt(llabs(distance(&c)), 100000);
}

/* However wrong the calibration was, time goes forward only and comes back to the system's. */
Test(clock, recovers_from_bad_rate)
{
    struct mcq_clock c;
    mcq_clock_init(&c);
    if (!c.tsc)
        cr_skip("no invariant time stamp counter here");
    c.rate += c.rate / 2000; /* 500 ppm too fast */
    c.sync_ns = mcq_clock_now(&c) + 50000000u;
    uint64_t last = 0, end = system_ns() + 1400000000u;
    while (system_ns() < end) {
        uint64_t now = mcq_clock_now(&c);
        cr_assert_geq(now, last);
        last = now;
        mcq_clock_sync(&c, now);
    }
    cr_assert_lt(llabs(distance(&c)), 100000);
}

Test(clock, takes_a_jump_forward)
{
    struct mcq_clock c;
    mcq_clock_init(&c);
    if (!c.tsc)
        cr_skip("no invariant time stamp counter here");
    c.base_ns -= 5000000000u; /* as if the machine had slept without the counter */
    c.last_ns = 0;
    c.sync_ns = 0;
    mcq_clock_sync(&c, mcq_clock_now(&c));
    cr_assert_lt(llabs(distance(&c)), 1000000);
}

Test(clock, works_without_the_counter)
{
    struct mcq_clock c = {0};
    cr_assert_lt(llabs(distance(&c)), 100000);
    mcq_clock_sync(&c, mcq_clock_now(&c));
    cr_assert_not(c.tsc);
}
