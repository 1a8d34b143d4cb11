/* One peer at a time: killed, looked at, held back, slow; and what a close leaves behind. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define TURNS    20u
#define EVENTS   128u
#define MARK_LEN 18u

struct peers {
    const char *name;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_sock_opts opts;
    enum mcq_sock_type type;
    struct mcq_diary diary;
    struct mcq_peer peer; /* of the last UP */
    char endpoint[64];
    bool connects, flood;
    bool goes_on;       /* sends whenever there is room */
    unsigned msgs, len; /* to be sent as soon as somebody is up */
    unsigned take;      /* messages taken before a pause, 0: all */
    unsigned kill_at;   /* message that kills its peer */
    uint32_t close_ms;  /* of mcq_sock_close_within */
    unsigned event_cnt;
    struct mcq_event events[EVENTS];
    struct mcq_peer_stats stats;
    struct mcq_shard_stats mid;
    atomic_ulong ready, got, wrong, sent, turns, closed, subscribed, looked;
};

/* --- the shard's side ------------------------------------------------------------------------- */

static void send_some(struct peers *p)
{
    char *body = calloc(1, p->len);
    if (body == NULL)
        abort();
    while (p->sent < p->msgs) {
        uint32_t n = (uint32_t)p->sent;
        memcpy(body, &n, sizeof(n));
        if (mcq_send_bytes(p->sock, body, p->len) != MCQ_OK)
            break;
        atomic_fetch_add(&p->sent, 1);
    }
    free(body);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct peers *p = ctx;
    if (event->kind == MCQ_EVENT_UP)
        p->peer = event->peer;
    CHECK(event->endpoint[0] != '\0'); /* every peer here has an address, and is named by it */
    if (CHECK(p->event_cnt < EVENTS))
        p->events[p->event_cnt++] = *event;
    mcq_diary_add(&p->diary, event);
    if (event->kind == MCQ_EVENT_UP && p->flood && mcq_sock_type(sock) != MCQ_PUB)
        send_some(p);
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct peers *p = ctx;
    uint32_t n = UINT32_MAX;
    memcpy(&n, msg->data, sizeof(n));
    atomic_fetch_add(n == p->got ? &p->got : &p->wrong, 1);
    if (p->kill_at != 0 && p->got == p->kill_at) {
        CHECK(mcq_peer_kill(sock, from) == MCQ_OK);
        return MCQ_PAUSE;
    }
    return p->take != 0 && p->got % p->take == 0 ? MCQ_PAUSE : MCQ_CONTINUE;
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct peers *p = ctx;
    (void)sock, (void)peer, (void)added, (void)topic, (void)len;
    atomic_fetch_add(&p->subscribed, 1);
    if (p->flood)
        send_some(p);
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct peers *p = ctx;
    (void)sock;
    if (p->goes_on)
        send_some(p);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct peers *p = ctx;
    (void)sock;
    atomic_fetch_add(&p->closed, 1);
}

static const struct mcq_sock_handlers handlers = {
    .message = on_message,
    .writable = on_writable,
    .event = on_event,
    .subscription = on_subscription,
    .closed = on_closed,
};

static int start(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    p->shard = shard;
    CHECK(mcq_sock_open(shard, p->type, &p->opts, &handlers, p, &p->sock, NULL) == MCQ_OK);
    if (p->connects) {
        CHECK(mcq_sock_connect(p->sock, p->endpoint, NULL) == MCQ_OK);
    } else {
        CHECK(mcq_sock_bind(p->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
        snprintf(p->endpoint, sizeof(p->endpoint), "%s", mcq_sock_endpoint(p->sock));
    }
    atomic_store(&p->ready, 1);
    return 0;
}

static void kill_peer(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    (void)shard;
    CHECK(mcq_peer_kill(p->sock, p->peer) == MCQ_OK);
    CHECK(mcq_peer_kill(p->sock, p->peer) == MCQ_OK); /* once is enough, twice no harm */
}

/* It isn't there for anybody from then on, though its connection has still to end. */
static void kill_and_send(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    struct mcq_msg m = mcq_msg_of("x", 1);
    struct mcq_peer found;
    (void)shard;
    CHECK(mcq_peer_find(p->sock, "me", 2, &found) == MCQ_OK);
    CHECK(mcq_peer_kill(p->sock, p->peer) == MCQ_OK);
    CHECK(mcq_send_to(p->sock, p->peer, &m) == MCQ_ESTALE);
    CHECK(mcq_peer_find(p->sock, "me", 2, &found) == MCQ_ENOENT);
    if (p->type == MCQ_DEALER)
        CHECK(mcq_send_bytes(p->sock, "x", 1) == MCQ_EAGAIN);
}

static void close_and_kill_peer(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    (void)shard;
    CHECK(mcq_peer_close(p->sock, p->peer) == MCQ_OK);
    CHECK(mcq_peer_kill(p->sock, p->peer) == MCQ_OK);
}

static void close_peer(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    (void)shard;
    CHECK(mcq_peer_close(p->sock, p->peer) == MCQ_OK);
}

static void resume_peer(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    (void)shard;
    CHECK(mcq_peer_resume(p->sock, p->peer) == MCQ_OK);
}

static void look(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    mcq_shard_stats(shard, &p->mid);
    CHECK(mcq_peer_stats(p->sock, p->peer, &p->stats) == MCQ_OK);
    atomic_fetch_add(&p->looked, 1);
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    (void)shard;
    if (p->close_ms != 0)
        mcq_sock_close_within(p->sock, p->close_ms);
    else
        mcq_sock_close(p->sock);
}

static void stale(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    (void)shard;
    CHECK(mcq_peer_kill(p->sock, p->peer) == MCQ_ESTALE);
    CHECK(mcq_peer_stats(p->sock, p->peer, &p->stats) == MCQ_ESTALE);
}

static void turn(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    if (atomic_fetch_add(&p->turns, 1) % TURNS != TURNS - 1)
        CHECK(mcq_post(shard, turn, p) == MCQ_OK);
}

/* --- the far side ----------------------------------------------------------------------------- */

static void post(struct peers *p, mcq_post_fn *fn)
{
    CHECK(mcq_post(p->shard, fn, p) == MCQ_OK);
}

static void look_now(struct peers *p)
{
    unsigned long before = p->looked;
    post(p, look);
    CHECK(mcq_trial_wait(&p->looked, before + 1));
}

/* The shard had every chance to do what it would. */
static void some_turns(struct peers *p)
{
    unsigned long before = p->turns;
    post(p, turn);
    CHECK(mcq_trial_wait(&p->turns, before + TURNS));
}

/* Everything written is with the other side's kernel. */
static void await_acked(int fd)
{
    int left = 1;
    for (unsigned i = 0; i < MCQ_RAW_WAIT_MS && left != 0; i++) {
        CHECK(ioctl(fd, TIOCOUTQ, &left) == 0);
        usleep(1000);
    }
    CHECK(left == 0);
}

static void write_numbered(int fd, uint32_t first, uint32_t cnt, size_t len)
{
    struct mcq_text out = {NULL, 0, 0};
    char body[256] = "";
    for (uint32_t n = first; n < first + cnt; n++) {
        memcpy(body, &n, sizeof(n));
        mcq_raw_frame(&out, 0, body, len);
    }
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

/* Reads messages to the end of the stream; returns how many came in order. */
static unsigned read_numbered(struct peers *p, int fd)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags, cnt = 0;
    while (mcq_raw_next_message(fd, &flags, &body)) {
        uint32_t n = UINT32_MAX;
        CHECK(body.len == p->len);
        memcpy(&n, body.ptr, sizeof(n));
        CHECK(n == cnt);
        cnt++;
    }
    mcq_text_fini(&body);
    return cnt;
}

static struct peers *peers_new(const char *name, enum mcq_sock_type type)
{
    struct peers *p = calloc(1, sizeof(*p));
    if (p == NULL)
        abort();
    p->name = name;
    p->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    p->opts.reconnect_min_ms = 5;
    p->opts.reconnect_max_ms = 5;
    p->type = type;
    p->len = 64;
    return p;
}

static struct mcq_shard_stats run(struct peers *p, void *(*far)(void *))
{
    struct mcq_trial trial = {p->name, mcq_trial_opts(), start, far, p};
    trial.opts.arena_bytes = 128u << 20;
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(p->closed == 1 && p->wrong == 0);
    mcq_diary_end(&p->diary);
    return stats;
}

static const struct mcq_event *nth(const struct peers *p, enum mcq_event_kind kind, unsigned n)
{
    static const struct mcq_event none;
    for (unsigned i = 0; i < p->event_cnt; i++)
        if (p->events[i].kind == kind && n-- == 0)
            return &p->events[i];
    CHECK(false);
    return &none;
}

/* --- kill ------------------------------------------------------------------------------------- */

static void *be_killed_by_a_message(void *arg)
{
    struct peers *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_open(p->endpoint, "PUSH");
    write_numbered(fd, 0, 1000, 16);
    CHECK(mcq_raw_ended(fd));
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(p, stale);
    post(p, close_sock);
    mcq_raw_close(fd);
    return NULL;
}

static void killed_by_a_message(void)
{
    struct peers *p = peers_new("killed by its tenth message", MCQ_PULL);
    p->kill_at = 10;
    struct mcq_shard_stats stats = run(p, be_killed_by_a_message);
    const struct mcq_event *ev = nth(p, MCQ_EVENT_DISCONNECTED, 0);
    CHECK(p->got == 10 && ev->report.msgs_in == 10 && ev->reason == MCQ_REASON_KILLED);
    CHECK(ev->report.undelivered_bytes != 0 && stats.disconnects[MCQ_REASON_KILLED] == 1);
    CHECK(stats.proto.bytes_in + ev->report.undelivered_bytes == ev->report.bytes_in);
    free(p);
}

/* Doesn't read, so that a queue is left. */
static void *be_killed_with_a_queue(void *arg)
{
    struct peers *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_connect(p->endpoint, 4096);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&p->sent, p->msgs));
    some_turns(p);
    look_now(p);
    post(p, kill_peer);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(p, stale);
    post(p, close_sock);
    mcq_raw_close(fd);
    return NULL;
}

static void killed_with_a_queue(void)
{
    struct peers *p = peers_new("killed with a queue", MCQ_PUSH);
    p->flood = true;
    p->msgs = 900;
    p->len = 16000;
    p->opts.send_hwm_bytes = 32u << 20;
    p->opts.send_buffer_bytes = 65536;
    struct mcq_shard_stats stats = run(p, be_killed_with_a_queue);
    const struct mcq_event *ev = nth(p, MCQ_EVENT_DISCONNECTED, 0);
    const struct mcq_event *drop = nth(p, MCQ_EVENT_DROPPED, 0);
    const struct mcq_peer_stats *s = &p->stats;
    CHECK(s->queued_msgs + s->msgs_out == p->msgs && s->queued_msgs != 0 && s->unacked_bytes != 0);
    CHECK(s->queued_bytes >= s->queued_msgs * p->len - p->len && !s->paused && !s->slow);
    CHECK(s->bytes_out >= s->msgs_out * p->len && s->msgs_in == 0 && s->waiting_bytes == 0);
    CHECK(ev->reason == MCQ_REASON_KILLED && ev->report.msgs_out >= s->msgs_out);
    CHECK(drop < ev && drop->reason == MCQ_REASON_KILLED);
    CHECK(mcq_peer_equal(drop->peer, ev->peer));
    CHECK(drop->cnt + ev->report.msgs_out == p->msgs && drop->cnt == stats.pattern.drops_end);
    CHECK(ev->report.unacked_known && ev->report.unacked_bytes != 0);
    CHECK(ev->report.lost_hi >= ev->report.msgs_out && ev->report.lost_lo < ev->report.msgs_out);
    free(p);
}

/* Takes the rest over the next connection. What was with the kernel is lost: the report says so. */
static void *come_again(void *arg)
{
    struct peers *p = arg;
    char endpoint[64];
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    int listener = mcq_raw_listen(mcq_raw_port(p->endpoint), endpoint);
    int fd = mcq_raw_accept(listener);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&p->sent, p->msgs));
    some_turns(p);
    post(p, kill_peer);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_RETRY], 1));
    mcq_raw_close(fd);
    fd = mcq_raw_accept(listener);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    uint32_t first = UINT32_MAX;
    for (uint32_t want = 0; first == UINT32_MAX || want < p->msgs; want++) {
        uint32_t n = 0;
        if (!CHECK(mcq_raw_next_message(fd, &flags, &body)))
            break;
        memcpy(&n, body.ptr, sizeof(n));
        if (first == UINT32_MAX)
            want = first = n;
        CHECK(n == want);
    }
    CHECK(p->diary.report.msgs_out == first);
    post(p, close_sock);
    CHECK(mcq_raw_ended(fd));
    mcq_text_fini(&body);
    mcq_raw_close(fd);
    mcq_raw_close(listener);
    return NULL;
}

static void killed_comes_again(void)
{
    struct peers *p =
        peers_new("a connect that is killed is tried again, with its queue", MCQ_PUSH);
    p->connects = true;
    p->flood = true;
    p->msgs = 800;
    p->len = 16000;
    p->opts.send_hwm_bytes = 32u << 20;
    p->opts.send_buffer_bytes = 65536;
    mcq_raw_close(mcq_raw_listen(0, p->endpoint));
    struct mcq_shard_stats stats = run(p, come_again);
    CHECK(stats.pattern.drops_end == 0 && p->diary.cnt[MCQ_EVENT_UP] == 2);
    CHECK(nth(p, MCQ_EVENT_DISCONNECTED, 0)->reason == MCQ_REASON_KILLED);
    free(p);
}

/* We have said goodbye, it doesn't hang up; linger would be long. */
static void *stay_on(void *arg)
{
    struct peers *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_open(p->endpoint, "PUSH");
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_UP], 1));
    post(p, close_peer);
    CHECK(mcq_raw_ended(fd));
    look_now(p); /* it still has a name */
    CHECK(p->diary.cnt[MCQ_EVENT_DISCONNECTED] == 0);
    post(p, kill_peer);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(p, close_sock);
    mcq_raw_close(fd);
    return NULL;
}

static void killed_while_it_closes(void)
{
    struct peers *p = peers_new("killed while it closes", MCQ_PULL);
    p->opts.linger_ms = 3600000;
    run(p, stay_on);
    CHECK(nth(p, MCQ_EVENT_DISCONNECTED, 0)->reason == MCQ_REASON_KILLED);
    free(p);
}

/* Never ends the stream by itself, which an orderly close would wait for. */
static void *be_closed_and_killed(void *arg)
{
    struct peers *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_open(p->endpoint, "PULL");
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_UP], 1));
    post(p, close_and_kill_peer);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(p, close_sock);
    mcq_raw_close(fd);
    return NULL;
}

/* Nothing is queued, so the close alone has begun by then. */
static void killed_in_one_go_with_a_close(void)
{
    struct peers *p = peers_new("closed and killed at once", MCQ_PUSH);
    p->opts.linger_ms = 3600000;
    run(p, be_closed_and_killed);
    CHECK(nth(p, MCQ_EVENT_DISCONNECTED, 0)->reason == MCQ_REASON_KILLED);
    free(p);
}

static void *be_killed_and_sent_to(void *arg)
{
    struct peers *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_connect(p->endpoint, 0);
    CHECK(mcq_raw_hello(fd, p->type == MCQ_DEALER ? "ROUTER" : "DEALER", "me"));
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_UP], 1));
    post(p, kill_and_send);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(p, close_sock);
    mcq_raw_close(fd);
    return NULL;
}

static void killed_and_sent_to(enum mcq_sock_type type)
{
    struct peers *p = peers_new("killed and sent to", type);
    struct mcq_shard_stats stats = run(p, be_killed_and_sent_to);
    CHECK(stats.pattern.drops_end == 0 && p->diary.dropped == 0);
    free(p);
}

/* Reads to the end of the stream, which comes although there is always more to send. */
static void *be_closed_under_load(void *arg)
{
    struct peers *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_connect(p->endpoint, 4096);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&p->sent, 200)); /* and more, while others take them */
    some_turns(p);
    post(p, close_peer);
    some_turns(p);
    unsigned long sent = p->sent;
    CHECK(read_numbered(p, fd) == sent);
    CHECK(p->sent == sent);
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(p, close_sock);
    return NULL;
}

/* The far side reads nothing until the close, so messages wait, and room comes with every read. */
static void closed_under_load(void)
{
    struct peers *p = peers_new("closed under load", MCQ_PUSH);
    p->flood = true;
    p->goes_on = true;
    p->msgs = UINT32_MAX;
    p->len = 16000;
    p->opts.linger_ms = 3600000;
    p->opts.send_buffer_bytes = 65536;
    p->opts.send_hwm_msgs = 200;
    run(p, be_closed_under_load);
    CHECK(nth(p, MCQ_EVENT_DISCONNECTED, 0)->reason == MCQ_REASON_LOCAL);
    CHECK(p->diary.dropped == 0);
    free(p);
}

/* --- held back -------------------------------------------------------------------------------- */

/* A PUSH, of ZMTP 1.0 if that is met. */
static int push_open(const struct peers *p)
{
    char signature[10];
    if (p->opts.zmtp_min != MCQ_ZMTP_1_0)
        return mcq_raw_open(p->endpoint, "PUSH");
    int fd = mcq_raw_connect(p->endpoint, 0);
    CHECK(fd >= 0 && mcq_raw_write(fd, "\1\0", 2) && mcq_raw_read(fd, signature, 10));
    return fd;
}

/* Of 16 bytes, 18 with their header in either framing. */
static void push_numbered(const struct peers *p, int fd, uint32_t first, uint32_t cnt)
{
    char frame[MARK_LEN] = {17, 0};
    if (p->opts.zmtp_min != MCQ_ZMTP_1_0) {
        write_numbered(fd, first, cnt, MARK_LEN - 2);
        return;
    }
    for (uint32_t n = first; n < first + cnt; n++) {
        memcpy(frame + 2, &n, sizeof(n));
        CHECK(mcq_raw_write(fd, frame, MARK_LEN));
    }
}

/* While so many wait, nothing more is received; each resume takes so many, and none is lost. */
static void *push_against_a_mark(void *arg)
{
    struct peers *p = arg;
    uint32_t hwm = p->opts.recv_hwm_msgs;
    mcq_trial_wait(&p->ready, 1);
    int fd = push_open(p);
    push_numbered(p, fd, 0, p->take + hwm);
    CHECK(mcq_trial_wait(&p->got, p->take));
    do { /* all of it may have come in pieces, the last by a receive that was begun in time */
        await_acked(fd);
        look_now(p);
    } while (p->stats.waiting_bytes < hwm * MARK_LEN);
    CHECK(p->stats.paused && p->stats.msgs_in == p->take &&
          p->stats.waiting_bytes == hwm * MARK_LEN);
    /* The receive under way from before is being taken back: it may still get something. */
    push_numbered(p, fd, p->take + hwm, 1);
    await_acked(fd);
    some_turns(p);
    push_numbered(p, fd, p->take + hwm + 1, hwm);
    await_acked(fd);
    some_turns(p);
    look_now(p);
    CHECK(p->stats.waiting_bytes <= (hwm + 1) * MARK_LEN);
    uint32_t all = p->take + 2 * hwm + 1;
    for (uint32_t want = 2 * p->take; want <= all; want += p->take) {
        post(p, resume_peer);
        CHECK(mcq_trial_wait(&p->got, want));
        CHECK(p->got == want);
    }
    look_now(p);
    CHECK(p->stats.msgs_in == all / p->take * p->take);
    if (all % p->take != 0)
        post(p, resume_peer);
    CHECK(mcq_trial_wait(&p->got, all));
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(p, close_sock);
    return NULL;
}

static void a_mark_in_messages(uint32_t zmtp_min, uint32_t hwm, unsigned take)
{
    struct peers *p = peers_new("a high-water mark in messages", MCQ_PULL);
    p->opts.zmtp_min = zmtp_min;
    p->opts.recv_hwm_msgs = hwm;
    p->take = take;
    struct mcq_shard_stats stats = run(p, push_against_a_mark);
    CHECK(p->got == take + 2 * hwm + 1 && stats.proto.msgs_in == p->got);
    CHECK(p->diary.report.undelivered_bytes == 0 && p->diary.report.msgs_in == p->got);
    CHECK(stats.pattern.pauses == p->got / take);
    free(p);
}

/* --- what a close leaves behind --------------------------------------------------------------- */

/* Reads nothing until everything is queued and the close has begun. */
static void *read_late(void *arg)
{
    struct peers *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_connect(p->endpoint, 4096);
    CHECK(mcq_raw_hello(fd,
                        p->type == MCQ_PUB    ? "SUB"
                        : p->type == MCQ_PUSH ? "PULL"
                                              : "DEALER",
                        NULL));
    if (p->type == MCQ_PUB) {
        struct mcq_text out = {NULL, 0, 0};
        mcq_raw_command(&out, "SUBSCRIBE", "", 0);
        CHECK(mcq_raw_write(fd, out.ptr, out.len));
        mcq_text_fini(&out);
    }
    CHECK(mcq_trial_wait(&p->sent, p->msgs));
    post(p, close_sock);
    some_turns(p);
    CHECK(p->closed == 0);
    CHECK(read_numbered(p, fd) == p->msgs);
    mcq_raw_close(fd);
    return NULL;
}

static void slow_within_linger(enum mcq_sock_type type, uint32_t linger_ms, uint32_t close_ms)
{
    struct peers *p = peers_new("a slow peer gets all within linger", type);
    p->flood = true;
    p->msgs = 700;
    p->len = 9000;
    p->opts.send_hwm_msgs = MCQ_UNLIMITED;
    p->opts.send_hwm_bytes = 32u << 20;
    p->opts.send_buffer_bytes = 65536;
    p->opts.linger_ms = linger_ms;
    p->close_ms = close_ms;
    struct mcq_shard_stats stats = run(p, read_late);
    const struct mcq_event *ev = nth(p, MCQ_EVENT_DISCONNECTED, 0);
    CHECK(ev->reason == MCQ_REASON_LOCAL && ev->report.msgs_out == p->msgs);
    CHECK(ev->report.unacked_known && ev->report.unacked_bytes == 0);
    CHECK(ev->report.lost_lo == p->msgs && ev->report.lost_hi == p->msgs);
    CHECK(stats.pattern.drops_end == 0 && p->diary.dropped == 0);
    free(p);
}

static void *read_never(void *arg)
{
    struct peers *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_connect(p->endpoint, 4096);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&p->sent, p->msgs));
    post(p, close_sock);
    CHECK(mcq_trial_wait(&p->closed, 1));
    mcq_raw_close(fd);
    return NULL;
}

static void not_within_linger(uint32_t linger_ms, uint32_t close_ms, enum mcq_reason reason)
{
    struct peers *p = peers_new("a peer that doesn't read within linger", MCQ_PUSH);
    p->flood = true;
    p->msgs = 700;
    p->len = 9000;
    p->opts.send_hwm_bytes = 32u << 20;
    p->opts.send_buffer_bytes = 65536;
    p->opts.linger_ms = linger_ms;
    p->close_ms = close_ms;
    struct mcq_shard_stats stats = run(p, read_never);
    const struct mcq_event *ev = nth(p, MCQ_EVENT_DISCONNECTED, 0);
    const struct mcq_event *drop = nth(p, MCQ_EVENT_DROPPED, 0);
    CHECK(ev->reason == reason && drop->reason == reason && drop < ev);
    CHECK(drop->cnt + ev->report.msgs_out == p->msgs && drop->cnt == stats.pattern.drops_end);
    CHECK(p->diary.dropped == drop->cnt);
    free(p);
}

/* --- slow ------------------------------------------------------------------------------------- */

/* SLOW and SLOW_END in turns, drops only between them, and all before DISCONNECTED. */
static void check_slowness(const struct peers *p)
{
    bool slow = false, up = false;
    for (unsigned i = 0; i < p->event_cnt; i++) {
        const struct mcq_event *ev = &p->events[i];
        if (ev->kind == MCQ_EVENT_UP || ev->kind == MCQ_EVENT_DISCONNECTED)
            up = ev->kind == MCQ_EVENT_UP;
        if (ev->kind == MCQ_EVENT_SLOW || ev->kind == MCQ_EVENT_SLOW_END) {
            CHECK(up && slow == (ev->kind == MCQ_EVENT_SLOW_END));
            slow = !slow;
            CHECK(mcq_peer_equal(ev->peer, p->peer));
            CHECK(ev->cnt == (slow ? p->opts.send_hwm_msgs : 0));
        }
        if (ev->kind == MCQ_EVENT_DROPPED && ev->reason == MCQ_REASON_HWM)
            CHECK(up && slow);
        if (ev->kind == MCQ_EVENT_DISCONNECTED)
            CHECK(!slow);
    }
}

static void flood_again(struct mcq_shard *shard, void *arg)
{
    struct peers *p = arg;
    (void)shard;
    p->msgs *= 2;
    send_some(p);
}

static void *stall_twice(void *arg)
{
    struct peers *p = arg;
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_connect(p->endpoint, 4096);
    CHECK(mcq_raw_hello(fd, "SUB", NULL));
    mcq_raw_command(&body, "SUBSCRIBE", "", 0);
    CHECK(mcq_raw_write(fd, body.ptr, body.len));
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_SLOW], 1));
    look_now(p);
    CHECK(p->stats.slow && p->stats.slow_cnt == 1 && p->stats.dropped != 0);
    while (p->diary.cnt[MCQ_EVENT_SLOW_END] == 0)
        if (!CHECK(mcq_raw_next_message(fd, &flags, &body)))
            break;
    look_now(p);
    CHECK(!p->stats.slow && p->stats.slow_cnt == 1);
    post(p, flood_again);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_SLOW], 2));
    look_now(p);
    CHECK(p->stats.slow && p->stats.slow_cnt == 2);
    post(p, kill_peer);
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(p, close_sock);
    mcq_raw_close(fd);
    mcq_text_fini(&body);
    return NULL;
}

static void slow_twice(void)
{
    struct peers *p = peers_new("slow, relieved, slow, killed", MCQ_PUB);
    p->flood = true;
    p->msgs = 5000;
    p->len = 9000;
    p->opts.send_hwm_msgs = 100;
    p->opts.send_buffer_bytes = 65536;
    struct mcq_shard_stats stats = run(p, stall_twice);
    const struct mcq_event *ev = nth(p, MCQ_EVENT_DISCONNECTED, 0);
    check_slowness(p);
    CHECK(stats.pattern.slow_enters == 2 && stats.pattern.slow_leaves == 2);
    CHECK(p->diary.cnt[MCQ_EVENT_SLOW] == 2 && p->diary.cnt[MCQ_EVENT_SLOW_END] == 2);
    CHECK(p->diary.dropped == stats.pattern.drops_hwm + stats.pattern.drops_end);
    CHECK(ev->report.msgs_out + p->diary.dropped == p->sent && p->stats.dropped != 0);
    free(p);
}

/* --- stopping --------------------------------------------------------------------------------- */

struct last {
    struct peers *p;
    atomic_ulong stopping, stopped;
};

static int last_start(struct mcq_shard *shard, void *arg)
{
    struct last *l = arg;
    return start(shard, l->p);
}

static void last_words(struct mcq_shard *shard, void *arg)
{
    struct last *l = arg;
    struct mcq_sock *sock;
    CHECK(l->p->closed == 0 && l->stopped == 0);
    CHECK(mcq_send_bytes(l->p->sock, "last", 4) == MCQ_OK);
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &handlers, l->p, &sock, NULL) == MCQ_ESTATE);
    atomic_fetch_add(&l->stopping, 1);
}

static void last_stop(struct mcq_shard *shard, void *arg)
{
    struct last *l = arg;
    (void)shard;
    CHECK(l->p->closed == 1 && l->stopping == 1);
    atomic_fetch_add(&l->stopped, 1);
}

static void *hear_last(void *arg)
{
    struct last *l = arg;
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    mcq_trial_wait(&l->p->ready, 1);
    int fd = mcq_raw_open(l->p->endpoint, "PULL");
    CHECK(mcq_trial_wait(&l->p->diary.cnt[MCQ_EVENT_UP], 1));
    mcq_stop(l->p->shard);
    mcq_stop(l->p->shard);
    CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 4 &&
          memcmp(body.ptr, "last", 4) == 0);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    mcq_text_fini(&body);
    return NULL;
}

static void stopping_is_told(void)
{
    struct last l = {.p = peers_new("on_stopping", MCQ_PUSH)};
    const struct mcq_app app = {
        .start = last_start, .on_stop = last_stop, .on_stopping = last_words};
    struct mcq_opts opts = mcq_trial_opts();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, hear_last, &l) == 0);
    CHECK(mcq_run(&opts, &app, &l, NULL) == MCQ_OK);
    pthread_join(thread, NULL);
    CHECK(l.stopping == 1 && l.stopped == 1);
    mcq_diary_end(&l.p->diary);
    free(l.p);
}

int main(void)
{
    killed_by_a_message();
    killed_with_a_queue();
    killed_comes_again();
    killed_while_it_closes();
    killed_in_one_go_with_a_close();
    killed_and_sent_to(MCQ_ROUTER);
    killed_and_sent_to(MCQ_DEALER);
    closed_under_load();
    a_mark_in_messages(MCQ_ZMTP_2_0, 10, 7);
    a_mark_in_messages(MCQ_ZMTP_1_0, 10, 7);
    a_mark_in_messages(MCQ_ZMTP_2_0, 1, 1);
    a_mark_in_messages(MCQ_ZMTP_1_0, 1, 1);
    a_mark_in_messages(MCQ_ZMTP_2_0, 500, 123);
    a_mark_in_messages(MCQ_ZMTP_1_0, 500, 123);
    slow_within_linger(MCQ_PUSH, 20000, 0);
    slow_within_linger(MCQ_DEALER, 20000, 0);
    slow_within_linger(MCQ_PUB, 20000, 0);
    slow_within_linger(MCQ_PUSH, MCQ_NONE, 20000);
    not_within_linger(30, 0, MCQ_REASON_TIMEOUT);
    not_within_linger(3600000, 30, MCQ_REASON_TIMEOUT);
    not_within_linger(3600000, MCQ_NONE, MCQ_REASON_LOCAL);
    slow_twice();
    stopping_is_told();
    return mcq_trial_end();
}
