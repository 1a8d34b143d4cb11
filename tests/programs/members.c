/* Members of a logical socket: what one publishes reaches the peers of all, filtered before it
 * crosses; an XPUB's user hears of a topic when all members know of it; a PUSH without peers of its
 * own uses those of others, and its own first. The peers are sockets of the same app, each joined
 * to the member of its shard by inproc. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/trial.h"

#define SHARDS_MAX 4u

static struct mcq_opts shards_opts(uint32_t shards)
{
    struct mcq_opts opts = mcq_trial_opts();
    opts.shards = shards;
    return opts;
}

struct place {
    struct mcq_shard *shard;
    struct mcq_sock *member, *peer;
    char name[32];
    struct mcq_shard_stats stats;
};

static struct place places[SHARDS_MAX];

static struct mcq_shard_stats stats_of(const struct place *p)
{
    struct mcq_shard_stats stats;
    mcq_shard_stats(p->shard, &stats);
    return stats;
}

/* The member on this shard, bound to a name of its own. */
static bool open_member(struct mcq_shard *shard, enum mcq_sock_type type,
                        const struct mcq_sock_opts *opts, const struct mcq_sock_handlers *handlers,
                        void *ctx)
{
    struct place *p = &places[mcq_shard_id(shard)];
    struct mcq_sock_opts own = *opts;
    memset(p, 0, sizeof(*p));
    p->shard = shard;
    own.logical = "all";
    snprintf(p->name, sizeof(p->name), "inproc://member-%u", mcq_shard_id(shard));
    return CHECK(mcq_sock_open(shard, type, &own, handlers, ctx, &p->member, NULL) == MCQ_OK) &&
           CHECK(mcq_sock_bind(p->member, p->name, NULL) == MCQ_OK);
}

static bool open_peer(struct mcq_shard *shard, enum mcq_sock_type type,
                      const struct mcq_sock_handlers *handlers, void *ctx)
{
    struct place *p = &places[mcq_shard_id(shard)];
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    return CHECK(mcq_sock_open(shard, type, &opts, handlers, ctx, &p->peer, NULL) == MCQ_OK) &&
           CHECK(mcq_sock_connect(p->peer, p->name, NULL) == MCQ_OK);
}

static void post(struct mcq_shard *shard, uint32_t to, mcq_post_fn *fn, void *arg)
{
    CHECK(mcq_post(mcq_shard_at(shard, to), fn, arg) == MCQ_OK);
}

/* --- publishing ------------------------------------------------------------------------------- */

/* Shard 0 publishes "a" and "b" in turns; the peers of shard 1 want both, those of 2 want "b", and
 * nobody on 3 wants anything. Each hears of its topics in order, and only what is wanted crosses.
 */
struct feed {
    unsigned long total, sent;
    unsigned long heard[SHARDS_MAX];
    atomic_ulong done, ready;
    struct mcq_timer *timer;
};

static char topic_at(unsigned long nr)
{
    return nr % 2 == 0 ? 'a' : 'b';
}

static void publish(struct mcq_shard *shard, void *arg)
{
    struct feed *f = arg;
    (void)shard;
    for (; f->sent < f->total; f->sent++) {
        char text[64] = "";
        snprintf(text, sizeof(text), "%c%lu", topic_at(f->sent), f->sent);
        enum mcq_error err = mcq_send_bytes(places[0].member, text, sizeof(text));
        if (err == MCQ_EAGAIN)
            return;
        CHECK(err == MCQ_OK);
    }
}

static void on_room(void *ctx, struct mcq_sock *sock)
{
    if (sock == places[0].member)
        publish(mcq_sock_shard(sock), ctx);
}

static enum mcq_flow on_feed(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *m)
{
    struct feed *f = ctx;
    uint32_t id = mcq_shard_id(mcq_sock_shard(sock));
    unsigned long nr = strtoul((const char *)m->data + 1, NULL, 10);
    (void)from;
    if (id == 2)
        CHECK(nr == 2 * f->heard[id] + 1);
    else
        CHECK(nr == f->heard[id]);
    CHECK(id == 1 || id == 2);
    if (++f->heard[id] == (id == 2 ? f->total / 2 : f->total) && ++f->done == 2)
        mcq_stop(mcq_sock_shard(sock));
    return MCQ_CONTINUE;
}

/* XPUB's word for it: every member knows of the topic. Three topics in all. */
static void on_wanted(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                      const void *topic, size_t len)
{
    struct feed *f = ctx;
    (void)peer;
    (void)topic;
    if (added && CHECK(len == 1) && ++f->ready == 3)
        post(mcq_sock_shard(sock), 0, publish, f);
}

static const struct mcq_sock_handlers feeding = {.writable = on_room, .subscription = on_wanted};
static const struct mcq_sock_handlers fed = {.message = on_feed};

static int feed_start(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    uint32_t id = mcq_shard_id(shard);
    opts.slow = MCQ_SLOW_BLOCK;
    opts.send_hwm_msgs = 50;
    if (!open_member(shard, MCQ_XPUB, &opts, &feeding, arg))
        return 1;
    if (id != 1 && id != 2)
        return 0;
    if (!open_peer(shard, MCQ_SUB, &fed, arg))
        return 1;
    CHECK(id == 2 || mcq_subscribe(places[id].peer, "a", 1) == MCQ_OK);
    return mcq_subscribe(places[id].peer, "b", 1) == MCQ_OK ? 0 : 1;
}

static void feed_stop(struct mcq_shard *shard, void *arg)
{
    struct place *p = &places[mcq_shard_id(shard)];
    (void)arg;
    p->stats = stats_of(p);
}

static const struct mcq_trial *running;
static int start_it(struct mcq_shard *shard, void *arg)
{
    return running->start(shard, arg);
}

/* As mcq_trial_run, with the stats of all shards in places. */
static void run_all(const struct mcq_trial *trial)
{
    const struct mcq_app app = {.start = start_it, .on_stop = feed_stop};
    struct mcq_detail detail = {.text = ""};
    running = trial;
    mcq_trial_watch(trial->name);
    if (!CHECK(mcq_run(&trial->opts, &app, trial->arg, &detail) == MCQ_OK))
        printf("  %s: %s\n", trial->name, detail.text);
    mcq_trial_watch(NULL);
    for (uint32_t i = 0; i < trial->opts.shards; i++) {
        CHECK(places[i].stats.pattern.peers_now == 0);
        CHECK(places[i].stats.bridge.bridges_now == 0 && places[i].stats.bridge.stale == 0);
    }
}

static void feeds(void)
{
    static struct feed f;
    f = (struct feed){.total = 4000};
    const struct mcq_trial trial = {"feeds", shards_opts(4), feed_start, NULL, &f};
    run_all(&trial);
    CHECK(f.heard[1] == f.total && f.heard[2] == f.total / 2);
    CHECK(places[1].stats.bridge.msgs_in == f.total);
    CHECK(places[2].stats.bridge.msgs_in == f.total / 2);
    CHECK(places[3].stats.bridge.msgs_in == 0);
    CHECK(places[0].stats.pattern.again != 0);
}

/* --- who is told when ------------------------------------------------------------------------- */

/* One topic after the other: as soon as the XPUB of shard 1 hears that it is wanted, shard 0
 * publishes to it, once. None may be missed. */
struct rounds {
    unsigned total, at;
    bool welcome; /* the peer's first word is the welcome, then the rounds begin */
    unsigned topic_len;
};

static void topic_of(const struct rounds *r, unsigned nr, char *text)
{
    memset(text, 't', r->topic_len);
    char tail[16];
    snprintf(tail, sizeof(tail), "%06u", nr);
    memcpy(text + r->topic_len - 6, tail, 6);
}

static void want_next(struct rounds *r)
{
    static char text[MCQ_TOPIC_LEN_MAX];
    topic_of(r, r->at, text);
    CHECK(mcq_subscribe(places[1].peer, text, r->topic_len) == MCQ_OK);
}

static void say_once(struct mcq_shard *shard, void *arg)
{
    const struct rounds *r = arg;
    static char text[MCQ_TOPIC_LEN_MAX];
    (void)shard;
    topic_of(r, r->at, text);
    CHECK(mcq_send_bytes(places[0].member, text, r->topic_len) == MCQ_OK);
}

static void on_known(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                     const void *topic, size_t len)
{
    struct rounds *r = ctx;
    (void)peer;
    (void)topic;
    if (!added || len != r->topic_len)
        return;
    CHECK(mcq_shard_id(mcq_sock_shard(sock)) == 1);
    post(mcq_sock_shard(sock), 0, say_once, r);
}

static enum mcq_flow on_round(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *m)
{
    struct rounds *r = ctx;
    (void)from;
    if (r->welcome) {
        r->welcome = false;
        CHECK(m->len == 7 && memcmp(m->data, "welcome", 7) == 0);
        want_next(r);
        return MCQ_CONTINUE;
    }
    CHECK(m->len == r->topic_len);
    if (++r->at == r->total)
        mcq_stop(mcq_sock_shard(sock));
    else
        want_next(r);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers known = {.subscription = on_known};
static const struct mcq_sock_handlers round_peer = {.message = on_round};

static int rounds_start(struct mcq_shard *shard, void *arg)
{
    struct rounds *r = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    if (r->welcome) {
        opts.welcome = "welcome";
        opts.welcome_len = 7;
    }
    if (!open_member(shard, MCQ_XPUB, &opts, &known, arg))
        return 1;
    if (mcq_shard_id(shard) != 1)
        return 0;
    if (!open_peer(shard, MCQ_SUB, &round_peer, arg))
        return 1;
    if (r->welcome)
        return mcq_subscribe(places[1].peer, "w", 1) == MCQ_OK ? 0 : 1;
    want_next(r);
    return 0;
}

/* Short topics, ones that take more than a record, and more than a summary holds. */
static void told(unsigned total, unsigned topic_len, bool welcome, uint32_t shards)
{
    static struct rounds r;
    r = (struct rounds){.total = total, .topic_len = topic_len, .welcome = welcome};
    const struct mcq_trial trial = {"told", shards_opts(shards), rounds_start, NULL, &r};
    run_all(&trial);
    CHECK(r.at == r.total);
}

/* --- sharing work ----------------------------------------------------------------------------- */

/* Shard 0 pushes: the first part while only the other shards have a peer, until each has got
 * something, the second once it has one of its own. */
#define PART 10000u

struct work {
    unsigned long first, total, sent;
    atomic_ulong heard[SHARDS_MAX], all;
    uint32_t shards;
    uint32_t ready; /* of the others: their peer is up */
    bool own;       /* shard 0 has one, too */
    unsigned long next[SHARDS_MAX];
    enum mcq_sock_type type;
};

static void push(struct work *w)
{
    static uint8_t body[200000];
    if (w->ready + 1 < w->shards)
        return;
    while (w->sent < (w->own ? w->total : w->first)) {
        size_t len = w->sent % 64 == 0 ? sizeof(body) : 32;
        memcpy(body, &w->sent, sizeof(w->sent));
        enum mcq_error err = mcq_send_bytes(places[0].member, body, len);
        if (err == MCQ_EAGAIN)
            return;
        CHECK(err == MCQ_OK);
        w->sent++;
    }
}

static void one_ready(struct mcq_shard *shard, void *arg)
{
    struct work *w = arg;
    (void)shard;
    w->ready++;
    push(w);
}

static void on_push_room(void *ctx, struct mcq_sock *sock)
{
    if (mcq_shard_id(mcq_sock_shard(sock)) == 0)
        push(ctx);
}

static enum mcq_flow on_work(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *m);
static const struct mcq_sock_handlers working = {.message = on_work};

static void add_own(struct mcq_shard *shard, void *arg)
{
    const struct work *w = arg;
    open_peer(shard, w->type == MCQ_PUSH ? MCQ_PULL : MCQ_DEALER, &working, arg);
}

/* What was sent has arrived. That a member has a peer is known here a little after the peer is. */
static void first_done(struct mcq_shard *shard, void *arg)
{
    struct work *w = arg;
    bool all_heard = true;
    for (uint32_t i = 1; i < w->shards; i++)
        all_heard = all_heard && w->heard[i] != 0;
    if (all_heard) {
        add_own(shard, arg);
        return;
    }
    w->first += PART;
    w->total += PART;
    push(w);
}

static enum mcq_flow on_work(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *m)
{
    struct work *w = ctx;
    struct mcq_shard *shard = mcq_sock_shard(sock);
    uint32_t id = mcq_shard_id(shard);
    unsigned long nr;
    (void)from;
    memcpy(&nr, m->data, sizeof(nr));
    CHECK(m->len == (nr % 64 == 0 ? 200000 : 32));
    CHECK(nr >= w->next[id]); /* in order, as far as it is sent here */
    w->next[id] = nr + 1;
    w->heard[id]++;
    unsigned long all = ++w->all;
    if (all == w->first)
        post(shard, 0, first_done, w);
    if (all == w->total)
        mcq_stop(shard);
    return MCQ_CONTINUE;
}

static void on_push_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct work *w = ctx;
    CHECK(event->kind != MCQ_EVENT_UP || mcq_sock_peer_cnt(sock) == 1);
    if (event->kind != MCQ_EVENT_UP)
        return;
    if (sock != places[0].member) {
        post(mcq_sock_shard(sock), 0, one_ready, w);
        return;
    }
    w->own = true;
    push(w);
}

static const struct mcq_sock_handlers pushing = {.writable = on_push_room, .event = on_push_event};

static int work_start(struct mcq_shard *shard, void *arg)
{
    struct work *w = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_msgs = 20;
    if (!open_member(shard, w->type, &opts, &pushing, arg))
        return 1;
    if (mcq_shard_id(shard) == 0) {
        uint64_t none = 0;
        return mcq_send_bytes(places[0].member, &none, 8) == MCQ_EAGAIN ? 0 : 1;
    }
    return open_peer(shard, w->type == MCQ_PUSH ? MCQ_PULL : MCQ_DEALER, &working, arg) ? 0 : 1;
}

static void works(enum mcq_sock_type type, uint32_t shards)
{
    static struct work w;
    w = (struct work){.first = PART, .total = 2 * PART, .shards = shards, .type = type};
    const struct mcq_trial trial = {"works", shards_opts(shards), work_start, NULL, &w};
    run_all(&trial);
    CHECK(w.all == w.total);
    CHECK(w.heard[0] == w.total - w.first);
    for (uint32_t i = 1; i < shards; i++)
        if (!CHECK(w.heard[i] != 0 && w.heard[i] == places[i].stats.bridge.msgs_in))
            printf("  shard %u: %lu of %llu\n", i, w.heard[i],
                   (unsigned long long)places[i].stats.bridge.msgs_in);
    CHECK(places[0].stats.pattern.again != 0);
}

/* --- more topics than a summary holds --------------------------------------------------------- */

/* With more than MCQ_MEMBER_TOPICS_MAX everything crosses; once all but one have ended, only what
 * is wanted does again. */
#define MANY   1100u
#define NOISE  100u
#define ROUNDS 3u

struct flood {
    unsigned wanted, said;
};

static void many(bool on)
{
    for (unsigned i = 0; i < MANY; i++) {
        char topic[16];
        snprintf(topic, sizeof(topic), "t%06u", i);
        CHECK((on ? mcq_subscribe(places[1].peer, topic, 7)
                  : mcq_unsubscribe(places[1].peer, topic, 7)) == MCQ_OK);
    }
}

static void say_noise(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    for (unsigned i = 0; i < NOISE; i++)
        CHECK(mcq_send_bytes(places[0].member, "noise", 5) == MCQ_OK);
    CHECK(mcq_send_bytes(places[0].member, "wanted", 6) == MCQ_OK);
}

/* The last word of each round is known: so are all before it. */
static void flood_known(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                        const void *topic, size_t len)
{
    struct flood *f = ctx;
    (void)peer;
    f->wanted += added && len == 7 ? 1 : 0;
    if (added && len == 5 && memcmp(topic, "round", 5) == 0)
        post(mcq_sock_shard(sock), 0, say_noise, f);
}

static enum mcq_flow flood_heard(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                 struct mcq_msg *m)
{
    struct flood *f = ctx;
    (void)from;
    CHECK(m->len == 6);
    f->said++;
    CHECK(stats_of(&places[1]).bridge.msgs_in == f->said + (f->said + 1) / 2 * NOISE);
    CHECK(f->wanted == (f->said + 1) / 2 * MANY);
    if (f->said == ROUNDS) {
        mcq_stop(mcq_sock_shard(sock));
        return MCQ_CONTINUE;
    }
    CHECK(mcq_unsubscribe(sock, "round", 5) == MCQ_OK);
    many(f->said % 2 == 0);
    CHECK(mcq_subscribe(sock, "round", 5) == MCQ_OK);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers flooding = {.subscription = flood_known};
static const struct mcq_sock_handlers flooded = {.message = flood_heard};

static int flood_start(struct mcq_shard *shard, void *arg)
{
    const struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    if (!open_member(shard, MCQ_XPUB, &opts, &flooding, arg))
        return 1;
    if (mcq_shard_id(shard) != 1)
        return 0;
    if (!open_peer(shard, MCQ_SUB, &flooded, arg))
        return 1;
    CHECK(mcq_subscribe(places[1].peer, "wanted", 6) == MCQ_OK);
    many(true);
    return mcq_subscribe(places[1].peer, "round", 5) == MCQ_OK ? 0 : 1;
}

static void floods(uint32_t shards)
{
    static struct flood f;
    f = (struct flood){.said = 0};
    const struct mcq_trial trial = {"floods", shards_opts(shards), flood_start, NULL, &f};
    run_all(&trial);
    CHECK(f.said == ROUNDS);
}

/* --- members that come and go ----------------------------------------------------------------- */

/* Shard 0's member is closed and opened anew while shard 1's opens: whoever was the later one opens
 * the channel, and there is exactly one. */
#define MEETINGS 4000u
#define CALM     100u /* turns in which nothing changes */

struct meeting {
    unsigned nr, wait, alone[2];
    atomic_uint met;
};

static const struct mcq_sock_handlers comer;

static void come(struct mcq_shard *shard, void *arg)
{
    struct place *p = &places[mcq_shard_id(shard)];
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.logical = "meeting";
    opts.linger_ms = MCQ_NONE;
    p->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUB, &opts, &comer, arg, &p->member, NULL) == MCQ_OK);
}

static void go(struct mcq_shard *shard, void *arg);

/* Until the channel is there, and alone; with two of them it would be for ever. */
static void meet(struct mcq_shard *shard, void *arg)
{
    struct meeting *m = arg;
    const uint32_t id = mcq_shard_id(shard);
    m->alone[id] = stats_of(&places[id]).bridge.bridges_now == 1 ? m->alone[id] + 1 : 0;
    if (m->alone[id] < CALM) {
        post(shard, id, meet, m);
        return;
    }
    if (++m->met != 2)
        return;
    m->met = 0;
    if (++m->nr == MEETINGS)
        mcq_stop(shard);
    else
        post(shard, 1, go, m);
}

static void come_late(struct mcq_shard *shard, void *arg)
{
    struct meeting *m = arg;
    if (m->wait != 0) {
        m->wait--;
        post(shard, 1, come_late, m);
        return;
    }
    come(shard, m);
    meet(shard, m);
}

static void leave(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mcq_sock_close(places[mcq_shard_id(shard)].member);
}

static void go(struct mcq_shard *shard, void *arg)
{
    leave(shard, arg);
}

/* Shard 1's has gone: both come again. */
static void came_off(void *ctx, struct mcq_sock *sock)
{
    struct meeting *m = ctx;
    struct mcq_shard *shard = mcq_sock_shard(sock);
    const uint32_t id = mcq_shard_id(shard);
    if (m->nr == MEETINGS)
        return;
    m->alone[id] = 0;
    if (id == 0) {
        come(shard, m);
        meet(shard, m);
        return;
    }
    m->wait = m->nr * 7 % 128;
    post(shard, 0, leave, m);
    come_late(shard, m);
}

static const struct mcq_sock_handlers comer = {.closed = came_off};

static int meeting_start(struct mcq_shard *shard, void *arg)
{
    come(shard, arg);
    if (mcq_shard_id(shard) == 1)
        post(shard, 1, go, arg);
    return 0;
}

static void meetings(void)
{
    static struct meeting m;
    memset(&m, 0, sizeof(m));
    const struct mcq_trial trial = {"meetings", shards_opts(2), meeting_start, NULL, &m};
    run_all(&trial);
    CHECK(m.nr == MEETINGS);
}

/* --- nobody starves --------------------------------------------------------------------------- */

/* All members have more to say than the only peer, of the last shard, takes: to whoever there is
 * (PUSH), or to it by name (ROUTER). Each gets through, one on the peer's own shard or not. */
#define TURNS     1000u
#define TURNS_MAX 500000u

struct crowd {
    enum mcq_sock_type type;
    uint32_t shards;
    bool on[SHARDS_MAX];
    struct mcq_timer *timer[SHARDS_MAX];
    uint64_t heard[SHARDS_MAX];
    atomic_uint quiet;
};

static void crowd_send(struct crowd *c, uint32_t id)
{
    const uint8_t from = (uint8_t)id;
    const struct mcq_frame frames[2] = {{"peer", 4}, {&from, 1}};
    enum mcq_error err = MCQ_OK;
    while (c->on[id] && err == MCQ_OK) {
        struct mcq_msg m = mcq_msg_of_frames(frames, 2);
        err = c->type == MCQ_ROUTER ? mcq_send(places[id].member, &m)
                                    : mcq_send_bytes(places[id].member, &from, 1);
    }
    CHECK(!c->on[id] || err == MCQ_EAGAIN || err == MCQ_ENOENT);
}

static void crowd_room(void *ctx, struct mcq_sock *sock)
{
    const uint32_t id = mcq_shard_id(mcq_sock_shard(sock));
    if (sock == places[id].member)
        crowd_send(ctx, id);
}

/* Until it is known there. */
static void crowd_try(void *ctx, struct mcq_timer *timer)
{
    struct crowd *c = ctx;
    for (uint32_t id = 0; id < c->shards; id++)
        if (c->timer[id] == timer) {
            mcq_timer_arm(timer, mcq_shard_now(places[id].shard) + 1000000);
            crowd_send(c, id);
        }
}

static void crowd_quiet(struct mcq_shard *shard, void *arg)
{
    struct crowd *c = arg;
    c->on[mcq_shard_id(shard)] = false;
    if (++c->quiet == c->shards)
        mcq_stop(shard);
}

static enum mcq_flow crowd_hear(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *m)
{
    struct crowd *c = ctx;
    bool all = true;
    bool hopeless = false;
    (void)from;
    c->heard[((const uint8_t *)m->data)[0]]++;
    for (uint32_t i = 0; i < c->shards; i++) {
        all = all && c->heard[i] >= TURNS;
        hopeless = hopeless || c->heard[i] >= TURNS_MAX;
    }
    if (all || hopeless)
        for (uint32_t i = 0; i < c->shards; i++)
            post(mcq_sock_shard(sock), i, crowd_quiet, c);
    return all || hopeless ? MCQ_PAUSE : MCQ_CONTINUE;
}

static const struct mcq_sock_handlers crowding = {.writable = crowd_room};
static const struct mcq_sock_handlers crowded = {.message = crowd_hear};

static int crowd_start(struct mcq_shard *shard, void *arg)
{
    struct crowd *c = arg;
    const uint32_t id = mcq_shard_id(shard);
    struct place *p = &places[id];
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_msgs = 20;
    opts.linger_ms = 0;
    opts.slow = MCQ_SLOW_BLOCK;
    opts.router_mandatory = c->type == MCQ_ROUTER;
    if (!open_member(shard, c->type, &opts, &crowding, c) ||
        mcq_timer_open(shard, crowd_try, c, &c->timer[id]) != MCQ_OK)
        return 1;
    c->on[id] = true;
    mcq_timer_arm(c->timer[id], 0);
    if (id + 1 != c->shards)
        return 0;
    opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    opts.recv_hwm_msgs = 20;
    if (c->type == MCQ_ROUTER) {
        opts.identity = "peer";
        opts.identity_len = 4;
    }
    return mcq_sock_open(shard, c->type == MCQ_ROUTER ? MCQ_DEALER : MCQ_PULL, &opts, &crowded, c,
                         &p->peer, NULL) == MCQ_OK &&
                   mcq_sock_connect(p->peer, p->name, NULL) == MCQ_OK
               ? 0
               : 1;
}

static void crowds(enum mcq_sock_type type, uint32_t shards)
{
    static struct crowd c;
    memset(&c, 0, sizeof(c));
    c.type = type;
    c.shards = shards;
    const struct mcq_trial trial = {"crowds", shards_opts(shards), crowd_start, NULL, &c};
    run_all(&trial);
    for (uint32_t i = 0; i < shards; i++)
        if (!CHECK(c.heard[i] >= TURNS))
            printf("  %u shards: %llu of shard %u\n", shards, (unsigned long long)c.heard[i], i);
}

int main(void)
{
    feeds();
    told(200, 6, false, 2);
    told(100, 6, true, 3);
    told(20, MCQ_TOPIC_LEN_MAX, false, 3);
    told(1200, 9, false, 2);
    works(MCQ_PUSH, 2);
    works(MCQ_PUSH, 4);
    works(MCQ_DEALER, 3);
    floods(2);
    floods(3);
    meetings();
    crowds(MCQ_PUSH, 2);
    crowds(MCQ_PUSH, 4);
    crowds(MCQ_ROUTER, 2);
    crowds(MCQ_ROUTER, 4);
    return mcq_trial_end();
}
