/* Peers of a logical ROUTER, sent to from the shard that doesn't have their connection: all of a
 * thousand, in order; slow ones, those that go, and those that are made to. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "tests/support/bundle.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS     2u
#define THOUSAND   1000u
#define EACH       5u /* messages of each shard to each dealer */
#define BUNDLES    400u
#define ASKERS     300u
#define WATCHDOG_S 300

/* What a dealer is sent, and sends back. */
struct note {
    uint32_t shard, dealer, seq;
};

struct member {
    struct gate *t;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    uint32_t next[SHARDS][THOUSAND];
    atomic_ulong got, writables, slow, slow_end, dropped;
    unsigned long told[MCQ_REASON_KILLED + 1]; /* dropped messages, by reason */
};

struct gate {
    const char *name;
    struct mcq_sock_opts opts;
    bool apart; /* each member at a port of its own */
    char endpoint[SHARDS][64];
    struct member member[SHARDS];
    struct mcq_shard_stats stats[SHARDS];
    atomic_ulong listening, ups, gone, done, answers;
    struct mcq_bundle bundle;
    /* a post's */
    atomic_ullong peer; /* of the last UP */
    enum mcq_error err;
    unsigned long sent, accepted;
    atomic_ulong out; /* messages that the kernel took */
};

/* --- the shards' side ------------------------------------------------------------------------ */

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct member *m = ctx;
    struct gate *t = m->t;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        atomic_store(&t->peer, event->peer.bits);
    if (event->kind == MCQ_EVENT_DROPPED) {
        m->told[event->reason] += event->cnt;
        atomic_fetch_add(&m->dropped, event->cnt);
        CHECK(event->peer.bits == t->peer);
    }
    if (event->kind == MCQ_EVENT_DISCONNECTED)
        atomic_fetch_add(&t->out, event->report.msgs_out);
    if (event->kind == MCQ_EVENT_LISTENING)
        snprintf(t->endpoint[mcq_shard_id(m->shard)], sizeof(t->endpoint[0]), "%s",
                 event->endpoint);
    atomic_fetch_add(&m->slow, event->kind == MCQ_EVENT_SLOW ? 1 : 0);
    atomic_fetch_add(&m->slow_end, event->kind == MCQ_EVENT_SLOW_END ? 1 : 0);
    atomic_fetch_add(&t->ups, event->kind == MCQ_EVENT_UP ? 1 : 0);
    atomic_fetch_add(&t->gone, event->kind == MCQ_EVENT_DISCONNECTED ? 1 : 0);
    atomic_fetch_add(&t->listening, event->kind == MCQ_EVENT_LISTENING ? 1 : 0);
}

/* A dealer's echo: what each shard told it has come back in order. */
static enum mcq_flow on_note(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *msg)
{
    struct member *m = ctx;
    struct note note = {0, 0, 0};
    (void)sock;
    (void)from;
    if (CHECK(msg->len == sizeof(note)))
        memcpy(&note, msg->data, sizeof(note));
    if (CHECK(note.shard < SHARDS && note.dealer < THOUSAND))
        CHECK(note.seq == m->next[note.shard][note.dealer]++);
    atomic_fetch_add(&m->got, 1);
    return MCQ_CONTINUE;
}

/* Whoever asks here is answered from the other shard, by the name it has here. */
static enum mcq_flow on_question(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                 struct mcq_msg *msg)
{
    struct member *m = ctx;
    uint32_t other = 1 - mcq_shard_id(m->shard);
    (void)sock;
    (void)msg;
    CHECK(mcq_post_bytes(m->shard, other, 1, &from, sizeof(from)) == MCQ_OK);
    return MCQ_CONTINUE;
}

static void on_post(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                    const void *data, size_t len)
{
    struct gate *t = arg;
    struct mcq_sock *sock = t->member[mcq_shard_id(shard)].sock;
    struct mcq_peer peer;
    struct mcq_msg reply = mcq_msg_of("answer", 6);
    (void)from;
    if (CHECK(kind == 1 && len == sizeof(peer)))
        memcpy(&peer, data, sizeof(peer));
    CHECK(mcq_send_to(sock, peer, &reply) == MCQ_OK);
    atomic_fetch_add(&t->answers, 1);
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct member *m = ctx;
    (void)sock;
    atomic_fetch_add(&m->writables, 1);
}

static const struct mcq_sock_handlers note_handlers = {
    .event = on_event, .message = on_note, .writable = on_writable};
static const struct mcq_sock_handlers question_handlers = {.event = on_event,
                                                           .message = on_question};
static const struct mcq_sock_handlers *handlers = &note_handlers;

static const char *const own_ports[SHARDS] = {"tcp://127.0.0.1:*", "tcp://127.0.0.1:0"};

static int start(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    uint32_t id = mcq_shard_id(shard);
    struct member *m = &t->member[id];
    m->t = t;
    m->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_ROUTER, &t->opts, handlers, m, &m->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(m->sock, own_ports[t->apart ? id : 0], NULL) == MCQ_OK);
    return 0;
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    mcq_shard_stats(shard, &t->stats[mcq_shard_id(shard)]);
}

static struct mcq_peer peer_of(const struct gate *t)
{
    return (struct mcq_peer){atomic_load(&t->peer)};
}

static void *stop(struct gate *t)
{
    mcq_stop(t->member[0].shard);
    return NULL;
}

static void post(struct gate *t, uint32_t shard, mcq_post_fn *fn)
{
    unsigned long before = t->done;
    CHECK(mcq_post(t->member[shard].shard, fn, t) == MCQ_OK);
    CHECK(mcq_trial_wait_quick(&t->done, before + 1));
}

/* Until the call a post makes says so. */
static bool comes_to(struct gate *t, uint32_t shard, mcq_post_fn *fn, enum mcq_error err)
{
    for (unsigned i = 0; i < 5000; i++) {
        post(t, shard, fn);
        if (t->err == err)
            return true;
        usleep(1000);
    }
    printf("  %s instead of %s\n", mcq_error_name(t->err), mcq_error_name(err));
    return false;
}

static void hung(int sig)
{
    static const char text[] = "FAILED: hung\n";
    (void)sig;
    if (write(1, text, sizeof(text) - 1) < 0)
        _exit(2);
    abort();
}

static struct gate *gate_new(const char *name)
{
    struct gate *t = calloc(1, sizeof(*t));
    if (t == NULL)
        abort();
    t->name = name;
    t->apart = true;
    t->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    t->opts.logical = "gate";
    handlers = &note_handlers;
    return t;
}

static void run(struct gate *t, void *(*far)(void *))
{
    const struct mcq_app app = {.start = start, .on_stop = on_stop, .on_post = on_post};
    struct mcq_opts opts = mcq_trial_opts();
    struct mcq_detail detail = {.text = ""};
    pthread_t thread;
    opts.shards = SHARDS;
    opts.arena_bytes = 64u << 20;
    opts.connections_max = 2048;
    printf("# %s\n", t->name);
    fflush(stdout);
    signal(SIGALRM, hung);
    alarm(WATCHDOG_S);
    if (pthread_create(&thread, NULL, far, t) != 0)
        abort();
    if (!CHECK(mcq_run(&opts, &app, t, &detail) == MCQ_OK))
        printf("  %s\n", detail.text);
    pthread_join(thread, NULL);
    alarm(0);
    for (unsigned i = 0; i < SHARDS; i++) {
        CHECK(t->stats[i].pattern.peers_now == 0 && t->stats[i].bridge.bridges_now == 0);
        CHECK(t->stats[i].mem.large_now == 0 && t->stats[i].directory.records_empty == 0);
    }
}

#ifndef __SANITIZE_THREAD__
/* --- a thousand of libzmq's --------------------------------------------------------------------
 */

/* Half of them by identity, half by the name that identity has. */
static void do_tell_all(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    uint32_t id = mcq_shard_id(shard);
    struct mcq_sock *sock = t->member[id].sock;
    for (uint32_t seq = 0; seq < EACH; seq++)
        for (uint32_t i = 0; i < THOUSAND; i++) {
            char identity[16];
            size_t len = (size_t)snprintf(identity, sizeof(identity), "dealer-%u", i);
            const struct note note = {id, i, seq};
            const struct mcq_frame frames[] = {{identity, len}, {&note, sizeof(note)}};
            struct mcq_msg m = mcq_msg_of_frames(frames, 2);
            struct mcq_msg body = mcq_msg_of(&note, sizeof(note));
            struct mcq_peer peer = {0};
            if (i % 2 == 0)
                CHECK(mcq_send(sock, &m) == MCQ_OK);
            else if (CHECK(mcq_peer_find(sock, identity, len, &peer) == MCQ_OK))
                CHECK(mcq_send_to(sock, peer, &body) == MCQ_OK);
        }
    atomic_fetch_add(&t->done, 1);
}

/* All are to be found from that shard. */
static void do_find_all(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    t->err = MCQ_OK;
    for (uint32_t i = 0; i < THOUSAND && t->err == MCQ_OK; i++) {
        char identity[16];
        struct mcq_peer peer;
        size_t len = (size_t)snprintf(identity, sizeof(identity), "dealer-%u", i);
        t->err = mcq_peer_find(t->member[mcq_shard_id(shard)].sock, identity, len, &peer);
    }
    atomic_fetch_add(&t->done, 1);
}

static void echo_all(void **dealers, uint32_t left)
{
    struct note note;
    for (uint32_t i = 0; left != 0; i = (i + 1) % THOUSAND)
        while (zmq_recv(dealers[i], &note, sizeof(note), ZMQ_DONTWAIT) == (int)sizeof(note)) {
            CHECK(note.dealer == i);
            CHECK(zmq_send(dealers[i], &note, sizeof(note), 0) == (int)sizeof(note));
            left--;
        }
}

static void *be_a_thousand(void *arg)
{
    struct gate *t = arg;
    static void *dealers[THOUSAND];
    void *ctx = zmq_ctx_new();
    int zero = 0;
    CHECK(zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, THOUSAND + 16) == 0);
    mcq_trial_wait(&t->listening, 1);
    for (uint32_t i = 0; i < THOUSAND; i++) {
        char identity[16];
        size_t len = (size_t)snprintf(identity, sizeof(identity), "dealer-%u", i);
        dealers[i] = zmq_socket(ctx, ZMQ_DEALER);
        if (!CHECK(dealers[i] != NULL))
            abort();
        zmq_setsockopt(dealers[i], ZMQ_IDENTITY, identity, len);
        zmq_setsockopt(dealers[i], ZMQ_LINGER, &zero, sizeof(zero));
        CHECK(zmq_connect(dealers[i], t->endpoint[0]) == 0);
    }
    CHECK(mcq_trial_wait(&t->ups, THOUSAND));
    for (uint32_t s = 0; s < SHARDS; s++)
        CHECK(comes_to(t, s, do_find_all, MCQ_OK));
    alarm(WATCHDOG_S);
    for (uint32_t s = 0; s < SHARDS; s++)
        post(t, s, do_tell_all);
    echo_all(dealers, SHARDS * EACH * THOUSAND);
    for (unsigned i = 0;
         i < 10000 && t->member[0].got + t->member[1].got != SHARDS * EACH * THOUSAND; i++)
        usleep(1000);
    CHECK(t->member[0].got + t->member[1].got == SHARDS * EACH * THOUSAND);
    stop(t);
    for (uint32_t i = 0; i < THOUSAND; i++)
        zmq_close(dealers[i]);
    zmq_ctx_term(ctx);
    return NULL;
}

static void thousand(void)
{
    struct gate *t = gate_new("1,000 dealers, each addressed from either shard");
    t->apart = false;
    run(t, be_a_thousand);
    CHECK(t->member[0].got != 0 && t->member[1].got != 0);
    CHECK(t->stats[0].pattern.drops_no_peer + t->stats[1].pattern.drops_no_peer == 0);
    CHECK(t->stats[0].directory.grants + t->stats[1].directory.grants == THOUSAND);
    free(t);
}

#endif

/* --- answered from the other shard -------------------------------------------------------------
 */

/* Each asks with its handshake, so that its name may be there before the directory's word. */
static void *ask(void *arg)
{
    struct gate *t = arg;
    static int fds[ASKERS];
    mcq_trial_wait(&t->listening, SHARDS);
    for (uint32_t i = 0; i < ASKERS; i++) {
        struct mcq_text out = {NULL, 0, 0};
        fds[i] = mcq_raw_connect(t->endpoint[i % SHARDS], 0);
        mcq_raw_greeting(&out);
        mcq_raw_ready(&out, "DEALER", NULL);
        mcq_raw_frame(&out, 0, "question", 8);
        CHECK(mcq_raw_write(fds[i], out.ptr, out.len));
        mcq_text_fini(&out);
    }
    for (uint32_t i = 0; i < ASKERS; i++) {
        struct mcq_text body = {NULL, 0, 0};
        unsigned flags;
        uint8_t greeting[64];
        CHECK(mcq_raw_read(fds[i], greeting, sizeof(greeting)));
        CHECK(mcq_raw_next_message(fds[i], &flags, &body) && body.len == 6);
        mcq_text_fini(&body);
        mcq_raw_close(fds[i]);
    }
    CHECK(t->answers == ASKERS);
    return stop(t);
}

static void questions(void)
{
    struct gate *t = gate_new("answered from the other shard");
    handlers = &question_handlers;
    run(t, ask);
    CHECK(t->stats[0].pattern.drops_no_peer + t->stats[1].pattern.drops_no_peer == 0);
    free(t);
}

/* --- one peer, on shard 1, sent to from shard 0 -------------------------------------------------
 */

static int join(struct gate *t, int rcvbuf)
{
    mcq_trial_wait(&t->listening, SHARDS);
    unsigned long ups = t->ups;
    int fd = mcq_raw_connect(t->endpoint[1], rcvbuf);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "DEALER", "peer"));
    CHECK(mcq_trial_wait(&t->ups, ups + 1));
    return fd;
}

static void do_find(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    struct mcq_peer peer = {0};
    t->err = mcq_peer_find(t->member[mcq_shard_id(shard)].sock, "peer", 4, &peer);
    CHECK(t->err != MCQ_OK || peer.bits == t->peer);
    atomic_fetch_add(&t->done, 1);
}

/* Bundles, until one isn't taken or all are. */
static void do_send_bundles(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    struct mcq_sock *sock = t->member[mcq_shard_id(shard)].sock;
    t->err = MCQ_OK;
    for (unsigned i = 0; i < 64 && t->sent < BUNDLES && t->err == MCQ_OK; i++) {
        struct mcq_msg m = mcq_bundle_of(&t->bundle, (uint32_t)t->sent, false);
        t->err = mcq_send_to(sock, peer_of(t), &m);
        t->sent += t->err == MCQ_OK ? 1 : 0;
        mcq_bundle_spoil(&t->bundle, false);
    }
    if (t->err == MCQ_OK && t->sent < BUNDLES)
        t->err = MCQ_EINVAL; /* there is more to send */
    atomic_fetch_add(&t->done, 1);
}

static bool hears_bundle(int fd, uint32_t seq)
{
    static struct mcq_text bodies[MCQ_BUNDLE_FRAMES_MAX];
    struct mcq_frame frames[MCQ_BUNDLE_FRAMES_MAX];
    uint32_t cnt = 0;
    unsigned flags = MCQ_RAW_MORE;
    while ((flags & MCQ_RAW_MORE) != 0 && cnt < MCQ_BUNDLE_FRAMES_MAX) {
        if (!mcq_raw_next_message(fd, &flags, &bodies[cnt]))
            return false;
        frames[cnt] = (struct mcq_frame){bodies[cnt].ptr, bodies[cnt].len};
        cnt++;
    }
    const struct mcq_msg m = mcq_msg_of_frames(frames, cnt);
    return mcq_bundle_is(&m, seq, false);
}

/* Reads nothing until nobody takes any more for it; then everything. */
static void *be_slow(void *arg)
{
    struct gate *t = arg;
    int fd = join(t, 4096);
    uint32_t heard = 0;
    CHECK(comes_to(t, 0, do_find, MCQ_OK));
    CHECK(comes_to(t, 0, do_send_bundles, MCQ_EAGAIN));
    CHECK(mcq_trial_wait(&t->member[0].slow, 1));
    CHECK(t->sent < BUNDLES);
    while (heard < BUNDLES) {
        while (heard < t->sent && CHECK(hears_bundle(fd, heard)))
            heard++;
        if (t->sent < BUNDLES)
            post(t, 0, do_send_bundles);
        if (heard < t->sent / 2)
            break;
    }
    CHECK(heard == BUNDLES);
    CHECK(mcq_trial_wait(&t->member[0].slow_end, 1));
    CHECK(t->member[0].writables > 1); /* the first is for the first peer */
    mcq_raw_close(fd);
    return stop(t);
}

static void slow(void)
{
    struct gate *t = gate_new("a slow one");
    t->opts.send_hwm_msgs = 50;
    run(t, be_slow);
    CHECK(t->member[0].dropped + t->member[1].dropped == 0);
    free(t);
}

static void do_send_one(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    struct mcq_msg m = mcq_msg_of("one", 3);
    t->err = mcq_send_to(t->member[mcq_shard_id(shard)].sock, peer_of(t), &m);
    t->sent += t->err == MCQ_OK ? 1 : 0;
    atomic_fetch_add(&t->done, 1);
}

static void do_send_named(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    const struct mcq_frame frames[] = {{"peer", 4}, {"one", 3}};
    struct mcq_msg m = mcq_msg_of_frames(frames, 2);
    t->err = mcq_send(t->member[mcq_shard_id(shard)].sock, &m);
    t->sent += t->err == MCQ_OK ? 1 : 0;
    atomic_fetch_add(&t->done, 1);
}

/* Goes while much waits for it on both shards, again and again; its name never comes back. */
static void *go_away(void *arg)
{
    struct gate *t = arg;
    for (unsigned i = 0; i < 20; i++) {
        int fd = join(t, 4096);
        const uint64_t old = t->peer;
        unsigned long slow = t->member[1].slow;
        t->sent = 0;
        CHECK(comes_to(t, 0, do_find, MCQ_OK));
        do
            CHECK(comes_to(t, 0, do_send_bundles, MCQ_EAGAIN));
        while (t->member[1].slow == slow);
        CHECK(comes_to(t, 0, do_send_bundles, MCQ_EAGAIN));
        unsigned long dropped = t->member[0].dropped;
        mcq_raw_reset(fd);
        CHECK(mcq_trial_wait(&t->gone, i + 1));
        CHECK(comes_to(t, 0, do_find, MCQ_ENOENT));
        post(t, 0, do_send_one);
        CHECK(t->err == MCQ_ESTALE);
        post(t, 0, do_send_named);
        CHECK(t->err == MCQ_ENOENT);
        CHECK(mcq_trial_wait(&t->member[0].dropped, dropped + 1));
        t->accepted += t->sent;
        CHECK(old == t->peer);
        post(t, 0, do_send_one);
        CHECK(t->err == MCQ_ESTALE);
        post(t, 1, do_send_one);
        CHECK(t->err == MCQ_ESTALE);
    }
    return stop(t);
}

static void goes(void)
{
    struct gate *t = gate_new("one that goes");
    t->opts.send_hwm_msgs = 50;
    t->opts.notsent_lowat_bytes = 4096;
    t->opts.send_buffer_bytes = 4096;
    t->opts.router_mandatory = true;
    run(t, go_away);
    /* Each was taken by the kernel, or was dropped and told, here or there. */
    CHECK(t->stats[0].pattern.drops_end + t->stats[1].pattern.drops_end + t->out == t->accepted);
    CHECK(t->member[1].dropped == t->stats[1].pattern.drops_end);
    CHECK(t->member[0].told[MCQ_REASON_RESET] == t->stats[0].pattern.drops_end);
    free(t);
}

static void do_kill(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    t->err = mcq_peer_kill(t->member[mcq_shard_id(shard)].sock, peer_of(t));
    atomic_fetch_add(&t->done, 1);
}

static void do_say_goodbye(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    struct mcq_sock *sock = t->member[mcq_shard_id(shard)].sock;
    struct mcq_msg m = mcq_msg_of("goodbye", 7);
    CHECK(mcq_send_to(sock, peer_of(t), &m) == MCQ_OK);
    t->err = mcq_peer_close(sock, peer_of(t));
    atomic_fetch_add(&t->done, 1);
}

/* What of a peer can be asked where its connection isn't. */
static void do_ask(struct mcq_shard *shard, void *arg)
{
    struct gate *t = arg;
    struct mcq_sock *sock = t->member[mcq_shard_id(shard)].sock;
    struct mcq_frame id = {NULL, 0};
    struct mcq_peer_stats stats;
    CHECK(mcq_peer_identity(sock, peer_of(t), &id) == MCQ_OK && id.len == 4);
    CHECK(id.len == 4 && memcmp(id.data, "peer", 4) == 0);
    CHECK(mcq_peer_stats(sock, peer_of(t), &stats) == MCQ_OK && stats.queued_msgs == 0);
    CHECK(mcq_peer_set_user(sock, peer_of(t), t) == MCQ_OK && mcq_peer_user(sock, peer_of(t)) == t);
    CHECK(mcq_peer_resume(sock, peer_of(t)) == MCQ_ENOTSUP);
    CHECK(strcmp(mcq_peer_endpoint(sock, peer_of(t)), "") == 0);
    CHECK(mcq_sock_peer_cnt(sock) == 0);
    t->err = MCQ_OK;
    atomic_fetch_add(&t->done, 1);
}

static void *be_ended(void *arg)
{
    struct gate *t = arg;
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    int fd = join(t, 0);
    CHECK(comes_to(t, 0, do_find, MCQ_OK));
    post(t, 0, do_ask);
    post(t, 0, do_kill);
    CHECK(t->err == MCQ_OK && mcq_raw_ended(fd));
    CHECK(mcq_trial_wait(&t->gone, 1));
    mcq_raw_close(fd);
    fd = join(t, 0);
    CHECK(comes_to(t, 0, do_find, MCQ_OK));
    post(t, 0, do_say_goodbye);
    CHECK(t->err == MCQ_OK);
    CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 7);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&t->gone, 2));
    CHECK(comes_to(t, 0, do_find, MCQ_ENOENT));
    mcq_text_fini(&body);
    return stop(t);
}

static void ended(void)
{
    struct gate *t = gate_new("ended from the other shard");
    run(t, be_ended);
    CHECK(t->stats[1].disconnects[MCQ_REASON_KILLED] == 1);
    CHECK(t->stats[1].disconnects[MCQ_REASON_LOCAL] == 1);
    CHECK(t->stats[0].pattern.drops_end == 0);
    free(t);
}

/* Too slow for the one who sends from elsewhere. */
static void *be_too_slow(void *arg)
{
    struct gate *t = arg;
    int fd = join(t, 4096);
    CHECK(comes_to(t, 0, do_find, MCQ_OK));
    while (t->gone == 0 && t->err != MCQ_ESTALE)
        post(t, 0, do_send_named);
    CHECK(mcq_trial_wait(&t->gone, 1));
    mcq_raw_close(fd);
    return stop(t);
}

static void too_slow(void)
{
    struct gate *t = gate_new("too slow");
    t->opts.send_hwm_msgs = 20;
    t->opts.slow = MCQ_SLOW_DISCONNECT;
    t->opts.notsent_lowat_bytes = 4096;
    t->opts.send_buffer_bytes = 4096;
    t->opts.router_mandatory = true;
    run(t, be_too_slow);
    CHECK(t->stats[1].disconnects[MCQ_REASON_SLOW] == 1);
    CHECK(t->stats[0].pattern.slow_disconnects == 1);
    free(t);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    ended();
    slow();
    goes();
    too_slow();
    questions();
#ifndef __SANITIZE_THREAD__ /* libzmq isn't built for it */
    thousand();
#endif
    return mcq_trial_end();
}
