/* Peers of every kind are handed from shard to shard in every state of theirs: what was so before
 * is so afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS 2u

/* --- the app: two members, the first is bound --------------------------------------------------
 */

struct world {
    struct mcq_shard *shard[SHARDS];
    struct mcq_sock *sock[SHARDS];
    struct mcq_timer *timer[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, up, down, came, stayed, left, received, posted, failed;
    atomic_ulong ups[SHARDS], downs[SHARDS], reason, kinds[MCQ_EVENT_UNCONNECTED + 1];
    atomic_ullong peer;
    atomic_ulong here;
    atomic_bool busy; /* what `peer` does all the time */
    uint64_t seq;     /* of the shard that has the peer */
};

static struct world w;
static enum mcq_sock_type type;
static struct mcq_sock_opts sock_opts;
static struct mcq_sock_handlers handlers;
static int (*prepare)(struct mcq_shard *shard, uint32_t id);
static struct mcq_opts opts;

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    uint32_t id = mcq_shard_id(mcq_sock_shard(sock));
    (void)ctx;
    atomic_fetch_add(&w.kinds[event->kind], 1);
    if (event->kind == MCQ_EVENT_LISTENING) {
        strcpy(w.endpoint, event->endpoint);
        atomic_store(&w.listening, 1);
    } else if (event->kind == MCQ_EVENT_UP) {
        atomic_store(&w.peer, event->peer.bits);
        atomic_store(&w.here, id);
        atomic_fetch_add(&w.ups[id], 1);
        atomic_fetch_add(&w.up, 1);
    } else if (event->kind == MCQ_EVENT_DISCONNECTED) {
        atomic_store(&w.reason, event->reason);
        atomic_fetch_add(&w.downs[id], 1);
        atomic_fetch_add(&w.down, 1);
    }
}

static void on_moved(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                     uint32_t to)
{
    uint32_t id = mcq_shard_id(mcq_sock_shard(sock));
    (void)ctx;
    (void)peer;
    if (from == to) {
        atomic_fetch_add(&w.stayed, 1);
    } else if (to == id) {
        CHECK(atomic_load(&w.left) == atomic_load(&w.came) + 1);
        atomic_store(&w.here, id);
        atomic_fetch_add(&w.came, 1);
    } else {
        atomic_fetch_add(&w.left, 1);
    }
}

static int start(struct mcq_shard *shard, void *arg)
{
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    w.shard[id] = shard;
    if (mcq_sock_open(shard, type, &sock_opts, &handlers, &w, &w.sock[id], NULL) != MCQ_OK)
        return 1;
    if (prepare != NULL)
        return prepare(shard, id);
    return id == 0 && mcq_sock_bind(w.sock[id], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static void reset(enum mcq_sock_type of)
{
    memset(&w, 0, sizeof(w));
    type = of;
    prepare = NULL;
    opts = mcq_trial_opts();
    opts.shards = SHARDS;
    handlers = (struct mcq_sock_handlers){.event = on_event, .moved = on_moved};
    sock_opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    sock_opts.logical = "moving";
}

static void run(const char *name, void *(*peer)(void *arg))
{
    struct mcq_trial trial = {.name = name, .opts = opts, .start = start, .peer = peer};
    mcq_trial_run(&trial);
}

static unsigned here(void)
{
    return (unsigned)atomic_load(&w.here);
}

static struct mcq_peer the_peer(void)
{
    return (struct mcq_peer){atomic_load(&w.peer)};
}

static struct mcq_sock *sock_of(struct mcq_shard *shard)
{
    return w.sock[mcq_shard_id(shard)];
}

static void post(unsigned shard, mcq_post_fn *fn)
{
    unsigned long before = atomic_load(&w.posted);
    CHECK(mcq_post(w.shard[shard], fn, NULL) == MCQ_OK);
    CHECK(mcq_trial_wait_quick(&w.posted, before + 1));
}

static void do_move(struct mcq_shard *shard, void *arg)
{
    unsigned to = (here() + 1) % SHARDS;
    (void)arg;
    if (mcq_peer_move(sock_of(shard), the_peer(), to) != MCQ_OK)
        atomic_fetch_add(&w.failed, 1);
    atomic_fetch_add(&w.posted, 1);
}

static bool move_once(void)
{
    unsigned long came = atomic_load(&w.came);
    post(here(), do_move);
    return CHECK(mcq_trial_wait_quick(&w.came, came + 1));
}

static void do_kill(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    CHECK(mcq_peer_kill(sock_of(shard), the_peer()) == MCQ_OK);
    atomic_fetch_add(&w.posted, 1);
}

static void do_close(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    CHECK(mcq_peer_close(sock_of(shard), the_peer()) == MCQ_OK);
    atomic_fetch_add(&w.posted, 1);
}

static void do_resume(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    CHECK(mcq_peer_resume(sock_of(shard), the_peer()) == MCQ_OK);
    atomic_fetch_add(&w.posted, 1);
}

static void stop(void)
{
    mcq_stop(w.shard[0]);
}

static int dial(const char *peer_type)
{
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_open(w.endpoint, peer_type);
    CHECK(mcq_trial_wait(&w.up, 1));
    return fd;
}

static void hang_up(int fd)
{
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&w.down, 1));
    CHECK(atomic_load(&w.failed) == 0);
    stop();
}

/* --- calls on a shard that doesn't have it -----------------------------------------------------
 */

static void *asked_peer(void *arg)
{
    mcq_post_fn *const calls[] = {do_kill, do_close};
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    for (unsigned long i = 0; i < 8; i++) {
        int fd = mcq_raw_open(w.endpoint, "DEALER");
        CHECK(mcq_trial_wait(&w.up, i + 1));
        for (unsigned k = 0; k <= i % 3; k++)
            move_once();
        post(1 - here(), calls[i % 2]);
        CHECK(mcq_trial_wait(&w.down, i + 1));
        CHECK(atomic_load(&w.reason) == (i % 2 == 0 ? MCQ_REASON_KILLED : MCQ_REASON_LOCAL));
        CHECK(mcq_raw_ended(fd));
        mcq_raw_close(fd);
    }
    stop();
    return NULL;
}

static void asked(void)
{
    reset(MCQ_ROUTER);
    sock_opts.linger_ms = 50;
    run("asked elsewhere", asked_peer);
}

/* --- paused, with all it has sent, and the end of its stream behind that -----------------------
 */

static enum mcq_flow on_numbers(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    unsigned long nr = atomic_load(&w.received);
    (void)ctx;
    (void)sock;
    (void)from;
    CHECK(msg->len == 1 && *(const uint8_t *)msg->data == (uint8_t)nr);
    atomic_store(&w.received, nr + 1);
    return MCQ_PAUSE;
}

static void *paused_peer(void *arg)
{
    (void)arg;
    int fd = dial("PUSH");
    struct mcq_text bytes = {NULL, 0, 0};
    for (unsigned i = 0; i < 20; i++)
        mcq_raw_frame(&bytes, 0, &(uint8_t){(uint8_t)i}, 1);
    CHECK(mcq_raw_write(fd, bytes.ptr, bytes.len));
    mcq_raw_shut(fd);
    for (unsigned long i = 0; i < 20; i++) {
        CHECK(mcq_trial_wait_quick(&w.received, i + 1));
        if (i == 19)
            break;
        move_once();
        if (i % 3 == 0)
            move_once();
        CHECK(atomic_load(&w.received) == i + 1 && atomic_load(&w.down) == 0);
        post(here(), do_resume);
    }
    CHECK(mcq_trial_wait(&w.down, 1));
    CHECK(atomic_load(&w.reason) == MCQ_REASON_PEER_CLOSED);
    mcq_text_fini(&bytes);
    hang_up(fd);
    return NULL;
}

static void paused(void)
{
    reset(MCQ_PULL);
    handlers.message = on_numbers;
    run("paused", paused_peer);
}

/* --- a subscriber: all that is published where it is, once and in order ------------------------
 */

static void publish(void *ctx, struct mcq_timer *timer)
{
    uint32_t id = (uint32_t)(uintptr_t)ctx;
    struct mcq_shard *shard = w.shard[id];
    if (atomic_load(&w.busy) && here() == id && atomic_load(&w.left) == atomic_load(&w.came)) {
        char text[32];
        for (unsigned i = 0; i < 3; i++) {
            int len = snprintf(text, sizeof(text), "%s%llu", w.seq % 5 == 0 ? "long." : "t",
                               (unsigned long long)w.seq);
            CHECK(mcq_send_bytes(w.sock[id], text, (size_t)len) == MCQ_OK);
            w.seq++;
        }
    }
    mcq_timer_arm(timer, mcq_shard_now(shard) + 50000);
}

static int prepare_publish(struct mcq_shard *shard, uint32_t id)
{
    if (mcq_timer_open(shard, publish, (void *)(uintptr_t)id, &w.timer[id]) != MCQ_OK)
        return 1;
    mcq_timer_arm(w.timer[id], 0);
    return id == 0 && mcq_sock_bind(w.sock[id], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    (void)ctx;
    (void)sock;
    (void)peer;
    (void)topic;
    (void)len;
    if (added)
        atomic_fetch_add(&w.received, 1);
}

static void close_timer(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mcq_timer_close(w.timer[mcq_shard_id(shard)]);
    atomic_fetch_add(&w.posted, 1);
}

static void *sub_peer(void *arg)
{
    char text[64];
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    void *ctx = zmq_ctx_new();
    void *sub = zmq_socket(ctx, ZMQ_SUB);
    int wait_ms = 5000;
    zmq_setsockopt(sub, ZMQ_RCVTIMEO, &wait_ms, sizeof(wait_ms));
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "t", 1);
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "long.topic.that.nobody.uses", 27);
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "long", 4);
    CHECK(zmq_connect(sub, w.endpoint) == 0);
    CHECK(mcq_trial_wait(&w.received, 3));
    atomic_store(&w.busy, true);
    for (unsigned long long seq = 0; seq < 3000; seq++) {
        int len = zmq_recv(sub, text, sizeof(text) - 1, 0);
        if (!CHECK(len > 0))
            break;
        text[len] = '\0';
        char want[64];
        snprintf(want, sizeof(want), "%s%llu", seq % 5 == 0 ? "long." : "t", seq);
        if (!CHECK(strcmp(text, want) == 0))
            break;
        if (seq % 15 == 7)
            move_once();
    }
    atomic_store(&w.busy, false);
    zmq_close(sub);
    zmq_ctx_term(ctx);
    CHECK(mcq_trial_wait(&w.down, 1));
    post(0, close_timer);
    post(1, close_timer);
    CHECK(atomic_load(&w.failed) == 0);
    stop();
    return NULL;
}

static void subscriber(void)
{
    reset(MCQ_PUB);
    prepare = prepare_publish;
    handlers.subscription = on_subscription;
    run("subscriber", sub_peer);
}

/* --- a publisher: its subscriptions are those of the member it is with --------------------------
 */

static int prepare_topics(struct mcq_shard *shard, uint32_t id)
{
    (void)shard;
    CHECK(mcq_subscribe(w.sock[id], "all", 3) == MCQ_OK);
    CHECK(mcq_subscribe(w.sock[id], id == 0 ? "zero" : "one", id == 0 ? 4 : 3) == MCQ_OK);
    return id == 0 && mcq_sock_bind(w.sock[id], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

/* Reads commands until what the far end is subscribed to is `want`, bits: all, zero, one. */
static bool subscribed(int fd, unsigned *set, unsigned want)
{
    static const char *const names[] = {"all", "zero", "one"};
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    bool ok = true;
    while (ok && *set != want) {
        ok = mcq_raw_next(fd, &flags, &body) && (flags & MCQ_RAW_COMMAND) != 0;
        bool add = ok && body.ptr[0] == 9; /* SUBSCRIBE; else CANCEL */
        size_t head = add ? 10 : 7;
        for (unsigned i = 0; ok && i < 3; i++)
            if (body.len - head == strlen(names[i]) &&
                memcmp(body.ptr + head, names[i], strlen(names[i])) == 0)
                *set = add ? *set | 1u << i : *set & ~(1u << i);
        ok = ok && (*set & 1u) != 0; /* never without what both want */
    }
    mcq_text_fini(&body);
    return ok;
}

static void *pub_peer(void *arg)
{
    unsigned set = 0;
    (void)arg;
    int fd = dial("PUB");
    CHECK(subscribed(fd, &set, 3));
    for (unsigned i = 0; i < 10; i++) {
        move_once();
        if (!CHECK(subscribed(fd, &set, here() == 0 ? 3 : 5)))
            break;
    }
    hang_up(fd);
    return NULL;
}

static void publisher(void)
{
    reset(MCQ_SUB);
    prepare = prepare_topics;
    run("publisher", pub_peer);
}

/* --- a requester whose reply is due ------------------------------------------------------------
 */

static enum mcq_flow on_request(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    (void)ctx;
    (void)sock;
    (void)from;
    (void)msg;
    atomic_fetch_add(&w.received, 1);
    return MCQ_CONTINUE;
}

static void do_reply(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    CHECK(mcq_send_bytes(sock_of(shard), "reply", 5) == MCQ_OK);
    atomic_fetch_add(&w.posted, 1);
}

static void *req_peer(void *arg)
{
    char text[16];
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    void *ctx = zmq_ctx_new();
    void *req = zmq_socket(ctx, ZMQ_REQ);
    CHECK(zmq_connect(req, w.endpoint) == 0);
    for (unsigned long i = 0; i < 20; i++) {
        CHECK(zmq_send(req, "ask", 3, 0) == 3);
        CHECK(mcq_trial_wait(&w.received, i + 1));
        unsigned at = here();
        post(at, do_move);
        CHECK(atomic_load(&w.came) == i);
        post(at, do_reply);
        CHECK(zmq_recv(req, text, sizeof(text), 0) == 5);
        CHECK(mcq_trial_wait(&w.came, i + 1));
    }
    zmq_close(req);
    zmq_ctx_term(ctx);
    CHECK(mcq_trial_wait(&w.down, 1));
    stop();
    return NULL;
}

static void requester(void)
{
    reset(MCQ_REP);
    handlers.message = on_request;
    run("requester", req_peer);
}

/* --- a connect of ours -------------------------------------------------------------------------
 */

static int listener = -1;
static char listener_at[64];

static int prepare_connect(struct mcq_shard *shard, uint32_t id)
{
    (void)shard;
    return id == 0 && mcq_sock_connect(w.sock[id], listener_at, NULL) != MCQ_OK;
}

static void do_send(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    CHECK(mcq_send_to(sock_of(shard), the_peer(), &(struct mcq_msg){"x", 1, NULL, 1, 0}) == MCQ_OK);
    atomic_fetch_add(&w.posted, 1);
}

static void *connect_peer(void *arg)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    (void)arg;
    for (unsigned long i = 0; i < 4; i++) {
        int fd = mcq_raw_accept(listener);
        CHECK(fd >= 0 && mcq_raw_hello(fd, "DEALER", NULL));
        CHECK(mcq_trial_wait(&w.up, i + 1));
        for (unsigned k = 0; k < 3; k++) {
            move_once();
            post(here(), do_send);
            CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 1);
        }
        /* it is connected anew from where it is */
        unsigned at = here();
        unsigned long ups = atomic_load(&w.ups[at]);
        mcq_raw_close(fd);
        CHECK(mcq_trial_wait(&w.down, i + 1));
        CHECK(mcq_trial_wait(&w.kinds[MCQ_EVENT_RETRY], i + 1));
        (void)ups;
    }
    mcq_text_fini(&body);
    stop();
    close(listener);
    return NULL;
}

static void connected(void)
{
    reset(MCQ_DEALER);
    prepare = prepare_connect;
    sock_opts.reconnect_min_ms = 10;
    listener = mcq_raw_listen(0, listener_at);
    run("connected", connect_peer);
    CHECK(atomic_load(&w.kinds[MCQ_EVENT_UNCONNECTED]) == 1);
    CHECK(atomic_load(&w.ups[0]) > 0 && atomic_load(&w.ups[1]) > 0);
}

/* --- a shard that has no room for it -----------------------------------------------------------
 */

static int prepare_full(struct mcq_shard *shard, uint32_t id)
{
    (void)shard;
    for (unsigned i = 0; id == 1 && i < 8; i++)
        if (mcq_sock_connect(w.sock[id], listener_at, NULL) != MCQ_OK)
            return 1;
    return id == 0 && mcq_sock_bind(w.sock[id], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static enum mcq_flow on_echo(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *msg)
{
    (void)ctx;
    enum mcq_error err = mcq_send_to(sock, from, msg);
    CHECK(err == MCQ_OK || err == MCQ_ESTATE);
    return MCQ_CONTINUE;
}

static void *full_peer(void *arg)
{
    struct mcq_text bytes = {NULL, 0, 0}, body = {NULL, 0, 0};
    unsigned flags;
    (void)arg;
    int fd = dial("DEALER");
    for (unsigned long i = 0; i < 20; i++) {
        bytes.len = 0;
        mcq_raw_frame(&bytes, 0, &(uint8_t){(uint8_t)i}, 1);
        CHECK(mcq_raw_write(fd, bytes.ptr, 1));
        post(0, do_move);
        CHECK(mcq_trial_wait(&w.stayed, i + 1));
        CHECK(mcq_raw_write(fd, bytes.ptr + 1, bytes.len - 1));
        CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 1 && body.ptr[0] == (char)i);
    }
    CHECK(atomic_load(&w.came) == 0);
    mcq_text_fini(&bytes);
    mcq_text_fini(&body);
    hang_up(fd);
    return NULL;
}

static void full(void)
{
    reset(MCQ_ROUTER);
    opts.connections_max = 8;
    handlers.message = on_echo;
    prepare = prepare_full;
    strcpy(listener_at, "tcp://127.0.0.1:1");
    run("no room", full_peer);
}

/* --- placement ---------------------------------------------------------------------------------
 */

#define PLACED 24u

static uint32_t on_place(void *ctx, struct mcq_sock *sock, const void *identity, size_t len)
{
    (void)ctx;
    (void)sock;
    return len == 0 ? 99 : (uint32_t)(*(const char *)identity - '0');
}

static void *placed_peer(void *arg)
{
    int fds[PLACED];
    unsigned flags;
    struct mcq_text bytes = {NULL, 0, 0}, body = {NULL, 0, 0};
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    mcq_raw_frame(&bytes, 0, "echo", 4);
    for (unsigned i = 0; i < PLACED; i++) {
        char id[8];
        snprintf(id, sizeof(id), "%u-%u", i % 2, i);
        fds[i] = mcq_raw_connect(w.endpoint, 0);
        CHECK(mcq_raw_hello(fds[i], "DEALER", i % 3 == 2 ? NULL : id));
        CHECK(mcq_raw_write(fds[i], bytes.ptr, bytes.len));
        CHECK(mcq_trial_wait(&w.up, i + 1)); /* loads are told once there is something to tell */
    }
    for (unsigned i = 0; i < PLACED; i++)
        CHECK(mcq_raw_next_message(fds[i], &flags, &body) && body.len == 4);
    for (unsigned i = 0; i < PLACED; i++)
        mcq_raw_close(fds[i]);
    CHECK(mcq_trial_wait(&w.down, PLACED));
    mcq_text_fini(&bytes);
    mcq_text_fini(&body);
    stop();
    return NULL;
}

static void placed(enum mcq_placement placement)
{
    reset(MCQ_ROUTER);
    handlers.message = on_echo;
    handlers.place = on_place;
    sock_opts.placement = placement;
    run(placement == MCQ_PLACEMENT_LEAST ? "placed by load" : "placed by handler", placed_peer);
    CHECK(atomic_load(&w.ups[0]) == atomic_load(&w.downs[0]));
    unsigned long there = atomic_load(&w.ups[1]);
    if (placement == MCQ_PLACEMENT_LEAST) /* by what was told last: a peer or two behind */
        CHECK(there >= PLACED / 2 - 2 && there <= PLACED / 2 + 2);
    else
        CHECK(atomic_load(&w.ups[1]) == PLACED / 3);
    CHECK(atomic_load(&w.came) == 0 && atomic_load(&w.stayed) == 0);
}

/* --- the app ends while all move ---------------------------------------------------------------
 */

#define ENDING 16u

static void on_moved_on(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                        uint32_t to)
{
    uint32_t id = mcq_shard_id(mcq_sock_shard(sock));
    (void)ctx;
    (void)from;
    if (to == id)
        (void)!mcq_peer_move(sock, peer, (id + 1) % SHARDS);
    atomic_fetch_add(&w.came, to == id);
}

static void on_up_move(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    on_event(ctx, sock, event);
    if (event->kind != MCQ_EVENT_UP)
        return;
    enum mcq_error err = mcq_peer_move(sock, event->peer, 1);
    /* the app may be ending already, and the other member gone */
    CHECK(err == MCQ_OK || err == MCQ_EAGAIN || err == MCQ_EINVAL);
}

static void *ending_peer(void *arg)
{
    static unsigned long round;
    int fds[ENDING];
    struct mcq_text bytes = {NULL, 0, 0};
    (void)arg;
    mcq_raw_frame(&bytes, 0, "echo", 4);
    CHECK(mcq_trial_wait(&w.listening, 1));
    for (unsigned i = 0; i < ENDING; i++) {
        fds[i] = mcq_raw_open(w.endpoint, "DEALER");
        CHECK(mcq_raw_write(fds[i], bytes.ptr, bytes.len - i % 3));
    }
    CHECK(mcq_trial_wait_quick(&w.came, 20 + 13 * round++));
    stop();
    for (unsigned i = 0; i < ENDING; i++) {
        CHECK(mcq_raw_ended(fds[i]));
        mcq_raw_close(fds[i]);
    }
    mcq_text_fini(&bytes);
    return NULL;
}

static void ending(void)
{
    reset(MCQ_ROUTER);
    handlers.message = on_echo;
    handlers.moved = on_moved_on;
    handlers.event = on_up_move;
    sock_opts.linger_ms = 200;
    run("ending", ending_peer);
    CHECK(atomic_load(&w.up) == atomic_load(&w.down));
}

/* --- large bodies, both ways, half received and half sent at most times -------------------------
 */

#define LARGE_LEN (2u << 20)
#define LARGE_CNT 24u

static void large_make(uint8_t *body, unsigned nr)
{
    for (size_t i = 0; i < LARGE_LEN; i += 4)
        memcpy(body + i, &(uint32_t){(uint32_t)(i * 2654435761u + nr)}, 4);
}

static void *large_peer(void *arg)
{
    static uint8_t body[LARGE_LEN], back[LARGE_LEN];
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    void *ctx = zmq_ctx_new();
    void *dealer = zmq_socket(ctx, ZMQ_DEALER);
    int wait_ms = 5000;
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &wait_ms, sizeof(wait_ms));
    CHECK(zmq_connect(dealer, w.endpoint) == 0);
    for (unsigned i = 0; i < LARGE_CNT + 2; i++) {
        large_make(body, i);
        if (i < LARGE_CNT)
            CHECK(zmq_send(dealer, body, LARGE_LEN, 0) == (int)LARGE_LEN);
        if (i < 2)
            continue;
        large_make(body, i - 2);
        if (!CHECK(zmq_recv(dealer, back, LARGE_LEN, 0) == (int)LARGE_LEN) ||
            !CHECK(memcmp(body, back, LARGE_LEN) == 0))
            break;
    }
    printf("# %lu moves during %u bodies of 2 MiB each way\n", atomic_load(&w.came), LARGE_CNT);
    CHECK(atomic_load(&w.came) > LARGE_CNT);
    zmq_close(dealer);
    zmq_ctx_term(ctx);
    CHECK(mcq_trial_wait(&w.down, 1));
    stop();
    return NULL;
}

static void large(void)
{
    reset(MCQ_ROUTER);
    handlers.message = on_echo;
    handlers.moved = on_moved_on;
    handlers.event = on_up_move;
    run("large", large_peer);
}

/* --- ZMTP 1.0, whose frames are converted on their way out --------------------------------------
 */

#define OLD_CNT 300u

static void do_queue_old(struct mcq_shard *shard, void *arg)
{
    uint8_t body[3000];
    (void)arg;
    for (unsigned i = 0; i < OLD_CNT; i++) {
        memset(body, (int)i, sizeof(body));
        struct mcq_msg m = mcq_msg_of(body, 10 * i);
        CHECK(mcq_send_to(sock_of(shard), the_peer(), &m) == MCQ_OK);
    }
    atomic_fetch_add(&w.posted, 1);
}

/* One frame of 1.0: its length and one, a byte of flags, the body. */
static bool next_old(int fd, uint8_t *body, size_t *len)
{
    uint8_t head[9];
    if (!mcq_raw_read(fd, head, 1))
        return false;
    *len = head[0];
    if (head[0] == 0xff) {
        *len = 0;
        if (!mcq_raw_read(fd, head, 8))
            return false;
        for (unsigned i = 0; i < 8; i++)
            *len = *len << 8 | head[i];
    }
    *len -= 1;
    return mcq_raw_read(fd, head, 1) && mcq_raw_read(fd, body, *len);
}

static void *old_peer(void *arg)
{
    static const uint8_t hello[] = {1, 0};
    uint8_t body[4096];
    size_t len;
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_connect(w.endpoint, 4096);
    CHECK(mcq_raw_write(fd, hello, sizeof(hello)));
    CHECK(mcq_trial_wait(&w.up, 1));
    post(here(), do_queue_old);
    CHECK(next_old(fd, body, &len) && len == 0); /* our identity */
    for (unsigned i = 0; i < OLD_CNT; i++) {
        move_once();
        if (!CHECK(next_old(fd, body, &len) && len == 10 * i))
            break;
        CHECK(len == 0 || (body[0] == (uint8_t)i && body[len - 1] == (uint8_t)i));
    }
    hang_up(fd);
    return NULL;
}

static void old(void)
{
    reset(MCQ_ROUTER);
    sock_opts.zmtp_min = MCQ_ZMTP_1_0;
    sock_opts.send_buffer_bytes = 4096;
    run("of 1.0", old_peer);
}

/* --- sent to by name from every shard, wherever it is -------------------------------------------
 */

static atomic_ulong named_sent[SHARDS];

static void send_named(void *ctx, struct mcq_timer *timer)
{
    uint32_t id = (uint32_t)(uintptr_t)ctx;
    struct mcq_peer peer = the_peer();
    for (unsigned i = 0; atomic_load(&w.busy) && peer.bits != 0 && i < 3; i++) {
        uint64_t text[2] = {id, atomic_load(&named_sent[id])};
        enum mcq_error err =
            mcq_send_to(w.sock[id], peer, &(struct mcq_msg){text, sizeof(text), NULL, 1, 0});
        if (err == MCQ_EAGAIN)
            break;
        if (CHECK(err == MCQ_OK))
            atomic_fetch_add(&named_sent[id], 1);
    }
    mcq_timer_arm(timer, mcq_shard_now(w.shard[id]) + 50000);
}

static int prepare_named(struct mcq_shard *shard, uint32_t id)
{
    if (mcq_timer_open(shard, send_named, (void *)(uintptr_t)id, &w.timer[id]) != MCQ_OK)
        return 1;
    mcq_timer_arm(w.timer[id], 0);
    return id == 0 && mcq_sock_bind(w.sock[id], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static bool next_named(int fd, struct mcq_text *body, unsigned long *got)
{
    uint64_t text[2];
    unsigned flags;
    if (!CHECK(mcq_raw_next_message(fd, &flags, body) && body->len == sizeof(text)))
        return false;
    memcpy(text, body->ptr, sizeof(text));
    return CHECK(text[0] < SHARDS && text[1] == got[text[0]]++);
}

static void *named_peer(void *arg)
{
    unsigned long got[SHARDS] = {0};
    struct mcq_text body = {NULL, 0, 0};
    (void)arg;
    int fd = dial("DEALER");
    atomic_store(&w.busy, true);
    for (unsigned i = 0; i < 6000 && next_named(fd, &body, got); i++)
        if (i % 10 == 0)
            move_once();
    atomic_store(&w.busy, false);
    post(0, close_timer);
    post(1, close_timer);
    while (got[0] + got[1] < atomic_load(&named_sent[0]) + atomic_load(&named_sent[1]))
        if (!next_named(fd, &body, got))
            break;
    CHECK(got[0] != 0 && got[1] != 0);
    mcq_text_fini(&body);
    hang_up(fd);
    return NULL;
}

static void named(void)
{
    reset(MCQ_ROUTER);
    prepare = prepare_named;
    for (unsigned i = 0; i < SHARDS; i++)
        atomic_store(&named_sent[i], 0);
    run("sent to by name", named_peer);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__ /* libzmq isn't built for it */
    printf("SKIP moved_states: libzmq isn't built for ThreadSanitizer\n");
    return 77;
#endif
    setvbuf(stdout, NULL, _IOLBF, 0);
    asked();
    paused();
    subscriber();
    publisher();
    requester();
    connected();
    full();
    placed(MCQ_PLACEMENT_LEAST);
    placed(MCQ_PLACEMENT_HANDLER);
    named();
    large();
    old();
    for (unsigned i = 0; i < 10; i++)
        ending();
    return mcq_trial_end();
}
