/* REQ (RFC 28): a request, then its reply, strictly in turns; each request goes to the next peer
 * with room. Only the reply of the peer that was asked counts, everything else is dropped.
 *
 *              send                        reply of the asked peer
 *      FREE ----------> AWAITING (asked) ----------------------------> FREE
 *                            |  timeout, or the request is lost          ^
 *                            +-------------------------------------------+
 *
 * Lost: the asked peer's connection ended after the request had left, or its pipe was removed. That
 * is told as one message dropped for NO_PEER; sending again is the user's decision, since the peer
 * may have acted on it. A request that is still whole in the queue of a connect-side pipe is not
 * lost, and waits for the next connection.
 *
 * After a timeout the reply may still come, over the same connection and before that of the next
 * request, since a REP answers in order. So a pipe counts replies given up on (late_cnt) and drops
 * as many: a late one is never taken for the answer to another question. A second timeout without
 * a reply in between makes the count doubtful (the peer may have dropped a request): the connection
 * is closed, and the count begins anew with what is still queued.
 */
#include "patterns/psock.h"
#include "patterns/tables.h"

static const uint8_t delimiter[] = {MCQ_FRAME_MORE, 0}; /* an empty frame in stored form */

static void req_open(struct mcq_psock *s)
{
    s->req.asked = NULL;
}

/* Told as nobody's drop: the pipe may be gone before the event is due, and without the event the
 * user would not know that it may ask again. */
static void request_lost(struct mcq_psock *s)
{
    s->req.asked = NULL;
    s->up->await(s->up_ctx, false);
    mcq_psock_drop(s, NULL, MCQ_REASON_NO_PEER, 1);
}

/* Only what is queued now can be answered on the new connection; ours is the last of it. */
static enum mcq_reason req_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    uint64_t queued = mcq_pipe_queued_msgs(p);
    if (s->req.asked == p && queued == 0)
        request_lost(s);
    p->late_cnt = queued - (s->req.asked == p ? 1 : 0);
    return mcq_balance_attach(s, p);
}

static void req_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!p->up)
        return;
    mcq_balance_detach(s, p);
    if (s->req.asked == p && (!p->connecting || mcq_pipe_empty(p)))
        request_lost(s);
}

static void req_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_balance_remove(s, p);
    if (s->req.asked == p)
        request_lost(s);
}

static enum mcq_error req_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    if (to != NULL)
        return MCQ_ENOTSUP;
    if (s->req.asked != NULL)
        return MCQ_ESTATE;
    struct mcq_slice prefix = mcq_slice_of(delimiter, sizeof(delimiter));
    enum mcq_error err = mcq_balance_put(s, prefix, m, &to);
    if (err != MCQ_OK)
        return err;
    mcq_balance_advance(&s->balance, to);
    s->req.asked = to;
    s->up->await(s->up_ctx, true);
    return MCQ_OK;
}

/* Takes the delimiter off; false if there is none or nothing behind it. */
static bool strip(struct mcq_msg *m)
{
    if (m->frame_cnt < 2 || m->len != 0)
        return false;
    *m = (struct mcq_msg){m->frames[1].data, m->frames[1].len,
                          m->frame_cnt > 2 ? m->frames + 1 : NULL, m->frame_cnt - 1, m->owner};
    return true;
}

static bool expected(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (p->late_cnt != 0) {
        p->late_cnt--;
        return false;
    }
    return s->req.asked == p;
}

/* The handler may ask again, so the socket is free before it runs. If it refuses the reply and
 * hasn't asked, the reply is still due; the timeout isn't, for the peer did answer. */
static bool deliver_reply(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *m)
{
    s->req.asked = NULL;
    s->up->await(s->up_ctx, false);
    if (s->up->deliver(s->up_ctx, p, m, 1) != 0 || s->req.asked != NULL)
        return true;
    s->req.asked = p;
    return false;
}

static size_t req_receive(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!strip(&msgs[i])) {
            mcq_psock_drop(s, p, MCQ_REASON_PATTERN, n - i);
            s->up->close_pipe(s->up_ctx, p, MCQ_REASON_PROTOCOL);
            return n;
        }
        if (!expected(s, p))
            mcq_psock_drop(s, p, MCQ_REASON_PATTERN, 1);
        else if (!deliver_reply(s, p, &msgs[i]))
            return i;
    }
    return n;
}

static void req_timeout(struct mcq_psock *s)
{
    struct mcq_pipe *p = s->req.asked;
    if (p == NULL)
        return;
    s->req.asked = NULL;
    if (p->late_cnt++ != 0 && p->up)
        s->up->close_pipe(s->up_ctx, p, MCQ_REASON_TIMEOUT);
}

const struct mcq_pattern mcq_pattern_req = {
    .type = MCQ_REQ,
    .peer_mask = MCQ_PEER(MCQ_REP) | MCQ_PEER(MCQ_ROUTER),
    .open = req_open,
    .add = mcq_balance_add,
    .attach = req_attach,
    .detach = req_detach,
    .remove = req_remove,
    .receive = req_receive,
    .send = req_send,
    .writable = mcq_balance_writable,
    .timeout = req_timeout,
};
