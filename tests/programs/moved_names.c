/* Names of peers on shards that don't have them, while these are handed from shard to shard: what
 * is asked by a name is done to its peer alone, and what is sent by it comes there, or is refused.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS 3u

/* Shard 0 accepts. `plain` is there alone, and no member of anything. */
struct world {
    struct mcq_shard *shard[SHARDS];
    struct mcq_sock *sock[SHARDS], *other[SHARDS], *plain;
    char endpoint[2][MCQ_ENDPOINT_LEN_MAX]; /* of sock, of plain */
    atomic_ulong listening, up, down, left, came, posted, lost, dropped;
    atomic_long moves; /* that the peer still has to make, between shards 0 and 1 */
    atomic_ullong peer[2];
    atomic_ulong here;
};

static struct world w;
static enum mcq_sock_type type;

static void move_on(struct mcq_sock *sock, struct mcq_peer peer)
{
    uint32_t id = mcq_shard_id(mcq_sock_shard(sock));
    if (atomic_fetch_sub(&w.moves, 1) > 0)
        CHECK(mcq_peer_move(sock, peer, 1 - id) == MCQ_OK);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    unsigned kind = sock == w.plain;
    (void)ctx;
    if (event->kind == MCQ_EVENT_LISTENING) {
        strcpy(w.endpoint[kind], event->endpoint);
        atomic_fetch_add(&w.listening, 1);
    } else if (event->kind == MCQ_EVENT_UP) {
        atomic_store(&w.peer[kind], event->peer.bits);
        atomic_store(&w.here, 0);
        atomic_fetch_add(&w.up, 1);
        move_on(sock, event->peer);
    } else if (event->kind == MCQ_EVENT_DROPPED) {
        atomic_fetch_add(&w.dropped, event->cnt);
    } else if (event->kind == MCQ_EVENT_DISCONNECTED) {
        atomic_fetch_add(&w.down, 1);
    }
}

static void on_moved(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                     uint32_t to)
{
    uint32_t id = mcq_shard_id(mcq_sock_shard(sock));
    (void)ctx;
    (void)from;
    if (to != id) {
        atomic_fetch_add(&w.left, 1);
        return;
    }
    atomic_store(&w.here, id);
    atomic_fetch_add(&w.came, 1);
    move_on(sock, peer);
}

static const struct mcq_sock_handlers handlers = {.event = on_event, .moved = on_moved};

static int start(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    w.shard[id] = shard;
    opts.logical = "other";
    if (mcq_sock_open(shard, MCQ_PULL, &opts, &handlers, &w, &w.other[id], NULL) != MCQ_OK)
        return 1;
    opts.logical = "moving";
    if (mcq_sock_open(shard, type, &opts, &handlers, &w, &w.sock[id], NULL) != MCQ_OK)
        return 1;
    if (id != 0)
        return 0;
    if (mcq_sock_open(shard, type, NULL, &handlers, &w, &w.plain, NULL) != MCQ_OK)
        return 1;
    return mcq_sock_bind(w.sock[0], "tcp://127.0.0.1:*", NULL) != MCQ_OK ||
           mcq_sock_bind(w.plain, "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static void run(const char *name, enum mcq_sock_type of, void *(*peer)(void *arg))
{
    struct mcq_trial trial = {.name = name, .opts = mcq_trial_opts(), .start = start, .peer = peer};
    memset(&w, 0, sizeof(w));
    type = of;
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

static struct mcq_peer name_of(unsigned kind)
{
    return (struct mcq_peer){atomic_load(&w.peer[kind])};
}

static struct mcq_sock *sock_of(struct mcq_shard *shard)
{
    return w.sock[mcq_shard_id(shard)];
}

static void do_move(struct mcq_shard *shard, void *arg)
{
    CHECK(mcq_peer_move(sock_of(shard), name_of(0), (uint32_t)(uintptr_t)arg) == MCQ_OK);
    done();
}

static void move(unsigned to)
{
    unsigned long came = atomic_load(&w.came);
    post((unsigned)atomic_load(&w.here), do_move, (void *)(uintptr_t)to);
    CHECK(mcq_trial_wait_quick(&w.came, came + 1));
}

static void hang_up(int fd)
{
    unsigned long down = atomic_load(&w.down);
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&w.down, down + 1));
}

/* --- a name of another socket's peer -----------------------------------------------------------
 */

static void do_ask(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock *other = w.other[mcq_shard_id(shard)];
    struct mcq_peer peer = name_of((unsigned)(uintptr_t)arg);
    CHECK(mcq_peer_move(other, peer, 1) == MCQ_OK);
    CHECK(mcq_peer_close(other, peer) == MCQ_OK);
    CHECK(mcq_peer_kill(other, peer) == MCQ_OK);
    done();
}

static void do_count(struct mcq_shard *shard, void *arg)
{
    struct mcq_shard_stats stats;
    (void)arg;
    mcq_shard_stats(shard, &stats);
    atomic_store(&w.lost, stats.moves.asks_lost);
    done();
}

static bool wait_lost(unsigned shard, unsigned long cnt)
{
    for (unsigned i = 0; i < 100000; i++) {
        post(shard, do_count, NULL);
        if (atomic_load(&w.lost) >= cnt)
            break;
    }
    return CHECK(atomic_load(&w.lost) == cnt);
}

static void *foreign_peer(void *arg)
{
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 2));
    int fds[2];
    for (unsigned kind = 0; kind < 2; kind++) {
        fds[kind] = mcq_raw_open(w.endpoint[kind], "DEALER");
        CHECK(mcq_trial_wait(&w.up, kind + 1));
        post(2, do_ask, (void *)(uintptr_t)kind);
        wait_lost(0, 3 * (kind + 1));
    }
    move(1);
    post(2, do_ask, (void *)0);
    wait_lost(1, 3);
    CHECK(atomic_load(&w.down) == 0 && atomic_load(&w.came) == 1);
    hang_up(fds[0]);
    hang_up(fds[1]);
    mcq_stop(w.shard[0]);
    return NULL;
}

/* --- sent to where it has been, and where it never was ------------------------------------------
 */

static enum mcq_error send_one(struct mcq_sock *sock, uint8_t byte)
{
    struct mcq_msg m = mcq_msg_of(&byte, 1);
    return mcq_send_to(sock, name_of(0), &m);
}

static void do_send(struct mcq_shard *shard, void *arg)
{
    CHECK(send_one(sock_of(shard), (uint8_t)(uintptr_t)arg) == MCQ_OK);
    done();
}

static void do_send_refused(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    CHECK(send_one(sock_of(shard), 255) == MCQ_ENOTSUP); /* not gone: elsewhere */
    done();
}

static bool next_byte(int fd, uint8_t want)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    bool ok = mcq_raw_next_message(fd, &flags, &body) && body.len == 1;
    ok = CHECK(ok && (uint8_t)body.ptr[0] == want);
    mcq_text_fini(&body);
    return ok;
}

static void *elsewhere_peer(void *arg)
{
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 2));
    int fd = mcq_raw_open(w.endpoint[0], type == MCQ_PUSH ? "PULL" : "DEALER");
    CHECK(mcq_trial_wait(&w.up, 1));
    for (unsigned i = 0; i < 12; i++) {
        unsigned here = (unsigned)atomic_load(&w.here);
        post(here, do_send, (void *)(uintptr_t)i);
        post((here + 1) % SHARDS, do_send_refused, NULL);
        post((here + 2) % SHARDS, do_send_refused, NULL);
        CHECK(next_byte(fd, (uint8_t)i));
        move((here + 1 + i % 2) % SHARDS);
    }
    hang_up(fd);
    mcq_stop(w.shard[0]);
    return NULL;
}

/* --- a ROUTER's, sent to for the first time while it moves on and on ----------------------------
 */

#define ROUNDS 100u
#define MOVES  100 /* at least, of each */

static void do_settle(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    done();
}

static void *first_peer(void *arg)
{
    (void)arg;
    CHECK(mcq_trial_wait(&w.listening, 2));
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned long came = atomic_load(&w.came);
        atomic_store(&w.moves, MOVES + i % 2);
        int fd = mcq_raw_open(w.endpoint[0], "DEALER");
        CHECK(mcq_trial_wait(&w.up, i + 1));
        CHECK(mcq_trial_wait_quick(&w.came, came + 1 + i % 20));
        post(2, do_send, (void *)(uintptr_t)1);
        post(2, do_send, (void *)(uintptr_t)2);
        bool ok = next_byte(fd, 1) && next_byte(fd, 2);
        atomic_store(&w.moves, 0);
        post(0, do_settle, NULL);
        post(1, do_settle, NULL);
        hang_up(fd);
        if (!ok)
            break;
    }
    CHECK(atomic_load(&w.dropped) == 0);
    mcq_stop(w.shard[0]);
    return NULL;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    run("another socket's", MCQ_DEALER, foreign_peer);
    run("a DEALER's, elsewhere", MCQ_DEALER, elsewhere_peer);
    run("a PUSH's, elsewhere", MCQ_PUSH, elsewhere_peer);
    run("for the first time", MCQ_ROUTER, first_peer);
    return mcq_trial_end();
}
