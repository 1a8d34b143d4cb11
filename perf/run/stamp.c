#include "perf/run/stamp.h"

#include <stdio.h>

/* Blocks are added up in vectors, once plainly and once weighed by position, so that exchanged
 * blocks show: a large message is summed at about the speed it is read. */
#define VECTORS   4u
#define LANES     2u
#define BLOCK_LEN (VECTORS * LANES * sizeof(uint64_t))

/* Each word is multiplied by an odd number of its own, so that exchanged words show; the products
 * don't wait for each other. */
#define KEY_STEP   UINT64_C(0xd1342543de82ef94)
#define SHORT_BITS 32u

static uint64_t word_at(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t tail_word(const unsigned char *at, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, at, len);
    return word;
}

static uint64_t blocks_sum(const unsigned char *at, size_t blocks)
{
    uint64_t __attribute__((vector_size(LANES * sizeof(uint64_t)))) plain[VECTORS] = {{0}},
                                                                    weighed[VECTORS] = {{0}}, word;
    for (; blocks > 0; blocks--) {
#pragma GCC unroll 4
        for (unsigned v = 0; v < VECTORS; v++, at += sizeof word) {
            memcpy(&word, at, sizeof word);
            plain[v] += word;
            weighed[v] += plain[v];
        }
    }
    uint64_t sum = 0, key = KEY_STEP | 1;
#pragma GCC unroll 8
    for (unsigned i = 0; i < VECTORS * LANES; i++) {
        sum += plain[i / LANES][i % LANES] * key;
        /* Turned round: the top bits of both would cancel out. */
        uint64_t turned = weighed[i / LANES][i % LANES];
        sum += (turned << 32 | turned >> 32) * (key + KEY_STEP);
        key += 2 * KEY_STEP;
    }
    return sum;
}

uint64_t perf_stamp_sum(const void *data, size_t len, size_t size)
{
    const unsigned char *at = data;
    uint64_t key = PERF_STAMP_FACTOR;
    uint64_t sum = (uint64_t)size;
    if (len >= 2 * BLOCK_LEN) {
        sum ^= blocks_sum(at, len / BLOCK_LEN);
        at += len / BLOCK_LEN * BLOCK_LEN;
        len %= BLOCK_LEN;
    }
    for (; len >= sizeof(uint64_t); len -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        sum += word_at(at) * key;
        key += KEY_STEP;
    }
    return len == 0 ? sum : sum + tail_word(at, len) * key;
}

static void filler_put(unsigned char *at, size_t len)
{
    uint64_t state = PERF_STAMP_FACTOR;
    for (size_t i = 0; i < len; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        at[i] = (unsigned char)(state >> 56 | 1); /* no zeros, as a page never written would have */
    }
}

static size_t stamp_len(size_t size)
{
    return size >= PERF_STAMP_LEN ? PERF_STAMP_LEN : size < PERF_STAMP_MIN ? size : PERF_STAMP_MIN;
}

void perf_stamper_init(struct perf_stamper *stamper, void *body, size_t size)
{
    size_t stamp = stamp_len(size);
    unsigned char *behind = (unsigned char *)body + stamp;
    filler_put(behind, size - stamp);
    stamper->size = size;
    stamper->filler_sum = perf_stamp_sum(behind, size - stamp, size);
}

/* 8 to 15 bytes: 4 of the number and 4 of the sum. */
static uint64_t short_word(uint64_t number, uint64_t sum)
{
    uint64_t low = number & UINT32_MAX;
    return low | perf_stamp_mix(low, sum) << SHORT_BITS;
}

void perf_stamp_put_short(const struct perf_stamper *stamper, void *body, uint64_t number)
{
    uint64_t word = stamper->size < PERF_STAMP_MIN ? number * PERF_STAMP_FACTOR
                                                   : short_word(number, stamper->filler_sum);
    memcpy(body, &word, stamp_len(stamper->size));
}

static bool damaged(struct perf_stamp_check *check, uint64_t *number)
{
    check->damaged_cnt++;
    check->next++; /* it stood for that one */
    *number = UINT64_MAX;
    return false;
}

static bool counted(struct perf_stamp_check *check, uint64_t said)
{
    if (said == check->next) {
        check->next++;
        check->ok_cnt++;
        return true;
    }
    if (said < check->next) {
        check->old_cnt++;
    } else {
        check->gap_cnt += said - check->next;
        check->next = said + 1;
    }
    return false;
}

static bool take_tiny(struct perf_stamp_check *check, const void *body, size_t len,
                      uint64_t *number)
{
    uint64_t due = check->next * PERF_STAMP_FACTOR;
    if (memcmp(body, &due, len) != 0) {
        return damaged(check, number);
    }
    *number = check->next;
    return counted(check, check->next);
}

static bool take_short(struct perf_stamp_check *check, const void *body, size_t len,
                       uint64_t *number)
{
    const unsigned char *at = body;
    uint64_t word = word_at(at);
    uint64_t sum = perf_stamp_sum(at + PERF_STAMP_MIN, len - PERF_STAMP_MIN, len);
    if (word != short_word(word, sum)) {
        return damaged(check, number);
    }
    /* The rest of the number is that of the nearest one to what is due. */
    int32_t ahead = (int32_t)(uint32_t)(word - check->next);
    *number = check->next + (uint64_t)(int64_t)ahead;
    return counted(check, *number);
}

bool perf_stamp_take_other(struct perf_stamp_check *check, const void *body, size_t len,
                           size_t size, uint64_t *number)
{
    if (len != size) {
        return damaged(check, number);
    }
    if (len < PERF_STAMP_MIN) {
        return take_tiny(check, body, len, number);
    }
    if (len < PERF_STAMP_LEN) {
        return take_short(check, body, len, number);
    }
    const unsigned char *at = body;
    uint64_t said = word_at(at);
    uint64_t sum = perf_stamp_sum(at + PERF_STAMP_LEN, len - PERF_STAMP_LEN, size);
    if (word_at(at + sizeof said) != perf_stamp_mix(said, sum)) {
        return damaged(check, number);
    }
    *number = said;
    return counted(check, said);
}

const char *perf_stamp_fault(const struct perf_stamp_check *check, char *text, size_t cap)
{
    if (check->damaged_cnt == 0 && check->old_cnt == 0 && check->gap_cnt == 0) {
        return NULL;
    }
    snprintf(text, cap,
             "of %llu messages %llu were damaged, %llu doubled or out of order, "
             "%llu missing",
             (unsigned long long)check->ok_cnt, (unsigned long long)check->damaged_cnt,
             (unsigned long long)check->old_cnt, (unsigned long long)check->gap_cnt);
    return text;
}
