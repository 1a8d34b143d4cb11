/* Receiving: credit, the line of starved receives, one's own block, taking a receive back. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "runtime/loop_private.h"

static struct rig r;
static uint8_t pattern[4u << 20];

static void setup(const struct rig_mask *m, struct rig_opts o, struct mcq_conn **c, int *peer)
{
    o.features = m->text;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 2654435761u >> 11);
    rig_open(&r, &o);
    *c = rig_adopt(&r, peer);
}

static void finish(struct mcq_conn *c, int peer)
{
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    rig_drop_kept(&r);
    close(peer);
    rig_close(&r);
}

/* A peer that floods gets no further than the credit and one block, until armed again. */
RIG_MASKS(recv, credit_is_respected)
{
    enum { CREDIT = 100000 };
    struct mcq_conn *c;
    int peer;
    setup(m, (struct rig_opts){.cold = true}, &c, &peer);
    mcq_conn_recv(r.loop, c, CREDIT);
    size_t wanted = 0;
    for (unsigned round = 1; round <= 5; round++) {
        ssize_t n = 0;
        for (unsigned i = 0; i < 50; i++, rig_turn(&r))
            if (wanted + 65536 <= sizeof(pattern) &&
                (n = send(peer, pattern + wanted, 65536, MSG_NOSIGNAL)) > 0)
                wanted += (size_t)n;
        rig_turns(&r, 200);
        cr_assert_leq(r.rec.len, round * (CREDIT + MCQ_BUF_RX_LEN));
        cr_assert_not(c->recv_armed);
        if (r.shot)
            cr_assert_geq(r.rec.len, round * CREDIT);
        mcq_conn_recv(r.loop, c, CREDIT);
    }
    cr_assert_eq(memcmp(r.rec.data, pattern, r.rec.len), 0);
    if (r.shot)
        cr_assert_geq(r.stats.shots_limited, 4);
    finish(c, peer);
}

/* No credit, no byte: what isn't armed stays in the kernel. */
RIG_MASKS(recv, nothing_without_credit)
{
    struct mcq_conn *c;
    int peer;
    setup(m, (struct rig_opts){0}, &c, &peer);
    rig_write(&r, peer, "abc", 3);
    rig_turns(&r, 100);
    cr_assert_eq(r.rec.cnt[MCQ_IO_RECV], 0);
    mcq_conn_recv(r.loop, c, 1000);
    rig_await_data(&r, 3);
    finish(c, peer);
}

/* All blocks are kept: receives wait in the line, and go on once blocks are back. */
RIG_MASKS(recv, starved_line)
{
    enum { PEERS = 24, LEN = 70000 };
    struct mcq_conn *c[PEERS];
    int peer[PEERS];
    setup(m, (struct rig_opts){.conns = PEERS, .blocks = 6}, &c[0], &peer[0]);
    for (unsigned i = 1; i < PEERS; i++)
        c[i] = rig_adopt(&r, &peer[i]);
    r.rec.keep = true;
    size_t sent = 0;
    for (unsigned i = 0; i < PEERS; i++) {
        mcq_conn_recv(r.loop, c[i], 1u << 20);
        for (size_t at = 0, n; at < LEN; at += n) {
            n = LEN - at < 10000 ? LEN - at : 10000;
            rig_write(&r, peer[i], pattern + at, n);
        }
        sent += LEN;
    }
    rig_turns(&r, 300);
    cr_assert_lt(r.rec.len, 7u * MCQ_BUF_RX_LEN);
    cr_assert_gt(r.stats.enobufs, 0);
    uint64_t rearms = r.stats.rearms, sqes = r.stats.sqes;
    rig_turns(&r, 300);
    cr_assert_eq(r.stats.rearms, rearms, "armed again without blocks");
    cr_assert_eq(r.stats.sqes, sqes);
    r.rec.keep = false;
    rig_drop_kept(&r);
    while (r.rec.len < sent) {
        rig_await_data(&r, r.rec.len + 1);
        for (unsigned i = 0; i < PEERS; i++)
            mcq_conn_recv(r.loop, c[i], 1u << 20);
    }
    cr_assert_gt(r.stats.rearms, rearms);
    for (unsigned i = 1; i < PEERS; i++) {
        cr_assert_eq(c[i]->bytes_in, LEN);
        mcq_conn_abort(r.loop, c[i]);
        close(peer[i]);
    }
    rig_await(&r, MCQ_IO_CLOSED, PEERS - 1);
    mcq_conn_abort(r.loop, c[0]);
    rig_await(&r, MCQ_IO_CLOSED, PEERS);
    close(peer[0]);
    rig_close(&r);
}

/* The ring grows when it ran dry, and its blocks come home. */
RIG_MASKS(recv, watermark_rises)
{
    struct mcq_conn *c;
    int peer;
    setup(m, (struct rig_opts){.blocks = 256, .cold = true}, &c, &peer);
    uint64_t target = r.stats.ring_target_now;
    for (unsigned i = 0; i < 40 && r.stats.ring_target_now == target; i++) {
        for (ssize_t n = 1; n > 0;)
            n = send(peer, pattern, sizeof(pattern), MSG_NOSIGNAL);
        mcq_conn_recv(r.loop, c, 4u << 20);
        rig_turns(&r, 20);
    }
    if (r.shot)
        cr_assert_gt(r.stats.ring_target_now, target);
    else
        cr_assert_eq(r.stats.ring_target_now, target);
    finish(c, peer);
}

/* However often the ring ran dry: half of the blocks are never in it, since none comes back from it
 * as long as nothing is received. */
RIG_MASKS(recv, half_of_the_blocks_stay_out_of_the_ring)
{
    struct mcq_conn *c;
    int peer;
    setup(m, (struct rig_opts){.blocks = 128}, &c, &peer);
    struct mcq_bufring *ring = &r.loop->rx;
    for (unsigned i = 0; i < 40; i++) {
        mcq_bufring_starved(ring, mcq_loop_now(r.loop));
        cr_assert(mcq_bufring_topup(ring));
    }
    cr_assert_eq(r.stats.ring_target_now, 64);
    cr_assert_eq(mcq_buf_heap_left(r.heap), 64);
    finish(c, peer);
}

/* Kept slices stay as they were while the kernel goes on filling (the rest of) the ring. */
RIG_MASKS(recv, kept_bytes_dont_change)
{
    struct mcq_conn *c;
    int peer;
    uint8_t copy[32][100];
    const uint8_t *where[32];
    setup(m, (struct rig_opts){0}, &c, &peer);
    mcq_conn_recv(r.loop, c, 1u << 20);
    r.rec.keep = true;
    for (unsigned i = 0; i < 32; i++) {
        memset(copy[i], (int)i + 1, 100);
        rig_write(&r, peer, copy[i], 100);
        rig_await_data(&r, (i + 1) * 100);
        const struct mcq_io_event *ev = &r.rec.last[MCQ_IO_RECV];
        cr_assert_eq(ev->len, 100);
        where[i] = ev->buf->base + ev->off;
        mcq_conn_recv(r.loop, c, 1u << 20);
    }
    for (unsigned i = 0; i < 32; i++)
        cr_assert_eq(memcmp(where[i], copy[i], 100), 0);
    finish(c, peer);
}

/* The end of the stream brings no block, whatever the flags say: many ends use none up. */
RIG_MASKS(recv, ends_use_no_block)
{
    struct mcq_conn *first, *c;
    int first_peer, peer;
    setup(m, (struct rig_opts){.blocks = 6}, &first, &first_peer);
    for (unsigned i = 0; i < 10; i++) {
        c = rig_adopt(&r, &peer);
        mcq_conn_recv(r.loop, c, 65536);
        rig_turn(&r);
        if (i % 2 == 0)
            rig_write(&r, peer, "x", 1);
        close(peer);
        while (r.rec.cnt[MCQ_IO_EOF] != i + 1) {
            rig_turn(&r);
            mcq_conn_recv(r.loop, c, 65536);
        }
        cr_assert(c->eof);
        cr_assert_not(c->recv_armed);
        mcq_conn_abort(r.loop, c);
        rig_await(&r, MCQ_IO_CLOSED, i + 1);
    }
    cr_assert_eq(r.rec.len, 5);
    mcq_conn_abort(r.loop, first);
    rig_await(&r, MCQ_IO_CLOSED, 11);
    close(first_peer);
    rig_close(&r);
}

/* --- RECV_INTO ------------------------------------------------------------------------------- */

RIG_MASKS(recv, into_own_block)
{
    enum { LEN = 1000000 };
    struct mcq_conn *c;
    int peer;
    setup(m, (struct rig_opts){.large_bytes = 4u << 20}, &c, &peer);
    struct mcq_buf *b = mcq_buf_take(r.heap, LEN);
    cr_assert_not_null(b);
    mcq_conn_recv(r.loop, c, 65536);
    rig_write(&r, peer, "head", 4);
    rig_await_data(&r, 4);
    mcq_conn_recv_stop(r.loop, c);
    while (c->recv_armed)
        rig_turn(&r);
    r.rec.into = true;
    r.rec.len = 0;
    size_t at = 0;
    while (b->written < LEN) {
        if (!c->recv_armed)
            mcq_conn_recv_into(r.loop, c, b, (uint32_t)b->written, (uint32_t)(LEN - b->written));
        ssize_t n = at < LEN + 10 ? send(peer, pattern + at, LEN + 10 - at, MSG_NOSIGNAL) : 0;
        at += n > 0 ? (size_t)n : 0;
        rig_turn(&r);
    }
    cr_assert_eq(b->written, LEN);
    cr_assert_eq(r.rec.len, LEN);
    cr_assert_eq(memcmp(b->base, pattern, LEN), 0);
    rig_write(&r, peer, pattern + at, LEN + 10 - at);
    r.rec.into = false;
    r.rec.len = 0;
    mcq_conn_recv(r.loop, c, 65536);
    rig_await_data(&r, 10);
    cr_assert_eq(memcmp(r.rec.data, pattern + LEN, 10), 0);
    mcq_buf_unref(r.heap, b);
    finish(c, peer);
}

/* Aborted while it receives into a block whose owner has let go of it already. */
RIG_MASKS(recv, into_aborted)
{
    struct mcq_conn *c;
    int peer;
    setup(m, (struct rig_opts){.large_bytes = 4u << 20}, &c, &peer);
    struct mcq_buf *b = mcq_buf_take(r.heap, 1000000);
    mcq_conn_recv_into(r.loop, c, b, 0, 1000000);
    rig_turns(&r, 3);
    mcq_buf_unref(r.heap, b);
    cr_assert_neq(r.mem.large_now, 0, "still the kernel's");
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    cr_assert_eq(r.mem.large_now, 0);
    close(peer);
    rig_close(&r);
}

/* --- taking a receive back ------------------------------------------------------------------- */

/* Exactly one RECV with len 0 tells, whether the receive was idle, busy or starved. */
RIG_MASKS(recv, stop)
{
    struct mcq_conn *c;
    int peer;
    setup(m, (struct rig_opts){0}, &c, &peer);
    mcq_conn_recv_stop(r.loop, c); /* nothing is armed */
    rig_turns(&r, 20);
    cr_assert_eq(r.rec.cnt[MCQ_IO_RECV], 0);
    for (unsigned i = 1; i <= 20; i++) {
        size_t before = r.rec.len;
        mcq_conn_recv(r.loop, c, 1u << 20);
        if (i % 2 == 0)
            rig_turn(&r);
        cr_assert_eq(send(peer, pattern, 10, MSG_NOSIGNAL), 10);
        mcq_conn_recv_stop(r.loop, c);
        mcq_conn_recv_stop(r.loop, c);
        cr_assert(c->recv_cancelling);
        while (c->recv_armed)
            rig_turn(&r);
        cr_assert_not(c->recv_cancelling);
        cr_assert_eq(r.rec.last[MCQ_IO_RECV].len, 0);
        cr_assert_null(r.rec.last[MCQ_IO_RECV].buf);
        rig_turns(&r, 20);
        cr_assert_leq(r.rec.len - before, 10u * i);
    }
    size_t rest = 200 - r.rec.len;
    mcq_conn_recv(r.loop, c, 1u << 20);
    if (rest != 0)
        rig_await_data(&r, 200);
    cr_assert_eq(r.rec.len, 200);
    finish(c, peer);
}

RIG_MASKS(recv, stop_while_starved)
{
    struct mcq_conn *c;
    int peer;
    setup(m, (struct rig_opts){.blocks = 2}, &c, &peer);
    r.rec.keep = true;
    for (unsigned i = 0; i < 200 && r.stats.enobufs == 0; i++) {
        mcq_conn_recv(r.loop, c, 1u << 20);
        (void)!send(peer, pattern, 65536, MSG_NOSIGNAL);
        rig_turn(&r);
    }
    cr_assert_neq(r.stats.enobufs, 0);
    rig_turns(&r, 10);
    cr_assert(c->recv_armed, "counts as armed");
    unsigned cnt = r.rec.cnt[MCQ_IO_RECV];
    mcq_conn_recv_stop(r.loop, c);
    rig_await(&r, MCQ_IO_RECV, cnt + 1);
    cr_assert_not(c->recv_armed);
    cr_assert_eq(r.rec.last[MCQ_IO_RECV].len, 0);
    finish(c, peer);
}

/* --- what one reap tells -----------------------------------------------------------------------
 */

static struct mcq_conn *watched;
static unsigned after_end;

/* After an event that says the shot has ended, nothing of the shot may come. */
static void watch(struct rig *rig, const struct mcq_io_event *ev)
{
    static bool ended;
    if (ev->kind == MCQ_IO_RECV && ev->conn == watched) {
        after_end += ended;
        ended = !watched->recv_armed;
        if (ended) {
            mcq_conn_recv(rig->loop, watched, 50000);
            ended = false;
        }
    }
    rig_record(rig, ev);
    if (ev->kind == MCQ_IO_EOF)
        cr_assert_eq(rig->rec.len, sizeof(pattern));
    else if (ev->kind == MCQ_IO_RECV)
        cr_assert_not(watched->eof, "told ahead");
}

RIG_MASKS(recv, state_is_never_ahead_of_events)
{
    int peer;
    setup(m, (struct rig_opts){0}, &watched, &peer);
    r.on_event = watch;
    mcq_conn_recv(r.loop, watched, 50000);
    rig_write(&r, peer, pattern, sizeof(pattern));
    close(peer);
    rig_await(&r, MCQ_IO_EOF, 1);
    cr_assert_eq(memcmp(r.rec.data, pattern, sizeof(pattern)), 0);
    cr_assert_eq(after_end, 0);
    finish(watched, -1);
}
