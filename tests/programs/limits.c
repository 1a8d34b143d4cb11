/* At the limits: what is refused is told and counted, and everybody else goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define CONNS 64u /* the least a plan gives */

struct limit {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_timer *timer;
    struct mcq_diary diary;
    char endpoint[64];
    atomic_ulong ready, done, got, writables, sent, step;
    size_t len;
    struct mcq_shard_stats mid;
    char *mem;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct limit *l = ctx;
    (void)sock;
    mcq_diary_add(&l->diary, event);
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct limit *l = arg;
    mcq_shard_stats(shard, &l->mid);
    mcq_sock_close(l->sock);
}

static void finish(struct limit *l)
{
    CHECK(mcq_post(l->shard, close_sock, l) == MCQ_OK);
}

static int open_bound(struct mcq_shard *shard, struct limit *l, enum mcq_sock_type type,
                      const struct mcq_sock_opts *opts, const struct mcq_sock_handlers *handlers)
{
    l->shard = shard;
    CHECK(mcq_sock_open(shard, type, opts, handlers, l, &l->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(l->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(l->endpoint, sizeof(l->endpoint), "%s", mcq_sock_endpoint(l->sock));
    atomic_store(&l->ready, 1);
    return 0;
}

/* Sends text as a request in a REQ's envelope and expects it back. */
static void round_trip(int fd, const char *text)
{
    struct mcq_text out = {NULL, 0, 0};
    unsigned flags = 0;
    mcq_raw_frame(&out, MCQ_RAW_MORE, "", 0);
    mcq_raw_frame(&out, 0, text, strlen(text));
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    CHECK(mcq_raw_next_message(fd, &flags, &out) && flags == MCQ_RAW_MORE && out.len == 0);
    CHECK(mcq_raw_next_message(fd, &flags, &out) && out.len == strlen(text) &&
          memcmp(out.ptr, text, out.len) == 0);
    mcq_text_fini(&out);
}

static enum mcq_flow echo(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msg)
{
    struct limit *l = ctx;
    (void)from;
    atomic_fetch_add(&l->got, 1);
    CHECK(mcq_send(sock, msg) == MCQ_OK);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers echoing = {.message = echo, .event = on_event};

static int start_rep(struct mcq_shard *shard, void *arg)
{
    return open_bound(shard, arg, MCQ_REP, NULL, &echoing);
}

/* --- connections ----------------------------------------------------------------------------- */

static void *too_many(void *arg)
{
    struct limit *l = arg;
    int fds[CONNS];
    mcq_trial_wait(&l->ready, 1);
    for (unsigned i = 0; i < CONNS; i++)
        fds[i] = mcq_raw_open(l->endpoint, "REQ");
    for (unsigned i = 0; i < 10; i++) {
        int fd = mcq_raw_connect(l->endpoint, 0);
        CHECK(fd >= 0 && mcq_raw_ended(fd));
        mcq_raw_close(fd);
        round_trip(fds[i], "still here");
    }
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_REFUSED], 10));
    CHECK(l->diary.reasons[MCQ_REASON_LIMIT] == 10);
    mcq_raw_close(fds[0]);
    CHECK(mcq_trial_wait(&l->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    fds[0] = mcq_raw_open(l->endpoint, "REQ");
    for (unsigned i = 0; i < CONNS; i++)
        round_trip(fds[i], "all of us");
    int fd = mcq_raw_connect(l->endpoint, 0); /* one is being refused while the app ends */
    finish(l);
    for (unsigned i = 0; i < CONNS; i++) {
        CHECK(mcq_raw_ended(fds[i]));
        mcq_raw_close(fds[i]);
    }
    mcq_raw_close(fd);
    return NULL;
}

static void connections(void)
{
    struct limit l = {.len = 1};
    struct mcq_trial trial = {"connections_max", mcq_trial_opts(), start_rep, too_many, &l};
    trial.opts.connections_max = CONNS;
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(l.mid.pattern.peers_refused >= 10 && stats.loop.conns_peak >= CONNS);
    mcq_diary_end(&l.diary);
}

/* --- a connection comes in while the socket closes ------------------------------------------- */

static void *knock(void *arg)
{
    struct limit *l = arg;
    int fds[32];
    mcq_trial_wait(&l->ready, 1);
    finish(l);
    for (unsigned i = 0; i < 32; i++)
        fds[i] = mcq_raw_connect(l->endpoint, 0);
    for (unsigned i = 0; i < 32; i++)
        if (fds[i] >= 0)
            mcq_raw_close(fds[i]);
    return NULL;
}

static void closing(void)
{
    for (unsigned i = 0; i < 10; i++) {
        struct limit l = {.len = 1};
        struct mcq_trial trial = {"a socket that closes", mcq_trial_opts(), start_rep, knock, &l};
        trial.opts.large_bytes = 1u << 20;
        mcq_trial_run(&trial);
        mcq_diary_end(&l.diary);
    }
}

/* --- sockets, timers ------------------------------------------------------------------------- */

static void on_timer(void *ctx, struct mcq_timer *timer)
{
    (void)ctx;
    mcq_timer_close(timer);
}

static int start_pools(struct mcq_shard *shard, void *arg)
{
    static struct mcq_sock *socks[1024];
    static struct mcq_timer *timers[8192];
    static const struct mcq_sock_handlers none = {.closed = NULL};
    struct mcq_detail detail = {.text = ""};
    unsigned n = 0, t = 0;
    (void)arg;
    while (n < 1024 &&
           mcq_sock_open(shard, MCQ_DEALER, NULL, &none, NULL, &socks[n], &detail) == MCQ_OK)
        n++;
    CHECK(n >= 64 && n < 1024 && detail.code == MCQ_ELIMIT && detail.text[0] != '\0');
    while (t < 8192 && mcq_timer_open(shard, on_timer, NULL, &timers[t]) == MCQ_OK)
        t++;
    CHECK(t >= 64 && t < 8192 && mcq_timer_open(shard, on_timer, NULL, &timers[t]) == MCQ_ELIMIT);
    unsigned c = 0;
    while (c < 100000 && mcq_sock_connect(socks[0], "tcp://127.0.0.1:1", &detail) == MCQ_OK)
        c++;
    CHECK(c >= 64 && c < 100000 && detail.code == MCQ_ELIMIT);
    unsigned b = 0;
    while (b < 100000 && mcq_sock_bind(socks[1], "tcp://127.0.0.1:*", &detail) == MCQ_OK)
        b++;
    CHECK(b >= 64 && b < 100000 && detail.code == MCQ_ELIMIT);
    for (unsigned i = 0; i < n; i++)
        mcq_sock_close(socks[i]);
    for (unsigned i = 0; i < t; i++)
        mcq_timer_arm(timers[i], 0);
    return 0;
}

static void pools(void)
{
    struct mcq_trial trial = {"pools", mcq_trial_opts(), start_pools, NULL, NULL};
    mcq_trial_run(&trial);
}

/* --- high-water marks ------------------------------------------------------------------------ */

static void fill(struct limit *l, struct mcq_sock *sock)
{
    for (;;) {
        struct mcq_msg m = mcq_msg_of(l->mem, l->len);
        enum mcq_error err = mcq_send(sock, &m);
        if (err != MCQ_OK) {
            CHECK(err == MCQ_EAGAIN && m.len == l->len && m.data == l->mem);
            return;
        }
        atomic_fetch_add(&l->sent, 1);
    }
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct limit *l = ctx;
    atomic_fetch_add(&l->writables, 1);
    if (l->step == 1)
        fill(l, sock);
}

static const struct mcq_sock_handlers filling = {.writable = on_writable, .event = on_event};

static int start_hwm_msgs(struct mcq_shard *shard, void *arg)
{
    struct limit *l = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_msg m;
    opts.send_hwm_msgs = 10;
    opts.linger_ms = MCQ_NONE;
    open_bound(shard, l, MCQ_PUSH, &opts, &filling);
    m = mcq_msg_of(l->mem, l->len);
    CHECK(mcq_send(l->sock, &m) == MCQ_EAGAIN); /* nobody there: writable follows the first UP */
    CHECK(mcq_send_bytes(l->sock, l->mem, l->len) == MCQ_EAGAIN);
    atomic_store(&l->step, 1);
    return 0;
}

/* Every `writable` fills up; all of it arrives. */
static void *drink(void *arg)
{
    struct limit *l = arg;
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    unsigned long got = 0;
    mcq_trial_wait(&l->ready, 1);
    int fd = mcq_raw_open(l->endpoint, "PULL");
    while (got < 500 && mcq_raw_next_message(fd, &flags, &body)) {
        CHECK(body.len == l->len);
        got++;
    }
    CHECK(got == 500 && l->sent >= 500 && l->writables >= 2);
    finish(l);
    mcq_raw_ended(fd);
    mcq_raw_close(fd);
    mcq_text_fini(&body);
    return NULL;
}

static int start_hwm_bytes(struct mcq_shard *shard, void *arg)
{
    struct limit *l = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_bytes = 100000;
    opts.linger_ms = MCQ_NONE;
    open_bound(shard, l, MCQ_PUSH, &opts, &filling);
    atomic_store(&l->step, 1);
    return 0;
}

static void high_water(const char *name, int (*start)(struct mcq_shard *, void *), size_t len)
{
    struct limit l = {.len = len, .mem = calloc(1, len)};
    struct mcq_trial trial = {name, mcq_trial_opts(), start, drink, &l};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.pattern.again >= 2);
    mcq_diary_end(&l.diary);
    free(l.mem);
}

/* A queue that nobody empties: exactly as many as the mark says. */
static int start_marks(struct mcq_shard *shard, void *arg)
{
    struct limit *l = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_sock *socks[3];
    opts.linger_ms = MCQ_NONE;
    opts.send_hwm_msgs = 7;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &filling, l, &socks[0], NULL) == MCQ_OK);
    opts.send_hwm_msgs = MCQ_UNLIMITED;
    opts.send_hwm_bytes = 10000;
    CHECK(mcq_sock_open(shard, MCQ_DEALER, &opts, &filling, l, &socks[1], NULL) == MCQ_OK);
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &filling, l, &socks[2], NULL) == MCQ_OK);
    for (unsigned i = 0; i < 3; i++)
        CHECK(mcq_sock_connect(socks[i], l->endpoint, NULL) == MCQ_OK);
    l->len = 10;
    fill(l, socks[0]);
    CHECK(l->sent == 7);
    l->len = 998; /* and a header of 9 */
    fill(l, socks[1]);
    CHECK(l->sent == 7 + 9);
    l->len = 3u << 20; /* larger than the mark: into an empty queue, alone */
    fill(l, socks[2]);
    CHECK(l->sent == 7 + 9 + 1);
    for (unsigned i = 0; i < 3; i++)
        mcq_sock_close(socks[i]);
    return 0;
}

static void marks(void)
{
    struct limit l = {.mem = calloc(1, 4u << 20)};
    struct mcq_trial trial = {"marks", mcq_trial_opts(), start_marks, NULL, &l};
    mcq_raw_close(mcq_raw_listen(0, l.endpoint));
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.pattern.drops_end == 17 && l.diary.dropped == 17);
    free(l.mem);
}

/* --- no block left --------------------------------------------------------------------------- */

#define HOARD_MAX 4096u

struct hoard {
    struct limit l;
    struct mcq_msg kept[HOARD_MAX];
    uint32_t cnt;
};

static void give_back(void *ctx, struct mcq_timer *timer)
{
    struct hoard *h = ctx;
    for (uint32_t i = 0; i < h->cnt; i++)
        mcq_msg_drop(h->l.shard, &h->kept[i]);
    mcq_timer_close(timer);
}

static void hoard(struct hoard *h)
{
    static const char bytes[4000];
    struct mcq_msg m = mcq_msg_of(bytes, sizeof(bytes));
    while (h->cnt < HOARD_MAX && mcq_msg_keep(h->l.shard, &m, &h->kept[h->cnt]) == MCQ_OK)
        h->cnt++;
    CHECK(h->cnt > 100 && h->cnt < HOARD_MAX);
    CHECK(mcq_send_bytes(h->l.sock, "now", 3) == MCQ_EAGAIN);
    CHECK(mcq_send(h->l.sock, &m) == MCQ_EAGAIN && m.len == sizeof(bytes));
    atomic_store(&h->l.step, 1);
    CHECK(mcq_timer_open(h->l.shard, give_back, h, &h->l.timer) == MCQ_OK);
    mcq_timer_arm(h->l.timer, mcq_shard_now(h->l.shard) + 30000000);
}

static void hoard_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct hoard *h = ctx;
    on_event(&h->l, sock, event);
    if (event->kind == MCQ_EVENT_UP)
        hoard(h);
}

static void hoard_writable(void *ctx, struct mcq_sock *sock)
{
    struct hoard *h = ctx;
    if (h->l.step == 1 && mcq_send_bytes(sock, "now", 3) == MCQ_OK)
        atomic_store(&h->l.step, 2);
}

static const struct mcq_sock_handlers hoarding = {.event = hoard_event, .writable = hoard_writable};

static int start_hoard(struct mcq_shard *shard, void *arg)
{
    struct hoard *h = arg;
    h->l.shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, NULL, &hoarding, h, &h->l.sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(h->l.sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(h->l.endpoint, sizeof(h->l.endpoint), "%s", mcq_sock_endpoint(h->l.sock));
    atomic_store(&h->l.ready, 1);
    return 0;
}

static void *wait_for_now(void *arg)
{
    struct hoard *h = arg;
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    mcq_trial_wait(&h->l.ready, 1);
    int fd = mcq_raw_open(h->l.endpoint, "PULL");
    CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 3);
    CHECK(mcq_post(h->l.shard, close_sock, &h->l) == MCQ_OK);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    mcq_text_fini(&body);
    return NULL;
}

/* `writable` comes once there are blocks again, although nothing was in flight. */
static void no_block(void)
{
    struct hoard *h = calloc(1, sizeof(*h));
    struct mcq_trial trial = {"no block left", mcq_trial_opts(), start_hoard, wait_for_now, h};
    trial.opts.arena_bytes = 16u << 20;
    mcq_trial_run(&trial);
    mcq_diary_end(&h->l.diary);
    free(h);
}

int main(void)
{
    connections();
    closing();
    pools();
    no_block();
    marks();
    high_water("send_hwm_msgs", start_hwm_msgs, 16);
    high_water("send_hwm_msgs, large", start_hwm_msgs, 20000);
    high_water("send_hwm_bytes", start_hwm_bytes, 3000);
    high_water("send_hwm_bytes, each larger", start_hwm_bytes, 300000);
    return mcq_trial_end();
}
