/* Homecoming: what a shard keeps of another's messages is dropped at the last moment, when nobody
 * takes turns any more. Every block, and the program's own memory, comes home all the same. */
#include <monocoque.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/trial.h"

#define SHARDS   3u
#define LAST     (SHARDS - 1) /* the one that keeps */
#define LEN      100000u
#define KEEP_MAX 16u
#define ROUNDS   12u

enum when { IN_ON_STOP, IN_CLOSED, IN_ON_STOPPING, WHEN_CNT };

static struct {
    enum when when;
    uint32_t keep;       /* messages */
    struct mcq_sock *on; /* shard 1's, to the last one */
    struct mcq_msg kept[KEEP_MAX];
    uint32_t kept_cnt;
    uint32_t sent;
    atomic_uint freed, freed_elsewhere;
} s;

static uint8_t memory[KEEP_MAX][LEN];

/* Home is where it was lent. */
static void given_back(void *data, size_t len, void *hint)
{
    (void)data;
    (void)len;
    atomic_fetch_add(&s.freed, 1);
    struct mcq_msg none;
    if (mcq_msg_from_memory(hint, memory, 1, NULL, NULL, &none) == MCQ_ETHREAD)
        atomic_fetch_add(&s.freed_elsewhere, 1);
    else
        mcq_msg_drop(hint, &none);
}

static void drop_all(struct mcq_shard *shard)
{
    for (uint32_t i = 0; i < s.kept_cnt; i++) {
        const uint8_t *bytes = s.kept[i].data;
        CHECK(s.kept[i].len == LEN && bytes[0] == i && bytes[LEN - 1] == i);
        mcq_msg_drop(shard, &s.kept[i]);
    }
    s.kept_cnt = 0;
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct mcq_shard *shard = mcq_sock_shard(sock);
    (void)ctx;
    (void)from;
    CHECK(mcq_msg_keep(shard, msg, &s.kept[s.kept_cnt]) == MCQ_OK);
    if (++s.kept_cnt == s.keep)
        mcq_stop(shard);
    return MCQ_CONTINUE;
}

static enum mcq_flow pass_on(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *msg)
{
    (void)ctx;
    (void)sock;
    (void)from;
    CHECK(mcq_send(s.on, msg) == MCQ_OK);
    return MCQ_CONTINUE;
}

/* There is somebody to pass it on to. */
static void on_next(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        CHECK(mcq_sock_connect(ctx, "inproc://first", NULL) == MCQ_OK);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    (void)ctx;
    if (s.when == IN_CLOSED)
        drop_all(mcq_sock_shard(sock));
}

/* Every other one is the program's own memory. */
static enum mcq_error message(struct mcq_shard *shard, uint32_t i, struct mcq_msg *msg)
{
    struct mcq_msg view = mcq_msg_of(memory[i], LEN);
    memset(memory[i], (int)i, LEN);
    return i % 2 == 0 ? mcq_msg_from_memory(shard, memory[i], LEN, given_back, shard, msg)
                      : mcq_msg_keep(shard, &view, msg);
}

static void push(void *ctx, struct mcq_sock *sock)
{
    struct mcq_msg msg;
    (void)ctx;
    while (s.sent < s.keep) {
        CHECK(message(mcq_sock_shard(sock), s.sent, &msg) == MCQ_OK);
        enum mcq_error err = mcq_send(sock, &msg);
        if (err != MCQ_OK) {
            CHECK(err == MCQ_EAGAIN);
            mcq_msg_drop(mcq_sock_shard(sock), &msg);
            return;
        }
        s.sent++;
    }
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    if (event->kind == MCQ_EVENT_UP)
        push(ctx, sock);
}

static struct mcq_sock *sock_open(struct mcq_shard *shard, enum mcq_sock_type type,
                                  const struct mcq_sock_handlers *handlers, void *ctx)
{
    struct mcq_sock *sock = NULL;
    CHECK(mcq_sock_open(shard, type, NULL, handlers, ctx, &sock, NULL) == MCQ_OK);
    return sock;
}

static int start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers nexts = {.event = on_next};
    static const struct mcq_sock_handlers passes = {.message = pass_on};
    static const struct mcq_sock_handlers pushes = {.writable = push, .event = on_event};
    static const struct mcq_sock_handlers pulls = {.message = on_message, .closed = on_closed};
    (void)arg;
    if (mcq_shard_id(shard) == 0)
        return mcq_sock_bind(sock_open(shard, MCQ_PUSH, &pushes, NULL), "inproc://first", NULL);
    if (mcq_shard_id(shard) == LAST)
        return mcq_sock_connect(sock_open(shard, MCQ_PULL, &pulls, NULL), "inproc://second", NULL);
    s.on = sock_open(shard, MCQ_PUSH, &nexts, sock_open(shard, MCQ_PULL, &passes, NULL));
    return mcq_sock_bind(s.on, "inproc://second", NULL);
}

static void on_stopping(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    if (s.when == IN_ON_STOPPING && mcq_shard_id(shard) == LAST)
        drop_all(shard);
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    if (s.when == IN_ON_STOP && mcq_shard_id(shard) == LAST)
        drop_all(shard);
}

static void come_home(enum when when, uint32_t keep, enum mcq_idle idle)
{
    const struct mcq_app app = {.start = start, .on_stopping = on_stopping, .on_stop = on_stop};
    struct mcq_opts opts = mcq_trial_opts();
    struct mcq_detail d = {.text = ""};
    opts.shards = SHARDS;
    opts.large_bytes = 32 << 20;
    opts.idle = idle;
    opts.no_signals = true;
    memset(&s, 0, sizeof(s));
    s.when = when;
    s.keep = keep;
    CHECK(mcq_run(&opts, &app, NULL, &d) == MCQ_OK);
    if (d.text[0] != '\0')
        fprintf(stderr, "%s\n", d.text);
    CHECK(atomic_load(&s.freed) == (keep + 1) / 2);
    CHECK(atomic_load(&s.freed_elsewhere) == 0);
}

int main(void)
{
    static const char *const names[WHEN_CNT] = {"dropped in on_stop", "dropped in closed",
                                                "dropped in on_stopping"};
    for (unsigned when = 0; when < WHEN_CNT; when++) {
        mcq_trial_watch(names[when]);
        for (unsigned i = 0; i < ROUNDS; i++)
            come_home((enum when)when, 1 + i * 3 % KEEP_MAX,
                      i % 2 == 0 ? MCQ_IDLE_BLOCK : MCQ_IDLE_SPIN_BLOCK);
    }
    return mcq_trial_end();
}
