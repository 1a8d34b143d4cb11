/* Calls of the whole API at random, from inside every handler: sockets of all types in one app that
 * bind, connect, send, keep and close without a plan. Whatever they do: no error is logged, every
 * frame has the bytes it was sent with, every free callback runs once, every peer that came up goes
 * down once, the app ends in time, and then nothing is left.
 *
 *   chaos [SEED [SECONDS]]   both idle modes; without a seed 1 to SEEDS, a second each
 *
 * A seed chooses the calls, the kernel their timing: one that failed may need some tries. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/body.h"
#include "tests/support/trial.h"

#define SEEDS      3u
#define SOCKS      24u
#define PEERS      64u
#define KEPT       64u
#define ENDPOINTS  4u /* known of each type */
#define EXTERNALS  (1u << 18)
#define EXTERN_LEN 40000u
#define LEN_MAX    300000u
#define TICK_NS    300000u
#define ALL        24u /* actions */
#define SENDS      7u  /* the first of `actions`: what a free callback may do */
#define WEIGHT_MAX 48u
#define END_S      200u /* what the watchdog gives for the end */

enum place { MESSAGE, TURN, EVENT, DROPPED, SUBSCRIPTION, CLOSED, TIMER, POST, FREE, PLACES };

struct spot {
    struct mcq_sock *sock;
    struct mcq_peer peer;
};

struct slot {
    struct mcq_sock *sock; /* until its `closed` */
    struct mcq_diary diary;
};

struct external {
    struct slot *slot;
    uint32_t frees;
};

/* The run under way; its shard's thread alone touches it. */
struct run {
    struct mcq_shard *shard;
    struct mcq_timer *tick;
    uint64_t random, end_ns;
    unsigned secs;
    struct slot slots[SOCKS];
    uint32_t sock_cnt, ipc_cnt, external_cnt;
    struct mcq_peer peers[PEERS];
    struct mcq_msg kept[KEPT];
    uint64_t told; /* messages of DROPPED */
    char endpoints[MCQ_XSUB + 1][ENDPOINTS][64];
    struct external externals[EXTERNALS];
};

static struct run run;
static uint8_t body[LEN_MAX]; /* every frame, topic and identity begins like this one */
static unsigned long acts[PLACES];
static const struct mcq_peer nobody;

static void act(enum place place, uint32_t action_cnt, struct mcq_sock *sock, struct mcq_peer peer);
static void open_one(void);

static uint32_t pick(uint32_t cnt)
{
    run.random ^= run.random << 13;
    run.random ^= run.random >> 7;
    run.random ^= run.random << 17;
    return (uint32_t)((run.random >> 16) % cnt);
}

static bool one_in(uint32_t cnt)
{
    return pick(cnt) == 0;
}

static size_t pick_len(void)
{
    static const size_t lens[] = {0,    1,     5,     200,   255,   256,
                                  3000, 16000, 16384, 20000, 70000, LEN_MAX};
    return lens[pick(one_in(4) ? 12 : 8)];
}

/* Mostly of a socket that may be met, else hardly any would be. */
static const char *pick_endpoint(enum mcq_sock_type type)
{
    static const enum mcq_sock_type mates[] = {
        [MCQ_PAIR] = MCQ_PAIR,  [MCQ_PUB] = MCQ_SUB,    [MCQ_SUB] = MCQ_PUB,
        [MCQ_REQ] = MCQ_REP,    [MCQ_REP] = MCQ_DEALER, [MCQ_DEALER] = MCQ_ROUTER,
        [MCQ_ROUTER] = MCQ_REQ, [MCQ_PULL] = MCQ_PUSH,  [MCQ_PUSH] = MCQ_PULL,
        [MCQ_XPUB] = MCQ_SUB,   [MCQ_XSUB] = MCQ_XPUB};
    if (!one_in(10))
        type = mates[type];
    const char *text = run.endpoints[type][pick(ENDPOINTS)];
    return text[0] == '\0' || one_in(100) ? "tcp://localhost:1" : text;
}

/* Any call may fail, but not like this. */
static enum mcq_error tried(enum mcq_error err)
{
    if (err > MCQ_OK || err == MCQ_ETHREAD || err == MCQ_EACCESS || err == MCQ_ENOMEM ||
        err == MCQ_EKERNEL || err == MCQ_EOS)
        mcq_trial_check(false, mcq_error_name(err), __FILE__, __LINE__);
    return err;
}

/* Takes msg. The slot is its own before the old one is dropped: on_free looks at it, too. */
static void keep(uint32_t idx, struct mcq_msg msg)
{
    struct mcq_msg old = run.kept[idx];
    run.kept[idx] = msg;
    mcq_msg_drop(run.shard, &old);
}

static void send_frames(struct spot at)
{
    struct mcq_frame frames[4];
    uint32_t cnt = 1 + pick(4);
    for (uint32_t i = 0; i < cnt; i++)
        frames[i] = (struct mcq_frame){body, i == 0 && one_in(3) ? 0 : pick_len()};
    bool to = one_in(2);
    if (!to && mcq_sock_type(at.sock) == MCQ_ROUTER && one_in(2))
        tried(mcq_peer_identity(at.sock, at.peer, &frames[0]));
    struct mcq_msg msg = mcq_msg_of_frames(frames, cnt);
    tried(to ? mcq_send_to(at.sock, at.peer, &msg) : mcq_send(at.sock, &msg));
}

/* A commit of what is forgotten, or was never reserved, must fail and not send other bytes. */
static void send_reserved(struct spot at)
{
    size_t len = pick_len();
    void *room;
    if (!one_in(4) && tried(mcq_tx_reserve(at.sock, len, &room)) == MCQ_OK)
        memcpy(room, body, len);
    if (!one_in(4))
        tried(mcq_tx_commit(at.sock, one_in(2) ? len : len / 2));
}

static void send_kept(struct spot at)
{
    uint32_t idx = pick(KEPT);
    struct mcq_msg msg = run.kept[idx];
    run.kept[idx] = (struct mcq_msg){0};
    if (mcq_msg_frame_cnt(&msg) != 0 && tried(mcq_send(at.sock, &msg)) != MCQ_OK)
        keep(idx, msg);
}

/* May send, but not close. */
static void on_free(void *data, size_t len, void *hint)
{
    struct external *e = hint;
    e->frees++;
    CHECK(memcmp(data, body, len) == 0);
    free(data);
    if (e->slot->sock != NULL && one_in(4))
        act(FREE, SENDS, e->slot->sock, nobody);
}

static void send_external(struct spot at)
{
    struct external *e = &run.externals[run.external_cnt];
    size_t len = one_in(2) ? EXTERN_LEN : 100;
    struct mcq_msg msg;
    if (run.external_cnt++ == EXTERNALS)
        abort();
    void *data = memcpy(malloc(len), body, len);
    *e = (struct external){mcq_sock_user(at.sock), 0};
    if (tried(mcq_msg_from_memory(run.shard, data, len, on_free, e, &msg)) != MCQ_OK)
        on_free(data, len, e);
    else if (tried(mcq_send(at.sock, &msg)) != MCQ_OK)
        keep(pick(KEPT), msg);
}

/* It connects to ports that were given back long ago: on an address of this process alone, or it
 * would end up at the tests that run beside it. */
/* At an address of this process: at 127.0.0.1 a port that was given back is soon another test's. */
static void bind_one(struct spot at)
{
    char *known = run.endpoints[mcq_sock_type(at.sock)][pick(ENDPOINTS)];
    unsigned pid = (unsigned)getpid();
    char text[64];
    if (one_in(4))
        snprintf(text, sizeof(text), "inproc://%u", run.ipc_cnt++);
    else if (one_in(4))
        snprintf(text, sizeof(text), "ipc://@mcq-chaos-%u-%u", pid, run.ipc_cnt++);
    else
        snprintf(text, sizeof(text), "tcp://127.%u.%u.%u:0", 64 + (pid >> 16 & 63), pid >> 8 & 255,
                 pid & 255);
    if (tried(mcq_sock_bind(at.sock, text, NULL)) == MCQ_OK)
        snprintf(known, 64, "%s", mcq_sock_endpoint(at.sock));
}

static void on_post(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    act(POST, ALL, NULL, nobody);
}

#define CALL(name, call)             \
    static void name(struct spot at) \
    {                                \
        tried(call);                 \
    }
CALL(send_bytes, mcq_send_bytes(at.sock, body, pick_len()))
CALL(flush, mcq_flush(at.sock))
CALL(close_sock, (mcq_sock_close(at.sock), MCQ_OK))
CALL(unbind, mcq_sock_unbind(at.sock, mcq_sock_endpoint(at.sock), NULL))
CALL(connect_one, mcq_sock_connect(at.sock, pick_endpoint(mcq_sock_type(at.sock)), NULL))
CALL(disconnect, mcq_sock_disconnect(at.sock, pick_endpoint(mcq_sock_type(at.sock)), NULL))
CALL(subscribe, mcq_subscribe(at.sock, body, pick(600)))
CALL(unsubscribe, mcq_unsubscribe(at.sock, body, pick(600)))
CALL(resume, mcq_peer_resume(at.sock, at.peer))
CALL(find_peer, mcq_peer_find(at.sock, body, 1 + pick(6), &at.peer))
CALL(mark_peer, mcq_peer_set_user(at.sock, at.peer, at.sock))
CALL(close_peer, mcq_peer_close(at.sock, at.peer))
CALL(move_tick,
     (mcq_timer_arm(run.tick, mcq_shard_now(mcq_sock_shard(at.sock)) + pick(TICK_NS)), MCQ_OK))
CALL(kill_peer, mcq_peer_kill(at.sock, at.peer))
CALL(close_within, (mcq_sock_close_within(at.sock, one_in(2) ? 30 : MCQ_NONE), MCQ_OK))
CALL(subscribe_peer, mcq_peer_subscribe(at.sock, at.peer, body, pick(600)))
CALL(unsubscribe_peer, mcq_peer_unsubscribe(at.sock, at.peer, body, pick(600)))
CALL(post, mcq_post(mcq_sock_shard(at.sock), on_post, NULL))

static void look_at(struct spot at)
{
    struct mcq_peer_stats s;
    if (tried(mcq_peer_stats(at.sock, at.peer, &s)) != MCQ_OK)
        return;
    CHECK((s.queued_msgs == 0) <= (s.queued_bytes == 0) && s.slow <= (s.slow_cnt != 0));
}

static struct {
    void (*fn)(struct spot at);
    uint32_t weight;
    unsigned long done;
} actions[] = {{send_frames, WEIGHT_MAX, 0},
               {send_bytes, 24, 0},
               {send_kept, 24, 0},
               {send_external, 24, 0},
               {send_reserved, 24, 0},
               {subscribe_peer, 4, 0},
               {unsubscribe_peer, 4, 0},
               {close_sock, 1, 0},
               {bind_one, 1, 0},
               {unbind, 1, 0},
               {connect_one, 4, 0},
               {disconnect, 4, 0},
               {flush, 4, 0},
               {subscribe, 4, 0},
               {unsubscribe, 4, 0},
               {resume, 4, 0},
               {close_peer, 2, 0},
               {kill_peer, 2, 0},
               {close_within, 1, 0},
               {look_at, 4, 0},
               {find_peer, 4, 0},
               {mark_peer, 4, 0},
               {move_tick, 4, 0},
               {post, 4, 0}};

/* One of the first action_cnt, mostly at the spot. */
static void act(enum place place, uint32_t action_cnt, struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_sock *other = run.slots[pick(SOCKS)].sock;
    uint32_t idx;
    acts[place]++;
    if (peer.bits != 0 && one_in(4))
        run.peers[pick(PEERS)] = peer;
    if (peer.bits == 0 || one_in(5))
        peer = run.peers[pick(PEERS)];
    if (sock == NULL || (other != NULL && one_in(3)))
        sock = other;
    if (sock == NULL)
        return;
    do
        idx = pick(action_cnt);
    while (pick(WEIGHT_MAX) >= actions[idx].weight);
    actions[idx].done++;
    actions[idx].fn((struct spot){sock, peer});
}

/* --- handlers -------------------------------------------------------------------------------- */

static bool as_sent(const void *data, size_t len)
{
    return len <= LEN_MAX && (len == 0 || memcmp(data, body, len) == 0);
}

/* Or of the length of the number that a REQ with req_correlate puts before its request, which is
 * sent on from anywhere. */
static bool is_ours(struct mcq_frame f)
{
    return f.len == 4 || as_sent(f.data, f.len);
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct mcq_msg kept;
    bool right = true;
    (void)ctx;
    for (uint32_t i = 0; i < mcq_msg_frame_cnt(msg); i++)
        right = right && is_ours(mcq_msg_frame(msg, i));
    CHECK(right);
    if (one_in(4) && tried(mcq_msg_keep(run.shard, msg, &kept)) == MCQ_OK)
        keep(pick(KEPT), kept);
    if (one_in(2))
        tried(mcq_send(sock, msg));
    act(MESSAGE, ALL, sock, from);
    return one_in(12) ? MCQ_PAUSE : MCQ_CONTINUE;
}

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (on_message(ctx, sock, from, &msgs[i]) == MCQ_PAUSE)
            return i + pick(2);
    return n;
}

static void on_turn(void *ctx, struct mcq_sock *sock)
{
    (void)ctx;
    act(TURN, ALL, sock, nobody);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct slot *s = ctx;
    mcq_diary_add(&s->diary, event);
    run.told += event->kind == MCQ_EVENT_DROPPED ? event->cnt : 0;
    act(event->kind == MCQ_EVENT_DROPPED ? DROPPED : EVENT, ALL, sock, event->peer);
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    (void)ctx;
    (void)added;
    CHECK(as_sent(topic, len));
    act(SUBSCRIPTION, ALL, sock, peer);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct slot *s = ctx;
    mcq_diary_end(&s->diary);
    act(CLOSED, ALL, sock, nobody);
    s->sock = NULL;
    run.sock_cnt--;
    for (uint32_t i = 0; i < KEPT && run.sock_cnt == 0; i++)
        keep(i, (struct mcq_msg){0});
    open_one();
}

/* --- a run ----------------------------------------------------------------------------------- */

static bool publishes(enum mcq_sock_type type)
{
    return type == MCQ_PUB || type == MCQ_XPUB;
}

static enum mcq_slow some_slow(enum mcq_sock_type type)
{
    if (type == MCQ_SUB || type == MCQ_PULL || type == MCQ_REQ)
        return MCQ_SLOW_BLOCK;
    enum mcq_slow slow = (enum mcq_slow)pick(MCQ_SLOW_DISCONNECT + 1);
    return type == MCQ_REP && slow == MCQ_SLOW_BLOCK ? MCQ_SLOW_DEFAULT : slow;
}

static void some_pattern_opts(enum mcq_sock_type type, struct mcq_sock_opts *opts)
{
    opts->slow = some_slow(type);
    opts->immediate = one_in(4);
    opts->stop_on_refused = one_in(8);
    opts->recv_hwm_msgs = one_in(3) ? 1 + pick(5) : 0;
    opts->req_correlate = type == MCQ_REQ && one_in(3);
    opts->req_relaxed = type == MCQ_REQ && one_in(3);
    opts->router_mandatory = type == MCQ_ROUTER && one_in(2);
    if (type == MCQ_ROUTER && one_in(2))
        opts->identity_policy = MCQ_IDENTITY_REPLACE;
    opts->probe = (type == MCQ_ROUTER || type == MCQ_DEALER || type == MCQ_REQ) && one_in(3);
    opts->verbose = type == MCQ_XPUB && one_in(3);
    opts->verboser = type == MCQ_XPUB && one_in(3);
    opts->manual = type == MCQ_XPUB && one_in(2);
    opts->invert_matching = (publishes(type) || type == MCQ_SUB) && one_in(6);
    opts->welcome = body;
    opts->welcome_len = publishes(type) && one_in(3) ? pick(MCQ_WELCOME_LEN_MAX) : 0;
}

static struct mcq_sock_opts some_opts(enum mcq_sock_type type)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = one_in(3) ? 20 : MCQ_NONE;
    opts.reconnect_min_ms = 1;
    opts.reconnect_max_ms = 5;
    opts.handshake_ms = 50;
    opts.request_timeout_ms = type == MCQ_REQ && one_in(2) ? 5 : 0;
    opts.recv_hwm_bytes = one_in(3) ? 1 + pick(5000) : 0;
    opts.send_hwm_msgs = one_in(3) ? 1 + pick(5) : 0;
    opts.send_hwm_bytes = one_in(4) ? 1 + pick(5000) : 0;
    opts.frame_max_bytes = one_in(8) ? EXTERN_LEN : 0;
    opts.subs_max = type == MCQ_PUB && one_in(8) ? 1 + pick(4) : 0;
    opts.identity = body;
    if (type == MCQ_REQ || type == MCQ_DEALER || type == MCQ_ROUTER)
        opts.identity_len = one_in(4) ? 1 + pick(6) : 0;
    some_pattern_opts(type, &opts);
    return opts;
}

static void open_one(void)
{
#define REST                                                                                     \
    .writable = on_turn, .event = on_event, .subscription = on_subscription, .timeout = on_turn, \
    .closed = on_closed
    static const struct mcq_sock_handlers handlers[] = {
        {.message = on_message, REST}, {.messages = on_messages, REST}, {REST}};
    enum mcq_sock_type type = (enum mcq_sock_type)(MCQ_PAIR + pick(MCQ_XSUB));
    const struct mcq_sock_opts opts = some_opts(type);
    const struct mcq_sock_handlers *h = &handlers[one_in(10) ? 2 : pick(2)];
    struct slot *s = &run.slots[pick(SOCKS)];
    struct spot at = {NULL, nobody};
    if (s->sock != NULL ||
        tried(mcq_sock_open(run.shard, type, &opts, h, s, &at.sock, NULL)) != MCQ_OK)
        return;
    *s = (struct slot){.sock = at.sock};
    run.sock_cnt++;
    if (one_in(2))
        bind_one(at);
    for (uint32_t n = 1 + pick(4); n != 0; n--)
        connect_one(at);
    tried(mcq_subscribe(at.sock, "", 0));
}

/* Keeps it going: opens what was closed, resumes what was paused; in the end stops it. */
static void on_tick(void *ctx, struct mcq_timer *timer)
{
    (void)ctx;
    for (unsigned i = 0; i < 3; i++) {
        struct mcq_sock *sock = run.slots[pick(SOCKS)].sock;
        open_one();
        for (unsigned k = 0; sock != NULL && k < PEERS; k++)
            resume((struct spot){sock, run.peers[k]});
        act(TIMER, ALL, sock, nobody);
    }
    mcq_timer_arm(timer, mcq_shard_now(run.shard) + TICK_NS / 3 + pick(TICK_NS));
    if (mcq_shard_now(run.shard) > run.end_ns)
        mcq_stop(run.shard);
}

static int start(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    run.shard = shard;
    run.end_ns = mcq_shard_now(shard) + run.secs * UINT64_C(1000000000);
    alarm(run.secs + END_S); /* the trial's watchdog, set for longer */
    CHECK(mcq_timer_open(shard, on_tick, NULL, &run.tick) == MCQ_OK);
    mcq_timer_arm(run.tick, 0);
    return 0;
}

/* Whatever is dropped is told, and counted once. */
static uint64_t dropped(const struct mcq_pattern_stats *s)
{
    return s->drops_hwm + s->drops_no_peer + s->drops_pattern + s->drops_end + s->drops_old +
           s->conflated;
}

static void run_seed(uint64_t seed, unsigned secs, enum mcq_idle idle)
{
    char name[64];
    memset(&run, 0, sizeof(run));
    run.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    run.secs = secs;
    snprintf(name, sizeof(name), "chaos %" PRIu64 " %u (%s)", seed, secs,
             idle == MCQ_IDLE_BLOCK ? "block" : "spin-block");
    struct mcq_trial trial = {name, mcq_trial_opts(), start, NULL, NULL};
    trial.opts.idle = idle;
    trial.opts.large_bytes = 8u << 20;
    trial.opts.connections_max = one_in(4) ? 64 : 256;
    struct mcq_shard_stats s = mcq_trial_run(&trial); /* checks the log, peers and large blocks */
    CHECK(run.sock_cnt == 0 && s.loop.conns_now == 0 && s.pattern.subs_now == 0);
    CHECK(dropped(&s.pattern) == run.told && s.pattern.slow_enters == s.pattern.slow_leaves);
    for (uint32_t i = 0; i < run.external_cnt; i++)
        CHECK(run.externals[i].frees == 1);
    printf("# %s: %" PRIu64 " messages, %" PRIu64 " handshakes, %u external\n", name,
           s.proto.msgs_in, s.proto.handshakes, run.external_cnt);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    unsigned secs = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    mcq_body_fill(body, sizeof(body), 1); /* not 0: no identity begins with a zero */
    for (uint64_t seed = first; seed < first + (argc > 1 ? 1 : SEEDS); seed++) {
        run_seed(seed, secs, MCQ_IDLE_BLOCK);
        run_seed(seed, secs, MCQ_IDLE_SPIN_BLOCK);
    }
    for (unsigned i = 0; i < PLACES; i++)
        CHECK(acts[i] != 0);
    for (unsigned i = 0; i < ALL; i++)
        CHECK(actions[i].done != 0);
    return mcq_trial_end();
}
