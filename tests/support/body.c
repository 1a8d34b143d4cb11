#include "tests/support/body.h"

#include <string.h>

/* Every eight bytes: the number mixed with their position. */
static uint64_t word_of(uint32_t seq, size_t idx)
{
    uint64_t x = ((uint64_t)seq << 32 | (uint32_t)idx) * 0x9e3779b97f4a7c15u;
    return x ^ x >> 29;
}

void mcq_body_fill(void *ptr, size_t len, uint32_t seq)
{
    uint8_t *at = ptr;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w = word_of(seq, i);
        memcpy(at + i, &w, len - i < 8 ? len - i : 8);
    }
}

bool mcq_body_right(const void *ptr, size_t len, uint32_t seq)
{
    const uint8_t *at = ptr;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w = word_of(seq, i);
        if (memcmp(at + i, &w, len - i < 8 ? len - i : 8) != 0)
            return false;
    }
    return true;
}
