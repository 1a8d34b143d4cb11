/* Publish and subscribe over real sockets: peers that go with thousands of subscriptions, slow ones
 * under each policy, XPUB and XSUB back to back, what a manual XPUB gives. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patterns/fanout.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define SUBS    9000u
#define READERS 3u
#define AHEAD   20u /* messages that those who read may be behind */

struct stage {
    struct mcq_shard *shard;
    struct mcq_sock *pub, *sub;
    struct mcq_diary diary;
    struct mcq_sock_opts opts;
    enum mcq_sock_type type;
    char endpoint[64];
    atomic_ulong ready, added, ended, got, go, refused;
    atomic_ulong most, turn, in_turn; /* ends told in one turn */
    unsigned long want;               /* messages to publish */
    unsigned long sent;
    atomic_ulong read[READERS];
    unsigned long next[READERS];
    struct mcq_timer *timer;
    unsigned long ended_at_close;
    size_t len;
    struct mcq_text log;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct stage *s = ctx;
    if (sock == s->pub)
        mcq_diary_add(&s->diary, event);
}

static struct mcq_sock *open_sock(struct stage *s, enum mcq_sock_type type,
                                  const struct mcq_sock_opts *opts,
                                  const struct mcq_sock_handlers *handlers)
{
    struct mcq_sock *sock = NULL;
    CHECK(mcq_sock_open(s->shard, type, opts, handlers, s, &sock, NULL) == MCQ_OK);
    return sock;
}

static void open_pub(struct stage *s, struct mcq_shard *shard,
                     const struct mcq_sock_handlers *handlers)
{
    s->shard = shard;
    s->pub = open_sock(s, s->type, &s->opts, handlers);
    CHECK(mcq_sock_bind(s->pub, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(s->endpoint, sizeof(s->endpoint), "%s", mcq_sock_endpoint(s->pub));
    atomic_store(&s->ready, 1);
}

static struct stage *stage_new(enum mcq_sock_type type)
{
    struct stage *s = calloc(1, sizeof(*s));
    s->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    s->opts.linger_ms = 5000;
    s->type = type;
    return s;
}

static void stop(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mcq_stop(shard);
}

static void finish(struct stage *s)
{
    CHECK(mcq_post(s->shard, stop, s) == MCQ_OK);
}

static struct mcq_shard_stats run(struct stage *s, const char *name,
                                  int (*start)(struct mcq_shard *, void *), void *(*peer)(void *))
{
    struct mcq_trial trial = {name, mcq_trial_opts(), start, peer, s};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    mcq_diary_end(&s->diary);
    CHECK(stats.pattern.subs_now == 0);
    return stats;
}

static void stage_free(struct stage *s)
{
    mcq_text_fini(&s->log);
    free(s);
}

/* --- the far end ----------------------------------------------------------------------------- */

static void subscribe(int fd, bool add, const char *topic)
{
    struct mcq_text out = {NULL, 0, 0};
    mcq_raw_command(&out, add ? "SUBSCRIBE" : "CANCEL", topic, strlen(topic));
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

static void subscribe_many(int fd)
{
    struct mcq_text out = {NULL, 0, 0};
    for (unsigned i = 0; i < SUBS; i++) {
        char topic[16];
        snprintf(topic, sizeof(topic), "t%u", i);
        mcq_raw_command(&out, "SUBSCRIBE", topic, strlen(topic));
    }
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

static void send_frame(int fd, unsigned flags, const void *body, size_t len)
{
    struct mcq_text out = {NULL, 0, 0};
    mcq_raw_frame(&out, flags, body, len);
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

static bool receives(int fd, const char *text)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    bool ok = mcq_raw_next_message(fd, &flags, &body) && body.len == strlen(text) &&
              memcmp(body.ptr, text, body.len) == 0;
    mcq_text_fini(&body);
    return ok;
}

/* --- many subscriptions, all at once gone ---------------------------------------------------- */

static void publish(struct stage *s, const char *text)
{
    if (mcq_send_bytes(s->pub, text, strlen(text)) == MCQ_OK)
        s->sent++;
}

/* How many ends the user hears of in one turn; and publishing meanwhile goes on. */
static void on_many(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                    const void *topic, size_t len)
{
    struct stage *s = ctx;
    struct mcq_shard_stats stats;
    (void)sock;
    (void)topic;
    CHECK(len > 1);
    CHECK(added || (peer.bits == 0) == (s->type == MCQ_XPUB));
    if (added) {
        atomic_fetch_add(&s->added, 1);
        return;
    }
    mcq_shard_stats(s->shard, &stats);
    s->in_turn = stats.loop.turns == s->turn ? s->in_turn + 1 : 1;
    s->turn = stats.loop.turns;
    s->most = s->most > s->in_turn ? s->most : s->in_turn;
    publish(s, "t77");
    publish(s, "xx");
    atomic_fetch_add(&s->ended, 1);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct stage *s = ctx;
    (void)sock;
    s->ended_at_close = s->ended;
}

static const struct mcq_sock_handlers many = {
    .subscription = on_many, .event = on_event, .closed = on_closed};

static int start_many(struct mcq_shard *shard, void *arg)
{
    open_pub(arg, shard, &many);
    return 0;
}

/* Another peer connects while the first one's are swept, most likely where that one was. */
static void *leave_many(void *arg)
{
    struct stage *s = arg;
    mcq_trial_wait(&s->ready, 1);
    int leaves = mcq_raw_open(s->endpoint, "SUB");
    subscribe_many(leaves);
    CHECK(mcq_trial_wait(&s->added, SUBS));
    mcq_raw_reset(leaves);
    int comes = mcq_raw_open(s->endpoint, "SUB");
    subscribe(comes, true, "xx");
    CHECK(mcq_trial_wait(&s->ended, SUBS));
    CHECK(mcq_trial_wait(&s->added, SUBS + 1));
    int leaves_too = mcq_raw_open(s->endpoint, "SUB");
    subscribe_many(leaves_too);
    CHECK(mcq_trial_wait(&s->added, 2 * SUBS + 1));
    mcq_raw_close(leaves_too);
    CHECK(receives(comes, "xx") && receives(comes, "xx"));
    CHECK(mcq_trial_wait(&s->ended, SUBS + 1));
    finish(s); /* in the middle of the sweep */
    while (receives(comes, "xx"))
        continue;
    mcq_raw_close(comes);
    return NULL;
}

static void many_leave(enum mcq_sock_type type)
{
    struct stage *s = stage_new(type);
    run(s, "peers that go with thousands of subscriptions", start_many, leave_many);
    CHECK(s->added == 2 * SUBS + 1 && s->ended_at_close == s->added);
    CHECK(s->most <= MCQ_FANOUT_SWEEP_MAX);
    stage_free(s);
}

/* --- slow peers ------------------------------------------------------------------------------ */

/* Numbers, as many as wanted. With block as fast as they go, else no faster than the two that read
 * read: what is lost then is the stalled one's. */
static void go_on(void *ctx, struct mcq_sock *sock)
{
    struct stage *s = ctx;
    char body[8192] = {0};
    bool block = s->opts.slow == MCQ_SLOW_BLOCK;
    unsigned long ahead = s->opts.slow == MCQ_SLOW_CONFLATE ? 1 : AHEAD;
    if (s->go != 1)
        return;
    for (; s->sent < s->want; s->sent++) {
        if (!block && (s->sent >= s->read[0] + ahead || s->sent >= s->read[1] + ahead))
            return;
        memcpy(body, &s->sent, sizeof(s->sent));
        enum mcq_error err = mcq_send_bytes(sock, body, s->len);
        if (err != MCQ_OK) {
            CHECK(err == MCQ_EAGAIN && block);
            atomic_fetch_add(&s->refused, 1);
            return;
        }
    }
    atomic_store(&s->go, 2);
}

static void on_tick(void *ctx, struct mcq_timer *timer)
{
    struct stage *s = ctx;
    go_on(s, s->pub);
    if (s->go == 1)
        mcq_timer_arm(timer, mcq_shard_now(s->shard) + 100000);
}

static void on_subscribed(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                          const void *topic, size_t len)
{
    struct stage *s = ctx;
    (void)sock;
    (void)peer;
    (void)topic;
    (void)len;
    if (added && atomic_fetch_add(&s->added, 1) + 1 == READERS) {
        atomic_store(&s->go, 1);
        mcq_timer_arm(s->timer, 0);
    }
}

static const struct mcq_sock_handlers numbers = {
    .subscription = on_subscribed, .writable = go_on, .event = on_event};

static int start_numbers(struct mcq_shard *shard, void *arg)
{
    struct stage *s = arg;
    CHECK(mcq_timer_open(shard, on_tick, s, &s->timer) == MCQ_OK);
    open_pub(s, shard, &numbers);
    return 0;
}

struct reader {
    struct stage *s;
    int fd;
    atomic_ulong *read; /* numbers that came */
    unsigned long next; /* the one behind the last */
};

/* Until the stream ends; numbers rise. */
static void *read_all(void *arg)
{
    struct reader *r = arg;
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags;
    while (mcq_raw_next_message(r->fd, &flags, &body)) {
        unsigned long nr = 0;
        if (!CHECK(body.len == r->s->len))
            break;
        memcpy(&nr, body.ptr, sizeof(nr));
        if (!CHECK(nr >= r->next))
            break;
        r->next = nr + 1;
        atomic_fetch_add(r->read, 1);
    }
    mcq_text_fini(&body);
    return NULL;
}

static void await_stalled(struct stage *s)
{
    if (s->opts.slow == MCQ_SLOW_BLOCK)
        CHECK(mcq_trial_wait(&s->refused, 1));
    else
        CHECK(mcq_trial_wait(&s->go, 2));
}

/* Two read as fast as they can; the third not before it holds up the sender, or all is sent. */
static void *read_with_one_stalled(void *arg)
{
    struct stage *s = arg;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    mcq_trial_wait(&s->ready, 1);
    for (unsigned i = 0; i < READERS; i++) {
        bool stalls = i == READERS - 1;
        int fd = mcq_raw_connect(s->endpoint, stalls ? 65536 : 0);
        readers[i] = (struct reader){s, fd, &s->read[i], 0};
        CHECK(mcq_raw_hello(fd, "SUB", NULL));
        subscribe(fd, true, "");
        if (stalls)
            await_stalled(s);
        if (pthread_create(&threads[i], NULL, read_all, &readers[i]) != 0)
            abort();
    }
    CHECK(mcq_trial_wait(&s->go, 2));
    finish(s);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        mcq_raw_close(readers[i].fd);
        s->next[i] = readers[i].next;
    }
    return NULL;
}

/* Whoever read has got everything. */
static struct mcq_shard_stats run_slow(struct stage *s, const char *name)
{
    s->opts.verbose = s->type == MCQ_XPUB; /* else the third subscription isn't told */
    s->opts.send_hwm_bytes = 64u << 20;
    s->opts.notsent_lowat_bytes = 65536;
    s->len = 8000;
    struct mcq_shard_stats stats = run(s, name, start_numbers, read_with_one_stalled);
    for (unsigned i = 0; i < READERS - 1; i++)
        CHECK(s->read[i] == s->want && s->next[i] == s->want);
    return stats;
}

/* hwm: messages; MCQ_UNLIMITED: memory ends first. */
static void block(uint32_t hwm, const char *name)
{
    struct stage *s = stage_new(MCQ_XPUB);
    s->opts.slow = MCQ_SLOW_BLOCK;
    s->opts.send_hwm_msgs = hwm;
    s->want = 5000;
    struct mcq_shard_stats stats = run_slow(s, name);
    CHECK(s->read[READERS - 1] == s->want);
    CHECK(stats.pattern.drops_hwm == 0 && stats.pattern.again > 0);
    CHECK((s->diary.cnt[MCQ_EVENT_SLOW] != 0) == (hwm != MCQ_UNLIMITED));
    stage_free(s);
}

/* Every number is either read or told as dropped; and it is the right ones that are. */
static void slow(enum mcq_slow policy, const char *name)
{
    struct stage *s = stage_new(MCQ_PUB);
    s->opts.slow = policy;
    s->opts.send_hwm_msgs = 2 * AHEAD;
    s->want = 1000;
    struct mcq_shard_stats stats = run_slow(s, name);
    unsigned long read = s->read[READERS - 1], next = s->next[READERS - 1];
    bool ends = policy == MCQ_SLOW_DISCONNECT;
    CHECK(stats.pattern.again == 0 && s->diary.dropped != 0);
    CHECK(ends ? read + s->diary.dropped < s->want : read + s->diary.dropped == s->want);
    CHECK(next == (policy == MCQ_SLOW_DROP_NEW || ends ? read : s->want));
    CHECK(s->diary.reasons[MCQ_REASON_SLOW] == (ends ? 1 : 0));
    stage_free(s);
}

/* --- XPUB and XSUB, back to back ------------------------------------------------------------- */

static void log_word(struct stage *s, const char *form, const void *bytes, size_t len)
{
    char word[64] = "";
    memcpy(word, bytes, len < sizeof(word) ? len : sizeof(word) - 1);
    mcq_text_printf(&s->log, form, word);
}

static void on_topic(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                     const void *topic, size_t len)
{
    struct stage *s = ctx;
    (void)sock;
    (void)peer;
    log_word(s, added ? "+%s " : "-%s ", topic, len);
    atomic_fetch_add(added ? &s->added : &s->ended, 1);
    if (added) {
        publish(s, "a1");
        publish(s, "b1");
    }
}

static enum mcq_flow on_upstream(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                 struct mcq_msg *msg)
{
    struct stage *s = ctx;
    (void)sock;
    log_word(s, "[%s] ", msg->data, msg->len);
    atomic_fetch_add(&s->got, 1);
    if (s->got == 1) /* the XSUB connects again, and subscribes as it was */
        CHECK(mcq_peer_close(s->pub, from) == MCQ_OK);
    return MCQ_CONTINUE;
}

static enum mcq_flow on_downstream(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                   struct mcq_msg *msg)
{
    struct stage *s = ctx;
    (void)from;
    log_word(s, "(%s) ", msg->data, msg->len);
    if (s->go++ == 0) {
        CHECK(mcq_unsubscribe(sock, "b", 1) == MCQ_OK);
        CHECK(mcq_send_bytes(sock, "up", 2) == MCQ_OK);
        CHECK(mcq_send_bytes(sock, "\1up", 3) == MCQ_EINVAL);
    }
    if (s->added == 3)
        mcq_stop(s->shard);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers xpub = {
    .subscription = on_topic, .message = on_upstream, .event = on_event};
static const struct mcq_sock_handlers xsub = {.message = on_downstream};

static int start_pair(struct mcq_shard *shard, void *arg)
{
    struct stage *s = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    open_pub(s, shard, &xpub);
    opts.reconnect_min_ms = 10;
    s->sub = open_sock(s, MCQ_XSUB, &opts, &xsub);
    CHECK(mcq_subscribe(s->sub, "b", 1) == MCQ_OK);
    CHECK(mcq_subscribe(s->sub, "a", 1) == MCQ_OK);
    CHECK(mcq_sock_connect(s->sub, s->endpoint, NULL) == MCQ_OK);
    return 0;
}

static void pair(void)
{
    struct stage *s = stage_new(MCQ_XPUB);
    run(s, "XPUB and XSUB", start_pair, NULL);
    /* On the second connection only what is still subscribed to. */
    static const char expected[] = "+b +a (b1) (a1) (b1) -b [up] -a +a (a1) -a ";
    if (!CHECK(s->log.len == sizeof(expected) - 1 && strcmp(s->log.ptr, expected) == 0))
        printf("  %s\n", s->log.ptr);
    stage_free(s);
}

/* --- manual, welcome, both forms of a subscription ------------------------------------------- */

static void on_asked(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                     const void *topic, size_t len)
{
    struct stage *s = ctx;
    char real[64] = "real-";
    log_word(s, added ? "+%s " : "-%s ", topic, len);
    memcpy(real + 5, topic, len);
    bool unknown = memcmp(topic, "z", 1) == 0;
    enum mcq_error want = peer.bits == 0 ? MCQ_ESTALE : unknown ? MCQ_ENOENT : MCQ_OK;
    if (added)
        CHECK(mcq_peer_subscribe(sock, peer, real, 5 + len) == want);
    else
        CHECK(mcq_peer_unsubscribe(sock, peer, real, 5 + len) == want);
    publish(s, "a");
    publish(s, "real-a");
    publish(s, "real-b");
    atomic_fetch_add(&s->added, 1);
}

static enum mcq_flow on_said(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *msg)
{
    struct stage *s = ctx;
    (void)sock;
    (void)from;
    log_word(s, msg->frame_cnt > 1 ? "[%s..] " : "[%s] ", msg->data, msg->len);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers manual = {
    .subscription = on_asked, .message = on_said, .event = on_event};

static int start_manual(struct mcq_shard *shard, void *arg)
{
    open_pub(arg, shard, &manual);
    return 0;
}

static void *ask(void *arg)
{
    struct stage *s = arg;
    mcq_trial_wait(&s->ready, 1);
    int fd = mcq_raw_open(s->endpoint, "XSUB");
    CHECK(receives(fd, "hello"));
    send_frame(fd, 0, "\1a", 2); /* as a message, which 3.0 has */
    CHECK(receives(fd, "real-a"));
    send_frame(fd, 0, "word", 4);
    send_frame(fd, MCQ_RAW_MORE, "\1x", 2);
    send_frame(fd, 0, "more", 4);
    subscribe(fd, true, "b");
    CHECK(receives(fd, "real-a") && receives(fd, "real-b"));
    send_frame(fd, 0, "\0a", 2);
    CHECK(receives(fd, "real-b"));
    subscribe(fd, false, "z");
    CHECK(mcq_trial_wait(&s->added, 4));
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait(&s->added, 5));
    finish(s);
    return NULL;
}

static void on_demand(void)
{
    struct stage *s = stage_new(MCQ_XPUB);
    s->opts.manual = true;
    s->opts.welcome = "hello";
    s->opts.welcome_len = 5;
    run(s, "a manual XPUB", start_manual, ask);
    static const char expected[] = "+a [word] [\1x..] +b -a -z -b ";
    if (!CHECK(s->log.len == sizeof(expected) - 1 && strcmp(s->log.ptr, expected) == 0))
        printf("  %s\n", s->log.ptr);
    stage_free(s);
}

int main(void)
{
    many_leave(MCQ_PUB);
    many_leave(MCQ_XPUB);
    block(50, "block: all or nobody");
    block(MCQ_UNLIMITED, "block: all or nobody when memory is short");
    slow(MCQ_SLOW_DROP_NEW, "drop-new: the stalled one keeps the oldest");
    slow(MCQ_SLOW_DROP_OLD, "drop-old: the stalled one gets the newest");
    slow(MCQ_SLOW_CONFLATE, "conflate: the stalled one gets the last");
    slow(MCQ_SLOW_DISCONNECT, "disconnect: the stalled one goes");
    pair();
    on_demand();
    return mcq_trial_end();
}
