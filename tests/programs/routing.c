/* Who gets a message, over real connections: identities taken over, unknown ones, probes, queues
 * that end with their connection, and replies that come too late. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define QUEUED 50u

struct routing {
    const char *name;
    enum mcq_sock_type type;
    struct mcq_sock_opts opts;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    struct mcq_peer peer; /* of the last UP */
    char endpoint[64];
    bool connects;
    char last[64];                             /* the message delivered last, frames parted by | */
    unsigned long told[MCQ_REASON_KILLED + 1]; /* messages dropped, by reason */
    enum mcq_error err;                        /* of the last send */
    const char *say;
    atomic_ulong ready, got, said, writables, turns;
};

/* --- the shard's side --------------------------------------------------------------------------
 */

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct routing *t = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        t->peer = event->peer;
    if (event->kind == MCQ_EVENT_DROPPED)
        t->told[event->reason] += event->cnt;
    mcq_diary_add(&t->diary, event);
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct routing *t = ctx;
    size_t len = 0;
    (void)sock;
    CHECK(mcq_peer_equal(from, t->peer));
    for (uint32_t i = 0; i < mcq_msg_frame_cnt(msg); i++) {
        struct mcq_frame f = mcq_msg_frame(msg, i);
        len += (size_t)snprintf(t->last + len, sizeof(t->last) - len, "%s%.*s", i == 0 ? "" : "|",
                                (int)f.len, (const char *)f.data);
    }
    atomic_fetch_add(&t->got, 1);
    return MCQ_CONTINUE;
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct routing *t = ctx;
    (void)sock;
    atomic_fetch_add(&t->writables, 1);
}

static const struct mcq_sock_handlers handlers = {
    .event = on_event, .message = on_message, .writable = on_writable};

static int start(struct mcq_shard *shard, void *arg)
{
    struct routing *t = arg;
    t->shard = shard;
    CHECK(mcq_sock_open(shard, t->type, &t->opts, &handlers, t, &t->sock, NULL) == MCQ_OK);
    if (t->connects) {
        CHECK(mcq_sock_connect(t->sock, t->endpoint, NULL) == MCQ_OK);
    } else {
        CHECK(mcq_sock_bind(t->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
        snprintf(t->endpoint, sizeof(t->endpoint), "%s", mcq_sock_endpoint(t->sock));
    }
    atomic_store(&t->ready, 1);
    return 0;
}

/* Frames parted by |. */
static void do_say(struct mcq_shard *shard, void *arg)
{
    struct routing *t = arg;
    struct mcq_frame frames[8];
    uint32_t cnt = 0;
    (void)shard;
    for (const char *at = t->say;; at++) {
        size_t len = strcspn(at, "|");
        frames[cnt++] = (struct mcq_frame){at, len};
        at += len;
        if (*at == '\0')
            break;
    }
    struct mcq_msg m = mcq_msg_of_frames(frames, cnt);
    t->err = mcq_send(t->sock, &m);
    atomic_fetch_add(&t->said, 1);
}

static void do_stop(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mcq_stop(shard);
}

/* --- the far side ------------------------------------------------------------------------------
 */

static enum mcq_error say(struct routing *t, const char *text)
{
    unsigned long before = t->said;
    t->say = text;
    CHECK(mcq_post(t->shard, do_say, t) == MCQ_OK);
    CHECK(mcq_trial_wait(&t->said, before + 1));
    return t->err;
}

static void await(struct routing *t, enum mcq_event_kind kind, unsigned long cnt)
{
    CHECK(mcq_trial_wait(&t->diary.cnt[kind], cnt));
}

static int join(struct routing *t, const char *type, const char *identity)
{
    unsigned long up = t->diary.cnt[MCQ_EVENT_UP];
    int fd = mcq_raw_connect(t->endpoint, 0);
    CHECK(fd >= 0 && mcq_raw_hello(fd, type, identity));
    await(t, MCQ_EVENT_UP, up + 1);
    return fd;
}

/* The other way round: the shard connects to us. */
static int let_in(struct routing *t, int listener, const char *type)
{
    unsigned long up = t->diary.cnt[MCQ_EVENT_UP];
    int fd = mcq_raw_accept(listener);
    CHECK(fd >= 0 && mcq_raw_hello(fd, type, NULL));
    await(t, MCQ_EVENT_UP, up + 1);
    return fd;
}

/* The next message is this one: frames parted by |. */
static bool hears(int fd, const char *text)
{
    struct mcq_text body = {NULL, 0, 0};
    char got[256] = "";
    size_t len = 0;
    unsigned flags = MCQ_RAW_MORE;
    while ((flags & MCQ_RAW_MORE) != 0 && mcq_raw_next_message(fd, &flags, &body)) {
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s%s", (int)body.len,
                                body.len == 0 ? "" : (const char *)body.ptr,
                                (flags & MCQ_RAW_MORE) != 0 ? "|" : "");
    }
    bool same = (flags & MCQ_RAW_MORE) == 0 && strcmp(got, text) == 0;
    if (!same)
        printf("  '%s' instead of '%s'\n", got, text);
    mcq_text_fini(&body);
    return same;
}

static void tell(int fd, const char *text)
{
    struct mcq_text out = {NULL, 0, 0};
    for (;;) {
        size_t len = strcspn(text, "|");
        mcq_raw_frame(&out, text[len] == '|' ? MCQ_RAW_MORE : 0, text, len);
        text += len;
        if (*text++ == '\0')
            break;
    }
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

static struct routing *routing_new(const char *name, enum mcq_sock_type type)
{
    struct routing *t = calloc(1, sizeof(*t));
    if (t == NULL)
        abort();
    t->name = name;
    t->type = type;
    t->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    t->opts.reconnect_min_ms = 5;
    t->opts.reconnect_max_ms = 5;
    return t;
}

static struct mcq_shard_stats run(struct routing *t, void *(*far)(void *))
{
    struct mcq_trial trial = {t->name, mcq_trial_opts(), start, far, t};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    mcq_diary_end(&t->diary);
    return stats;
}

static void stop(struct routing *t)
{
    CHECK(mcq_post(t->shard, do_stop, t) == MCQ_OK);
}

/* --- an identity that two have -----------------------------------------------------------------
 */

static void *come_twice(void *arg)
{
    struct routing *t = arg;
    mcq_trial_wait(&t->ready, 1);
    int first = join(t, "DEALER", "me");
    CHECK(say(t, "me|1") == MCQ_OK && hears(first, "1"));
    int second = join(t, "DEALER", "me");
    CHECK(say(t, "me|2") == MCQ_OK && hears(second, "2"));
    CHECK(mcq_raw_ended(first));
    await(t, MCQ_EVENT_DISCONNECTED, 1);
    CHECK(say(t, "me|3") == MCQ_OK && hears(second, "3"));
    tell(second, "who|am|i");
    CHECK(mcq_trial_wait(&t->got, 1) && strcmp(t->last, "who|am|i") == 0);
    mcq_raw_close(first);
    mcq_raw_close(second);
    await(t, MCQ_EVENT_DISCONNECTED, 2);
    CHECK(say(t, "me|4") == MCQ_OK);
    stop(t);
    return NULL;
}

static void replaced(void)
{
    struct routing *t = routing_new("ROUTER replace", MCQ_ROUTER);
    t->opts.identity_policy = MCQ_IDENTITY_REPLACE;
    const struct mcq_shard_stats stats = run(t, come_twice);
    CHECK(stats.pattern.ghosts == 1 && stats.disconnects[MCQ_REASON_REPLACED] == 1);
    CHECK(t->diary.reasons[MCQ_REASON_REPLACED] == 1 && stats.pattern.peers_refused == 0);
    CHECK(stats.pattern.drops_no_peer == 1 && t->told[MCQ_REASON_NO_PEER] == 1);
    free(t);
}

static void *leave_a_queue(void *arg)
{
    struct routing *t = arg;
    static char text[2][300000];
    mcq_trial_wait(&t->ready, 1);
    int first = mcq_raw_connect(t->endpoint, 4096);
    CHECK(first >= 0 && mcq_raw_hello(first, "DEALER", "me"));
    await(t, MCQ_EVENT_UP, 1);
    memset(text[0], 'x', sizeof(text[0]) - 1);
    memcpy(text[0], "me|", 3);
    for (unsigned i = 0; i < 20; i++) /* which nobody reads */
        CHECK(say(t, text[0]) == MCQ_OK);
    int second = join(t, "DEALER", "me");
    await(t, MCQ_EVENT_DISCONNECTED, 1);
    CHECK(say(t, "me|fresh") == MCQ_OK && hears(second, "fresh"));
    mcq_raw_close(first);
    mcq_raw_close(second);
    stop(t);
    return NULL;
}

static void replaced_with_a_queue(void)
{
    struct routing *t = routing_new("ROUTER replace with a queue", MCQ_ROUTER);
    t->opts.identity_policy = MCQ_IDENTITY_REPLACE;
    t->opts.send_buffer_bytes = 4096;
    t->opts.notsent_lowat_bytes = 4096;
    const struct mcq_shard_stats stats = run(t, leave_a_queue);
    CHECK(t->told[MCQ_REASON_REPLACED] != 0);
    CHECK(t->told[MCQ_REASON_REPLACED] == stats.pattern.drops_end);
    CHECK(stats.proto.msgs_out + stats.pattern.drops_end == 21);
    free(t);
}

static void *come_in_vain(void *arg)
{
    struct routing *t = arg;
    mcq_trial_wait(&t->ready, 1);
    int first = join(t, "DEALER", "me");
    int second = mcq_raw_connect(t->endpoint, 0);
    if (mcq_raw_hello(second, "DEALER", "me")) /* else it was told even before */
        CHECK(mcq_raw_ended(second));
    await(t, MCQ_EVENT_REFUSED, 1);
    CHECK(say(t, "me|1") == MCQ_OK && hears(first, "1"));
    mcq_raw_close(second);
    mcq_raw_close(first);
    stop(t);
    return NULL;
}

static void rejected(void)
{
    struct routing *t = routing_new("ROUTER reject", MCQ_ROUTER);
    const struct mcq_shard_stats stats = run(t, come_in_vain);
    CHECK(t->diary.reasons[MCQ_REASON_IDENTITY] == 1 && stats.pattern.peers_refused == 1);
    CHECK(stats.pattern.ghosts == 0);
    free(t);
}

static void *be_unknown(void *arg)
{
    struct routing *t = arg;
    mcq_trial_wait(&t->ready, 1);
    CHECK(say(t, "me|1") == MCQ_ENOENT);
    int fd = join(t, "DEALER", "me");
    CHECK(say(t, "me|2") == MCQ_OK && hears(fd, "2"));
    CHECK(say(t, "you|3") == MCQ_ENOENT);
    mcq_raw_close(fd);
    await(t, MCQ_EVENT_DISCONNECTED, 1);
    CHECK(say(t, "me|4") == MCQ_ENOENT);
    stop(t);
    return NULL;
}

static void mandatory(void)
{
    struct routing *t = routing_new("ROUTER mandatory", MCQ_ROUTER);
    t->opts.router_mandatory = true;
    const struct mcq_shard_stats stats = run(t, be_unknown);
    CHECK(stats.pattern.drops_no_peer == 0 && t->diary.dropped == 0);
    free(t);
}

/* --- probes ------------------------------------------------------------------------------------
 */

static void *be_probed(void *arg)
{
    struct routing *t = arg;
    int listener = mcq_raw_listen(0, t->endpoint);
    atomic_store(&t->turns, 1);
    mcq_trial_wait(&t->ready, 1);
    for (unsigned i = 0; i < 3; i++) {
        int fd = let_in(t, listener, t->type == MCQ_REQ ? "REP" : "ROUTER");
        CHECK(hears(fd, ""));
        if (t->type != MCQ_REQ) {
            tell(fd, "");
            CHECK(mcq_trial_wait(&t->got, i + 1) && t->last[0] == '\0');
        }
        mcq_raw_close(fd);
        await(t, MCQ_EVENT_DISCONNECTED, i + 1);
    }
    stop(t);
    mcq_raw_close(listener);
    return NULL;
}

static int start_late(struct mcq_shard *shard, void *arg)
{
    struct routing *t = arg;
    CHECK(mcq_trial_wait(&t->turns, 1)); /* for the listener to be there */
    return start(shard, arg);
}

static struct mcq_shard_stats run_connecting(struct routing *t, void *(*far)(void *))
{
    struct mcq_trial trial = {t->name, mcq_trial_opts(), start_late, far, t};
    t->connects = true;
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    mcq_diary_end(&t->diary);
    return stats;
}

static void probes(enum mcq_sock_type type)
{
    struct routing *t = routing_new("probes", type);
    t->opts.probe = true;
    const struct mcq_shard_stats stats = run_connecting(t, be_probed);
    CHECK(stats.pattern.drops_pattern == 0);
    free(t);
}

/* --- immediate ---------------------------------------------------------------------------------
 */

static void do_fill(struct mcq_shard *shard, void *arg)
{
    struct routing *t = arg;
    (void)shard;
    for (unsigned i = 0; i < QUEUED; i++)
        CHECK(mcq_send_bytes(t->sock, "stale", 5) == MCQ_OK);
    CHECK(mcq_peer_kill(t->sock, t->peer) == MCQ_OK); /* before the turn's flush */
    atomic_fetch_add(&t->said, 1);
}

static void *come_and_go(void *arg)
{
    struct routing *t = arg;
    int listener = mcq_raw_listen(0, t->endpoint);
    atomic_store(&t->turns, 1);
    mcq_trial_wait(&t->ready, 1);
    CHECK(say(t, "nobody is there") == MCQ_EAGAIN);
    int fd = let_in(t, listener, "PULL");
    CHECK(mcq_trial_wait(&t->writables, 1));
    CHECK(say(t, "1") == MCQ_OK && hears(fd, "1"));
    CHECK(mcq_post(t->shard, do_fill, t) == MCQ_OK);
    await(t, MCQ_EVENT_DISCONNECTED, 1);
    mcq_raw_close(fd);
    CHECK(say(t, "nobody is there") == MCQ_EAGAIN);
    fd = let_in(t, listener, "PULL");
    CHECK(say(t, "fresh") == MCQ_OK && hears(fd, "fresh"));
    mcq_raw_close(fd);
    stop(t);
    mcq_raw_close(listener);
    return NULL;
}

static void immediate(void)
{
    struct routing *t = routing_new("immediate", MCQ_PUSH);
    t->opts.immediate = true;
    const struct mcq_shard_stats stats = run_connecting(t, come_and_go);
    CHECK(stats.pattern.drops_end == QUEUED && t->told[MCQ_REASON_KILLED] == QUEUED);
    CHECK(stats.proto.msgs_out == 2);
    free(t);
}

/* --- REQ, correlated and relaxed ---------------------------------------------------------------
 */

/* A request as it comes: the frame with its number, the delimiter, the body. */
static bool hears_request(int fd, uint8_t number[4], const char *body)
{
    struct mcq_text frame = {NULL, 0, 0};
    unsigned flags = 0;
    bool ok = mcq_raw_next_message(fd, &flags, &frame) && flags == MCQ_RAW_MORE && frame.len == 4;
    if (ok)
        memcpy(number, frame.ptr, 4);
    ok = ok && mcq_raw_next_message(fd, &flags, &frame) && flags == MCQ_RAW_MORE && frame.len == 0;
    mcq_text_fini(&frame);
    return ok && hears(fd, body);
}

static void answer(int fd, const uint8_t number[4], const char *body)
{
    struct mcq_text out = {NULL, 0, 0};
    mcq_raw_frame(&out, MCQ_RAW_MORE, number, 4);
    mcq_raw_frame(&out, MCQ_RAW_MORE, "", 0);
    mcq_raw_frame(&out, 0, body, strlen(body));
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

/* Two requests given up for a third: their answers come first, and last, and don't count. */
static void *answer_late(void *arg)
{
    struct routing *t = arg;
    uint8_t numbers[3][4];
    mcq_trial_wait(&t->ready, 1);
    int fd = join(t, "REP", NULL);
    for (unsigned round = 1; round <= 20; round++) {
        static const char *const bodies[] = {"a", "b", "c"};
        for (unsigned i = 0; i < 3; i++) {
            CHECK(say(t, bodies[i]) == MCQ_OK);
            CHECK(hears_request(fd, numbers[i], bodies[i]));
        }
        answer(fd, numbers[0], "to a");
        tell(fd, "");
        tell(fd, "|no number");
        answer(fd, numbers[2], "to c");
        answer(fd, numbers[1], "to b");
        CHECK(mcq_trial_wait(&t->got, round) && strcmp(t->last, "to c") == 0);
    }
    mcq_raw_close(fd);
    stop(t);
    return NULL;
}

static void relaxed(void)
{
    struct routing *t = routing_new("REQ relaxed", MCQ_REQ);
    t->opts.req_relaxed = true;
    const struct mcq_shard_stats stats = run(t, answer_late);
    CHECK(t->got == 20 && stats.pattern.drops_pattern == 80);
    CHECK(t->told[MCQ_REASON_PATTERN] == 80 && stats.disconnects[MCQ_REASON_PROTOCOL] == 0);
    free(t);
}

static void *be_malformed(void *arg)
{
    struct routing *t = arg;
    uint8_t number[4];
    mcq_trial_wait(&t->ready, 1);
    int fd = join(t, "REP", NULL);
    CHECK(say(t, "a") == MCQ_OK && hears_request(fd, number, "a"));
    CHECK(say(t, "b") == MCQ_ESTATE);
    tell(fd, "1234|no delimiter");
    CHECK(mcq_raw_ended(fd));
    await(t, MCQ_EVENT_DISCONNECTED, 1);
    mcq_raw_close(fd);
    fd = join(t, "REP", NULL);
    CHECK(say(t, "c") == MCQ_OK && hears_request(fd, number, "c"));
    answer(fd, number, "to c");
    CHECK(mcq_trial_wait(&t->got, 1) && strcmp(t->last, "to c") == 0);
    mcq_raw_close(fd);
    stop(t);
    return NULL;
}

static void correlated(void)
{
    struct routing *t = routing_new("REQ correlated", MCQ_REQ);
    t->opts.req_correlate = true;
    const struct mcq_shard_stats stats = run(t, be_malformed);
    CHECK(stats.disconnects[MCQ_REASON_PROTOCOL] == 1 && stats.pattern.drops_no_peer == 1);
    free(t);
}

int main(void)
{
    replaced();
    replaced_with_a_queue();
    rejected();
    mandatory();
    probes(MCQ_ROUTER);
    probes(MCQ_DEALER);
    probes(MCQ_REQ);
    immediate();
    relaxed();
    correlated();
    return mcq_trial_end();
}
