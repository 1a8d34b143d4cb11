#include "fixture.h"

#include "mem/frame_format.h"

static const uint64_t LENS[] = {0,   1,     254,         255,          256,      257,
                                300, 65535, 0xffffffffu, 0x100000000u, INT64_MAX};

Test(frame_format, bytes_on_the_wire)
{
    uint8_t at[MCQ_FRAME_HEAD_MAX];
    cr_assert_eq(mcq_frame_head_put(at, MCQ_FRAME_MORE, 255) - at, 2);
    cr_assert_eq(memcmp(at, "\x01\xff", 2), 0);
    cr_assert_eq(mcq_frame_head_put(at, MCQ_FRAME_COMMAND, 256) - at, 9);
    cr_assert_eq(memcmp(at, "\x06\x00\x00\x00\x00\x00\x00\x01\x00", 9), 0);
}

Test(frame_format, what_is_put_is_got_at_every_cut)
{
    for (size_t i = 0; i < MCQ_CNT_OF(LENS); i++) {
        uint8_t at[MCQ_FRAME_HEAD_MAX + 1];
        memset(at, 0xcc, sizeof(at));
        size_t head = mcq_frame_head_len(LENS[i]);
        cr_assert_eq(mcq_frame_head_put(at, MCQ_FRAME_MORE, LENS[i]) - at, (ptrdiff_t)head);
        cr_assert_eq(at[head], 0xcc);
        for (size_t cut = 0; cut <= head; cut++) {
            uint8_t flags = 0x77;
            uint64_t len = 77;
            size_t got = mcq_frame_head_get(mcq_slice_of(at, cut), &flags, &len);
            if (cut < head) {
                cr_assert_eq(got, 0, "cut %zu of %zu", cut, head);
                continue;
            }
            cr_assert_eq(got, head);
            cr_assert_eq(len, LENS[i]);
            cr_assert_eq(flags & ~MCQ_FRAME_LONG, MCQ_FRAME_MORE);
            cr_assert_eq((flags & MCQ_FRAME_LONG) != 0, LENS[i] > MCQ_FRAME_SHORT_MAX);
        }
    }
}

Test(frame_format, long_form_of_a_short_body_is_read)
{
    const uint8_t at[] = {MCQ_FRAME_LONG, 0, 0, 0, 0, 0, 0, 0, 5};
    uint8_t flags;
    uint64_t len;
    cr_assert_eq(mcq_frame_head_get(mcq_slice_of(at, sizeof(at)), &flags, &len), 9);
    cr_assert_eq(len, 5);
}
