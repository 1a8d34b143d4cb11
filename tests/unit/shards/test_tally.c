/* The tally against a model: frames come in pieces of any size, messages leave whole. */
#include <criterion/criterion.h>
#include <string.h>

#include "mem/base.h"
#include "proto/frame_v1.h"
#include "shards/tally.h"

#define SEEDS      300u
#define FRAMES     400u
#define BODY_MAX   400u
#define STREAM_LEN ((size_t)FRAMES * (BODY_MAX + MCQ_FRAME_V1_HEAD_MAX))

static uint64_t random_state;

static uint32_t below(uint32_t max)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)((z ^ (z >> 31)) % max);
}

struct stream {
    uint8_t bytes[STREAM_LEN];
    size_t frame_end[FRAMES]; /* where each frame ends */
    bool ends_msg[FRAMES];
    size_t len;
    bool v1;
};

static void put_head(struct stream *s, unsigned flags, size_t len)
{
    uint8_t *at = s->bytes + s->len;
    struct mcq_writer w = mcq_writer_of(at, MCQ_FRAME_V1_HEAD_MAX);
    if (s->v1)
        cr_assert(mcq_frame_v1_head_write(&w, (flags & MCQ_FRAME_MORE) != 0, len));
    s->len += s->v1 ? w.len : (size_t)(mcq_frame_head_put(at, flags, len) - at);
}

/* Commands stand between messages only. */
static void make(struct stream *s)
{
    bool inside = false;
    s->len = 0;
    for (uint32_t i = 0; i < FRAMES; i++) {
        size_t len = below(4) == 0 ? below(BODY_MAX) : below(20);
        bool command = !s->v1 && !inside && below(5) == 0;
        bool more = !command && i + 1 < FRAMES && below(3) == 0;
        unsigned flags = command ? MCQ_FRAME_COMMAND : more ? MCQ_FRAME_MORE : 0;
        put_head(s, flags, len);
        memset(s->bytes + s->len, 0xff, len);
        s->len += len;
        s->frame_end[i] = s->len;
        s->ends_msg[i] = !command && !more;
        inside = more;
    }
}

/* Messages that are whole between two places of the stream. */
static uint64_t whole(const struct stream *s, size_t from, size_t to)
{
    uint64_t msgs = 0;
    for (uint32_t i = 0; i < FRAMES; i++)
        msgs += s->ends_msg[i] && s->frame_end[i] > from && s->frame_end[i] <= to;
    return msgs;
}

/* A place up to `to` where a message, or a command, ends. */
static size_t boundary(const struct stream *s, size_t from, size_t to)
{
    size_t best = from;
    uint32_t cnt = 1 + below(20);
    bool inside = false;
    for (uint32_t i = 0; i < FRAMES && s->frame_end[i] <= to; i++) {
        bool command = !s->v1 && !s->ends_msg[i] && !inside &&
                       (s->bytes[i == 0 ? 0 : s->frame_end[i - 1]] & MCQ_FRAME_COMMAND) != 0;
        inside = !s->ends_msg[i] && !command;
        if (s->frame_end[i] > from && !inside) {
            best = s->frame_end[i];
            if (--cnt == 0)
                break;
        }
    }
    return best;
}

Test(tally, counts_what_is_whole)
{
    static struct stream s;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct mcq_tally t = {0};
        size_t front = 0, back = 0;
        random_state = seed;
        s.v1 = seed % 3 == 0;
        make(&s);
        while (front < s.len) {
            switch (below(3)) {
            case 0:
                back += mcq_min(below(500), s.len - back);
                break;
            case 1: {
                struct mcq_slice win = mcq_slice_of(s.bytes + front, back - front);
                uint64_t got = mcq_tally_count(&t, win, s.v1);
                cr_assert_eq(got, whole(&s, front, back), "seed %llu at %zu",
                             (unsigned long long)seed, front);
                break;
            }
            case 2: { /* also beyond what is counted */
                size_t to = boundary(&s, front, back);
                mcq_tally_consume(&t, mcq_slice_of(s.bytes + front, back - front), to - front,
                                  s.v1);
                front = to;
                break;
            }
            }
        }
        cr_assert_eq(t.len, 0);
        cr_assert_eq(t.msgs, 0);
    }
}

/* A length that no stream will ever have is no reason to look beyond the window. */
Test(tally, a_length_beyond_everything)
{
    const uint8_t bytes[] = {MCQ_FRAME_LONG, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2};
    const uint8_t v1[] = {255, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 2};
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        struct mcq_tally t = {0};
        cr_assert_eq(mcq_tally_count(&t, mcq_slice_of(bytes, len), false), 0);
        cr_assert_eq(mcq_tally_count(&t, mcq_slice_of(v1, len), true), 0);
        cr_assert_eq(t.len, 0);
    }
}
