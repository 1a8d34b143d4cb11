/* Raw: writes as the kernel does, past AddressSanitizer: what the kernel may write of a receive
 * block is poisoned for everybody else. */
#ifndef MCQ_TESTS_SIM_RAW_H
#define MCQ_TESTS_SIM_RAW_H

#include <stdint.h>
#include <string.h>

#include "mem/poison.h"

#ifdef MCQ_POISON_ON
#define MCQ_SIM_RAW __attribute__((no_sanitize("address"), noinline, unused))
#else
#define MCQ_SIM_RAW __attribute__((unused))
#endif

static MCQ_SIM_RAW void mcq_sim_raw_copy(void *to, const void *from, size_t len)
{
#ifdef MCQ_POISON_ON
    volatile uint8_t *at = to; /* volatile: or it would become a call of memcpy, which is checked */
    for (size_t i = 0; i < len; i++)
        at[i] = ((const uint8_t *)from)[i];
#else
    if (len != 0)
        memcpy(to, from, len);
#endif
}

static MCQ_SIM_RAW void mcq_sim_raw_fill(void *to, int value, size_t len)
{
#ifdef MCQ_POISON_ON
    volatile uint8_t *at = to;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)value;
#else
    memset(to, value, len);
#endif
}

#endif
