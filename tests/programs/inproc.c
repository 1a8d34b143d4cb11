/* Traffic over inproc: every legal pair of types, whoever binds and whoever comes first, bodies
 * from 0 to 1 MiB, messages of many frames, receivers that pause and senders that find no room;
 * what is shared, what is kept, whose turn it is, and that none of it takes a system call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/bundle.h"
#include "tests/support/trial.h"

#define NAME "inproc://traffic"

static struct mcq_bundle bundle;

/* --- conversations ---------------------------------------------------------------------------- */

enum order { ASKER_BINDS, ANSWERER_BINDS, ASKER_CONNECTS_FIRST, ANSWERER_CONNECTS_FIRST };

struct talk {
    const char *name;
    enum mcq_sock_type ask, answer;
    bool answers;                     /* else one way */
    bool extra_asked, extra_answered; /* a delimiter in front: as the asker, the answerer sees it */
    bool strict;                      /* one at a time */
    uint32_t ahead;                   /* unanswered; 0: no limit */
    enum order order;
    bool bumpy; /* small queues, pauses */
    unsigned long total;
    struct mcq_shard *shard;
    struct mcq_sock *asker, *answerer;
    struct mcq_diary ask_diary, answer_diary;
    struct mcq_peer to, from, paused[2];
    struct mcq_timer *timer;
    unsigned long sent, heard, back;
    uint32_t random;
    bool owned_turn, unsupported;
    bool ready; /* the peer is up, and has subscribed if it does so */
};

static unsigned depth; /* of handlers */

static void finish(struct talk *t)
{
    mcq_timer_close(t->timer);
    t->timer = NULL;
    mcq_sock_close(t->asker);
    mcq_sock_close(t->answerer);
}

static bool is_done(const struct talk *t)
{
    return (t->answers ? t->back : t->heard) == t->total;
}

static bool bump(struct talk *t)
{
    t->random = t->random * 1664525u + 1013904223u;
    return t->bumpy && t->random >> 28 == 0;
}

static void pause_peer(struct talk *t, unsigned side, struct mcq_peer peer)
{
    t->paused[side] = peer;
    mcq_timer_arm(t->timer, mcq_shard_now(t->shard) + (t->random >> 20 & 7) * 1000);
}

static void on_timer(void *ctx, struct mcq_timer *timer)
{
    struct talk *t = ctx;
    (void)timer;
    (void)mcq_peer_resume(t->asker, t->paused[0]);
    (void)mcq_peer_resume(t->answerer, t->paused[1]);
}

static enum mcq_error send_one(struct talk *t)
{
    struct mcq_msg m = mcq_bundle_of(&bundle, (uint32_t)t->sent, t->extra_asked), kept;
    t->owned_turn = !t->owned_turn;
    if (t->owned_turn && mcq_msg_keep(t->shard, &m, &kept) == MCQ_OK)
        m = kept;
    if (t->owned_turn)
        mcq_bundle_spoil(&bundle, true);
    enum mcq_error err =
        t->ask == MCQ_ROUTER ? mcq_send_to(t->asker, t->to, &m) : mcq_send(t->asker, &m);
    mcq_bundle_spoil(&bundle, false);
    if (err != MCQ_OK)
        mcq_msg_drop(t->shard, &m);
    return err;
}

static void pump(struct talk *t)
{
    while (t->ready && t->sent < t->total && (!t->strict || t->sent == t->back) &&
           (t->ahead == 0 || t->sent - t->heard < t->ahead)) {
        enum mcq_error err = send_one(t);
        if (err == MCQ_EAGAIN)
            return;
        if (!CHECK(err == MCQ_OK))
            mcq_stop(t->shard);
        t->sent++;
    }
}

static size_t on_answer(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                        struct mcq_msg *msgs, size_t n)
{
    struct talk *t = ctx;
    size_t i = 0;
    CHECK(depth++ == 0);
    CHECK(sock == t->asker);
    for (; i < n && !bump(t); i++) {
        if (!CHECK(mcq_bundle_is(&msgs[i], (uint32_t)t->back, t->extra_asked)))
            mcq_stop(t->shard);
        t->back++;
        if (t->strict)
            pump(t);
    }
    if (i < n)
        pause_peer(t, 0, from);
    if (is_done(t))
        finish(t);
    depth--;
    return i;
}

static bool answer(struct talk *t, struct mcq_peer from, struct mcq_msg *m)
{
    if (!t->answers)
        return true;
    enum mcq_error err =
        t->answer == MCQ_REP ? mcq_send(t->answerer, m) : mcq_send_to(t->answerer, from, m);
    CHECK(err == MCQ_OK || err == MCQ_EAGAIN);
    return err == MCQ_OK;
}

static size_t on_question(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct talk *t = ctx;
    size_t i = 0;
    CHECK(depth++ == 0);
    CHECK(sock == t->answerer);
    t->from = from;
    for (; i < n && !bump(t); i++) {
        if (!CHECK(mcq_bundle_is(&msgs[i], (uint32_t)t->heard, t->extra_answered)))
            mcq_stop(t->shard);
        if (!answer(t, from, &msgs[i]))
            break;
        t->heard++;
    }
    if (i < n)
        pause_peer(t, 1, from);
    if (t->ahead != 0)
        pump(t);
    if (!t->answers && is_done(t))
        finish(t);
    depth--;
    return i;
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct talk *t = ctx;
    CHECK(depth++ == 0);
    if (sock == t->asker)
        pump(t);
    else
        (void)mcq_peer_resume(sock, t->from);
    depth--;
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct talk *t = ctx;
    bool asks = sock == t->asker;
    struct mcq_diary *diary = asks ? &t->ask_diary : &t->answer_diary;
    mcq_diary_add(diary, event);
    if (event->kind == MCQ_EVENT_ACCEPTED)
        CHECK(diary->cnt[MCQ_EVENT_LISTENING] == 1);
    if (event->kind < MCQ_EVENT_REFUSED)
        CHECK(strcmp(event->endpoint, NAME) == 0);
    if (event->kind != MCQ_EVENT_UP)
        return;
    CHECK(strcmp(mcq_peer_endpoint(sock, event->peer), NAME) == 0);
    if (asks) {
        t->to = event->peer;
        t->ready = t->answer != MCQ_SUB && t->answer != MCQ_XSUB;
        pump(t);
    }
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct talk *t = ctx;
    (void)sock;
    (void)peer;
    (void)topic;
    CHECK(len == 0);
    t->ready = added;
    pump(t);
}

static const struct mcq_sock_handlers asking = {.messages = on_answer,
                                                .writable = on_writable,
                                                .event = on_event,
                                                .subscription = on_subscription};
static const struct mcq_sock_handlers answering = {
    .messages = on_question, .writable = on_writable, .event = on_event};

static bool open_both(struct talk *t)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    if (t->bumpy && t->ahead == 0)
        opts.send_hwm_msgs = 3;
    enum mcq_error err = mcq_sock_open(t->shard, t->ask, &opts, &asking, t, &t->asker, NULL);
    if (err == MCQ_OK)
        err = mcq_sock_open(t->shard, t->answer, &opts, &answering, t, &t->answerer, NULL);
    t->unsupported = err == MCQ_ENOTSUP;
    return t->unsupported || CHECK(err == MCQ_OK);
}

static int talk_start(struct mcq_shard *shard, void *arg)
{
    struct talk *t = arg;
    t->shard = shard;
    if (!open_both(t))
        return 1;
    if (t->unsupported) {
        mcq_stop(shard);
        return 0;
    }
    bool asker_binds = t->order == ASKER_BINDS || t->order == ANSWERER_CONNECTS_FIRST;
    struct mcq_sock *bound = asker_binds ? t->asker : t->answerer;
    struct mcq_sock *other = asker_binds ? t->answerer : t->asker;
    bool early = t->order >= ASKER_CONNECTS_FIRST;
    if (early)
        CHECK(mcq_sock_connect(other, NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(bound, NAME, NULL) == MCQ_OK);
    if (!early)
        CHECK(mcq_sock_connect(other, NAME, NULL) == MCQ_OK);
    if (t->answer == MCQ_SUB || t->answer == MCQ_XSUB)
        CHECK(mcq_subscribe(t->answerer, "", 0) == MCQ_OK);
    return mcq_timer_open(shard, on_timer, t, &t->timer) == MCQ_OK ? 0 : 1;
}

static void check_talk(struct talk *t)
{
    const struct mcq_report *asked = &t->ask_diary.report, *answered = &t->answer_diary.report;
    mcq_diary_end(&t->ask_diary);
    mcq_diary_end(&t->answer_diary);
    CHECK(t->ask_diary.cnt[MCQ_EVENT_UP] == 1 && t->answer_diary.cnt[MCQ_EVENT_UP] == 1);
    CHECK(t->ask_diary.dropped == 0 && t->answer_diary.dropped == 0);
    CHECK(t->heard == t->total && t->back == (t->answers ? t->total : 0));
    CHECK(asked->msgs_out == t->total && answered->msgs_in == t->total);
    CHECK(answered->msgs_out == t->back && asked->msgs_in == t->back);
    CHECK(asked->bytes_out == answered->bytes_in && asked->bytes_in == answered->bytes_out);
    CHECK(asked->unacked_known && asked->unacked_bytes == 0);
    CHECK(asked->lost_lo == asked->lost_hi && answered->lost_lo == answered->lost_hi);
}

static void talk(const struct talk *plan, enum order order, bool bumpy)
{
    struct talk *t = malloc(sizeof(*t));
    if (t == NULL)
        abort();
    *t = *plan;
    t->order = order;
    t->bumpy = bumpy;
    t->random = (uint32_t)order * 2 + bumpy;
    t->total = 400;
    struct mcq_trial trial = {t->name, mcq_trial_opts(), talk_start, NULL, t};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    if (!t->unsupported) {
        check_talk(t);
        CHECK(stats.proto.msgs_in == t->heard + t->back);
        CHECK(stats.proto.msgs_out == t->heard + t->back);
        CHECK(stats.loop.conns_peak == 0);
        CHECK(bumpy || stats.pattern.pauses == 0);
        CHECK(!bumpy || stats.pattern.pauses == stats.pattern.resumes);
    }
    free(t);
}

static const struct talk talks[] = {
    {"PAIR, PAIR", MCQ_PAIR, MCQ_PAIR, .answers = true},
    {"PUSH, PULL", MCQ_PUSH, MCQ_PULL, .answers = false},
    {"PUB, SUB", MCQ_PUB, MCQ_SUB, .ahead = 50},
    {"PUB, XSUB", MCQ_PUB, MCQ_XSUB, .ahead = 50},
    {"XPUB, SUB", MCQ_XPUB, MCQ_SUB, .ahead = 50},
    {"XPUB, XSUB", MCQ_XPUB, MCQ_XSUB, .ahead = 50},
    {"REQ, REP", MCQ_REQ, MCQ_REP, .answers = true, .strict = true},
    {"REQ, ROUTER", MCQ_REQ, MCQ_ROUTER, .answers = true, .strict = true, .extra_answered = true},
    {"DEALER, REP", MCQ_DEALER, MCQ_REP, .answers = true, .extra_asked = true, .ahead = 20},
    {"DEALER, DEALER", MCQ_DEALER, MCQ_DEALER, .answers = true},
    {"DEALER, ROUTER", MCQ_DEALER, MCQ_ROUTER, .answers = true},
    {"ROUTER, ROUTER", MCQ_ROUTER, MCQ_ROUTER, .answers = true},
};

static void all_talks(void)
{
    for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++)
        for (unsigned order = ASKER_BINDS; order <= ANSWERER_CONNECTS_FIRST; order++)
            talk(&talks[i], (enum order)order, order % 2 != i % 2);
}

/* --- by reference ----------------------------------------------------------------------------- */

#define SHARED_LEN 500000u

struct shared {
    struct mcq_shard *shard;
    struct mcq_sock *from, *to;
    uint8_t *body;
    struct mcq_msg kept[3];
    unsigned got, freed;
};

static void freed(void *data, size_t len, void *hint)
{
    struct shared *s = hint;
    CHECK(data == s->body && len == SHARED_LEN);
    memset(data, 0, len);
    s->freed++;
}

static void end_shared(struct mcq_shard *shard, void *arg)
{
    struct shared *s = arg;
    CHECK(s->freed == 0);
    for (unsigned i = 0; i < 3; i++) {
        struct mcq_frame last = mcq_msg_frame(&s->kept[i], s->kept[i].frame_cnt - 1);
        CHECK(last.data == s->body && mcq_body_right(last.data, last.len, 7));
        CHECK(i != 2 || mcq_body_right(s->kept[i].data, s->kept[i].len, 8));
        mcq_msg_drop(shard, &s->kept[i]);
    }
    CHECK(s->freed == 1);
    mcq_sock_close(s->from);
    mcq_sock_close(s->to);
}

static enum mcq_flow on_shared(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                               struct mcq_msg *msg)
{
    struct shared *s = ctx;
    (void)sock;
    (void)from;
    CHECK(mcq_msg_frame(msg, msg->frame_cnt - 1).data == s->body);
    CHECK(mcq_msg_keep(s->shard, msg, &s->kept[s->got]) == MCQ_OK);
    if (++s->got == 3)
        CHECK(mcq_post(s->shard, end_shared, s) == MCQ_OK);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers sharing = {.message = on_shared};

/* The same memory three times: alone, twice; and behind a frame of somebody else's. */
static int shared_start(struct mcq_shard *shard, void *arg)
{
    struct shared *s = arg;
    struct mcq_msg m, again, third;
    s->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, NULL, &sharing, s, &s->from, NULL) == MCQ_OK);
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &sharing, s, &s->to, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(s->from, NAME, NULL) == MCQ_OK);
    mcq_body_fill(s->body, SHARED_LEN, 7);
    CHECK(mcq_msg_from_memory(shard, s->body, SHARED_LEN, freed, s, &m) == MCQ_OK);
    CHECK(mcq_msg_keep(shard, &m, &again) == MCQ_OK && mcq_msg_keep(shard, &m, &third) == MCQ_OK);
    CHECK(mcq_send(s->from, &m) == MCQ_OK && mcq_send(s->from, &again) == MCQ_OK);
    uint8_t head[6000];
    mcq_body_fill(head, sizeof(head), 8);
    struct mcq_frame two[2] = {{head, sizeof(head)}, {third.data, third.len}};
    struct mcq_msg both = {head, sizeof(head), two, 2, third.owner};
    CHECK(mcq_send(s->from, &both) == MCQ_OK);
    CHECK(s->freed == 0);
    memset(head, 0, sizeof(head));
    return mcq_sock_bind(s->to, NAME, NULL) == MCQ_OK ? 0 : 1;
}

static void shared(void)
{
    struct shared s = {.body = malloc(SHARED_LEN)};
    struct mcq_trial trial = {"by reference", mcq_trial_opts(), shared_start, NULL, &s};
    mcq_trial_run(&trial);
    CHECK(s.got == 3 && s.freed == 1);
    free(s.body);
}

/* --- everything kept -------------------------------------------------------------------------- */

#define KEPT 150u

struct keeper {
    struct mcq_shard *shard;
    struct mcq_sock *from, *to;
    struct mcq_msg kept[KEPT];
    uint32_t sent, got;
};

static void keeper_send(void *ctx, struct mcq_sock *sock)
{
    struct keeper *k = ctx;
    for (; sock == k->from && k->sent < KEPT; k->sent++) {
        struct mcq_msg m = mcq_bundle_of(&bundle, k->sent, false);
        if (mcq_send(sock, &m) != MCQ_OK)
            return;
    }
}

static enum mcq_flow keeper_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                 struct mcq_msg *msg)
{
    struct keeper *k = ctx;
    (void)from;
    CHECK(mcq_msg_keep(k->shard, msg, &k->kept[k->got]) == MCQ_OK);
    if (++k->got < KEPT)
        return MCQ_CONTINUE;
    mcq_sock_close(sock);
    mcq_sock_close(k->from);
    return MCQ_CONTINUE;
}

/* Sender and receiver are gone, and their blocks with them, but for what was kept. */
static void keeper_closed(void *ctx, struct mcq_sock *sock)
{
    struct keeper *k = ctx;
    if (sock != k->to)
        return;
    for (uint32_t i = 0; i < KEPT; i++) {
        if (!CHECK(mcq_bundle_is(&k->kept[i], i, false)))
            printf("  message %u\n", i);
        mcq_msg_drop(k->shard, &k->kept[i]);
    }
}

static const struct mcq_sock_handlers keeping = {
    .message = keeper_take, .writable = keeper_send, .closed = keeper_closed};

static int keeper_start(struct mcq_shard *shard, void *arg)
{
    struct keeper *k = arg;
    k->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_DEALER, NULL, &keeping, k, &k->from, NULL) == MCQ_OK);
    CHECK(mcq_sock_open(shard, MCQ_DEALER, NULL, &keeping, k, &k->to, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(k->to, NAME, NULL) == MCQ_OK);
    return mcq_sock_connect(k->from, NAME, NULL) == MCQ_OK ? 0 : 1;
}

static void kept(void)
{
    struct keeper k = {.sent = 0};
    struct mcq_trial trial = {"everything kept", mcq_trial_opts(), keeper_start, NULL, &k};
    trial.opts.arena_bytes = 64u << 20;
    trial.opts.large_bytes = 64u << 20;
    mcq_trial_run(&trial);
    CHECK(k.got == KEPT);
}

/* --- subscriptions ---------------------------------------------------------------------------- */

#define TOPICS 1000u /* more than one hop tells */

struct topics {
    struct mcq_shard *shard;
    struct mcq_sock *pub, *sub;
    unsigned added, ended, got;
    bool removed;
};

static const char *topic_of(unsigned i)
{
    static char text[16];
    snprintf(text, sizeof(text), "t%04u", i);
    return text;
}

static void on_topic(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                     const void *topic, size_t len)
{
    struct topics *t = ctx;
    (void)peer;
    CHECK(len == 5 && memcmp(topic, topic_of(added ? t->added : t->ended), 5) == 0);
    *(added ? &t->added : &t->ended) += 1;
    /* inside: the list it comes from changes */
    if (added && t->added == 1)
        CHECK(mcq_subscribe(t->sub, topic_of(TOPICS), 5) == MCQ_OK);
    if (added && t->added == TOPICS + 1)
        for (unsigned i = 0; i <= TOPICS; i++)
            CHECK(mcq_send_bytes(sock, topic_of(i), 5) == MCQ_OK);
    if (!added && t->ended == TOPICS)
        for (unsigned i = 0; i <= TOPICS; i++)
            CHECK(mcq_send_bytes(sock, topic_of(i), 5) == MCQ_OK);
}

static enum mcq_flow on_topical(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct topics *t = ctx;
    (void)from;
    CHECK(memcmp(msg->data, topic_of(t->got <= TOPICS ? t->got : TOPICS), 5) == 0);
    if (++t->got == TOPICS + 1)
        for (unsigned i = 0; i < TOPICS; i++)
            CHECK(mcq_unsubscribe(sock, topic_of(i), 5) == MCQ_OK);
    if (t->got == TOPICS + 2)
        mcq_stop(t->shard);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers publishing = {.subscription = on_topic};
static const struct mcq_sock_handlers subscribing = {.message = on_topical};

static int topics_start(struct mcq_shard *shard, void *arg)
{
    struct topics *t = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_msgs = 2 * TOPICS;
    t->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUB, &opts, &publishing, t, &t->pub, NULL) == MCQ_OK);
    CHECK(mcq_sock_open(shard, MCQ_SUB, NULL, &subscribing, t, &t->sub, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(t->pub, NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(t->sub, NAME, NULL) == MCQ_OK);
    for (unsigned i = 0; i < TOPICS; i++)
        CHECK(mcq_subscribe(t->sub, topic_of(i), 5) == MCQ_OK);
    return 0;
}

static void topics(void)
{
    struct topics t = {.got = 0};
    struct mcq_trial trial = {"subscriptions", mcq_trial_opts(), topics_start, NULL, &t};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(t.got == TOPICS + 2 && t.added == TOPICS + 1 && t.ended >= TOPICS);
    CHECK(stats.pattern.drops_hwm == 0 && stats.pattern.drops_filter == 0);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* Two sockets that answer each other, in their handlers: a hop at a time, and no system call. The
 * shard has nothing else to do, and may not fall asleep. */
struct rally {
    struct mcq_shard *shard;
    struct mcq_sock *a, *b;
    unsigned long hits, warm, goal;
    struct mcq_loop_stats before, after;
};

static struct mcq_loop_stats loop_stats(const struct rally *r)
{
    struct mcq_shard_stats stats;
    mcq_shard_stats(r->shard, &stats);
    return stats.loop;
}

static enum mcq_flow hit(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                         struct mcq_msg *msg)
{
    struct rally *r = ctx;
    (void)from;
    CHECK(depth++ == 0);
    r->hits++;
    if (r->hits == r->warm)
        r->before = loop_stats(r);
    if (r->hits == r->goal) {
        r->after = loop_stats(r);
        mcq_stop(r->shard);
    } else if (r->hits < r->goal) {
        CHECK(mcq_send_bytes(sock, msg->data, msg->len) == MCQ_OK);
        CHECK(mcq_flush(sock) == MCQ_OK);
    }
    depth--;
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers hitting = {.message = hit};

static int rally_start(struct mcq_shard *shard, void *arg)
{
    struct rally *r = arg;
    r->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PAIR, NULL, &hitting, r, &r->a, NULL) == MCQ_OK);
    CHECK(mcq_sock_open(shard, MCQ_PAIR, NULL, &hitting, r, &r->b, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(r->a, NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(r->b, NAME, NULL) == MCQ_OK);
    return mcq_send_bytes(r->b, "ball", 4) == MCQ_OK ? 0 : 1;
}

static void rally(const char *name, enum mcq_idle idle)
{
    struct rally r = {.warm = 1000, .goal = 200000};
    struct mcq_trial trial = {name, mcq_trial_opts(), rally_start, NULL, &r};
    trial.opts.idle = idle;
    mcq_trial_run(&trial);
    CHECK(r.hits == r.goal);
    CHECK(r.after.enters == r.before.enters && r.after.waits == r.before.waits);
    CHECK(r.after.turns - r.before.turns < r.goal / 2); /* several hops a turn */
}

/* Two senders that never stop beside round trips over tcp and over inproc: everybody gets on. */
struct crowd {
    struct mcq_shard *shard;
    struct mcq_sock *push[2], *pull, *ask[2], *rep[2];
    unsigned long flood[2], trips[2];
};

static void flood(void *ctx, struct mcq_sock *sock)
{
    (void)ctx;
    while (mcq_send_bytes(sock, sock == ((struct crowd *)ctx)->push[0] ? "0" : "1", 1) == MCQ_OK)
        ;
}

static size_t swallow(void *ctx, struct mcq_sock *sock, struct mcq_peer from, struct mcq_msg *msgs,
                      size_t n)
{
    struct crowd *c = ctx;
    (void)sock;
    (void)from;
    c->flood[*(const char *)msgs[0].data - '0'] += n;
    return n;
}

static enum mcq_flow trip(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msg)
{
    struct crowd *c = ctx;
    (void)from;
    (void)msg;
    c->trips[sock == c->ask[1]]++;
    if (c->trips[0] >= 300 && c->trips[1] >= 300 && c->flood[0] > 100000 && c->flood[1] > 100000)
        mcq_stop(c->shard);
    enum mcq_error err = mcq_send_bytes(sock, "?", 1);
    CHECK(err == MCQ_OK || err == MCQ_ESTATE);
    return MCQ_CONTINUE;
}

static enum mcq_flow reply(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                           struct mcq_msg *msg)
{
    enum mcq_error err = mcq_send(sock, msg);
    (void)ctx;
    (void)from;
    CHECK(err == MCQ_OK || err == MCQ_ESTATE); /* the app is ending */
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers flooding = {.writable = flood};
static const struct mcq_sock_handlers swallowing = {.messages = swallow};
static const struct mcq_sock_handlers tripping = {.message = trip};
static const struct mcq_sock_handlers replying = {.message = reply};

static int crowd_start(struct mcq_shard *shard, void *arg)
{
    struct crowd *c = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    const char *const at[2] = {"tcp://127.0.0.1:*", "inproc://ask"};
    opts.send_hwm_msgs = MCQ_UNLIMITED;
    opts.send_hwm_bytes = 1u << 20;
    opts.linger_ms = MCQ_NONE;
    c->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PULL, &opts, &swallowing, c, &c->pull, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(c->pull, NAME, NULL) == MCQ_OK);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &flooding, c, &c->push[i], NULL) == MCQ_OK);
        CHECK(mcq_sock_connect(c->push[i], NAME, NULL) == MCQ_OK);
        CHECK(mcq_sock_open(shard, MCQ_REP, &opts, &replying, c, &c->rep[i], NULL) == MCQ_OK);
        CHECK(mcq_sock_bind(c->rep[i], at[i], NULL) == MCQ_OK);
        CHECK(mcq_sock_open(shard, MCQ_REQ, &opts, &tripping, c, &c->ask[i], NULL) == MCQ_OK);
        CHECK(mcq_sock_connect(c->ask[i], mcq_sock_endpoint(c->rep[i]), NULL) == MCQ_OK);
        CHECK(mcq_send_bytes(c->ask[i], "?", 1) == MCQ_OK);
    }
    return 0;
}

static void crowd(void)
{
    struct crowd c = {.trips = {0, 0}};
    struct mcq_trial trial = {"everybody gets on", mcq_trial_opts(), crowd_start, NULL, &c};
    mcq_trial_run(&trial);
    CHECK(c.trips[0] >= 300 && c.trips[1] >= 300);
    /* neither sender is served twice as often as the other */
    CHECK(c.flood[0] < 2 * c.flood[1] && c.flood[1] < 2 * c.flood[0]);
}

int main(void)
{
    all_talks();
    shared();
    kept();
    topics();
    rally("a rally, blocking", MCQ_IDLE_BLOCK);
    rally("a rally, spinning", MCQ_IDLE_SPIN);
    crowd();
    return mcq_trial_end();
}
