#include "proto/frame_v1.h"

#include <criterion/criterion.h>

#include <string.h>

/* Every prefix of a header asks for exactly what is missing, whatever the flags. */
Test(frame_v1, headers_cut_anywhere)
{
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned flags = 0; flags < 256; flags++) {
            uint8_t bytes[10] = {(uint8_t)first, (uint8_t)flags};
            size_t whole = 2;
            if (first == 255) {
                memcpy(bytes + 1, "\0\0\0\0\0\0\1\2", 8);
                bytes[9] = (uint8_t)flags;
                whole = 10;
            }
            for (size_t len = 0; len <= whole; len++) {
                struct mcq_frame_head head;
                enum mcq_fault fault = mcq_frame_v1_head_read(mcq_slice_of(bytes, len), &head);
                bool zero = len > 0 && first == 0;
                cr_assert_eq(fault, zero ? MCQ_FAULT_LENGTH_ZERO : MCQ_FAULT_NONE);
                if (zero)
                    continue;
                cr_assert_eq(head.need, len == 0 ? 2 : whole - len, "%02x cut at %zu", first, len);
                if (head.need == 0)
                    cr_assert(head.len == whole && head.flags == (flags & 1) &&
                              head.body_len == (whole == 10 ? 0x101 : first - 1));
            }
        }
    }
}

Test(frame_v1, sizes_end_at_63_bits_and_begin_at_one)
{
    uint8_t bytes[10] = {255, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    struct mcq_frame_head head;
    cr_assert_eq(mcq_frame_v1_head_read(mcq_slice_of(bytes, 10), &head), MCQ_FAULT_NONE);
    cr_assert_eq(head.body_len, INT64_MAX - 1);
    bytes[1] = 0x80;
    cr_assert_eq(mcq_frame_v1_head_read(mcq_slice_of(bytes, 10), &head), MCQ_FAULT_SIZE);
    memset(bytes + 1, 0, 8);
    cr_assert_eq(mcq_frame_v1_head_read(mcq_slice_of(bytes, 10), &head), MCQ_FAULT_LENGTH_ZERO);
    bytes[8] = 1;
    cr_assert_eq(mcq_frame_v1_head_read(mcq_slice_of(bytes, 10), &head), MCQ_FAULT_NONE);
    cr_assert_eq(head.body_len, 0);
}

/* What is written is read, in the shorter form where it fits, or not written at all. */
Test(frame_v1, written_and_read)
{
    static const uint64_t lens[] = {0, 1, 252, 253, 254, 255, 256, 65536, UINT64_C(1) << 40};
    for (size_t i = 0; i < MCQ_CNT_OF(lens); i++) {
        uint8_t bytes[10];
        size_t whole = lens[i] < 254 ? 2 : 10;
        cr_assert_eq(mcq_frame_v1_head_len(lens[i]), whole);
        for (size_t room = 0; room < whole; room++) {
            struct mcq_writer w = mcq_writer_of(bytes, room);
            cr_assert(!mcq_frame_v1_head_write(&w, false, lens[i]) && w.len == 0);
        }
        for (unsigned more = 0; more < 2; more++) {
            struct mcq_writer w = mcq_writer_of(bytes, whole);
            cr_assert(mcq_frame_v1_head_write(&w, more != 0, lens[i]) && w.len == whole);
            struct mcq_frame_head head;
            cr_assert_eq(mcq_frame_v1_head_read(mcq_slice_of(bytes, w.len), &head), 0);
            cr_assert(head.body_len == lens[i] && head.flags == more && head.need == 0);
        }
    }
}
