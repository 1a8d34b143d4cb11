/* Connections that are handed from shard to shard at every moment of theirs: no byte is lost,
 * doubled or out of order, the far end notices nothing, and nothing is left behind.
 *
 * With two numbers, connections and moves of each, only the load is run, in that size. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS    2u
#define WINDOW    48u /* messages of a connection that wait for their answer */
#define BODY_MAX  600u
#define PEERS_MAX 256u
#define QUEUED    400u /* for a peer that reads nothing */

/* --- bodies: who, number, checksum over all -------------------------------------------------- */

struct head {
    uint32_t who, len;
    uint64_t seq, sum;
};

static uint64_t sum_of(const uint8_t *bytes, size_t len, uint64_t seq)
{
    uint64_t h = seq * 0x9e3779b97f4a7c15u + len;
    for (size_t i = 0; i < len; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

static void body_make(uint8_t *body, size_t len, uint32_t who, uint64_t seq)
{
    uint64_t x = seq * 2654435761u + who;
    for (size_t i = sizeof(struct head); i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        body[i] = (uint8_t)(x >> 56);
    }
    struct head h = {who, (uint32_t)len, seq, 0};
    h.sum = sum_of(body + sizeof(h), len - sizeof(h), seq);
    memcpy(body, &h, sizeof(h));
}

static bool body_is(const uint8_t *body, size_t len, uint32_t who, uint64_t seq)
{
    struct head h;
    if (len < sizeof(h))
        return false;
    memcpy(&h, body, sizeof(h));
    return h.who == who && h.len == len && h.seq == seq &&
           h.sum == sum_of(body + sizeof(h), len - sizeof(h), seq);
}

static size_t len_of(uint64_t seq)
{
    return sizeof(struct head) + (seq * 37) % (BODY_MAX - sizeof(struct head));
}

/* --- the app: two members of one ROUTER ------------------------------------------------------ */

/* One peer; travels as its user pointer, so one shard has it at a time. */
struct conn {
    uint32_t who;
    bool known;
    uint64_t in, out; /* numbers expected, and given, next */
    unsigned long moves;
};

struct world {
    struct mcq_shard *shard[SHARDS];
    struct mcq_sock *sock[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, up, down, moved, came, done, stayed, received, wrong;
    unsigned long moves_max; /* of each connection */
    atomic_bool restless;    /* who has come moves on */
    atomic_ullong peer;      /* the last one that came up */
    atomic_ulong here;       /* where it is */
    struct conn conns[PEERS_MAX];
    unsigned conn_cnt; /* given by the shard that accepts */
    unsigned last;     /* of SHARDS, that a peer was moved to */
};

static struct world w;
static unsigned conns_wanted = 50, moves_wanted = 40;

static void wrong(const char *what, uint64_t a, uint64_t b)
{
    if (atomic_fetch_add(&w.wrong, 1) < 10)
        fprintf(stderr, "moves: %s: %" PRIu64 ", not %" PRIu64 "\n", what, a, b);
}

static void move_on(struct mcq_sock *sock, struct mcq_peer peer, struct conn *c)
{
    uint32_t here = mcq_shard_id(mcq_sock_shard(sock));
    if (!atomic_load(&w.restless))
        return;
    if (c->moves == w.moves_max) {
        atomic_fetch_add(&w.done, 1);
        c->moves++;
        return;
    }
    if (c->moves > w.moves_max)
        return;
    enum mcq_error err = mcq_peer_move(sock, peer, (here + 1) % SHARDS);
    if (err == MCQ_OK)
        c->moves++;
    else if (err != MCQ_EAGAIN && err != MCQ_ESTALE)
        wrong("mcq_peer_move", (uint64_t)err, 0);
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct conn *c = mcq_peer_user(sock, from);
    uint8_t body[BODY_MAX];
    struct head h;
    (void)ctx;
    if (c == NULL || msg->len < sizeof(h) || msg->frame_cnt != 1) {
        wrong("a message of nobody", msg->len, 0);
        return MCQ_CONTINUE;
    }
    memcpy(&h, msg->data, sizeof(h));
    if (!c->known)
        c->who = h.who;
    c->known = true;
    if (!body_is(msg->data, msg->len, c->who, c->in))
        wrong("number in", h.seq, c->in);
    c->in++;
    body_make(body, len_of(c->out), c->who, c->out);
    enum mcq_error err =
        mcq_send_to(sock, from, &(struct mcq_msg){body, len_of(c->out), NULL, 1, 0});
    if (err != MCQ_OK)
        wrong("answer", (uint64_t)err, 0);
    c->out++;
    atomic_fetch_add(&w.received, 1);
    return MCQ_CONTINUE;
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    (void)ctx;
    if (event->kind == MCQ_EVENT_LISTENING) {
        strcpy(w.endpoint, event->endpoint);
        atomic_store(&w.listening, 1);
    } else if (event->kind == MCQ_EVENT_UP) {
        struct conn *c = &w.conns[w.conn_cnt++ % PEERS_MAX];
        *c = (struct conn){.who = 0};
        CHECK(mcq_peer_set_user(sock, event->peer, c) == MCQ_OK);
        atomic_store(&w.peer, event->peer.bits);
        atomic_store(&w.here, mcq_shard_id(mcq_sock_shard(sock)));
        atomic_fetch_add(&w.up, 1);
        move_on(sock, event->peer, c);
    } else if (event->kind == MCQ_EVENT_DISCONNECTED) {
        CHECK(mcq_peer_user(sock, event->peer) != NULL);
        atomic_fetch_add(&w.down, 1);
    } else if (event->kind == MCQ_EVENT_DROPPED && event->reason != MCQ_REASON_LOCAL) {
        wrong("dropped", event->cnt, (uint64_t)event->reason);
    }
}

static void on_moved(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                     uint32_t to)
{
    uint32_t here = mcq_shard_id(mcq_sock_shard(sock));
    struct conn *c = mcq_peer_user(sock, peer);
    (void)ctx;
    atomic_fetch_add(&w.moved, 1);
    if (from == to)
        atomic_fetch_add(&w.stayed, 1);
    if (c == NULL)
        wrong("moved without its user pointer", peer.bits, 0);
    if (to != here || c == NULL)
        return;
    atomic_store(&w.here, here);
    atomic_fetch_add(&w.came, 1);
    move_on(sock, peer, c);
}

static const struct mcq_sock_handlers handlers = {
    .message = on_message, .event = on_event, .moved = on_moved};

static enum mcq_sock_type type = MCQ_ROUTER;
static struct mcq_sock_opts sock_opts;
static const struct mcq_sock_handlers *used = &handlers;

static int start(struct mcq_shard *shard, void *arg)
{
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    w.shard[id] = shard;
    if (mcq_sock_open(shard, type, &sock_opts, used, &w, &w.sock[id], NULL) != MCQ_OK)
        return 1;
    return id == 0 && mcq_sock_bind(w.sock[id], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static void reset(enum mcq_sock_type of)
{
    memset(&w, 0, sizeof(w));
    type = of;
    used = &handlers;
    sock_opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    sock_opts.logical = "moving";
}

static struct mcq_shard_stats run(const char *name, void *(*peer)(void *arg))
{
    struct mcq_trial trial = {.name = name, .opts = mcq_trial_opts(), .start = start, .peer = peer};
    trial.opts.shards = SHARDS;
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(atomic_load(&w.wrong) == 0);
    return stats;
}

static void stop(void)
{
    mcq_stop(w.shard[0]);
}

/* --- under load: libzmq DEALERs, both directions --------------------------------------------- */

struct client {
    void *sock;
    uint64_t in, out;
};

static bool client_send(struct client *c, uint32_t who)
{
    uint8_t body[BODY_MAX];
    if (c->out - c->in >= WINDOW)
        return false;
    body_make(body, len_of(c->out), who, c->out);
    if (zmq_send(c->sock, body, len_of(c->out), ZMQ_DONTWAIT) < 0)
        return false;
    c->out++;
    return true;
}

static bool client_recv(struct client *c, uint32_t who)
{
    uint8_t body[BODY_MAX];
    int len = zmq_recv(c->sock, body, sizeof(body), ZMQ_DONTWAIT);
    if (len < 0)
        return false;
    if ((size_t)len > sizeof(body) || !body_is(body, (size_t)len, who, c->in))
        wrong("number back", 0, c->in);
    c->in++;
    return true;
}

static void *load_peer(void *arg)
{
    static struct client clients[PEERS_MAX];
    int linger = 0;
    (void)arg;
    memset(clients, 0, sizeof(clients));
    CHECK(mcq_trial_wait(&w.listening, 1));
    if (conns_wanted > 50)
        alarm(3600);
    void *ctx = zmq_ctx_new();
    zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, 1023);
    for (unsigned i = 0; i < conns_wanted; i++) {
        clients[i].sock = zmq_socket(ctx, ZMQ_DEALER);
        zmq_setsockopt(clients[i].sock, ZMQ_LINGER, &linger, sizeof(linger));
        CHECK(zmq_connect(clients[i].sock, w.endpoint) == 0);
    }
    bool open = true;
    for (;;) {
        bool any = false, waits = false;
        for (unsigned i = 0; i < conns_wanted; i++) {
            while (open && client_send(&clients[i], i))
                any = true;
            while (client_recv(&clients[i], i))
                any = true;
            waits = waits || clients[i].in != clients[i].out;
        }
        if (!open && !waits)
            break;
        if (atomic_load(&w.done) == conns_wanted || atomic_load(&w.wrong) != 0)
            open = false;
        if (atomic_load(&w.wrong) != 0)
            break;
        if (!any)
            usleep(200);
    }
    uint64_t sent = 0;
    for (unsigned i = 0; i < conns_wanted; i++) {
        sent += clients[i].out;
        zmq_close(clients[i].sock);
    }
    CHECK(atomic_load(&w.received) == sent);
    printf("# %u connections, %lu moves, %" PRIu64 " messages each way\n", conns_wanted,
           atomic_load(&w.came), sent);
    zmq_ctx_term(ctx);
    CHECK(mcq_trial_wait(&w.down, conns_wanted));
    stop();
    return NULL;
}

static void load(void)
{
    reset(MCQ_ROUTER);
    w.moves_max = moves_wanted;
    atomic_store(&w.restless, true);
    run("load", load_peer);
    CHECK(atomic_load(&w.came) == (unsigned long)conns_wanted * moves_wanted);
    CHECK(atomic_load(&w.stayed) == 0);
}

/* --- moved by the far end's clock ------------------------------------------------------------ */

static void order_move(struct mcq_shard *shard, void *arg)
{
    struct mcq_peer peer = {atomic_load(&w.peer)};
    uint32_t to = (uint32_t)(uintptr_t)arg;
    enum mcq_error err = mcq_peer_move(w.sock[mcq_shard_id(shard)], peer, to);
    if (err != MCQ_OK)
        wrong("mcq_peer_move", (uint64_t)err, 0);
}

/* There and back, wherever it is; asked for on shard `by`. */
static bool move_and_wait(unsigned by)
{
    unsigned to = (unsigned)(atomic_load(&w.here) + 1) % SHARDS;
    unsigned long came = atomic_load(&w.came);
    return CHECK(mcq_post(w.shard[by], order_move, (void *)(uintptr_t)to) == MCQ_OK) &&
           CHECK(mcq_trial_wait_quick(&w.came, came + 1));
}

static unsigned here(void)
{
    return (unsigned)atomic_load(&w.here);
}

/* Every byte alone, and a move after each: of messages of one frame and of several. */
static enum mcq_flow on_frames(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                               struct mcq_msg *msg)
{
    static const char *const texts[] = {"one", "two", "", "four"};
    unsigned long nr = atomic_load(&w.received);
    (void)ctx;
    if (msg->frame_cnt != nr % 4 + 1)
        wrong("frames", msg->frame_cnt, nr % 4 + 1);
    for (uint32_t i = 0; i < msg->frame_cnt; i++) {
        struct mcq_frame f = mcq_msg_frame(msg, i);
        if (f.len != strlen(texts[i]) || memcmp(f.data, texts[i], f.len) != 0)
            wrong("frame", i, f.len);
    }
    if (mcq_send_to(sock, from, msg) != MCQ_OK)
        wrong("answer", nr, 0);
    atomic_store(&w.received, nr + 1);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers frame_handlers = {
    .message = on_frames, .event = on_event, .moved = on_moved};

static void *dribble_peer(void *arg)
{
    static const char *const texts[] = {"one", "two", "", "four"};
    struct mcq_text bytes = {NULL, 0, 0}, body = {NULL, 0, 0};
    unsigned flags;
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_open(w.endpoint, "DEALER");
    CHECK(mcq_trial_wait(&w.up, 1));
    for (unsigned m = 0; m < 8; m++)
        for (unsigned i = 0; i <= m % 4; i++)
            mcq_raw_frame(&bytes, i < m % 4 ? MCQ_RAW_MORE : 0, texts[i], strlen(texts[i]));
    for (size_t i = 0; i < bytes.len; i++) {
        CHECK(mcq_raw_write(fd, bytes.ptr + i, 1));
        if (!move_and_wait(i % 2 == 0 ? here() : 1 - here()))
            break;
    }
    CHECK(mcq_trial_wait(&w.received, 8));
    for (unsigned m = 0; m < 8; m++)
        for (unsigned i = 0; i <= m % 4; i++) {
            CHECK(mcq_raw_next_message(fd, &flags, &body));
            CHECK(body.len == strlen(texts[i]) && memcmp(body.ptr, texts[i], body.len) == 0);
            CHECK(flags == (i < m % 4 ? MCQ_RAW_MORE : 0));
        }
    mcq_text_fini(&bytes);
    mcq_text_fini(&body);
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&w.down, 1));
    stop();
    return NULL;
}

static void dribble(void)
{
    reset(MCQ_ROUTER);
    used = &frame_handlers;
    run("dribble", dribble_peer);
}

/* --- a peer that reads nothing, while much waits for it --------------------------------------- */

#define DEAF_LARGE (700u << 10)

static size_t deaf_len(uint64_t seq)
{
    if (seq % 100 == 99)
        return DEAF_LARGE;
    return seq % 10 == 9 ? 20000 + seq : len_of(seq);
}

static void fill_up(struct mcq_shard *shard, void *arg)
{
    static uint8_t body[DEAF_LARGE];
    struct mcq_peer peer = {atomic_load(&w.peer)};
    struct mcq_sock *sock = w.sock[mcq_shard_id(shard)];
    (void)arg;
    for (uint64_t seq = 0; seq < QUEUED; seq++) {
        body_make(body, deaf_len(seq), 7, seq);
        struct mcq_msg m = mcq_msg_of(body, deaf_len(seq));
        enum mcq_error err = mcq_send_to(sock, peer, &m);
        if (err != MCQ_OK)
            wrong("queued", seq, (uint64_t)err);
    }
}

static void *deaf_peer(void *arg)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_connect(w.endpoint, 4096);
    CHECK(mcq_raw_hello(fd, "DEALER", NULL));
    CHECK(mcq_trial_wait(&w.up, 1));
    CHECK(mcq_post(w.shard[here()], fill_up, NULL) == MCQ_OK);
    for (unsigned i = 0; i < 200 && move_and_wait(i % SHARDS); i++)
        ;
    for (uint64_t seq = 0; seq < QUEUED; seq++) {
        if (!CHECK(mcq_raw_next_message(fd, &flags, &body)))
            break;
        if (!CHECK(body_is((const uint8_t *)body.ptr, body.len, 7, seq)))
            break;
        if (seq % 7 == 0)
            (void)move_and_wait(0);
    }
    mcq_text_fini(&body);
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&w.down, 1));
    stop();
    return NULL;
}

static void deaf(void)
{
    reset(MCQ_ROUTER);
    sock_opts.send_buffer_bytes = 8192;
    run("deaf", deaf_peer);
}

int main(int argc, char **argv)
{
#ifdef __SANITIZE_THREAD__ /* libzmq isn't built for it */
    printf("SKIP moves: libzmq isn't built for ThreadSanitizer\n");
    return 77;
#endif
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3) {
        conns_wanted = (unsigned)strtoul(argv[1], NULL, 10);
        moves_wanted = (unsigned)strtoul(argv[2], NULL, 10);
        if (conns_wanted == 0 || conns_wanted > PEERS_MAX)
            return 2;
        load();
        return mcq_trial_end();
    }
    dribble();
    deaf();
    load();
    return mcq_trial_end();
}
