/* Subscribers that are held up between two members: what then happens to them, to the members and
 * to those who publish. A second subscriber, which reads nothing, keeps them where they are.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS     3u
#define HWM        50u
#define LARGE      60000u /* bytes */
#define SILENCE_MS 150u

struct world {
    struct mcq_shard *shard[SHARDS];
    struct mcq_sock *sock[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, up, down, came, posted, closed, subscribed, refused;
    atomic_ullong peer; /* that came up last */
    atomic_ulong here;  /* where it came to last */
    atomic_bool restless;
};

static struct world w;
static enum mcq_sock_type type;
static struct mcq_sock_opts sock_opts;

static uint32_t id_of(const struct mcq_sock *sock)
{
    return mcq_shard_id(mcq_sock_shard(sock));
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    (void)ctx;
    if (event->kind == MCQ_EVENT_LISTENING) {
        strcpy(w.endpoint, event->endpoint);
        atomic_store(&w.listening, 1);
    } else if (event->kind == MCQ_EVENT_UP) {
        atomic_store(&w.peer, event->peer.bits);
        atomic_store(&w.here, id_of(sock));
        atomic_fetch_add(&w.up, 1);
    } else if (event->kind == MCQ_EVENT_DISCONNECTED) {
        atomic_fetch_add(&w.down, 1);
    }
}

static void on_moved(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                     uint32_t to)
{
    (void)ctx;
    if (to != id_of(sock))
        return;
    CHECK(from != to);
    atomic_store(&w.here, to);
    atomic_fetch_add(&w.came, 1);
    if (atomic_load(&w.restless))
        CHECK(mcq_peer_move(sock, peer, (to + 1) % SHARDS) == MCQ_OK);
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    (void)ctx;
    (void)sock;
    (void)peer;
    (void)topic;
    (void)len;
    atomic_fetch_add(&w.subscribed, added ? 1 : 0);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    (void)ctx;
    w.sock[id_of(sock)] = NULL;
    atomic_fetch_add(&w.closed, 1);
}

static const struct mcq_sock_handlers handlers = {
    .event = on_event, .moved = on_moved, .subscription = on_subscription, .closed = on_closed};

static bool open_sock(uint32_t id)
{
    return mcq_sock_open(w.shard[id], type, &sock_opts, &handlers, &w, &w.sock[id], NULL) == MCQ_OK;
}

static int start(struct mcq_shard *shard, void *arg)
{
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    w.shard[id] = shard;
    if (!open_sock(id))
        return 1;
    return id == 0 && mcq_sock_bind(w.sock[0], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static void run(const char *name, void *(*peer)(void *arg))
{
    struct mcq_trial trial = {.name = name, .opts = mcq_trial_opts(), .start = start, .peer = peer};
    trial.opts.shards = SHARDS;
    memset(&w, 0, sizeof(w));
    mcq_trial_run(&trial);
}

static void options(enum mcq_sock_type of, enum mcq_slow slow)
{
    type = of;
    sock_opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    sock_opts.logical = "crossing";
    sock_opts.slow = slow;
    sock_opts.send_hwm_msgs = HWM;
    sock_opts.send_buffer_bytes = 8192;
}

static void post(uint32_t shard, mcq_post_fn *fn, void *arg)
{
    unsigned long before = atomic_load(&w.posted);
    CHECK(mcq_post(w.shard[shard], fn, arg) == MCQ_OK);
    CHECK(mcq_trial_wait_quick(&w.posted, before + 1));
}

static void done(void)
{
    atomic_fetch_add(&w.posted, 1);
}

static struct mcq_sock *sock_of(struct mcq_shard *shard)
{
    return w.sock[mcq_shard_id(shard)];
}

static void do_move(struct mcq_shard *shard, void *arg)
{
    struct mcq_peer peer = {atomic_load(&w.peer)};
    CHECK(mcq_peer_move(sock_of(shard), peer, (uint32_t)(uintptr_t)arg) == MCQ_OK);
    done();
}

static void set_out(uint32_t to)
{
    post((uint32_t)atomic_load(&w.here), do_move, (void *)(uintptr_t)to);
}

/* Publishes on `q` until there is no room. */
static void do_fill(struct mcq_shard *shard, void *arg)
{
    static _Thread_local uint8_t body[LARGE] = "q";
    unsigned cnt = 0;
    (void)arg;
    while (mcq_send_bytes(sock_of(shard), body, sizeof(body)) == MCQ_OK)
        cnt++;
    atomic_fetch_add(&w.refused, cnt == 0 ? 1 : 0);
    CHECK(cnt <= HWM);
    done();
}

/* One on `a`, waited for. */
static void do_publish(struct mcq_shard *shard, void *arg)
{
    uint8_t body[2] = {'a', (uint8_t)mcq_shard_id(shard)};
    (void)arg;
    CHECK(mcq_send_bytes(sock_of(shard), body, sizeof(body)) == MCQ_OK);
    done();
}

static void do_nothing(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    done();
}

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

static void command(int fd, const char *name, const void *data, size_t len)
{
    struct mcq_text text = {NULL, 0, 0};
    mcq_raw_command(&text, name, data, len);
    CHECK(mcq_raw_write(fd, text.ptr, text.len));
    mcq_text_fini(&text);
}

/* A subscriber that all members know. */
static int subscribe(const char *topic, int rcvbuf)
{
    unsigned long up = atomic_load(&w.up), subscribed = atomic_load(&w.subscribed);
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_connect(w.endpoint, rcvbuf);
    CHECK(mcq_raw_hello(fd, "SUB", NULL) && mcq_trial_wait(&w.up, up + 1));
    command(fd, "SUBSCRIBE", topic, 1);
    CHECK(mcq_trial_wait(&w.subscribed, subscribed + 1));
    return fd;
}

/* What shard id publishes on `q` goes to a subscriber of shard 0, until its channel is full. */
static void stuff_up(uint32_t id)
{
    unsigned long refused = atomic_load(&w.refused);
    while (atomic_load(&w.refused) < refused + 20) {
        post(id, do_fill, NULL);
        post(0, do_nothing, NULL);
    }
}

/* Reads what comes on `q` until the other one has come. */
static void let_flow(int fd)
{
    static uint8_t bytes[1u << 20];
    while (atomic_load(&w.came) == 0)
        if (mcq_raw_read_some(fd, bytes, sizeof(bytes)) == 0)
            sleep_ms(1);
}

/* Each of them publishes one more, and it comes. */
static void check_all(int fd)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    bool seen[SHARDS] = {false};
    for (uint32_t i = 0; i < SHARDS; i++)
        post(i, do_publish, NULL);
    for (uint32_t i = 0; i < SHARDS; i++) {
        if (!CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 2 && body.ptr[0] == 'a'))
            break;
        uint32_t from = (uint8_t)body.ptr[1];
        CHECK(from < SHARDS && !seen[from]);
        seen[from < SHARDS ? from : 0] = true;
    }
    mcq_text_fini(&body);
}

static void *stop(void)
{
    mcq_stop(w.shard[0]);
    return NULL;
}

/* --- it is welcome -------------------------------------------------------------------------- */

/* It subscribes after it was moved, and for the first time. */
static void *newcomer(void *arg)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_open(w.endpoint, "SUB");
    CHECK(mcq_trial_wait(&w.up, 1));
    set_out(1);
    CHECK(mcq_trial_wait(&w.came, 1));
    command(fd, "SUBSCRIBE", "a", 1);
    CHECK(mcq_trial_wait(&w.subscribed, 1));
    CHECK(mcq_raw_next_message(fd, &flags, &body) && body.len == 7 &&
          memcmp(body.ptr, "welcome", 7) == 0);
    set_out(2); /* once */
    CHECK(mcq_trial_wait(&w.came, 2));
    check_all(fd);
    mcq_text_fini(&body);
    mcq_raw_close(fd);
    return stop();
}

/* --- who publishes waits for it -------------------------------------------------------------- */

static void do_set_out(struct mcq_shard *shard, void *arg)
{
    struct mcq_peer peer = {atomic_load(&w.peer)};
    (void)arg;
    CHECK(mcq_peer_move(sock_of(shard), peer, (mcq_shard_id(shard) + 1) % SHARDS) == MCQ_OK);
    done();
}

static void *sleeper(void *arg)
{
    (void)arg;
    int fd = subscribe("q", 4096);
    atomic_store(&w.restless, true);
    post((uint32_t)atomic_load(&w.here), do_set_out, NULL);
    for (unsigned i = 0; i < 300; i++)
        post(i % SHARDS, do_fill, NULL);
    CHECK(atomic_load(&w.down) == 0 && atomic_load(&w.refused) != 0);
    atomic_store(&w.restless, false);
    mcq_raw_close(fd);
    return stop();
}

/* --- it may be silent as long as nobody listens ---------------------------------------------- */

static void *silent(void *arg)
{
    static const uint8_t ping[] = {0, SILENCE_MS / 100, 'x'}; /* its time to live, in 0.1 s */
    (void)arg;
    int q = subscribe("q", 4096);
    int fd = subscribe("a", 0);
    stuff_up(2);
    command(fd, "PING", ping, sizeof(ping));
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    CHECK(mcq_raw_next(fd, &flags, &body) && (flags & MCQ_RAW_COMMAND) != 0);
    set_out(1);
    for (unsigned i = 0; i < 10; i++) { /* half a second */
        sleep_ms(50);
        command(fd, "PING", ping, sizeof(ping));
    }
    CHECK(atomic_load(&w.came) == 0); /* else this shows nothing */
    let_flow(q);
    CHECK(mcq_trial_wait(&w.came, 1));
    check_all(fd);
    CHECK(atomic_load(&w.down) == 0);
    mcq_text_fini(&body);
    mcq_raw_close(fd);
    mcq_raw_close(q);
    return stop();
}

/* --- members that leave and join meanwhile --------------------------------------------------- */

static void do_close(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mcq_sock_close_within(sock_of(shard), MCQ_NONE);
    done();
}

static void do_open(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    CHECK(open_sock(mcq_shard_id(shard)));
    done();
}

static void *waits(void *arg)
{
    (void)arg;
    int q = subscribe("q", 4096);
    int fd = subscribe("a", 0);
    stuff_up(2);
    stuff_up(1);
    set_out(1);
    for (unsigned i = 0; i < 20; i++) /* until all have been asked */
        for (uint32_t id = 0; id < SHARDS; id++)
            post(id, do_nothing, NULL);
    post(2, do_close, NULL);
    CHECK(mcq_trial_wait(&w.closed, 1));
    post(2, do_open, NULL);
    for (unsigned i = 0; i < 20; i++) /* until it is known */
        for (uint32_t id = 0; id < SHARDS; id++)
            post(id, do_nothing, NULL);
    CHECK(atomic_load(&w.came) == 0);
    let_flow(q);
    check_all(fd);
    atomic_store(&w.came, 0);
    set_out(2); /* it isn't tied by what it waited for */
    CHECK(mcq_trial_wait(&w.came, 1));
    check_all(fd);
    mcq_raw_close(fd);
    mcq_raw_close(q);
    return stop();
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    options(MCQ_XPUB, MCQ_SLOW_DEFAULT);
    sock_opts.welcome = "welcome";
    sock_opts.welcome_len = 7;
    run("a welcome after a move", newcomer);
    options(MCQ_XPUB, MCQ_SLOW_BLOCK);
    run("publishers wait for a peer that moves and doesn't read", sleeper);
    options(MCQ_XPUB, MCQ_SLOW_BLOCK);
    run("a peer that nobody listened to isn't dead", silent);
    options(MCQ_XPUB, MCQ_SLOW_BLOCK);
    run("a member joins again while a peer is on its way", waits);
    return mcq_trial_end();
}
