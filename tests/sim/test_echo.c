/* Two loops echo on the simulated machine: every byte comes back in order, whatever is unreliable,
 * and the same seed does the same. */
#include <string.h>

#include "tests/sim/test_bare.h"
#include "tests/sim/test_rig.h"

#define PAIRS_MAX 8u
#define QUEUE_MAX 512u
#define TOTAL     60000u
#define STEPS_MAX 2000000u

struct piece {
    struct mcq_buf *buf;
    uint32_t off, len;
};

/* The server's side of a connection: sends back what it gets. */
struct echo {
    struct mcq_conn *c;
    struct piece queue[QUEUE_MAX];
    uint32_t head, cnt;
    bool ended;
};

struct client {
    struct mcq_conn *c;
    uint32_t idx;
    uint64_t sent, got;
    bool up, done, failed, closed;
    uint8_t bytes[4096];
};

struct world {
    struct rig_node node[2];
    struct mcq_conn *listener;
    struct echo echo[64];
    struct client client[PAIRS_MAX];
    uint32_t accepted, closed, gone, pairs;
    struct mcq_addr addr;
};

static uint8_t byte_at(uint32_t idx, uint64_t pos)
{
    return (uint8_t)((pos * 2654435761u >> 7) + idx * 31 + (pos >> 8));
}

/* --- the server ---------------------------------------------------------------------------- */

static void drop_queue(struct rig_node *n, struct echo *e)
{
    while (e->cnt != 0) {
        mcq_buf_unref(n->heap, e->queue[e->head].buf);
        e->head = (e->head + 1) % QUEUE_MAX;
        e->cnt--;
    }
}

static void echo_flush(struct rig_node *n, struct echo *e)
{
    struct iovec iov[8];
    uint32_t cnt = 0;
    if (e->c->send_busy || e->c->state != MCQ_CONN_OPEN)
        return;
    for (; cnt < e->cnt && cnt < 8; cnt++) {
        const struct piece *p = &e->queue[(e->head + cnt) % QUEUE_MAX];
        iov[cnt] = (struct iovec){p->buf->base + p->off, p->len};
    }
    if (cnt != 0)
        cr_assert(mcq_conn_send(n->loop, e->c, iov, cnt));
}

static void echo_sent(struct rig_node *n, struct echo *e, uint32_t len)
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
        mcq_buf_unref(n->heap, p->buf);
        e->head = (e->head + 1) % QUEUE_MAX;
        e->cnt--;
    }
}

static void echo_arm(struct rig_node *n, struct echo *e)
{
    if (e->c->state != MCQ_CONN_OPEN)
        return;
    if (!e->c->recv_armed && !e->c->eof && e->cnt < 8)
        mcq_conn_recv(n->loop, e->c, (uint32_t)(1 + mcq_sim_random() % 8000));
    if (e->c->eof && e->cnt == 0)
        mcq_conn_close(n->loop, e->c, mcq_loop_now(n->loop) + 1000000000u);
}

static void echo_accepted(struct rig_node *n, struct world *w, int fd)
{
    static const struct mcq_sockopts so = {.notsent_lowat_bytes = 131072,
                                           .user_timeout_ms = 5000,
                                           .keepalive_idle_s = 1,
                                           .keepalive_interval_s = 1,
                                           .keepalive_cnt = 2};
    struct echo *e = &w->echo[w->accepted % 64];
    cr_assert_eq(e->c, NULL);
    memset(e, 0, sizeof(*e));
    w->accepted++;
    cr_assert_eq(mcq_conn_adopt(n->loop, fd, &so, e, &e->c), MCQ_OK);
    echo_arm(n, e);
}

static void on_server(struct rig_node *n, const struct mcq_io_event *ev)
{
    struct world *w = n->user;
    if (ev->conn->listener) {
        if (ev->kind == MCQ_IO_ACCEPTED)
            echo_accepted(n, w, ev->fd);
        else if (ev->kind == MCQ_IO_ACCEPT_FAILED)
            mcq_listen_arm(n->loop, ev->conn);
        else
            w->listener = NULL;
        return;
    }
    struct echo *e = ev->conn->user;
    if (ev->kind == MCQ_IO_RECV && ev->buf != NULL) {
        cr_assert_lt(e->cnt, QUEUE_MAX);
        e->queue[(e->head + e->cnt++) % QUEUE_MAX] = (struct piece){ev->buf, ev->off, ev->len};
    }
    if (ev->kind == MCQ_IO_SENT)
        echo_sent(n, e, ev->len);
    if (ev->kind == MCQ_IO_ERROR)
        mcq_conn_abort(n->loop, e->c);
    if (ev->kind == MCQ_IO_CLOSED) {
        drop_queue(n, e);
        e->c = NULL;
        w->gone++;
        return;
    }
    echo_flush(n, e);
    echo_arm(n, e);
}

/* --- the clients --------------------------------------------------------------------------- */

static void client_send(struct rig_node *n, struct client *k)
{
    struct iovec iov[3];
    uint32_t cnt = 1 + (uint32_t)(mcq_sim_random() % 3), off = 0;
    if (k->c->send_busy || k->c->state != MCQ_CONN_OPEN || k->sent == TOTAL)
        return;
    uint64_t left = TOTAL - k->sent;
    uint32_t len = (uint32_t)(1 + mcq_sim_random() % sizeof(k->bytes));
    if (len > left)
        len = (uint32_t)left;
    for (uint32_t i = 0; i < len; i++)
        k->bytes[i] = byte_at(k->idx, k->sent + i);
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t part = i + 1 == cnt ? len - off : len / cnt;
        iov[i] = (struct iovec){k->bytes + off, part};
        off += part;
    }
    cr_assert(mcq_conn_send(n->loop, k->c, iov, cnt));
}

static void client_recv(struct rig_node *n, struct client *k, const struct mcq_io_event *ev)
{
    for (uint32_t i = 0; i < ev->len; i++)
        cr_assert_eq(ev->buf->base[ev->off + i], byte_at(k->idx, k->got + i), "byte %llu of %u",
                     (unsigned long long)(k->got + i), k->idx);
    k->got += ev->len;
    cr_assert_leq(k->got, TOTAL);
    mcq_buf_unref(n->heap, ev->buf);
}

static void on_client(struct rig_node *n, const struct mcq_io_event *ev)
{
    struct world *w = n->user;
    struct client *k = ev->conn->user;
    switch (ev->kind) {
    case MCQ_IO_CONNECTED:
        k->up = true;
        break;
    case MCQ_IO_CONNECT_FAILED:
    case MCQ_IO_ERROR:
    case MCQ_IO_EOF:
        k->failed |= k->got != TOTAL;
        mcq_conn_abort(n->loop, k->c);
        return;
    case MCQ_IO_RECV:
        if (ev->buf != NULL)
            client_recv(n, k, ev);
        break;
    case MCQ_IO_SENT:
        k->sent += ev->len;
        break;
    case MCQ_IO_CLOSED:
        k->closed = true;
        w->closed++;
        return;
    case MCQ_IO_ACCEPTED:
    case MCQ_IO_ACCEPT_FAILED:
    case MCQ_IO_WAKE:
    case MCQ_IO_FROZEN:
        cr_assert(false);
    }
    if (k->c->state != MCQ_CONN_OPEN)
        return;
    client_send(n, k);
    if (mcq_sim_random() % 16 == 0)
        mcq_conn_recv_stop(n->loop, k->c);
    if (!k->c->recv_armed)
        mcq_conn_recv(n->loop, k->c, (uint32_t)(1 + mcq_sim_random() % 20000));
    if (k->got == TOTAL)
        mcq_conn_close(n->loop, k->c, mcq_loop_now(n->loop) + 1000000000u);
}

static void client_connect(struct world *w, uint32_t idx)
{
    static const struct mcq_sockopts so = {.user_timeout_ms = 5000,
                                           .keepalive_idle_s = 1,
                                           .keepalive_interval_s = 1,
                                           .keepalive_cnt = 2};
    struct client *k = &w->client[idx];
    struct mcq_detail d;
    k->idx = idx;
    mcq_sim_select(1);
    cr_assert_eq(mcq_conn_connect(w->node[1].loop, &w->addr, NULL, &so, k, &k->c, &d), MCQ_OK, "%s",
                 d.text);
}

/* --- running ------------------------------------------------------------------------------- */

struct plan {
    const char *features;
    enum mcq_idle idle;
    bool local;
    struct mcq_sim_faults faults;
};

static void open_world(struct world *w, uint64_t seed, const struct plan *p)
{
    struct mcq_detail d;
    struct mcq_addr at = p->local ? bare_unix("/tmp/sim") : bare_tcp4(0);
    memset(w, 0, sizeof(*w));
    mcq_sim_open(seed, &p->faults);
    rig_node_open(&w->node[0], 0, p->features, p->idle, 64);
    rig_node_open(&w->node[1], 1, p->features, p->idle, 64);
    for (uint32_t i = 0; i < 2; i++)
        w->node[i].user = w;
    w->node[0].on_event = on_server;
    w->node[1].on_event = on_client;
    mcq_sim_select(0);
    cr_assert_eq(mcq_conn_listen(w->node[0].loop, &at, &bare_so, 4, w, &w->listener, &w->addr, &d),
                 MCQ_OK, "%s", d.text);
    w->pairs = PAIRS_MAX;
    for (uint32_t i = 0; i < w->pairs; i++)
        client_connect(w, i);
}

static void close_world(struct world *w)
{
    mcq_sim_select(0);
    mcq_conn_abort(w->node[0].loop, w->listener);
    for (uint32_t i = 0; w->listener != NULL; i++) {
        cr_assert_lt(i, STEPS_MAX);
        cr_assert(rig_step(w->node, 2));
    }
    rig_node_close(&w->node[0]);
    rig_node_close(&w->node[1]);
}

/* Returns the trace. */
static uint64_t run(uint64_t seed, const struct plan *p, struct mcq_sim_seen *seen)
{
    static struct world w;
    open_world(&w, seed, p);
    for (uint32_t i = 0; w.closed != w.pairs || w.gone != w.accepted; i++) {
        cr_assert_lt(i, STEPS_MAX, "seed %llu: %u of %u closed, %u of %u gone",
                     (unsigned long long)seed, w.closed, w.pairs, w.gone, w.accepted);
        cr_assert(rig_step(w.node, 2), "seed %llu: nothing would happen any more",
                  (unsigned long long)seed);
    }
    for (uint32_t i = 0; i < w.pairs; i++)
        cr_assert(w.client[i].got == TOTAL || w.client[i].failed);
    bool reliable =
        p->faults.reset + p->faults.half_open + p->faults.refused + p->faults.connect_lost == 0;
    for (uint32_t i = 0; reliable && i < w.pairs; i++)
        cr_assert_eq(w.client[i].got, TOTAL);
    close_world(&w);
    *seen = *mcq_sim_seen();
    uint64_t trace = mcq_sim_trace();
    mcq_sim_close();
    return trace;
}

static const struct mcq_sim_faults MILD = {.short_read = 1000,
                                           .short_write = 1000,
                                           .delay = 500,
                                           .delay_max_ns = 5000000,
                                           .inline_done = 5000,
                                           .reorder = 2000,
                                           .enobufs = 200,
                                           .cq_overflow = 200,
                                           .shot_end = 500,
                                           .emfile = 500,
                                           .cancel_late = 3000,
                                           .clock_step = 10,
                                           .clock_step_max_ns = 100000000,
                                           .socket_buffer_bytes = 5000};

static const char *const FEATURES[] = {"", "6.1", "-inc", "-mshot-limit,-mshot-accept", "-hot"};

static void run_all(uint64_t seed, const struct mcq_sim_faults *faults, bool local)
{
    struct mcq_sim_seen seen;
    for (uint32_t i = 0; i < MCQ_CNT_OF(FEATURES); i++) {
        struct plan p = {FEATURES[i], (seed + i) % 3 == 0 ? MCQ_IDLE_SPIN : MCQ_IDLE_BLOCK, local,
                         *faults};
        (void)run(seed * 16 + i, &p, &seen);
    }
}

Test(echo, nothing_goes_wrong)
{
    struct mcq_sim_faults none = {0}, at_once = {.inline_done = 10000};
    for (uint64_t seed = 0; seed < 3; seed++) {
        run_all(seed, &none, false);
        run_all(seed, &at_once, false);
    }
}

Test(echo, what_a_kernel_may_do_loses_nothing)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        run_all(seed, &MILD, false);
        run_all(seed, &MILD, true);
    }
}

Test(echo, what_arrives_is_right_whatever_ends)
{
    struct mcq_sim_faults wild = MILD;
    wild.reset = 20;
    wild.half_open = 10;
    wild.refused = 500;
    wild.connect_lost = 300;
    for (uint64_t seed = 100; seed < 110; seed++) {
        run_all(seed, &wild, false);
        run_all(seed, &wild, true);
    }
}

/* Under every fault at once, and every one of them happened. */
Test(echo, the_same_seed_does_the_same)
{
    struct mcq_sim_faults wild = MILD;
    wild.reset = 20;
    wild.half_open = 10;
    struct mcq_sim_seen first, again;
    uint64_t last = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct plan p = {FEATURES[seed % MCQ_CNT_OF(FEATURES)], MCQ_IDLE_BLOCK, false, wild};
        uint64_t trace = run(seed, &p, &first);
        cr_assert_eq(run(seed, &p, &again), trace, "seed %llu", (unsigned long long)seed);
        cr_assert_eq(memcmp(&first, &again, sizeof(first)), 0);
        cr_assert_neq(trace, last);
        last = trace;
    }
}
