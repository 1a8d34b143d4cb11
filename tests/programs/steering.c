/* Steering, with real connections: clients from addresses of 127.0.0.0/8 land on the shard that the
 * policy names, on every rung of the ladder; rules, drains and ends while connections come. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "shards/steer.h"
#include "shards/steer_pins.h"
#include "tests/support/trial.h"

#define SHARDS   3u
#define PORTS    65536u
#define NOBODY   UINT32_MAX
#define WAIT_MS  100000
#define GUESTS   40u
#define STRANGER "127.9.0.1" /* no rule knows it */

struct world {
    struct mcq_sock_opts opts;
    const char *bind;
    uint32_t bind_from; /* shards below have no member */
    uint32_t fickle;    /* this one thinks better of it at once; 0: none */
    atomic_uint again;  /* binds after start */
    struct mcq_sock *socks[SHARDS];
    struct mcq_shard *shards[SHARDS];
    struct mcq_steer *steer;
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    struct sockaddr_in at;
    atomic_ulong listening, accepted, ended, unbound;
    atomic_uint shard_of[PORTS]; /* by the client's port: who accepted it, + 1 */
    atomic_uint by_shard[SHARDS];
    sem_t held, go;
    int pipe;
    pid_t rival;
    bool ebpf; /* it was to be had */
};

/* --- the app --------------------------------------------------------------------------------- */

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *ev)
{
    struct world *w = ctx;
    uint32_t self = SHARDS;
    for (uint32_t i = 0; i < SHARDS; i++)
        self = w->socks[i] == sock ? i : self;
    if (!CHECK(self < SHARDS))
        return;
    if (ev->kind == MCQ_EVENT_LISTENING) {
        CHECK(atomic_load(&w->again) != 0 || strcmp(ev->endpoint, w->endpoint) == 0);
        atomic_fetch_add(&w->listening, 1);
    }
    if (ev->kind == MCQ_EVENT_UNBOUND)
        atomic_fetch_add(&w->unbound, 1);
    if (ev->kind == MCQ_EVENT_HANDSHAKE_FAILED)
        atomic_fetch_add(&w->ended, 1);
    if (ev->kind != MCQ_EVENT_ACCEPTED)
        return;
    const char *colon = strrchr(ev->endpoint, ':');
    unsigned port = colon == NULL ? 0 : (unsigned)atoi(colon + 1);
    CHECK(atomic_exchange(&w->shard_of[port], self + 1) == 0 || port == 0);
    atomic_fetch_add(&w->by_shard[self], 1);
    atomic_fetch_add(&w->accepted, 1);
}

static const struct mcq_sock_handlers handlers = {.event = on_event};

static int start(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    uint32_t id = mcq_shard_id(shard);
    struct mcq_detail d = {.text = ""};
    w->shards[id] = shard;
    if (id < w->bind_from)
        return 0;
    if (!CHECK(mcq_sock_open(shard, MCQ_PULL, &w->opts, &handlers, w, &w->socks[id], &d) ==
               MCQ_OK) ||
        !CHECK(mcq_sock_bind(w->socks[id], w->bind, &d) == MCQ_OK)) {
        printf("shard %u: %s\n", id, d.text);
        return 1;
    }
    if (w->fickle != 0 && id == w->fickle)
        CHECK(mcq_sock_unbind(w->socks[id], w->endpoint, NULL) == MCQ_OK);
    if (id == w->bind_from) {
        snprintf(w->endpoint, sizeof(w->endpoint), "%s", mcq_sock_endpoint(w->socks[id]));
        CHECK(mcq_steer_of(w->socks[id], NULL, &w->steer, NULL) == MCQ_OK);
        const char *colon = strrchr(w->endpoint, ':');
        w->at = (struct sockaddr_in){.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)atoi(colon + 1)),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    } else {
        CHECK(strcmp(w->endpoint, mcq_sock_endpoint(w->socks[id])) == 0);
    }
    return 0;
}

static struct world *world_new(const char *steer)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        exit(1);
    w->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    w->opts.logical = "steered";
    w->opts.steer = steer;
    w->bind = "tcp://127.0.0.1:*";
    sem_init(&w->held, 0, 0);
    sem_init(&w->go, 0, 0);
    return w;
}

static void run(const char *name, struct world *w, void *(*peer)(void *))
{
    struct mcq_trial trial = {
        .name = name, .opts = mcq_trial_opts(), .start = start, .peer = peer, .arg = w};
    trial.opts.shards = SHARDS;
    trial.opts.cpus = "none";
    mcq_trial_run(&trial);
    CHECK(atomic_load(&w->unbound) == SHARDS - w->bind_from + atomic_load(&w->again));
    free(w);
}

static void done(struct world *w)
{
    mcq_steer_close(w->steer);
    mcq_stop(w->shards[0]);
}

/* --- clients --------------------------------------------------------------------------------- */

struct guest {
    int fd;
    uint32_t port;
};

static struct guest guest_begin(const struct world *w, const char *from, bool wait)
{
    struct sockaddr_in src = {.sin_family = AF_INET};
    socklen_t len = sizeof(src);
    struct guest g = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0),
                      0};
    inet_pton(AF_INET, from, &src.sin_addr);
    CHECK(bind(g.fd, (struct sockaddr *)&src, sizeof(src)) == 0);
    int err = connect(g.fd, (const struct sockaddr *)&w->at, sizeof(w->at));
    CHECK(err == 0 || (!wait && errno == EINPROGRESS));
    CHECK(getsockname(g.fd, (struct sockaddr *)&src, &len) == 0);
    g.port = ntohs(src.sin_port);
    return g;
}

/* The shard that accepted it. */
static uint32_t shard_of(struct world *w, const struct guest *g)
{
    for (uint32_t i = 0; i < WAIT_MS * 10; i++) {
        uint32_t shard = atomic_load(&w->shard_of[g->port]);
        if (shard != 0)
            return shard - 1;
        usleep(100);
    }
    return NOBODY;
}

/* Ports come round again. */
static void guest_end(struct world *w, struct guest *g)
{
    close(g->fd);
    atomic_store(&w->shard_of[g->port], 0);
}

static uint32_t lands_on(struct world *w, const char *from)
{
    struct guest g = guest_begin(w, from, true);
    uint32_t shard = shard_of(w, &g);
    guest_end(w, &g);
    return shard;
}

/* The server has greeted, and the connection lives. */
static bool is_open(const struct guest *g)
{
    uint8_t byte;
    struct pollfd p = {.fd = g->fd, .events = POLLIN};
    return poll(&p, 1, WAIT_MS) == 1 && recv(g->fd, &byte, 1, MSG_PEEK) == 1;
}

static void stats_of(struct world *w, struct mcq_steer_stats *st)
{
    struct mcq_detail d = {.text = ""};
    if (!CHECK(mcq_steer_stats(w->steer, st, &d) == MCQ_OK))
        printf("%s\n", d.text);
}

static bool started(struct world *w)
{
    return CHECK(mcq_trial_wait(&w->listening, 1));
}

/* --- rules on every rung --------------------------------------------------------------------- */

#define RULES "127.1.0.0/16=0,127.2.0.0/16=1,127.2.3.0/24=2,127.2.3.4=0,127.3.0.9=2"

static enum mcq_steer_rung wanted;

static void check_rules(struct world *w)
{
    for (int i = 0; i < 8; i++) {
        CHECK(lands_on(w, "127.1.0.7") == 0);
        CHECK(lands_on(w, "127.2.200.1") == 1);
        CHECK(lands_on(w, "127.2.3.9") == 2);
        CHECK(lands_on(w, "127.2.3.4") == 0);
        CHECK(lands_on(w, "127.3.0.9") == 2);
        CHECK(lands_on(w, STRANGER) < SHARDS);
    }
}

static uint64_t sum_of(const struct mcq_steer_stats *st)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < st->shards_cnt; i++) {
        const struct mcq_steer_shard_stats *s = &st->shards[i];
        sum += s->exact + s->prefix + s->mode + s->elsewhere;
        CHECK(s->member && s->live && !s->drained && s->misplaced == 0);
    }
    return sum;
}

static void check_counters(struct world *w)
{
    struct mcq_steer_stats st;
    struct mcq_steer_rule_stats rules[8];
    uint32_t cnt = 0;
    stats_of(w, &st);
    CHECK(st.rung == wanted && st.rules_cnt == 5 && st.shards_cnt == SHARDS);
    CHECK((st.reason[0] == '\0') == (wanted == MCQ_STEER_RUNG_EBPF));
    CHECK((st.path[0] != '\0') == (wanted == MCQ_STEER_RUNG_EBPF));
    CHECK(sum_of(&st) == atomic_load(&w->accepted));
    CHECK(st.shards[0].exact == 8 && st.shards[0].prefix == 8 && st.shards[1].prefix == 8);
    CHECK(st.shards[2].exact == 8 && st.shards[2].prefix == 8);
    CHECK(mcq_steer_rules(w->steer, rules, 8, &cnt, NULL) == MCQ_OK && cnt == 5);
    for (uint32_t i = 0; i < cnt; i++)
        CHECK(rules[i].hits == 8);
    if (wanted == MCQ_STEER_RUNG_EBPF || wanted == MCQ_STEER_RUNG_CBPF) /* nothing is passed on */
        for (uint32_t i = 0; i < SHARDS; i++)
            CHECK(st.shards[i].passed_in == 0 && st.shards[i].passed_out == 0);
}

/* New ones follow, old ones stay. */
static void check_swap(struct world *w)
{
    struct mcq_detail d = {.text = ""};
    struct guest old = guest_begin(w, "127.1.5.5", true);
    CHECK(shard_of(w, &old) == 0);
    CHECK(is_open(&old));
    CHECK(mcq_steer_set(w->steer, "127.1.0.0/16=1,127.2.0.0/16=0", &d) == MCQ_OK);
    CHECK(lands_on(w, "127.1.5.5") == 1);
    CHECK(lands_on(w, "127.2.200.1") == 0);
    CHECK(lands_on(w, "127.2.3.9") == 2);
    CHECK(atomic_load(&w->shard_of[old.port]) == 1);
    CHECK(is_open(&old));
    guest_end(w, &old);
    const struct mcq_steer_rule gone = {.family = 4, .bits = 24, .addr = {127, 2, 3}};
    CHECK(mcq_steer_remove(w->steer, &gone, &d) == MCQ_OK);
    CHECK(mcq_steer_remove(w->steer, &gone, &d) == MCQ_ENOENT);
    CHECK(lands_on(w, "127.2.3.9") == 0);
    CHECK(mcq_steer_set(w->steer, "127.5.0.0/16=1,nonsense", &d) == MCQ_EINVAL);
    CHECK(mcq_steer_set(w->steer, "rung=kernel", &d) == MCQ_EINVAL);
    CHECK(mcq_steer_set_mode(w->steer, MCQ_STEER_PORT, &d) == MCQ_OK);
    for (int i = 0; i < 12; i++) {
        struct guest g = guest_begin(w, STRANGER, true);
        CHECK(shard_of(w, &g) == g.port % SHARDS);
        guest_end(w, &g);
    }
    CHECK(mcq_steer_set(w->steer, "weights=0:1:0", &d) == MCQ_OK);
    for (int i = 0; i < 12; i++)
        CHECK(lands_on(w, STRANGER) == 1);
}

static void *rules_peer(void *arg)
{
    struct world *w = arg;
    struct mcq_steer_stats st;
    if (started(w)) {
        stats_of(w, &st);
        w->ebpf = st.rung == MCQ_STEER_RUNG_EBPF;
        if (wanted == MCQ_STEER_RUNG_EBPF && !w->ebpf) {
            printf("SKIP steering by eBPF: %s\n", st.reason);
            wanted = st.rung;
        }
        check_rules(w);
        check_counters(w);
        check_swap(w);
    }
    done(w);
    return NULL;
}

static void rules_on(enum mcq_steer_rung rung, const char *text)
{
    wanted = rung;
    run(mcq_steer_rung_name(rung), world_new(text), rules_peer);
}

/* --- modes ----------------------------------------------------------------------------------- */

static void *least_peer(void *arg)
{
    struct world *w = arg;
    struct guest guests[GUESTS * SHARDS];
    uint32_t got[SHARDS] = {0};
    if (started(w)) {
        for (uint32_t i = 0; i < GUESTS * SHARDS; i++) {
            guests[i] = guest_begin(w, STRANGER, true);
            uint32_t shard = shard_of(w, &guests[i]);
            if (CHECK(shard < SHARDS))
                got[shard]++;
        }
        for (uint32_t i = 0; i < SHARDS; i++) /* a hash would be off by some 16 as often as not */
            CHECK(got[i] + 5 >= GUESTS && got[i] <= GUESTS + 5);
        for (uint32_t i = 0; i < GUESTS * SHARDS; i++)
            guest_end(w, &guests[i]);
    }
    done(w);
    return NULL;
}

/* --- the program in the kernel and the policy in C ------------------------------------------- */

static uint32_t dice(uint32_t sides)
{
    static uint64_t state = 0x13198a2e03707344u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % sides;
}

static struct mcq_steer_tables tables;

static void check_agreement(struct world *w)
{
    char from[INET_ADDRSTRLEN];
    const uint8_t addr[4] = {127, (uint8_t)dice(4), (uint8_t)dice(4), (uint8_t)(1 + dice(4))};
    struct mcq_steer_choice choice = {0};
    inet_ntop(AF_INET, addr, from, sizeof(from));
    struct guest g = guest_begin(w, from, true);
    struct mcq_steer_input in = {.family = 4, .port = g.port};
    memcpy(in.addr, addr, 4);
    CHECK(mcq_steer_tables_decide(&tables, &in, &choice));
    CHECK(shard_of(w, &g) == choice.shard);
    guest_end(w, &g);
}

static void change_rules(struct world *w)
{
    static const enum mcq_steer_mode modes[] = {MCQ_STEER_HASH, MCQ_STEER_PORT, MCQ_STEER_WEIGHTS};
    const uint32_t weights[SHARDS] = {1 + dice(3), dice(3), dice(3)};
    CHECK(mcq_steer_set_mode(w->steer, modes[dice(3)], NULL) == MCQ_OK);
    CHECK(mcq_steer_set_weights(w->steer, weights, SHARDS, NULL) == MCQ_OK);
    for (int i = 0; i < 4; i++) {
        const struct mcq_steer_rule r = {
            .family = 4,
            .bits = (uint8_t)(10 + dice(23)),
            .addr = {127, (uint8_t)dice(4), (uint8_t)dice(4), (uint8_t)(1 + dice(4))},
            .shard = dice(SHARDS)};
        CHECK(mcq_steer_add(w->steer, &r, NULL) == MCQ_OK);
    }
}

static void *agree_peer(void *arg)
{
    struct world *w = arg;
    struct mcq_steer_stats st;
    struct mcq_steer_maps *maps = NULL;
    if (started(w)) {
        stats_of(w, &st);
        for (uint32_t round = 0; round < 40 && st.path[0] != '\0'; round++) {
            change_rules(w);
            CHECK(mcq_steer_maps_open(&maps, st.path, NULL) == MCQ_OK);
            CHECK(mcq_steer_maps_read(maps, &tables, NULL, NULL) == MCQ_OK);
            mcq_steer_maps_destroy(maps);
            for (uint32_t i = 0; i < 25; i++)
                check_agreement(w);
        }
        if (st.path[0] == '\0')
            printf("SKIP the program and the policy on real connections: %s\n", st.reason);
    }
    done(w);
    return NULL;
}

/* --- pins ------------------------------------------------------------------------------------ */

struct seen {
    const char *path;
    bool there;
};

static bool see(void *ctx, const char *path)
{
    struct seen *s = ctx;
    s->there = s->there || strcmp(path, s->path) == 0;
    return true;
}

static char last_path[MCQ_STEER_PATH_LEN];

/* Somebody holds the lock and doesn't let go: nothing waits for it for long. */
static void check_lock(const struct mcq_steer_stats *st, const struct mcq_steer_rule *rule,
                       struct world *w)
{
    struct stat dir;
    CHECK(stat(st->path, &dir) == 0 && (dir.st_mode & 0777) == 0700);
    int fd = open(st->path, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
    CHECK(mcq_steer_remove(w->steer, rule, NULL) == MCQ_OK);
    CHECK(lands_on(w, "127.7.1.1") < SHARDS);
    close(fd);
}

static void *pins_peer(void *arg)
{
    struct world *w = arg;
    struct mcq_steer_stats st, outside;
    struct mcq_steer *other = NULL;
    const struct mcq_steer_rule rule = {.family = 4, .bits = 16, .addr = {127, 7}, .shard = 2};
    struct mcq_detail d = {.text = ""};
    if (started(w)) {
        stats_of(w, &st);
        snprintf(last_path, sizeof(last_path), "%s", st.path);
    }
    if (last_path[0] != '\0') {
        struct seen seen = {st.path, false};
        CHECK(mcq_steer_list(see, &seen, &d) == MCQ_OK && seen.there);
        CHECK(mcq_steer_open(st.path, &other, &d) == MCQ_OK);
        CHECK(mcq_steer_add(other, &rule, &d) == MCQ_OK);
        for (int i = 0; i < 5; i++)
            CHECK(lands_on(w, "127.7.1.1") == 2);
        CHECK(mcq_steer_stats(other, &outside, &d) == MCQ_OK);
        CHECK(outside.pid == (uint32_t)getpid() && strcmp(outside.name, "steered") == 0);
        CHECK(strcmp(outside.endpoint, w->endpoint) == 0 && outside.rules_cnt == 1);
        CHECK(outside.shards[2].prefix == 5);
        CHECK(mcq_steer_drain(other, 2, true, &d) == MCQ_OK);
        CHECK(lands_on(w, "127.7.1.1") != 2);
        stats_of(w, &st);
        CHECK(st.shards[2].drained && !st.shards[2].live && st.rules_cnt == 1);
        CHECK(mcq_steer_drain(other, 2, false, &d) == MCQ_OK);
        CHECK(lands_on(w, "127.7.1.1") == 2);
        check_lock(&st, &rule, w);
        mcq_steer_close(other);
    } else {
        printf("SKIP pinned maps: %s\n", st.reason);
    }
    done(w);
    return NULL;
}

static void pins(void)
{
    struct mcq_steer *gone = NULL;
    struct stat st;
    run("pins", world_new(NULL), pins_peer);
    if (last_path[0] == '\0')
        return;
    CHECK(stat(last_path, &st) != 0);
    CHECK(mcq_steer_open(last_path, &gone, NULL) == MCQ_ENOENT);
}

/* --- draining -------------------------------------------------------------------------------- */

static void hold(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    (void)shard;
    sem_post(&w->held);
    sem_wait(&w->go);
}

static void hold_and_unbind(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    hold(shard, arg);
    CHECK(mcq_sock_unbind(w->socks[mcq_shard_id(shard)], w->endpoint, NULL) == MCQ_OK);
}

static void hold_and_close(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    hold(shard, arg);
    mcq_sock_close(w->socks[mcq_shard_id(shard)]);
}

/* Connections wait at a shard that takes no turn; then its listener goes. Nobody is lost. */
static void check_migration(struct world *w, mcq_post_fn *end, bool drain)
{
    struct guest guests[GUESTS];
    CHECK(mcq_post(w->shards[1], end, w) == MCQ_OK);
    sem_wait(&w->held);
    for (uint32_t i = 0; i < GUESTS; i++)
        guests[i] = guest_begin(w, "127.2.0.1", true);
    usleep(20000); /* for those that the kernel gives to others at once */
    for (uint32_t i = 0; i < GUESTS && wanted == MCQ_STEER_RUNG_EBPF; i++)
        CHECK(atomic_load(&w->shard_of[guests[i].port]) == 0);
    if (drain)
        CHECK(mcq_steer_drain(w->steer, 1, true, NULL) == MCQ_OK);
    sem_post(&w->go);
    for (uint32_t i = 0; i < GUESTS; i++) {
        uint32_t shard = shard_of(w, &guests[i]);
        CHECK(shard < SHARDS && shard != 1);
        CHECK(is_open(&guests[i]));
        guest_end(w, &guests[i]);
    }
    for (int i = 0; i < 20; i++) {
        uint32_t shard = lands_on(w, "127.2.0.1");
        CHECK(shard == 0 || shard == 2);
    }
}

static void check_undrain(struct world *w)
{
    uint32_t shard = 0;
    CHECK(mcq_steer_drain(w->steer, 1, false, NULL) == MCQ_OK);
    for (int i = 0; i < WAIT_MS && shard != 1; i++) /* until it listens again */
        shard = lands_on(w, "127.2.0.1");
    for (int i = 0; i < 10; i++)
        CHECK(lands_on(w, "127.2.0.1") == 1);
}

static void *drain_peer(void *arg)
{
    struct world *w = arg;
    if (started(w)) {
        check_migration(w, hold, true);
        check_undrain(w);
        check_migration(w, hold, true);
        check_undrain(w);
        for (uint32_t i = 0; i < SHARDS; i++) /* all of them: they go on */
            CHECK(mcq_steer_drain(w->steer, i, true, NULL) == MCQ_OK);
        CHECK(lands_on(w, STRANGER) < SHARDS);
    }
    done(w);
    return NULL;
}

static void *unbind_peer(void *arg)
{
    struct world *w = arg;
    if (started(w)) {
        check_migration(w, hold_and_unbind, false);
        mcq_steer_close(w->steer);
    }
    mcq_stop(w->shards[0]);
    return NULL;
}

static void *close_peer(void *arg)
{
    struct world *w = arg;
    if (started(w)) {
        check_migration(w, hold_and_close, false);
        mcq_steer_close(w->steer);
    }
    mcq_stop(w->shards[0]);
    return NULL;
}

static void drains_on(enum mcq_steer_rung rung, const char *text)
{
    static const struct {
        const char *name;
        void *(*peer)(void *);
    } ends[] = {{"drains", drain_peer}, {"unbinds", unbind_peer}, {"closes", close_peer}};
    char name[64];
    for (uint32_t i = 0; i < 3; i++) {
        wanted = rung;
        snprintf(name, sizeof(name), "a shard %s, %s", ends[i].name, mcq_steer_rung_name(rung));
        run(name, world_new(text), ends[i].peer);
    }
}

/* A member that has left before anybody listened isn't made to. */
static void *fickle_peer(void *arg)
{
    struct world *w = arg;
    struct mcq_steer_stats st;
    if (started(w) && CHECK(mcq_trial_wait(&w->unbound, 1))) {
        for (int i = 0; i < 20; i++) {
            uint32_t shard = lands_on(w, "127.2.0.1"); /* whose rule names it */
            CHECK(shard == 0 || shard == 2);
        }
        stats_of(w, &st);
        CHECK(!st.shards[1].member && !st.shards[1].live && st.shards[2].live);
    }
    done(w);
    return NULL;
}

static void fickle(void)
{
    static const char *const texts[] = {RULES, RULES ",rung=cbpf", RULES ",rung=kernel",
                                        RULES ",rung=handoff"};
    for (uint32_t i = 0; i < 4; i++) {
        struct world *w = world_new(texts[i]);
        w->fickle = 1;
        run("a member leaves before it listens", w, fickle_peer);
    }
}

/* All change to a new ephemeral port, the first at once, the others when they are rid of the old
 * one: it is the same for all. */
static void let_go(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    CHECK(mcq_sock_unbind(w->socks[mcq_shard_id(shard)], w->endpoint, NULL) == MCQ_OK);
}

static void take_again(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    struct mcq_sock *sock = w->socks[mcq_shard_id(shard)];
    CHECK(mcq_sock_bind(sock, w->bind, NULL) == MCQ_OK);
    atomic_fetch_add(&w->again, 1);
    sem_post(&w->held);
}

static void let_go_and_take_again(struct mcq_shard *shard, void *arg)
{
    let_go(shard, arg);
    take_again(shard, arg);
}

static void change_port(struct world *w)
{
    char fresh[MCQ_ENDPOINT_LEN_MAX];
    CHECK(mcq_post(w->shards[1], let_go, w) == MCQ_OK);
    CHECK(mcq_trial_wait(&w->unbound, 1)); /* the others are still there */
    CHECK(mcq_post(w->shards[0], let_go_and_take_again, w) == MCQ_OK);
    sem_wait(&w->held);
    snprintf(fresh, sizeof(fresh), "%s", mcq_sock_endpoint(w->socks[0]));
    CHECK(strcmp(fresh, w->endpoint) != 0);
    CHECK(mcq_post(w->shards[1], take_again, w) == MCQ_OK);
    sem_wait(&w->held);
    CHECK(strcmp(fresh, mcq_sock_endpoint(w->socks[1])) == 0);
    CHECK(mcq_post(w->shards[2], let_go_and_take_again, w) == MCQ_OK);
    sem_wait(&w->held);
    CHECK(strcmp(fresh, mcq_sock_endpoint(w->socks[2])) == 0);
}

static void *change_peer(void *arg)
{
    struct world *w = arg;
    if (started(w))
        change_port(w);
    mcq_steer_close(w->steer);
    mcq_stop(w->shards[0]);
    return NULL;
}

/* --- who else may have the address ----------------------------------------------------------- */

static atomic_bool refused;

static int refuse_start(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    struct mcq_sock *sock;
    struct mcq_detail d = {.text = ""};
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.logical = "steered";
    if (mcq_sock_open(shard, MCQ_PULL, &opts, &handlers, NULL, &sock, NULL) != MCQ_OK)
        return 1;
    enum mcq_error err = mcq_sock_bind(sock, w->endpoint, &d);
    mcq_sock_close(sock);
    atomic_store(&refused, err == MCQ_EADDRINUSE && strstr(d.text, w->endpoint) != NULL);
    if (!atomic_load(&refused))
        printf("a second owner: %d %s\n", err, d.text);
    return 0;
}

/* The second process: begun before there are threads, it binds what it is told. */
static pid_t rival_begin(int pipe_fd)
{
    static struct world w;
    struct mcq_opts opts = mcq_trial_opts();
    const struct mcq_app app = {.start = refuse_start};
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (read(pipe_fd, w.endpoint, sizeof(w.endpoint)) != sizeof(w.endpoint))
        _exit(1);
    opts.cpus = "none";
    opts.shards = 2;
    enum mcq_error err = mcq_run(&opts, &app, &w, NULL);
    fflush(stdout);
    _exit(err == MCQ_OK && atomic_load(&refused) ? 0 : 1);
}

static void *owner_peer(void *arg)
{
    struct world *w = arg;
    int status = 1;
    if (started(w)) {
        CHECK(write(w->pipe, w->endpoint, sizeof(w->endpoint)) == sizeof(w->endpoint));
        waitpid(w->rival, &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        for (int i = 0; i < 20; i++)
            CHECK(lands_on(w, "127.1.0.1") == 0);
    }
    done(w);
    return NULL;
}

static void second_process(void)
{
    struct world *w = world_new(RULES);
    int ends[2];
    CHECK(pipe(ends) == 0);
    w->pipe = ends[1];
    w->rival = rival_begin(ends[0]);
    run("a second process", w, owner_peer);
    close(ends[0]);
    close(ends[1]);
}

/* Before anybody listens: neither another socket of this process nor a second process gets an
 * address that overlaps. */
struct early {
    const char *first, *second; /* what is bound; second: a format that takes the port */
    int pipe;
    pid_t rival;
};

static int early_start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers silent = {.event = NULL};
    struct early *e = arg;
    struct mcq_sock *first, *second;
    struct mcq_detail d = {.text = ""};
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    char text[MCQ_ENDPOINT_LEN_MAX] = "";
    int status = 1;
    opts.logical = "early";
    if (!CHECK(mcq_sock_open(shard, MCQ_PULL, &opts, &silent, NULL, &first, NULL) == MCQ_OK) ||
        !CHECK(mcq_sock_bind(first, e->first, &d) == MCQ_OK))
        return 1;
    opts.logical = "late";
    if (!CHECK(mcq_sock_open(shard, MCQ_PULL, &opts, &silent, NULL, &second, NULL) == MCQ_OK))
        return 1;
    snprintf(text, sizeof(text), "%s%s", e->second, strrchr(mcq_sock_endpoint(first), ':'));
    CHECK(mcq_sock_bind(second, text, &d) == MCQ_EADDRINUSE);
    CHECK(strstr(d.text, "overlaps") != NULL);
    CHECK(write(e->pipe, text, sizeof(text)) == sizeof(text));
    waitpid(e->rival, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mcq_sock_close(first);
    mcq_sock_close(second);
    return 0;
}

static void before_the_first_turn(const char *first, const char *second)
{
    const struct mcq_app app = {.start = early_start};
    struct mcq_opts opts = mcq_trial_opts();
    struct early e = {.first = first, .second = second};
    int ends[2];
    CHECK(pipe(ends) == 0);
    e.pipe = ends[1];
    e.rival = rival_begin(ends[0]);
    opts.cpus = "none";
    mcq_trial_watch("before the first turn");
    CHECK(mcq_run(&opts, &app, &e, NULL) == MCQ_OK);
    close(ends[0]);
    close(ends[1]);
}

/* A listener that would share: SO_REUSEPORT alone would let us steal its clients. */
static void foreign_listener(void)
{
    static struct world w;
    struct mcq_opts opts = mcq_trial_opts();
    const struct mcq_app app = {.start = refuse_start};
    const int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0);
    CHECK(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    snprintf(w.endpoint, sizeof(w.endpoint), "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    opts.cpus = "none";
    opts.shards = 2;
    CHECK(mcq_run(&opts, &app, &w, NULL) == MCQ_OK && atomic_load(&refused));
    close(fd);
}

/* --- ipc ------------------------------------------------------------------------------------- */

static void *ipc_peer(void *arg)
{
    struct world *w = arg;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd[GUESTS * 2];
    if (started(w)) {
        snprintf(un.sun_path, sizeof(un.sun_path), "%s", w->endpoint + strlen("ipc://"));
        for (uint32_t i = 0; i < GUESTS * 2; i++) {
            fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            CHECK(connect(fd[i], (struct sockaddr *)&un, sizeof(un)) == 0);
        }
        CHECK(mcq_trial_wait(&w->accepted, GUESTS * 2));
        for (uint32_t i = 0; i < SHARDS; i++)
            CHECK(atomic_load(&w->by_shard[i]) >= GUESTS / 4);
        for (uint32_t i = 0; i < GUESTS * 2; i++)
            close(fd[i]);
    }
    done(w);
    return NULL;
}

static void ipc(void)
{
    char path[64];
    struct stat st;
    struct world *w = world_new(NULL);
    snprintf(path, sizeof(path), "ipc:///tmp/mcq-steering-%d", getpid());
    w->bind = path;
    run("ipc", w, ipc_peer);
    CHECK(stat(path + strlen("ipc://"), &st) != 0);
}

/* --- in a network of its own -------------------------------------------------------------------
 */

static struct guest guest6(const struct world *w, const char *from, const char *to)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = w->at.sin_port}, src = at;
    socklen_t len = sizeof(src);
    struct guest g = {socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), 0};
    src.sin6_port = 0;
    CHECK(inet_pton(AF_INET6, from, &src.sin6_addr) == 1);
    CHECK(inet_pton(AF_INET6, to, &at.sin6_addr) == 1);
    CHECK(bind(g.fd, (struct sockaddr *)&src, sizeof(src)) == 0);
    CHECK(connect(g.fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    CHECK(getsockname(g.fd, (struct sockaddr *)&src, &len) == 0);
    g.port = ntohs(src.sin6_port);
    return g;
}

static uint32_t lands6(struct world *w, const char *from)
{
    struct guest g = guest6(w, from, "::1");
    uint32_t shard = shard_of(w, &g);
    guest_end(w, &g);
    return shard;
}

/* One listener for both families: IPv4 arrives as such, or in IPv6's clothes. */
static void *six_peer(void *arg)
{
    struct world *w = arg;
    if (started(w)) {
        for (int i = 0; i < 5; i++) {
            CHECK(lands6(w, "fd00:1::5") == 0);
            CHECK(lands6(w, "fd00:2::5") == 1);
            CHECK(lands6(w, "fd00:2::6") == 2);
            CHECK(lands_on(w, "127.1.0.7") == 2);
        }
        CHECK(mcq_steer_set(w->steer, "mode=port", NULL) == MCQ_OK);
        for (int i = 0; i < 9; i++) {
            struct guest g = guest6(w, "::1", "::1");
            CHECK(shard_of(w, &g) == g.port % SHARDS);
            guest_end(w, &g);
            g = guest_begin(w, STRANGER, true);
            CHECK(shard_of(w, &g) == g.port % SHARDS);
            guest_end(w, &g);
        }
    }
    done(w);
    return NULL;
}

static void six(void)
{
    static const char *const ladder[] = {"ebpf", "cbpf", "kernel", "handoff"};
    char text[256], name[32];
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(text, sizeof(text),
                 "fd00:1::/32=0,fd00:2::/32=1,fd00:2::6=2,127.1.0.0/16=2,rung=%s", ladder[i]);
        struct world *w = world_new(text);
        w->bind = "tcp://[::]:*";
        snprintf(name, sizeof(name), "IPv6, %s", ladder[i]);
        run(name, w, six_peer);
    }
}

/* Connections of that port whose handshake waits for its last packet. */
static uint32_t half_open(const struct world *w)
{
    char line[512];
    uint32_t cnt = 0, port, st;
    FILE *f = fopen("/proc/thread-self/net/tcp", "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, " %*d: %*8x:%x %*8x:%*x %x", &port, &st) == 2 && st == 3 &&
            port == ntohs(w->at.sin_port))
            cnt++;
    if (f != NULL)
        fclose(f);
    return cnt;
}

/* The first bytes go at once: these are they. */
static void use_up_burst(void)
{
    static const uint8_t filler[1550]; /* and headers of 42 */
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (struct sockaddr *)&at, len) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    CHECK(sendto(fd, filler, sizeof(filler), 0, (struct sockaddr *)&at, len) == sizeof(filler));
    close(fd);
}

/* The network takes seconds: a listener closes while handshakes are under way. */
static void *slow_peer(void *arg)
{
    struct world *w = arg;
    struct mcq_steer_stats st;
    struct guest guests[8];
    uint64_t migrated = 0;
    if (!started(w))
        return NULL;
    use_up_burst();
    for (uint32_t i = 0; i < 8; i++)
        guests[i] = guest_begin(w, "127.2.0.1", false);
    for (int i = 0; i < WAIT_MS && half_open(w) < 2; i++)
        usleep(1000);
    CHECK(half_open(w) >= 2 && atomic_load(&w->accepted) == 0);
    CHECK(mcq_steer_drain(w->steer, 1, true, NULL) == MCQ_OK);
    for (int i = 0; i < 3; i++) { /* it closes within a few turns */
        CHECK(mcq_post(w->shards[1], hold, w) == MCQ_OK);
        sem_wait(&w->held);
        sem_post(&w->go);
        usleep(10000);
    }
    CHECK(system("tc qdisc change dev lo root tbf rate 1gbit burst 1mb latency 30s") == 0);
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t shard = shard_of(w, &guests[i]);
        CHECK(shard == 0 || shard == 2);
        CHECK(is_open(&guests[i]));
        guest_end(w, &guests[i]);
    }
    stats_of(w, &st);
    for (uint32_t i = 0; i < SHARDS; i++)
        migrated += st.shards[i].migrated;
    CHECK(migrated > 0);
    done(w);
    return NULL;
}

static void apart(bool ebpf)
{
    int status = 1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) != 0 ||
            system("ip link set lo up && ip addr add fd00:1::5/128 dev lo && "
                   "ip addr add fd00:2::5/128 dev lo && ip addr add fd00:2::6/128 dev lo") != 0) {
            printf("SKIP a network of its own: it isn't permitted\n");
            fflush(stdout);
            _exit(0);
        }
        six();
        if (!ebpf || system("tc qdisc add dev lo root tbf rate 4kbit burst 1600 latency 30s") != 0)
            printf("SKIP handshakes that migrate: no eBPF, or no slow network to be had\n");
        else
            run("handshakes migrate", world_new(RULES), slow_peer);
        status = mcq_trial_end();
        fflush(stdout);
        _exit(status);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What a killed process has left pinned. */
static void *killed_peer(void *arg)
{
    struct world *w = arg;
    struct mcq_steer_stats st;
    (void)started(w);
    stats_of(w, &st);
    if (write(w->pipe, st.path, sizeof(st.path)) != sizeof(st.path))
        abort();
    pause();
    return NULL;
}

static void *brief_peer(void *arg)
{
    (void)started(arg);
    done(arg);
    return NULL;
}

static void left_over(bool by_bind)
{
    struct world *w = world_new(NULL);
    struct seen seen = {last_path, false};
    struct stat st;
    int ends[2];
    fflush(stdout);
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        w->pipe = ends[1];
        run("killed", w, killed_peer);
        _exit(1);
    }
    CHECK(read(ends[0], last_path, sizeof(last_path)) == sizeof(last_path));
    if (last_path[0] != '\0') {
        CHECK(stat(last_path, &st) == 0);
        CHECK(mcq_steer_list(see, &seen, NULL) == MCQ_OK && seen.there);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (last_path[0] != '\0') {
        struct mcq_steer *gone = NULL;
        CHECK(mcq_steer_open(last_path, &gone, NULL) == MCQ_ENOENT);
        seen.there = false;
        if (by_bind)
            run("after the killed one", world_new(NULL), brief_peer);
        else
            CHECK(mcq_steer_list(see, &seen, NULL) == MCQ_OK && !seen.there);
        CHECK(stat(last_path, &st) != 0);
    }
    close(ends[0]);
    close(ends[1]);
    free(w);
}

/* The number of a killed process may be another's by now: what it has left goes all the same. */
static void number_reused(void)
{
    struct world *w = world_new(NULL);
    char other[MCQ_STEER_PATH_LEN];
    struct seen seen = {other, false};
    struct stat st;
    int ends[2];
    fflush(stdout);
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        w->pipe = ends[1];
        run("killed", w, killed_peer);
        _exit(1);
    }
    CHECK(read(ends[0], last_path, sizeof(last_path)) == sizeof(last_path));
    if (last_path[0] != '\0') {
        snprintf(other, sizeof(other), MCQ_STEER_PINS_ROOT "/%d%s", (int)getppid(),
                 strchr(last_path, '-'));
        CHECK(rename(last_path, other) == 0);
        CHECK(mcq_steer_list(see, &seen, NULL) == MCQ_OK && seen.there);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (last_path[0] != '\0') {
        seen.there = false;
        CHECK(mcq_steer_list(see, &seen, NULL) == MCQ_OK && !seen.there);
        CHECK(stat(other, &st) != 0);
    }
    close(ends[0]);
    close(ends[1]);
    free(w);
}

/* Two that have the same number and the same bind, in containers: each keeps its own. */
static void twins(void)
{
    struct mcq_steer_maps *maps[2] = {NULL, NULL};
    struct mcq_detail why = {.text = ""};
    char path[2][MCQ_STEER_PATH_LEN] = {"", ""};
    struct stat st;
    bool pinned = true;
    for (int i = 0; i < 2 && pinned; i++) {
        struct mcq_steer_about about = {
            .version = MCQ_STEER_LAYOUT_VERSION, .pid = (uint32_t)getpid(), .shard_cnt = SHARDS};
        pinned = mcq_steer_maps_create(&maps[i], -1, &why) == MCQ_OK &&
                 mcq_steer_maps_tell(maps[i], &about, &why) == MCQ_OK &&
                 mcq_steer_maps_pin(maps[i], "twin", &why) == MCQ_OK;
        if (pinned)
            snprintf(path[i], sizeof(path[i]), "%s", mcq_steer_maps_path(maps[i]));
    }
    if (!pinned)
        printf("SKIP twins: %s\n", why.text);
    for (int i = 0; i < 2 && pinned; i++) {
        struct seen seen = {path[i], false};
        struct mcq_steer *steer = NULL;
        CHECK(mcq_steer_list(see, &seen, NULL) == MCQ_OK && seen.there);
        CHECK(mcq_steer_open(path[i], &steer, &why) == MCQ_OK);
        if (steer != NULL)
            mcq_steer_close(steer);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(!pinned || stat(path[i], &st) == 0);
        if (maps[i] != NULL)
            mcq_steer_maps_destroy(maps[i]);
        CHECK(!pinned || stat(path[i], &st) != 0);
    }
}

/* --- privileges ------------------------------------------------------------------------------ */

static bool drop_caps(uint64_t kept)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    for (int i = 0; i < 2; i++)
        data[i].effective = data[i].permitted = (uint32_t)(kept >> (32 * i));
    return syscall(SYS_capset, &head, data) == 0;
}

static struct mcq_steer_stats unprivileged;

static void *caps_peer(void *arg)
{
    struct world *w = arg;
    if (started(w)) {
        stats_of(w, &unprivileged);
        check_rules(w);
    }
    done(w);
    return NULL;
}

/* In a child: a program started with fewer privileges. */
static void without(const char *name, uint64_t kept, enum mcq_steer_rung rung, const char *says)
{
    int status = 1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (!drop_caps(kept)) {
            printf("SKIP %s: capset: %s\n", name, strerror(errno));
            fflush(stdout);
            _exit(0);
        }
        run(name, world_new(RULES), caps_peer);
        CHECK(unprivileged.rung == rung && strstr(unprivileged.reason, says) != NULL);
        printf("%s: %s: %s\n", name, mcq_steer_rung_name(unprivileged.rung), unprivileged.reason);
        status = mcq_trial_end();
        fflush(stdout);
        _exit(status);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    struct mcq_steer_maps *maps = NULL;
    struct mcq_detail why = {.text = ""};
    bool ebpf = mcq_steer_maps_create(&maps, -1, &why) == MCQ_OK;
    if (ebpf)
        mcq_steer_maps_destroy(maps);
    without("without CAP_BPF", 0, MCQ_STEER_RUNG_CBPF, ebpf ? "CAP_BPF" : "");
    if (ebpf)
        without("with CAP_BPF alone", UINT64_C(1) << CAP_BPF, MCQ_STEER_RUNG_EBPF, "");
    else
        printf("SKIP with CAP_BPF alone: %s\n", why.text);
    apart(ebpf);
    left_over(false);
    left_over(true);
    number_reused();
    twins();
    rules_on(MCQ_STEER_RUNG_EBPF, RULES);
    rules_on(MCQ_STEER_RUNG_CBPF, RULES ",rung=cbpf");
    rules_on(MCQ_STEER_RUNG_KERNEL, RULES ",rung=kernel");
    rules_on(MCQ_STEER_RUNG_HANDOFF, RULES ",rung=handoff");
    run("least", world_new("mode=least"), least_peer);
    run("least without eBPF", world_new("mode=least,rung=cbpf"), least_peer);
    run("agreement", world_new(NULL), agree_peer);
    pins();
    drains_on(ebpf ? MCQ_STEER_RUNG_EBPF : MCQ_STEER_RUNG_CBPF, RULES);
    drains_on(MCQ_STEER_RUNG_CBPF, RULES ",rung=cbpf");
    drains_on(MCQ_STEER_RUNG_KERNEL, RULES ",rung=kernel");
    drains_on(MCQ_STEER_RUNG_HANDOFF, RULES ",rung=handoff");
    fickle();
    run("another port", world_new(NULL), change_peer);
    second_process();
    before_the_first_turn("tcp://0.0.0.0:*", "tcp://127.0.0.1");
    before_the_first_turn("tcp://127.0.0.1:*", "tcp://0.0.0.0");
    foreign_listener();
    ipc();
    return mcq_trial_end();
}
