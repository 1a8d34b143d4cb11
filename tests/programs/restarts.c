/* Peers that are killed, stopped and started again at random, for as many seconds as the first
 * argument says: every loss is accounted for, nobody gets stuck, and nothing leaks.
 *
 * A supervisor forks one hub and the peers, and does all the killing. Each peer is a process with a
 * PUSH, a DEALER of a fixed identity and a SUB, all connected to the hub's PULL, ROUTER and PUB.
 * What each side knows is in shared memory, so that what a killed peer had received is known:
 *   - PULL: per life of a peer the numbers come without a gap, from 0
 *   - ROUTER: no peer got more than its connection's report allows; what was accepted is what the
 *     kernel took and what was told as dropped
 *   - PUB: a subscriber misses no more than was told as dropped
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/trial.h"

#define PEERS        12u
#define LIVES_MAX    16384u /* connections of one peer to the ROUTER */
#define TICK_NS      1000000u
#define PER_TICK     16u
#define SECONDS      2
#define SECONDS_LONG 5
#define SETTLE_S     120
#define BODY_LEN     64u
#define STOP_MS      200u
#define RSS_GROWTH   (2u << 20)

/* One connection to the ROUTER. */
struct life {
    _Atomic uint64_t got;      /* by the peer: numbers 0 ... got - 1, in order */
    _Atomic uint64_t accepted; /* by mcq_send_to */
    uint64_t msgs_out, lost_lo, lost_hi;
    bool known; /* unacked bytes */
    _Atomic bool over;
};

struct slot {
    _Atomic uint32_t incarnation;
    _Atomic uint64_t pulled;    /* messages of this peer the hub got */
    _Atomic uint64_t published; /* ... and it got from the hub */
    _Atomic uint64_t routed;
    _Atomic uint64_t gaps;  /* published messages it missed after its first */
    _Atomic uint32_t lives; /* connections to the ROUTER so far */
    struct life life[LIVES_MAX];
};

struct shared {
    _Atomic bool ready, finish;
    _Atomic uint64_t wrong; /* broken promises; each is printed */
    _Atomic uint64_t routed_dropped, published_dropped, pulled_dropped;
    char pull[64], router[64], pub[64];
    struct slot slot[PEERS];
};

static struct shared *shm;

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (atomic_fetch_add(&shm->wrong, 1) < 20) {
        fputs("restarts: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
    }
    va_end(args);
}

/* What every message carries; the rest of the body is its number's low byte. */
struct head {
    uint32_t slot;
    uint32_t life; /* incarnation, or connection to the ROUTER */
    uint64_t seq;
};

static void body_make(uint8_t body[BODY_LEN], uint32_t slot, uint32_t life, uint64_t seq)
{
    struct head h = {slot, life, seq};
    memset(body, (int)(seq & 0xff), BODY_LEN);
    memcpy(body, &h, sizeof(h));
}

static bool body_read(const struct mcq_msg *msg, struct head *h)
{
    if (msg->len != BODY_LEN || msg->frame_cnt != 1)
        return false;
    memcpy(h, msg->data, sizeof(*h));
    const uint8_t *rest = msg->data;
    for (size_t i = sizeof(*h); i < BODY_LEN; i++)
        if (rest[i] != (uint8_t)h->seq)
            return false;
    return h->slot < PEERS;
}

/* --- the hub --------------------------------------------------------------------------------- */

struct hub {
    struct mcq_shard *shard;
    struct mcq_sock *pull, *router, *pub;
    struct mcq_timer *timer;
    struct mcq_peer dealer[PEERS]; /* zero: not there */
    struct life *life[PEERS];
    uint64_t sent[PEERS];    /* over this connection */
    uint64_t next[PEERS][2]; /* next number of this incarnation, and of the one before */
    uint32_t incarnation[PEERS];
    uint64_t published;
    bool ending;
};

static enum mcq_flow on_pull(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *msg)
{
    struct hub *hub = ctx;
    struct head h;
    (void)sock;
    (void)from;
    if (!body_read(msg, &h)) {
        wrong("PULL got a message that nobody sent");
        return MCQ_CONTINUE;
    }
    if (h.life > hub->incarnation[h.slot]) {
        hub->next[h.slot][1] = h.life == hub->incarnation[h.slot] + 1 ? hub->next[h.slot][0] : 0;
        hub->next[h.slot][0] = 0;
        hub->incarnation[h.slot] = h.life;
    }
    uint32_t back = hub->incarnation[h.slot] - h.life;
    if (back > 1)
        return MCQ_CONTINUE; /* long dead: its numbers are forgotten */
    uint64_t *next = &hub->next[h.slot][back];
    if (h.seq != *next)
        wrong("PULL: peer %u, life %u: number %" PRIu64 " after %" PRIu64, h.slot, h.life, h.seq,
              *next);
    *next = h.seq + 1;
    atomic_fetch_add(&shm->slot[h.slot].pulled, 1);
    return MCQ_CONTINUE;
}

static uint32_t slot_of(struct hub *hub, struct mcq_peer peer)
{
    struct mcq_frame id;
    if (mcq_peer_identity(hub->router, peer, &id) != MCQ_OK || id.len != 1)
        return PEERS;
    return (uint32_t)(*(const uint8_t *)id.data - 'a');
}

static void dealer_up(struct hub *hub, struct mcq_peer peer)
{
    uint32_t i = slot_of(hub, peer);
    if (i >= PEERS) {
        wrong("ROUTER: a peer of unknown identity");
        return;
    }
    struct slot *slot = &shm->slot[i];
    uint32_t n = atomic_load(&slot->lives);
    hub->dealer[i] = peer;
    hub->life[i] = &slot->life[n % LIVES_MAX];
    hub->sent[i] = 0;
    atomic_store(&slot->lives, n + 1);
    (void)mcq_peer_set_user(hub->router, peer, hub->life[i]);
}

static void dealer_down(struct hub *hub, const struct mcq_event *event)
{
    struct life *life = mcq_peer_user(hub->router, event->peer);
    if (life == NULL) {
        wrong("ROUTER: the end of a connection that never came up");
        return;
    }
    life->msgs_out = event->report.msgs_out;
    life->lost_lo = event->report.lost_lo;
    life->lost_hi = event->report.lost_hi;
    life->known = event->report.unacked_known;
    if (atomic_exchange(&life->over, true))
        wrong("ROUTER: a connection ended twice");
    for (uint32_t i = 0; i < PEERS; i++)
        if (mcq_peer_equal(hub->dealer[i], event->peer))
            hub->dealer[i] = (struct mcq_peer){0};
}

static void on_router_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct hub *hub = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        dealer_up(hub, event->peer);
    else if (event->kind == MCQ_EVENT_DISCONNECTED)
        dealer_down(hub, event);
    else if (event->kind == MCQ_EVENT_DROPPED)
        atomic_fetch_add(&shm->routed_dropped, event->cnt);
}

static void on_pub_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    (void)ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_DROPPED)
        atomic_fetch_add(&shm->published_dropped, event->cnt);
}

static void route(struct hub *hub, uint32_t i)
{
    uint8_t body[BODY_LEN];
    uint32_t life = atomic_load(&shm->slot[i].lives) - 1;
    for (uint32_t k = 0; k < PER_TICK && hub->dealer[i].bits != 0; k++) {
        body_make(body, i, life, hub->sent[i]);
        struct mcq_msg m = mcq_msg_of(body, sizeof(body));
        enum mcq_error err = mcq_send_to(hub->router, hub->dealer[i], &m);
        if (err == MCQ_ESTALE)
            hub->dealer[i] = (struct mcq_peer){0};
        if (err != MCQ_OK)
            return;
        hub->sent[i]++;
        atomic_store(&hub->life[i]->accepted, hub->sent[i]);
    }
}

static void hub_tick(void *ctx, struct mcq_timer *timer)
{
    struct hub *hub = ctx;
    uint8_t body[BODY_LEN];
    if (atomic_load(&shm->finish)) {
        mcq_stop(hub->shard);
        return;
    }
    for (uint32_t i = 0; i < PEERS; i++)
        route(hub, i);
    for (uint32_t k = 0; k < PER_TICK; k++) {
        body_make(body, 0, 0, hub->published++);
        if (mcq_send_bytes(hub->pub, body, sizeof(body)) != MCQ_OK)
            wrong("PUB refused a message");
    }
    mcq_timer_arm(timer, mcq_shard_now(hub->shard) + TICK_NS);
}

static struct mcq_sock *hub_open(struct hub *hub, enum mcq_sock_type type,
                                 const struct mcq_sock_handlers *handlers, char endpoint[64])
{
    struct mcq_sock *sock = NULL;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_detail detail = {.text = ""};
    opts.linger_ms = 100;
    if (type == MCQ_ROUTER)
        opts.identity_policy = MCQ_IDENTITY_REPLACE;
    if (mcq_sock_open(hub->shard, type, &opts, handlers, hub, &sock, &detail) != MCQ_OK ||
        mcq_sock_bind(sock, "tcp://127.0.0.1:*", &detail) != MCQ_OK)
        wrong("the hub can't start: %s", detail.text);
    snprintf(endpoint, 64, "%s", sock == NULL ? "" : mcq_sock_endpoint(sock));
    return sock;
}

static int hub_start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers pulling = {.message = on_pull};
    static const struct mcq_sock_handlers routing = {.event = on_router_event};
    static const struct mcq_sock_handlers publishing = {.event = on_pub_event};
    struct hub *hub = arg;
    hub->shard = shard;
    hub->pull = hub_open(hub, MCQ_PULL, &pulling, shm->pull);
    hub->router = hub_open(hub, MCQ_ROUTER, &routing, shm->router);
    hub->pub = hub_open(hub, MCQ_PUB, &publishing, shm->pub);
    if (atomic_load(&shm->wrong) != 0 ||
        mcq_timer_open(shard, hub_tick, hub, &hub->timer) != MCQ_OK)
        return 1;
    mcq_timer_arm(hub->timer, 0);
    atomic_store(&shm->ready, true);
    return 0;
}

static int hub_main(void)
{
    static struct hub hub;
    struct mcq_opts opts = mcq_trial_opts();
    struct mcq_detail detail = {.text = ""};
    struct mcq_app app = {.start = hub_start};
    opts.no_signals = true;
    opts.connections_max = 0;
    enum mcq_error err = mcq_run(&opts, &app, &hub, &detail);
    if (err != MCQ_OK)
        wrong("the hub ended with %s: %s", mcq_error_name(err), detail.text);
    return 0;
}

/* --- a peer ---------------------------------------------------------------------------------- */

struct peer {
    uint32_t slot, incarnation;
    struct mcq_shard *shard;
    struct mcq_sock *push;
    struct mcq_timer *timer;
    uint64_t pushed;
    uint64_t published_next; /* 0: none came yet */
    uint64_t routed_next;
    uint32_t life;
};

static enum mcq_flow on_routed(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                               struct mcq_msg *msg)
{
    struct peer *p = ctx;
    struct head h;
    (void)sock;
    (void)from;
    if (!body_read(msg, &h) || h.slot != p->slot) {
        wrong("peer %u got a message that isn't for it", p->slot);
        return MCQ_CONTINUE;
    }
    if (h.seq == 0) {
        p->routed_next = 0;
        p->life = h.life;
    }
    if (h.life != p->life || h.seq != p->routed_next)
        wrong("peer %u, connection %u: number %" PRIu64 " after %" PRIu64, p->slot, h.life, h.seq,
              p->routed_next);
    p->routed_next = h.seq + 1;
    atomic_store(&shm->slot[p->slot].life[h.life % LIVES_MAX].got, h.seq + 1);
    atomic_fetch_add(&shm->slot[p->slot].routed, 1);
    return MCQ_CONTINUE;
}

static enum mcq_flow on_published(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                  struct mcq_msg *msg)
{
    struct peer *p = ctx;
    struct head h;
    (void)sock;
    (void)from;
    if (!body_read(msg, &h) || (p->published_next != 0 && h.seq < p->published_next)) {
        wrong("peer %u: a published message that is broken or comes again", p->slot);
        return MCQ_CONTINUE;
    }
    if (p->published_next != 0)
        atomic_fetch_add(&shm->slot[p->slot].gaps, h.seq - p->published_next);
    p->published_next = h.seq + 1;
    atomic_fetch_add(&shm->slot[p->slot].published, 1);
    return MCQ_CONTINUE;
}

static void peer_tick(void *ctx, struct mcq_timer *timer)
{
    struct peer *p = ctx;
    uint8_t body[BODY_LEN];
    for (uint32_t k = 0; k < PER_TICK; k++) {
        body_make(body, p->slot, p->incarnation, p->pushed);
        if (mcq_send_bytes(p->push, body, sizeof(body)) != MCQ_OK)
            break;
        p->pushed++;
    }
    mcq_timer_arm(timer, mcq_shard_now(p->shard) + TICK_NS);
}

static bool peer_open(struct peer *p, enum mcq_sock_type type,
                      const struct mcq_sock_handlers *handlers, const char *endpoint,
                      struct mcq_sock **sock)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    char identity = (char)('a' + p->slot);
    opts.reconnect_min_ms = 10;
    if (type == MCQ_DEALER) {
        opts.identity = &identity;
        opts.identity_len = 1;
    }
    return mcq_sock_open(p->shard, type, &opts, handlers, p, sock, NULL) == MCQ_OK &&
           (type != MCQ_SUB || mcq_subscribe(*sock, "", 0) == MCQ_OK) &&
           mcq_sock_connect(*sock, endpoint, NULL) == MCQ_OK;
}

static int peer_start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers none = {.message = NULL};
    static const struct mcq_sock_handlers routed = {.message = on_routed};
    static const struct mcq_sock_handlers published = {.message = on_published};
    struct peer *p = arg;
    struct mcq_sock *sock;
    p->shard = shard;
    if (!peer_open(p, MCQ_PUSH, &none, shm->pull, &p->push) ||
        !peer_open(p, MCQ_DEALER, &routed, shm->router, &sock) ||
        !peer_open(p, MCQ_SUB, &published, shm->pub, &sock) ||
        mcq_timer_open(shard, peer_tick, p, &p->timer) != MCQ_OK)
        return 1;
    mcq_timer_arm(p->timer, 0);
    return 0;
}

static int peer_main(uint32_t slot, uint32_t incarnation)
{
    struct peer p = {.slot = slot, .incarnation = incarnation};
    struct mcq_opts opts = mcq_trial_opts();
    struct mcq_detail detail = {.text = ""};
    struct mcq_app app = {.start = peer_start};
    opts.no_signals = true;
    enum mcq_error err = mcq_run(&opts, &app, &p, &detail);
    wrong("peer %u ended by itself: %s %s", slot, mcq_error_name(err), detail.text);
    return 1;
}

/* --- the supervisor -------------------------------------------------------------------------- */

struct crew {
    pid_t hub, peer[PEERS];
    unsigned long kills, stops;
    unsigned seed;
};

static void pause_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t spawn(int (*run)(uint32_t, uint32_t), uint32_t slot, uint32_t incarnation)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(run(slot, incarnation));
    }
    if (pid < 0)
        wrong("fork: %s", strerror(errno));
    return pid;
}

static int hub_run(uint32_t slot, uint32_t incarnation)
{
    (void)slot;
    (void)incarnation;
    return hub_main();
}

static void peer_begin(struct crew *c, uint32_t i)
{
    uint32_t incarnation = atomic_fetch_add(&shm->slot[i].incarnation, 1) + 1;
    c->peer[i] = spawn(peer_main, i, incarnation);
}

static void peer_kill(struct crew *c, uint32_t i)
{
    kill(c->peer[i], SIGKILL);
    waitpid(c->peer[i], NULL, 0);
    c->kills++;
}

/* One act, then a moment without one. */
static void act(struct crew *c)
{
    uint32_t i = (uint32_t)rand_r(&c->seed) % PEERS;
    if (rand_r(&c->seed) % 8 == 0) {
        kill(c->peer[i], SIGSTOP);
        pause_ms((unsigned)rand_r(&c->seed) % STOP_MS);
        kill(c->peer[i], SIGCONT);
        c->stops++;
    } else {
        peer_kill(c, i);
        pause_ms((unsigned)rand_r(&c->seed) % 8);
        peer_begin(c, i);
    }
    pause_ms((unsigned)rand_r(&c->seed) % 40);
}

static size_t fds_of(pid_t pid)
{
    char path[64];
    size_t cnt = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL)
        cnt++;
    if (dir != NULL)
        closedir(dir);
    return cnt;
}

static size_t rss_of(pid_t pid)
{
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (f != NULL && fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Every peer sends, is sent to, and hears what is published, from now on. */
static bool all_move(void)
{
    uint64_t pulled[PEERS], routed[PEERS], published[PEERS];
    double until = now_s() + SETTLE_S;
    uint32_t moving = 0;
    for (uint32_t i = 0; i < PEERS; i++) {
        pulled[i] = atomic_load(&shm->slot[i].pulled);
        routed[i] = atomic_load(&shm->slot[i].routed);
        published[i] = atomic_load(&shm->slot[i].published);
    }
    while (moving < PEERS && now_s() < until) {
        moving = 0;
        for (uint32_t i = 0; i < PEERS; i++)
            moving += atomic_load(&shm->slot[i].pulled) > pulled[i] + 100 &&
                      atomic_load(&shm->slot[i].routed) > routed[i] + 100 &&
                      atomic_load(&shm->slot[i].published) > published[i] + 100;
        pause_ms(5);
    }
    return moving == PEERS;
}

static void lives_check(uint32_t i, uint64_t *accepted, uint64_t *taken)
{
    struct slot *slot = &shm->slot[i];
    uint32_t n = atomic_load(&slot->lives);
    for (uint32_t k = 0; k < n && k < LIVES_MAX; k++) {
        const struct life *l = &slot->life[k];
        uint64_t got = atomic_load(&l->got);
        *accepted += atomic_load(&l->accepted);
        *taken += l->msgs_out;
        CHECK(atomic_load(&l->over));
        CHECK(l->known);
        /* What its kernel had, a killed process may never have read: that bounds nothing below. */
        if (!CHECK(got <= l->lost_hi && l->lost_lo <= l->lost_hi &&
                   l->lost_hi <= atomic_load(&l->accepted)))
            fprintf(stderr,
                    "peer %u, connection %u: got %" PRIu64 ", lost [%" PRIu64 ", %" PRIu64
                    ") of %" PRIu64 "\n",
                    i, k, got, l->lost_lo, l->lost_hi, l->msgs_out);
    }
}

static void accounts_check(void)
{
    uint64_t accepted = 0, taken = 0, gaps = 0;
    for (uint32_t i = 0; i < PEERS; i++) {
        lives_check(i, &accepted, &taken);
        gaps += atomic_load(&shm->slot[i].gaps);
    }
    CHECK(accepted == taken + atomic_load(&shm->routed_dropped));
    CHECK(gaps <= atomic_load(&shm->published_dropped));
    CHECK(atomic_load(&shm->wrong) == 0);
}

static void hub_end(struct crew *c)
{
    int status = 0;
    atomic_store(&shm->finish, true);
    double until = now_s() + SETTLE_S;
    while (waitpid(c->hub, &status, WNOHANG) == 0 && now_s() < until)
        pause_ms(5);
    if (!CHECK(now_s() < until))
        kill(c->hub, SIGKILL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void run(struct crew *c, int seconds)
{
    c->hub = spawn(hub_run, 0, 0);
    for (double until = now_s() + SETTLE_S; !atomic_load(&shm->ready) && now_s() < until;)
        pause_ms(1);
    for (uint32_t i = 0; i < PEERS; i++)
        peer_begin(c, i);
    CHECK(all_move());
    size_t fds = fds_of(c->hub), rss = rss_of(c->hub);
    for (double until = now_s() + seconds; now_s() < until && atomic_load(&shm->wrong) == 0;)
        act(c);
    CHECK(all_move());
    /* Half of what a killed peer leaves behind may still be on its way out. */
    for (double until = now_s() + SETTLE_S; fds_of(c->hub) > fds && now_s() < until;)
        pause_ms(5);
    CHECK(fds_of(c->hub) <= fds);
    CHECK(rss_of(c->hub) <= rss + RSS_GROWTH);
    for (uint32_t i = 0; i < PEERS; i++)
        peer_kill(c, i);
    hub_end(c);
    accounts_check();
}

int main(int argc, char **argv)
{
    struct crew crew = {.seed = (unsigned)time(NULL)};
    int usual = getenv("MCQ_TEST_LONG") != NULL ? SECONDS_LONG : SECONDS;
    int seconds = argc > 1 ? atoi(argv[1]) : usual;
    if (argc > 2)
        crew.seed = (unsigned)strtoul(argv[2], NULL, 10);
    printf("restarts: seed %u, %d s\n", crew.seed, seconds);
    shm = mmap(NULL, sizeof(*shm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shm == MAP_FAILED) {
        perror("restarts: mmap");
        return 1;
    }
    run(&crew, seconds);
    uint64_t pulled = 0, routed = 0, published = 0;
    for (uint32_t i = 0; i < PEERS; i++) {
        pulled += atomic_load(&shm->slot[i].pulled);
        routed += atomic_load(&shm->slot[i].routed);
        published += atomic_load(&shm->slot[i].published);
    }
    printf("%lu kills, %lu stops; messages pulled %" PRIu64 ", routed %" PRIu64
           ", published %" PRIu64 "; dropped %" PRIu64 " routed, %" PRIu64 " published\n",
           crew.kills, crew.stops, pulled, routed, published, atomic_load(&shm->routed_dropped),
           atomic_load(&shm->published_dropped));
    return mcq_trial_end();
}
