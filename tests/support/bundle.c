#include "tests/support/bundle.h"

#include <string.h>

#include "tests/support/body.h"

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

static size_t body_len(uint32_t seq)
{
    static const size_t lens[] = {0,     1,     7,     255,    256,    4000,   16383,
                                  16384, 20000, 32768, 100000, 262143, 262144, MCQ_BUNDLE_BODY_MAX};
    uint32_t r = mix(seq);
    if (r % 8 != 0)
        return r / 8 % 300;
    return lens[r / 8 % (sizeof(lens) / sizeof(lens[0]))];
}

static uint32_t frame_cnt(uint32_t seq)
{
    uint32_t r = mix(seq ^ 0x5bd1e995u);
    return r % 4 != 0 ? 1 : 1 + r / 4 % (r % 64 == 0 ? MCQ_BUNDLE_FRAMES_MAX : 5);
}

/* One frame of many is as long as any; the others are short. */
static size_t frame_len(uint32_t seq, uint32_t idx)
{
    uint32_t cnt = frame_cnt(seq);
    return idx == mix(seq) % cnt ? body_len(seq) : mix(seq * 64 + idx) % 700;
}

static uint32_t frame_seq(uint32_t seq, uint32_t idx)
{
    return seq * 64 + idx;
}

struct mcq_msg mcq_bundle_of(struct mcq_bundle *b, uint32_t seq, bool extra)
{
    uint32_t cnt = frame_cnt(seq);
    uint8_t *at = b->bytes;
    b->frames[0] = (struct mcq_frame){at, 0};
    for (uint32_t i = 0; i < cnt; i++) {
        size_t len = frame_len(seq, i);
        mcq_body_fill(at, len, frame_seq(seq, i));
        b->frames[i + extra] = (struct mcq_frame){at, len};
        at += len;
    }
    return mcq_msg_of_frames(b->frames, cnt + extra);
}

bool mcq_bundle_is(const struct mcq_msg *m, uint32_t seq, bool extra)
{
    uint32_t cnt = frame_cnt(seq);
    if (mcq_msg_frame_cnt(m) != cnt + extra || (extra && m->len != 0))
        return false;
    for (uint32_t i = 0; i < cnt; i++) {
        struct mcq_frame f = mcq_msg_frame(m, i + extra);
        if (f.len != frame_len(seq, i) || !mcq_body_right(f.data, f.len, frame_seq(seq, i)))
            return false;
    }
    return true;
}

void mcq_bundle_spoil(struct mcq_bundle *b, bool all)
{
    memset(b->bytes, 0xee, all ? sizeof(b->bytes) : 4096);
}
