#include "pipe_model.h"

#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX 6u

uint32_t world_below(struct world *w, uint32_t max)
{
    uint64_t z = (w->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % max);
}

/* --- the model ------------------------------------------------------------------------------- */

static void add(struct bytes *b, const void *ptr, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = b->len + len + 16;
        b->ptr = realloc(b->ptr, b->cap);
        cr_assert_not_null(b->ptr);
    }
    if (len != 0)
        memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

void world_add_frame(struct bytes *b, bool more, const void *ptr, size_t len)
{
    uint8_t head[9];
    const uint8_t *end = mcq_frame_head_put(head, more ? MCQ_FRAME_MORE : 0, len);
    add(b, head, (size_t)(end - head));
    add(b, ptr, len);
}

static struct bytes *model_at(const struct model *m, size_t i)
{
    return &m->ring[(m->first + i) & (m->cap - 1)];
}

static void model_grow(struct model *m)
{
    struct bytes *ring = calloc(m->cap * 2 + 64, sizeof(*ring));
    cr_assert_not_null(ring);
    for (size_t i = 0; i < m->cnt; i++)
        ring[i] = *model_at(m, i);
    free(m->ring);
    m->ring = ring;
    m->first = 0;
    m->cap = m->cap == 0 ? 64 : m->cap * 2;
}

static void model_push(struct model *m, const struct bytes *msg)
{
    if (m->cnt == m->cap)
        model_grow(m);
    *model_at(m, m->cnt++) = *msg;
    m->bytes += msg->len;
}

static void model_push_front(struct model *m, const struct bytes *msg)
{
    if (m->cnt == m->cap)
        model_grow(m);
    m->first--;
    m->cnt++;
    *model_at(m, 0) = *msg;
    m->bytes += msg->len;
}

/* Messages [at, at + cnt) are gone: those before them move up. */
static void model_drop(struct model *m, size_t at, size_t cnt)
{
    for (size_t i = at; i < at + cnt; i++) {
        m->bytes -= model_at(m, i)->len;
        free(model_at(m, i)->ptr);
    }
    for (size_t i = at; i != 0; i--)
        *model_at(m, i - 1 + cnt) = *model_at(m, i - 1);
    m->first += cnt;
    m->cnt -= cnt;
}

static void model_take(struct model *m, size_t len)
{
    m->taken += len;
    while (m->cnt != 0 && m->taken >= model_at(m, 0)->len) {
        m->taken -= model_at(m, 0)->len;
        model_drop(m, 0, 1);
        m->out++;
    }
}

/* The first message of which no byte is the kernel's, or on its way to it. */
static size_t model_free(const struct model *m, size_t flight_len)
{
    size_t end = m->taken + flight_len;
    size_t i = 0;
    for (size_t at = 0; i < m->cnt && at < end; i++)
        at += model_at(m, i)->len;
    return i;
}

/* --- the world ------------------------------------------------------------------------------- */

static void on_mark(void *ctx, struct mcq_pipe *p)
{
    struct world *w = ctx;
    w->marks++;
    p->marked = true;
}

static void on_pressed(void *ctx, struct mcq_pipe *p)
{
    (void)ctx;
    (void)p;
}

struct world *world_new(uint64_t seed)
{
    const struct mcq_buf_plan plan = {
        {40, 12, 24, 4}, 8 * MCQ_BUF_GRANULE_LEN, 8 + MODEL_EXTERN_MAX};
    struct world *w = calloc(1, sizeof(*w));
    size_t len = mcq_buf_heap_footprint(&plan) +
                 mcq_pool_footprint(sizeof(struct mcq_seg), MODEL_SEGS_MAX) + 65536;
    w->seed = seed;
    w->random = seed * 7919;
    w->scratch = malloc(MODEL_SCRATCH);
    cr_assert_eq(mcq_arena_init(&w->arena, len, MCQ_NODE_ANY, NULL), MCQ_OK);
    w->heap = mcq_buf_heap_init(&w->arena, &plan, &w->mem);
    want(w, w->heap != NULL && mcq_pool_init(&w->segs, "segments", &w->arena,
                                             sizeof(struct mcq_seg), MODEL_SEGS_MAX));
    w->env = (struct mcq_pipe_env){.heap = w->heap,
                                   .segs = &w->segs,
                                   .stats = &w->stats,
                                   .ctx = w,
                                   .mark = on_mark,
                                   .pressed = on_pressed};
    for (size_t i = 0; i < MODEL_SCRATCH; i++)
        w->scratch[i] = (uint8_t)(i * 167 + (i >> 8) * 31);
    return w;
}

void world_give_back(struct world *w)
{
    while (w->hoard_cnt != 0)
        mcq_buf_unref(w->heap, w->hoard[--w->hoard_cnt]);
    while (w->seg_hoard_cnt != 0)
        mcq_pool_give(&w->segs, w->seg_hoard[--w->seg_hoard_cnt]);
}

void world_end(struct world *w)
{
    world_give_back(w);
    want(w, mcq_buf_heap_in_use(w->heap) == 0);
    want(w, w->segs.in_use == 0);
    want(w, w->freed == w->externs);
    mcq_arena_fini(&w->arena);
    free(w->m.ring);
    free(w->scratch);
    free(w);
}

void world_hoard(struct world *w)
{
    static const size_t lens[] = {512, 4096, MCQ_BUF_RX_LEN, 200000, MCQ_BUF_LARGE_MIN};
    uint32_t kind = world_below(w, 8);
    world_give_back(w);
    if (kind < 5) {
        uint32_t keep = world_below(w, 3);
        struct mcq_buf *b;
        while (w->hoard_cnt < MODEL_HOARD_MAX && (b = mcq_buf_take(w->heap, lens[kind])) != NULL)
            w->hoard[w->hoard_cnt++] = b;
        while (keep-- != 0 && w->hoard_cnt != 0)
            mcq_buf_unref(w->heap, w->hoard[--w->hoard_cnt]);
    } else if (kind == 5) {
        uint32_t keep = world_below(w, 5);
        while (w->segs.max - w->segs.in_use > keep)
            w->seg_hoard[w->seg_hoard_cnt++] = mcq_pool_take(&w->segs);
    }
}

/* --- what must always hold ------------------------------------------------------------------- */

static void check_segs(struct world *w)
{
    const struct mcq_pipe *p = &w->p;
    uint64_t bytes = 0, msgs = 0, pool_bytes = 0;
    uint32_t segs = 0;
    const struct mcq_seg *last = NULL;
    for (const struct mcq_seg *s = p->head; s != NULL; s = s->next) {
        want(w, s->len != 0 && s->buf != NULL);
        want(w, last == NULL ? s->starts_msg : s->starts_msg == last->ends_msg);
        want(w, (s->msg_cnt != 0) == s->ends_msg);
        bytes += s->len;
        msgs += s->msg_cnt;
        if (s->buf->cls < MCQ_BUF_POOL_CNT)
            pool_bytes += s->alone ? s->buf->cap : s->len;
        segs++;
        last = s;
    }
    want(w, last == NULL || last->ends_msg);
    want(w, p->tail == last && p->seg_cnt == segs);
    want(w, p->queued_msgs == msgs && p->queued_bytes == bytes - p->head_sent);
    want(w, p->pool_bytes == pool_bytes);
}

void world_check(struct world *w)
{
    const struct mcq_pipe *p = &w->p;
    const struct model *m = &w->m;
    check_segs(w);
    want(w, mcq_pipe_queued_bytes(p) == m->bytes - m->taken);
    want(w, mcq_pipe_empty(p) == (m->cnt == 0));
    /* What the kernel has whole may still be in the queue, at its front. */
    want(w, p->msgs_out + mcq_pipe_queued_msgs(p) == m->out + m->cnt && p->msgs_out <= m->out);
    want(w, p->head_sent != 0 || p->msgs_out == m->out);
    /* Inside a segment of small messages it may say no where yes would be right. */
    want(w, !mcq_pipe_at_boundary(p) || m->taken == 0);
    want(w, mcq_pipe_at_boundary(p) || p->head_sent != 0);
    want(w, p->cursor <= p->limit || p->countdown == 0);
    want(w, p->block == NULL || p->limit <= p->block->base + p->block->cap);
    want(w, p->block == NULL || (p->open >= p->block->base && p->open <= p->cursor));
    want(w, p->head != NULL || p->block == NULL || p->cursor != p->open || p->marked);
}

/* --- putting --------------------------------------------------------------------------------- */

static size_t some_len(struct world *w, bool large)
{
    static const size_t edges[] = {0, 1, 255, 256, 4085, 4096, 16383, 16384, 16385, 32759, 32768};
    if (w->small && world_below(w, 50) != 0)
        return world_below(w, 60);
    switch (world_below(w, large ? 6 : 4)) {
    case 0:
        return edges[world_below(w, MCQ_CNT_OF(edges))];
    case 1:
        return world_below(w, 20000);
    case 4:
        return 60000 + world_below(w, 200000);
    case 5:
        return 262000 + world_below(w, 300000);
    default:
        return world_below(w, 300);
    }
}

static bool has_credit(const struct world *w, uint64_t msgs, uint64_t bytes, uint64_t need)
{
    const struct mcq_pipe *p = &w->p;
    if (p->conflates)
        return msgs <= (w->in_flight || p->head_sent != 0 ? 1 : 0);
    if (p->hwm_msgs != MCQ_UNLIMITED && msgs >= p->hwm_msgs)
        return false;
    return bytes == 0 || (bytes <= p->hwm_bytes && need <= p->hwm_bytes - bytes);
}

static bool above_marks(const struct world *w, size_t need)
{
    return !has_credit(w, mcq_pipe_queued_msgs(&w->p), mcq_pipe_queued_bytes(&w->p), need);
}

/* A reservation that was larger than the mark, and used in part only, leaves its rest. */
static bool certainly_above(const struct world *w, size_t need)
{
    size_t rest = MCQ_PIPE_RESERVE_MAX + MCQ_FRAME_HEAD_MAX;
    return above_marks(w, w->p.hwm_bytes >= rest || w->p.conflates ? need : 0) &&
           (w->p.hwm_bytes >= rest || w->p.conflates || mcq_pipe_queued_bytes(&w->p) + need > rest);
}

void world_settle(struct world *w, enum mcq_error err, struct bytes *msg)
{
    const struct mcq_pipe *p = &w->p;
    uint64_t msgs = mcq_pipe_queued_msgs(p);
    if (err == MCQ_OK) {
        model_push(&w->m, msg);
    } else {
        want(w, err == MCQ_EAGAIN && p->starved);
        want(w, !p->at_mark || above_marks(w, msg->len));
        w->refused++;
        free(msg->ptr);
    }
    *msg = (struct bytes){NULL, 0, 0};
    msgs -= p->probe != NULL ? 1 : 0;
    want(w, p->hwm_msgs == MCQ_UNLIMITED || p->conflates || msgs <= p->hwm_msgs);
}

void world_put_bytes(struct world *w)
{
    size_t len = some_len(w, false);
    struct bytes msg = {NULL, 0, 0};
    if (len > MCQ_PIPE_SHARE_MIN)
        len = MCQ_PIPE_SHARE_MIN;
    const uint8_t *from = w->scratch + world_below(w, 1000);
    world_add_frame(&msg, false, from, len);
    bool full = certainly_above(w, msg.len);
    enum mcq_error err = mcq_pipe_put_bytes(&w->p, from, len);
    want(w, !full || err != MCQ_OK);
    world_settle(w, err, &msg);
}

void world_freed(void *data, size_t len, void *hint)
{
    struct world *w = hint;
    (void)len;
    (void)data;
    w->freed++;
}

/* The message in one of its forms: the caller's bytes, kept, or the user's memory. */
static struct mcq_msg in_form(struct world *w, const struct mcq_frame *frames, uint32_t cnt)
{
    struct mcq_msg m = mcq_msg_of_frames(frames, cnt), other;
    uint32_t form = world_below(w, 3);
    if (form == 1 && mcq_buf_msg_keep(w->heap, SIZE_MAX, &m, &other) == MCQ_OK)
        return other;
    if (form == 2 && cnt == 1 &&
        mcq_buf_msg_external(w->heap, frames[0].data, frames[0].len, world_freed, w, &other) ==
            MCQ_OK) {
        w->externs++;
        return other;
    }
    return m;
}

void world_put(struct world *w)
{
    struct mcq_frame frames[FRAMES_MAX];
    uint32_t cnt = 1 + world_below(w, FRAMES_MAX);
    uint32_t first = cnt > 1 && world_below(w, 4) == 0 ? 1 : 0;
    struct bytes msg = {NULL, 0, 0}, prefix = {NULL, 0, 0};
    bool large = world_below(w, 3) == 0;
    if (world_below(w, 3) == 0)
        cnt = 1, first = 0;
    if (world_below(w, 4) == 0)
        world_add_frame(&prefix, true, w->scratch, world_below(w, w->small ? 30 : 900));
    add(&msg, prefix.ptr, prefix.len);
    for (uint32_t i = 0; i < cnt; i++) {
        size_t len = some_len(w, large && i == first);
        frames[i] = (struct mcq_frame){w->scratch + world_below(w, 5000), len};
        if (i >= first)
            world_add_frame(&msg, i + 1 < cnt, frames[i].data, len);
    }
    struct mcq_msg m = in_form(w, frames, cnt);
    struct mcq_slice before = mcq_slice_of(prefix.ptr, prefix.len);
    want(w, mcq_pipe_need(before, &m, first) == msg.len);
    bool full = certainly_above(w, msg.len);
    enum mcq_error err = mcq_pipe_put(&w->p, before, &m, first);
    want(w, !full || err != MCQ_OK);
    world_settle(w, err, &msg);
    mcq_buf_msg_drop(w->heap, &m);
    free(prefix.ptr);
}

void world_reserve(struct world *w)
{
    size_t max = w->small ? 100 : MCQ_PIPE_RESERVE_MAX;
    size_t len = world_below(w, 3) == 0 ? world_below(w, (uint32_t)max + 1) : world_below(w, 60);
    size_t used = world_below(w, 3) == 0 ? len : world_below(w, (uint32_t)len + 1);
    struct bytes msg = {NULL, 0, 0};
    void *at = NULL;
    size_t need = len + mcq_frame_head_len(len);
    bool full = certainly_above(w, need);
    enum mcq_error err = mcq_pipe_reserve(&w->p, len, &at);
    want(w, !full || err != MCQ_OK);
    if (err != MCQ_OK) {
        want(w, err == MCQ_EAGAIN && w->p.starved && (!w->p.at_mark || above_marks(w, need)));
        return;
    }
    memcpy(at, w->scratch, len);
    want(w, mcq_pipe_commit(&w->p, len + 1) == MCQ_EINVAL);
    uint32_t fate = world_below(w, 10);
    if (fate == 0) { /* forgotten */
        mcq_pipe_forget(&w->p);
        want(w, mcq_pipe_commit(&w->p, 0) == MCQ_ESTATE);
        return;
    }
    if (fate == 1 && !w->in_flight) { /* its room is another's */
        world_drop_old(w, SIZE_MAX);
        want(w, mcq_pipe_commit(&w->p, 0) == MCQ_ESTATE);
        return;
    }
    want(w, mcq_pipe_commit(&w->p, used) == MCQ_OK);
    want(w, mcq_pipe_commit(&w->p, used) == MCQ_ESTATE);
    world_add_frame(&msg, false, w->scratch, used);
    world_settle(w, err, &msg);
}

/* --- sending --------------------------------------------------------------------------------- */

/* What is in flight is what the reference has next, and stays so. */
static void check_flight(struct world *w)
{
    size_t msg = 0, at = w->m.taken, len = 0;
    for (uint32_t i = 0; w->in_flight && i < w->flight_cnt; i++) {
        struct mcq_slice s = w->flight[i];
        want(w, s.len != 0);
        len += s.len;
        while (s.len != 0) {
            want(w, msg < w->m.cnt);
            const struct bytes *b = model_at(&w->m, msg);
            size_t n = mcq_min(s.len, b->len - at);
            want(w, memcmp(s.ptr, b->ptr + at, n) == 0);
            s = mcq_slice_of(s.ptr + n, s.len - n);
            at += n;
            if (at == b->len)
                msg++, at = 0;
        }
    }
    want(w, !w->in_flight || w->p.lends || len == w->flight_len);
}

void world_gather(struct world *w)
{
    const struct mcq_pipe *p = &w->p;
    uint32_t max = world_below(w, 4) == 0 ? 1 + world_below(w, 3) : 64;
    size_t bytes_max = world_below(w, 3) == 0 ? 1 + world_below(w, 5000) : 262144;
    size_t left = w->m.bytes - w->m.taken;
    w->p.marked = false;
    w->flight_len = mcq_pipe_gather(&w->p, w->flight, max, bytes_max, &w->flight_cnt);
    want(w, w->flight_cnt <= max && w->flight_len <= left);
    want(w, (w->flight_len == 0) == (left == 0));
    /* Not much more than asked for: a block, which may be of the next class. */
    want(w, w->flight_len <= bytes_max + MCQ_BUF_LARGE_MIN);
    w->in_flight = w->flight_cnt != 0;
    check_flight(w);
    size_t msgs = model_free(&w->m, w->flight_len);
    want(w, !p->conflates || msgs <= 1);
    want(w, !p->sheds || msgs <= 1 + p->hwm_msgs / 2);
}

void world_sent(struct world *w)
{
    struct mcq_pipe *p = &w->p;
    size_t len =
        world_below(w, 2) == 0 ? w->flight_len : world_below(w, (uint32_t)w->flight_len + 1);
    bool starved = p->starved;
    check_flight(w);
    bool room = mcq_pipe_sent(p, len);
    model_take(&w->m, len);
    w->in_flight = false;
    bool low = mcq_pipe_queued_bytes(p) <= p->hwm_bytes / 2 &&
               (p->hwm_msgs == MCQ_UNLIMITED || mcq_pipe_queued_msgs(p) <= p->hwm_msgs / 2);
    want(w, room == (starved && low) && p->starved == (starved && !low));
}

/* Bytes of the first cnt messages. */
static size_t first_of(const struct model *m, size_t cnt)
{
    size_t len = 0;
    for (size_t i = 0; i < cnt; i++)
        len += model_at(m, i)->len;
    return len;
}

/* The bytes from `at` on, which may go over several messages. */
static bool model_has(const struct model *m, size_t at, struct mcq_slice s)
{
    size_t i = 0;
    for (; i < m->cnt && at >= model_at(m, i)->len; i++)
        at -= model_at(m, i)->len;
    for (; s.len != 0 && i < m->cnt; i++, at = 0) {
        const struct bytes *b = model_at(m, i);
        size_t n = mcq_min(s.len, b->len - at);
        if (memcmp(s.ptr, b->ptr + at, n) != 0)
            return false;
        s = mcq_slice_of(s.ptr + n, s.len - n);
    }
    return s.len == 0;
}

static void set_lent(struct world *w, size_t len)
{
    w->flight_len = len;
    w->flight_cnt = 0;
    w->in_flight = len != 0;
}

/* What is lent is the next of what the reference says, whole messages. */
static void check_run(struct world *w, const struct mcq_pipe_run *run)
{
    const struct mcq_seg *seg = run->seg;
    size_t before = w->in_flight ? w->flight_len : 0;
    size_t off = run->off, len = 0, at = before;
    size_t msgs = model_free(&w->m, before + run->bytes);
    for (uint32_t i = 0; i < run->cnt; i++, seg = seg->next) {
        want(w, model_has(&w->m, at, mcq_slice_of(seg->ptr + off, seg->len - off)));
        at += seg->len - off;
        len += seg->len - off;
        off = 0;
        want(w, i + 1 < run->cnt || seg->ends_msg);
    }
    want(w, len == run->bytes && first_of(&w->m, msgs) == before + run->bytes);
}

void world_lend(struct world *w)
{
    struct mcq_pipe_run run;
    uint32_t max = 1 + world_below(w, 8);
    w->p.marked = false;
    size_t before = w->in_flight ? w->flight_len : 0;
    mcq_pipe_lend(&w->p, max, &run);
    want(w, (run.cnt != 0) == (before != w->m.bytes));
    check_run(w, &run);
    set_lent(w, before + run.bytes);
}

/* Some of the messages from the front. */
void world_taken(struct world *w)
{
    size_t cnt = model_free(&w->m, w->flight_len);
    size_t len = first_of(&w->m, world_below(w, (uint32_t)cnt + 1));
    (void)mcq_pipe_taken(&w->p, len);
    model_take(&w->m, len);
    set_lent(w, w->flight_len - len);
    want(w, (w->p.flight_cnt != 0) == w->in_flight);
}

void world_recall(struct world *w)
{
    mcq_pipe_recall(&w->p);
    set_lent(w, 0);
}

void world_rewind(struct world *w)
{
    check_flight(w);
    want(w, mcq_pipe_rewind(&w->p) == (w->m.taken != 0));
    w->m.taken = 0;
    w->in_flight = false;
    want(w, w->p.msgs_out == w->m.out && w->p.head_sent == 0);
    want(w, mcq_pipe_at_boundary(&w->p));
}

void world_probe(struct world *w)
{
    bool there = w->p.probe != NULL;
    struct bytes msg = {NULL, 0, 0};
    bool ok = mcq_pipe_probe(&w->p);
    want(w, (w->p.probe != NULL) == ok);
    if (!ok || there)
        return;
    world_add_frame(&msg, false, NULL, 0);
    model_push_front(&w->m, &msg);
}

void world_drain(struct world *w)
{
    world_give_back(w);
    while (!mcq_pipe_empty(&w->p) || w->in_flight) {
        if (!w->in_flight)
            world_gather(w);
        world_sent(w);
        world_check(w);
    }
    want(w, w->m.cnt == 0 && w->p.head == NULL && w->p.block == NULL);
}

/* --- dropping -------------------------------------------------------------------------------- */

/* Nothing is in flight, and the kernel has begun a segment of whole messages, which can be split.
 */
static bool splits(const struct world *w)
{
    const struct mcq_seg *head = w->p.head;
    return !w->in_flight && w->p.head_sent != 0 && head->starts_msg && head->ends_msg;
}

/* Without a segment to split it with, one that the kernel has begun stays as it is. */
static size_t first_droppable(const struct world *w)
{
    const struct mcq_pipe *p = &w->p;
    if (!splits(w) || w->segs.in_use != w->segs.max)
        return model_free(&w->m, w->in_flight ? w->flight_len : 0);
    return p->head->msg_cnt - (size_t)(w->m.out - p->msgs_out);
}

void world_drop_old(struct world *w, size_t need)
{
    struct mcq_pipe *p = &w->p;
    size_t from = first_droppable(w);
    size_t cnt = 0;
    uint64_t msgs = mcq_pipe_queued_msgs(p), bytes = mcq_pipe_queued_bytes(p);
    size_t asked = need;
    if (p->conflates)
        need = SIZE_MAX;
    if (splits(w) && w->m.taken == 0 && w->segs.in_use != w->segs.max)
        msgs = w->m.cnt; /* what is sent gets a segment of its own, and leaves */
    while (from + cnt < w->m.cnt && (need == SIZE_MAX || !has_credit(w, msgs, bytes, need))) {
        msgs--;
        bytes -= model_at(&w->m, from + cnt)->len;
        cnt++;
    }
    if (need != SIZE_MAX && !has_credit(w, msgs, bytes, need))
        cnt = 0; /* all that for nothing */
    want(w, mcq_pipe_drop_old(p, asked) == cnt);
    model_drop(&w->m, from, cnt);
    w->dropped += cnt;
    check_flight(w);
    want(w, cnt == 0 || mcq_pipe_queued_bytes(p) != 0 || w->in_flight || p->block == NULL);
}

void world_fini(struct world *w)
{
    uint64_t left = mcq_pipe_queued_msgs(&w->p);
    want(w, mcq_pipe_fini(&w->p) == left);
    want(w, w->p.block == NULL && w->p.spare == NULL && w->p.pool_bytes == 0);
    w->m.out -= w->m.out - w->p.msgs_out;
    model_drop(&w->m, 0, w->m.cnt);
    w->m.taken = 0;
}
