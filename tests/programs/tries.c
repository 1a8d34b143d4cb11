/* A connect's tries: whatever ends one is told once and in order, and followed by a longer wait,
 * until a connection has lasted; what stops it. Far ends are scripted. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/story.h"
#include "tests/support/trial.h"

#define MIN_MS 4u
#define MAX_MS 32u

struct tries {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_sock_opts opts;
    enum mcq_sock_type type;
    struct mcq_story story;
    char endpoint[64];
    unsigned want; /* tries; then the socket closes */
    unsigned queued;
    unsigned filler_cnt;
    int listener, filler[64];
    enum mcq_event_kind close_at; /* the socket closes inside the event of this kind */
    atomic_ulong closed, ready;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct tries *t = ctx;
    mcq_story_add(&t->story, event);
    if ((event->kind == MCQ_EVENT_RETRY && t->story.kinds[MCQ_EVENT_RETRY] == t->want) ||
        (t->close_at != 0 && event->kind == t->close_at) || event->kind == MCQ_EVENT_UNCONNECTED)
        mcq_sock_close(sock);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct tries *t = ctx;
    (void)sock;
    atomic_fetch_add(&t->closed, 1);
}

static const struct mcq_sock_handlers watching = {.event = on_event, .closed = on_closed};

static int start(struct mcq_shard *shard, void *arg)
{
    struct tries *t = arg;
    t->shard = shard;
    t->opts.reconnect_min_ms = MIN_MS;
    t->opts.reconnect_max_ms = MAX_MS;
    CHECK(mcq_sock_open(shard, t->type, &t->opts, &watching, t, &t->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(t->sock, t->endpoint, NULL) == MCQ_OK);
    for (unsigned i = 0; i < t->queued; i++)
        CHECK(mcq_send_bytes(t->sock, "queued", 6) == MCQ_OK);
    atomic_store(&t->ready, 1);
    return 0;
}

static struct tries *tries_new(void)
{
    struct tries *t = calloc(1, sizeof(*t));
    if (t == NULL)
        abort();
    t->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    t->type = MCQ_PUSH;
    t->listener = mcq_raw_listen(0, t->endpoint);
    return t;
}

static void nobody_listens(struct tries *t)
{
    mcq_raw_close(t->listener);
    t->listener = -1;
}

static struct mcq_shard_stats run(const char *name, struct tries *t, void *(*far)(void *))
{
    struct mcq_trial trial = {name, mcq_trial_opts(), start, far, t};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(t->closed == 1);
    if (t->listener >= 0)
        mcq_raw_close(t->listener);
    return stats;
}

/* --- how long it waits ------------------------------------------------------------------------ */

/* The nth wait is `doublings` above the least, a quarter of jitter either way. */
static void wait_is(const struct tries *t, unsigned nth, unsigned doublings)
{
    unsigned i = mcq_story_find(&t->story, MCQ_EVENT_RETRY, nth);
    uint64_t ms = (uint64_t)MIN_MS << doublings;
    uint64_t ns = (ms < MAX_MS ? ms : MAX_MS) * 1000000;
    if (CHECK(i < MCQ_STORY_MAX))
        CHECK(t->story.events[i].retry_ns >= ns - ns / 4 &&
              t->story.events[i].retry_ns <= ns + ns / 4);
}

static void waits_double(const struct tries *t)
{
    for (unsigned i = 0; i < t->want; i++)
        wait_is(t, i, i);
}

static void reasons_are(const struct tries *t, enum mcq_event_kind kind, enum mcq_reason reason)
{
    for (unsigned i = 0; i < t->want; i++) {
        unsigned k = mcq_story_find(&t->story, kind, i);
        if (CHECK(k < MCQ_STORY_MAX))
            CHECK(t->story.events[k].reason == reason);
    }
    CHECK(t->story.kinds[kind] == t->want);
}

static void refused(void)
{
    struct tries *t = tries_new();
    t->want = 7;
    nobody_listens(t);
    run("refused again and again", t, NULL);
    waits_double(t);
    reasons_are(t, MCQ_EVENT_HANDSHAKE_FAILED, MCQ_REASON_RESET);
    CHECK(t->story.events[1].os_errno == ECONNREFUSED);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    free(t);
}

static void *accept_and_close(void *arg)
{
    struct tries *t = arg;
    for (unsigned i = 0; i < t->want; i++)
        mcq_raw_close(mcq_raw_accept(t->listener));
    return NULL;
}

/* A transport without a handshake is no success. */
static void hung_up(void)
{
    struct tries *t = tries_new();
    t->want = 6;
    struct mcq_shard_stats stats = run("accepted and closed", t, accept_and_close);
    waits_double(t);
    CHECK(t->story.kinds[MCQ_EVENT_CONNECTED] == t->want && t->story.kinds[MCQ_EVENT_UP] == 0);
    CHECK(stats.loop.connects == t->want);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    free(t);
}

static void *greet_and_close(void *arg)
{
    struct tries *t = arg;
    for (unsigned i = 0; i < t->want; i++) {
        int fd = mcq_raw_accept(t->listener);
        CHECK(mcq_raw_hello(fd, "PULL", NULL));
        CHECK(mcq_trial_wait(&t->story.kinds[MCQ_EVENT_UP], i + 1));
        mcq_raw_close(fd);
    }
    return NULL;
}

/* Neither is a handshake before a sudden death. */
static void dies_after_handshake(void)
{
    struct tries *t = tries_new();
    t->want = 5;
    run("up and gone", t, greet_and_close);
    waits_double(t);
    reasons_are(t, MCQ_EVENT_DISCONNECTED, MCQ_REASON_PEER_CLOSED);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    free(t);
}

static void *last_for_a_while(void *arg)
{
    struct tries *t = arg;
    mcq_raw_close(mcq_raw_accept(t->listener));
    mcq_raw_close(mcq_raw_accept(t->listener));
    mcq_raw_close(mcq_raw_accept(t->listener));
    int fd = mcq_raw_accept(t->listener);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&t->story.kinds[MCQ_EVENT_UP], 1));
    usleep(1100000); /* MCQ_TARGET_STABLE_NS and some */
    mcq_raw_close(fd);
    mcq_raw_close(mcq_raw_accept(t->listener));
    return NULL;
}

/* A connection that lasted is one, and what follows begins anew. */
static void a_success(void)
{
    struct tries *t = tries_new();
    t->want = 5;
    run("up for long enough", t, last_for_a_while);
    wait_is(t, 2, 2);
    wait_is(t, 3, 0);
    wait_is(t, 4, 1);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    free(t);
}

/* --- a peer that is none ---------------------------------------------------------------------- */

static void *talk_nonsense(void *arg)
{
    struct tries *t = arg;
    for (unsigned i = 0; i < t->want; i++) {
        struct mcq_text out = {NULL, 0, 0};
        int fd = mcq_raw_accept(t->listener);
        mcq_raw_greeting(&out);
        mcq_raw_frame(&out, MCQ_RAW_COMMAND, "\x05READY\x01", 7);
        CHECK(mcq_raw_write(fd, out.ptr, out.len));
        CHECK(mcq_raw_ended(fd));
        mcq_raw_close(fd);
        mcq_text_fini(&out);
    }
    return NULL;
}

static void protocol_error(void)
{
    struct tries *t = tries_new();
    t->want = 4;
    struct mcq_shard_stats stats = run("a peer that breaks the protocol", t, talk_nonsense);
    waits_double(t);
    reasons_are(t, MCQ_EVENT_HANDSHAKE_FAILED, MCQ_REASON_PROTOCOL);
    unsigned i = mcq_story_find(&t->story, MCQ_EVENT_HANDSHAKE_FAILED, 0);
    CHECK(t->story.events[i].offset == 64); /* right behind the greeting */
    CHECK(stats.disconnects[MCQ_REASON_PROTOCOL] == t->want);
    free(t);
}

static void *say_no(void *arg)
{
    struct tries *t = arg;
    for (unsigned i = 0; i < t->want; i++) {
        struct mcq_text out = {NULL, 0, 0};
        int fd = mcq_raw_accept(t->listener);
        mcq_raw_greeting(&out);
        mcq_raw_command(&out, "ERROR", "\x07go away", 8);
        CHECK(mcq_raw_write(fd, out.ptr, out.len));
        CHECK(mcq_raw_ended(fd));
        mcq_raw_close(fd);
        mcq_text_fini(&out);
    }
    return NULL;
}

static void *be_another_type(void *arg)
{
    struct tries *t = arg;
    for (unsigned i = 0; i < t->want; i++) {
        int fd = mcq_raw_accept(t->listener);
        (void)mcq_raw_hello(fd, "PUB", NULL);
        CHECK(mcq_raw_ended(fd));
        mcq_raw_close(fd);
    }
    return NULL;
}

/* A peer that won't have us is asked seldom from the first time on, but for ever. */
static void not_wanted(const char *name, void *(*far)(void *), enum mcq_reason reason)
{
    struct tries *t = tries_new();
    t->want = 3;
    run(name, t, far);
    for (unsigned i = 0; i < t->want; i++)
        wait_is(t, i, 30);
    reasons_are(t, MCQ_EVENT_HANDSHAKE_FAILED, reason);
    free(t);
}

static void *keep_silent(void *arg)
{
    struct tries *t = arg;
    for (unsigned i = 0; i < t->want; i++) {
        int fd = mcq_raw_accept(t->listener);
        CHECK(mcq_raw_ended(fd));
        mcq_raw_close(fd);
    }
    return NULL;
}

static void silence(void)
{
    struct tries *t = tries_new();
    t->want = 3;
    t->opts.handshake_ms = 20;
    t->opts.connect_timeout_ms = 10000;
    struct mcq_shard_stats stats = run("a peer that says nothing", t, keep_silent);
    reasons_are(t, MCQ_EVENT_HANDSHAKE_FAILED, MCQ_REASON_HANDSHAKE);
    CHECK(stats.proto.handshakes_expired == t->want);
    waits_double(t);
    free(t);
}

/* --- a transport that doesn't come up --------------------------------------------------------- */

/* A queue that is full: the kernel answers no further SYN. */
static void fill_backlog(struct tries *t)
{
    CHECK(listen(t->listener, 0) == 0);
    for (unsigned i = 0; i < 4; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);
        void *at = &ss;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && getsockname(t->listener, at, &len) == 0);
        (void)!connect(fd, at, len);
        t->filler[t->filler_cnt++] = fd;
    }
}

static void empty_backlog(struct tries *t)
{
    while (t->filler_cnt != 0)
        close(t->filler[--t->filler_cnt]);
}

static void no_answer(void)
{
    struct tries *t = tries_new();
    t->want = 3;
    t->opts.connect_timeout_ms = 20;
    fill_backlog(t);
    run("no answer to a connect", t, NULL);
    reasons_are(t, MCQ_EVENT_HANDSHAKE_FAILED, MCQ_REASON_TIMEOUT);
    CHECK(t->story.events[1].os_errno == ETIMEDOUT);
    CHECK(t->story.kinds[MCQ_EVENT_CONNECTED] == 0);
    waits_double(t);
    empty_backlog(t);
    free(t);
}

static void at_once(const char *name, const char *endpoint, const char *device, int os_errno,
                    enum mcq_error error)
{
    struct tries *t = tries_new();
    t->want = 3;
    t->opts.device = device;
    if (endpoint != NULL)
        snprintf(t->endpoint, sizeof(t->endpoint), "%s", endpoint);
    run(name, t, NULL);
    waits_double(t);
    CHECK(t->story.kinds[MCQ_EVENT_HANDSHAKE_FAILED] == t->want);
    CHECK(t->story.events[1].os_errno == os_errno && t->story.events[1].error == error);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    free(t);
}

static struct rlimit descriptors;

/* No descriptor is left for some tries; then there is. */
static int start_without_descriptors(struct mcq_shard *shard, void *arg)
{
    CHECK(getrlimit(RLIMIT_NOFILE, &descriptors) == 0);
    struct rlimit none = {.rlim_cur = 3, .rlim_max = descriptors.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    return start(shard, arg);
}

static void *lift_limit(void *arg)
{
    struct tries *t = arg;
    CHECK(mcq_trial_wait(&t->story.kinds[MCQ_EVENT_HANDSHAKE_FAILED], 2));
    CHECK(setrlimit(RLIMIT_NOFILE, &descriptors) == 0);
    int fd = mcq_raw_accept(t->listener);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static void no_descriptor(void)
{
    struct tries *t = tries_new();
    struct mcq_trial trial = {"no descriptor left", mcq_trial_opts(), start_without_descriptors,
                              lift_limit, t};
    t->close_at = MCQ_EVENT_UP;
    mcq_trial_run(&trial);
    unsigned i = mcq_story_find(&t->story, MCQ_EVENT_HANDSHAKE_FAILED, 1);
    CHECK(t->story.events[i].reason == MCQ_REASON_LIMIT && t->story.events[i].os_errno == EMFILE);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    mcq_raw_close(t->listener);
    free(t);
}

/* --- names ------------------------------------------------------------------------------------ */

static atomic_ulong asked, gate_open;

/* Names in ".test" have no address; "held.test" waits at the gate before it has none. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **all)
{
    (void)port;
    (void)hints;
    *all = NULL;
    atomic_fetch_add(&asked, 1);
    if (strcmp(host, "held.test") == 0)
        CHECK(mcq_trial_wait(&gate_open, 1));
    return EAI_NONAME;
}

static void no_such_name(void)
{
    struct tries *t = tries_new();
    t->want = 3;
    snprintf(t->endpoint, sizeof(t->endpoint), "tcp://none.test:5555");
    run("a name without address", t, NULL);
    waits_double(t);
    reasons_are(t, MCQ_EVENT_HANDSHAKE_FAILED, MCQ_REASON_OS);
    CHECK(t->story.events[1].error == MCQ_EADDR && asked == t->want);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    free(t);
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct tries *t = arg;
    (void)shard;
    mcq_sock_close(t->sock);
}

static void *close_while_resolving(void *arg)
{
    struct tries *t = arg;
    CHECK(mcq_trial_wait(&asked, 4));
    CHECK(mcq_post(t->shard, close_sock, t) == MCQ_OK);
    CHECK(mcq_trial_wait(&t->closed, 1));
    atomic_store(&gate_open, 1);
    return NULL;
}

/* --- taken back ------------------------------------------------------------------------------- */

static void taken_back_at(const char *name, enum mcq_event_kind kind, void *(*far)(void *))
{
    struct tries *t = tries_new();
    t->close_at = kind;
    t->want = 1;
    if (kind == MCQ_EVENT_CONNECTING)
        fill_backlog(t);
    run(name, t, far);
    CHECK(t->story.kinds[MCQ_EVENT_RETRY] == 0);
    unsigned end = mcq_story_find(
        &t->story, kind == MCQ_EVENT_UP ? MCQ_EVENT_DISCONNECTED : MCQ_EVENT_HANDSHAKE_FAILED, 0);
    if (CHECK(end < MCQ_STORY_MAX))
        CHECK(t->story.events[end].reason == MCQ_REASON_LOCAL);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    empty_backlog(t);
    free(t);
}

static void *greet(void *arg)
{
    struct tries *t = arg;
    int fd = mcq_raw_accept(t->listener);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static int start_and_close(struct mcq_shard *shard, void *arg)
{
    struct tries *t = arg;
    int err = start(shard, arg);
    mcq_sock_close(t->sock);
    return err;
}

static void taken_back_before(void)
{
    struct tries *t = tries_new();
    struct mcq_trial trial = {"closed before the first try", mcq_trial_opts(), start_and_close,
                              NULL, t};
    mcq_trial_run(&trial);
    CHECK(t->story.cnt == 1);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    mcq_raw_close(t->listener);
    free(t);
}

static void taken_back_resolving(void)
{
    struct tries *t = tries_new();
    atomic_store(&asked, 3);
    snprintf(t->endpoint, sizeof(t->endpoint), "tcp://held.test:5555");
    run("closed while a name is looked up", t, close_while_resolving);
    CHECK(t->story.kinds[MCQ_EVENT_HANDSHAKE_FAILED] == 1 && t->story.cnt == 3);
    mcq_story_end(&t->story, MCQ_REASON_LOCAL);
    free(t);
}

/* Linger ends with somebody still to be reached: said so, and what was queued is told. */
static void not_reached_within_linger(void)
{
    struct tries *t = tries_new();
    struct mcq_trial trial = {"closed, and nobody comes within linger", mcq_trial_opts(),
                              start_and_close, NULL, t};
    t->opts.linger_ms = 500;
    t->queued = 11;
    nobody_listens(t);
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(t->story.kinds[MCQ_EVENT_RETRY] >= 1);
    unsigned i = mcq_story_find(&t->story, MCQ_EVENT_DROPPED, 0);
    if (CHECK(i < MCQ_STORY_MAX))
        CHECK(t->story.events[i].cnt == 11 && t->story.events[i].reason == MCQ_REASON_TIMEOUT);
    CHECK(stats.pattern.drops_end == 11);
    mcq_story_end(&t->story, MCQ_REASON_TIMEOUT);
    free(t);
}

/* --- stop-on-refused -------------------------------------------------------------------------- */

static void stops(const char *name, const char *endpoint, int os_errno)
{
    struct tries *t = tries_new();
    t->opts.stop_on_refused = true;
    t->queued = 3;
    nobody_listens(t);
    if (endpoint != NULL)
        snprintf(t->endpoint, sizeof(t->endpoint), "%s", endpoint);
    struct mcq_shard_stats stats = run(name, t, NULL);
    CHECK(t->story.kinds[MCQ_EVENT_CONNECTING] == 1 && t->story.kinds[MCQ_EVENT_RETRY] == 0);
    CHECK(t->story.events[1].os_errno == os_errno);
    CHECK(t->story.kinds[MCQ_EVENT_DROPPED] == 1 && stats.pattern.drops_end == 3);
    mcq_story_end(&t->story, MCQ_REASON_RESET);
    free(t);
}

/* An end that is no refusal is tried again; then nobody listens any more. */
static void *serve_then_leave(void *arg)
{
    struct tries *t = arg;
    int fd = mcq_raw_accept(t->listener);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&t->story.kinds[MCQ_EVENT_UP], 1));
    mcq_raw_close(t->listener);
    t->listener = -1;
    mcq_raw_close(fd);
    return NULL;
}

static void stops_once_refused(void)
{
    struct tries *t = tries_new();
    t->opts.stop_on_refused = true;
    run("served, then refused for good", t, serve_then_leave);
    CHECK(t->story.kinds[MCQ_EVENT_CONNECTING] == 2 && t->story.kinds[MCQ_EVENT_RETRY] == 1);
    mcq_story_end(&t->story, MCQ_REASON_RESET);
    free(t);
}

int main(void)
{
    refused();
    hung_up();
    dies_after_handshake();
    a_success();
    protocol_error();
    not_wanted("a peer that sends ERROR", say_no, MCQ_REASON_PEER_ERROR);
    not_wanted("a peer of a type that may not meet ours", be_another_type, MCQ_REASON_INCOMPATIBLE);
    silence();
    no_answer();
    at_once("a device that is none", NULL, "no-such-if0", ENODEV, MCQ_EADDR);
    at_once("a near end that is none", "tcp://192.0.2.7:0;127.0.0.1:9", NULL, EADDRNOTAVAIL,
            MCQ_EADDR);
    no_descriptor();
    no_such_name();
    taken_back_before();
    taken_back_resolving();
    taken_back_at("closed while connecting", MCQ_EVENT_CONNECTING, NULL);
    taken_back_at("closed when connected", MCQ_EVENT_CONNECTED, keep_silent);
    taken_back_at("closed when up", MCQ_EVENT_UP, greet);
    not_reached_within_linger();
    stops("refused for good", NULL, ECONNREFUSED);
    stops("no such path, for good", "ipc:///tmp/monocoque-nobody-here", ENOENT);
    stops_once_refused();
    return mcq_trial_end();
}
