/* Sending: one in flight, gathered, partial to a peer that doesn't read, cancelled. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

static struct rig r;
static uint8_t pattern[8u << 20], back[8u << 20];

static void setup(const struct rig_mask *m, struct mcq_conn **c, int *peer)
{
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 2654435761u >> 11);
    rig_open(&r, &(struct rig_opts){.features = m->text});
    *c = rig_adopt(&r, peer);
}

static void finish(struct mcq_conn *c, int peer)
{
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    close(peer);
    rig_close(&r);
}

static size_t drain_peer(int peer, size_t got)
{
    for (;;) {
        ssize_t n = recv(peer, back + got, sizeof(back) - got, 0);
        if (n <= 0)
            return got;
        got += (size_t)n;
    }
}

RIG_MASKS(send, gathers_64)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    struct iovec iov[MCQ_CONN_IOV_MAX];
    size_t total = 0;
    for (unsigned i = 0; i < MCQ_CONN_IOV_MAX; i++) {
        iov[i] = (struct iovec){pattern + total, i * 13 + 1};
        total += iov[i].iov_len;
    }
    cr_assert(mcq_conn_send(r.loop, c, iov, MCQ_CONN_IOV_MAX));
    cr_assert(c->send_busy);
    memset(iov, 0xff, sizeof(iov)); /* the vector was copied */
    cr_assert_not(mcq_conn_send(r.loop, c, iov, 1), "one at a time");
    rig_await(&r, MCQ_IO_SENT, 1);
    cr_assert_not(c->send_busy);
    cr_assert_eq(r.rec.sent, total);
    cr_assert_eq(c->bytes_out, total);
    cr_assert_eq(drain_peer(peer, 0), total);
    cr_assert_eq(memcmp(back, pattern, total), 0);
    finish(c, peer);
}

/* A peer that reads nothing, then everything: parts are told, and none is lost or doubled. */
RIG_MASKS(send, partial_to_stalled_reader)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    size_t got = 0;
    for (unsigned stalls = 0; r.rec.sent < sizeof(pattern);) {
        if (!c->send_busy) {
            size_t at = r.rec.sent, half = (sizeof(pattern) - at) / 2;
            struct iovec iov[2] = {{pattern + at, half},
                                   {pattern + at + half, sizeof(pattern) - at - half}};
            cr_assert(mcq_conn_send(r.loop, c, iov, 2));
        }
        uint64_t before = r.rec.sent;
        rig_turns(&r, 20);
        if (c->send_busy && r.rec.sent == before && stalls++ < 1000)
            got = drain_peer(peer, got);
    }
    while (got < sizeof(pattern))
        got = drain_peer(peer, got);
    cr_assert_gt(r.stats.sends_short, 0);
    cr_assert_eq(c->bytes_out, sizeof(pattern));
    cr_assert_eq(memcmp(back, pattern, sizeof(pattern)), 0);
    finish(c, peer);
}

/* The limit of unsent bytes holds on an accepted connection: the kernel takes little ahead. */
RIG_MASKS(send, notsent_lowat_is_set)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    for (unsigned i = 0; i < 50; i++) {
        struct iovec iov = {pattern, 65536};
        if (!c->send_busy)
            cr_assert(mcq_conn_send(r.loop, c, &iov, 1));
        rig_turns(&r, 4);
    }
    cr_assert(c->send_busy);
    cr_assert_lt(c->bytes_out, 2u << 20);
    finish(c, peer);
}

/* The peer is gone: ERROR, no SIGPIPE, and the slot can be ended. */
RIG_MASKS(send, to_reset_peer)
{
    struct mcq_conn *c;
    int peer;
    setup(m, &c, &peer);
    struct linger hard = {1, 0};
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(peer);
    for (unsigned i = 0; i < 1000 && r.rec.cnt[MCQ_IO_ERROR] == 0; i++) {
        struct iovec iov = {pattern, 10};
        if (!c->send_busy)
            cr_assert(mcq_conn_send(r.loop, c, &iov, 1));
        rig_turn(&r);
    }
    cr_assert_eq(r.rec.cnt[MCQ_IO_ERROR], 1);
    cr_assert_not(c->send_busy);
    finish(c, -1);
}
