/* Two shards on one thread, nothing of them but what bridges need, and a mesh between them: every
 * end of every bridge, whoever begins it, and random lives in which nothing is lost, doubled,
 * reordered or left out. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shards/shard.h"
#include "tests/support/body.h"

#define ARENA_LEN   (24u << 20)
#define BRIDGES_MAX 4u

struct far {
    struct mcq_bridge *b;
    uint64_t next;  /* message that is expected */
    uint32_t wants; /* messages it takes until it has had enough; UINT32_MAX: all */
    uint32_t controls;
    uint32_t controls_first; /* come before any message */
    uint32_t marks;          /* come to */
    uint32_t ended, closed;
    enum mcq_reason reason, refuse;
    struct mcq_msg kept[64];
    uint64_t kept_nr[64];
    uint32_t kept_cnt;
    bool keeps;
};

struct near {
    struct mcq_link link;
    struct mcq_bridge *b;
    uint64_t sent;
    uint32_t opened, held, ended, closed, rooms;
    uint64_t taken;
    enum mcq_reason reason;
    uint32_t lost;
    char said[64];
    uint32_t to_say, told; /* controls */
};

struct duo {
    struct mcq_shard *sh[3];
    struct mcq_arena arena[3];
    struct mcq_mesh *mesh;
    struct far far[3]; /* by shard */
    struct near near;
    uint64_t random;
};

static struct duo *duo; /* the ops' */

static uint32_t dice(uint32_t n)
{
    duo->random = duo->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(duo->random >> 33) % n;
}

/* --- a message tells its number and length -----------------------------------------------------
 */

static size_t len_of(uint64_t nr)
{
    static const size_t lens[] = {8, 9, 30, 300, 5000, 16384, 20000, 40000, 70000, 262144};
    uint64_t h = (nr + 1) * 0x9e3779b97f4a7c15u >> 40;
    return h % 4 != 0 ? 8 + h % 100 : lens[h / 4 % MCQ_CNT_OF(lens)];
}

static uint32_t frames_of(uint64_t nr)
{
    return nr % 5 == 0 ? 3 : 1;
}

static bool is_right(const struct mcq_msg *m, uint64_t nr)
{
    const uint32_t cnt = frames_of(nr);
    struct mcq_frame last = mcq_msg_frame(m, cnt - 1);
    return m->frame_cnt == cnt && last.len == len_of(nr) &&
           mcq_body_right(last.data, last.len, (uint32_t)nr);
}

static enum mcq_error put(struct mcq_pipe *p, uint64_t nr)
{
    static uint8_t bytes[262144];
    const uint32_t cnt = frames_of(nr);
    struct mcq_frame f[3] = {{"x", 1}, {"", 0}, {NULL, 0}};
    mcq_body_fill(bytes, len_of(nr), (uint32_t)nr);
    f[cnt - 1] = (struct mcq_frame){bytes, len_of(nr)};
    struct mcq_msg m = mcq_msg_of_frames(f, cnt);
    return mcq_pipe_put(p, (struct mcq_slice){NULL, 0}, &m, 0);
}

/* --- the far owner ------------------------------------------------------------------------------
 */

static size_t far_receive(struct mcq_bridge *b, struct mcq_msg *msgs, size_t n)
{
    struct far *f = b->ctx;
    cr_assert_geq(f->controls, f->controls_first);
    for (size_t i = 0; i < n; i++) {
        cr_assert(is_right(&msgs[i], f->next), "message %llu", (unsigned long long)f->next);
        if (f->keeps && f->kept_cnt < 64 && dice(3) == 0) {
            f->kept_nr[f->kept_cnt] = f->next;
            if (mcq_msg_keep(b->shard, &msgs[i], &f->kept[f->kept_cnt]) == MCQ_OK)
                f->kept_cnt++;
        }
        if (f->wants == 0)
            return i;
        f->wants -= f->wants != UINT32_MAX ? 1 : 0;
        f->next++;
    }
    return n;
}

static void far_control(struct mcq_bridge *b, struct mcq_slice body)
{
    struct far *f = b->ctx;
    cr_assert(body.len == 4u + f->controls * 100 % 4097);
    f->controls++;
}

/* A mark says how many were sent before it. */
static void far_marked(struct mcq_bridge *b, struct mcq_slice what)
{
    struct far *f = b->ctx;
    uint64_t sent;
    cr_assert(what.len == sizeof(sent));
    memcpy(&sent, what.ptr, sizeof(sent));
    cr_assert_eq(sent, f->next);
    f->marks++;
}

static void far_ended(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost)
{
    struct far *f = b->ctx;
    (void)lost;
    f->ended++;
    f->reason = reason;
}

static void far_closed(struct mcq_bridge *b)
{
    struct far *f = b->ctx;
    f->closed++;
    f->b = NULL;
}

static void far_oversized(struct mcq_bridge *b)
{
    struct far *f = b->ctx;
    f->next++;
    mcq_bridge_end(b, MCQ_REASON_LIMIT, 1);
}

static void far_introduce(struct mcq_bridge *b, struct mcq_writer *w)
{
    (void)b;
    (void)mcq_writer_put(w, mcq_slice_of_text("far"));
}

static const struct mcq_bridge_ops far_ops = {.introduce = far_introduce,
                                              .receive = far_receive,
                                              .marked = far_marked,
                                              .oversized = far_oversized,
                                              .control = far_control,
                                              .ended = far_ended,
                                              .closed = far_closed};

static enum mcq_reason far_accept(struct mcq_bridge *b, uint32_t from, struct mcq_slice what)
{
    struct far *f = &duo->far[b->shard->id];
    cr_assert(from == 0 && what.len == 4 && memcmp(what.ptr, "near", 4) == 0);
    if (f->refuse != MCQ_REASON_NONE)
        return f->refuse;
    cr_assert(f->b == NULL);
    f->b = b;
    b->ops = &far_ops;
    b->ctx = f;
    b->limits = (struct mcq_cargo_limits){1u << 20, 1u << 20, 8};
    return MCQ_REASON_NONE;
}

static mcq_bridge_accept_fn *const kinds[MCQ_BRIDGE_KIND_CNT] = {[MCQ_BRIDGE_PEER] = far_accept};

/* --- the near owner -----------------------------------------------------------------------------
 */

static void near_introduce(struct mcq_bridge *b, struct mcq_writer *w)
{
    (void)b;
    (void)mcq_writer_put(w, mcq_slice_of_text("near"));
}

static void near_opened(struct mcq_bridge *b, struct mcq_slice what)
{
    struct near *n = b->ctx;
    n->opened++;
    memcpy(n->said, what.ptr, what.len);
}

static void near_taken(struct mcq_bridge *b, uint64_t bytes, bool room)
{
    struct near *n = b->ctx;
    n->taken += bytes;
    n->rooms += room ? 1 : 0;
}

static void near_held(struct mcq_bridge *b)
{
    struct near *n = b->ctx;
    cr_assert(n->link.pipe.flight_cnt == 0 && b->lent == b->taken);
    n->held++;
}

static void near_ended(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost)
{
    struct near *n = b->ctx;
    cr_assert(n->link.pipe.flight_cnt == 0);
    n->ended++;
    n->reason = reason;
    n->lost = lost;
}

static void near_closed(struct mcq_bridge *b)
{
    struct near *n = b->ctx;
    cr_assert(n->link.pipe.flight_cnt == 0);
    n->closed++;
    n->link.bridge = NULL;
    n->b = NULL;
}

static const struct mcq_bridge_ops near_ops = {.introduce = near_introduce,
                                               .opened = near_opened,
                                               .taken = near_taken,
                                               .held = near_held,
                                               .ended = near_ended,
                                               .closed = near_closed};

/* Few at a time; some of them are long. */
static bool near_say(struct mcq_bridge *b)
{
    static const uint8_t body[8192];
    struct near *n = b->ctx;
    for (uint32_t i = 0; i < 2; i++) {
        if (n->told == n->to_say)
            return true;
        if (!mcq_bridge_control(b, mcq_slice_of(body, 4), mcq_slice_of(body, n->told * 100 % 4097)))
            return false;
        n->told++;
    }
    mcq_bridge_say(b);
    return true;
}

static const struct mcq_bridge_ops orderly_ops = {.introduce = near_introduce,
                                                  .opened = near_opened,
                                                  .say = near_say,
                                                  .says_first = true,
                                                  .taken = near_taken,
                                                  .ended = near_ended,
                                                  .closed = near_closed};

/* --- the rig ------------------------------------------------------------------------------------
 */

static void ignore(void *ctx, struct mcq_pipe *p)
{
    (void)ctx;
    (void)p;
}

static struct mcq_shard *shard_create(uint32_t id, struct mcq_arena *arena)
{
    const struct mcq_buf_plan plan = {
        .cnt = {256, 64, 128, 8}, .large_bytes = 4u << 20, .external_cnt = 256};
    struct mcq_shard *sh = calloc(1, sizeof(*sh));
    struct mcq_detail detail;
    cr_assert(sh != NULL && mcq_arena_init(arena, ARENA_LEN, MCQ_NODE_ANY, &detail) == MCQ_OK);
    sh->id = id;
    sh->heap = mcq_buf_heap_init(arena, &plan, &sh->stats.mem);
    cr_assert(sh->heap != NULL && mcq_remote_init(&sh->remote, arena, 256) &&
              mcq_pool_init(&sh->segs, "segments", arena, sizeof(struct mcq_seg), 512) &&
              mcq_bridges_init(&sh->bridges, arena, BRIDGES_MAX, 3));
    sh->bridges.kinds = kinds;
    sh->pin_max = 1u << 20;
    sh->env = (struct mcq_pipe_env){.heap = sh->heap,
                                    .segs = &sh->segs,
                                    .stats = &sh->stats.pattern,
                                    .mark = ignore,
                                    .pressed = ignore};
    sh->mesh = mcq_mesh_at(duo->mesh, id);
    mcq_mesh_attach_fd(sh->mesh, -1);
    return sh;
}

static void duo_open(uint64_t seed)
{
    const struct mcq_mesh_opts mo = {.cnt = 3, .spins = true};
    struct mcq_detail detail;
    duo = calloc(1, sizeof(*duo));
    duo->random = seed;
    cr_assert(mcq_mesh_create(&mo, &duo->mesh, &detail) == MCQ_OK);
    for (uint32_t i = 0; i < 3; i++) {
        duo->sh[i] = shard_create(i, &duo->arena[i]);
        duo->far[i].wants = UINT32_MAX;
    }
    mcq_pipe_init(&duo->near.link.pipe, &duo->sh[0]->env, NULL, 200, 1u << 20);
    duo->near.link.shard = duo->sh[0];
}

static void rubbish(struct mcq_shard *sh, uint32_t from, uint32_t tag, const void *body, size_t len)
{
    (void)sh;
    (void)from;
    (void)tag;
    (void)body;
    (void)len;
}

/* Until the next turn over there, the lane has no room. */
static void stop_up(uint32_t from, uint32_t to)
{
    struct mcq_mesh_end *e = duo->sh[from]->mesh;
    for (size_t len = MCQ_MESH_RECORD_MAX; len != 0; len /= 2)
        while (mcq_mesh_reserve(e, to, MCQ_LANE_BULK, MCQ_MESH_POST, len) != NULL)
            mcq_mesh_commit(e, to, MCQ_LANE_BULK);
}

static void turn(uint32_t id)
{
    struct mcq_mesh_handlers handlers = mcq_mesh_handlers;
    handlers.post = rubbish;
    struct mcq_shard *sh = duo->sh[id];
    mcq_shard_here = sh;
    (void)mcq_mesh_take(sh->mesh, sh, &handlers);
    (void)mcq_bridges_run(sh);
    (void)mcq_remote_run(sh);
    mcq_mesh_publish(sh->mesh);
}

static void turns(void)
{
    for (uint32_t i = 0; i < 12; i++)
        turn(i % 3);
}

static void open_near(uint32_t to)
{
    struct near *n = &duo->near;
    n->b = mcq_bridge_open(duo->sh[0], &n->link, to, MCQ_BRIDGE_PEER, &near_ops, n);
    cr_assert(n->b != NULL && n->link.bridge == n->b);
}

static void send_some(uint32_t cnt)
{
    struct near *n = &duo->near;
    mcq_shard_here = duo->sh[0];
    for (uint32_t i = 0; i < cnt && put(&n->link.pipe, n->sent) == MCQ_OK; i++)
        n->sent++;
    if (n->b != NULL)
        mcq_bridge_flush(n->b);
}

static void let_go(uint32_t id)
{
    struct far *f = &duo->far[id];
    mcq_shard_here = duo->sh[id];
    for (uint32_t i = 0; i < f->kept_cnt; i++) {
        cr_assert(is_right(&f->kept[i], f->kept_nr[i]));
        mcq_buf_msg_drop(duo->sh[id]->heap, &f->kept[i]);
    }
    f->kept_cnt = 0;
}

static void duo_close(void)
{
    for (uint32_t id = 1; id < 3; id++)
        let_go(id);
    turns();
    (void)mcq_pipe_fini(&duo->near.link.pipe);
    for (uint32_t i = 0; i < 3; i++) {
        struct mcq_shard *sh = duo->sh[i];
        cr_assert(sh->bridges.pool.in_use == 0 && sh->bridges.stats.stale == 0);
        cr_assert(sh->remote.out == 0 && sh->remote.refs.in_use == 0);
        cr_assert(mcq_buf_heap_in_use(sh->heap) == 0 && sh->segs.in_use == 0);
        mcq_arena_fini(&duo->arena[i]);
        free(sh);
    }
    mcq_mesh_destroy(duo->mesh);
    free(duo);
}

/* --- lives --------------------------------------------------------------------------------------
 */

Test(bridge, carries_in_order_and_ends_from_the_near_end)
{
    duo_open(1);
    open_near(1);
    send_some(60); /* before it is open */
    turns();
    cr_assert(duo->near.opened == 1 && strcmp(duo->near.said, "far") == 0);
    for (int i = 0; i < 100; i++) {
        send_some(20);
        turns();
    }
    cr_assert(duo->far[1].next == duo->near.sent && duo->near.sent > 1000);
    cr_assert(mcq_pipe_empty(&duo->near.link.pipe));
    mcq_bridge_end(duo->near.b, MCQ_REASON_LOCAL, 0);
    turns();
    cr_assert(duo->near.closed == 1 && duo->near.ended == 0);
    cr_assert(duo->far[1].closed == 1 && duo->far[1].ended == 1);
    cr_assert(duo->far[1].reason == MCQ_REASON_LOCAL);
    duo_close();
}

Test(bridge, what_was_not_taken_is_in_the_pipe_at_the_end)
{
    duo_open(2);
    duo->far[1].wants = 7;
    open_near(1);
    turns();
    send_some(30);
    turns();
    cr_assert(duo->far[1].next == 7 && duo->far[1].b->stalled);
    cr_assert(mcq_bridge_waiting(duo->far[1].b) != 0);
    mcq_bridge_end(duo->far[1].b, MCQ_REASON_TIMEOUT, 3);
    turns();
    cr_assert(duo->near.ended == 1 && duo->near.reason == MCQ_REASON_TIMEOUT);
    cr_assert(duo->near.lost == 3 && duo->near.closed == 1);
    (void)mcq_pipe_rewind(&duo->near.link.pipe);
    cr_assert(mcq_pipe_queued_msgs(&duo->near.link.pipe) == duo->near.sent - 7);
    duo_close();
}

Test(bridge, both_ends_may_end_at_once)
{
    duo_open(3);
    open_near(1);
    turns();
    mcq_bridge_end(duo->near.b, MCQ_REASON_LOCAL, 0);
    mcq_bridge_end(duo->far[1].b, MCQ_REASON_LOCAL, 0);
    turns();
    cr_assert(duo->near.closed == 1 && duo->far[1].closed == 1);
    cr_assert(duo->near.ended == 0 && duo->far[1].ended == 0);
    duo_close();
}

Test(bridge, ends_before_it_is_open)
{
    duo_open(4);
    open_near(1);
    send_some(3);
    mcq_bridge_end(duo->near.b, MCQ_REASON_LOCAL, 0);
    turns();
    cr_assert(duo->near.closed == 1 && duo->near.opened == 0 && duo->far[1].closed == 1);
    cr_assert(duo->far[1].next == 0);
    duo_close();
}

Test(bridge, is_refused_with_a_reason)
{
    duo_open(5);
    duo->far[1].refuse = MCQ_REASON_NO_PEER;
    open_near(1);
    turns();
    cr_assert(duo->near.ended == 1 && duo->near.closed == 1 && duo->near.opened == 0);
    cr_assert(duo->near.reason == MCQ_REASON_NO_PEER);
    duo_close();
}

Test(bridge, is_refused_where_there_is_no_end_left)
{
    void *all[BRIDGES_MAX];
    duo_open(6);
    for (uint32_t i = 0; i < BRIDGES_MAX; i++)
        all[i] = mcq_pool_take(&duo->sh[1]->bridges.pool);
    open_near(1);
    turns();
    cr_assert(duo->near.ended == 1 && duo->near.reason == MCQ_REASON_LIMIT);
    for (uint32_t i = 0; i < BRIDGES_MAX; i++)
        mcq_pool_give(&duo->sh[1]->bridges.pool, all[i]);
    duo_close();
}

Test(bridge, a_message_beyond_the_limits_ends_it_and_is_told_as_lost)
{
    static uint8_t bytes[300000];
    struct mcq_frame f = {bytes, sizeof(bytes)};
    struct mcq_msg m = mcq_msg_of_frames(&f, 1);
    duo_open(7);
    open_near(1);
    turns();
    duo->far[1].b->limits.frame_max = 262144;
    cr_assert(mcq_pipe_put(&duo->near.link.pipe, (struct mcq_slice){NULL, 0}, &m, 0) == MCQ_OK);
    mcq_bridge_flush(duo->near.b);
    turns();
    cr_assert(duo->near.lost == 1 && duo->near.reason == MCQ_REASON_LIMIT);
    cr_assert(mcq_pipe_empty(&duo->near.link.pipe));
    duo_close();
}

Test(bridge, controls_of_every_length_come_in_order)
{
    static uint8_t body[4200];
    duo_open(8);
    open_near(1);
    turns();
    for (uint32_t i = 0; i < 100; i++) {
        size_t len = 4 + i * 100 % 4097;
        while (!mcq_bridge_control(duo->near.b, mcq_slice_of(body, 4), mcq_slice_of(body, len - 4)))
            turns();
    }
    turns();
    cr_assert(duo->far[1].controls == 100);
    mcq_bridge_end(duo->near.b, MCQ_REASON_LOCAL, 0);
    turns();
    duo_close();
}

/* Also if they don't all go at once, wait for one another's end, or for room. */
Test(bridge, messages_wait_for_what_is_said_before_them)
{
    for (uint32_t full = 0; full < 2; full++) {
        duo_open(7);
        struct near *n = &duo->near;
        n->b = mcq_bridge_open(duo->sh[0], &n->link, 1, MCQ_BRIDGE_PEER, &orderly_ops, n);
        turns();
        n->to_say = 40;
        duo->far[1].controls_first = 40;
        if (full != 0)
            stop_up(0, 1);
        send_some(20);
        for (uint32_t i = 0; i < 200 && duo->far[1].next != 20; i++)
            turns();
        cr_assert(duo->far[1].next == 20 && duo->far[1].controls == 40);
        n->to_say = 41; /* one more, on its own */
        duo->far[1].controls_first = 41;
        send_some(1);
        for (uint32_t i = 0; i < 20; i++)
            turns();
        cr_assert(duo->far[1].next == 21);
        mcq_bridge_end(n->b, MCQ_REASON_LOCAL, 0);
        turns();
        duo_close();
    }
}

Test(bridge, held_has_nothing_out_and_goes_on)
{
    duo_open(9);
    duo->far[1].wants = 5;
    open_near(1);
    turns();
    send_some(40);
    turns();
    mcq_bridge_hold(duo->near.b);
    send_some(5);
    turns();
    cr_assert(duo->near.held == 1 && duo->far[1].next == 5);
    duo->far[1].wants = UINT32_MAX;
    turns();
    cr_assert(duo->far[1].next == 5);
    mcq_bridge_release(duo->near.b);
    turns();
    cr_assert(duo->far[1].next == duo->near.sent);
    mcq_bridge_end(duo->near.b, MCQ_REASON_LOCAL, 0);
    turns();
    duo_close();
}

Test(bridge, is_held_at_once_when_nothing_is_out)
{
    duo_open(10);
    open_near(1);
    turns();
    mcq_bridge_hold(duo->near.b);
    turn(0);
    turn(0);
    cr_assert(duo->near.held == 1);
    mcq_bridge_end(duo->near.b, MCQ_REASON_LOCAL, 0);
    turns();
    duo_close();
}

Test(bridge, goes_on_to_another_shard_where_it_was)
{
    duo_open(11);
    duo->far[1].wants = 9;
    open_near(1);
    turns();
    send_some(50);
    turns();
    mcq_bridge_hold(duo->near.b);
    turns();
    duo->far[2].next = duo->far[1].next;
    mcq_bridge_retarget(duo->near.b, 2, MCQ_REASON_REPLACED);
    turns();
    cr_assert(duo->far[1].closed == 1 && duo->far[1].reason == MCQ_REASON_REPLACED);
    cr_assert(duo->near.opened == 2 && duo->near.closed == 0 && duo->far[2].next == 9);
    mcq_bridge_release(duo->near.b);
    turns();
    cr_assert(duo->far[2].next == duo->near.sent && duo->near.b->to == 2);
    mcq_bridge_end(duo->near.b, MCQ_REASON_LOCAL, 0);
    turns();
    duo_close();
}

/* --- marks --------------------------------------------------------------------------------------
 */

static bool try_mark(void)
{
    struct near *n = &duo->near;
    bool full;
    mcq_shard_here = duo->sh[0];
    if (!mcq_bridge_may_mark(n->b, &full))
        return false;
    mcq_bridge_mark(n->b, mcq_slice_of(&n->sent, sizeof(n->sent)));
    return true;
}

Test(bridge, a_mark_lies_behind_what_was_sent_and_before_what_follows)
{
    duo_open(12);
    open_near(1);
    cr_assert(!try_mark(), "it isn't open");
    turns();
    cr_assert(try_mark(), "nothing before it");
    cr_assert(!try_mark(), "one at a time");
    turns();
    cr_assert_eq(duo->far[1].marks, 1);
    duo->far[1].wants = 5;
    for (uint32_t i = 0; i < 6; i++) /* more than flights may be out */
        send_some(7);
    cr_assert(try_mark());
    send_some(60);
    turns();
    cr_assert(duo->far[1].next == 5 && duo->far[1].marks == 1 && !try_mark());
    duo->far[1].wants = UINT32_MAX;
    mcq_bridge_resume(duo->far[1].b);
    turns();
    cr_assert(duo->far[1].next == duo->near.sent && duo->far[1].marks == 2);
    cr_assert(try_mark());
    mcq_bridge_end(duo->near.b, MCQ_REASON_LOCAL, 0);
    turns();
    duo_close();
}

Test(bridge, marks_of_random_lives_lie_where_they_were_put)
{
    uint32_t marks = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint32_t put = 0;
        duo_open(seed);
        duo->far[1].keeps = true;
        open_near(1);
        for (uint32_t i = 0; i < 600; i++) {
            struct far *f = &duo->far[1];
            switch (dice(6)) {
            case 0:
                send_some(dice(40));
                break;
            case 1:
                put += try_mark() ? 1 : 0;
                break;
            case 2:
                f->wants = dice(3) == 0 ? UINT32_MAX : dice(30);
                if (f->b != NULL && f->wants != 0)
                    mcq_bridge_resume(f->b);
                break;
            case 3:
                let_go(1);
                if (dice(2) == 0)
                    stop_up(0, 1);
                else
                    stop_up(1, 0);
                break;
            default:
                for (uint32_t k = dice(4); k != 0; k--)
                    turn(dice(2));
            }
        }
        for (uint32_t i = 0; i < 20; i++) {
            duo->far[1].wants = UINT32_MAX;
            let_go(1);
            mcq_bridge_resume(duo->far[1].b);
            mcq_bridge_flush(duo->near.b);
            turns();
        }
        cr_assert(duo->far[1].next == duo->near.sent && duo->far[1].marks == put);
        marks += put;
        mcq_bridge_end(dice(2) == 0 ? duo->near.b : duo->far[1].b, MCQ_REASON_LOCAL, 0);
        turns();
        duo_close();
    }
    cr_assert_gt(marks, 300);
}

/* --- random lives -------------------------------------------------------------------------------
 */

static void move_on(uint32_t *at)
{
    struct near *n = &duo->near;
    uint32_t to = 3 - *at;
    if (n->b->state != MCQ_BRIDGE_OPEN || !n->b->held || n->b->holding)
        return;
    cr_assert(duo->far[to].b == NULL || duo->far[to].closed != 0);
    duo->far[to].next = duo->far[*at].next;
    mcq_bridge_retarget(n->b, to, MCQ_REASON_REPLACED);
    *at = to;
}

static void step(uint32_t *at)
{
    struct near *n = &duo->near;
    struct far *f = &duo->far[*at];
    switch (dice(10)) {
    case 0:
    case 1:
    case 2:
        send_some(dice(40));
        break;
    case 3:
        f->wants = dice(3) == 0 ? UINT32_MAX : dice(30);
        if (f->b != NULL && f->wants != 0)
            mcq_bridge_resume(f->b);
        break;
    case 4:
        mcq_bridge_hold(n->b);
        break;
    case 5:
        if (n->b->held && !n->b->holding)
            mcq_bridge_release(n->b);
        break;
    case 6:
        if (dice(4) == 0)
            move_on(at);
        break;
    case 7:
        let_go(1 + dice(2));
        if (dice(2) == 0)
            stop_up(0, *at);
        else
            stop_up(*at, 0);
        break;
    default:
        for (uint32_t i = dice(4); i != 0; i--)
            turn(dice(3));
    }
}

static uint64_t lanes_full;

static void live(uint64_t seed)
{
    uint32_t at = 1;
    duo_open(seed);
    duo->far[1].keeps = true;
    duo->far[2].keeps = true;
    open_near(1);
    for (uint32_t i = 0; i < 600; i++)
        step(&at);
    for (uint32_t i = 0; i < 40; i++) { /* all that is left arrives */
        duo->far[1].wants = UINT32_MAX;
        duo->far[2].wants = UINT32_MAX;
        let_go(1);
        let_go(2);
        if (i < 10)
            stop_up(dice(3), dice(3));
        if (duo->near.b->held && !duo->near.b->holding)
            mcq_bridge_release(duo->near.b);
        if (duo->far[at].b != NULL)
            mcq_bridge_resume(duo->far[at].b);
        mcq_bridge_flush(duo->near.b);
        turns();
    }
    cr_assert(duo->far[at].next == duo->near.sent, "seed %llu: %llu of %llu",
              (unsigned long long)seed, (unsigned long long)duo->far[at].next,
              (unsigned long long)duo->near.sent);
    cr_assert(mcq_pipe_empty(&duo->near.link.pipe));
    mcq_bridge_end(dice(2) == 0 ? duo->near.b : duo->far[at].b, MCQ_REASON_LOCAL, 0);
    turns();
    cr_assert(duo->near.closed == 1);
    lanes_full += duo->sh[0]->bridges.stats.lanes_full + duo->sh[1]->bridges.stats.lanes_full;
    duo_close();
}

Test(bridge, random_lives_lose_nothing)
{
    for (uint64_t seed = 1; seed <= 24; seed++)
        live(seed);
    cr_assert(lanes_full > 24);
}
