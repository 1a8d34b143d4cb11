/* The end of a connection: nothing sent is destroyed, nothing in flight outlives its slot. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

#define SECOND_NS 1000000000u

static struct rig r;
static uint8_t pattern[4u << 20];

static void setup(const struct rig_mask *m, struct mcq_conn **c, int *peer)
{
    rig_open(&r, &(struct rig_opts){.features = m->text});
    *c = rig_adopt(&r, peer);
}

static size_t read_to_end(int fd, ssize_t *last)
{
    uint8_t bytes[65536];
    size_t got = 0;
    for (;;) {
        *last = recv(fd, bytes, sizeof(bytes), 0);
        if (*last < 0 && errno == EAGAIN) {
            rig_turn(&r);
            continue;
        }
        if (*last <= 0)
            return got;
        got += (size_t)*last;
    }
}

/* The peer's bytes lie unread when we close: a bare close() would reset the connection and our
 * last bytes with it. */
RIG_MASKS(close, unread_data_destroys_nothing)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    struct iovec iov = {pattern, 300000};
    cr_assert(mcq_conn_send(r.loop, c, &iov, 1));
    rig_write(&r, peer, pattern, 200000);
    while (c->send_busy)
        rig_turn(&r);
    size_t sent = c->bytes_out;
    mcq_conn_close(r.loop, c, mcq_loop_now(r.loop) + 10ull * SECOND_NS);
    rig_turns(&r, 50);
    ssize_t last;
    cr_assert_eq(read_to_end(peer, &last), sent);
    cr_assert_eq(last, 0, "a reset, not an end: errno %d", errno);
    close(peer);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    cr_assert_eq(c->unacked, 0);
    cr_assert(c->unacked_known);
    cr_assert_eq(r.rec.cnt[MCQ_IO_RECV], 0, "discarded, not told");
    cr_assert_eq(r.rec.cnt[MCQ_IO_EOF], 0);
    rig_close(&r);
}

/* Closed right after send: the send in flight ends first and is told. */
RIG_MASKS(close, send_in_flight_finishes)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    struct iovec iov = {pattern, 1000};
    mcq_conn_recv(r.loop, c, 65536);
    cr_assert(mcq_conn_send(r.loop, c, &iov, 1));
    mcq_conn_close(r.loop, c, mcq_loop_now(r.loop) + 10ull * SECOND_NS);
    cr_assert_not(mcq_conn_send(r.loop, c, &iov, 1));
    ssize_t last;
    cr_assert_eq(read_to_end(peer, &last), 1000);
    cr_assert_eq(last, 0);
    cr_assert_eq(r.rec.cnt[MCQ_IO_SENT], 1);
    cr_assert_eq(r.rec.cnt[MCQ_IO_CLOSED], 0, "the peer hasn't ended yet");
    close(peer);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    rig_close(&r);
}

/* A peer that neither reads nor ends costs no more than the deadline. */
RIG_MASKS(close, deadline_ends_it)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    for (unsigned i = 0; i < 60; i++) {
        struct iovec iov = {pattern, sizeof(pattern)};
        if (!c->send_busy)
            cr_assert(mcq_conn_send(r.loop, c, &iov, 1));
        rig_turns(&r, 3);
    }
    cr_assert(c->send_busy);
    uint64_t deadline = mcq_loop_clock(r.loop) + SECOND_NS / 20;
    mcq_conn_close(r.loop, c, deadline);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    cr_assert_geq(mcq_loop_now(r.loop), deadline);
    cr_assert_eq(r.rec.sent, c->bytes_out);
    cr_assert_gt(c->unacked, 0);
    int there =
        0; /* what the peer's kernel has: the rest is unacknowledged, the FIN isn't a byte */
    cr_assert_eq(ioctl(peer, FIONREAD, &there), 0);
    cr_assert_eq(c->bytes_out - c->unacked, (uint64_t)there);
    close(peer);
    rig_close(&r);
}

/* Floods until the deadline: what it sends is thrown away, a few receives per turn. */
RIG_MASKS(close, flooding_peer)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    mcq_conn_recv(r.loop, c, 65536);
    mcq_conn_close(r.loop, c, mcq_loop_clock(r.loop) + SECOND_NS / 20);
    uint64_t flooded = 0;
    while (r.rec.cnt[MCQ_IO_CLOSED] == 0) {
        ssize_t n = send(peer, pattern, 65536, MSG_NOSIGNAL);
        flooded += n > 0 ? (uint64_t)n : 0;
        rig_turn(&r);
    }
    cr_assert_gt(flooded, 1u << 20);
    cr_assert_eq(r.rec.len, 0);
    close(peer);
    rig_close(&r);
}

/* A receive, a send and a kept block at once: abort drains the kernel and the block stays whole. */
RIG_MASKS(close, abort_with_all_in_flight)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    r.rec.keep = true;
    mcq_conn_recv(r.loop, c, 1u << 20);
    rig_write(&r, peer, "keep me", 7);
    rig_await_data(&r, 7);
    struct mcq_io_event ev = r.rec.last[MCQ_IO_RECV];
    for (unsigned i = 0; i < 60; i++) {
        struct iovec iov = {pattern, sizeof(pattern)};
        if (!c->send_busy)
            cr_assert(mcq_conn_send(r.loop, c, &iov, 1));
        mcq_conn_recv(r.loop, c, 1u << 20);
        rig_turns(&r, 3);
    }
    cr_assert(c->send_busy && c->recv_armed);
    unsigned sents = r.rec.cnt[MCQ_IO_SENT];
    mcq_conn_abort(r.loop, c);
    mcq_conn_abort(r.loop, c);
    mcq_conn_close(r.loop, c, 0);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    cr_assert_eq(r.rec.cnt[MCQ_IO_SENT], sents + 1, "every send has an end");
    cr_assert_eq(r.rec.sent, c->bytes_out);
    rig_turns(&r, 10);
    cr_assert_eq(r.rec.cnt[MCQ_IO_CLOSED], 1);
    cr_assert_eq(memcmp(ev.buf->base + ev.off, "keep me", 7), 0);
    rig_drop_kept(&r);
    close(peer);
    rig_close(&r);
}

/* What was written and not acknowledged: here the peer's kernel has all, so nothing, and the FIN
 * doesn't count. */
RIG_MASKS(close, report_after_abort)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    struct iovec iov = {pattern, 5000};
    cr_assert(mcq_conn_send(r.loop, c, &iov, 1));
    rig_await(&r, MCQ_IO_SENT, 1);
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    cr_assert(c->unacked_known);
    cr_assert_eq(c->unacked, 0);
    ssize_t last;
    cr_assert_eq(read_to_end(peer, &last), 5000);
    cr_assert_eq(last, 0);
    close(peer);
    rig_close(&r);
}

/* The slot is another connection's afterwards, under another epoch. */
RIG_MASKS(close, epoch_changes)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    uint32_t slot = c->slot, epoch = c->epoch;
    for (unsigned i = 1; i <= 20; i++) {
        mcq_conn_recv(r.loop, c, 65536);
        rig_turns(&r, i % 3);
        cr_assert_eq(send(peer, "zzz", 3, MSG_NOSIGNAL), 3);
        mcq_conn_abort(r.loop, c);
        rig_await(&r, MCQ_IO_CLOSED, i);
        close(peer);
        rig_turn(&r);
        c = rig_adopt(&r, &peer);
        cr_assert_eq(c->slot, slot);
        cr_assert_eq(c->epoch, epoch + i);
        cr_assert_eq(c->bytes_in, 0);
    }
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 21);
    close(peer);
    rig_close(&r);
}
