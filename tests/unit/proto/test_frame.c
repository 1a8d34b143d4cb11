#include "proto/frame.h"

#include <criterion/criterion.h>

#include <string.h>

/* Every prefix of a header asks for exactly what is missing, and a fault in the flags is told by
 * the flags alone. */
Test(frame, headers_cut_anywhere)
{
    for (unsigned flags = 0; flags < 256; flags++) {
        uint8_t bytes[9] = {(uint8_t)flags, 0, 0, 0, 0, 0, 0, 1, 2};
        enum mcq_fault wanted = (flags & 0xf8) != 0      ? MCQ_FAULT_RESERVED
                                : (flags & 0x05) == 0x05 ? MCQ_FAULT_COMMAND_MORE
                                                         : MCQ_FAULT_NONE;
        size_t whole = (flags & 2) != 0 ? 9 : 2;
        for (size_t len = 0; len <= sizeof(bytes); len++) {
            struct mcq_frame_head head;
            enum mcq_fault fault = mcq_frame_head_read(mcq_slice_of(bytes, len), &head);
            cr_assert_eq(fault, len == 0 ? MCQ_FAULT_NONE : wanted, "%02x cut at %zu", flags, len);
            if (fault != MCQ_FAULT_NONE)
                continue;
            size_t need = len == 0 ? 2 : len < whole ? whole - len : 0;
            cr_assert_eq(head.need, need, "%02x cut at %zu", flags, len);
            if (need == 0)
                cr_assert(head.body_len == (whole == 9 ? 0x102u : 0) && head.len == whole);
        }
    }
}

Test(frame, sizes_end_at_63_bits)
{
    uint8_t bytes[9] = {2, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct mcq_frame_head head;
    cr_assert_eq(mcq_frame_head_read(mcq_slice_of(bytes, 9), &head), MCQ_FAULT_NONE);
    cr_assert_eq(head.body_len, INT64_MAX);
    bytes[1] = 0x80;
    cr_assert_eq(mcq_frame_head_read(mcq_slice_of(bytes, 9), &head), MCQ_FAULT_SIZE);
}

/* libzmq <= 4.3.4 sends an eight-byte size without LONG for some bodies (its #4564). */
Test(frame, long_exactly_when_the_body_needs_it)
{
    static const size_t lens[] = {0, 1, 254, 255, 256, 257, 65536};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t bytes[9];
        struct mcq_writer w = mcq_writer_of(bytes, sizeof(bytes));
        cr_assert(mcq_frame_head_write(&w, MCQ_FRAME_COMMAND, lens[i]));
        cr_assert_eq(w.len, lens[i] > 255 ? 9 : 2);
        struct mcq_frame_head head;
        cr_assert_eq(mcq_frame_head_read(mcq_slice_of(bytes, w.len), &head), MCQ_FAULT_NONE);
        cr_assert(head.body_len == lens[i] && head.need == 0);
        cr_assert_eq(head.flags, lens[i] > 255 ? 6 : 4);
    }
}

Test(frame, no_room_writes_nothing)
{
    uint8_t bytes[9];
    for (size_t room = 0; room < 9; room++) {
        struct mcq_writer w = mcq_writer_of(bytes, room);
        cr_assert(!mcq_frame_head_write(&w, 0, 256) && w.len == 0);
    }
    struct mcq_writer w = mcq_writer_of(bytes, 1);
    cr_assert(!mcq_frame_head_write(&w, 0, 0) && w.len == 0);
}
