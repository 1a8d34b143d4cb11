/* One hop: what a link has queued, decoded where it lies and offered to its partner. */
#include "shards/shard.h"

struct hop {
    struct mcq_link *from, *to;
};

static bool ends(const struct mcq_session *s)
{
    return s->ended || s->end_due != MCQ_REASON_NONE;
}

static bool over(const struct hop *h)
{
    return ends(&h->from->session) || ends(&h->to->session);
}

static bool refuses(const struct mcq_link *to)
{
    return to->session.paused || to->session.refused;
}

/* --- messages ------------------------------------------------------------------------------ */

static size_t receive(struct mcq_cargo_job *job, struct mcq_msg *msgs, size_t n)
{
    struct hop *h = job->ctx;
    struct mcq_psock *ps = &h->to->sock->psock;
    struct mcq_session *s = &h->to->session;
    size_t consumed = ps->pattern->receive(ps, &h->to->pipe, msgs, n);
    s->msgs_in += consumed;
    s->refused = consumed < n && !s->paused && !ends(s);
    job->stop = over(h) || refuses(h->to);
    return consumed;
}

static void count(const struct hop *h, const struct mcq_cargo_job *job)
{
    struct mcq_proto_stats *stats = &h->from->shard->stats.proto;
    h->from->inproc.bytes_out += job->bytes;
    h->to->inproc.bytes_in += job->bytes;
    stats->bytes_out += job->bytes;
    stats->bytes_in += job->bytes;
    stats->msgs_in += job->msgs;
}

static void end_if_due(struct mcq_link *link)
{
    if (link->session.end_due != MCQ_REASON_NONE)
        mcq_session_end(link, link->session.end_due, 0);
}

/* Messages are taken whole, so there is nothing to be sent again: settle counts those in front of
 * the rest of their segment. */
static void settle(struct hop *h, const struct mcq_cargo_job *job, bool starved)
{
    struct mcq_pipe *p = &h->from->pipe;
    bool room = mcq_pipe_sent(p, (size_t)job->bytes);
    (void)mcq_session_settle(h->from);
    count(h, job);
    if (room)
        mcq_link_room(h->from);
    end_if_due(h->from);
    end_if_due(h->to);
    if (over(h))
        return;
    if (mcq_pipe_empty(p))
        mcq_link_drained(h->from);
    else if (!refuses(h->to) && !starved)
        mcq_inproc_due(h->from);
}

static void carry(struct mcq_link *from, struct mcq_link *to)
{
    struct hop h = {.from = from, .to = to};
    struct mcq_cargo_job job = {
        .shard = to->shard,
        .owner = to->shard->id,
        .limits = mcq_cargo_limits_of(&to->sock->opts),
        .receive = receive,
        .ctx = &h,
    };
    struct mcq_pipe_run run;
    mcq_pipe_lend(&from->pipe, MCQ_INPROC_SEGS, &run);
    struct mcq_cargo cargo = {.seg = run.seg, .off = run.off, .cnt = run.cnt};
    enum mcq_cargo_outcome out = mcq_cargo_offer(&cargo, &job, MCQ_INPROC_BATCHES);
    if (out == MCQ_CARGO_STARVED)
        mcq_link_hungry(from);
    if (out == MCQ_CARGO_OVERSIZED) {
        from->inproc.lost = 1;
        mcq_session_end(to, MCQ_REASON_LIMIT, 0);
    }
    settle(&h, &job, out == MCQ_CARGO_STARVED);
}

/* --- subscriptions ------------------------------------------------------------------------- */

static void subscription(struct mcq_link *to, bool add, struct mcq_slice topic)
{
    struct mcq_psock *ps = &to->sock->psock;
    if (ps->pattern->subscribed == NULL)
        return;
    enum mcq_reason reason = ps->pattern->subscribed(ps, &to->pipe, add, topic);
    if (reason != MCQ_REASON_NONE)
        mcq_session_end(to, reason, 0);
}

/* The topic is copied: the handler that hears of it may subscribe itself. */
static void tell_subscriptions(struct mcq_link *from, struct mcq_link *to)
{
    struct mcq_psock *ps = &from->sock->psock;
    uint8_t *scratch = from->shard->inproc.topic;
    struct mcq_control c;
    if (ps->pattern->control == NULL)
        return;
    for (uint32_t i = 0; i < MCQ_INPROC_SUBS; i++) {
        if (from->session.ended || to->session.ended || !ps->pattern->control(ps, &from->pipe, &c))
            return;
        mcq_bytes_copy(scratch, c.topic.ptr, c.topic.len);
        from->pipe.control_seq = c.seq;
        subscription(to, c.add, mcq_slice_of(scratch, c.topic.len));
    }
    mcq_inproc_due(from);
}

void mcq_inproc_hop(struct mcq_link *from)
{
    struct mcq_link *to = from->inproc.partner;
    if (!from->attached || !to->attached)
        return;
    tell_subscriptions(from, to);
    bool over = ends(&from->session) || ends(&to->session);
    if (!over && !refuses(to) && !mcq_pipe_empty(&from->pipe))
        carry(from, to);
}
