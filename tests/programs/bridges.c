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

/* --- what is kept ----------------------------------------------------------------------------- */

#define KEPT 250u

/* Keeps all that comes, some of it more than once: refused, and offered again. */
struct keeper {
    struct mcq_shard *shards[2];
    struct mcq_sock *from, *to;
    struct mcq_timer *timer;
    struct mcq_peer peer;
    struct mcq_bundle bundle;
    struct mcq_msg kept[KEPT];
    struct mcq_msg again[KEPT];
    uint32_t sent, got, again_cnt;
    bool refuses;
};

static void keeper_send(void *ctx, struct mcq_sock *sock)
{
    struct keeper *k = ctx;
    for (; sock == k->from && k->sent < KEPT; k->sent++) {
        struct mcq_msg m = mcq_bundle_of(&k->bundle, k->sent, false);
        if (mcq_send(sock, &m) != MCQ_OK)
            return;
    }
}

static void close_from(struct mcq_shard *shard, void *arg)
{
    struct keeper *k = arg;
    (void)shard;
    mcq_sock_close(k->from);
}

static void keeper_resume(void *ctx, struct mcq_timer *timer)
{
    struct keeper *k = ctx;
    (void)timer;
    CHECK(mcq_peer_resume(k->to, k->peer) == MCQ_OK);
}

static size_t keeper_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct keeper *k = ctx;
    struct mcq_shard *shard = k->shards[1];
    k->peer = from;
    for (size_t i = 0; i < n; i++) {
        k->refuses = !k->refuses;
        if (k->refuses && k->again_cnt < KEPT) {
            CHECK(mcq_msg_keep(shard, &msgs[i], &k->again[k->again_cnt++]) == MCQ_OK);
            mcq_timer_arm(k->timer, 0);
            return i;
        }
        CHECK(mcq_msg_keep(shard, &msgs[i], &k->kept[k->got]) == MCQ_OK);
        if (++k->got == KEPT) {
            mcq_timer_close(k->timer);
            mcq_sock_close(sock);
            CHECK(mcq_post(k->shards[0], close_from, k) == MCQ_OK);
        }
    }
    return n;
}

/* The sender may be gone, and its blocks with it, but for what was kept: let go in any order. */
static void keeper_closed(void *ctx, struct mcq_sock *sock)
{
    struct keeper *k = ctx;
    if (sock != k->to)
        return;
    for (uint32_t i = 0; i < k->again_cnt; i += 2)
        mcq_msg_drop(k->shards[1], &k->again[i]);
    for (uint32_t i = 0; i < KEPT; i++) {
        uint32_t at = i * 91 % KEPT;
        if (!CHECK(mcq_bundle_is(&k->kept[at], at, false)))
            printf("  message %u\n", at);
        mcq_msg_drop(k->shards[1], &k->kept[at]);
    }
    for (uint32_t i = 1; i < k->again_cnt; i += 2) {
        CHECK(mcq_bundle_is(&k->again[i], i, false));
        mcq_msg_drop(k->shards[1], &k->again[i]);
    }
}

static const struct mcq_sock_handlers keeping = {
    .messages = keeper_take, .writable = keeper_send, .closed = keeper_closed};

static int keeper_start(struct mcq_shard *shard, void *arg)
{
    struct keeper *k = arg;
    uint32_t id = mcq_shard_id(shard);
    struct mcq_sock **sock = id == 0 ? &k->from : &k->to;
    k->shards[id] = shard;
    CHECK(mcq_sock_open(shard, MCQ_DEALER, NULL, &keeping, k, sock, NULL) == MCQ_OK);
    if (id == 0)
        return mcq_sock_connect(*sock, NAME, NULL) == MCQ_OK ? 0 : 1;
    CHECK(mcq_timer_open(shard, keeper_resume, k, &k->timer) == MCQ_OK);
    return mcq_sock_bind(*sock, NAME, NULL) == MCQ_OK ? 0 : 1;
}

static void kept(void)
{
    static struct keeper k;
    struct mcq_trial trial = {"everything kept", shards_opts(2), keeper_start, NULL, &k};
    trial.opts.arena_bytes = 64u << 20;
    trial.opts.large_bytes = 64u << 20;
    mcq_trial_run(&trial);
    CHECK(k.got == KEPT && k.again_cnt == KEPT);
}

/* --- what is dropped last --------------------------------------------------------------------- */

/* Each shard forwards to the next what it got, so that the last one's holds a block of the one
 * before, and so on; all keep it, and let go of it in on_stop alone, when nobody takes a turn any
 * more: it is home nevertheless before the app ends. */
#define LAST_CNT    20u
#define LAST_SHARDS 4u

struct last {
    struct mcq_sock *in[LAST_SHARDS], *out[LAST_SHARDS];
    struct mcq_msg kept[LAST_SHARDS][LAST_CNT];
    uint32_t got[LAST_SHARDS], sent;
    uint8_t body[300000];
};

static void last_send(void *ctx, struct mcq_sock *sock)
{
    struct last *l = ctx;
    for (; sock == l->out[0] && l->sent < LAST_CNT; l->sent++)
        if (mcq_send_bytes(sock, l->body, sizeof(l->body)) != MCQ_OK)
            return;
}

static void last_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    if (event->kind == MCQ_EVENT_UP)
        last_send(ctx, sock);
}

static enum mcq_flow last_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                               struct mcq_msg *m)
{
    struct last *l = ctx;
    struct mcq_shard *shard = mcq_sock_shard(sock);
    const uint32_t id = mcq_shard_id(shard);
    (void)from;
    CHECK(m->len == sizeof(l->body));
    CHECK(mcq_msg_keep(shard, m, &l->kept[id][l->got[id]++]) == MCQ_OK);
    if (l->out[id] != NULL)
        CHECK(mcq_send(l->out[id], m) == MCQ_OK);
    else if (l->got[id] == LAST_CNT)
        mcq_stop(shard);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers last_ones = {
    .message = last_take, .writable = last_send, .event = last_event};

static int last_start(struct mcq_shard *shard, void *arg)
{
    struct last *l = arg;
    const uint32_t id = mcq_shard_id(shard);
    char name[2][32];
    for (uint32_t i = 0; i < 2; i++)
        snprintf(name[i], sizeof(name[i]), "inproc://hop-%u", id + i);
    if (id != 0 &&
        (mcq_sock_open(shard, MCQ_PULL, NULL, &last_ones, l, &l->in[id], NULL) != MCQ_OK ||
         mcq_sock_bind(l->in[id], name[0], NULL) != MCQ_OK))
        return 1;
    if (id + 1 == mcq_shard_cnt(shard))
        return 0;
    return mcq_sock_open(shard, MCQ_PUSH, NULL, &last_ones, l, &l->out[id], NULL) == MCQ_OK &&
                   mcq_sock_connect(l->out[id], name[1], NULL) == MCQ_OK
               ? 0
               : 1;
}

static void last_drop(struct mcq_shard *shard, void *arg)
{
    struct last *l = arg;
    const uint32_t id = mcq_shard_id(shard);
    for (uint32_t i = 0; i < l->got[id]; i++) {
        CHECK(memcmp(l->kept[id][i].data, l->body, sizeof(l->body)) == 0);
        mcq_msg_drop(shard, &l->kept[id][i]);
    }
}

static void dropped_last(uint32_t shards, bool keeps)
{
    static struct last l;
    const struct mcq_app app = {.start = last_start, .on_stop = keeps ? NULL : last_drop};
    struct mcq_opts opts = shards_opts(shards);
    struct mcq_detail detail = {.text = ""};
    l = (struct last){.sent = 0};
    opts.arena_bytes = 64u << 20;
    opts.large_bytes = 32u << 20;
    if (keeps)
        opts.log = NULL;
    for (uint32_t i = 0; i < sizeof(l.body); i++)
        l.body[i] = (uint8_t)(i * 7);
    mcq_trial_watch("dropped last");
    const enum mcq_error err = mcq_run(&opts, &app, &l, &detail);
    mcq_trial_watch(NULL);
    if (!CHECK(err == (keeps ? MCQ_ESTATE : MCQ_OK)))
        printf("  %u shards: %s\n", shards, detail.text);
    CHECK(l.got[shards - 1] == LAST_CNT);
}

/* --- one that doesn't read -------------------------------------------------------------------- */

#define WAVE 100u

/* The receiver takes one message and pauses until the sender has had its say: WAVE messages, as far
 * as there is room. Of a sender that drops what is new, the last one comes once there is. */
struct slow {
    enum mcq_slow policy;
    struct mcq_shard *shards[2];
    struct mcq_sock *from, *to;
    struct mcq_diary diary;
    struct mcq_peer peer;
    uint32_t sent, got, last, refused, hwm;
    bool again, was_slow;
};

static void slow_resume(struct mcq_shard *shard, void *arg)
{
    struct slow *w = arg;
    (void)shard;
    CHECK(mcq_peer_resume(w->to, w->peer) == MCQ_OK);
}

static void slow_send(struct mcq_shard *shard, void *arg)
{
    struct slow *w = arg;
    enum mcq_error err = MCQ_OK;
    (void)shard;
    uint32_t until = w->policy == MCQ_SLOW_DROP_NEW && !w->again ? WAVE : WAVE + 1;
    while (w->sent < until && err == MCQ_OK) {
        uint8_t body[600] = {0};
        uint32_t nr = w->sent;
        memcpy(body, &nr, sizeof(nr));
        err = mcq_send_bytes(w->from, body, w->sent % 2 == 0 ? sizeof(body) : sizeof(nr));
        CHECK(mcq_flush(w->from) == MCQ_OK);
        w->sent += err == MCQ_OK ? 1 : 0;
    }
    if (err == MCQ_OK)
        return;
    CHECK(err == MCQ_EAGAIN && w->policy == MCQ_SLOW_BLOCK);
    w->refused = w->refused == 0 ? w->sent : w->refused;
}

static void slow_begin(struct mcq_shard *shard, void *arg)
{
    struct slow *w = arg;
    slow_send(shard, w);
    CHECK(mcq_post(w->shards[1], slow_resume, w) == MCQ_OK);
}

static void slow_writable(void *ctx, struct mcq_sock *sock)
{
    struct slow *w = ctx;
    if (sock == w->from && w->sent > 1)
        slow_send(w->shards[0], w);
}

static enum mcq_flow slow_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                               struct mcq_msg *m)
{
    struct slow *w = ctx;
    uint32_t nr;
    memcpy(&nr, m->data, sizeof(nr));
    CHECK(w->got == 0 || nr > w->last);
    CHECK(m->len == (nr % 2 == 0 ? 600 : 4));
    w->last = nr;
    w->peer = from;
    if (nr == WAVE)
        mcq_stop(mcq_sock_shard(sock));
    if (w->got++ != 0)
        return MCQ_CONTINUE;
    CHECK(mcq_post(w->shards[0], slow_begin, w) == MCQ_OK);
    return MCQ_PAUSE;
}

static void slow_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct slow *w = ctx;
    if (sock != w->from)
        return;
    mcq_diary_add(&w->diary, event);
    w->was_slow |= event->kind == MCQ_EVENT_SLOW;
    if (event->kind == MCQ_EVENT_SLOW_END && w->sent == WAVE) {
        w->again = true;
        slow_send(w->shards[0], w);
    }
    if (event->kind == MCQ_EVENT_UP) {
        const uint32_t nr = 0;
        uint8_t body[600] = {0};
        memcpy(body, &nr, sizeof(nr));
        CHECK(mcq_send_bytes(sock, body, sizeof(body)) == MCQ_OK);
        w->sent = 1;
    }
}

static const struct mcq_sock_handlers slow_handlers = {
    .message = slow_take, .writable = slow_writable, .event = slow_event};

static int slow_start(struct mcq_shard *shard, void *arg)
{
    struct slow *w = arg;
    uint32_t id = mcq_shard_id(shard);
    struct mcq_sock **sock = id == 0 ? &w->from : &w->to;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_msgs = w->hwm;
    opts.slow = w->policy;
    w->shards[id] = shard;
    CHECK(mcq_sock_open(shard, MCQ_DEALER, &opts, &slow_handlers, w, sock, NULL) == MCQ_OK);
    enum mcq_error err =
        id == 0 ? mcq_sock_connect(*sock, NAME, NULL) : mcq_sock_bind(*sock, NAME, NULL);
    return err == MCQ_OK ? 0 : 1;
}

static void one_that_pauses(enum mcq_slow policy, uint32_t hwm)
{
    struct slow w = {.policy = policy, .hwm = hwm};
    struct mcq_trial trial = {"one that pauses", shards_opts(2), slow_start, NULL, &w};
    mcq_trial_run(&trial);
    CHECK(w.sent == WAVE + 1 && w.last == WAVE);
    CHECK(w.got + w.diary.dropped == WAVE + 1);
    if (policy == MCQ_SLOW_BLOCK) {
        CHECK(w.diary.dropped == 0 && w.was_slow);
        CHECK(w.refused >= hwm && w.refused <= hwm + 1); /* the first may not have been told yet */
    } else {
        CHECK(w.diary.dropped >= WAVE - hwm - 1);
        CHECK(policy == MCQ_SLOW_CONFLATE || w.was_slow);
    }
}

/* --- ends under load -------------------------------------------------------------------------- */

enum cut { CUT_CONNECT, CUT_BIND, CUT_BOTH, CUT_KILL, CUT_STOP, CUT_CNT };

/* Both send as fast as they can; at some moment something ends. What one says it has sent is what
 * the other says it has got, and the rest is told as dropped. */
struct end {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    struct mcq_timer *pump;
    struct mcq_peer peer;
    unsigned long sent, got, msgs_in, msgs_out;
    uint32_t kept_cnt;
    struct mcq_msg kept[16];
    bool over;
};

struct pull {
    enum cut cut;
    unsigned long after; /* messages */
    struct end ends[2];  /* connects; binds */
    struct mcq_bundle bundles[2];
};

static struct end *end_of(struct pull *p, const struct mcq_sock *sock)
{
    return sock == p->ends[0].sock ? &p->ends[0] : &p->ends[1];
}

static void pull_send(struct pull *p, struct end *e)
{
    struct mcq_bundle *bundle = &p->bundles[e - p->ends];
    for (unsigned i = 0; i < 50 && !e->over && e->peer.bits != 0; i++) {
        struct mcq_msg m = mcq_bundle_of(bundle, (uint32_t)e->sent, false);
        if (mcq_send(e->sock, &m) != MCQ_OK)
            return;
        e->sent++;
    }
}

static void pull_tick(void *ctx, struct mcq_timer *timer)
{
    struct pull *p = ctx;
    struct end *e = timer == p->ends[0].pump ? &p->ends[0] : &p->ends[1];
    pull_send(p, e);
    if (!e->over)
        mcq_timer_arm(timer, mcq_shard_now(e->shard) + 1000);
}

static void end_over(struct end *e)
{
    if (e->over)
        return;
    e->over = true;
    mcq_timer_close(e->pump);
    mcq_sock_close_within(e->sock, MCQ_NONE);
}

static void over_there(struct mcq_shard *shard, void *arg)
{
    struct pull *p = arg;
    end_over(&p->ends[mcq_shard_id(shard) == 0 ? 0 : 1]);
}

static void cut(struct pull *p, struct end *e)
{
    struct mcq_shard *other = across(e->shard);
    switch (p->cut) {
    case CUT_CONNECT:
    case CUT_BIND:
        if ((e == &p->ends[0]) == (p->cut == CUT_CONNECT))
            end_over(e);
        else
            CHECK(mcq_post(other, over_there, p) == MCQ_OK);
        break;
    case CUT_BOTH:
        end_over(e);
        CHECK(mcq_post(other, over_there, p) == MCQ_OK);
        break;
    case CUT_KILL:
        CHECK(mcq_peer_kill(e->sock, e->peer) == MCQ_OK);
        break;
    case CUT_STOP:
    case CUT_CNT:
        mcq_stop(e->shard);
        break;
    }
}

static size_t pull_take(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                        struct mcq_msg *msgs, size_t n)
{
    struct pull *p = ctx;
    struct end *e = end_of(p, sock);
    (void)from;
    for (size_t i = 0; i < n; i++) {
        CHECK(mcq_bundle_is(&msgs[i], (uint32_t)(e->got + i), false));
        if ((e->got + i) % 16 == 0 && e->kept_cnt < 16)
            CHECK(mcq_msg_keep(e->shard, &msgs[i], &e->kept[e->kept_cnt++]) == MCQ_OK);
    }
    bool now = e == &p->ends[0] && e->got < p->after && e->got + n >= p->after;
    e->got += n;
    if (now)
        cut(p, e);
    return n;
}

static void pull_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct pull *p = ctx;
    struct end *e = end_of(p, sock);
    mcq_diary_add(&e->diary, event);
    if (event->kind == MCQ_EVENT_UP)
        e->peer = event->peer;
    if (event->kind != MCQ_EVENT_DISCONNECTED)
        return;
    e->peer.bits = 0;
    e->msgs_in += event->report.msgs_in;
    e->msgs_out += event->report.msgs_out;
    end_over(e);
}

static void pull_closed(void *ctx, struct mcq_sock *sock)
{
    struct end *e = end_of(ctx, sock);
    if (!e->over)
        mcq_timer_close(e->pump);
    e->over = true;
    for (uint32_t i = 0; i < e->kept_cnt; i++) {
        CHECK(mcq_bundle_is(&e->kept[i], i * 16, false));
        mcq_msg_drop(e->shard, &e->kept[i]);
    }
}

static const struct mcq_sock_handlers pulling = {
    .messages = pull_take, .event = pull_event, .closed = pull_closed};

static int pull_start(struct mcq_shard *shard, void *arg)
{
    struct pull *p = arg;
    uint32_t id = mcq_shard_id(shard);
    struct end *e = &p->ends[id];
    e->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_DEALER, NULL, &pulling, p, &e->sock, NULL) == MCQ_OK);
    CHECK(mcq_timer_open(shard, pull_tick, p, &e->pump) == MCQ_OK);
    mcq_timer_arm(e->pump, 0);
    enum mcq_error err =
        id == 0 ? mcq_sock_connect(e->sock, NAME, NULL) : mcq_sock_bind(e->sock, NAME, NULL);
    return err == MCQ_OK ? 0 : 1;
}

static void pulled(enum cut how, unsigned long after)
{
    static struct pull p;
    memset(&p, 0, sizeof(p));
    p.cut = how;
    p.after = after;
    struct mcq_trial trial = {"ends under load", shards_opts(2), pull_start, NULL, &p};
    trial.opts.large_bytes = 256u << 20;
    mcq_trial_run(&trial);
    for (unsigned i = 0; i < 2; i++) {
        const struct end *a = &p.ends[i], *b = &p.ends[1 - i];
        mcq_diary_end(&a->diary);
        CHECK(a->msgs_in == a->got && a->msgs_out == b->got);
        CHECK(a->sent == a->msgs_out + a->diary.dropped);
    }
}

static void all_ends(void)
{
    for (unsigned how = 0; how < CUT_CNT; how++)
        for (unsigned long after = 1; after < 2000; after = after * 3 + 1)
            pulled((enum cut)how, after);
}

int main(void)
{
    all_talks();
    kept();
    dropped_last(2, false);
    dropped_last(LAST_SHARDS, false);
    dropped_last(2, true);
    one_that_pauses(MCQ_SLOW_BLOCK, 10);
    one_that_pauses(MCQ_SLOW_DROP_NEW, 10);
    one_that_pauses(MCQ_SLOW_DROP_OLD, 8);
    one_that_pauses(MCQ_SLOW_CONFLATE, 10);
    all_ends();
    return mcq_trial_end();
}
