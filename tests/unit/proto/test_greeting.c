#include "proto/greeting.h"

#include "proto/old.h"

#include <criterion/criterion.h>

#include <string.h>

static const uint8_t ours[MCQ_GREETING_LEN] = {0xff, 0,    0, 0, 0,   0,   0,   0,
                                               1,    0x7f, 3, 1, 'N', 'U', 'L', 'L'};

Test(greeting, is_the_same_in_any_pieces)
{
    for (size_t room = 1; room <= MCQ_GREETING_LEN; room++) {
        uint8_t out[MCQ_GREETING_LEN];
        size_t len = 0;
        while (len < MCQ_GREETING_LEN) {
            struct mcq_writer w = mcq_writer_of(out + len, mcq_min(room, sizeof(out) - len));
            size_t put = mcq_greeting_put(&w, len, MCQ_GREETING_LEN, 3, MCQ_PULL, 0);
            cr_assert(put == w.len && put > 0);
            len += put;
        }
        cr_assert(memcmp(out, ours, sizeof(ours)) == 0, "room %zu", room);
    }
}

Test(greeting, padding_tells_the_length_of_an_identity_frame)
{
    uint8_t out[MCQ_GREETING_LEN];
    struct mcq_writer w = mcq_writer_of(out, sizeof(out));
    mcq_greeting_put(&w, 0, 10, 0, MCQ_DEALER, 255);
    cr_assert(w.len == 10 && out[7] == 1 && out[8] == 0);
}

/* RFC 15 numbers the types from PAIR 0 to PUSH 8; libzmq goes on. */
Test(greeting, a_2_0_peer_is_told_our_type)
{
    for (int type = MCQ_PAIR; type <= MCQ_XSUB; type++) {
        uint8_t out[MCQ_GREETING_LEN];
        struct mcq_writer w = mcq_writer_of(out, sizeof(out));
        mcq_greeting_put(&w, 10, 12, 2, (enum mcq_sock_type)type, 0);
        cr_assert(w.len == 2 && out[0] == 3 && out[1] == type - 1);
        cr_assert_eq(mcq_old_type_of(out[1]), type);
    }
    for (unsigned number = 11; number < 256; number++)
        cr_assert_eq(mcq_old_type_of((uint8_t)number), 0);
    cr_assert(MCQ_PUSH - 1 == 8 && mcq_old_type_of(1) == MCQ_PUB);
}

Test(greeting, nothing_leaves_before_its_time)
{
    for (uint8_t major = 0; major < 5; major++) {
        cr_assert_eq(mcq_greeting_out_max(0, major), 10);
        cr_assert_eq(mcq_greeting_out_max(9, major), 10);
        cr_assert_eq(mcq_greeting_out_max(10, major), 11);
        cr_assert_eq(mcq_greeting_out_max(11, major), major < 3 ? 12 : 64);
    }
    cr_assert_eq(mcq_greeting_out_max(12, 1), 12);
    cr_assert_eq(mcq_greeting_out_max(12, 2), 12);
    cr_assert_eq(mcq_greeting_out_max(64, 3), 64);
}

Test(greeting, units_cover_all_64_bytes)
{
    size_t starts[] = {0, 10, 11, 12, 32, 64};
    for (size_t i = 0; i + 1 < sizeof(starts) / sizeof(starts[0]); i++)
        cr_assert_eq(starts[i] + mcq_greeting_unit_len(starts[i]), starts[i + 1]);
}

static enum mcq_fault check(size_t in_len, const uint8_t *greeting, size_t len)
{
    return mcq_greeting_check(in_len, mcq_slice_of(greeting + in_len, len));
}

Test(greeting, every_byte_of_the_mechanism_counts)
{
    for (size_t at = 12; at < 32; at++) {
        uint8_t g[MCQ_GREETING_LEN];
        memcpy(g, ours, sizeof(g));
        cr_assert_eq(check(12, g, 20), MCQ_FAULT_NONE);
        g[at] ^= 0x20;
        cr_assert_eq(check(12, g, 20), MCQ_FAULT_MECHANISM, "byte %zu", at);
        cr_assert_eq(check(12, g, 19), MCQ_FAULT_NONE);
    }
}

Test(greeting, signature_is_judged_as_early_as_possible)
{
    uint8_t g[MCQ_GREETING_LEN];
    memcpy(g, ours, sizeof(g));
    cr_assert_eq(check(0, g, 0), MCQ_FAULT_NONE);
    cr_assert_eq(check(0, g, 10), MCQ_FAULT_NONE);
    for (unsigned last = 0; last < 256; last++) {
        g[9] = (uint8_t)last;
        cr_assert_eq(check(0, g, 9), MCQ_FAULT_NONE);
        cr_assert(!mcq_greeting_is_frame(mcq_slice_of(g, 9)));
        cr_assert_eq(mcq_greeting_is_frame(mcq_slice_of(g, 10)), (last & 1) == 0);
        enum mcq_fault wanted = last == 0x7f ? MCQ_FAULT_NONE : MCQ_FAULT_SIGNATURE_END;
        cr_assert_eq(check(0, g, 10), wanted, "byte 9 = %02x", last);
    }
    cr_assert(!mcq_greeting_is_frame(mcq_slice_of(g, 0)));
    for (unsigned first = 0; first < 255; first++) {
        g[0] = (uint8_t)first;
        cr_assert(mcq_greeting_is_frame(mcq_slice_of(g, 1)));
    }
}

Test(greeting, majors)
{
    for (unsigned major = 0; major < 256; major++) {
        unsigned wanted = major == 0 ? 1 : major < 3 ? 2 : major;
        cr_assert_eq(mcq_greeting_major_of((uint8_t)major), wanted);
        cr_assert_eq(mcq_greeting_len((uint8_t)wanted), major < 3 ? 12 : 64);
    }
}
