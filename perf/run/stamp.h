/*
 * stamp: what every message of a workload carries, so that none is lost, doubled, reordered or
 * damaged unseen.
 *
 * The first 8 bytes are the message's number on its connection, the next 8 a checksum over number,
 * length and everything behind them. What lies behind is filler that a process makes once, so a
 * sender pays for one multiplication, whatever the length; a receiver sums all of the message.
 * Messages of 8 to 15 bytes have a number of 4 bytes and a checksum of 4. Shorter ones have a
 * product of the number, cut off at their length: what isn't the next one counts as damaged there.
 */
#ifndef MCQ_PERF_RUN_STAMP_H
#define MCQ_PERF_RUN_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PERF_STAMP_LEN  16u /* a whole stamp */
#define PERF_STAMP_MIN  8u  /* below, only the next message can be told from any other */
#define PERF_STAMP_TEXT 192u

struct perf_stamper {
    size_t size;
    uint64_t filler_sum; /* of what lies behind the stamp, and of the length */
};

/* Fills body[size] with filler; size >= 1. The same for the same size. */
void perf_stamper_init(struct perf_stamper *stamper, void *body, size_t size);

/* What a receiver knows of one connection. */
struct perf_stamp_check {
    uint64_t next; /* the number that comes next */
    uint64_t ok_cnt;
    uint64_t gap_cnt;     /* messages skipped */
    uint64_t old_cnt;     /* doubled or reordered: a number below next */
    uint64_t damaged_cnt; /* checksum or length */
};

/* A sentence for the first kind of damage, or NULL when all was well. text: room for the sentence
 * (PERF_STAMP_TEXT). */
const char *perf_stamp_fault(const struct perf_stamp_check *check, char *text, size_t cap);

/* --- per message, so inline ---------------------------------------------------------------------
 */

#define PERF_STAMP_FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* Sums len bytes behind a stamp of a message of `size` bytes. */
uint64_t perf_stamp_sum(const void *data, size_t len, size_t size);
/* Of the short ones, and what isn't the next one. */
void perf_stamp_put_short(const struct perf_stamper *stamper, void *body, uint64_t number);
bool perf_stamp_take_other(struct perf_stamp_check *check, const void *body, size_t len,
                           size_t size, uint64_t *number);

static inline uint64_t perf_stamp_mix(uint64_t number, uint64_t sum)
{
    uint64_t mixed = (number ^ sum) * PERF_STAMP_FACTOR;
    return mixed ^ mixed >> 32;
}

typedef uint64_t perf_stamp_words __attribute__((vector_size(PERF_STAMP_LEN)));

/* Writes number and checksum into body, in one store: the copy into the library's memory that
 * follows reads both at once, and would wait for two. Cost: about 1 ns. */
static inline void perf_stamp_put(const struct perf_stamper *stamper, void *body, uint64_t number)
{
    if (__builtin_expect(stamper->size < PERF_STAMP_LEN, 0)) {
        perf_stamp_put_short(stamper, body, number);
        return;
    }
    perf_stamp_words stamp = {number, perf_stamp_mix(number, stamper->filler_sum)};
    memcpy(body, &stamp, sizeof stamp);
}

/* Whether the message is the one of this number, whole. False also of those shorter than a stamp.
 */
static inline bool perf_stamp_is(uint64_t number, const void *body, size_t len, size_t size)
{
    uint64_t said, sum;
    if (__builtin_expect(len != size || size < PERF_STAMP_LEN, 0)) {
        return false;
    }
    memcpy(&said, body, sizeof said);
    memcpy(&sum, (const char *)body + sizeof said, sizeof sum);
    uint64_t filler = (uint64_t)size; /* as the sum of nothing */
    if (len > PERF_STAMP_LEN) {
        filler = perf_stamp_sum((const char *)body + PERF_STAMP_LEN, len - PERF_STAMP_LEN, size);
    }
    return said == number && sum == perf_stamp_mix(said, filler);
}

/* The next cnt messages were seen to be whole. Counting them at once keeps a batch's loop free of
 * memory that each message would wait for. */
static inline void perf_stamp_taken(struct perf_stamp_check *check, uint64_t cnt)
{
    check->next += cnt;
    check->ok_cnt += cnt;
}

/* False when the message isn't the next one, whole: counted above, and *number is what it says (or
 * UINT64_MAX when damaged). */
static inline bool perf_stamp_take(struct perf_stamp_check *check, const void *body, size_t len,
                                   size_t size, uint64_t *number)
{
    if (__builtin_expect(perf_stamp_is(check->next, body, len, size), 1)) {
        *number = check->next;
        perf_stamp_taken(check, 1);
        return true;
    }
    return perf_stamp_take_other(check, body, len, size, number);
}

#endif
