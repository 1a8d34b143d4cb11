/* REP (RFC 28): takes one request at a time, from each peer in turn, and sends the reply back to
 * where it came from, over the same connection or not at all.
 *
 *      request = [address frames] [empty] [body ...]      envelope kept: up to and with the empty
 *      reply   = the same envelope        [body ...]
 *
 * While a request is unanswered other input is refused and waits in line. A request without
 * delimiter, without a body, or with more than MCQ_ENVELOPE_LEN_MAX bytes of envelope is dropped.
 * A reply never waits: without a requester it is dropped, counted and told, and without room it is
 * as `slow` says, which is never block.
 */
#include "patterns/psock.h"
#include "patterns/tables.h"

static void rep_open(struct mcq_psock *s)
{
    s->rep.busy = false;
    s->rep.origin = NULL;
    s->rep.envelope_len = 0;
    mcq_fairq_init(&s->rep.waiting);
}

/* Free again: the first of those who wait is called. One that its own user has paused comes by
 * itself, so it can't hold up the others. */
static void call_next(struct mcq_psock *s)
{
    struct mcq_fairq *q = &s->rep.waiting;
    while (!s->rep.busy && q->turn == NULL) {
        struct mcq_pipe *p = mcq_fairq_next(q);
        if (p == NULL || s->up->resume(s->up_ctx, p))
            return;
        mcq_fairq_forget(q, p);
    }
}

static void leave(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_fairq_forget(&s->rep.waiting, p);
    call_next(s);
}

static void rep_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!p->up)
        return;
    mcq_psock_detach(s, p);
    leave(s, p);
}

static void rep_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_remove(s, p);
    if (s->rep.origin == p)
        s->rep.origin = NULL;
    leave(s, p);
}

/* Splits *m into the envelope, which is kept, and the body, which stays in *m. */
static bool open_envelope(struct mcq_rep *r, struct mcq_msg *m)
{
    size_t len = 0;
    for (uint32_t i = 0; i + 1 < m->frame_cnt; i++) {
        struct mcq_frame f = m->frames[i];
        size_t head = mcq_frame_head_len(f.len);
        if (f.len > MCQ_ENVELOPE_LEN_MAX - head || head + f.len > MCQ_ENVELOPE_LEN_MAX - len)
            return false;
        uint8_t *at = mcq_frame_head_put(r->envelope + len, MCQ_FRAME_MORE, f.len);
        mcq_bytes_copy(at, f.data, f.len);
        len += head + f.len;
        if (f.len != 0)
            continue;
        uint32_t left = m->frame_cnt - i - 1;
        const struct mcq_frame *body = m->frames + i + 1;
        *m = (struct mcq_msg){body->data, body->len, left > 1 ? body : NULL, left, m->owner};
        r->envelope_len = len;
        return true;
    }
    return false;
}

/* False: the user refused the request, which will come again. A request that was answered counts
 * as taken whatever the handler returns. */
static bool deliver_request(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *m)
{
    s->rep.busy = true;
    s->rep.origin = p;
    s->rep.asker = p->peer;
    if (s->up->deliver(s->up_ctx, p, m, 1) != 0 || !s->rep.busy)
        return true;
    s->rep.busy = false;
    return false;
}

static size_t rep_receive(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s->rep.busy || !mcq_fairq_take(&s->rep.waiting, p)) {
            mcq_fairq_wait(&s->rep.waiting, p);
            return i;
        }
        if (!open_envelope(&s->rep, &msgs[i])) {
            mcq_psock_drop(s, p, MCQ_REASON_PATTERN, 1);
        } else if (!deliver_request(s, p, &msgs[i])) {
            call_next(s);
            return i;
        }
    }
    call_next(s);
    return n;
}

static enum mcq_error rep_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    struct mcq_rep *r = &s->rep;
    if (to != NULL)
        return MCQ_ENOTSUP;
    if (!r->busy)
        return MCQ_ESTATE;
    struct mcq_pipe *p = r->origin;
    bool gone = p == NULL || !p->up || !mcq_peer_equal(p->peer, r->asker);
    enum mcq_error err = MCQ_OK;
    if (gone)
        mcq_psock_drop(s, NULL, MCQ_REASON_NO_PEER, 1);
    else
        err = mcq_psock_put(s, p, s->opts->slow, mcq_slice_of(r->envelope, r->envelope_len), m, 0);
    if (err != MCQ_OK)
        return err;
    r->busy = false;
    call_next(s);
    return MCQ_OK;
}

static bool rep_tied(const struct mcq_psock *s, const struct mcq_pipe *p)
{
    return s->rep.busy && s->rep.origin == p;
}

const struct mcq_pattern mcq_pattern_rep = {
    .type = MCQ_REP,
    .peer_mask = MCQ_PEER(MCQ_REQ) | MCQ_PEER(MCQ_DEALER),
    .forgets = true,
    .open = rep_open,
    .add = mcq_psock_add,
    .attach = mcq_psock_attach,
    .detach = rep_detach,
    .remove = rep_remove,
    .receive = rep_receive,
    .send = rep_send,
    .writable = mcq_psock_writable,
    .tied = rep_tied,
};
