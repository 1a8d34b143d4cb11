#include "shards/cargo.h"

#include "shards/shard.h"

struct mcq_cargo_limits mcq_cargo_limits_of(const struct mcq_sock_opts *opts)
{
    return (struct mcq_cargo_limits){
        .frame_max = opts->frame_max_bytes,
        .msg_max = opts->msg_max_bytes,
        .frames_max = opts->msg_frames_max,
    };
}

static bool foreign(const struct mcq_cargo_job *job)
{
    return job->owner != job->shard->id;
}

/* The last segment's successor isn't ours to look at. */
static void step(struct mcq_cargo *at)
{
    at->cnt--;
    at->off = 0;
    at->seg = at->cnt != 0 ? at->seg->next : NULL;
}

static void step_over_end(struct mcq_cargo *at)
{
    while (at->seg != NULL && at->off == at->seg->len)
        step(at);
}

static struct mcq_slice rest_of(const struct mcq_cargo *at)
{
    return mcq_slice_of(at->seg->ptr + at->off, at->seg->len - at->off);
}

/* --- messages of many parts ---------------------------------------------------------------- */

struct part {
    struct mcq_frame frame;
    const struct mcq_seg *seg; /* in which its body begins */
    bool more;
    bool cut; /* its body goes on in further segments */
};

/* Passes a body of len bytes, joined in `joined` unless that is NULL. */
static void join_body(struct mcq_cargo *at, uint64_t len, struct mcq_writer *joined)
{
    while (len != 0) {
        step_over_end(at);
        MCQ_ASSERT(at->seg != NULL); /* messages are whole */
        struct mcq_slice in = rest_of(at);
        in.len = (size_t)mcq_min_u64(len, in.len);
        if (joined != NULL && !mcq_writer_put(joined, in))
            MCQ_ASSERT(false); /* it has been measured */
        at->off += in.len;
        len -= in.len;
    }
}

/* The frame in front of *at, which moves behind it. */
static void next_part(struct mcq_cargo *at, struct mcq_writer *joined, struct part *part)
{
    uint8_t flags = 0;
    uint64_t len = 0;
    step_over_end(at);
    MCQ_ASSERT(at->seg != NULL);
    size_t head = mcq_frame_head_get(rest_of(at), &flags, &len);
    MCQ_ASSERT(head != 0); /* the pipe cuts no header */
    at->off += head;
    if (len != 0)
        step_over_end(at);
    MCQ_ASSERT(at->seg != NULL);
    struct mcq_slice in = rest_of(at);
    *part = (struct part){.frame = {in.ptr, (size_t)len},
                          .seg = at->seg,
                          .more = (flags & MCQ_FRAME_MORE) != 0,
                          .cut = len > in.len};
    if (part->cut && joined != NULL)
        part->frame.data = joined->ptr + joined->len;
    if (part->cut)
        join_body(at, len, joined);
    else
        at->off += (size_t)len;
}

struct found {
    struct mcq_cargo end;
    uint64_t bytes;              /* as stored */
    uint64_t cut;                /* bytes of bodies that are cut */
    uint64_t len_max;            /* of the longest frame */
    const struct mcq_seg *large; /* where that is: what is worth sharing; NULL: joined */
    uint32_t frame_cnt;
    uint32_t alone_cnt; /* bodies with a block for themselves */
};

/* The message in front, its frames in frames[0, MCQ_FRAME_CNT_MAX); bodies that are cut in
 * `joined`, or only counted. */
static void find_message(const struct mcq_cargo *c, struct mcq_frame *frames,
                         struct mcq_buf *joined, struct found *found)
{
    struct mcq_writer w = mcq_writer_of(joined == NULL ? NULL : joined->base, found->cut);
    struct part part = {.more = true};
    *found = (struct found){.end = *c};
    while (part.more) {
        next_part(&found->end, joined == NULL ? NULL : &w, &part);
        if (found->frame_cnt < MCQ_FRAME_CNT_MAX)
            frames[found->frame_cnt] = part.frame;
        if (found->frame_cnt == 0 || part.frame.len > found->len_max) {
            found->len_max = part.frame.len;
            found->large = part.cut ? NULL : part.seg;
        }
        found->bytes += mcq_frame_head_len(part.frame.len) + part.frame.len;
        found->cut += part.cut ? part.frame.len : 0;
        found->alone_cnt += part.seg->alone && part.frame.len != 0 ? 1 : 0;
        found->frame_cnt++;
    }
}

static bool within_limits(const struct mcq_cargo_job *job, const struct found *found)
{
    const struct mcq_cargo_limits *l = &job->limits;
    return found->frame_cnt <= l->frames_max && found->len_max <= l->frame_max &&
           found->bytes <= l->msg_max && found->cut <= mcq_buf_heap_len_max(job->shard->heap);
}

/* --- references to another shard's blocks --------------------------------------------------- */

/* Some room must be left to bring home what was taken. */
static bool refs_left(const struct mcq_cargo_job *job, const struct found *found)
{
    const struct mcq_pool *refs = &job->shard->remote.refs;
    return refs->max - refs->in_use >= found->alone_cnt;
}

/* The large body in front belongs to a buf of this shard's. false: there is none left. */
static bool hold(struct mcq_cargo *c, const struct mcq_cargo_job *job, const struct found *found)
{
    const struct mcq_seg *large = found->large;
    if (c->held != NULL || large == NULL || !large->alone || found->len_max == 0)
        return true;
    c->held_idx = large->buf->idx;
    c->held = mcq_remote_hold(job->shard, job->owner, c->held_idx, large->ptr, large->len);
    return c->held != NULL;
}

/* The message in front was taken: what it had by reference goes home, now or when the last who
 * kept it lets go. */
static void let_go(struct mcq_cargo *c, const struct mcq_cargo_job *job, const struct found *found)
{
    struct mcq_shard *sh = job->shard;
    uint32_t left = found->alone_cnt;
    bool held = c->held != NULL;
    if (!foreign(job))
        return;
    struct mcq_cargo at = *c;
    for (; left != 0; step(&at)) {
        if (!at.seg->alone)
            continue;
        left--;
        if (held && at.seg->buf->idx == c->held_idx)
            held = false;
        else
            mcq_remote_give_back(sh, job->owner, at.seg->buf->idx);
    }
    if (c->held == NULL)
        return;
    sh->bridges.stats.kept += c->held->app_cnt > 1 ? 1 : 0;
    mcq_buf_unref(sh->heap, c->held);
    c->held = NULL;
}

uint32_t mcq_cargo_drop(struct mcq_cargo *c, struct mcq_shard *sh)
{
    struct mcq_buf *held = c->held;
    uint32_t idx = c->held_idx;
    *c = (struct mcq_cargo){.seg = NULL};
    if (held == NULL)
        return 0;
    mcq_buf_unref(sh->heap, held);
    return idx + 1;
}

/* --- offering ------------------------------------------------------------------------------- */

static size_t offer(struct mcq_cargo_job *job, struct mcq_msg *msgs, size_t n)
{
    size_t consumed = job->receive(job, msgs, n);
    MCQ_DASSERT(consumed <= n);
    job->msgs += consumed;
    return consumed;
}

/* Whole messages of one frame in front, inside their segment. Returns how many; *end: where they
 * end. */
static size_t find_batch(const struct mcq_cargo *c, const struct mcq_cargo_job *job,
                         struct mcq_msg *views, size_t *end)
{
    const struct mcq_cargo_limits *l = &job->limits;
    *end = c->off;
    if (l->msg_max < MCQ_FRAME_HEAD_MAX)
        return 0;
    const uint64_t max = mcq_min_u64(l->frame_max, l->msg_max - MCQ_FRAME_HEAD_MAX);
    const struct mcq_slice in = mcq_slice_of(c->seg->ptr, c->seg->len);
    const uint32_t owner = foreign(job) ? 0 : mcq_owner_borrowed(c->seg->buf);
    size_t off = c->off;
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

/* Where the first cnt messages found by find_batch end: the views may have been scribbled on. */
static size_t end_of(const struct mcq_cargo *c, size_t cnt)
{
    struct mcq_slice in = mcq_slice_of(c->seg->ptr, c->seg->len);
    size_t off = c->off;
    for (size_t i = 0; i < cnt; i++) {
        uint8_t flags = 0;
        uint64_t len = 0;
        size_t head = mcq_frame_head_get(mcq_slice_of(in.ptr + off, in.len - off), &flags, &len);
        off += head + (size_t)len;
    }
    return off;
}

static enum mcq_cargo_outcome offer_batch(struct mcq_cargo *c, struct mcq_cargo_job *job, size_t n,
                                          size_t end)
{
    struct mcq_shard *sh = job->shard;
    size_t consumed = offer(job, sh->views, n);
    if (consumed < n)
        end = end_of(c, consumed);
    job->bytes += end - c->off;
    c->off = end;
    sh->stats.proto.frames_in += consumed;
    return consumed < n ? MCQ_CARGO_REFUSED : MCQ_CARGO_EMPTY;
}

static void move_on(struct mcq_cargo *c, struct mcq_cargo_job *job, const struct found *found)
{
    let_go(c, job, found);
    c->seg = found->end.seg;
    c->off = found->end.off;
    c->cnt = found->end.cnt;
    job->bytes += found->bytes;
}

/* owner: of the message, as a view names it. */
static enum mcq_cargo_outcome offer_found(struct mcq_cargo *c, struct mcq_cargo_job *job,
                                          const struct found *found, uint32_t owner)
{
    struct mcq_shard *sh = job->shard;
    struct mcq_msg m = mcq_msg_of_frames(sh->frames, found->frame_cnt);
    m.owner = owner;
    if (offer(job, &m, 1) == 0)
        return MCQ_CARGO_REFUSED;
    sh->stats.proto.frames_in += found->frame_cnt;
    move_on(c, job, found);
    return MCQ_CARGO_EMPTY;
}

static enum mcq_cargo_outcome starved(const struct mcq_cargo_job *job)
{
    job->shard->stats.proto.large_waits++;
    return MCQ_CARGO_STARVED;
}

/* Bodies that are cut get a block to be whole in; it is kept as any other, if the user wants it. */
static enum mcq_cargo_outcome offer_joined(struct mcq_cargo *c, struct mcq_cargo_job *job,
                                           struct found *found)
{
    struct mcq_shard *sh = job->shard;
    struct mcq_buf *b = mcq_buf_take(sh->heap, (size_t)found->cut);
    if (b == NULL)
        return starved(job);
    find_message(c, sh->frames, b, found);
    b->written = (size_t)found->cut;
    sh->stats.proto.assembled++;
    enum mcq_cargo_outcome out = offer_found(c, job, found, mcq_owner_borrowed(b));
    mcq_buf_unref(sh->heap, b);
    return out;
}

static uint32_t owner_of(const struct mcq_cargo *c, const struct mcq_cargo_job *job,
                         const struct found *found)
{
    if (foreign(job))
        return c->held == NULL ? 0 : mcq_owner_borrowed(c->held);
    return mcq_owner_borrowed(found->large->buf);
}

static enum mcq_cargo_outcome offer_message(struct mcq_cargo *c, struct mcq_cargo_job *job)
{
    struct found found = {.cut = 0};
    find_message(c, job->shard->frames, NULL, &found);
    if (foreign(job) && !refs_left(job, &found))
        return starved(job);
    if (!within_limits(job, &found)) { /* left in the queue it would end the next pair as well */
        move_on(c, job, &found);
        return MCQ_CARGO_OVERSIZED;
    }
    if (foreign(job) && !hold(c, job, &found))
        return starved(job);
    if (found.cut != 0)
        return offer_joined(c, job, &found);
    return offer_found(c, job, &found, owner_of(c, job, &found));
}

enum mcq_cargo_outcome mcq_cargo_offer(struct mcq_cargo *c, struct mcq_cargo_job *job,
                                       uint32_t batches)
{
    enum mcq_cargo_outcome out = MCQ_CARGO_EMPTY;
    step_over_end(c);
    for (uint32_t i = 0; out == MCQ_CARGO_EMPTY && c->seg != NULL; i++) {
        if (i == batches || job->stop)
            return MCQ_CARGO_LATER;
        size_t end;
        size_t n = find_batch(c, job, job->shard->views, &end);
        out = n != 0 ? offer_batch(c, job, n, end) : offer_message(c, job);
        step_over_end(c);
    }
    return out;
}

void mcq_cargo_pass(struct mcq_cargo *c, uint64_t len)
{
    while (len != 0) {
        size_t n = (size_t)mcq_min_u64(len, c->seg->len - c->off);
        c->off += n;
        len -= n;
        step_over_end(c);
    }
}
