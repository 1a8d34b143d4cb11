/* At rest: shards with nothing to do aren't woken, not once, whatever is open between them, and
 * don't turn round and round either. The kernel counts: a thread that sleeps through has no new
 * voluntary context switch, and takes no time. */
#include <ctype.h>
#include <dirent.h>
#include <monocoque.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/support/trial.h"

#define SHARDS     3u
#define REST_MS    3000u
#define QUIET_MS   300u /* after which it is taken to have settled */
#define SETTLE_MAX 100u /* times QUIET_MS */
#define GREETING   2u   /* a post's kind: say something to that peer */

static struct {
    struct mcq_shard *shards[SHARDS];
    struct mcq_sock *routers[SHARDS];
    atomic_ulong started, ups, posts, greetings;
    bool full_house;
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
} s;

static void sleep_ms(unsigned ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&ts, &ts) != 0)
        ;
}

/* --- what is open ---------------------------------------------------------------------------- */

static void never(void *ctx, struct mcq_timer *timer)
{
    (void)ctx;
    (void)timer;
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    (void)ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        atomic_fetch_add(&s.ups, 1);
}

static const struct mcq_sock_handlers QUIET = {.event = on_event};

/* Each of the ROUTER's peers goes on to another shard, and is spoken to from all of them. */
static void on_guest(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    uint32_t to = (mcq_shard_id(mcq_sock_shard(sock)) + 1) % SHARDS;
    on_event(ctx, sock, event);
    if (event->kind == MCQ_EVENT_UP)
        CHECK(mcq_peer_move(sock, event->peer, to) == MCQ_OK);
}

static void on_moved(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, uint32_t from,
                     uint32_t to)
{
    struct mcq_shard *shard = mcq_sock_shard(sock);
    (void)ctx;
    CHECK(from != to);
    for (uint32_t id = 0; to == mcq_shard_id(shard) && id < SHARDS; id++)
        CHECK(mcq_post_bytes(shard, id, GREETING, &peer, sizeof(peer)) == MCQ_OK);
}

static enum mcq_flow on_greeting(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                 struct mcq_msg *msg)
{
    (void)ctx;
    (void)sock;
    (void)from;
    (void)msg;
    atomic_fetch_add(&s.greetings, 1);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers ROUTING = {.event = on_guest, .moved = on_moved};
static const struct mcq_sock_handlers GREETED = {.event = on_event, .message = on_greeting};

static struct mcq_sock *sock_open(struct mcq_shard *shard, enum mcq_sock_type type,
                                  const char *logical, const struct mcq_sock_handlers *handlers)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_sock *sock = NULL;
    opts.logical = logical;
    if (logical != NULL && type != MCQ_ROUTER)
        opts.placement = MCQ_PLACEMENT_LEAST;
    CHECK(mcq_sock_open(shard, type, &opts, handlers, NULL, &sock, NULL) == MCQ_OK);
    return sock;
}

/* Members that are bound, members' channels, bridges, connections from shard to shard, peers that
 * have gone on and such that are sent to from elsewhere. */
static void fill(struct mcq_shard *shard)
{
    uint32_t id = mcq_shard_id(shard);
    struct mcq_sock *router = sock_open(shard, MCQ_ROUTER, "orders", &ROUTING);
    s.routers[id] = router;
    struct mcq_detail d = {.text = ""};
    if (!CHECK(mcq_sock_bind(router, "tcp://127.0.0.1:*", &d) == MCQ_OK))
        fprintf(stderr, "%s\n", d.text);
    if (id == 0)
        strcpy(s.endpoint, mcq_sock_endpoint(router));
    struct mcq_sock *pub = sock_open(shard, MCQ_PUB, "ticks", &QUIET);
    if (id == 0)
        CHECK(mcq_sock_bind(pub, "inproc://ticks", NULL) == MCQ_OK);
    struct mcq_sock *sub = sock_open(shard, MCQ_SUB, NULL, &QUIET);
    CHECK(mcq_subscribe(sub, "", 0) == MCQ_OK);
    CHECK(mcq_sock_connect(sub, "inproc://ticks", NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(sock_open(shard, MCQ_DEALER, NULL, &GREETED), s.endpoint, NULL) ==
          MCQ_OK);
    CHECK(mcq_sock_connect(sock_open(shard, MCQ_PUSH, "work", &QUIET), "inproc://jobs", NULL) ==
          MCQ_OK);
    if (id == SHARDS - 1)
        CHECK(mcq_sock_bind(sock_open(shard, MCQ_PULL, NULL, &QUIET), "inproc://jobs", NULL) ==
              MCQ_OK);
}

static int start(struct mcq_shard *shard, void *arg)
{
    struct mcq_timer *timer;
    (void)arg;
    s.shards[mcq_shard_id(shard)] = shard;
    CHECK(mcq_timer_open(shard, never, NULL, &timer) == MCQ_OK);
    if (s.full_house)
        fill(shard);
    atomic_fetch_add(&s.started, 1);
    return 0;
}

static void on_post(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                    const void *data, size_t len)
{
    struct mcq_msg hello = mcq_msg_of("hello", 5);
    struct mcq_peer peer;
    (void)arg;
    (void)from;
    if (kind != GREETING) {
        atomic_fetch_add(&s.posts, 1);
        return;
    }
    CHECK(len == sizeof(peer));
    memcpy(&peer, data, sizeof(peer));
    CHECK(mcq_send_to(s.routers[mcq_shard_id(shard)], peer, &hello) == MCQ_OK);
}

static void stir(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    for (uint32_t to = 0; to < SHARDS; to++)
        CHECK(mcq_post_bytes(shard, to, 1, "up", 2) == MCQ_OK);
}

/* --- what the kernel counted ----------------------------------------------------------------- */

static unsigned long switches_of(const char *tid)
{
    char path[64], line[128], name[32] = "";
    unsigned long cnt = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", tid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        (void)sscanf(line, "Name: %31s", name);
        (void)sscanf(line, "voluntary_ctxt_switches: %lu", &cnt);
    }
    if (f != NULL)
        fclose(f);
    return strncmp(name, "mcq-", 4) == 0 && isdigit((unsigned char)name[4]) ? cnt : 0;
}

/* Of all shards' threads. */
static unsigned long switches(void)
{
    unsigned long cnt = 0, threads = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;)
        if (d->d_name[0] != '.') {
            unsigned long of = switches_of(d->d_name);
            cnt += of;
            threads += of != 0;
        }
    if (dir != NULL)
        closedir(dir);
    CHECK(threads == SHARDS);
    return cnt;
}

static unsigned long settle(void)
{
    unsigned long last = switches(), now;
    for (unsigned i = 0; i < SETTLE_MAX; i++, last = now) {
        sleep_ms(QUIET_MS);
        if ((now = switches()) == last)
            break;
    }
    return last;
}

static unsigned long cpu_ms(void)
{
    struct rusage u;
    CHECK(getrusage(RUSAGE_SELF, &u) == 0);
    return (unsigned long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
           (unsigned long)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* One shard that spins would take all of it. */
static void expect_rest(const char *what)
{
    unsigned long before = settle(), before_ms = cpu_ms();
    sleep_ms(REST_MS);
    unsigned long woken = switches() - before;
    CHECK(cpu_ms() - before_ms < REST_MS / 10);
    if (!CHECK(woken == 0))
        fprintf(stderr, "%s: woken %lu times in %u ms\n", what, woken, REST_MS);
}

/* --- the app --------------------------------------------------------------------------------- */

static void *run_main(void *arg)
{
    const struct mcq_app app = {.start = start, .on_post = on_post};
    struct mcq_opts opts = mcq_trial_opts();
    opts.shards = SHARDS;
    opts.idle = *(enum mcq_idle *)arg;
    opts.no_signals = true;
    CHECK(mcq_run(&opts, &app, NULL, NULL) == MCQ_OK);
    return NULL;
}

static void rest(const char *name, enum mcq_idle idle, bool full_house)
{
    pthread_t thread;
    struct mcq_port *port = NULL;
    mcq_trial_watch(name);
    memset(&s, 0, sizeof(s));
    s.full_house = full_house;
    CHECK(pthread_create(&thread, NULL, run_main, &idle) == 0);
    CHECK(mcq_trial_wait(&s.started, SHARDS));
    if (full_house) {
        CHECK(mcq_trial_wait(&s.ups, 6 * SHARDS));
        CHECK(mcq_trial_wait(&s.greetings, (unsigned long)SHARDS * SHARDS));
        CHECK(mcq_port_open(s.shards[1], 0, &port, NULL) == MCQ_OK);
    }
    expect_rest(name);
    for (uint32_t i = 0; i < SHARDS; i++)
        CHECK(mcq_post(s.shards[i], stir, NULL) == MCQ_OK);
    CHECK(mcq_trial_wait(&s.posts, (unsigned long)SHARDS * SHARDS)); /* nobody overslept */
    expect_rest(name);
    if (port != NULL)
        mcq_port_close(port);
    mcq_stop(s.shards[0]);
    pthread_join(thread, NULL);
}

int main(void)
{
    rest("nothing open, block", MCQ_IDLE_BLOCK, false);
    rest("all open, spin then block", MCQ_IDLE_SPIN_BLOCK, true);
    return mcq_trial_end();
}
