/* What waits in a pipe and in a session goes from one shard's memory into another's and back, any
 * number of times: the same bytes come out, and nothing is left behind anywhere. */
#include <criterion/criterion.h>
#include <string.h>

#include "shards/options.h"
#include "shards/shard.h"
#include "tests/support/text.h"

#define LARGE_LEN (300u << 10)

static struct mcq_shard shards[3];
static struct mcq_psock psocks[3]; /* of no pattern: pipes alone */
static uint64_t seed;

static uint32_t roll(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static void open_shard(uint32_t id, uint32_t large_mib)
{
    struct mcq_opts opts = MCQ_OPTS_INIT, eff;
    struct mcq_detail detail = {.text = ""};
    opts.shards = 3;
    opts.cpus = "none";
    opts.arena_bytes = 16u << 20;
    opts.large_bytes = (uint64_t)large_mib << 20;
    opts.connections_max = 64;
    opts.no_mlock = true;
    cr_assert_eq(mcq_opts_effective(&opts, &eff, &detail), MCQ_OK, "%s", detail.text);
    cr_assert_eq(mcq_shard_init(&shards[id], id, &eff, NULL, &detail), MCQ_OK, "%s", detail.text);
}

static void open_all(void)
{
    for (uint32_t i = 0; i < 3; i++)
        open_shard(i, 16);
}

/* Brings home what is due, as the mesh would. */
static void bring_home(void)
{
    for (uint32_t h = 0; h < 3; h++)
        for (uint32_t o = 0; o < 3; o++) {
            struct mcq_remote *r = &shards[h].remote;
            while (r->due[o] != NULL) {
                struct mcq_remote_ref *ref = r->due[o];
                uint32_t idx = ref->idx;
                r->due[o] = ref->next;
                r->due_cnt--;
                mcq_pool_give(&r->refs, ref);
                mcq_remote_arrived(&shards[o], h, &idx, sizeof(idx));
            }
        }
}

/* What the loop itself holds. */
static uint32_t before[3];

static void note(void)
{
    for (uint32_t i = 0; i < 3; i++)
        before[i] = mcq_buf_heap_in_use(shards[i].heap) + shards[i].segs.in_use;
}

static void all_is_home(void)
{
    bring_home();
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(mcq_buf_heap_in_use(shards[i].heap) + shards[i].segs.in_use, before[i]);
        cr_assert_eq(mcq_remote_out_cnt(&shards[i]), 0);
        cr_assert_eq(mcq_remote_held_cnt(&shards[i]), 0);
    }
}

static void quiet_mark(void *ctx, struct mcq_pipe *p)
{
    (void)ctx;
    p->marked = true;
}

static void quiet(void *ctx, struct mcq_pipe *p)
{
    (void)ctx;
    (void)p;
}

static void pipe_open(struct mcq_pipe *p, uint32_t id)
{
    shards[id].env.mark = quiet_mark;
    shards[id].env.pressed = quiet;
    mcq_pipe_init(p, &shards[id].env, &psocks[id], MCQ_UNLIMITED, UINT64_MAX);
}

/* As a pipe stores it. */
static void encode(struct mcq_text *want, const struct mcq_msg *m)
{
    for (uint32_t i = 0; i < m->frame_cnt; i++) {
        struct mcq_frame f = mcq_msg_frame(m, i);
        uint8_t head[MCQ_FRAME_HEAD_MAX];
        uint8_t flags = i + 1 < m->frame_cnt ? MCQ_FRAME_MORE : 0;
        uint8_t *end = mcq_frame_head_put(head, flags, f.len);
        mcq_text_add(want, head, (size_t)(end - head));
        mcq_text_add(want, f.data, f.len);
    }
}

static void put_random(struct mcq_shard *sh, struct mcq_pipe *p, struct mcq_text *want)
{
    static uint8_t bytes[LARGE_LEN];
    struct mcq_frame frames[4];
    struct mcq_msg m;
    size_t len = roll(4) != 0 ? roll(200) : roll(6) != 0 ? roll(40000) : LARGE_LEN;
    uint32_t cnt = roll(3) == 0 ? 1 + roll(4) : 1;
    memset(bytes, (int)roll(256), len);
    for (uint32_t i = 0; i < cnt; i++)
        frames[i] = (struct mcq_frame){bytes, i == 0 ? len : len == 0 ? 0 : roll((uint32_t)len)};
    m = cnt == 1 ? mcq_msg_of(bytes, len) : mcq_msg_of_frames(frames, cnt);
    struct mcq_msg owned = {NULL, 0, NULL, 0, 0};
    bool keep = roll(2) == 0; /* an owned one: its bodies are shared */
    if (keep && mcq_buf_msg_keep(sh->heap, SIZE_MAX, &m, &owned) != MCQ_OK)
        return;
    if (mcq_pipe_put(p, (struct mcq_slice){NULL, 0}, keep ? &owned : &m, 0) == MCQ_OK)
        encode(want, &m);
    if (keep)
        mcq_buf_msg_drop(sh->heap, &owned);
}

/* Some of it has gone out, in a send that took only a part. */
static void send_some(struct mcq_pipe *p, struct mcq_text *out)
{
    struct mcq_slice iov[8];
    uint32_t cnt = 0;
    if (mcq_pipe_empty(p))
        return;
    size_t len = mcq_pipe_gather(p, iov, 1 + roll(8), 1 + roll(100000), &cnt);
    size_t taken = roll(3) == 0 ? len : roll((uint32_t)len + 1);
    size_t left = taken;
    for (uint32_t i = 0; i < cnt && left != 0; i++) {
        size_t n = mcq_min(left, iov[i].len);
        mcq_text_add(out, iov[i].ptr, n);
        left -= n;
    }
    (void)mcq_pipe_sent(p, taken);
}

static bool hand_over(struct mcq_pipe *pipes, uint32_t from, uint32_t to)
{
    struct mcq_pipe_queue q, copy;
    struct mcq_pipe *p = &pipes[from];
    uint64_t msgs = mcq_pipe_queued_msgs(p), bytes = mcq_pipe_queued_bytes(p);
    mcq_pipe_take_out(p, &q);
    cr_assert(mcq_pipe_empty(p) && mcq_pipe_queued_msgs(p) == 0);
    mcq_pack_choose(&q);
    if (!mcq_pack_take(&shards[to], from, &q, &copy)) {
        cr_assert_null(copy.head);
        mcq_pipe_put_back(p, &q);
        cr_assert_eq(mcq_pipe_queued_bytes(p), bytes);
        return false;
    }
    mcq_pack_settle(&shards[from], &q);
    mcq_pipe_put_back(&pipes[to], &copy);
    cr_assert_eq(mcq_pipe_queued_msgs(&pipes[to]), msgs);
    cr_assert_eq(mcq_pipe_queued_bytes(&pipes[to]), bytes);
    return true;
}

static void drain(struct mcq_pipe *p, struct mcq_text *out)
{
    while (!mcq_pipe_empty(p))
        send_some(p, out);
}

static void same_stream(uint64_t s, uint32_t shard_cnt)
{
    struct mcq_pipe pipes[3];
    struct mcq_text got = {NULL, 0, 0}, want = {NULL, 0, 0};
    uint32_t at = 0;
    seed = s;
    for (uint32_t i = 0; i < 3; i++)
        pipe_open(&pipes[i], i);
    for (uint32_t step = 0; step < 80; step++) {
        for (uint32_t i = roll(4); i != 0; i--)
            put_random(&shards[at], &pipes[at], &want);
        if (roll(2) == 0)
            send_some(&pipes[at], &got);
        uint32_t to = (at + 1 + roll(shard_cnt - 1)) % shard_cnt;
        if (roll(2) == 0 && hand_over(pipes, at, to))
            at = to;
        if (roll(4) != 0)
            bring_home();
    }
    drain(&pipes[at], &got);
    cr_assert_eq(got.len, want.len);
    cr_assert(want.len == 0 || memcmp(got.ptr, want.ptr, got.len) == 0);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(mcq_pipe_fini(&pipes[i]), 0);
    all_is_home();
    mcq_text_fini(&got);
    mcq_text_fini(&want);
}

Test(handoff_pack, what_is_queued_goes_out_as_it_was_put)
{
    open_all();
    note();
    for (uint64_t s = 0; s < 150; s++)
        same_stream(s, 2 + s % 2);
}

static struct mcq_msg owned_of(struct mcq_shard *sh, size_t len, int fill)
{
    static uint8_t bytes[LARGE_LEN];
    struct mcq_msg owned;
    memset(bytes, fill, len);
    struct mcq_msg m = mcq_msg_of(bytes, len);
    cr_assert_eq(mcq_buf_msg_keep(sh->heap, SIZE_MAX, &m, &owned), MCQ_OK);
    return owned;
}

Test(handoff_pack, a_body_that_goes_round_is_lent_once)
{
    struct mcq_pipe pipes[3];
    struct mcq_text got = {NULL, 0, 0};
    open_all();
    note();
    for (uint32_t i = 0; i < 3; i++)
        pipe_open(&pipes[i], i);
    struct mcq_msg m = owned_of(&shards[1], LARGE_LEN, 7);
    cr_assert_eq(mcq_pipe_put(&pipes[1], (struct mcq_slice){NULL, 0}, &m, 0), MCQ_OK);
    mcq_buf_msg_drop(shards[1].heap, &m);
    uint32_t at = 1;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t to = (at + 1 + i % 2) % 3;
        cr_assert(hand_over(pipes, at, to));
        at = to;
        cr_assert_eq(mcq_remote_out_cnt(&shards[1]), at == 1 ? 0 : 1);
        cr_assert_eq(mcq_remote_out_cnt(&shards[0]) + mcq_remote_out_cnt(&shards[2]), 0);
        for (uint32_t k = 0; k < 3; k++) /* nothing is even due: the one reference goes along */
            cr_assert_eq(mcq_remote_held_cnt(&shards[k]), k == at && at != 1 ? 1 : 0);
    }
    drain(&pipes[at], &got);
    cr_assert_gt(got.len, LARGE_LEN);
    cr_assert_eq((uint8_t)got.ptr[got.len - 1], 7);
    for (uint32_t i = 0; i < 3; i++)
        mcq_pipe_fini(&pipes[i]);
    all_is_home();
    mcq_text_fini(&got);
}

Test(handoff_pack, a_cut_message_is_whole_again_after_a_rewind)
{
    open_all();
    note();
    for (uint32_t taken = 1; taken < 70000; taken += 1 + taken / 3) {
        struct mcq_pipe pipes[2];
        struct mcq_text want = {NULL, 0, 0}, got = {NULL, 0, 0};
        struct mcq_slice iov[8];
        uint32_t cnt;
        static uint8_t body[70000];
        pipe_open(&pipes[0], 0);
        pipe_open(&pipes[1], 1);
        struct mcq_frame frames[2] = {{body, sizeof(body)}, {"tail", 4}};
        struct mcq_msg m = mcq_msg_of_frames(frames, 2);
        cr_assert_eq(mcq_pipe_put(&pipes[0], (struct mcq_slice){NULL, 0}, &m, 0), MCQ_OK);
        encode(&want, &m);
        mcq_pipe_gather(&pipes[0], iov, 8, 262144, &cnt);
        (void)mcq_pipe_sent(&pipes[0], taken);
        cr_assert(hand_over(pipes, 0, 1));
        cr_assert(mcq_pipe_rewind(&pipes[1]));
        drain(&pipes[1], &got);
        cr_assert_eq(got.len, want.len);
        cr_assert_arr_eq(got.ptr, want.ptr, want.len);
        mcq_text_fini(&got);
        mcq_text_fini(&want);
        mcq_pipe_fini(&pipes[0]);
        mcq_pipe_fini(&pipes[1]);
        all_is_home();
    }
}

/* A taker without segments, without references and blocks: it takes nothing and has lost nothing,
 * and the giver goes on. */
Test(handoff_pack, a_taker_without_room_takes_nothing)
{
    struct mcq_pipe pipes[3];
    struct mcq_text got = {NULL, 0, 0}, want = {NULL, 0, 0};
    open_all();
    note();
    for (uint32_t i = 0; i < 3; i++)
        pipe_open(&pipes[i], i);
    seed = 3;
    for (uint32_t i = 0; i < 40; i++)
        put_random(&shards[0], &pipes[0], &want);
    struct mcq_seg *hoard = NULL;
    while (shards[1].segs.max - shards[1].segs.in_use > 5) {
        struct mcq_seg *seg = mcq_pool_take(&shards[1].segs);
        seg->next = hoard;
        hoard = seg;
    }
    uint32_t in_use = mcq_buf_heap_in_use(shards[1].heap);
    cr_assert_not(hand_over(pipes, 0, 1));
    cr_assert_eq(mcq_buf_heap_in_use(shards[1].heap), in_use);
    cr_assert_eq(shards[1].remote.due_cnt, 0);
    while (hoard != NULL) {
        struct mcq_seg *next = hoard->next;
        mcq_pool_give(&shards[1].segs, hoard);
        hoard = next;
    }
    cr_assert(hand_over(pipes, 0, 1));
    drain(&pipes[1], &got);
    cr_assert_eq(got.len, want.len);
    cr_assert_arr_eq(got.ptr, want.ptr, want.len);
    mcq_text_fini(&got);
    mcq_text_fini(&want);
    for (uint32_t i = 0; i < 3; i++)
        mcq_pipe_fini(&pipes[i]);
    all_is_home();
}

/* --- sessions -------------------------------------------------------------------------------- */

static void fill_window(struct mcq_shard *sh, struct mcq_window *win, size_t len, uint8_t from)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)(from + i * 31);
        cr_assert(mcq_window_append(sh->heap, win, mcq_slice_of(&byte, 1), 0));
    }
}

static void check_window(const struct mcq_window *win, size_t len, uint8_t from)
{
    struct mcq_slice s = mcq_window_slice(win);
    cr_assert_eq(s.len, len);
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(s.ptr[i], (uint8_t)(from + i * 31));
}

static void hand_over_session(struct mcq_session *sessions, uint32_t from, uint32_t to)
{
    struct mcq_session *src = &sessions[from], *dst = &sessions[to];
    enum mcq_way way = mcq_pack_choose_window(src);
    cr_assert(mcq_pack_take_session(&shards[to], from, src, way, dst));
    mcq_pack_settle_session(&shards[from], src, way);
    cr_assert_null(src->win.buf);
    cr_assert(dst->moving);
}

Test(handoff_pack, a_session_goes_with_what_waits_in_it)
{
    static const size_t lens[] = {1, 300, 5000, 40000, 200000};
    static struct mcq_session sessions[3];
    open_all();
    note();
    for (uint32_t k = 0; k < MCQ_CNT_OF(lens); k++) {
        uint32_t at = 0;
        sessions[0] = (struct mcq_session){.msgs_in = 77, .paused = true, .ctl_sent = 3};
        fill_window(&shards[0], &sessions[0].win, lens[k], 9);
        mcq_window_consume(shards[0].heap, &sessions[0].win, lens[k] / 3);
        sessions[0].ctl = mcq_buf_take(shards[0].heap, 10);
        mcq_bytes_copy(sessions[0].ctl->base, "0123456789", 10);
        sessions[0].ctl->written = 10;
        sessions[0].v1.buf = mcq_buf_take(shards[0].heap, 600);
        sessions[0].v1.buf->written = 600;
        sessions[0].v1.sent = 5;
        for (uint32_t i = 0; i < 10; i++) {
            uint32_t to = (at + 1 + i % 2) % 3;
            hand_over_session(sessions, at, to);
            at = to;
        }
        struct mcq_session *s = &sessions[at];
        check_window(&s->win, lens[k] - lens[k] / 3, (uint8_t)(9 + lens[k] / 3 * 31));
        cr_assert(s->paused && s->msgs_in == 77 && s->v1.sent == 5);
        cr_assert_eq(s->ctl->written - s->ctl_sent, 7);
        cr_assert_arr_eq(s->ctl->base + s->ctl_sent, "3456789", 7);
        mcq_pack_undo_session(&shards[at], s);
        all_is_home();
    }
}

/* Half of a large body: it stays where it is, the rest of it is received behind. */
Test(handoff_pack, a_body_under_way_is_received_where_it_lies)
{
    static struct mcq_session sessions[3];
    open_all();
    note();
    uint32_t at = 0;
    sessions[0] = (struct mcq_session){.paused = false};
    struct mcq_window *win = &sessions[0].win;
    win->buf = mcq_buf_take(shards[0].heap, 3 * LARGE_LEN);
    const uint8_t *base = win->buf->base;
    for (uint32_t i = 0; i < 30; i++) {
        win = &sessions[at].win;
        uint8_t *to_here = win->buf->base + win->off + win->len;
        for (size_t k = 0; k < 10000; k++)
            to_here[k] = (uint8_t)((win->len + k) * 31);
        win->len += 10000;
        if (win->buf->written < win->off + win->len)
            win->buf->written = win->off + win->len;
        hand_over_session(sessions, at, (at + 1 + i % 2) % 3);
        at = (at + 1 + i % 2) % 3;
        cr_assert_eq(sessions[at].win.buf->base, base);
        cr_assert_geq(mcq_window_room(&sessions[at].win), 2 * LARGE_LEN);
    }
    check_window(&sessions[at].win, 300000, 0);
    mcq_window_drop(shards[at].heap, &sessions[at].win);
    all_is_home();
}

/* A view that a user has kept stays what it is, whoever has the window now. */
Test(handoff_pack, a_kept_view_outlives_the_window)
{
    static struct mcq_session sessions[3];
    open_all();
    note();
    sessions[0] = (struct mcq_session){.paused = false};
    struct mcq_window *win = &sessions[0].win;
    win->buf = mcq_buf_take(shards[0].heap, 2 * LARGE_LEN);
    fill_window(&shards[0], win, 100000, 1);
    struct mcq_buf *kept = win->buf;
    mcq_buf_ref(shards[0].heap, kept);
    hand_over_session(sessions, 0, 1);
    struct mcq_buf *kept_too = sessions[1].win.buf;
    mcq_buf_ref(shards[1].heap, kept_too);
    mcq_window_consume(shards[1].heap, &sessions[1].win, 90000);
    hand_over_session(sessions, 1, 2);
    cr_assert(mcq_window_reserve(shards[2].heap, &sessions[2].win, 2 * LARGE_LEN - 20000));
    check_window(&sessions[2].win, 10000, (uint8_t)(1 + 90000 * 31));
    for (size_t i = 0; i < 90000; i++)
        cr_assert(kept->base[i] == (uint8_t)(1 + i * 31) && kept_too->base[i] == kept->base[i]);
    mcq_window_drop(shards[2].heap, &sessions[2].win);
    bring_home();
    cr_assert_eq(mcq_remote_out_cnt(&shards[1]), 0);
    mcq_buf_unref(shards[1].heap, kept_too);
    mcq_buf_unref(shards[0].heap, kept);
    all_is_home();
}
