/* REQ (RFC 28): a request, then its reply, strictly in turns; each request goes to the next peer
 * with room. Only the reply of the peer that was asked counts, everything else is dropped.
 *
 *              send                        reply of the asked peer
 *      FREE ----------> AWAITING (asked) ----------------------------> FREE
 *                            |  timeout, or the request is lost          ^
 *                            +-------------------------------------------+
 *
 * Relaxed: a send while AWAITING gives up the request before it, and asks anew.
 *
 * Lost: the asked peer's connection ended after the request had left, or its pipe was removed. That
 * is told as one message dropped for NO_PEER; sending again is the user's decision, since the peer
 * may have acted on it. A request that is still whole in the queue of a connect-side pipe is not
 * lost, and waits for the next connection.
 *
 * A reply may come after its request was given up on (timeout, relaxed), and is never taken for the
 * answer to another question:
 *   - correlated, a frame with the request's number goes before the delimiter, and whoever answers
 *     puts it back (REP as part of the envelope): only the reply with the number asked last counts;
 *   - else by its place: replies come over the same connection in the order of the requests, since
 *     a REP answers in order. So a pipe counts replies given up on (late_cnt) and drops as many. A
 *     second timeout, when no reply has come in between, or when one was dropped as late since the
 *     request left, makes the count doubtful (somebody on the way may have dropped a request): the
 *     connection is closed, and the count begins anew with what is still queued.
 *
 *      [number] [empty] [body ...]       number: 4 bytes, correlated alone
 *
 * A peer's probe (an empty message) is dropped like a reply nobody waits for; what has no delimiter
 * otherwise ends its connection.
 */
#include "patterns/psock.h"
#include "patterns/tables.h"

#define NUMBER_LEN 4u

/* What a message of a peer is. */
enum reply { REPLY_DUE, REPLY_STRAY, REPLY_MALFORMED };

static void req_open(struct mcq_psock *s)
{
    s->req.asked = NULL;
    s->req.doubtful = false;
    s->req.number = (uint32_t)s->random(s->random_ctx);
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
    uint64_t queued = mcq_pipe_queued_msgs(p) - (p->probe != NULL ? 1 : 0);
    if (s->req.asked == p && queued == 0)
        request_lost(s);
    p->late_cnt = queued - (s->req.asked == p ? 1 : 0);
    return mcq_balance_attach(s, p);
}

/* A probe is sent before every request, so what is queued holds ours. */
static void req_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!p->up)
        return;
    mcq_balance_detach(s, p);
    if (s->req.asked == p && (!mcq_psock_keeps(s, p) || mcq_pipe_empty(p)))
        request_lost(s);
}

static void req_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_balance_remove(s, p);
    if (s->req.asked == p)
        request_lost(s);
}

/* What goes before a request with that number. */
static struct mcq_slice envelope(const struct mcq_psock *s, uint32_t number, uint8_t *at,
                                 size_t cap)
{
    struct mcq_writer w = mcq_writer_of(at, cap);
    if (s->opts->req_correlate) {
        (void)mcq_writer_u8(&w, MCQ_FRAME_MORE);
        (void)mcq_writer_u8(&w, NUMBER_LEN);
        (void)mcq_writer_be32(&w, number);
    }
    (void)mcq_writer_u8(&w, MCQ_FRAME_MORE);
    (void)mcq_writer_u8(&w, 0);
    return mcq_slice_of(at, w.len);
}

static enum mcq_error req_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    uint8_t prefix[NUMBER_LEN + 4];
    if (to != NULL)
        return MCQ_ENOTSUP;
    if (s->req.asked != NULL && !s->opts->req_relaxed)
        return MCQ_ESTATE;
    struct mcq_slice env = envelope(s, s->req.number + 1, prefix, sizeof(prefix));
    enum mcq_error err = mcq_balance_put(s, env, m, &to);
    if (err != MCQ_OK)
        return err;
    mcq_balance_advance(&s->balance, to);
    s->req.asked = to;
    s->req.number++;
    s->req.doubtful = false;
    s->up->await(s->up_ctx, true);
    return MCQ_OK;
}

/* Takes the envelope off, skip frames and the delimiter; false if there is no delimiter, or nothing
 * behind it. */
static bool strip(struct mcq_msg *m, uint32_t skip)
{
    if (m->frame_cnt < skip + 2 || mcq_msg_frame(m, skip).len != 0)
        return false;
    const struct mcq_frame *body = m->frames + skip + 1;
    uint32_t cnt = m->frame_cnt - skip - 1;
    *m = (struct mcq_msg){body->data, body->len, cnt > 1 ? body : NULL, cnt, m->owner};
    return true;
}

static enum reply no_delimiter(const struct mcq_msg *m)
{
    bool probe = m->frame_cnt == 1 && m->len == 0;
    return probe ? REPLY_STRAY : REPLY_MALFORMED;
}

static enum reply look_at_number(const struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *m)
{
    uint32_t number = 0;
    struct mcq_reader r = mcq_reader_of(mcq_slice_of(m->data, m->len));
    if (m->len != NUMBER_LEN)
        return strip(m, 0) ? REPLY_STRAY : no_delimiter(m);
    if (!strip(m, 1) || !mcq_reader_be32(&r, &number))
        return REPLY_MALFORMED;
    return s->req.asked == p && number == s->req.number ? REPLY_DUE : REPLY_STRAY;
}

static enum reply look_at(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *m)
{
    if (s->opts->req_correlate)
        return look_at_number(s, p, m);
    if (!strip(m, 0))
        return no_delimiter(m);
    if (p->late_cnt != 0) {
        p->late_cnt--;
        s->req.doubtful |= s->req.asked == p;
        return REPLY_STRAY;
    }
    return s->req.asked == p ? REPLY_DUE : REPLY_STRAY;
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
        switch (look_at(s, p, &msgs[i])) {
        case REPLY_DUE:
            if (!deliver_reply(s, p, &msgs[i]))
                return i;
            break;
        case REPLY_STRAY:
            mcq_psock_drop(s, p, MCQ_REASON_PATTERN, 1);
            break;
        case REPLY_MALFORMED:
            mcq_psock_drop(s, p, MCQ_REASON_PATTERN, n - i);
            mcq_balance_end(s, p, MCQ_REASON_PROTOCOL);
            return n;
        }
    }
    return n;
}

static void req_timeout(struct mcq_psock *s)
{
    struct mcq_pipe *p = s->req.asked;
    if (p == NULL)
        return;
    s->req.asked = NULL;
    if (!s->opts->req_correlate && (p->late_cnt++ != 0 || s->req.doubtful))
        mcq_balance_end(s, p, MCQ_REASON_TIMEOUT);
}

static bool req_tied(const struct mcq_psock *s, const struct mcq_pipe *p)
{
    return s->req.asked == p;
}

const struct mcq_pattern mcq_pattern_req = {
    .type = MCQ_REQ,
    .peer_mask = MCQ_PEER(MCQ_REP) | MCQ_PEER(MCQ_ROUTER),
    .open = req_open,
    .add = mcq_balance_add,
    .attach = req_attach,
    .detach = req_detach,
    .remove = req_remove,
    .retire = mcq_balance_retire,
    .stay = mcq_balance_stay,
    .receive = req_receive,
    .send = req_send,
    .writable = mcq_balance_writable,
    .timeout = req_timeout,
    .tied = req_tied,
};
