/* One hop: what a link has queued, decoded where it lies and offered to its partner. */
#include "shards/shard.h"

/* Where a frame begins in what was gathered. */
struct place {
    uint32_t idx; /* of the segment */
    const struct mcq_seg *seg;
    size_t off;
};

struct hop {
    struct mcq_link *from, *to;
    const struct mcq_slice *out; /* what was gathered, segment by segment */
    uint32_t cnt;
    struct place at; /* the next message */
    uint64_t done;   /* bytes taken from the queue */
    uint64_t msgs;   /* consumed by the partner */
    bool starved;    /* no block to join a body in: later */
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

static void step(const struct hop *h, struct place *at)
{
    at->idx++;
    at->off = 0;
    at->seg = at->idx < h->cnt ? at->seg->next : NULL;
}

/* --- messages ------------------------------------------------------------------------------ */

struct part {
    struct mcq_frame frame;
    uint32_t owner; /* its block */
    bool more;
    bool cut; /* its body goes on in further segments */
};

/* What is there of a body of len bytes at *at, joined in `joined` unless that is NULL. */
static bool join_body(const struct hop *h, struct place *at, uint64_t len,
                      struct mcq_writer *joined)
{
    while (len != 0) {
        if (at->off == h->out[at->idx].len)
            step(h, at);
        if (at->idx == h->cnt)
            return false;
        const struct mcq_slice *in = &h->out[at->idx];
        size_t n = (size_t)mcq_min_u64(len, in->len - at->off);
        if (joined != NULL && !mcq_writer_put(joined, mcq_slice_of(in->ptr + at->off, n)))
            return false;
        at->off += n;
        len -= n;
    }
    return true;
}

/* The frame at *at, which moves behind it. false: it isn't all there. */
static bool next_part(const struct hop *h, struct place *at, struct mcq_writer *joined,
                      struct part *part)
{
    uint8_t flags;
    uint64_t len;
    if (at->idx < h->cnt && at->off == h->out[at->idx].len)
        step(h, at);
    if (at->idx == h->cnt)
        return false;
    const struct mcq_slice *in = &h->out[at->idx];
    size_t head =
        mcq_frame_head_get(mcq_slice_of(in->ptr + at->off, in->len - at->off), &flags, &len);
    MCQ_ASSERT(head != 0); /* the pipe cuts no header */
    at->off += head;
    if (at->off == in->len && len != 0) {
        step(h, at);
        if (at->idx == h->cnt)
            return false;
        in = &h->out[at->idx];
    }
    *part = (struct part){.frame = {in->ptr + at->off, (size_t)len},
                          .owner = mcq_owner_borrowed(at->seg->buf),
                          .more = (flags & MCQ_FRAME_MORE) != 0,
                          .cut = len > in->len - at->off};
    if (part->cut && joined != NULL)
        part->frame.data = joined->ptr + joined->len;
    if (part->cut)
        return join_body(h, at, len, joined);
    at->off += (size_t)len;
    return true;
}

struct found {
    struct place end;
    uint64_t bytes; /* as stored */
    uint64_t cut;   /* bytes of bodies that are cut */
    uint32_t frame_cnt;
    uint64_t len_max; /* of the longest frame */
    uint32_t owner;   /* its block: what is worth sharing */
};

/* The whole message at h->at, its frames in frames[0, MCQ_FRAME_CNT_MAX); bodies that are cut in
 * `joined`, or only counted. false: it goes on behind what was gathered. */
static bool find_message(const struct hop *h, struct mcq_frame *frames, struct mcq_buf *joined,
                         struct found *found)
{
    struct mcq_writer w = mcq_writer_of(joined == NULL ? NULL : joined->base, found->cut);
    struct part part = {.more = true};
    *found = (struct found){.end = h->at};
    while (part.more) {
        if (!next_part(h, &found->end, joined == NULL ? NULL : &w, &part))
            return false;
        if (found->frame_cnt < MCQ_FRAME_CNT_MAX)
            frames[found->frame_cnt] = part.frame;
        if (found->owner == 0 || part.frame.len > found->len_max) {
            found->len_max = part.frame.len;
            found->owner = part.cut && joined != NULL ? mcq_owner_borrowed(joined) : part.owner;
        }
        found->bytes += mcq_frame_head_len(part.frame.len) + part.frame.len;
        found->cut += part.cut ? part.frame.len : 0;
        found->frame_cnt++;
    }
    return true;
}

static bool within_limits(const struct mcq_link *to, const struct found *found)
{
    const struct mcq_sock_opts *o = &to->sock->opts;
    return found->frame_cnt <= o->msg_frames_max && found->len_max <= o->frame_max_bytes &&
           found->bytes <= o->msg_max_bytes;
}

/* Whole messages of one frame from h->at on, inside their segment. Returns how many; *end: where
 * they end. */
static size_t find_batch(const struct hop *h, struct mcq_msg *views, size_t *end)
{
    const struct mcq_sock_opts *o = &h->to->sock->opts;
    *end = h->at.off;
    if (o->msg_max_bytes < MCQ_FRAME_HEAD_MAX)
        return 0;
    const uint64_t max = mcq_min_u64(o->frame_max_bytes, o->msg_max_bytes - MCQ_FRAME_HEAD_MAX);
    const struct mcq_slice in = h->out[h->at.idx];
    const uint32_t owner = mcq_owner_borrowed(h->at.seg->buf);
    size_t off = h->at.off;
    size_t n = 0;
    while (n < MCQ_SESSION_BATCH_MAX) {
        uint8_t flags;
        uint64_t len;
        size_t head = mcq_frame_head_get(mcq_slice_of(in.ptr + off, in.len - off), &flags, &len);
        if (head == 0 || (flags & MCQ_FRAME_MORE) != 0 || len > in.len - off - head || len > max)
            break;
        views[n++] = (struct mcq_msg){in.ptr + off + head, (size_t)len, NULL, 1, owner};
        off += head + (size_t)len;
    }
    *end = off;
    return n;
}

/* Where the first `cnt` of the messages found by find_batch end: the views may have been scribbled
 * on. */
static size_t end_of(const struct hop *h, size_t cnt)
{
    const struct mcq_slice in = h->out[h->at.idx];
    size_t off = h->at.off;
    for (size_t i = 0; i < cnt; i++) {
        uint8_t flags = 0;
        uint64_t len = 0;
        size_t head = mcq_frame_head_get(mcq_slice_of(in.ptr + off, in.len - off), &flags, &len);
        off += head + (size_t)len;
    }
    return off;
}

/* --- offering ------------------------------------------------------------------------------ */

/* Returns how many were consumed. */
static size_t offer(struct hop *h, struct mcq_msg *msgs, size_t n)
{
    struct mcq_psock *ps = &h->to->sock->psock;
    struct mcq_session *s = &h->to->session;
    size_t consumed = ps->pattern->receive(ps, &h->to->pipe, msgs, n);
    MCQ_DASSERT(consumed <= n);
    s->msgs_in += consumed;
    h->msgs += consumed;
    s->refused = consumed < n && !s->paused && !ends(s);
    return consumed;
}

static bool offer_batch(struct hop *h)
{
    struct mcq_shard *sh = h->to->shard;
    size_t end;
    size_t n = find_batch(h, sh->views, &end);
    if (n == 0)
        return false;
    size_t consumed = offer(h, sh->views, n);
    if (consumed < n)
        end = end_of(h, consumed);
    h->done += end - h->at.off;
    h->at.off = end;
    sh->stats.proto.frames_in += consumed;
    return true;
}

static void move_on(struct hop *h, const struct found *found)
{
    h->at = found->end;
    h->done += found->bytes;
}

/* Left in the queue it would end the next pair as well. */
static void lose_message(struct hop *h, const struct found *found)
{
    move_on(h, found);
    h->from->inproc.lost = 1;
    mcq_session_end(h->to, MCQ_REASON_LIMIT, 0);
}

static void offer_found(struct hop *h, const struct found *found)
{
    struct mcq_shard *sh = h->to->shard;
    struct mcq_msg m = mcq_msg_of_frames(sh->frames, found->frame_cnt);
    m.owner = found->owner;
    if (offer(h, &m, 1) == 0)
        return;
    sh->stats.proto.frames_in += found->frame_cnt;
    move_on(h, found);
}

/* Bodies that are cut get a block to be whole in; it is kept as any other, if the user wants it. */
static void offer_joined(struct hop *h, struct found *found)
{
    struct mcq_shard *sh = h->to->shard;
    struct mcq_buf *b = mcq_buf_take(sh->heap, (size_t)found->cut);
    if (b == NULL) {
        h->starved = true;
        sh->stats.proto.large_waits++;
        mcq_link_hungry(h->from);
        return;
    }
    bool whole = find_message(h, sh->frames, b, found);
    MCQ_ASSERT(whole);
    b->written = (size_t)found->cut;
    sh->stats.proto.assembled++;
    offer_found(h, found);
    mcq_buf_unref(sh->heap, b);
}

/* false: there is none that is whole. */
static bool offer_message(struct hop *h)
{
    struct mcq_shard *sh = h->to->shard;
    struct found found = {.cut = 0};
    if (!find_message(h, sh->frames, NULL, &found))
        return false;
    if (!within_limits(h->to, &found) || found.cut > mcq_buf_heap_len_max(sh->heap))
        lose_message(h, &found);
    else if (found.cut != 0)
        offer_joined(h, &found);
    else
        offer_found(h, &found);
    return true;
}

/* Offers what was gathered. false: not even the first message is all there. */
static bool offer_all(struct hop *h)
{
    for (uint32_t i = 0; i < MCQ_INPROC_BATCHES && !over(h) && !refuses(h->to) && !h->starved;
         i++) {
        if (h->at.idx < h->cnt && h->at.off == h->out[h->at.idx].len)
            step(h, &h->at);
        if (h->at.idx == h->cnt)
            return true;
        if (!offer_batch(h) && !offer_message(h))
            return h->done != 0;
    }
    return true;
}

static bool gather_and_offer(struct hop *h, uint32_t segs_max)
{
    struct mcq_pipe *p = &h->from->pipe;
    struct mcq_inproc *in = &h->from->shard->inproc;
    mcq_pipe_gather(p, in->out, segs_max, SIZE_MAX, &h->cnt);
    h->out = in->out;
    h->at = (struct place){0, p->flight, 0};
    return offer_all(h);
}

static void count(const struct hop *h)
{
    struct mcq_proto_stats *stats = &h->from->shard->stats.proto;
    h->from->inproc.bytes_out += h->done;
    h->to->inproc.bytes_in += h->done;
    stats->bytes_out += h->done;
    stats->bytes_in += h->done;
    stats->msgs_in += h->msgs;
}

static void end_if_due(struct mcq_link *link)
{
    if (link->session.end_due != MCQ_REASON_NONE)
        mcq_session_end(link, link->session.end_due, 0);
}

/* Messages are taken whole, so there is nothing to be sent again: settle counts those in front of
 * the rest of their segment. */
static void settle(struct hop *h, bool room)
{
    struct mcq_pipe *p = &h->from->pipe;
    struct mcq_psock *ps = &h->from->sock->psock;
    room |= mcq_pipe_sent(p, (size_t)h->done);
    (void)mcq_session_settle(h->from);
    count(h);
    if (room)
        ps->pattern->writable(ps, p);
    end_if_due(h->from);
    end_if_due(h->to);
    if (over(h))
        return;
    if (mcq_pipe_empty(p))
        mcq_link_drained(h->from);
    else if (!refuses(h->to) && !h->starved)
        mcq_inproc_due(h->from);
}

static void carry(struct mcq_link *from, struct mcq_link *to)
{
    struct hop h = {.from = from, .to = to};
    bool room = false;
    if (!gather_and_offer(&h, MCQ_INPROC_SEGS)) {
        room = mcq_pipe_sent(&from->pipe, 0);
        bool whole = gather_and_offer(&h, MCQ_INPROC_SEGS_MAX);
        MCQ_ASSERT(whole);
    }
    settle(&h, room);
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
