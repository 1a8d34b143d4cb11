/* Messages between the shards of one app over inproc: every legal pair of types, whoever binds and
 * whoever comes first, bodies of every length, receivers that pause and senders that find no room;
 * what is kept across shards and let go in any order; sockets that end, and an app that stops,
 * under load. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/bundle.h"
#include "tests/support/trial.h"

#define NAME "inproc://between"

static struct mcq_opts shards_opts(uint32_t shards)
{
    struct mcq_opts opts = mcq_trial_opts();
    opts.shards = shards;
    return opts;
}

/* The other one, of two shards or more: the last and the first. */
static struct mcq_shard *across(struct mcq_shard *shard)
{
    return mcq_shard_at(shard, mcq_shard_id(shard) == 0 ? mcq_shard_cnt(shard) - 1 : 0);
}

/* --- conversations ---------------------------------------------------------------------------- */

enum order { ASKER_BINDS, ANSWERER_BINDS, ASKER_CONNECTS_FIRST, ANSWERER_CONNECTS_FIRST };

struct side {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    struct mcq_timer *timer;
    struct mcq_peer peer, paused;
    uint32_t random;
    uint64_t pauses;
    struct mcq_shard_stats stats;
};

struct talk {
    const char *name;
    enum mcq_sock_type ask, answer;
    bool answers;                     /* else one way */
    bool extra_asked, extra_answered; /* a delimiter in front: as the asker, the answerer sees it */
    bool strict;                      /* one at a time */
    unsigned long ahead;              /* unanswered; 0: no limit */
    enum order order;
    bool bumpy; /* small queues, pauses */
    uint32_t shards;
    unsigned long total;
    struct side asker, answerer; /* on the first, on the last shard */
    struct mcq_bundle bundle;
    unsigned long sent, back;
    atomic_ulong heard;
    bool owned_turn;
    bool ready; /* the peer is up, and has subscribed if it does so */
};

static void end_side(struct mcq_shard *shard, void *arg)
{
    struct side *s = arg;
    CHECK(s->shard == shard);
    if (s->timer == NULL)
        return;
    mcq_timer_close(s->timer);
    s->timer = NULL;
    mcq_sock_close(s->sock);
}

static void end_both(struct talk *t, struct side *here)
{
    struct side *other = here == &t->asker ? &t->answerer : &t->asker;
    CHECK(mcq_post(across(here->shard), end_side, other) == MCQ_OK);
    end_side(here->shard, here);
}

static bool bump(const struct talk *t, struct side *s)
{
    s->random = s->random * 1664525u + 1013904223u;
    return t->bumpy && s->random >> 28 == 0;
}

static void pause_peer(struct side *s, struct mcq_peer peer)
{
    s->paused = peer;
    s->pauses++;
    mcq_timer_arm(s->timer, mcq_shard_now(s->shard) + (s->random >> 20 & 7) * 1000);
}

static void on_timer(void *ctx, struct mcq_timer *timer)
{
    struct side *s = ctx;
    (void)timer;
    (void)mcq_peer_resume(s->sock, s->paused);
}

static enum mcq_error send_one(struct talk *t)
{
    struct side *s = &t->asker;
    struct mcq_msg m = mcq_bundle_of(&t->bundle, (uint32_t)t->sent, t->extra_asked), kept;
    t->owned_turn = !t->owned_turn;
    if (t->owned_turn && mcq_msg_keep(s->shard, &m, &kept) == MCQ_OK)
        m = kept;
    if (t->owned_turn)
        mcq_bundle_spoil(&t->bundle, true);
    enum mcq_error err =
        t->ask == MCQ_ROUTER ? mcq_send_to(s->sock, s->peer, &m) : mcq_send(s->sock, &m);
    mcq_bundle_spoil(&t->bundle, false);
    if (err != MCQ_OK)
        mcq_msg_drop(s->shard, &m);
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
            mcq_stop(t->asker.shard);
        t->sent++;
    }
}

static void pump_here(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    pump(arg);
}

static size_t on_answer(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                        struct mcq_msg *msgs, size_t n)
{
    struct talk *t = ctx;
    size_t i = 0;
    CHECK(sock == t->asker.sock);
    for (; i < n && !bump(t, &t->asker); i++) {
        if (!CHECK(mcq_bundle_is(&msgs[i], (uint32_t)t->back, t->extra_asked)))
            mcq_stop(t->asker.shard);
        t->back++;
        if (t->strict)
            pump(t);
    }
    if (i < n)
        pause_peer(&t->asker, from);
    if (t->back == t->total)
        end_both(t, &t->asker);
    return i;
}

static bool answer(struct talk *t, struct mcq_peer from, struct mcq_msg *m)
{
    if (!t->answers)
        return true;
    enum mcq_error err = t->answer == MCQ_REP ? mcq_send(t->answerer.sock, m)
                                              : mcq_send_to(t->answerer.sock, from, m);
    CHECK(err == MCQ_OK || err == MCQ_EAGAIN);
    return err == MCQ_OK;
}

static size_t on_question(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct talk *t = ctx;
    size_t i = 0;
    CHECK(sock == t->answerer.sock);
    t->answerer.peer = from;
    for (; i < n && !bump(t, &t->answerer); i++) {
        if (!CHECK(mcq_bundle_is(&msgs[i], (uint32_t)t->heard, t->extra_answered)))
            mcq_stop(t->answerer.shard);
        if (!answer(t, from, &msgs[i]))
            break;
        t->heard++;
    }
    if (i < n)
        pause_peer(&t->answerer, from);
    if (t->ahead != 0)
        CHECK(mcq_post(across(t->answerer.shard), pump_here, t) == MCQ_OK);
    if (!t->answers && t->heard == t->total)
        end_both(t, &t->answerer);
    return i;
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct talk *t = ctx;
    if (sock == t->asker.sock)
        pump(t);
    else
        (void)mcq_peer_resume(sock, t->answerer.peer);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct talk *t = ctx;
    struct side *s = sock == t->asker.sock ? &t->asker : &t->answerer;
    mcq_diary_add(&s->diary, event);
    if (event->kind < MCQ_EVENT_REFUSED)
        CHECK(strcmp(event->endpoint, NAME) == 0);
    if (event->kind != MCQ_EVENT_UP)
        return;
    CHECK(event->peer.bits >> 56 == mcq_shard_id(s->shard));
    CHECK(strcmp(mcq_peer_endpoint(sock, event->peer), NAME) == 0);
    if (s == &t->asker) {
        s->peer = event->peer;
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

static bool open_side(struct talk *t, struct side *s, struct mcq_shard *shard, bool asks)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    if (t->bumpy && t->ahead == 0)
        opts.send_hwm_msgs = 3;
    s->shard = shard;
    return CHECK(mcq_sock_open(shard, asks ? t->ask : t->answer, &opts, asks ? &asking : &answering,
                               t, &s->sock, NULL) == MCQ_OK) &&
           CHECK(mcq_timer_open(shard, on_timer, s, &s->timer) == MCQ_OK);
}

static bool binds(const struct talk *t, bool asks)
{
    return asks == (t->order == ASKER_BINDS || t->order == ANSWERER_CONNECTS_FIRST);
}

static int join(const struct talk *t, struct side *s, bool asks)
{
    enum mcq_error err =
        binds(t, asks) ? mcq_sock_bind(s->sock, NAME, NULL) : mcq_sock_connect(s->sock, NAME, NULL);
    if (!asks && (t->answer == MCQ_SUB || t->answer == MCQ_XSUB))
        CHECK(mcq_subscribe(s->sock, "", 0) == MCQ_OK);
    return CHECK(err == MCQ_OK) ? 0 : 1;
}

/* The asker's shard starts first; in two of the orders it is also the first to bind or connect. */
static void join_later(struct mcq_shard *shard, void *arg)
{
    struct talk *t = arg;
    (void)shard;
    (void)join(t, &t->asker, true);
}

static int talk_start(struct mcq_shard *shard, void *arg)
{
    struct talk *t = arg;
    uint32_t id = mcq_shard_id(shard);
    if (id != 0 && id != t->shards - 1)
        return 0;
    bool asks = id == 0;
    bool asker_first = t->order == ASKER_BINDS || t->order == ASKER_CONNECTS_FIRST;
    if (!open_side(t, asks ? &t->asker : &t->answerer, shard, asks))
        return 1;
    if (!asks)
        return join(t, &t->answerer, false);
    if (!asker_first)
        return mcq_post(shard, join_later, t) == MCQ_OK ? 0 : 1;
    return join(t, &t->asker, true);
}

static void check_talk(struct talk *t)
{
    const struct mcq_report *asked = &t->asker.diary.report, *answered = &t->answerer.diary.report;
    mcq_diary_end(&t->asker.diary);
    mcq_diary_end(&t->answerer.diary);
    CHECK(t->asker.diary.cnt[MCQ_EVENT_UP] == 1 && t->answerer.diary.cnt[MCQ_EVENT_UP] == 1);
    CHECK(t->asker.diary.dropped == 0 && t->answerer.diary.dropped == 0);
    CHECK(t->heard == t->total && t->back == (t->answers ? t->total : 0));
    CHECK(asked->msgs_out == t->total && answered->msgs_in == t->total);
    CHECK(answered->msgs_out == t->back && asked->msgs_in == t->back);
    CHECK(asked->bytes_out == answered->bytes_in && asked->bytes_in == answered->bytes_out);
    CHECK(asked->unacked_known && asked->unacked_bytes == 0);
    CHECK(asked->lost_lo == asked->lost_hi && answered->lost_lo == answered->lost_hi);
    CHECK(t->bumpy || t->asker.pauses + t->answerer.pauses == 0);
}

static void talk(const struct talk *plan, enum order order, bool bumpy, uint32_t shards)
{
    struct talk *t = malloc(sizeof(*t));
    if (t == NULL)
        abort();
    *t = *plan;
    t->order = order;
    t->bumpy = bumpy;
    t->shards = shards;
    t->asker.random = (uint32_t)order * 2 + bumpy;
    t->answerer.random = t->asker.random + 99;
    t->total = 300;
    struct mcq_trial trial = {t->name, shards_opts(shards), talk_start, NULL, t};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    check_talk(t);
    CHECK(stats.loop.conns_peak == 0 && stats.bridge.stale == 0);
    free(t);
}

static const struct talk talks[] = {
    {.name = "PAIR, PAIR", .ask = MCQ_PAIR, .answer = MCQ_PAIR, .answers = true},
    {.name = "PUSH, PULL", .ask = MCQ_PUSH, .answer = MCQ_PULL},
    {.name = "PUB, SUB", .ask = MCQ_PUB, .answer = MCQ_SUB, .ahead = 50},
    {.name = "PUB, XSUB", .ask = MCQ_PUB, .answer = MCQ_XSUB, .ahead = 50},
    {.name = "XPUB, SUB", .ask = MCQ_XPUB, .answer = MCQ_SUB, .ahead = 50},
    {.name = "XPUB, XSUB", .ask = MCQ_XPUB, .answer = MCQ_XSUB, .ahead = 50},
    {.name = "REQ, REP", .ask = MCQ_REQ, .answer = MCQ_REP, .answers = true, .strict = true},
    {.name = "REQ, ROUTER",
     .ask = MCQ_REQ,
     .answer = MCQ_ROUTER,
     .answers = true,
     .strict = true,
     .extra_answered = true},
    {.name = "DEALER, REP",
     .ask = MCQ_DEALER,
     .answer = MCQ_REP,
     .answers = true,
     .extra_asked = true,
     .ahead = 20},
    {.name = "DEALER, DEALER", .ask = MCQ_DEALER, .answer = MCQ_DEALER, .answers = true},
    {.name = "DEALER, ROUTER", .ask = MCQ_DEALER, .answer = MCQ_ROUTER, .answers = true},
    {.name = "ROUTER, ROUTER", .ask = MCQ_ROUTER, .answer = MCQ_ROUTER, .answers = true},
};

static void all_talks(void)
{
    for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++)
        for (unsigned order = ASKER_BINDS; order <= ANSWERER_CONNECTS_FIRST; order++)
            talk(&talks[i], (enum order)order, order % 2 != i % 2, i % 4 == 3 ? 4 : 2);
}

int main(void)
{
    all_talks();
    return mcq_trial_end();
}
