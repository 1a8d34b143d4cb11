/* How connections and sockets end: what was received before the end is delivered, what was sent
 * before a close arrives or is counted, a peer that comes back gets whole messages, once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define MSGS 1000u

struct end {
    struct mcq_shard *shard;
    struct mcq_sock *sock, *other;
    struct mcq_timer *timer;
    struct mcq_diary diary;
    struct mcq_peer last_peer;
    char endpoint[64];
    atomic_ulong got;    /* messages in order */
    atomic_ulong wrong;  /* messages out of order */
    atomic_ulong ready;  /* the far end may begin */
    atomic_ulong closed; /* `closed` callbacks */
    unsigned frames;     /* of each message */
    size_t len;          /* of each last frame */
    unsigned take;       /* messages taken before a pause, 0: all */
    unsigned want;       /* close the socket after so many */
    bool late_listener;
    bool abortive;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct end *e = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        e->last_peer = event->peer;
    mcq_diary_add(&e->diary, event);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct end *e = ctx;
    (void)sock;
    atomic_fetch_add(&e->closed, 1);
}

/* Message number n: frames-1 times the empty frame, then the number and padding. */
static void put_message(struct mcq_text *out, uint32_t n, unsigned frames, size_t len)
{
    char *body = calloc(1, len);
    if (body == NULL)
        abort();
    memcpy(body, &n, sizeof(n));
    for (unsigned i = 1; i < frames; i++)
        mcq_raw_frame(out, MCQ_RAW_MORE, "", 0);
    mcq_raw_frame(out, 0, body, len);
    free(body);
}

static void count_message(struct end *e, const struct mcq_msg *m)
{
    uint32_t n = UINT32_MAX;
    struct mcq_frame f = mcq_msg_frame(m, mcq_msg_frame_cnt(m) - 1);
    if (f.len == e->len && m->frame_cnt == e->frames)
        memcpy(&n, f.data, sizeof(n));
    if (n == e->got)
        atomic_fetch_add(&e->got, 1);
    else
        atomic_fetch_add(&e->wrong, 1);
}

/* --- what came before the end is delivered --------------------------------------------------- */

static void resume(void *ctx, struct mcq_timer *timer)
{
    struct end *e = ctx;
    (void)timer;
    CHECK(mcq_peer_resume(e->sock, e->last_peer) == MCQ_OK);
}

static void end_if_done(struct end *e)
{
    if (e->want == 0 || e->got + e->wrong < e->want)
        return;
    mcq_sock_close(e->sock);
    if (e->timer != NULL)
        mcq_timer_close(e->timer);
    e->timer = NULL;
    e->want = 0;
}

static size_t take_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                            struct mcq_msg *msgs, size_t n)
{
    struct end *e = ctx;
    size_t k = e->take != 0 && n > e->take ? e->take : n;
    (void)sock;
    (void)from;
    for (size_t i = 0; i < k; i++)
        count_message(e, &msgs[i]);
    end_if_done(e);
    if (k < n && e->timer != NULL)
        mcq_timer_arm(e->timer, 0);
    return k;
}

static void gone(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct end *e = ctx;
    on_event(ctx, sock, event);
    if (event->kind == MCQ_EVENT_DISCONNECTED && e->want != 0) {
        CHECK(e->got == e->want);
        mcq_sock_close(sock);
        if (e->timer != NULL)
            mcq_timer_close(e->timer);
    }
}

static const struct mcq_sock_handlers taker = {
    .messages = take_messages, .event = gone, .closed = on_closed};

static int start_pull(struct mcq_shard *shard, void *arg)
{
    struct end *e = arg;
    e->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &taker, e, &e->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(e->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(e->endpoint, sizeof(e->endpoint), "%s", mcq_sock_endpoint(e->sock));
    if (e->take != 0)
        CHECK(mcq_timer_open(shard, resume, e, &e->timer) == MCQ_OK);
    atomic_store(&e->ready, 1);
    return 0;
}

static void *push_and_go(void *arg)
{
    struct end *e = arg;
    struct mcq_text out = {NULL, 0, 0};
    mcq_trial_wait(&e->ready, 1);
    int fd = mcq_raw_open(e->endpoint, "PUSH");
    for (uint32_t i = 0; i < MSGS; i++)
        put_message(&out, i, e->frames, e->len);
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_raw_close(fd);
    mcq_text_fini(&out);
    return NULL;
}

static void received_before_end(const char *name, unsigned frames, size_t len, unsigned take)
{
    struct end e = {.frames = frames, .len = len, .take = take, .want = MSGS};
    struct mcq_trial trial = {name, mcq_trial_opts(), start_pull, push_and_go, &e};
    mcq_trial_run(&trial);
    CHECK(e.got == MSGS && e.wrong == 0 && e.closed == 1);
    mcq_diary_end(&e.diary);
}

/* What a paused peer had sent when we close it is told, to the byte. */
static int start_stuck(struct mcq_shard *shard, void *arg)
{
    struct end *e = arg;
    int err = start_pull(shard, arg);
    mcq_timer_close(e->timer); /* nobody resumes */
    e->timer = NULL;
    return err;
}

static void close_all(struct mcq_shard *shard, void *arg)
{
    struct end *e = arg;
    (void)shard;
    CHECK(mcq_peer_close(e->sock, e->last_peer) == MCQ_OK);
    mcq_sock_close(e->sock);
}

static void *push_and_watch(void *arg)
{
    struct end *e = arg;
    struct mcq_text out = {NULL, 0, 0};
    mcq_trial_wait(&e->ready, 1);
    int fd = mcq_raw_open(e->endpoint, "PUSH");
    for (uint32_t i = 0; i < MSGS; i++)
        put_message(&out, i, e->frames, e->len);
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    CHECK(mcq_trial_wait(&e->got, e->take));
    CHECK(mcq_post(e->shard, close_all, e) == MCQ_OK);
    CHECK(mcq_trial_wait(&e->closed, 1));
    mcq_raw_close(fd);
    mcq_text_fini(&out);
    return NULL;
}

static void undelivered_is_told(void)
{
    struct end e = {.frames = 1, .len = 16, .take = 7};
    struct mcq_trial trial = {"paused for good, then closed", mcq_trial_opts(), start_stuck,
                              push_and_watch, &e};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    const struct mcq_report *r = &e.diary.report;
    CHECK(e.got == 7 && e.wrong == 0 && r->msgs_in == 7);
    CHECK(r->undelivered_bytes != 0 && r->undelivered_bytes == stats.proto.bytes_undelivered);
    CHECK(stats.proto.bytes_in + r->undelivered_bytes == r->bytes_in);
}

/* --- what was sent before a close arrives ---------------------------------------------------- */

static const struct mcq_sock_handlers silent = {.event = on_event, .closed = on_closed};

static void send_all(struct end *e)
{
    char *body = calloc(1, e->len);
    if (body == NULL)
        abort();
    for (uint32_t i = 0; i < MSGS; i++) {
        struct mcq_frame frames[2] = {{"", 0}, {body, e->len}};
        struct mcq_msg m = mcq_msg_of_frames(frames + 2 - e->frames, e->frames);
        memcpy(body, &i, sizeof(i));
        CHECK(mcq_send(e->sock, &m) == MCQ_OK);
    }
    free(body);
}

static int start_push_close(struct mcq_shard *shard, void *arg)
{
    struct end *e = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = 8000;
    opts.reconnect_min_ms = 10;
    opts.reconnect_max_ms = 20;
    opts.send_hwm_bytes = 64u << 20;
    e->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &silent, e, &e->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(e->sock, e->endpoint, NULL) == MCQ_OK);
    send_all(e);
    mcq_sock_close(e->sock);
    return 0;
}

static void read_messages(struct end *e, int fd, uint32_t first)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    while (mcq_raw_next_message(fd, &flags, &body)) {
        struct mcq_msg m = mcq_msg_of(body.ptr, body.len);
        if ((flags & MCQ_RAW_MORE) != 0)
            continue;
        m.frame_cnt = e->frames;
        count_message(e, &m);
    }
    (void)first;
    mcq_text_fini(&body);
}

static void *pull_all(void *arg)
{
    struct end *e = arg;
    char endpoint[64];
    if (e->late_listener)
        mcq_trial_wait(&e->diary.cnt[MCQ_EVENT_RETRY], 2);
    int listener = mcq_raw_listen(mcq_raw_port(e->endpoint), endpoint);
    int fd = mcq_raw_accept(listener);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "PULL", NULL));
    read_messages(e, fd, 0);
    mcq_raw_close(fd);
    mcq_raw_close(listener);
    return NULL;
}

static void sent_before_close(const char *name, unsigned frames, size_t len, bool late)
{
    struct end e = {.frames = frames, .len = len, .late_listener = late};
    struct mcq_trial trial = {name, mcq_trial_opts(), start_push_close, pull_all, &e};
    trial.opts.arena_bytes = 128u << 20;
    mcq_raw_close(mcq_raw_listen(0, e.endpoint));
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(e.got == MSGS && e.wrong == 0 && e.closed == 1);
    CHECK(stats.pattern.drops_end == 0 && e.diary.dropped == 0);
    mcq_diary_end(&e.diary);
}

/* --- without linger: dropped, counted, told -------------------------------------------------- */

static int start_no_linger(struct mcq_shard *shard, void *arg)
{
    struct end *e = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = MCQ_NONE;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &silent, e, &e->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(e->sock, e->endpoint, NULL) == MCQ_OK);
    send_all(e);
    mcq_sock_close(e->sock);
    struct mcq_msg m = mcq_msg_of("x", 1);
    CHECK(mcq_send(e->sock, &m) == MCQ_ESTATE);
    CHECK(mcq_sock_connect(e->sock, e->endpoint, NULL) == MCQ_ESTATE);
    return 0;
}

static void no_linger(void)
{
    struct end e = {.frames = 1, .len = 8};
    struct mcq_trial trial = {"no linger", mcq_trial_opts(), start_no_linger, NULL, &e};
    mcq_raw_close(mcq_raw_listen(0, e.endpoint));
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.pattern.drops_end == MSGS && e.diary.dropped == MSGS && e.closed == 1);
}

/* --- the peer comes back --------------------------------------------------------------------- */

static int start_push(struct mcq_shard *shard, void *arg)
{
    struct end *e = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = 8000;
    opts.reconnect_min_ms = 10;
    opts.reconnect_max_ms = 20;
    opts.send_hwm_bytes = 64u << 20;
    e->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &silent, e, &e->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(e->sock, e->endpoint, NULL) == MCQ_OK);
    send_all(e);
    return 0;
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct end *e = arg;
    (void)shard;
    mcq_sock_close(e->sock);
}

/* Reads some messages and a part of the next, and goes; comes back and reads the rest. */
static void *restart(void *arg)
{
    struct end *e = arg;
    char endpoint[64];
    uint8_t part[64];
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    int listener = mcq_raw_listen(mcq_raw_port(e->endpoint), endpoint);
    int fd = mcq_raw_accept(listener);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "PULL", NULL));
    while (e->got < 10 && mcq_raw_next_message(fd, &flags, &body)) {
        struct mcq_msg m = mcq_msg_of(body.ptr, body.len);
        m.frame_cnt = e->frames;
        if ((flags & MCQ_RAW_MORE) == 0)
            count_message(e, &m);
    }
    CHECK(mcq_raw_read(fd, part, 5));
    if (e->abortive)
        mcq_raw_reset(fd);
    else
        mcq_raw_close(fd);
    fd = mcq_raw_accept(listener);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&e->diary.cnt[MCQ_EVENT_UP], 2));
    struct mcq_report r = e->diary.report;
    unsigned long first = 0;
    while (mcq_raw_next_message(fd, &flags, &body)) {
        uint32_t n;
        if ((flags & MCQ_RAW_MORE) != 0)
            continue;
        CHECK(body.len == e->len);
        memcpy(&n, body.ptr, sizeof(n));
        if (first == 0)
            first = n;
        CHECK(n == first + (e->got - 10));
        if (atomic_fetch_add(&e->got, 1) == 10)
            CHECK(mcq_post(e->shard, close_sock, e) == MCQ_OK);
    }
    CHECK(first >= 10 && first + e->got - 10 == MSGS);
    /* What the peer's kernel had is taken for arrived; what was cut was sent again. */
    CHECK(r.msgs_out == first && r.lost_hi >= first && r.lost_hi <= first + 1);
    CHECK(r.unacked_known && r.lost_lo <= (r.bytes_out - r.unacked_bytes) / e->len + 1);
    CHECK(r.unacked_bytes != 0 || r.lost_lo >= first);
    CHECK(e->diary.reasons[MCQ_REASON_RESET] + e->diary.reasons[MCQ_REASON_PEER_CLOSED] >= 1);
    mcq_text_fini(&body);
    mcq_raw_close(fd);
    mcq_raw_close(listener);
    return NULL;
}

static void comes_back(const char *name, unsigned frames, size_t len, bool abortive)
{
    struct end e = {.frames = frames, .len = len, .abortive = abortive};
    struct mcq_trial trial = {name, mcq_trial_opts(), start_push, restart, &e};
    trial.opts.arena_bytes = 128u << 20;
    mcq_raw_close(mcq_raw_listen(0, e.endpoint));
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.pattern.drops_end == 0 && e.closed == 1);
    CHECK(e.diary.cnt[MCQ_EVENT_UP] == 2);
    mcq_diary_end(&e.diary);
}

int main(void)
{
    received_before_end("single frames, then the end", 1, 16, 0);
    received_before_end("multipart, then the end", 2, 16, 0);
    received_before_end("paused, then the end", 1, 16, 7);
    received_before_end("paused multipart, then the end", 3, 100, 1);
    received_before_end("more than a credit, then the end", 1, 3000, 7);
    undelivered_is_told();
    sent_before_close("send and close", 1, 16, false);
    sent_before_close("send multipart and close", 2, 300, false);
    sent_before_close("send much and close", 1, 20000, false);
    sent_before_close("send and close before anybody listens", 1, 16, true);
    sent_before_close("send more and close before anybody listens", 2, 17000, true);
    no_linger();
    comes_back("the peer comes back", 1, 12000, false);
    comes_back("the peer comes back after a reset", 1, 15000, true);
    comes_back("the peer comes back, multipart", 2, 15000, true);
    comes_back("the peer comes back, large frames", 2, 18000, true);
    return mcq_trial_end();
}
