#include "rig.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patterns/tables.h"

/* --- calls upwards ------------------------------------------------------------------------- */

struct rig_peer *rig_peer_of(struct mcq_pipe *pipe)
{
    return MCQ_CONTAINER_OF(pipe, struct rig_peer, pipe);
}

static void text_of(const struct mcq_msg *m, char *text, size_t cap)
{
    size_t len = 0;
    for (uint32_t i = 0; i < mcq_msg_frame_cnt(m); i++) {
        struct mcq_frame f = mcq_msg_frame(m, i);
        if (i != 0 && len < cap - 1)
            text[len++] = '|';
        size_t n = mcq_min(f.len, cap - 1 - len);
        memcpy(text + len, f.data, n);
        len += n;
    }
    text[len] = '\0';
}

static size_t on_deliver(void *ctx, struct mcq_pipe *pipe, struct mcq_msg *msgs, size_t n)
{
    struct rig *r = ctx;
    struct rig_peer *p = rig_peer_of(pipe);
    r->deliver_calls++;
    for (size_t i = 0; i < n; i++) {
        if (p->user_paused || i == r->refuse_from)
            return i;
        text_of(&msgs[i], r->last, sizeof r->last);
        if (r->handler != NULL && !r->handler(p, &msgs[i]))
            return i;
        r->delivered++;
        p->deliveries++;
    }
    return n;
}

static void on_writable(void *ctx)
{
    struct rig *r = ctx;
    r->writable_cnt++;
}

static void on_control(void *ctx, struct mcq_pipe *pipe)
{
    struct rig *r = ctx;
    cr_assert(pipe->up);
    r->control_cnt++;
}

static bool on_resume(void *ctx, struct mcq_pipe *pipe)
{
    struct rig *r = ctx;
    r->resume_cnt++;
    if (rig_peer_of(pipe)->user_paused)
        return false;
    rig_peer_of(pipe)->resumed = true;
    return true;
}

static void on_close_pipe(void *ctx, struct mcq_pipe *pipe, enum mcq_reason reason)
{
    struct rig *r = ctx;
    r->closed[reason]++;
    r->closed_pipe = pipe;
    if (r->closed_cnt < RIG_PEERS_MAX)
        r->closed_pipes[r->closed_cnt++] = pipe;
    if (r->detach_on_close)
        rig_detach(rig_peer_of(pipe));
}

static void on_dropped(void *ctx, struct mcq_pipe *pipe, enum mcq_reason reason, uint64_t cnt)
{
    struct rig *r = ctx;
    (void)pipe;
    r->dropped[reason] += cnt;
}

static void on_subscription(void *ctx, struct mcq_peer peer, bool added, struct mcq_slice topic)
{
    struct rig *r = ctx;
    cr_assert(topic.len <= MCQ_TOPIC_LEN_MAX);
    size_t len = strlen(r->told);
    if (len + topic.len + 24 < sizeof r->told)
        snprintf(r->told + len, sizeof r->told - len, "%s%c%.*s@%" PRIu64, len == 0 ? "" : " ",
                 added ? '+' : '-', (int)topic.len, (const char *)topic.ptr, peer.bits);
    r->subs_added += added ? 1 : 0;
    r->subs_ended += added ? 0 : 1;
    if (r->on_sub != NULL)
        r->on_sub(r, peer, added, topic);
}

static void on_slow(void *ctx, struct mcq_pipe *pipe, bool on)
{
    struct rig *r = ctx;
    cr_assert_eq(pipe->slow, on);
    if (on)
        r->slow_cnt++;
    else
        r->slow_end_cnt++;
}

static void on_sweep(void *ctx)
{
    struct rig *r = ctx;
    r->sweep_cnt++;
}

static void on_await(void *ctx, bool on)
{
    struct rig *r = ctx;
    r->await_on += on ? 1 : 0;
    r->await_off += on ? 0 : 1;
}

static const struct mcq_psock_up up_table = {
    .deliver = on_deliver,
    .writable = on_writable,
    .control = on_control,
    .resume = on_resume,
    .close_pipe = on_close_pipe,
    .dropped = on_dropped,
    .slow = on_slow,
    .subscription = on_subscription,
    .sweep = on_sweep,
    .await = on_await,
};

static void on_mark(void *ctx, struct mcq_pipe *pipe)
{
    (void)ctx;
    pipe->marked = true;
}

static void on_pressed(void *ctx, struct mcq_pipe *pipe)
{
    (void)ctx;
    (void)pipe;
}

static uint64_t on_random(void *ctx)
{
    (void)ctx;
    return UINT64_C(0xfffffffe); /* generated identities wrap soon */
}

/* --- the world ----------------------------------------------------------------------------- */

static const struct mcq_pattern_plan usual_plan = {
    .connections_max = RIG_PEERS_MAX,
    .peer_subs_max = 4096,
    .own_subs_max = 1024,
    .long_topics_max = 64,
    .hash_seed = 7,
};

#define RIG_SEGS 4096

static struct mcq_psock_opts usual_opts(enum mcq_sock_type type)
{
    bool drops = type == MCQ_PUB || type == MCQ_XPUB || type == MCQ_XSUB || type == MCQ_REP ||
                 type == MCQ_ROUTER;
    return (struct mcq_psock_opts){
        .subs_max = 10000,
        .subs_max_bytes = 1u << 20,
        .subs_sock_max = UINT32_MAX,
        .subs_sock_max_bytes = UINT32_MAX,
        .slow = drops ? MCQ_SLOW_DROP_NEW : MCQ_SLOW_BLOCK,
        .slow_to = MCQ_SLOW_BLOCK,
    };
}

struct rig *rig_new(enum mcq_sock_type type, const struct mcq_pattern_plan *plan)
{
    const struct mcq_psock_opts opts = usual_opts(type);
    return rig_new_opts(type, plan, &opts);
}

struct rig *rig_new_opts(enum mcq_sock_type type, const struct mcq_pattern_plan *plan,
                         const struct mcq_psock_opts *opts)
{
    struct rig *r = calloc(1, sizeof *r);
    struct mcq_buf_plan bufs = {{512, 512, 256, 8}, 16u << 20, 64};
    if (plan == NULL)
        plan = &usual_plan;
    size_t cap = mcq_buf_heap_footprint(&bufs) + mcq_pattern_shared_footprint(plan) +
                 mcq_pool_footprint(sizeof(struct mcq_seg), RIG_SEGS) + 4096;
    cr_assert_eq(mcq_arena_init(&r->arena, cap, MCQ_NODE_ANY, NULL), MCQ_OK);
    r->heap = mcq_buf_heap_init(&r->arena, &bufs, &r->mem);
    cr_assert_not_null(r->heap);
    cr_assert(mcq_pool_init(&r->segs, "segs", &r->arena, sizeof(struct mcq_seg), RIG_SEGS));
    r->shared = mcq_pattern_shared_init(&r->arena, plan, r->heap);
    cr_assert_not_null(r->shared);
    r->env = (struct mcq_pipe_env){.heap = r->heap,
                                   .segs = &r->segs,
                                   .stats = &r->stats,
                                   .ctx = r,
                                   .mark = on_mark,
                                   .pressed = on_pressed};
    r->refuse_from = SIZE_MAX;
    r->opts = *opts;
    struct mcq_psock_config config = {&up_table, r, &r->env, r->shared, on_random, NULL, &r->opts};
    mcq_psock_init(&r->s, mcq_pattern_of(type), &config);
    return r;
}

void rig_free(struct rig *r)
{
    while (r->peer_cnt != 0)
        rig_peer_free(r->peers[0]);
    rig_sweep(r);
    mcq_psock_fini(&r->s);
    cr_assert_eq(r->stats.peers_now, 0);
    cr_assert_eq(r->stats.subs_now, 0);
    cr_assert(r->s.pattern->type != MCQ_PUB || r->subs_added == r->subs_ended);
    cr_assert_eq(r->shared->fanout.subs.in_use, 0);
    cr_assert_eq(r->shared->fanout.subscribers.in_use, 0);
    cr_assert_eq(r->shared->fanout.topics.in_use, 0);
    cr_assert_eq(r->shared->prefixes.forks.in_use, 0);
    cr_assert_eq(r->shared->prefixes.map.cnt, 0);
    cr_assert_eq(r->shared->prefixes.long_cnt, 0);
    cr_assert_eq(r->shared->own_subs.in_use, 0);
    for (uint32_t i = 0; i < r->shared->registry.bucket_cnt; i++)
        cr_assert(mcq_list_empty(&r->shared->registry.buckets[i]));
    cr_assert_eq(r->segs.in_use, 0);
    cr_assert_eq(mcq_buf_heap_in_use(r->heap), 0);
    mcq_arena_fini(&r->arena);
    free(r);
}

void rig_sweep(struct rig *r)
{
    while (r->s.pattern->sweep != NULL && r->s.pattern->sweep(&r->s))
        continue;
}

const char *rig_told(struct rig *r)
{
    static char text[RIG_TEXT_LEN];
    memcpy(text, r->told, sizeof text);
    r->told[0] = '\0';
    return text;
}

/* --- peers --------------------------------------------------------------------------------- */

struct rig_peer *rig_peer_new(struct rig *r, bool connecting, uint32_t hwm_msgs)
{
    struct rig_peer *p = calloc(1, sizeof *p);
    cr_assert(r->peer_cnt < RIG_PEERS_MAX);
    p->rig = r;
    mcq_pipe_init(&p->pipe, &r->env, &r->s, hwm_msgs, UINT64_MAX);
    p->pipe.connecting = connecting;
    r->peers[r->peer_cnt++] = p;
    r->s.pattern->add(&r->s, &p->pipe);
    return p;
}

enum mcq_reason rig_attach(struct rig_peer *p, const char *identity)
{
    p->pipe.peer.bits = ++p->rig->next_bits;
    p->pipe.identity_len = 0;
    if (identity != NULL) {
        p->pipe.identity_len = (uint8_t)strlen(identity);
        memcpy(p->pipe.identity, identity, strlen(identity));
    }
    enum mcq_reason reason = p->rig->s.pattern->attach(&p->rig->s, &p->pipe);
    cr_assert_eq(p->pipe.up, reason == MCQ_REASON_NONE);
    return reason;
}

/* What the peer sent and nobody took goes with the connection, as does what it hadn't read. */
void rig_detach(struct rig_peer *p)
{
    p->rig->s.pattern->detach(&p->rig->s, &p->pipe);
    cr_assert(!p->pipe.up);
    for (size_t i = 0; i < p->in_cnt; i++)
        free(p->in[i]);
    p->in_cnt = 0;
    p->out_pos = p->out_len;
}

void rig_peer_free(struct rig_peer *p)
{
    struct rig *r = p->rig;
    rig_detach(p);
    r->s.pattern->remove(&r->s, &p->pipe);
    cr_assert_null(p->pipe.subscriber);
    mcq_pipe_fini(&p->pipe);
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        if (r->peers[i] == p) {
            r->peers[i] = r->peers[--r->peer_cnt];
            break;
        }
    free(p->out);
    memset(p, 0xa5, sizeof *p);
    free(p);
}

struct rig_peer *rig_peer_up(struct rig *r, const char *identity)
{
    struct rig_peer *p = rig_peer_new(r, false, MCQ_UNLIMITED);
    cr_assert_eq(rig_attach(p, identity), MCQ_REASON_NONE);
    return p;
}

/* --- messages ------------------------------------------------------------------------------ */

struct mcq_slice rig_slice(const char *text)
{
    return mcq_slice_of(text, strlen(text));
}

/* Splits text in place of its own storage: frames point into it. */
static struct mcq_msg msg_of(const char *text, struct mcq_frame *frames)
{
    uint32_t cnt = 0;
    for (;;) {
        size_t len = strcspn(text, "|");
        frames[cnt++] = (struct mcq_frame){text, len};
        if (text[len] == '\0')
            return mcq_msg_of_frames(frames, cnt);
        text += len + 1;
    }
}

enum mcq_error rig_send(struct rig *r, struct rig_peer *to, const char *text)
{
    static struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    struct mcq_msg m = msg_of(text, frames);
    return r->s.pattern->send(&r->s, to != NULL ? &to->pipe : NULL, &m);
}

static void out_append(struct rig_peer *p, const uint8_t *ptr, size_t len)
{
    if (p->out_len + len > p->out_cap) {
        p->out_cap = 2 * (p->out_len + len);
        p->out = realloc(p->out, p->out_cap);
    }
    memcpy(p->out + p->out_len, ptr, len);
    p->out_len += len;
}

size_t rig_drain(struct rig_peer *p)
{
    uint64_t before = p->pipe.msgs_out;
    while (!mcq_pipe_empty(&p->pipe)) {
        struct mcq_slice parts[64];
        uint32_t cnt;
        size_t len = mcq_pipe_gather(&p->pipe, parts, 64, 1u << 20, &cnt);
        for (uint32_t i = 0; i < cnt; i++)
            out_append(p, parts[i].ptr, parts[i].len);
        p->pipe.marked = false;
        if (mcq_pipe_sent(&p->pipe, len))
            p->rig->s.pattern->writable(&p->rig->s, &p->pipe);
    }
    p->pipe.marked = false;
    return (size_t)(p->pipe.msgs_out - before);
}

const char *rig_got(struct rig_peer *p)
{
    static char text[RIG_TEXT_LEN];
    struct mcq_frame frames[64];
    uint32_t cnt = 0;
    uint8_t flags = MCQ_FRAME_MORE;
    rig_drain(p);
    if (p->out_pos == p->out_len)
        return NULL;
    while ((flags & MCQ_FRAME_MORE) != 0) {
        uint64_t len = 0;
        size_t head = mcq_frame_head_get(mcq_slice_of(p->out + p->out_pos, p->out_len - p->out_pos),
                                         &flags, &len);
        cr_assert(head != 0 && len <= p->out_len - p->out_pos - head && cnt < 64);
        frames[cnt++] = (struct mcq_frame){p->out + p->out_pos + head, len};
        p->out_pos += head + len;
    }
    struct mcq_msg m = mcq_msg_of_frames(frames, cnt);
    text_of(&m, text, sizeof text);
    return text;
}

size_t rig_offer(struct rig_peer *p)
{
    static struct mcq_frame frames[256][32];
    struct mcq_msg msgs[256];
    p->resumed = false;
    if (p->in_cnt == 0 || p->user_paused)
        return 0;
    for (size_t i = 0; i < p->in_cnt; i++)
        msgs[i] = msg_of(p->in[i], frames[i]);
    size_t taken = p->rig->s.pattern->receive(&p->rig->s, &p->pipe, msgs, p->in_cnt);
    cr_assert(taken <= p->in_cnt);
    for (size_t i = 0; i < taken; i++)
        free(p->in[i]);
    p->in_cnt -= taken;
    memmove(p->in, p->in + taken, p->in_cnt * sizeof p->in[0]);
    return taken;
}

void rig_input(struct rig_peer *p, const char *text)
{
    cr_assert(p->in_cnt < 256);
    p->in[p->in_cnt++] = strdup(text);
    rig_offer(p);
}

void rig_turn(struct rig *r)
{
    bool again = true;
    while (again) {
        again = false;
        for (uint32_t i = 0; i < r->peer_cnt; i++)
            if (r->peers[i]->resumed) {
                rig_offer(r->peers[i]);
                again = true;
            }
    }
}

uint64_t rig_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
