/* A bridge's receiving end: what the other shard has lent is offered, and what was taken is told.
 */
#include "shards/bridge_private.h"
#include "shards/shard.h"

static size_t receive(struct mcq_cargo_job *job, struct mcq_msg *msgs, size_t n)
{
    struct mcq_bridge *b = job->ctx;
    size_t consumed = b->ops->receive(b, msgs, n);
    job->stop = b->state != MCQ_BRIDGE_OPEN;
    return consumed;
}

static void count(struct mcq_bridge *b, const struct mcq_cargo_job *job)
{
    struct mcq_shard *sh = b->shard;
    b->got += job->bytes;
    sh->bridges.stats.msgs_in += job->msgs;
    sh->bridges.stats.bytes_in += job->bytes;
    if (b->ops->got != NULL)
        b->ops->got(b, job->bytes);
}

static enum mcq_bridge_step settle(struct mcq_bridge *b, enum mcq_cargo_outcome out)
{
    enum mcq_bridge_step step = MCQ_BRIDGE_DONE;
    /* With what the turn sends back, or its line would go to and fro twice. */
    if (b->got != b->told)
        mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_TAKEN);
    switch (out) {
    case MCQ_CARGO_EMPTY:
        break;
    case MCQ_CARGO_LATER:
        mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_OFFER);
        break;
    case MCQ_CARGO_REFUSED:
        b->stalled = true;
        b->shard->bridges.stats.stalls++;
        break;
    case MCQ_CARGO_STARVED:
        mcq_bridge_starve(b, MCQ_BRIDGE_DUE_OFFER);
        step = MCQ_BRIDGE_WAIT;
        break;
    case MCQ_CARGO_OVERSIZED:
        b->ops->oversized(b);
        mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_OFFER);
        break;
    }
    return step;
}

static struct mcq_cargo_job job_of(struct mcq_bridge *b)
{
    return (struct mcq_cargo_job){
        .shard = b->shard, .owner = b->to, .limits = b->limits, .receive = receive, .ctx = b};
}

/* All before the mark is taken. */
static void come_to_mark(struct mcq_bridge *b)
{
    uint8_t what[MCQ_BRIDGE_MARK_MAX];
    const uint32_t len = b->mark_len;
    mcq_bytes_copy(what, b->mark, len);
    b->mark_len = 0;
    b->cargo = b->behind;
    b->behind = (struct mcq_cargo){.seg = NULL};
    mcq_bridge_make_due(b,
                        MCQ_BRIDGE_DUE_MARKED | (b->cargo.seg != NULL ? MCQ_BRIDGE_DUE_OFFER : 0));
    b->ops->marked(b, mcq_slice_of(what, len));
}

enum mcq_bridge_step mcq_bridge_offer(struct mcq_bridge *b)
{
    struct mcq_cargo_job job = job_of(b);
    if (b->stalled || b->state != MCQ_BRIDGE_OPEN)
        return MCQ_BRIDGE_DONE;
    enum mcq_cargo_outcome out = mcq_cargo_offer(&b->cargo, &job, MCQ_BRIDGE_BATCHES);
    count(b, &job);
    enum mcq_bridge_step step = settle(b, out);
    if (b->mark_len != 0 && b->cargo.seg == NULL && b->state == MCQ_BRIDGE_OPEN)
        come_to_mark(b);
    return step;
}

/* The flight's bytes are here: its segments aren't looked at but for what is refused. */
static void offer_copy(struct mcq_bridge *b, const struct mcq_bridge_data_rec *rec)
{
    const struct mcq_seg copy = {.ptr = rec->bytes, .len = rec->len, .starts_msg = true};
    struct mcq_cargo cargo = {.seg = &copy, .cnt = 1};
    struct mcq_cargo_job job = job_of(b);
    enum mcq_cargo_outcome out = mcq_cargo_offer(&cargo, &job, MCQ_BRIDGE_BATCHES);
    if (job.bytes == rec->len)
        b->cargo = (struct mcq_cargo){.seg = NULL};
    else
        mcq_cargo_pass(&b->cargo, job.bytes);
    count(b, &job);
    (void)settle(b, out);
}

static void add(struct mcq_cargo *c, const struct mcq_seg *seg, uint64_t off, uint32_t cnt)
{
    if (c->seg == NULL && cnt != 0) {
        c->seg = seg;
        c->off = (size_t)off;
    }
    c->cnt += cnt;
}

void mcq_bridge_on_data(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_data_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL || b->state != MCQ_BRIDGE_OPEN)
        return;
    bool first = b->cargo.seg == NULL;
    sh->bridges.stats.flights_in++;
    add(b->mark_len == 0 ? &b->cargo : &b->behind, rec->seg, rec->off, rec->cnt);
    if (b->stalled || b->mark_len != 0)
        return;
    if (first && rec->len != 0)
        offer_copy(b, rec);
    else if ((b->due & MCQ_BRIDGE_DUE_OFFER) == 0)
        (void)mcq_bridge_offer(b);
}

void mcq_bridge_on_mark(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_mark_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL || b->state != MCQ_BRIDGE_OPEN)
        return;
    MCQ_ASSERT(b->mark_len == 0);
    sh->bridges.stats.flights_in += rec->cnt != 0 ? 1 : 0;
    add(&b->cargo, rec->seg, rec->off, rec->cnt);
    b->mark_len = rec->len;
    mcq_bytes_copy(b->mark, rec->what, rec->len);
    if ((b->due & MCQ_BRIDGE_DUE_OFFER) == 0)
        (void)mcq_bridge_offer(b);
}

void mcq_bridge_resume(struct mcq_bridge *b)
{
    if (!b->stalled)
        return;
    b->stalled = false;
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_OFFER);
}

void mcq_bridge_retry(struct mcq_bridge *b)
{
    b->shard->bridges.early = b->shard->bridges.early || b->stalled;
    mcq_bridge_resume(b);
}

static uint64_t waiting(const struct mcq_cargo *c)
{
    const struct mcq_seg *seg = c->seg;
    uint64_t len = 0;
    for (uint32_t i = 0; seg != NULL && i < c->cnt; i++) {
        len += seg->len;
        seg = i + 1 < c->cnt ? seg->next : NULL;
    }
    return len - c->off;
}

uint64_t mcq_bridge_waiting(const struct mcq_bridge *b)
{
    return waiting(&b->cargo) + waiting(&b->behind);
}

uint32_t mcq_bridge_forget(struct mcq_bridge *b)
{
    b->behind = (struct mcq_cargo){.seg = NULL};
    b->mark_len = 0;
    return mcq_cargo_drop(&b->cargo, b->shard);
}

/* --- telling -------------------------------------------------------------------------------- */

enum mcq_bridge_step mcq_bridge_send_taken(struct mcq_bridge *b)
{
    struct mcq_bridge_taken_rec *rec;
    if (b->got == b->told)
        return MCQ_BRIDGE_DONE;
    rec = mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_TAKEN, sizeof(*rec));
    if (rec == NULL)
        return MCQ_BRIDGE_FULL;
    rec->bytes = b->got;
    b->told = b->got;
    mcq_bridge_commit(b);
    return MCQ_BRIDGE_DONE;
}

void mcq_bridge_on_hold(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_note_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL || b->state != MCQ_BRIDGE_OPEN)
        return;
    b->kept = mcq_bridge_forget(b);
    b->stalled = false;
    b->due &= ~(MCQ_BRIDGE_DUE_OFFER | MCQ_BRIDGE_DUE_TAKEN);
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_HELD);
}

enum mcq_bridge_step mcq_bridge_send_held(struct mcq_bridge *b)
{
    struct mcq_bridge_held_rec *rec;
    rec = mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_HELD, sizeof(*rec));
    if (rec == NULL)
        return MCQ_BRIDGE_FULL;
    rec->bytes = b->got;
    rec->kept = b->kept;
    b->told = b->got;
    b->kept = 0;
    mcq_bridge_commit(b);
    return MCQ_BRIDGE_DONE;
}

enum mcq_bridge_step mcq_bridge_send_marked(struct mcq_bridge *b)
{
    if (mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_MARKED, sizeof(struct mcq_bridge_note_rec)) == NULL)
        return MCQ_BRIDGE_FULL;
    mcq_bridge_commit(b);
    return MCQ_BRIDGE_DONE;
}
