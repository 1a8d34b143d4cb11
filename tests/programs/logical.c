/* A ROUTER whose members are on several shards: an identity has one owner, wherever it comes in,
 * is found from every member, and is nobody's again once its peer has gone. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SHARDS     2u
#define DUELS      10000u
#define SENT       3u /* messages each duellist sends with its handshake */
#define PEERS      50u
#define HASTY      1000u
#define STUCK      24u
#define WATCHDOG_S 300

struct member {
    struct logical *t;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    char endpoint[64];
    atomic_ulong got;     /* messages, since the last UP */
    unsigned long closed; /* sockets */
};

struct found {
    uint8_t identity[MCQ_IDENTITY_LEN_MAX];
    size_t len;
    struct mcq_peer peer;
};

struct logical {
    const char *name;
    struct mcq_sock_opts opts;
    void *(*far)(void *arg);
    bool many;     /* peers at a time */
    unsigned late; /* members that `start` doesn't open: those of the last shards */
    struct member members[SHARDS];
    struct mcq_shard_stats stats[SHARDS];
    atomic_ullong owner; /* the peer that came up last */
    atomic_ulong listening, ups, gone, replaced, refused, identity, failed, closed;
    atomic_ulong done; /* posts */
    atomic_ulong go_on;
    pthread_mutex_t lock;
    struct found up[2 * PEERS];
    unsigned up_cnt;
    /* a post's */
    struct found asked;
    enum mcq_error err;
    uint64_t known; /* claims and records of all shards */
};

/* --- the shards' side ------------------------------------------------------------------------ */

static void remember(struct logical *t, struct mcq_sock *sock, struct mcq_peer peer)
{
    struct mcq_frame id;
    CHECK(mcq_peer_identity(sock, peer, &id) == MCQ_OK);
    pthread_mutex_lock(&t->lock);
    struct found *f = &t->up[t->up_cnt++ % (2 * PEERS)];
    memcpy(f->identity, id.data, id.len);
    f->len = id.len;
    f->peer = peer;
    pthread_mutex_unlock(&t->lock);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct member *m = ctx;
    struct logical *t = m->t;
    if (event->kind == MCQ_EVENT_LISTENING)
        atomic_fetch_add(&t->listening, 1);
    if (event->kind == MCQ_EVENT_UP) {
        atomic_store(&m->got, 0);
        atomic_store(&t->owner, event->peer.bits);
        remember(t, sock, event->peer);
        atomic_fetch_add(&t->ups, 1);
    }
    if (event->kind == MCQ_EVENT_DISCONNECTED) {
        atomic_fetch_add(&t->replaced, event->reason == MCQ_REASON_REPLACED ? 1 : 0);
        atomic_fetch_add(&t->gone, 1);
    }
    if (event->kind == MCQ_EVENT_REFUSED) {
        atomic_fetch_add(&t->identity, event->reason == MCQ_REASON_IDENTITY ? 1 : 0);
        atomic_fetch_add(&t->refused, 1);
    }
    if (event->kind == MCQ_EVENT_HANDSHAKE_FAILED)
        atomic_fetch_add(&t->failed, 1);
}

/* Whoever isn't the last that came up has ended before that one could come up. */
static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct member *m = ctx;
    (void)sock;
    (void)msg;
    CHECK(m->t->many || from.bits == atomic_load(&m->t->owner));
    atomic_fetch_add(&m->got, 1);
    return MCQ_CONTINUE;
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct member *m = ctx;
    (void)sock;
    m->sock = NULL;
    atomic_fetch_add(&m->t->closed, 1);
}

static const struct mcq_sock_handlers handlers = {
    .event = on_event, .message = on_message, .closed = on_closed};

/* Other words for the same, so that each member has a port to itself. */
static const char *const own_ports[SHARDS] = {"tcp://127.0.0.1:*", "tcp://127.0.0.1:0"};

static void open_member(struct mcq_shard *shard, struct logical *t)
{
    struct member *m = &t->members[mcq_shard_id(shard)];
    m->t = t;
    m->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_ROUTER, &t->opts, &handlers, m, &m->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(m->sock, own_ports[mcq_shard_id(shard)], NULL) == MCQ_OK);
    snprintf(m->endpoint, sizeof(m->endpoint), "%s", mcq_sock_endpoint(m->sock));
}

static int start(struct mcq_shard *shard, void *arg)
{
    struct logical *t = arg;
    t->members[mcq_shard_id(shard)].shard = shard;
    if (mcq_shard_id(shard) < SHARDS - t->late)
        open_member(shard, t);
    return 0;
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    struct logical *t = arg;
    mcq_shard_stats(shard, &t->stats[mcq_shard_id(shard)]);
}

static void do_open(struct mcq_shard *shard, void *arg)
{
    struct logical *t = arg;
    open_member(shard, t);
    atomic_fetch_add(&t->done, 1);
}

static void do_close(struct mcq_shard *shard, void *arg)
{
    struct logical *t = arg;
    mcq_sock_close(t->members[mcq_shard_id(shard)].sock);
    atomic_fetch_add(&t->done, 1);
}

static void do_find(struct mcq_shard *shard, void *arg)
{
    struct logical *t = arg;
    t->err = mcq_peer_find(t->members[mcq_shard_id(shard)].sock, t->asked.identity, t->asked.len,
                           &t->asked.peer);
    atomic_fetch_add(&t->done, 1);
}

static void do_sleep(struct mcq_shard *shard, void *arg)
{
    struct logical *t = arg;
    (void)shard;
    atomic_fetch_add(&t->done, 1);
    CHECK(mcq_trial_wait(&t->go_on, 1));
}

static void do_count(struct mcq_shard *shard, void *arg)
{
    struct logical *t = arg;
    struct mcq_shard_stats stats;
    mcq_shard_stats(shard, &stats);
    t->known += stats.directory.claims_now + stats.directory.records_now;
    atomic_fetch_add(&t->done, 1);
}

/* --- the far side ---------------------------------------------------------------------------- */

static void post(struct logical *t, unsigned shard, mcq_post_fn *fn)
{
    unsigned long before = t->done;
    CHECK(mcq_post(t->members[shard].shard, fn, t) == MCQ_OK);
    CHECK(mcq_trial_wait_quick(&t->done, before + 1));
}

/* Until that member says so; false: it doesn't. */
static bool answers(struct logical *t, unsigned shard, const struct found *f, enum mcq_error err)
{
    for (unsigned i = 0; i < 5000; i++) {
        t->asked = *f;
        t->asked.peer.bits = 0;
        post(t, shard, do_find);
        if (t->err == err)
            return err != MCQ_OK || mcq_peer_equal(t->asked.peer, f->peer);
        usleep(1000);
    }
    return false;
}

/* Until nobody claims anything, nor knows of anybody. */
static bool forgets(struct logical *t)
{
    for (unsigned i = 0; i < 5000; i++) {
        t->known = 0;
        for (unsigned s = 0; s < SHARDS; s++)
            post(t, s, do_count);
        if (t->known == 0)
            return true;
        usleep(1000);
    }
    return false;
}

/* Handshake and messages in one go, and not waiting for anything. */
static void burst(int fd, const char *identity, unsigned msgs)
{
    struct mcq_text out = {NULL, 0, 0};
    mcq_raw_greeting(&out);
    mcq_raw_ready(&out, "DEALER", identity);
    for (unsigned i = 0; i < msgs; i++)
        mcq_raw_frame(&out, 0, "hello", 5);
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

static void hung(int sig)
{
    static const char text[] = "FAILED: hung\n";
    (void)sig;
    if (write(1, text, sizeof(text) - 1) < 0)
        _exit(2);
    abort();
}

static struct logical *logical_new(const char *name)
{
    struct logical *t = calloc(1, sizeof(*t));
    if (t == NULL)
        abort();
    t->name = name;
    t->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    t->opts.logical = "gate";
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void run(struct logical *t, void *(*far)(void *))
{
    const struct mcq_app app = {.start = start, .on_stop = on_stop};
    struct mcq_opts opts = mcq_trial_opts();
    struct mcq_detail detail = {.text = ""};
    pthread_t thread;
    opts.shards = SHARDS;
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
    for (unsigned i = 0; i < SHARDS; i++)
        CHECK(t->stats[i].pattern.peers_now == 0 && t->stats[i].directory.records_empty == 0);
}

static void logical_free(struct logical *t)
{
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static uint64_t sum(const struct logical *t, size_t offset)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        uint64_t one;
        memcpy(&one, (const char *)&t->stats[i] + offset, sizeof(one));
        all += one;
    }
    return all;
}

#define SUM(t, counter) sum(t, offsetof(struct mcq_shard_stats, counter))

/* --- the same identity on both shards at once ------------------------------------------------- */

/* One round: both come, one stays; returns their descriptors. */
static void meet(struct logical *t, unsigned round, int fds[SHARDS])
{
    char identity[32];
    snprintf(identity, sizeof(identity), "duel-%u", round);
    if (round % 1000 == 0)
        alarm(WATCHDOG_S);
    for (unsigned i = 0; i < SHARDS; i++)
        fds[i] = mcq_raw_connect(t->members[i].endpoint, 0);
    for (unsigned i = 0; i < SHARDS; i++)
        burst(fds[(i + round) % SHARDS], identity, SENT);
}

static void part(struct logical *t, unsigned round, const int fds[SHARDS], unsigned long gone)
{
    struct member *m = &t->members[atomic_load(&t->owner) >> 56];
    CHECK(mcq_trial_wait_quick(&m->got, SENT));
    for (unsigned i = 0; i < SHARDS; i++)
        mcq_raw_reset(fds[i]);
    CHECK(mcq_trial_wait_quick(&t->gone, (round + 1) * gone));
}

static void *duel_rejected(void *arg)
{
    struct logical *t = arg;
    int fds[SHARDS];
    mcq_trial_wait(&t->listening, SHARDS - t->late);
    for (unsigned i = 0; i < DUELS; i++) {
        meet(t, i, fds);
        CHECK(mcq_trial_wait_quick(&t->ups, i + 1));
        CHECK(mcq_trial_wait_quick(&t->refused, i + 1));
        part(t, i, fds, 1);
        if (!CHECK(t->ups == i + 1 && t->refused == i + 1))
            break;
    }
    CHECK(forgets(t));
    mcq_stop(t->members[0].shard);
    return NULL;
}

static void rejected(void)
{
    struct logical *t = logical_new("10,000 duels, reject");
    run(t, duel_rejected);
    CHECK(SUM(t, directory.claims) == 2 * DUELS);
    CHECK(SUM(t, directory.grants) == DUELS);
    CHECK(SUM(t, directory.refusals) == DUELS);
    CHECK(SUM(t, pattern.peers_refused) == DUELS && SUM(t, pattern.ghosts) == 0);
    CHECK(SUM(t, disconnects[MCQ_REASON_IDENTITY]) == DUELS && t->identity == DUELS);
    CHECK(SUM(t, directory.revokes) == 0);
    logical_free(t);
}

/* Both are granted, one after the other's end. */
static void *duel_replaced(void *arg)
{
    struct logical *t = arg;
    int fds[SHARDS];
    mcq_trial_wait(&t->listening, SHARDS - t->late);
    for (unsigned i = 0; i < DUELS; i++) {
        meet(t, i, fds);
        CHECK(mcq_trial_wait_quick(&t->ups, 2 * (i + 1)));
        CHECK(mcq_trial_wait_quick(&t->replaced, i + 1));
        part(t, i, fds, 2);
        if (!CHECK(t->ups == 2 * (i + 1) && t->replaced == i + 1 && t->refused == 0))
            break;
    }
    CHECK(forgets(t));
    mcq_stop(t->members[0].shard);
    return NULL;
}

static void replaced(void)
{
    struct logical *t = logical_new("10,000 duels, replace");
    t->opts.identity_policy = MCQ_IDENTITY_REPLACE;
    run(t, duel_replaced);
    CHECK(SUM(t, directory.grants) == 2 * DUELS && SUM(t, directory.revokes) == DUELS);
    CHECK(SUM(t, pattern.ghosts) == DUELS && SUM(t, pattern.peers_refused) == 0);
    CHECK(SUM(t, disconnects[MCQ_REASON_REPLACED]) == DUELS);
    logical_free(t);
}

/* --- names that nobody announced -------------------------------------------------------------- */

static void *nameless(void *arg)
{
    struct logical *t = arg;
    int fds[2 * PEERS];
    mcq_trial_wait(&t->listening, SHARDS - t->late);
    for (unsigned i = 0; i < 2 * PEERS; i++) {
        fds[i] = mcq_raw_connect(t->members[i % SHARDS].endpoint, 0);
        burst(fds[i], NULL, 0);
    }
    CHECK(mcq_trial_wait(&t->ups, 2 * PEERS));
    for (unsigned i = 0; i < 2 * PEERS; i++) {
        const struct found *f = &t->up[i];
        CHECK(f->len == 5 && f->identity[0] == 0);
        for (unsigned k = 0; k < i; k++)
            CHECK(memcmp(f->identity, t->up[k].identity, 5) != 0);
        for (unsigned s = 0; s < SHARDS; s++)
            CHECK(answers(t, s, f, MCQ_OK));
    }
    for (unsigned i = 0; i < 2 * PEERS; i++)
        mcq_raw_close(fds[i]);
    for (unsigned i = 0; i < 2 * PEERS; i++)
        for (unsigned s = 0; s < SHARDS; s++)
            CHECK(answers(t, s, &t->up[i], MCQ_ENOENT));
    CHECK(forgets(t));
    mcq_stop(t->members[0].shard);
    return NULL;
}

static void generated(void)
{
    struct logical *t = logical_new("generated identities");
    run(t, nameless);
    CHECK(SUM(t, directory.grants) == 2 * PEERS && SUM(t, directory.refusals) == 0);
    logical_free(t);
}

/* --- those who don't wait ----------------------------------------------------------------------
 */

/* Gone again while they are being claimed, granted or refused; few names for many. */
static void *in_haste(void *arg)
{
    struct logical *t = arg;
    char identity[256];
    mcq_trial_wait(&t->listening, SHARDS - t->late);
    for (unsigned i = 0; i < HASTY; i++) {
        int fd = mcq_raw_connect(t->members[i % SHARDS].endpoint, 0);
        snprintf(identity, sizeof(identity), "%0*u", i % 3 == 0 ? 200 : 10, i / 2 % 4);
        burst(fd, identity, 0);
        if (i % 4 == 0)
            usleep(i % 128);
        mcq_raw_reset(fd);
    }
    CHECK(forgets(t));
    mcq_stop(t->members[1].shard);
    return NULL;
}

static void hasty(enum mcq_identity_policy policy)
{
    struct logical *t = logical_new("peers in haste");
    t->opts.identity_policy = policy;
    run(t, in_haste);
    CHECK(t->ups == t->gone);
    CHECK(SUM(t, directory.claims_empty) == 0);
    logical_free(t);
}

/* --- a shard that doesn't answer ---------------------------------------------------------------
 */

/* Those whose identity it decides about are given up in time, and leave nothing behind. */
static void *wait_in_vain(void *arg)
{
    struct logical *t = arg;
    int fds[STUCK];
    char identity[32];
    mcq_trial_wait(&t->listening, SHARDS - t->late);
    post(t, 1, do_sleep);
    for (unsigned i = 0; i < STUCK; i++) {
        snprintf(identity, sizeof(identity), "stuck-%u", i);
        fds[i] = mcq_raw_connect(t->members[0].endpoint, 0);
        burst(fds[i], identity, SENT);
    }
    while (t->ups + t->failed < STUCK)
        usleep(1000);
    CHECK(t->failed != 0 && t->gone == 0 && t->refused == 0);
    atomic_store(&t->go_on, 1);
    for (unsigned i = 0; i < STUCK; i++)
        mcq_raw_close(fds[i]);
    CHECK(forgets(t));
    CHECK(t->ups + t->failed == STUCK);
    mcq_stop(t->members[0].shard);
    return NULL;
}

static void stuck(void)
{
    struct logical *t = logical_new("a shard that doesn't answer");
    t->opts.handshake_ms = 200;
    t->many = true;
    run(t, wait_in_vain);
    CHECK(SUM(t, disconnects[MCQ_REASON_HANDSHAKE]) == t->failed);
    CHECK(SUM(t, proto.handshakes_expired) == t->failed);
    logical_free(t);
}

/* --- members that come and go ------------------------------------------------------------------
 */

static void *come_and_go(void *arg)
{
    struct logical *t = arg;
    int early[PEERS], late[PEERS];
    char identity[32];
    mcq_trial_wait(&t->listening, SHARDS - t->late);
    for (unsigned i = 0; i < PEERS; i++) {
        snprintf(identity, sizeof(identity), "early-%u", i);
        early[i] = mcq_raw_connect(t->members[0].endpoint, 0);
        burst(early[i], identity, 0);
    }
    CHECK(mcq_trial_wait(&t->ups, PEERS));
    for (unsigned times = 0; times < 3; times++) {
        const unsigned base = PEERS; /* of those that came last */
        t->up_cnt = base;
        post(t, 1, do_open);
        CHECK(mcq_trial_wait(&t->listening, times + 2));
        for (unsigned i = 0; i < PEERS; i++)
            CHECK(answers(t, 1, &t->up[i], MCQ_OK));
        for (unsigned i = 0; i < PEERS; i++) {
            snprintf(identity, sizeof(identity), "late-%u", i);
            late[i] = mcq_raw_connect(t->members[1].endpoint, 0);
            burst(late[i], identity, 0);
        }
        CHECK(mcq_trial_wait(&t->ups, (times + 2) * PEERS));
        for (unsigned i = 0; i < PEERS; i++)
            CHECK(answers(t, 0, &t->up[base + i], MCQ_OK));
        post(t, 1, do_close);
        CHECK(mcq_trial_wait(&t->closed, times + 1));
        for (unsigned i = 0; i < PEERS; i++) {
            CHECK(answers(t, 0, &t->up[base + i], MCQ_ENOENT));
            CHECK(answers(t, 0, &t->up[i], MCQ_OK));
            mcq_raw_close(late[i]);
        }
    }
    for (unsigned i = 0; i < PEERS; i++)
        mcq_raw_close(early[i]);
    CHECK(forgets(t));
    mcq_stop(t->members[0].shard);
    return NULL;
}

static void members(void)
{
    struct logical *t = logical_new("a member that comes and goes");
    t->late = 1;
    run(t, come_and_go);
    logical_free(t);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    generated();
    members();
    stuck();
    hasty(MCQ_IDENTITY_REJECT);
    hasty(MCQ_IDENTITY_REPLACE);
    rejected();
    replaced();
    return mcq_trial_end();
}
