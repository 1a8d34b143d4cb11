#include "tests/sim/parcel.h"

#include <string.h>

#define TOPIC_END '|' /* in no topic: what follows extends none */

static const char *const topics[MCQ_PARCEL_TOPICS] = {
    "", "a", "ab", "abc", "abcd", "b", "ba", "EUR", "EURUSD", "EURUSD.bid.level.one", "z", "zz",
};

const char *mcq_parcel_topic(uint32_t idx)
{
    return topics[idx];
}

bool mcq_parcel_topic_matches(uint32_t topic, uint32_t of)
{
    return strncmp(topics[topic], topics[of], strlen(topics[topic])) == 0;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

static uint64_t key_of(const struct mcq_parcel *p, uint32_t frame)
{
    return mix((uint64_t)p->uid << 40 ^ (uint64_t)frame << 32 ^ p->number);
}

static size_t head_len(const struct mcq_parcel *p, uint32_t frame)
{
    return frame != 0 || p->topic == MCQ_PARCEL_TOPIC_NONE ? 0 : strlen(topics[p->topic]) + 1;
}

/* Every frame takes a random part of what is left, the last one all of it. */
size_t mcq_parcel_frame_len(const struct mcq_parcel *p, uint32_t frame)
{
    size_t head = head_len(p, 0);
    size_t left = p->len - head;
    for (uint32_t i = 0;; i++) {
        size_t len = i + 1 == p->frame_cnt ? left : (size_t)(key_of(p, i + 64) % (left + 1));
        if (i == frame)
            return len + (i == 0 ? head : 0);
        left -= len;
    }
}

static uint64_t word(uint64_t key, size_t idx)
{
    return key + idx * 0x9e3779b97f4a7c15u;
}

void mcq_parcel_fill(const struct mcq_parcel *p, uint32_t frame, void *at)
{
    size_t len = mcq_parcel_frame_len(p, frame);
    size_t head = head_len(p, frame);
    uint64_t key = key_of(p, frame);
    uint8_t *to = at;
    if (head != 0) {
        memcpy(to, topics[p->topic], head - 1);
        to[head - 1] = TOPIC_END;
    }
    to += head;
    len -= head;
    for (size_t i = 0; i < len / 8; i++) {
        uint64_t w = word(key, i);
        memcpy(to + 8 * i, &w, 8);
    }
    uint64_t last = word(key, len / 8);
    memcpy(to + len / 8 * 8, &last, len % 8);
}

/* Compares at most max bytes behind the topic. */
static bool frame_right(const struct mcq_parcel *p, uint32_t frame, const void *at, size_t len,
                        size_t max)
{
    size_t head = head_len(p, frame);
    uint64_t key = key_of(p, frame);
    const uint8_t *from = at;
    if (len != mcq_parcel_frame_len(p, frame))
        return false;
    if (head != 0 && (memcmp(from, topics[p->topic], head - 1) != 0 || from[head - 1] != TOPIC_END))
        return false;
    from += head;
    len = mcq_min(len - head, max);
    uint64_t wrong = 0;
    for (size_t i = 0; i < len / 8; i++) {
        uint64_t w;
        memcpy(&w, from + 8 * i, 8);
        wrong |= w ^ word(key, i);
    }
    uint64_t last = word(key, len / 8);
    return wrong == 0 && memcmp(from + len / 8 * 8, &last, len % 8) == 0;
}

static bool right(const struct mcq_parcel *p, const struct mcq_msg *m, uint32_t first, size_t max)
{
    if (mcq_msg_frame_cnt(m) != first + p->frame_cnt)
        return false;
    for (uint32_t i = 0; i < p->frame_cnt; i++) {
        struct mcq_frame f = mcq_msg_frame(m, first + i);
        if (!frame_right(p, i, f.data, f.len, max))
            return false;
    }
    return true;
}

bool mcq_parcel_matches(const struct mcq_parcel *p, const struct mcq_msg *m, uint32_t first)
{
    return right(p, m, first, SIZE_MAX);
}

bool mcq_parcel_resembles(const struct mcq_parcel *p, const struct mcq_msg *m, uint32_t first)
{
    return right(p, m, first, 8);
}
