/* Proxies, over tcp and over inproc: a queue whose workers die, a streamer and its counts, a
 * forwarder whose subscribers come and go, what a capture sees, pause, resume, and the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/trial.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static const char *const anywhere[2][3] = {
    {"tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"},
    {"inproc://front", "inproc://back", "inproc://capture"},
};

/* What all scenes have: a proxy, where its sides are, and a clock. */
struct stand {
    struct mcq_shard *shard;
    struct mcq_proxy *proxy;
    struct mcq_timer *timer;
    unsigned over; /* index of anywhere */
    char front[MCQ_ENDPOINT_LEN_MAX], back[MCQ_ENDPOINT_LEN_MAX], capture[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_diary diary[3];
    unsigned closed;
    uint64_t random;
};

static uint32_t roll(struct stand *s, uint32_t sides)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(s->random >> 33) % sides;
}

static void on_event(void *ctx, struct mcq_proxy *proxy, struct mcq_sock *sock,
                     const struct mcq_event *event)
{
    struct stand *s = ctx;
    CHECK(proxy == s->proxy);
    mcq_diary_add(&s->diary[sock == mcq_proxy_front(proxy)  ? 0
                            : sock == mcq_proxy_back(proxy) ? 1
                                                            : 2],
                  event);
}

static void on_closed(void *ctx, struct mcq_proxy *proxy)
{
    struct stand *s = ctx;
    CHECK(proxy == s->proxy);
    for (unsigned i = 0; i < 3; i++)
        mcq_diary_end(&s->diary[i]);
    CHECK(mcq_proxy_front(proxy) == NULL && mcq_proxy_back(proxy) == NULL);
    s->closed++;
}

static void bind_to(struct mcq_sock *sock, const char *at, char *endpoint)
{
    CHECK(mcq_sock_bind(sock, at, NULL) == MCQ_OK);
    snprintf(endpoint, MCQ_ENDPOINT_LEN_MAX, "%s", mcq_sock_endpoint(sock));
}

static void stand_open(struct stand *s, struct mcq_proxy_opts *opts)
{
    struct mcq_detail detail = {.text = ""};
    opts->event = on_event;
    opts->closed = on_closed;
    opts->ctx = s;
    if (!CHECK(mcq_proxy_open(s->shard, opts, &s->proxy, &detail) == MCQ_OK))
        printf("  %s\n", detail.text);
    bind_to(mcq_proxy_front(s->proxy), anywhere[s->over][0], s->front);
    bind_to(mcq_proxy_back(s->proxy), anywhere[s->over][1], s->back);
    if (opts->capture != 0)
        bind_to(mcq_proxy_capture(s->proxy), anywhere[s->over][2], s->capture);
    else
        CHECK(mcq_proxy_capture(s->proxy) == NULL);
}

static struct mcq_sock *connect_to(struct stand *s, enum mcq_sock_type type, const char *at,
                                   const struct mcq_sock_opts *opts,
                                   const struct mcq_sock_handlers *handlers, void *ctx)
{
    struct mcq_sock *sock = NULL;
    CHECK(mcq_sock_open(s->shard, type, opts, handlers, ctx, &sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(sock, at, NULL) == MCQ_OK);
    return sock;
}

static struct mcq_proxy_stats stats_of(const struct stand *s)
{
    struct mcq_proxy_stats stats;
    mcq_proxy_stats(s->proxy, &stats);
    return stats;
}

static struct mcq_shard_stats run(const char *name, int (*start)(struct mcq_shard *, void *),
                                  struct stand *s)
{
    struct mcq_trial trial = {name, mcq_trial_opts(), start, NULL, s};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(s->closed == 1);
    return stats;
}

/* --- a queue ---------------------------------------------------------------------------------- */

#define CLIENTS 20u
#define WORKERS 5u
#define REPLIES 60u /* of each client */

struct client {
    struct queue *queue;
    struct mcq_sock *sock;
    uint32_t nr, asked, replies;
    bool waits; /* for room to ask */
};

struct worker {
    struct queue *queue;
    struct mcq_sock *sock;
    bool dying;
};

struct queue {
    struct stand stand;
    struct client clients[CLIENTS];
    struct worker workers[WORKERS];
    unsigned done, killed, lost;
};

static size_t request_len(uint32_t nr, uint32_t asked)
{
    uint32_t x = nr * 977 + asked * 131;
    return x % 23 == 0 ? 300000 : x % 7 == 0 ? 40000 : 8 + x % 200;
}

static void ask(struct client *c)
{
    static uint8_t body[300000];
    uint32_t head[2] = {c->nr, ++c->asked};
    size_t len = request_len(c->nr, c->asked);
    memcpy(body, head, sizeof(head));
    mcq_body_fill(body + sizeof(head), len - sizeof(head), c->nr * 10000 + c->asked);
    enum mcq_error err = mcq_send_bytes(c->sock, body, len);
    CHECK(err == MCQ_OK || err == MCQ_EAGAIN);
    c->waits = err == MCQ_EAGAIN;
}

static void queue_end(struct queue *q)
{
    mcq_timer_close(q->stand.timer);
    q->stand.timer = NULL;
    for (unsigned i = 0; i < CLIENTS; i++)
        mcq_sock_close(q->clients[i].sock);
    for (unsigned i = 0; i < WORKERS; i++)
        mcq_sock_close(q->workers[i].sock);
    mcq_proxy_close(q->stand.proxy);
    mcq_proxy_close(q->stand.proxy);
}

static enum mcq_flow on_reply(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *msg)
{
    struct client *c = ctx;
    uint32_t head[2] = {c->nr, c->asked};
    (void)sock;
    (void)from;
    CHECK(msg->frame_cnt == 1 && msg->len == request_len(c->nr, c->asked));
    CHECK(memcmp(msg->data, head, sizeof(head)) == 0);
    CHECK(mcq_body_right((const uint8_t *)msg->data + sizeof(head), msg->len - sizeof(head),
                         c->nr * 10000 + c->asked));
    c->replies++;
    if (c->replies < REPLIES)
        ask(c);
    else if (++c->queue->done == CLIENTS)
        queue_end(c->queue);
    return MCQ_CONTINUE;
}

/* The worker has died with it, or the reply was on its way to a connection that ended. */
static void on_timeout(void *ctx, struct mcq_sock *sock)
{
    struct client *c = ctx;
    (void)sock;
    c->queue->lost++;
    ask(c);
}

static void on_client_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct client *c = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP && c->asked == 0)
        ask(c);
    if (event->kind == MCQ_EVENT_DROPPED && event->reason == MCQ_REASON_NO_PEER &&
        c->queue->stand.timer != NULL)
        ask(c);
}

static void on_client_writable(void *ctx, struct mcq_sock *sock)
{
    struct client *c = ctx;
    (void)sock;
    if (c->waits)
        ask(c);
}

static enum mcq_flow on_request(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct worker *w = ctx;
    (void)from;
    if (w->dying)
        return MCQ_CONTINUE;
    if (roll(&w->queue->stand, 40) == 0) {
        w->queue->killed++;
        w->dying = true;
        mcq_sock_close_within(sock, MCQ_NONE);
        return MCQ_CONTINUE;
    }
    CHECK(mcq_send(sock, msg) == MCQ_OK);
    return MCQ_CONTINUE;
}

static void worker_open(struct worker *w);

static void on_worker_closed(void *ctx, struct mcq_sock *sock)
{
    struct worker *w = ctx;
    (void)sock;
    if (w->queue->stand.timer != NULL)
        worker_open(w);
}

static const struct mcq_sock_handlers client_handlers = {.message = on_reply,
                                                         .timeout = on_timeout,
                                                         .event = on_client_event,
                                                         .writable = on_client_writable};
static const struct mcq_sock_handlers worker_handlers = {.message = on_request,
                                                         .closed = on_worker_closed};

static void worker_open(struct worker *w)
{
    w->dying = false;
    w->sock =
        connect_to(&w->queue->stand, MCQ_REP, w->queue->stand.back, NULL, &worker_handlers, w);
}

static void nothing(void *ctx, struct mcq_timer *timer)
{
    (void)ctx;
    (void)timer;
}

static int queue_start(struct mcq_shard *shard, void *arg)
{
    struct queue *q = arg;
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    struct mcq_sock_opts sock_opts = MCQ_SOCK_OPTS_INIT;
    q->stand.shard = shard;
    opts.front = MCQ_ROUTER;
    opts.back = MCQ_DEALER;
    stand_open(&q->stand, &opts);
    CHECK(mcq_timer_open(shard, nothing, q, &q->stand.timer) == MCQ_OK);
    sock_opts.request_timeout_ms = 50;
    sock_opts.req_correlate = true; /* workers overtake one another */
    sock_opts.reconnect_min_ms = 1;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        q->clients[i] = (struct client){.queue = q, .nr = i};
        q->clients[i].sock = connect_to(&q->stand, MCQ_REQ, q->stand.front, &sock_opts,
                                        &client_handlers, &q->clients[i]);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        q->workers[i].queue = q;
        worker_open(&q->workers[i]);
    }
    return 0;
}

static void queue(unsigned over)
{
    struct queue q = {.stand = {.over = over, .random = over + 1}};
    run("a queue", queue_start, &q.stand);
    CHECK(q.done == CLIENTS && q.killed >= 10);
    CHECK(q.lost >= 1); /* what a dead worker had taken */
}

/* --- a streamer ------------------------------------------------------------------------------- */

#define PUSHERS 3u
#define PULLERS 2u
#define PUSHED  3000u /* by each */

struct streamer {
    struct stand stand;
    struct mcq_sock *pushers[PUSHERS], *pullers[PULLERS], *capturer;
    uint32_t sent[PUSHERS], next[PULLERS][PUSHERS]; /* the lowest number that may come */
    uint64_t got, bytes, captured, captured_bytes;
    uint8_t seen[PUSHERS][PUSHED];
    struct mcq_peer paused[PULLERS + 1];
    struct mcq_proxy_stats stats;
    bool stopped; /* the proxy is paused */
    unsigned still, stops;
    uint64_t passed; /* by then */
};

static void push(void *ctx, struct mcq_sock *sock)
{
    struct streamer *t = ctx;
    static uint8_t body[20000];
    uint32_t i = 0;
    while (t->pushers[i] != sock)
        i++;
    for (; t->sent[i] < PUSHED; t->sent[i]++) {
        uint32_t head[2] = {i, t->sent[i]};
        size_t len = 8 + (t->sent[i] % 100 == 0 ? 19000 : t->sent[i] % 90);
        memcpy(body, head, sizeof(head));
        if (mcq_send_bytes(sock, body, len) != MCQ_OK)
            return;
    }
}

static void streamer_end(struct streamer *t)
{
    t->stats = stats_of(&t->stand);
    mcq_timer_close(t->stand.timer);
    for (unsigned i = 0; i < PUSHERS; i++)
        mcq_sock_close(t->pushers[i]);
    for (unsigned i = 0; i < PULLERS; i++)
        mcq_sock_close(t->pullers[i]);
    mcq_sock_close(t->capturer);
    mcq_proxy_close(t->stand.proxy);
}

static bool pull_one(struct streamer *t, unsigned at, const struct mcq_msg *m)
{
    uint32_t head[2];
    memcpy(head, m->data, sizeof(head));
    if (!CHECK(head[0] < PUSHERS && head[1] < PUSHED && t->seen[head[0]][head[1]]++ == 0))
        return false;
    CHECK(head[1] >= t->next[at][head[0]]);
    t->next[at][head[0]] = head[1];
    t->got++;
    t->bytes += m->len;
    return true;
}

static size_t on_pull(void *ctx, struct mcq_sock *sock, struct mcq_peer from, struct mcq_msg *msgs,
                      size_t n)
{
    struct streamer *t = ctx;
    unsigned at = sock == t->pullers[1];
    size_t i = 0;
    while (i < n && roll(&t->stand, 50) != 0 && pull_one(t, at, &msgs[i]))
        i++;
    if (i < n)
        t->paused[at] = from;
    return i;
}

static size_t on_captured(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct streamer *t = ctx;
    size_t i = 0;
    (void)sock;
    for (; i < n && roll(&t->stand, 20) != 0; i++) {
        t->captured++;
        t->captured_bytes += mcq_msg_bytes(&msgs[i]);
    }
    if (i < n)
        t->paused[PULLERS] = from;
    return i;
}

/* Stops the proxy for a while, twice: nothing is passed on from that moment, and nothing is lost.
 */
static void stop_and_go(struct streamer *t)
{
    uint64_t passed = stats_of(&t->stand).to_back.msgs;
    if (!t->stopped && t->stops < 2 && t->got > (t->stops + 1) * 1000) {
        mcq_proxy_pause(t->stand.proxy);
        CHECK(stats_of(&t->stand).paused);
        t->stopped = true;
        t->stops++;
        t->still = 0;
        t->passed = passed;
    } else if (t->stopped) {
        CHECK(passed == t->passed);
        if (t->got < passed || ++t->still < 20)
            return;
        mcq_proxy_resume(t->stand.proxy);
        CHECK(!stats_of(&t->stand).paused);
        t->stopped = false;
    }
}

static void streamer_tick(void *ctx, struct mcq_timer *timer)
{
    struct streamer *t = ctx;
    struct mcq_proxy_stats stats = stats_of(&t->stand);
    for (unsigned i = 0; i < PULLERS; i++)
        (void)mcq_peer_resume(t->pullers[i], t->paused[i]);
    (void)mcq_peer_resume(t->capturer, t->paused[PULLERS]);
    stop_and_go(t);
    if (t->got == PUSHERS * PUSHED && t->captured == stats.captured)
        streamer_end(t);
    else
        mcq_timer_arm(timer, mcq_shard_now(t->stand.shard) + 50 * US);
}

static const struct mcq_sock_handlers pushing = {.writable = push};
static const struct mcq_sock_handlers pulling = {.messages = on_pull};
static const struct mcq_sock_handlers capturing = {.messages = on_captured};

static int streamer_start(struct mcq_shard *shard, void *arg)
{
    struct streamer *t = arg;
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    struct mcq_sock_opts small = MCQ_SOCK_OPTS_INIT;
    t->stand.shard = shard;
    small.send_hwm_msgs = 7;
    small.recv_hwm_bytes = 2000;
    small.send_buffer_bytes = 4096;
    small.recv_buffer_bytes = 4096;
    opts.front = MCQ_PULL;
    opts.back = MCQ_PUSH;
    opts.capture = MCQ_PUSH;
    opts.front_opts = &small;
    opts.back_opts = &small;
    opts.capture_opts = &small;
    stand_open(&t->stand, &opts);
    CHECK(mcq_timer_open(shard, streamer_tick, t, &t->stand.timer) == MCQ_OK);
    mcq_timer_arm(t->stand.timer, 0);
    for (unsigned i = 0; i < PUSHERS; i++)
        t->pushers[i] = connect_to(&t->stand, MCQ_PUSH, t->stand.front, &small, &pushing, t);
    for (unsigned i = 0; i < PULLERS; i++)
        t->pullers[i] = connect_to(&t->stand, MCQ_PULL, t->stand.back, &small, &pulling, t);
    t->capturer = connect_to(&t->stand, MCQ_PULL, t->stand.capture, &small, &capturing, t);
    return 0;
}

static void streamer(unsigned over)
{
    struct streamer *t = calloc(1, sizeof(*t));
    if (t == NULL)
        abort();
    t->stand.over = over;
    run("a streamer", streamer_start, &t->stand);
    const struct mcq_proxy_stats *s = &t->stats;
    CHECK(t->got == PUSHERS * PUSHED && t->stops == 2);
    CHECK(s->to_back.msgs == t->got && s->to_back.bytes == t->bytes && s->to_back.dropped == 0);
    CHECK(s->to_back.pauses > 0 && s->to_front.msgs == 0 && s->to_front.pauses == 0);
    CHECK(s->captured + s->capture_dropped == t->got && s->captured == t->captured);
    CHECK(s->captured > 0 && s->capture_dropped > 0);
    free(t);
}

/* --- a forwarder ------------------------------------------------------------------------------ */

#define SUBS   4u
#define ROUNDS 200u

/* Each subscriber in turn takes a topic that nobody else has (or that another has as well), waits
 * for one message of it, and gives it up; now and then it goes without a word. */
struct forwarder {
    struct stand stand;
    struct mcq_sock *pub, *subs[SUBS];
    unsigned round, added, ended, got;
    char topic[16];
    struct mcq_proxy_stats stats;
};

static void forward_next(struct forwarder *f);

static void on_wanted(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                      const void *topic, size_t len)
{
    struct forwarder *f = ctx;
    (void)peer;
    *(added ? &f->added : &f->ended) += 1;
    CHECK(len == strlen(f->topic) && memcmp(topic, f->topic, len) == 0);
    if (added) {
        CHECK(mcq_send_bytes(sock, "nobody's", 8) == MCQ_OK);
        CHECK(mcq_send_bytes(sock, f->topic, strlen(f->topic)) == MCQ_OK);
    } else {
        forward_next(f);
    }
}

static void on_sub_closed(void *ctx, struct mcq_sock *sock);

static enum mcq_flow on_forwarded(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                  struct mcq_msg *msg)
{
    struct forwarder *f = ctx;
    (void)from;
    CHECK(sock == f->subs[f->round % SUBS]);
    CHECK(msg->len == strlen(f->topic) && memcmp(msg->data, f->topic, msg->len) == 0);
    f->got++;
    if (f->round % 7 == 6)
        mcq_sock_close_within(sock, MCQ_NONE);
    else
        CHECK(mcq_unsubscribe(sock, f->topic, strlen(f->topic)) == MCQ_OK);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers publishing = {.subscription = on_wanted};
static const struct mcq_sock_handlers subscribing = {.message = on_forwarded,
                                                     .closed = on_sub_closed};

static void sub_open(struct forwarder *f, unsigned i)
{
    f->subs[i] = connect_to(&f->stand, MCQ_SUB, f->stand.back, NULL, &subscribing, f);
}

static void on_sub_closed(void *ctx, struct mcq_sock *sock)
{
    struct forwarder *f = ctx;
    for (unsigned i = 0; i < SUBS && f->round < ROUNDS; i++)
        if (f->subs[i] == sock)
            sub_open(f, i);
}

static void forward_next(struct forwarder *f)
{
    if (++f->round == ROUNDS) {
        f->stats = stats_of(&f->stand);
        mcq_stop(f->stand.shard);
        return;
    }
    snprintf(f->topic, sizeof(f->topic), "t%u", f->round % 5);
    CHECK(mcq_subscribe(f->subs[f->round % SUBS], f->topic, strlen(f->topic)) == MCQ_OK);
}

static int forwarder_start(struct mcq_shard *shard, void *arg)
{
    struct forwarder *f = arg;
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    f->stand.shard = shard;
    opts.front = MCQ_XSUB;
    opts.back = MCQ_XPUB;
    stand_open(&f->stand, &opts);
    f->pub = connect_to(&f->stand, MCQ_PUB, f->stand.front, NULL, &publishing, f);
    for (unsigned i = 0; i < SUBS; i++)
        sub_open(f, i);
    mcq_proxy_pause(f->stand.proxy); /* subscriptions travel all the same */
    snprintf(f->topic, sizeof(f->topic), "t0");
    CHECK(mcq_subscribe(f->subs[0], f->topic, strlen(f->topic)) == MCQ_OK);
    return 0;
}

/* Once the first subscription has come through the paused proxy. */
static void resume(struct mcq_shard *shard, void *arg)
{
    struct forwarder *f = arg;
    (void)shard;
    if (f->added == 0) {
        CHECK(mcq_post(shard, resume, arg) == MCQ_OK);
        return;
    }
    mcq_proxy_resume(f->stand.proxy);
}

static int forwarder_start_paused(struct mcq_shard *shard, void *arg)
{
    return forwarder_start(shard, arg) == 0 && mcq_post(shard, resume, arg) == MCQ_OK ? 0 : 1;
}

static void forwarder(unsigned over)
{
    struct forwarder f = {.stand = {.over = over}};
    run("a forwarder", forwarder_start_paused, &f.stand);
    CHECK(f.round == ROUNDS && f.got == ROUNDS);
    CHECK(f.added == ROUNDS && f.ended == ROUNDS);
    CHECK(f.stats.subscriptions == 2 * ROUNDS);
    CHECK(f.stats.to_back.msgs == ROUNDS && f.stats.to_back.dropped == 0);
}

/* --- a wire, and what its capture sees -------------------------------------------------------- */

#define WIRED 500u

struct wire {
    struct stand stand;
    enum mcq_sock_type front, back, near, far;
    struct mcq_sock *asker, *echoer, *capturer;
    uint32_t sent, back_cnt, captured;
    uint8_t times[WIRED];
    struct mcq_proxy_stats stats;
};

static void wire_pump(void *ctx, struct mcq_sock *sock)
{
    struct wire *w = ctx;
    static uint8_t body[70000];
    for (; sock == w->asker && w->sent < WIRED && w->sent <= w->captured / 2 + 20; w->sent++) {
        struct mcq_frame frames[3] = {{&w->sent, 4}, {NULL, 0}, {body, w->sent % 50 * 1400}};
        struct mcq_msg m = mcq_msg_of_frames(frames, 3);
        mcq_body_fill(body, frames[2].len, w->sent);
        if (mcq_send(sock, &m) != MCQ_OK)
            return;
    }
}

static void wire_check(const struct mcq_msg *m, uint32_t at, uint32_t *nr)
{
    *nr = WIRED;
    if (!CHECK(mcq_msg_frame_cnt(m) == at + 3 && mcq_msg_frame(m, at).len == 4))
        return;
    memcpy(nr, mcq_msg_frame(m, at).data, 4);
    struct mcq_frame body = mcq_msg_frame(m, at + 2);
    CHECK(*nr < WIRED && mcq_msg_frame(m, at + 1).len == 0 && body.len == *nr % 50 * 1400 &&
          mcq_body_right(body.data, body.len, *nr));
}

static void wire_end(struct wire *w)
{
    if (w->back_cnt != WIRED || w->captured != 2 * WIRED)
        return;
    w->stats = stats_of(&w->stand);
    mcq_sock_close(w->asker);
    mcq_sock_close(w->echoer);
    mcq_sock_close(w->capturer);
    mcq_proxy_close(w->stand.proxy);
}

static enum mcq_flow wire_answer(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                 struct mcq_msg *msg)
{
    struct wire *w = ctx;
    uint32_t nr;
    (void)from;
    CHECK(sock == w->asker);
    wire_check(msg, 0, &nr);
    CHECK(nr == w->back_cnt);
    w->back_cnt++;
    wire_end(w);
    return MCQ_CONTINUE;
}

static enum mcq_flow wire_echo(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                               struct mcq_msg *msg)
{
    struct wire *w = ctx;
    CHECK(sock == w->echoer);
    CHECK(mcq_send_to(sock, from, msg) == MCQ_OK);
    return MCQ_CONTINUE;
}

/* Each twice, with the identity in front where there is one: on its way there and back. */
static enum mcq_flow wire_capture(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                  struct mcq_msg *msg)
{
    struct wire *w = ctx;
    uint32_t nr;
    (void)sock;
    (void)from;
    if (w->front == MCQ_ROUTER)
        CHECK(msg->len == 2 && memcmp(msg->data, "me", 2) == 0);
    wire_check(msg, w->front == MCQ_ROUTER ? 1 : 0, &nr);
    CHECK(nr < WIRED && w->times[nr]++ < 2);
    w->captured++;
    wire_pump(w, w->asker);
    wire_end(w);
    return MCQ_CONTINUE;
}

/* The asker comes once somebody listens to the capture. */
static void wire_ready(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct wire *w = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        CHECK(mcq_sock_connect(w->asker, w->stand.front, NULL) == MCQ_OK);
}

static const struct mcq_sock_handlers wire_asking = {.message = wire_answer, .writable = wire_pump};
static const struct mcq_sock_handlers wire_echoing = {.message = wire_echo};
static const struct mcq_sock_handlers wire_capturing = {.message = wire_capture,
                                                        .event = wire_ready};

static int wire_start(struct mcq_shard *shard, void *arg)
{
    struct wire *w = arg;
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    struct mcq_sock_opts named = MCQ_SOCK_OPTS_INIT;
    w->stand.shard = shard;
    if (w->near == MCQ_DEALER) {
        named.identity = "me";
        named.identity_len = 2;
    }
    opts.front = w->front;
    opts.back = w->back;
    opts.capture = MCQ_PAIR;
    stand_open(&w->stand, &opts);
    w->capturer = connect_to(&w->stand, MCQ_PAIR, w->stand.capture, NULL, &wire_capturing, w);
    w->echoer = connect_to(&w->stand, w->far, w->stand.back, NULL, &wire_echoing, w);
    CHECK(mcq_sock_open(shard, w->near, &named, &wire_asking, w, &w->asker, NULL) == MCQ_OK);
    return 0;
}

static void wire(const char *name, unsigned over, enum mcq_sock_type front, enum mcq_sock_type back,
                 enum mcq_sock_type near, enum mcq_sock_type far)
{
    struct wire w = {.stand = {.over = over}, front, back, near, far, .sent = 0};
    run(name, wire_start, &w.stand);
    uint64_t ids = front == MCQ_ROUTER ? 2 * WIRED : 0, bodies = 0;
    for (uint32_t i = 0; i < WIRED; i++)
        bodies += 4 + i % 50 * 1400;
    CHECK(w.back_cnt == WIRED && w.captured == 2 * WIRED);
    CHECK(w.stats.to_back.msgs == WIRED && w.stats.to_front.msgs == WIRED);
    CHECK(w.stats.to_back.bytes == bodies + ids && w.stats.to_front.bytes == bodies + ids);
    CHECK(w.stats.captured == 2 * WIRED && w.stats.capture_dropped == 0);
}

/* --- many who wait ---------------------------------------------------------------------------- */

#define CROWD 40u /* more than go on in one turn */

enum crowd_phase { NOBODY_TAKES, PAUSED, STILL_PAUSED, STUCK, GOING_ON, CROWD_DONE };

struct crowd {
    struct stand stand;
    struct mcq_sock *pushers[CROWD], *puller;
    struct mcq_peer stuck;
    enum crowd_phase phase;
    unsigned got, quiet;
    uint64_t passed;
    bool up;
};

static enum mcq_flow crowd_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct crowd *c = ctx;
    (void)sock;
    CHECK(msg->len == 3 && c->phase >= STUCK);
    c->got++;
    c->stuck = from;
    return c->phase == STUCK ? MCQ_PAUSE : MCQ_CONTINUE;
}

static void crowd_up(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct crowd *c = ctx;
    (void)sock;
    c->up |= event->kind == MCQ_EVENT_UP;
}

static const struct mcq_sock_handlers crowd_pushing = {.message = NULL};
static const struct mcq_sock_handlers crowd_pulling = {.message = crowd_take, .event = crowd_up};

static bool crowd_is_at(const struct crowd *c, const struct mcq_proxy_stats *now)
{
    switch (c->phase) {
    case NOBODY_TAKES: /* each is held once, and not tried again and again */
        CHECK(now->to_back.pauses <= CROWD);
        return now->to_back.pauses == CROWD;
    case PAUSED:
        return true;
    case STILL_PAUSED:
        CHECK(now->to_back.msgs == 0);
        return c->up;
    case STUCK: /* one is taken, or a few: then there is no room again */
        return c->got == 1 && now->to_back.msgs == c->passed;
    case GOING_ON: /* for each that finds room a few others may try in vain */
        CHECK(now->to_back.pauses <= 20 * CROWD);
        return c->got == CROWD;
    case CROWD_DONE:
        break;
    }
    return false;
}

static void crowd_go_on(struct crowd *c)
{
    c->phase++;
    if (c->phase == PAUSED)
        mcq_proxy_pause(c->stand.proxy);
    if (c->phase == STILL_PAUSED)
        c->puller = connect_to(&c->stand, MCQ_PULL, c->stand.back, NULL, &crowd_pulling, c);
    if (c->phase == STUCK)
        mcq_proxy_resume(c->stand.proxy);
    if (c->phase == GOING_ON)
        CHECK(mcq_peer_resume(c->puller, c->stuck) == MCQ_OK);
}

static void crowd_tick(void *ctx, struct mcq_timer *timer)
{
    struct crowd *c = ctx;
    struct mcq_proxy_stats now = stats_of(&c->stand);
    c->quiet = crowd_is_at(c, &now) ? c->quiet + 1 : 0;
    c->passed = now.to_back.msgs;
    if (c->quiet == 20) {
        c->quiet = 0;
        crowd_go_on(c);
    }
    mcq_timer_arm(timer, mcq_shard_now(c->stand.shard) + 50 * US);
    if (c->phase == CROWD_DONE) {
        mcq_timer_close(timer);
        mcq_stop(c->stand.shard);
    }
}

static int crowd_start(struct mcq_shard *shard, void *arg)
{
    struct crowd *c = arg;
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    struct mcq_sock_opts one = MCQ_SOCK_OPTS_INIT;
    c->stand.shard = shard;
    one.send_hwm_msgs = 1;
    opts.front = MCQ_PULL;
    opts.back = MCQ_PUSH;
    opts.back_opts = &one;
    stand_open(&c->stand, &opts);
    for (unsigned i = 0; i < CROWD; i++) {
        c->pushers[i] = connect_to(&c->stand, MCQ_PUSH, c->stand.front, NULL, &crowd_pushing, c);
        CHECK(mcq_send_bytes(c->pushers[i], "one", 3) == MCQ_OK);
    }
    CHECK(mcq_timer_open(shard, crowd_tick, c, &c->stand.timer) == MCQ_OK);
    mcq_timer_arm(c->stand.timer, 0);
    return 0;
}

static void crowd(unsigned over)
{
    struct crowd c = {.stand = {.over = over}};
    run("many who wait", crowd_start, &c.stand);
    CHECK(c.got == CROWD && c.phase == CROWD_DONE);
}

/* --- by reference ----------------------------------------------------------------------------- */

#define SHARED_LEN 500000u

/* The same memory there and back, through both sockets of the proxy. */
struct shared {
    struct stand stand;
    struct mcq_sock *asker, *echoer;
    char *body;
    unsigned there, back, freed;
};

static void shared_freed(void *data, size_t len, void *hint)
{
    struct shared *s = hint;
    CHECK(data == s->body && len == SHARED_LEN);
    s->freed++;
}

static enum mcq_flow shared_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                 struct mcq_msg *msg)
{
    struct shared *s = ctx;
    struct mcq_frame last = mcq_msg_frame(msg, mcq_msg_frame_cnt(msg) - 1);
    CHECK(last.data == s->body && last.len == SHARED_LEN && s->freed == 0);
    if (sock == s->echoer) {
        s->there++;
        CHECK(mcq_send_to(sock, from, msg) == MCQ_OK);
        return MCQ_CONTINUE;
    }
    s->back++;
    mcq_stop(s->stand.shard);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers shared_handlers = {.message = shared_take};

static int shared_start(struct mcq_shard *shard, void *arg)
{
    struct shared *s = arg;
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    struct mcq_msg body;
    s->stand.shard = shard;
    opts.front = MCQ_ROUTER;
    opts.back = MCQ_DEALER;
    stand_open(&s->stand, &opts);
    s->echoer = connect_to(&s->stand, MCQ_DEALER, s->stand.back, NULL, &shared_handlers, s);
    s->asker = connect_to(&s->stand, MCQ_DEALER, s->stand.front, NULL, &shared_handlers, s);
    CHECK(mcq_msg_from_memory(shard, s->body, SHARED_LEN, shared_freed, s, &body) == MCQ_OK);
    return mcq_send(s->asker, &body) == MCQ_OK ? 0 : 1;
}

static void shared(void)
{
    struct shared s = {.stand = {.over = 1}, .body = malloc(SHARED_LEN)};
    run("by reference", shared_start, &s.stand);
    CHECK(s.there == 1 && s.back == 1 && s.freed == 1);
    free(s.body);
}

/* --- a client that takes nothing -------------------------------------------------------------- */

/* Its replies fill the way back, so that another's wait behind them, until it goes. */
struct clog {
    struct stand stand;
    struct mcq_sock *stuck, *other, *worker;
    unsigned long stuck_got, other_got, echoed;
    struct mcq_peer paused;
    struct mcq_proxy_stats stats;
};

static enum mcq_flow stuck_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct clog *c = ctx;
    (void)sock;
    (void)from;
    (void)msg;
    c->stuck_got++;
    return MCQ_PAUSE;
}

static enum mcq_flow other_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct clog *c = ctx;
    (void)from;
    CHECK(msg->len == 5 && memcmp(msg->data, "other", 5) == 0);
    if (++c->other_got == 10) {
        c->stats = stats_of(&c->stand);
        mcq_timer_close(c->stand.timer);
        mcq_sock_close(sock);
        mcq_sock_close(c->worker);
        mcq_proxy_close(c->stand.proxy);
    }
    return MCQ_CONTINUE;
}

static size_t clog_echo(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                        struct mcq_msg *msgs, size_t n)
{
    struct clog *c = ctx;
    size_t i = 0;
    while (i < n && mcq_send_to(sock, from, &msgs[i]) == MCQ_OK)
        i++;
    c->echoed += i;
    c->paused = from;
    return i;
}

static void clog_on(void *ctx, struct mcq_sock *sock)
{
    struct clog *c = ctx;
    (void)mcq_peer_resume(sock, c->paused);
}

static void flood(void *ctx, struct mcq_sock *sock)
{
    static const char body[3000];
    (void)ctx;
    while (mcq_send_bytes(sock, body, sizeof(body)) == MCQ_OK)
        ;
}

/* Once nothing moves any more. */
static void clog_tick(void *ctx, struct mcq_timer *timer)
{
    struct clog *c = ctx;
    struct mcq_proxy_stats now = stats_of(&c->stand);
    bool is_clogged = c->stuck_got > 0 && now.to_front.pauses > 0 &&
                      now.to_front.msgs == c->stats.to_front.msgs &&
                      now.to_front.pauses == c->stats.to_front.pauses &&
                      now.to_back.pauses == c->stats.to_back.pauses &&
                      now.to_back.msgs == c->stats.to_back.msgs;
    c->stats = now;
    if (is_clogged && c->stuck != NULL) {
        for (unsigned i = 0; i < 10; i++)
            CHECK(mcq_send_bytes(c->other, "other", 5) == MCQ_OK);
        mcq_sock_close_within(c->stuck, MCQ_NONE);
        c->stuck = NULL;
    }
    mcq_timer_arm(timer, mcq_shard_now(c->stand.shard) + 5 * MS);
}

static const struct mcq_sock_handlers sticking = {.message = stuck_take, .writable = flood};
static const struct mcq_sock_handlers waiting = {.message = other_take};
static const struct mcq_sock_handlers clog_echoing = {.messages = clog_echo, .writable = clog_on};

static int clog_start(struct mcq_shard *shard, void *arg)
{
    struct clog *c = arg;
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    struct mcq_sock_opts small = MCQ_SOCK_OPTS_INIT;
    c->stand.shard = shard;
    small.send_hwm_msgs = 10;
    small.recv_hwm_bytes = 5000;
    small.send_buffer_bytes = 4096;
    small.recv_buffer_bytes = 4096;
    opts.front = MCQ_ROUTER;
    opts.back = MCQ_DEALER;
    opts.front_opts = &small;
    opts.back_opts = &small;
    stand_open(&c->stand, &opts);
    c->worker = connect_to(&c->stand, MCQ_DEALER, c->stand.back, &small, &clog_echoing, c);
    c->stuck = connect_to(&c->stand, MCQ_DEALER, c->stand.front, &small, &sticking, c);
    c->other = connect_to(&c->stand, MCQ_DEALER, c->stand.front, NULL, &waiting, c);
    CHECK(mcq_timer_open(shard, clog_tick, c, &c->stand.timer) == MCQ_OK);
    mcq_timer_arm(c->stand.timer, 0);
    return 0;
}

static void clogged(unsigned over)
{
    struct clog c = {.stand = {.over = over}};
    run("a client that takes nothing", clog_start, &c.stand);
    CHECK(c.other_got == 10);
    /* what the one that went had ordered is addressed to nobody */
    CHECK(c.stats.to_front.dropped > 0 && c.stats.to_back.dropped == 0);
}

/* --- what can't be opened --------------------------------------------------------------------- */

static unsigned misuse_closed;

static void on_misuse_closed(void *ctx, struct mcq_proxy *proxy)
{
    (void)ctx;
    (void)proxy;
    misuse_closed++;
}

static enum mcq_error try_open(struct mcq_shard *shard, enum mcq_sock_type front,
                               enum mcq_sock_type back, enum mcq_sock_type capture,
                               const struct mcq_sock_opts *sock_opts, struct mcq_detail *detail)
{
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    struct mcq_proxy *proxy;
    opts.front = front;
    opts.back = back;
    opts.capture = capture;
    opts.capture_opts = sock_opts;
    opts.closed = on_misuse_closed;
    return mcq_proxy_open(shard, &opts, &proxy, detail);
}

static int misuse_start(struct mcq_shard *shard, void *arg)
{
    struct mcq_detail detail = {.text = ""};
    struct mcq_sock_opts wrong = MCQ_SOCK_OPTS_INIT;
    unsigned opened = 0;
    (void)arg;
    CHECK(try_open(shard, MCQ_DEALER, MCQ_ROUTER, 0, NULL, &detail) == MCQ_EINVAL);
    CHECK(strstr(detail.text, "ROUTER and DEALER") != NULL);
    CHECK(try_open(shard, MCQ_PULL, MCQ_PULL, 0, NULL, &detail) == MCQ_EINVAL);
    CHECK(try_open(shard, MCQ_PULL, MCQ_PUSH, MCQ_PULL, NULL, &detail) == MCQ_EINVAL);
    CHECK(strstr(detail.text, "capture") != NULL);
    wrong.verbose = true; /* not of a PUSH: the third socket fails, the two before close again */
    for (unsigned i = 0; i < 200; i++) {
        enum mcq_error err = try_open(shard, MCQ_PULL, MCQ_PUSH, MCQ_PUSH, &wrong, &detail);
        CHECK(err == MCQ_EINVAL ? strncmp(detail.text, "capture: ", 9) == 0 : err == MCQ_ELIMIT);
    }
    while (try_open(shard, MCQ_PULL, MCQ_PUSH, 0, NULL, &detail) == MCQ_OK)
        opened++;
    CHECK(opened < 64 && strstr(detail.text, "in use") != NULL);
    mcq_stop(shard);
    return 0;
}

static void misuse(void)
{
    struct mcq_trial trial = {"what can't be opened", mcq_trial_opts(), misuse_start, NULL, NULL};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.pools.proxies_empty > 0);
}

/* The app ends: so does every proxy. */
static int many_start(struct mcq_shard *shard, void *arg)
{
    struct mcq_detail detail = {.text = ""};
    unsigned *opened = arg;
    while (try_open(shard, MCQ_PAIR, MCQ_PAIR, MCQ_PUB, NULL, &detail) == MCQ_OK)
        (*opened)++;
    mcq_stop(shard);
    return 0;
}

static void many(void)
{
    unsigned opened = 0;
    struct mcq_trial trial = {"as many as there are", mcq_trial_opts(), many_start, NULL, &opened};
    misuse_closed = 0;
    mcq_trial_run(&trial);
    CHECK(opened >= 64 && misuse_closed == opened);
}

int main(void)
{
    for (unsigned over = 0; over < 2; over++) {
        queue(over);
        streamer(over);
        forwarder(over);
        wire("a wire", over, MCQ_PAIR, MCQ_PAIR, MCQ_PAIR, MCQ_PAIR);
        wire("a queue's capture", over, MCQ_ROUTER, MCQ_DEALER, MCQ_DEALER, MCQ_DEALER);
        crowd(over);
        clogged(over);
    }
    shared();
    misuse();
    many();
    return mcq_trial_end();
}
