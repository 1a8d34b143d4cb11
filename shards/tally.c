#include "shards/tally.h"

#include "mem/frame_format.h"

/* Messages that end in the whole frames at the front of s; *len: bytes of those. */
static uint64_t scan(struct mcq_slice s, size_t *len)
{
    uint64_t msgs = 0;
    *len = 0;
    for (;;) {
        struct mcq_slice rest = mcq_slice_of(s.ptr + *len, s.len - *len);
        uint8_t flags = 0;
        uint64_t body = 0;
        size_t head = mcq_frame_head_get(rest, &flags, &body);
        if (head == 0 || body > rest.len - head)
            return msgs;
        *len += head + (size_t)body;
        msgs += (flags & (MCQ_FRAME_MORE | MCQ_FRAME_COMMAND)) == 0;
    }
}

uint64_t mcq_tally_count(struct mcq_tally *t, struct mcq_slice win)
{
    size_t len;
    t->msgs += scan(mcq_slice_of(win.ptr + t->len, win.len - t->len), &len);
    t->len += len;
    return t->msgs;
}

void mcq_tally_consume(struct mcq_tally *t, struct mcq_slice win, size_t len)
{
    size_t whole;
    if (len >= t->len) {
        *t = (struct mcq_tally){0};
        return;
    }
    t->msgs -= scan(mcq_slice_of(win.ptr, len), &whole);
    t->len -= len;
    MCQ_DASSERT(whole == len);
}
