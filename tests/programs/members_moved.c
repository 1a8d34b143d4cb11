/* Peers of members that publish or share work are handed from shard to shard while all members
 * send: from each of them a subscriber gets all, once and in order, and no piece of work is lost.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS 3u
#define BURST  4u

#define AHEAD_MAX 2400u /* messages that nobody has read */

struct world {
    struct mcq_shard *shard[SHARDS];
    struct mcq_sock *sock[SHARDS];
    struct mcq_timer *timer[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, up, down, came, posted, dropped, stayed, subscribed;
    atomic_ulong sent[SHARDS];
    atomic_ulong got; /* by the subscriber */
    atomic_bool busy, restless;
    atomic_ullong peer; /* that came up last */
    atomic_ulong here;  /* where it is */
};

static struct world w;
static enum mcq_sock_type type;
static struct mcq_sock_opts sock_opts;
static void (*work)(uint32_t id); /* what each member does all the time */
static unsigned burst;            /* messages at a time */

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
    } else if (event->kind == MCQ_EVENT_DROPPED && event->reason != MCQ_REASON_LOCAL &&
               event->reason != MCQ_REASON_PEER_CLOSED && event->reason != MCQ_REASON_RESET) {
        atomic_fetch_add(&w.dropped, event->cnt);
    }
}

/* Not always to the next: also back to where it came from. */
static void move_on(struct mcq_sock *sock, struct mcq_peer peer)
{
    uint32_t to = (id_of(sock) + 1 + (uint32_t)atomic_load(&w.came) / 3 % 2) % SHARDS;
    if (atomic_load(&w.restless))
        CHECK(mcq_peer_move(sock, peer, to) == MCQ_OK);
}

static void on_moved(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                     uint32_t to)
{
    (void)ctx;
    if (from == to)
        atomic_fetch_add(&w.stayed, 1);
    if (to != id_of(sock))
        return;
    atomic_store(&w.here, to);
    atomic_fetch_add(&w.came, 1);
    move_on(sock, peer);
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

static const struct mcq_sock_handlers handlers = {
    .event = on_event, .moved = on_moved, .subscription = on_subscription};

static void tick(void *ctx, struct mcq_timer *timer)
{
    uint32_t id = (uint32_t)(uintptr_t)ctx;
    if (atomic_load(&w.busy))
        work(id);
    mcq_timer_arm(timer, mcq_shard_now(w.shard[id]) + 20000);
}

static int start(struct mcq_shard *shard, void *arg)
{
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    w.shard[id] = shard;
    if (mcq_sock_open(shard, type, &sock_opts, &handlers, &w, &w.sock[id], NULL) != MCQ_OK)
        return 1;
    if (work != NULL) {
        if (mcq_timer_open(shard, tick, (void *)(uintptr_t)id, &w.timer[id]) != MCQ_OK)
            return 1;
        mcq_timer_arm(w.timer[id], 0);
    }
    return id == 0 && mcq_sock_bind(w.sock[0], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static void reset(enum mcq_sock_type of, void (*does)(uint32_t id))
{
    memset(&w, 0, sizeof(w));
    type = of;
    work = does;
    burst = BURST;
    sock_opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    sock_opts.logical = "moving";
}

static void run(const char *name, void *(*peer)(void *arg))
{
    struct mcq_trial trial = {.name = name, .opts = mcq_trial_opts(), .start = start, .peer = peer};
    trial.opts.shards = SHARDS;
    mcq_trial_run(&trial);
}

static void post(unsigned shard, mcq_post_fn *fn, void *arg)
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

static void move(unsigned to)
{
    unsigned long came = atomic_load(&w.came);
    post((unsigned)atomic_load(&w.here), do_move, (void *)(uintptr_t)to);
    CHECK(mcq_trial_wait_quick(&w.came, came + 1));
}

static void do_set_out(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    move_on(sock_of(shard), (struct mcq_peer){atomic_load(&w.peer)});
    done();
}

static void do_close_timer(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mcq_timer_close(w.timer[mcq_shard_id(shard)]);
    done();
}

static void calm_down(void)
{
    atomic_store(&w.busy, false);
    for (unsigned i = 0; i < SHARDS; i++)
        post(i, do_close_timer, NULL);
}

/* --- what all publish --------------------------------------------------------------------------
 */

struct item {
    char topic;
    uint8_t from, spare[6];
    uint64_t seq;
};

#define LARGE 20000u /* bytes: crosses by reference */

static size_t item_len(uint64_t seq)
{
    return seq % 32 == 31 ? LARGE : sizeof(struct item);
}

/* Never so much that memory is short. */
static bool is_ahead(void)
{
    unsigned long sent = 0;
    for (unsigned i = 0; i < SHARDS; i++)
        sent += atomic_load(&w.sent[i]);
    return sent > atomic_load(&w.got) + AHEAD_MAX;
}

static void publish(uint32_t id)
{
    static _Thread_local uint8_t body[LARGE];
    for (unsigned i = 0; i < burst && !is_ahead(); i++) {
        struct item item = {.topic = 'a', .from = (uint8_t)id, .seq = atomic_load(&w.sent[id])};
        memcpy(body, &item, sizeof(item));
        enum mcq_error err = mcq_send_bytes(w.sock[id], body, item_len(item.seq));
        if (err == MCQ_EAGAIN && sock_opts.slow == MCQ_SLOW_BLOCK)
            break;
        if (CHECK(err == MCQ_OK))
            atomic_fetch_add(&w.sent[id], 1);
    }
}

static bool next_item(int fd, struct mcq_text *body, struct item *item)
{
    unsigned flags;
    if (!CHECK(mcq_raw_next_message(fd, &flags, body) && body->len >= sizeof(*item)))
        return false;
    memcpy(item, body->ptr, sizeof(*item));
    atomic_fetch_add(&w.got, 1);
    return CHECK(item->from < SHARDS && body->len == item_len(item->seq));
}

/* What was published before it was subscribed may have come or not. */
static bool follows(const struct item *item, uint64_t *next)
{
    bool ok = next[item->from] == UINT64_MAX || next[item->from] == item->seq;
    if (!ok)
        fprintf(stderr, "members_moved: of %u came %llu, not %llu\n", item->from,
                (unsigned long long)item->seq, (unsigned long long)next[item->from]);
    next[item->from] = item->seq + 1;
    return CHECK(ok);
}

static bool behind(const uint64_t *next)
{
    for (unsigned i = 0; i < SHARDS; i++)
        if (next[i] != atomic_load(&w.sent[i]))
            return true;
    return false;
}

static void *subscriber(void *arg)
{
    struct mcq_text body = {NULL, 0, 0};
    uint64_t next[SHARDS] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct item item;
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_open(w.endpoint, "SUB");
    CHECK(mcq_trial_wait(&w.up, 1));
    mcq_raw_command(&body, "SUBSCRIBE", "a", 1);
    CHECK(mcq_raw_write(fd, body.ptr, body.len));
    CHECK(mcq_trial_wait(&w.subscribed, 1));
    atomic_store(&w.busy, true);
    while (next[0] == UINT64_MAX || next[1] == UINT64_MAX || next[2] == UINT64_MAX)
        if (!next_item(fd, &body, &item) || !follows(&item, next))
            break;
    atomic_store(&w.restless, true);
    post((unsigned)atomic_load(&w.here), do_set_out, NULL);
    for (unsigned i = 0; i < (burst == BURST ? 20000 : 200000) && next_item(fd, &body, &item); i++)
        if (!follows(&item, next))
            break;
    CHECK(mcq_trial_wait(&w.came, 100));
    atomic_store(&w.restless, false);
    calm_down();
    while (behind(next) && next_item(fd, &body, &item))
        if (!follows(&item, next))
            break;
    CHECK(atomic_load(&w.dropped) == 0 && atomic_load(&w.stayed) == 0);
    printf("# %lu moves\n", atomic_load(&w.came));
    mcq_text_fini(&body);
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&w.down, 1));
    mcq_stop(w.shard[0]);
    return NULL;
}

static void subscribed(const char *name, enum mcq_sock_type of, enum mcq_slow slow, unsigned cnt)
{
    reset(of, publish);
    burst = cnt;
    sock_opts.slow = slow;
    sock_opts.send_hwm_msgs = slow == MCQ_SLOW_BLOCK ? 50 : MCQ_UNLIMITED;
    run(name, subscriber);
}

/* --- work that waits for a member whose last peer leaves ----------------------------------------
 */

#define WORK_LEN 2000u

static void do_fill(struct mcq_shard *shard, void *arg)
{
    static uint8_t body[WORK_LEN];
    enum mcq_error err = MCQ_OK;
    (void)arg;
    while (err == MCQ_OK) {
        uint64_t seq = atomic_load(&w.sent[0]);
        memcpy(body, &seq, sizeof(seq));
        err = mcq_send_bytes(sock_of(shard), body, sizeof(body));
        if (err == MCQ_OK)
            atomic_fetch_add(&w.sent[0], 1);
    }
    CHECK(err == MCQ_EAGAIN);
    done();
}

static void *worker(void *arg)
{
    static bool seen[100000];
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    (void)arg;
    memset(seen, 0, sizeof(seen));
    CHECK(mcq_trial_wait(&w.listening, 1));
    int fd = mcq_raw_connect(w.endpoint, 4096);
    CHECK(mcq_raw_hello(fd, type == MCQ_PUSH ? "PULL" : "DEALER", NULL));
    CHECK(mcq_trial_wait(&w.up, 1));
    move(1);
    for (unsigned i = 0; i < 4; i++) /* until the kernel has all it takes */
        post(0, do_fill, NULL);
    move(2);
    unsigned long left = atomic_load(&w.sent[0]);
    for (unsigned i = 0; left != 0 && CHECK(mcq_raw_next_message(fd, &flags, &body)); i++) {
        uint64_t seq;
        memcpy(&seq, body.ptr, sizeof(seq));
        if (!CHECK(body.len == WORK_LEN && seq < sizeof(seen) && !seen[seq]))
            break;
        seen[seq] = true;
        left--;
    }
    CHECK(left == 0 && atomic_load(&w.dropped) == 0);
    mcq_text_fini(&body);
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&w.down, 1));
    mcq_stop(w.shard[0]);
    return NULL;
}

static void shared(const char *name, enum mcq_sock_type of)
{
    reset(of, NULL);
    sock_opts.send_buffer_bytes = 8192;
    sock_opts.send_hwm_msgs = 100;
    run(name, worker);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    shared("a PUSH's work", MCQ_PUSH);
    shared("a DEALER's work", MCQ_DEALER);
    subscribed("an XPUB's subscriber", MCQ_XPUB, MCQ_SLOW_DEFAULT, BURST);
    subscribed("a PUB's subscriber", MCQ_PUB, MCQ_SLOW_DEFAULT, BURST);
    subscribed("a subscriber that all wait for", MCQ_XPUB, MCQ_SLOW_BLOCK, BURST);
    subscribed("a subscriber of bursts", MCQ_PUB, MCQ_SLOW_DEFAULT, 600);
    return mcq_trial_end();
}
