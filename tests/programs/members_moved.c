/* Peers of members that share work are handed from shard to shard: no piece of work is lost. */
#include <stdio.h>
#include <string.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS 3u

struct world {
    struct mcq_shard *shard[SHARDS];
    struct mcq_sock *sock[SHARDS];
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    atomic_ulong listening, up, down, came, posted, dropped, stayed;
    atomic_ulong sent[SHARDS];
    atomic_ullong peer; /* that came up last */
    atomic_ulong here;  /* where it is */
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
    } else if (event->kind == MCQ_EVENT_DROPPED && event->reason != MCQ_REASON_LOCAL &&
               event->reason != MCQ_REASON_PEER_CLOSED && event->reason != MCQ_REASON_RESET) {
        atomic_fetch_add(&w.dropped, event->cnt);
    }
}

static void on_moved(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                     uint32_t to)
{
    (void)ctx;
    (void)peer;
    if (from == to)
        atomic_fetch_add(&w.stayed, 1);
    if (to != id_of(sock))
        return;
    atomic_store(&w.here, to);
    atomic_fetch_add(&w.came, 1);
}

static const struct mcq_sock_handlers handlers = {.event = on_event, .moved = on_moved};

static int start(struct mcq_shard *shard, void *arg)
{
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    w.shard[id] = shard;
    if (mcq_sock_open(shard, type, &sock_opts, &handlers, &w, &w.sock[id], NULL) != MCQ_OK)
        return 1;
    return id == 0 && mcq_sock_bind(w.sock[0], "tcp://127.0.0.1:*", NULL) != MCQ_OK;
}

static void reset(enum mcq_sock_type of)
{
    memset(&w, 0, sizeof(w));
    type = of;
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
    reset(of);
    sock_opts.send_buffer_bytes = 8192;
    sock_opts.send_hwm_msgs = 100;
    run(name, worker);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    shared("a PUSH's work", MCQ_PUSH);
    shared("a DEALER's work", MCQ_DEALER);
    return mcq_trial_end();
}
