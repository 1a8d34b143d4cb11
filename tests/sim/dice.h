/* Dice: what the scenario and the application draw from the machine's random numbers. */
#ifndef MCQ_TESTS_SIM_DICE_H
#define MCQ_TESTS_SIM_DICE_H

#include "tests/sim/kernel.h"

#define MCQ_PERCENT 100u /* of a chance in 10,000 */

/* Evenly from [0, cnt), cnt > 0. */
static inline uint32_t mcq_dice_below(uint32_t cnt)
{
    return (uint32_t)((mcq_sim_random() >> 32) * cnt >> 32);
}

/* Evenly from [lo, hi]. */
static inline uint32_t mcq_dice_between(uint32_t lo, uint32_t hi)
{
    return lo + mcq_dice_below(hi - lo + 1);
}

/* From [1, hi], small ones as often as large ones of any order of magnitude. */
static inline uint32_t mcq_dice_scaled(uint32_t hi)
{
    uint32_t bits = 32u - (uint32_t)__builtin_clz(hi);
    uint32_t n = (uint32_t)(mcq_sim_random() >> 32) >> (32u - mcq_dice_between(1, bits));
    return n == 0 ? 1 : n > hi ? hi : n;
}

static inline bool mcq_dice_percent(uint32_t percent)
{
    return mcq_sim_chance(percent * MCQ_PERCENT);
}

#endif
