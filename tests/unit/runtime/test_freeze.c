/* Freezing, giving, taking: at any moment, every byte exactly once and in order, both ways. Two
 * loops in one thread; the peers are plain sockets, in this thread or (races) in another. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { PATTERN_LEN = 1 << 20, PIECE_MAX = 300000, INTO_LEN = 200000 };

static struct rig r[2];
static uint8_t pattern[PATTERN_LEN + PIECE_MAX];
static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* A kernel thread answers later than an enter does: fewer of everything then. */
static unsigned fewer(unsigned cnt)
{
    return r[0].sqpoll ? cnt / 8 : cnt;
}

static const uint8_t *bytes_at(uint64_t pos)
{
    return pattern + pos % PATTERN_LEN;
}

/* Checks bytes of a stream, which is the pattern again and again. */
static bool is_stream(uint64_t pos, const uint8_t *data, size_t len)
{
    for (size_t n; len != 0; pos += n, data += n, len -= n) {
        n = len < PIECE_MAX ? len : PIECE_MAX;
        if (memcmp(bytes_at(pos), data, n) != 0)
            return false;
    }
    return true;
}

/* --- a connection and its owner ------------------------------------------------------------ */

struct party {
    struct mcq_conn *c; /* NULL: in the parcel */
    struct mcq_conn_parcel parcel;
    unsigned at; /* which loop */
    int peer;
    uint64_t in, out;                /* our end: bytes told by RECV and by SENT */
    uint64_t peer_wrote, peer_read;  /* the other end */
    size_t sending;                  /* bytes of the send in flight */
    struct mcq_buf *into;            /* of a receive under way */
    bool frozen, eof, error, closed; /* told */
    unsigned moves;
};

static void on_event(struct rig *rig, const struct mcq_io_event *ev)
{
    struct party *p = ev->conn == NULL ? NULL : ev->conn->user;
    rig->rec.cnt[ev->kind]++;
    if (p == NULL)
        return;
    cr_assert_eq(p->c, ev->conn, "an event of a connection that was given away");
    cr_assert_eq(rig, &r[p->at]);
    cr_assert_not(p->frozen, "an event after FROZEN");
    switch (ev->kind) {
    case MCQ_IO_RECV:
        if (ev->buf == NULL)
            break;
        cr_assert(is_stream(p->in, ev->buf->base + ev->off, ev->len));
        p->in += ev->len;
        if (!ev->into)
            mcq_buf_unref(rig->heap, ev->buf);
        break;
    case MCQ_IO_SENT:
        cr_assert_leq(ev->len, p->sending);
        p->out += ev->len;
        p->sending = 0;
        break;
    case MCQ_IO_EOF:
        p->eof = true;
        break;
    case MCQ_IO_ERROR:
        p->error = true;
        if (!p->c->send_busy)
            p->sending = 0;
        break;
    case MCQ_IO_FROZEN:
        cr_assert(p->c->freezing && p->c->frozen);
        cr_assert(!p->c->recv_armed && !p->c->send_busy && p->c->inflight == 0);
        cr_assert_eq(p->sending, 0);
        cr_assert_eq(p->c->bytes_in, p->in);
        cr_assert_eq(p->c->bytes_out, p->out);
        p->frozen = true;
        break;
    case MCQ_IO_CLOSED:
        p->closed = true;
        break;
    case MCQ_IO_ACCEPTED:
    case MCQ_IO_ACCEPT_FAILED:
    case MCQ_IO_CONNECTED:
    case MCQ_IO_CONNECT_FAILED:
    case MCQ_IO_WAKE:
        cr_assert(false);
    }
}

static unsigned moves; /* of all parties */

static void drop_into(struct party *p)
{
    if (p->into == NULL || p->c->recv_armed)
        return;
    mcq_buf_unref(r[p->at].heap, p->into);
    p->into = NULL;
}

static void join(struct party *p, unsigned at)
{
    memset(p, 0, sizeof(*p));
    p->at = at;
    p->c = rig_adopt(&r[at], &p->peer);
    p->c->user = p;
}

static void give(struct party *p)
{
    uint32_t epoch = p->c->epoch;
    int fd = p->c->fd;
    drop_into(p);
    cr_assert_eq(mcq_conn_give(r[p->at].loop, p->c, &p->parcel), fd);
    cr_assert_eq(p->parcel.fd, fd);
    cr_assert_neq(p->c->epoch, epoch, "what comes late would find it");
    p->c = NULL;
    p->frozen = false;
    p->moves++;
    moves++;
}

static void take(struct party *p, unsigned at)
{
    p->at = at;
    cr_assert_eq(mcq_conn_take(r[at].loop, &p->parcel, p, &p->c), MCQ_OK);
    cr_assert_eq(p->c->state, MCQ_CONN_OPEN);
    cr_assert_eq(p->c->bytes_in, p->in);
    cr_assert_eq(p->c->bytes_out, p->out);
    cr_assert_eq(p->c->eof, p->parcel.eof);
}

static void turn_both(void)
{
    rig_turn(&r[0]);
    rig_turn(&r[1]);
}

static void until(const bool *what)
{
    for (unsigned i = 0; !*what; i++) {
        cr_assert_lt(i, 1000000, "what was waited for didn't come");
        turn_both();
    }
}

static void freeze(struct party *p)
{
    cr_assert(mcq_conn_freeze(r[p->at].loop, p->c));
    cr_assert_not(mcq_conn_freeze(r[p->at].loop, p->c), "once is enough");
    until(&p->frozen);
}

static void move(struct party *p)
{
    freeze(p);
    give(p);
    take(p, !p->at);
}

static bool send_some(struct party *p, size_t len)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)bytes_at(p->out), len / 3},
                           {(void *)(uintptr_t)bytes_at(p->out + len / 3), len - len / 3}};
    bool two = len >= 3;
    bool ok = two ? mcq_conn_send(r[p->at].loop, p->c, iov, 2)
                  : mcq_conn_send(r[p->at].loop, p->c, iov + 1, 1);
    if (ok)
        p->sending = len;
    return ok;
}

static void peer_write(struct party *p, size_t len)
{
    ssize_t n = send(p->peer, bytes_at(p->peer_wrote), len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        p->peer_wrote += (uint64_t)n;
}

static void peer_read(struct party *p, size_t len)
{
    static uint8_t back[PIECE_MAX];
    ssize_t n = recv(p->peer, back, len, MSG_DONTWAIT);
    if (n <= 0)
        return;
    cr_assert(is_stream(p->peer_read, back, (size_t)n), "the peer got other bytes");
    p->peer_read += (uint64_t)n;
}

static void open_both(const struct rig_mask *m, struct rig_opts o)
{
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)((i % PATTERN_LEN) * 2654435761u >> 11);
    o.features = m->text;
    o.large_bytes = 4u << 20;
    for (unsigned i = 0; i < 2; i++) {
        rig_open(&r[i], &o);
        r[i].on_event = on_event;
        r[i].sleep_ns = 100000;
    }
}

static void end(struct party *p)
{
    mcq_conn_abort(r[p->at].loop, p->c);
    until(&p->closed);
    if (p->into != NULL)
        mcq_buf_unref(r[p->at].heap, p->into);
    close(p->peer);
}

static void close_both(void)
{
    rig_close(&r[0]);
    rig_close(&r[1]);
}

/* --- one state at a time ------------------------------------------------------------------- */

RIG_MASKS(freeze, at_rest)
{
    struct party p;
    open_both(m, (struct rig_opts){0});
    join(&p, 0);
    cr_assert(mcq_conn_freeze(r[0].loop, p.c));
    cr_assert_not(p.c->frozen, "told by an event, not inside the call");
    until(&p.frozen);
    mcq_conn_recv(r[0].loop, p.c, 1000);
    cr_assert_not(p.c->recv_armed);
    cr_assert_not(send_some(&p, 10));
    rig_turns(&r[0], 10);
    cr_assert_eq(r[0].rec.cnt[MCQ_IO_FROZEN], 1);
    struct mcq_addr before = p.c->addr;
    give(&p);
    cr_assert_eq(r[0].stats.conns_now, 0);
    take(&p, 1);
    cr_assert_eq(memcmp(&before, &p.c->addr, sizeof(before)), 0);
    mcq_conn_recv(r[1].loop, p.c, 1000);
    peer_write(&p, 5);
    while (p.in < 5)
        turn_both();
    end(&p);
    close_both();
}

/* The peer reads nothing: what the kernel took is told, the rest is sent by the other loop. */
RIG_MASKS(freeze, blocked_send)
{
    struct party p;
    open_both(m, (struct rig_opts){0});
    join(&p, 0);
    for (unsigned i = 0; i < 2000 && p.c->send_busy + p.sending == 0; i++) {
        cr_assert(send_some(&p, PIECE_MAX));
        for (unsigned k = 0; k < 50 && p.sending != 0; k++)
            turn_both();
    }
    cr_assert(p.c->send_busy, "the peer's window never closed");
    for (unsigned i = 0; i < 10; i++) {
        move(&p);
        cr_assert(send_some(&p, PIECE_MAX));
        turn_both();
    }
    uint64_t wanted = p.out + PIECE_MAX;
    while (p.peer_read < wanted) {
        peer_read(&p, PIECE_MAX);
        turn_both();
        if (p.sending == 0 && p.out < wanted)
            cr_assert(send_some(&p, (size_t)(wanted - p.out)));
    }
    cr_assert_eq(p.out, wanted);
    end(&p);
    close_both();
}

/* It waits in the line of those without a block; the other loop has blocks. */
RIG_MASKS(freeze, starved)
{
    struct party p, q;
    struct mcq_buf *kept[64];
    unsigned cnt = 0;
    open_both(m, (struct rig_opts){.blocks = 6, .cold = true});
    join(&p, 0);
    join(&q, 0);
    while (cnt < 64 && (kept[cnt] = mcq_buf_take(r[0].heap, MCQ_BUF_RX_LEN)) != NULL)
        cnt++;
    mcq_conn_recv(r[0].loop, q.c, 10u << 20); /* uses the blocks in the ring up: they are kept */
    r[0].on_event = rig_record;
    r[0].rec.keep = true;
    for (unsigned i = 0; i < 2000 && r[0].stats.enobufs == 0; i++) {
        peer_write(&q, PIECE_MAX);
        rig_turn(&r[0]);
        if (!q.c->recv_armed)
            mcq_conn_recv(r[0].loop, q.c, 10u << 20);
    }
    cr_assert_gt(r[0].stats.enobufs, 0);
    r[0].on_event = on_event;
    mcq_conn_recv(r[0].loop, p.c, 1000);
    peer_write(&p, 100);
    rig_turns(&r[0], 20);
    cr_assert(p.c->recv_armed);
    cr_assert_eq(p.in, 0);
    move(&p);
    mcq_conn_recv(r[1].loop, p.c, 1000);
    while (p.in < 100)
        turn_both();
    end(&p);
    rig_drop_kept(&r[0]);
    while (cnt != 0)
        mcq_buf_unref(r[0].heap, kept[--cnt]);
    r[0].on_event = rig_record;
    r[0].rec.keep = false;
    mcq_conn_abort(r[0].loop, q.c);
    rig_await(&r[0], MCQ_IO_CLOSED, 1);
    rig_drop_kept(&r[0]);
    close(q.peer);
    close_both();
}

/* A large body is half there: what came is in the owner's block and counted. */
RIG_MASKS(freeze, into_own_block)
{
    struct party p;
    open_both(m, (struct rig_opts){0});
    join(&p, 0);
    for (unsigned i = 0; i < 20; i++) {
        p.into = mcq_buf_take(r[p.at].heap, INTO_LEN);
        cr_assert_not_null(p.into);
        mcq_conn_recv_into(r[p.at].loop, p.c, p.into, 0, INTO_LEN);
        peer_write(&p, i * 777);
        rig_turns(&r[p.at], i % 3);
        uint64_t before = p.in;
        struct mcq_buf *b = p.into;
        mcq_buf_ref(r[p.at].heap, b);
        unsigned from = p.at;
        freeze(&p);
        cr_assert_geq(b->written, p.in - before);
        mcq_buf_unref(r[from].heap, b);
        give(&p);
        take(&p, !from);
    }
    while (p.in < p.peer_wrote) {
        mcq_conn_recv(r[p.at].loop, p.c, 100000);
        turn_both();
    }
    end(&p);
    close_both();
}

RIG_MASKS(freeze, after_end_of_stream)
{
    struct party p;
    open_both(m, (struct rig_opts){0});
    join(&p, 0);
    peer_write(&p, 10);
    shutdown(p.peer, SHUT_WR);
    while (!p.eof) {
        mcq_conn_recv(r[0].loop, p.c, 1000);
        turn_both();
    }
    move(&p);
    cr_assert(p.c->eof);
    mcq_conn_recv(r[1].loop, p.c, 1000);
    cr_assert_not(p.c->recv_armed);
    cr_assert(send_some(&p, 1000)); /* the other direction lives */
    while (p.peer_read < 1000) {
        turn_both();
        peer_read(&p, 1000);
    }
    mcq_conn_close(r[1].loop, p.c, mcq_loop_now(r[1].loop) + 1000000000u);
    until(&p.closed);
    close(p.peer);
    close_both();
}

/* The peer resets while it freezes: FROZEN comes nevertheless, and the other loop can end it. */
RIG_MASKS(freeze, reset_meanwhile)
{
    for (unsigned i = 0; i < 12; i++) {
        struct party p;
        struct linger hard = {1, 0};
        open_both(m, (struct rig_opts){.cold = i % 2 == 0});
        join(&p, 0);
        mcq_conn_recv(r[0].loop, p.c, 1000);
        for (unsigned k = 0; k < 100 && p.sending == 0; k++) {
            cr_assert(send_some(&p, PIECE_MAX));
            rig_turns(&r[0], 4);
        }
        setsockopt(p.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        if (i % 3 == 0)
            cr_assert(mcq_conn_freeze(r[0].loop, p.c));
        close(p.peer);
        if (i % 3 == 1)
            rig_turn(&r[0]);
        if (i % 3 != 0)
            cr_assert(mcq_conn_freeze(r[0].loop, p.c));
        until(&p.frozen);
        give(&p);
        take(&p, 1);
        p.peer = -1;
        end(&p);
        close_both();
    }
}

/* close and abort while it freezes, and when it is frozen: CLOSED comes, FROZEN doesn't. */
RIG_MASKS(freeze, ended_meanwhile)
{
    for (unsigned i = 0; i < 8; i++) {
        struct party p;
        open_both(m, (struct rig_opts){0});
        join(&p, 0);
        mcq_conn_recv(r[0].loop, p.c, 1000);
        for (unsigned k = 0; k < 100 && p.sending == 0; k++) {
            cr_assert(send_some(&p, PIECE_MAX));
            rig_turns(&r[0], 4);
        }
        cr_assert(mcq_conn_freeze(r[0].loop, p.c));
        if (i & 1)
            until(&p.frozen);
        if (i & 2)
            rig_turn(&r[0]);
        p.frozen = false; /* on_event lets nothing else through */
        unsigned frozen = r[0].rec.cnt[MCQ_IO_FROZEN];
        if (i & 4)
            mcq_conn_abort(r[0].loop, p.c);
        else
            mcq_conn_close(r[0].loop, p.c, mcq_loop_now(r[0].loop) + 5000000u);
        until(&p.closed);
        cr_assert_eq(r[0].rec.cnt[MCQ_IO_FROZEN], frozen);
        cr_assert_eq(r[0].rec.cnt[MCQ_IO_CLOSED], 1);
        close(p.peer);
        close_both();
    }
}

/* Called off: before it was told, and after. */
RIG_MASKS(freeze, thawed)
{
    struct party p;
    open_both(m, (struct rig_opts){0});
    join(&p, 0);
    for (unsigned i = 0; i < fewer(200); i++) {
        mcq_conn_recv(r[0].loop, p.c, 100000);
        if (p.sending == 0)
            cr_assert(send_some(&p, 100000));
        peer_write(&p, 10000);
        rig_turns(&r[0], i % 4);
        cr_assert(mcq_conn_freeze(r[0].loop, p.c));
        if (i % 2 == 0)
            until(&p.frozen);
        else
            rig_turns(&r[0], i % 3);
        p.frozen = false;
        unsigned frozen = r[0].rec.cnt[MCQ_IO_FROZEN];
        mcq_conn_thaw(r[0].loop, p.c);
        rig_turns(&r[0], 3);
        cr_assert_eq(r[0].rec.cnt[MCQ_IO_FROZEN], frozen);
        cr_assert_not(p.error);
        peer_read(&p, 90000);
    }
    while (p.in < p.peer_wrote || p.peer_read < p.out || p.sending != 0) {
        mcq_conn_recv(r[0].loop, p.c, 100000);
        peer_read(&p, PIECE_MAX);
        rig_turn(&r[0]);
    }
    end(&p);
    close_both();
}

Test(freeze, refused)
{
    static const struct mcq_sockopts so = {0};
    struct party p;
    struct mcq_conn *l, *c;
    struct mcq_addr addr = rig_tcp4(), bound;
    struct mcq_detail d;
    open_both(&rig_masks[0], (struct rig_opts){.conns = 3});
    r[0].on_event = rig_record;
    cr_assert_eq(mcq_conn_listen(r[0].loop, &addr, &so, 4, NULL, &l, &bound, &d), MCQ_OK);
    cr_assert_eq(mcq_conn_connect(r[0].loop, &bound, NULL, &so, NULL, &c, &d), MCQ_OK);
    cr_assert_not(mcq_conn_freeze(r[0].loop, l));
    cr_assert_not(mcq_conn_freeze(r[0].loop, c));
    mcq_conn_abort(r[0].loop, c);
    cr_assert_not(mcq_conn_freeze(r[0].loop, c));
    mcq_conn_abort(r[0].loop, l);
    rig_await(&r[0], MCQ_IO_CLOSED, 2);
    if (r[0].rec.cnt[MCQ_IO_ACCEPTED] != 0)
        close(r[0].rec.last[MCQ_IO_ACCEPTED].fd);
    r[0].on_event = on_event;
    join(&p, 0);
    mcq_conn_close(r[0].loop, p.c, mcq_loop_now(r[0].loop));
    cr_assert_not(mcq_conn_freeze(r[0].loop, p.c));
    end(&p);
    close_both();
}

/* Nobody has room for it: the fd stays the caller's, who ends it; the peer is told. */
Test(freeze, no_room)
{
    struct party p, q[3];
    char byte;
    open_both(&rig_masks[0], (struct rig_opts){.conns = 3});
    join(&p, 0);
    for (unsigned i = 0; i < 3; i++)
        join(&q[i], 1);
    freeze(&p);
    give(&p);
    cr_assert_eq(mcq_conn_take(r[1].loop, &p.parcel, &p, &p.c), MCQ_ELIMIT);
    cr_assert_eq(r[1].stats.conns_refused, 1);
    cr_assert_eq(send(p.peer, "x", 1, MSG_NOSIGNAL), 1);
    cr_assert_eq(recv(p.parcel.fd, &byte, 1, 0), 1);
    mcq_conn_parcel_drop(&p.parcel);
    cr_assert_eq(recv(p.peer, &byte, 1, 0), 0);
    close(p.peer);
    for (unsigned i = 0; i < 3; i++)
        end(&q[i]);
    close_both();
}

/* --- at every moment ----------------------------------------------------------------------- */

enum { PARTIES = 7, MOVES_MIN = 1500 };
static struct party party[PARTIES];

static void receive_somehow(struct party *p)
{
    struct mcq_loop *loop = r[p->at].loop;
    drop_into(p);
    if (p->c->recv_armed || p->c->freezing)
        return;
    if (below(4) != 0) {
        mcq_conn_recv(loop, p->c, 1 + below(below(2) ? 200 : 200000));
        return;
    }
    p->into = mcq_buf_take(r[p->at].heap, INTO_LEN);
    if (p->into != NULL)
        mcq_conn_recv_into(loop, p->c, p->into, 0, 1 + below(INTO_LEN));
}

static void step(struct party *p)
{
    struct mcq_loop *loop = r[p->at].loop;
    if (p->c == NULL) {
        if (below(2))
            take(p, below(2));
        return;
    }
    switch (below(10)) {
    case 0:
    case 1:
        if (!p->c->freezing)
            cr_assert(mcq_conn_freeze(loop, p->c));
        break;
    case 2:
        if (below(8) == 0) {
            p->frozen = false;
            mcq_conn_thaw(loop, p->c);
        }
        break;
    case 3:
        mcq_conn_recv_stop(loop, p->c);
        break;
    case 4:
    case 5:
        if (p->sending == 0)
            (void)send_some(p, 1 + below(below(2) ? 100 : PIECE_MAX));
        break;
    default:
        receive_somehow(p);
    }
    if (p->frozen && below(4) != 0)
        give(p);
}

static void peer_step(struct party *p, unsigned i)
{
    unsigned busy = 2 + i % 4; /* some peers read or write little */
    if (below(busy) == 0)
        peer_write(p, 1 + below(below(2) ? 300 : PIECE_MAX));
    if (below(2 * busy) == 0)
        peer_read(p, 1 + below(PIECE_MAX));
}

/* What is under way arrives. */
static void settle(struct party *p)
{
    for (unsigned i = 0; p->in < p->peer_wrote || p->peer_read < p->out || p->sending != 0; i++) {
        cr_assert_lt(i, 1000000);
        if (p->c == NULL)
            take(p, 0);
        p->frozen = false;
        mcq_conn_thaw(r[p->at].loop, p->c);
        drop_into(p);
        mcq_conn_recv(r[p->at].loop, p->c, 1u << 20);
        turn_both();
        peer_read(p, PIECE_MAX);
        cr_assert_not(p->error || p->eof);
    }
    if (p->c == NULL)
        take(p, 1);
}

static void fuzz(const struct rig_mask *m, struct rig_opts o, unsigned steps)
{
    moves = 0;
    open_both(m, o);
    for (unsigned i = 0; i < PARTIES; i++)
        join(&party[i], i % 2);
    for (unsigned i = 0; i < fewer(steps) || moves < fewer(MOVES_MIN); i++) {
        struct party *p = &party[below(PARTIES)];
        step(p);
        peer_step(p, (unsigned)(p - party));
        if (below(3) == 0)
            rig_turn(&r[below(2)]);
    }
    for (unsigned i = 0; i < PARTIES; i++) {
        settle(&party[i]);
        cr_assert_gt(party[i].in, 0);
        cr_assert_gt(party[i].out, 0);
        end(&party[i]);
    }
    close_both();
}

RIG_MASKS(freeze, any_moment)
{
    random_state = 1;
    fuzz(m, (struct rig_opts){0}, 60000);
}

RIG_MASKS(freeze, any_moment_waiting)
{
    random_state = 2;
    fuzz(m, (struct rig_opts){.idle = MCQ_IDLE_SPIN_BLOCK, .cold = true}, 40000);
}

RIG_MASKS(freeze, any_moment_starved)
{
    random_state = 3;
    fuzz(m, (struct rig_opts){.blocks = 4}, 40000);
}

/* --- against peers that don't wait --------------------------------------------------------- */

static atomic_bool ending;
static atomic_uint wrong;

/* Writes and reads as fast as it can, on another core than the loops. */
static void *peer_thread(void *arg)
{
    static _Thread_local uint8_t back[65536];
    struct party *p = arg;
    while (!atomic_load(&ending)) {
        ssize_t n = send(p->peer, bytes_at(p->peer_wrote), 50000, MSG_NOSIGNAL | MSG_DONTWAIT);
        p->peer_wrote += n > 0 ? (uint64_t)n : 0;
        n = recv(p->peer, back, sizeof(back), MSG_DONTWAIT);
        if (n > 0 && !is_stream(p->peer_read, back, (size_t)n))
            atomic_fetch_add(&wrong, 1);
        p->peer_read += n > 0 ? (uint64_t)n : 0;
    }
    return NULL;
}

RIG_MASKS(freeze, races)
{
    enum { PEERS = 2, MOVES = 1500 };
    pthread_t thread[PEERS];
    random_state = 4;
    atomic_store(&ending, false);
    open_both(m, (struct rig_opts){0});
    for (unsigned i = 0; i < PEERS; i++) {
        join(&party[i], i);
        cr_assert_eq(pthread_create(&thread[i], NULL, peer_thread, &party[i]), 0);
    }
    while (party[0].moves + party[1].moves < fewer(MOVES))
        for (unsigned i = 0; i < PEERS; i++) {
            struct party *p = &party[i];
            if (p->sending == 0)
                (void)send_some(p, 1 + below(PIECE_MAX));
            receive_somehow(p);
            rig_turn(&r[p->at]);
            if (below(4) == 0)
                (void)!mcq_conn_freeze(r[p->at].loop, p->c);
            if (p->frozen) {
                give(p);
                take(p, !p->at);
            }
        }
    atomic_store(&ending, true);
    for (unsigned i = 0; i < PEERS; i++)
        pthread_join(thread[i], NULL);
    for (unsigned i = 0; i < PEERS; i++) {
        settle(&party[i]);
        end(&party[i]);
    }
    cr_assert_eq(atomic_load(&wrong), 0);
    close_both();
}
