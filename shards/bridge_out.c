/* A bridge's sending end: flights of the link's pipe, and what comes back of them. */
#include "shards/bridge_private.h"
#include "shards/shard.h"

/* A pipe that drops the oldest, or all but the newest, has them drop where they still can. */
static uint32_t flights_max(const struct mcq_pipe *p)
{
    return p->sheds || p->conflates ? 1 : MCQ_BRIDGE_FLIGHTS_MAX;
}

static uint64_t not_lent(const struct mcq_bridge *b)
{
    return mcq_pipe_queued_bytes(&b->link->pipe) - (b->lent - b->taken);
}

/* So many bytes from `at` on in a row. The segments are this shard's. */
static void copy_run(const struct mcq_pipe_run *run, uint8_t *to)
{
    const struct mcq_seg *seg = run->seg;
    size_t off = run->off;
    for (uint32_t i = 0; i < run->cnt; i++, seg = seg->next) {
        mcq_bytes_copy(to, seg->ptr + off, seg->len - off);
        to += seg->len - off;
        off = 0;
    }
}

/* Bodies with a block for themselves are lent one by one: they may be kept. */
static void lend_bodies(struct mcq_shard *sh, const struct mcq_pipe_run *run)
{
    const struct mcq_seg *seg = run->seg;
    for (uint32_t i = 0; i < run->cnt; i++, seg = seg->next)
        if (seg->alone)
            (void)mcq_remote_lend(sh, seg->buf);
}

static void send_run(struct mcq_bridge *b, struct mcq_bridge_data_rec *rec, size_t room,
                     const struct mcq_pipe_run *run)
{
    struct mcq_bridge_stats *stats = &b->shard->bridges.stats;
    rec->seg = run->seg;
    rec->off = run->off;
    rec->cnt = run->cnt;
    rec->len = run->bytes <= room ? (uint32_t)run->bytes : 0;
    if (rec->len != 0)
        copy_run(run, rec->bytes);
    else
        lend_bodies(b->shard, run);
    mcq_bridge_commit(b);
    b->lent += run->bytes;
    b->flight_end[b->flight_cnt++] = b->lent;
    stats->flights++;
    stats->flights_by_value += rec->len != 0 ? 1 : 0;
}

/* What is sent now would overtake what is to be said. */
static bool is_behind(struct mcq_bridge *b)
{
    const bool due = (b->due & MCQ_BRIDGE_DUE_SAY) != 0;
    if (!b->ops->says_first || (!due && b->control == NULL))
        return false;
    b->due |= due ? MCQ_BRIDGE_DUE_DATA : 0; /* else ACK makes it due */
    return true;
}

enum mcq_bridge_step mcq_bridge_send_data(struct mcq_bridge *b)
{
    struct mcq_bridge_data_rec *rec;
    struct mcq_pipe_run run;
    if (b->link == NULL || b->state != MCQ_BRIDGE_OPEN || b->held || is_behind(b))
        return MCQ_BRIDGE_WAIT;
    struct mcq_pipe *p = &b->link->pipe;
    uint64_t left = not_lent(b);
    if (left == 0 || b->flight_cnt >= flights_max(p))
        return MCQ_BRIDGE_WAIT;
    size_t room = left <= MCQ_BRIDGE_INLINE_MAX ? (size_t)left : 0;
    rec = mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_DATA, sizeof(*rec) + room);
    if (rec == NULL)
        return MCQ_BRIDGE_FULL;
    mcq_pipe_lend(p, MCQ_BRIDGE_SEGS, &run);
    if (run.cnt == 0) /* a reservation that isn't committed costs nothing */
        return MCQ_BRIDGE_WAIT;
    send_run(b, rec, room, &run);
    return not_lent(b) != 0 && b->flight_cnt < flights_max(p) ? mcq_bridge_send_data(b)
                                                              : MCQ_BRIDGE_DONE;
}

void mcq_bridge_flush(struct mcq_bridge *b)
{
    if (b->ops->say != NULL && b->state == MCQ_BRIDGE_OPEN) {
        b->due &= ~MCQ_BRIDGE_DUE_SAY;
        if (!b->ops->say(b))
            mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_SAY);
    }
    if ((b->due & MCQ_BRIDGE_DUE_DATA) == 0 && mcq_bridge_send_data(b) == MCQ_BRIDGE_FULL)
        mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_DATA);
}

/* --- marks ---------------------------------------------------------------------------------- */

bool mcq_bridge_may_mark(struct mcq_bridge *b, bool *full)
{
    *full = false;
    if (b->link == NULL || b->state != MCQ_BRIDGE_OPEN || b->held || b->marking)
        return false;
    *full = mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_MARK, sizeof(struct mcq_bridge_mark_rec)) == NULL;
    return !*full;
}

/* In as many runs as it takes, which follow one another. */
static void lend_all(struct mcq_bridge *b, struct mcq_pipe_run *all)
{
    struct mcq_pipe_run run;
    *all = (struct mcq_pipe_run){.cnt = 0};
    do {
        mcq_pipe_lend(&b->link->pipe, UINT32_MAX, &run);
        lend_bodies(b->shard, &run);
        if (all->cnt == 0)
            *all = run;
        else
            all->cnt += run.cnt;
        b->lent += run.bytes;
    } while (run.cnt != 0);
}

void mcq_bridge_mark(struct mcq_bridge *b, struct mcq_slice what)
{
    struct mcq_pipe_run run;
    struct mcq_bridge_mark_rec *rec =
        mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_MARK, sizeof(struct mcq_bridge_mark_rec));
    MCQ_ASSERT(rec != NULL && !b->marking && what.len != 0 && what.len <= sizeof(rec->what));
    lend_all(b, &run);
    if (run.cnt != 0) {
        if (b->flight_cnt < MCQ_BRIDGE_FLIGHTS_MAX)
            b->flight_cnt++;
        b->flight_end[b->flight_cnt - 1] = b->lent;
        b->shard->bridges.stats.flights++;
    }
    rec->seg = run.seg;
    rec->off = run.off;
    rec->cnt = run.cnt;
    rec->len = (uint32_t)what.len;
    mcq_bytes_copy(rec->what, what.ptr, what.len);
    mcq_bridge_commit(b);
    b->marking = true;
}

void mcq_bridge_on_marked(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_note_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL)
        return;
    b->marking = false;
    mcq_bridge_say(b);
}

/* --- what comes back ------------------------------------------------------------------------ */

void mcq_bridge_count_taken(struct mcq_bridge *b, uint64_t bytes)
{
    uint64_t more = bytes - b->taken;
    uint32_t done = 0;
    if (b->link == NULL || more == 0)
        return;
    MCQ_ASSERT(bytes <= b->lent);
    b->taken = bytes;
    while (done < b->flight_cnt && b->flight_end[done] <= bytes)
        done++;
    b->flight_cnt -= done;
    for (uint32_t i = 0; i < b->flight_cnt; i++)
        b->flight_end[i] = b->flight_end[i + done];
    bool room = mcq_pipe_taken(&b->link->pipe, (size_t)more);
    if (b->ops->taken != NULL)
        b->ops->taken(b, more, room);
}

void mcq_bridge_on_taken(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_taken_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL)
        return;
    mcq_bridge_count_taken(b, rec->bytes);
    mcq_bridge_flush(b);
}

/* Another shard may still keep one of those bodies: that reference comes home by itself. */
void mcq_bridge_take_back(struct mcq_bridge *b, uint32_t kept)
{
    struct mcq_shard *sh = b->shard;
    if (b->link == NULL)
        return;
    struct mcq_pipe *p = &b->link->pipe;
    const struct mcq_seg *seg = p->flight;
    for (uint32_t i = 0; i < p->flight_cnt; i++, seg = seg->next) {
        if (!seg->alone)
            continue;
        if (kept == seg->buf->idx + 1)
            kept = 0;
        else
            mcq_remote_arrived(sh, b->to, &seg->buf->idx, sizeof(seg->buf->idx));
    }
    mcq_pipe_recall(p);
    b->lent = b->taken;
    b->flight_cnt = 0;
}

/* --- holding -------------------------------------------------------------------------------- */

void mcq_bridge_hold(struct mcq_bridge *b)
{
    MCQ_DASSERT(!b->marking);
    if (b->held)
        return;
    b->held = true;
    b->holding = true;
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_HOLD);
}

void mcq_bridge_release(struct mcq_bridge *b)
{
    b->held = false;
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_DATA);
}

/* Nothing to ask for if nothing is out. */
enum mcq_bridge_step mcq_bridge_send_hold(struct mcq_bridge *b)
{
    if (b->state == MCQ_BRIDGE_ENDING)
        return MCQ_BRIDGE_DONE;
    if (b->lent == b->taken) {
        mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_TELL);
        return MCQ_BRIDGE_DONE;
    }
    if (mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_HOLD, sizeof(struct mcq_bridge_note_rec)) == NULL)
        return MCQ_BRIDGE_FULL;
    mcq_bridge_commit(b);
    return MCQ_BRIDGE_DONE;
}

void mcq_bridge_on_held(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_held_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL)
        return;
    mcq_bridge_count_taken(b, rec->bytes);
    mcq_bridge_take_back(b, rec->kept);
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_TELL);
}
