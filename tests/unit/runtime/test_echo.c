/* Raw echo through a whole loop: every byte comes back, in order, however the ring is made. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

#define PEERS_MAX 32u
#define QUEUE_MAX 256u
#define CREDIT    (256u << 10)

struct piece {
    struct mcq_buf *buf;
    uint32_t off, len;
};

/* The server's side of a connection. */
struct echo {
    struct mcq_conn *c;
    struct piece queue[QUEUE_MAX];
    uint32_t head, cnt, in_flight;
};

struct peer {
    int fd;
    uint64_t sent, got, total;
    bool shut, eof;
};

struct world {
    struct mcq_conn *listener;
    struct echo echo[PEERS_MAX];
    struct peer peer[PEERS_MAX];
    uint32_t peers, closed, open;
    size_t chunk; /* bytes per write of a peer */
    uint64_t arrived, peer_failures;
};

static const struct mcq_sockopts so = {.notsent_lowat_bytes = 131072};

static uint8_t byte_at(uint32_t peer, uint64_t pos)
{
    return (uint8_t)((pos * 2654435761u >> 7) + peer * 31 + (pos >> 16));
}

static void flush(struct rig *r, struct echo *e)
{
    struct iovec iov[MCQ_CONN_IOV_MAX];
    uint32_t n = 0;
    if (e->c->send_busy || e->c->state != MCQ_CONN_OPEN)
        return;
    for (; n < e->cnt && n < MCQ_CONN_IOV_MAX; n++) {
        const struct piece *p = &e->queue[(e->head + n) % QUEUE_MAX];
        iov[n] = (struct iovec){p->buf->base + p->off, p->len};
    }
    if (n != 0)
        cr_assert(mcq_conn_send(r->loop, e->c, iov, n));
}

static void on_sent(struct rig *r, struct echo *e, uint32_t len)
{
    while (len != 0) {
        struct piece *p = &e->queue[e->head];
        uint32_t part = len < p->len ? len : p->len;
        cr_assert_neq(e->cnt, 0);
        p->off += part;
        p->len -= part;
        len -= part;
        if (p->len != 0)
            break;
        mcq_buf_unref(r->heap, p->buf);
        e->head = (e->head + 1) % QUEUE_MAX;
        e->cnt--;
    }
}

static void on_recv(struct echo *e, const struct mcq_io_event *ev)
{
    cr_assert_lt(e->cnt, QUEUE_MAX);
    cr_assert_leq(ev->off + ev->len, ev->buf->written);
    e->queue[(e->head + e->cnt++) % QUEUE_MAX] = (struct piece){ev->buf, ev->off, ev->len};
}

/* Receives only while the queue has room for all that one credit can bring. */
static void arm(struct rig *r, struct echo *e)
{
    if (!e->c->recv_armed && !e->c->eof && e->cnt < QUEUE_MAX / 4)
        mcq_conn_recv(r->loop, e->c, CREDIT);
    if (e->c->eof && e->cnt == 0)
        mcq_conn_close(r->loop, e->c, mcq_loop_now(r->loop) + 1000000000u);
}

static void on_event(struct rig *r, const struct mcq_io_event *ev)
{
    struct world *w = r->user;
    if (ev->kind == MCQ_IO_ACCEPTED) {
        struct echo *e = &w->echo[w->open++];
        cr_assert_eq(mcq_conn_adopt(r->loop, ev->fd, &so, e, &e->c), MCQ_OK);
        arm(r, e);
        return;
    }
    if (ev->conn == w->listener) {
        cr_assert_eq(ev->kind, MCQ_IO_CLOSED);
        w->listener = NULL;
        return;
    }
    struct echo *e = ev->conn->user;
    cr_assert_neq(ev->kind, MCQ_IO_ERROR, "errno %d", ev->os_errno);
    if (ev->kind == MCQ_IO_RECV)
        on_recv(e, ev);
    if (ev->kind == MCQ_IO_SENT)
        on_sent(r, e, ev->len);
    if (ev->kind == MCQ_IO_CLOSED) {
        cr_assert_eq(ev->conn->bytes_in, ev->conn->bytes_out);
        w->closed++;
        return;
    }
    flush(r, e);
    arm(r, e);
}

static void peer_send(struct world *w, struct peer *p, uint32_t idx)
{
    uint8_t bytes[65536];
    size_t len = w->chunk;
    if (len > p->total - p->sent)
        len = p->total - p->sent;
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(idx, p->sent + i);
    ssize_t n = len == 0 ? 0 : send(p->fd, bytes, len, MSG_NOSIGNAL);
    p->sent += n > 0 ? (uint64_t)n : 0;
    if (p->sent == p->total && !p->shut) {
        p->shut = true;
        shutdown(p->fd, SHUT_WR);
    }
}

static void peer_recv(struct peer *p, uint32_t idx)
{
    uint8_t bytes[65536];
    ssize_t n = recv(p->fd, bytes, sizeof(bytes), 0);
    if (n == 0)
        p->eof = true;
    for (ssize_t i = 0; i < n; i++)
        cr_assert_eq(bytes[i], byte_at(idx, p->got + (uint64_t)i));
    p->got += n > 0 ? (uint64_t)n : 0;
}

static void pump(struct rig *r)
{
    struct world *w = r->user;
    for (uint32_t i = 0; i < w->peers; i++) {
        peer_send(w, &w->peer[i], i);
        peer_recv(&w->peer[i], i);
    }
}

static bool all_closed(struct rig *r)
{
    struct world *w = r->user;
    if (w->closed != w->peers)
        return false;
    for (uint32_t i = 0; i < w->peers; i++)
        if (!w->peer[i].eof)
            return false;
    return true;
}

static bool listener_closed(struct rig *r)
{
    struct world *w = r->user;
    return w->listener == NULL;
}

static void echo_all(const char *mask, struct mcq_addr addr, uint32_t peers, uint64_t total,
                     size_t chunk, uint32_t blocks)
{
    static struct rig r;
    static struct world w;
    w = (struct world){.peers = peers, .chunk = chunk};
    struct mcq_addr bound;
    rig_open(&r, &(struct rig_opts){.features = mask, .conns = peers + 1, .blocks = blocks});
    r.user = &w;
    r.on_event = on_event;
    cr_assert_eq(mcq_conn_listen(r.loop, &addr, &so, 64, NULL, &w.listener, &bound, NULL), MCQ_OK);
    for (uint32_t i = 0; i < peers; i++)
        w.peer[i] = (struct peer){.fd = rig_peer(&bound), .total = total};
    r.pump = pump;
    rig_until(&r, all_closed);
    for (uint32_t i = 0; i < peers; i++) {
        cr_assert_eq(w.peer[i].got, total);
        close(w.peer[i].fd);
    }
    mcq_conn_abort(r.loop, w.listener);
    rig_until(&r, listener_closed);
    if (addr.ss.ss_family == AF_UNIX)
        cr_assert_neq(access((const char *)&addr.ss + sizeof(sa_family_t), F_OK), 0);
    rig_close(&r);
}

RIG_MASKS(echo, tcp4)
{
    echo_all(m->text, rig_tcp4(), 1, 4u << 20, 65536, 64);
}

RIG_MASKS(echo, tcp6_small_writes)
{
    echo_all(m->text, rig_tcp6(), 3, 60000, 17, 64);
}

RIG_MASKS(echo, unix_domain)
{
    echo_all(m->text, rig_unix("echo"), 4, 1u << 20, 30011, 64);
}

/* 32 peers and 4 blocks: receives end for want of blocks, wait in the line and go on. */
RIG_MASKS(echo, few_blocks)
{
    echo_all(m->text, rig_tcp4(), 32, 400000, 50021, 4);
}
