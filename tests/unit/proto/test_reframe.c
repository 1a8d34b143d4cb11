#include "proto/reframe.h"

#include "proto/frame_v1.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#define ROOM 4096u

/* Lengths at which a header changes its form, in one framing or the other. */
static const size_t lens[] = {0, 1, 2, 252, 253, 254, 255, 256, 257, 700};

struct bytes {
    uint8_t at[ROOM];
    size_t len;
};

static void add(struct bytes *b, const void *data, size_t len)
{
    cr_assert(len <= ROOM - b->len);
    memcpy(b->at + b->len, data, len);
    b->len += len;
}

static void add_body(struct bytes *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        add(b, &(uint8_t){(uint8_t)(i * 7 + len)}, 1);
}

/* One frame as it is stored, and as a 1.0 peer has to read it, written by hand. */
static void add_frame(struct bytes *stored, struct bytes *v1, bool more, size_t len)
{
    if (len > 255)
        add(stored, (uint8_t[]){more | 2, 0, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len}, 9);
    else
        add(stored, (uint8_t[]){more, (uint8_t)len}, 2);
    size_t said = len + 1;
    if (said < 255)
        add(v1, (uint8_t[]){(uint8_t)said, more}, 2);
    else
        add(v1, (uint8_t[]){255, 0, 0, 0, 0, 0, 0, (uint8_t)(said >> 8), (uint8_t)said, more}, 10);
    add_body(stored, len);
    add_body(v1, len);
}

/* Converts in pieces of in_len bytes into blocks of room; the blocks' contents one after the
 * other. */
static void convert(const struct bytes *stored, size_t in_len, size_t room, struct bytes *out)
{
    struct mcq_reframe r = {0};
    uint8_t *block = malloc(room);
    out->len = 0;
    for (size_t done = 0; done < stored->len;) {
        /* Of exactly its length, so that a sanitizer sees an overread. */
        size_t len = mcq_min(in_len, stored->len - done);
        uint8_t *piece = malloc(len);
        memcpy(piece, stored->at + done, len);
        struct mcq_reader in = mcq_reader_of(mcq_slice_of(piece, len));
        while (mcq_reader_left(&in) > 0) {
            struct mcq_writer w = mcq_writer_of(block, room);
            mcq_reframe_run(&r, &in, &w);
            cr_assert(w.len > 0 || mcq_reader_left(&in) == 0);
            add(out, block, w.len);
        }
        done += len;
        free(piece);
    }
    free(block);
}

Test(reframe, every_length_at_every_split)
{
    struct bytes stored = {.len = 0}, v1 = {.len = 0}, out;
    for (size_t i = 0; i < MCQ_CNT_OF(lens); i++)
        add_frame(&stored, &v1, i % 3 == 0, lens[i]);
    for (size_t in_len = 1; in_len <= stored.len; in_len++) {
        convert(&stored, in_len, ROOM, &out);
        cr_assert(out.len == v1.len && memcmp(out.at, v1.at, v1.len) == 0, "pieces of %zu", in_len);
    }
    for (size_t room = MCQ_FRAME_V1_HEAD_MAX; room < 600; room++) {
        convert(&stored, stored.len, room, &out);
        cr_assert(out.len == v1.len && memcmp(out.at, v1.at, v1.len) == 0, "blocks of %zu", room);
    }
}

Test(reframe, no_room_takes_nothing)
{
    struct mcq_reframe r = {0};
    uint8_t block[MCQ_FRAME_V1_HEAD_MAX - 1];
    struct mcq_reader in = mcq_reader_of(mcq_slice_of("\0\1x", 3));
    struct mcq_writer w = mcq_writer_of(block, sizeof(block));
    mcq_reframe_run(&r, &in, &w);
    cr_assert(in.pos == 0 && w.len == 0 && r.head_len == 0);
}

/* A body longer than any block, of which only the length is real. */
Test(reframe, a_body_beyond_four_gigabytes_is_counted)
{
    static uint8_t zeros[1u << 16], block[1u << 16];
    struct mcq_reframe r = {0};
    uint64_t len = UINT64_C(5) << 30;
    uint8_t head[9];
    mcq_frame_head_put(head, 0, len);
    struct mcq_reader in = mcq_reader_of(mcq_slice_of(head, 9));
    struct mcq_writer w = mcq_writer_of(block, sizeof(block));
    mcq_reframe_run(&r, &in, &w);
    cr_assert(w.len == 10 && memcmp(block, "\xff\0\0\0\1\x40\0\0\1\0", 10) == 0);
    in = mcq_reader_of(mcq_slice_of(zeros, sizeof(zeros)));
    w = mcq_writer_of(block, 1000);
    mcq_reframe_run(&r, &in, &w);
    cr_assert(in.pos == 1000 && w.len == 1000 && r.body_left == len - 1000);
}

/* What an obvious count says of the first `sent` bytes of v1: whole headers and bodies count as
 * they were stored, a header in part as one byte. */
static size_t stored_of(const size_t *len, size_t cnt, size_t sent)
{
    size_t stored = 0;
    for (size_t i = 0; i < cnt && sent > 0; i++) {
        size_t head = len[i] + 1 < 255 ? 2 : 10;
        if (sent < head)
            return stored + 1;
        sent -= head;
        stored += (len[i] > 255 ? 9 : 2) + mcq_min(sent, len[i]);
        sent -= mcq_min(sent, len[i]);
    }
    return stored;
}

/* However a connection's end cuts what was sent, the pipe is told of exactly that. */
Test(reframe, stored_len_at_every_cut)
{
    struct bytes stored = {.len = 0}, v1 = {.len = 0};
    for (size_t i = 0; i < MCQ_CNT_OF(lens); i++)
        add_frame(&stored, &v1, i % 2 == 0, lens[i]);
    const struct mcq_reframe start = {0};
    for (size_t sent = 0; sent <= v1.len; sent++)
        cr_assert_eq(mcq_reframe_stored_len(&start, mcq_slice_of(v1.at, sent)),
                     stored_of(lens, MCQ_CNT_OF(lens), sent), "%zu", sent);
}

/* The same behind a run that ended anywhere: what both runs took is told by the sum. */
Test(reframe, stored_len_of_a_later_run)
{
    struct bytes stored = {.len = 0}, v1 = {.len = 0};
    for (size_t i = 0; i < MCQ_CNT_OF(lens); i++)
        add_frame(&stored, &v1, i % 2 == 1, lens[i]);
    for (size_t cut = 0; cut < stored.len; cut++) {
        static uint8_t block[ROOM];
        struct mcq_reframe r = {0};
        struct mcq_reader in = mcq_reader_of(mcq_slice_of(stored.at, cut));
        struct mcq_writer w = mcq_writer_of(block, sizeof(block));
        mcq_reframe_run(&r, &in, &w);
        cr_assert_eq(in.pos, cut);
        size_t before = w.len;
        for (size_t sent = before; sent <= v1.len; sent += 3) {
            struct mcq_slice later = mcq_slice_of(v1.at + before, sent - before);
            size_t wanted = stored_of(lens, MCQ_CNT_OF(lens), sent);
            size_t told = cut + mcq_reframe_stored_len(&r, later);
            cr_assert(told == wanted || (r.head_len > 0 && told >= wanted && sent < before + 10),
                      "cut %zu, sent %zu: %zu, not %zu", cut, sent, told, wanted);
        }
    }
}
