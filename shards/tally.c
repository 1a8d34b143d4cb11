#include "shards/tally.h"

#include "proto/frame_v1.h"

/* The header at the front of s; its length, 0: not whole, or none. */
static size_t head_of(struct mcq_slice s, bool v1, uint8_t *flags, uint64_t *body_len)
{
    struct mcq_frame_head head;
    if (!v1)
        return mcq_frame_head_get(s, flags, body_len);
    if (mcq_frame_v1_head_read(s, &head) != MCQ_FAULT_NONE || head.need != 0)
        return 0;
    *flags = head.flags;
    *body_len = head.body_len;
    return head.len;
}

/* Messages that end in the whole frames at the front of s; *len: bytes of those. */
static uint64_t scan(struct mcq_slice s, bool v1, size_t *len)
{
    uint64_t msgs = 0;
    *len = 0;
    for (;;) {
        struct mcq_slice rest = mcq_slice_of(s.ptr + *len, s.len - *len);
        uint8_t flags = 0;
        uint64_t body = 0;
        size_t head = head_of(rest, v1, &flags, &body);
        if (head == 0 || body > rest.len - head)
            return msgs;
        *len += head + (size_t)body;
        msgs += (flags & (MCQ_FRAME_MORE | MCQ_FRAME_COMMAND)) == 0;
    }
}

uint64_t mcq_tally_count(struct mcq_tally *t, struct mcq_slice win, bool v1)
{
    size_t len;
    t->msgs += scan(mcq_slice_of(win.ptr + t->len, win.len - t->len), v1, &len);
    t->len += len;
    return t->msgs;
}

void mcq_tally_consume(struct mcq_tally *t, struct mcq_slice win, size_t len, bool v1)
{
    size_t whole;
    if (len >= t->len) {
        *t = (struct mcq_tally){0};
        return;
    }
    t->msgs -= scan(mcq_slice_of(win.ptr, len), v1, &whole);
    t->len -= len;
    MCQ_DASSERT(whole == len);
}
