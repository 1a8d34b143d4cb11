#include "proto/reframe.h"

#include "proto/frame_v1.h"

static void pass_body(struct mcq_reframe *r, struct mcq_reader *in, struct mcq_writer *w)
{
    size_t len = mcq_min(mcq_reader_left(in), mcq_writer_room(w));
    struct mcq_slice piece;
    len = (size_t)mcq_min_u64(len, r->body_left);
    bool ok = mcq_reader_take(in, len, &piece) && mcq_writer_put(w, piece);
    MCQ_ASSERT(ok);
    r->body_left -= len;
}

/* Takes bytes of a header. true: it is whole. */
static bool take_head(struct mcq_reframe *r, struct mcq_reader *in)
{
    uint8_t flags, byte;
    uint64_t body_len;
    while (mcq_frame_head_get(mcq_slice_of(r->head, r->head_len), &flags, &body_len) == 0) {
        if (!mcq_reader_u8(in, &byte))
            return false;
        r->head[r->head_len++] = byte;
    }
    return true;
}

void mcq_reframe_run(struct mcq_reframe *r, struct mcq_reader *in, struct mcq_writer *w)
{
    for (;;) {
        pass_body(r, in, w);
        if (r->body_left != 0 || mcq_writer_room(w) < MCQ_FRAME_V1_HEAD_MAX || !take_head(r, in))
            return;
        uint8_t flags = 0;
        size_t len = mcq_frame_head_get(mcq_slice_of(r->head, r->head_len), &flags, &r->body_left);
        MCQ_ASSERT(len == mcq_frame_head_len(r->body_left) && (flags & MCQ_FRAME_COMMAND) == 0);
        r->head_len = 0;
        bool ok = mcq_frame_v1_head_write(w, (flags & MCQ_FRAME_MORE) != 0, r->body_left);
        MCQ_ASSERT(ok);
    }
}

size_t mcq_reframe_stored_len(const struct mcq_reframe *start, struct mcq_slice sent)
{
    struct mcq_reader in = mcq_reader_of(sent);
    struct mcq_slice skipped;
    uint64_t body_left = start->body_left;
    size_t kept = start->head_len; /* taken by an earlier run */
    size_t stored = 0;
    for (;;) {
        size_t len = (size_t)mcq_min_u64(body_left, mcq_reader_left(&in));
        bool ok = mcq_reader_take(&in, len, &skipped);
        stored += len;
        if (mcq_reader_left(&in) == 0)
            return stored;
        struct mcq_frame_head head;
        enum mcq_fault fault = mcq_frame_v1_head_read(mcq_reader_rest(&in), &head);
        MCQ_ASSERT(ok && fault == MCQ_FAULT_NONE);
        if (head.need > 0) /* of a header that is out in part the last byte never counts */
            return stored + (kept == 0 ? 1 : 0);
        ok = mcq_reader_take(&in, head.len, &skipped);
        MCQ_ASSERT(ok);
        stored += mcq_frame_head_len((size_t)head.body_len) - kept;
        kept = 0;
        body_left = head.body_len;
    }
}
