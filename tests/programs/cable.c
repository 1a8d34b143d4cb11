/* A cable between two network namespaces, which is pulled: what the kernel's own timeouts make of a
 * peer that vanishes; near ends, interfaces and devices on a host that has more than one. Skipped
 * where namespaces can't be made. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/story.h"
#include "tests/support/trial.h"

static int near_ns, far_ns;

/* --- two hosts -------------------------------------------------------------------------------- */

static bool ip(const char *args)
{
    char command[160];
    snprintf(command, sizeof(command), "ip %s >/dev/null 2>&1", args);
    return system(command) == 0;
}

static bool ip_far(const char *args)
{
    bool ok = setns(far_ns, CLONE_NEWNET) == 0 && ip(args);
    return setns(near_ns, CLONE_NEWNET) == 0 && ok;
}

static bool own_namespace(int *fd)
{
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    *fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    return *fd >= 0 && ip("link set lo up");
}

static bool lay_cable(void)
{
    char move[80];
    if (!own_namespace(&far_ns) || !own_namespace(&near_ns))
        return false;
    snprintf(move, sizeof(move), "link set mcqv1 netns /proc/%d/fd/%d", (int)getpid(), far_ns);
    return ip("link add mcqv0 type veth peer name mcqv1") && ip(move) &&
           ip("addr add 10.77.0.1/24 dev mcqv0") && ip("addr add 10.77.0.9/24 dev mcqv0") &&
           ip("addr add fd77::1/64 dev mcqv0 nodad") && ip("link set mcqv0 up") &&
           ip_far("addr add 10.77.0.2/24 dev mcqv1") &&
           ip_far("addr add fd77::2/64 dev mcqv1 nodad") && ip_far("link set mcqv1 up");
}

/* --- the far side ----------------------------------------------------------------------------- */

struct cable {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_sock_opts opts;
    enum mcq_sock_type type;
    const char *bind; /* where the socket listens; NULL: it connects to the far side */
    const char *near; /* the connect's near end, with its ';' */
    bool v6;          /* the far side's address */
    int listener;     /* there */
    struct mcq_story story;
    struct mcq_diary diary;
    struct mcq_report first; /* of the first DISCONNECTED */
    char endpoint[64];
    char seen[64]; /* the near end as the far side saw it */
    atomic_ulong ready, sent, closed, unacked, looked;
};

static void address(const char *host, uint16_t port, struct sockaddr_storage *ss, socklen_t *len)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(ss, 0, sizeof(*ss));
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(ss, &in, sizeof(in));
        *len = sizeof(in);
    } else {
        CHECK(inet_pton(AF_INET6, host, &in6.sin6_addr) == 1);
        memcpy(ss, &in6, sizeof(in6));
        *len = sizeof(in6);
    }
}

static void enter(int ns)
{
    CHECK(setns(ns, CLONE_NEWNET) == 0);
}

/* A socket stays in the namespace that it was made in. */
static void far_listen(struct cable *c)
{
    struct sockaddr_storage ss;
    socklen_t len;
    void *at = &ss;
    uint16_t port;
    address(c->v6 ? "fd77::2" : "10.77.0.2", 0, &ss, &len);
    enter(far_ns);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, at, len) == 0 && listen(fd, 8) == 0);
    enter(near_ns);
    CHECK(getsockname(fd, at, &len) == 0);
    memcpy(&port, (const char *)at + 2, sizeof(port));
    snprintf(c->endpoint, sizeof(c->endpoint), "tcp://%s%s:%u", c->near == NULL ? "" : c->near,
             c->v6 ? "[fd77::2]" : "10.77.0.2", (unsigned)ntohs(port));
    c->listener = fd;
}

/* From the far side; -1: refused, or no answer. */
static int far_connect(const char *host, uint16_t port)
{
    struct sockaddr_storage ss;
    socklen_t len;
    const void *at = &ss;
    address(host, port, &ss, &len);
    enter(far_ns);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enter(near_ns);
    if (connect(fd, at, len) == 0)
        return fd;
    close(fd);
    return -1;
}

static void see(struct cable *c, int fd)
{
    struct sockaddr_storage ss;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    socklen_t len = sizeof(ss);
    void *at = &ss;
    CHECK(getpeername(fd, at, &len) == 0);
    memcpy(&in, &ss, sizeof(in));
    memcpy(&in6, &ss, sizeof(in6));
    const void *host = c->v6 ? (const void *)&in6.sin6_addr : (const void *)&in.sin_addr;
    char text[INET6_ADDRSTRLEN];
    inet_ntop(ss.ss_family, host, text, sizeof(text));
    snprintf(c->seen, sizeof(c->seen), "%s", text);
}

/* --- the shard's side ------------------------------------------------------------------------- */

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct cable *c = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_DISCONNECTED && c->diary.cnt[MCQ_EVENT_DISCONNECTED] == 0)
        c->first = event->report;
    if (c->bind == NULL)
        mcq_story_add(&c->story, event);
    mcq_diary_add(&c->diary, event);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct cable *c = ctx;
    (void)sock;
    atomic_fetch_add(&c->closed, 1);
}

static const struct mcq_sock_handlers watching = {.event = on_event, .closed = on_closed};

static int start(struct mcq_shard *shard, void *arg)
{
    struct cable *c = arg;
    struct mcq_detail detail = {.text = ""};
    c->shard = shard;
    c->opts.reconnect_min_ms = 20;
    c->opts.reconnect_max_ms = 40;
    CHECK(mcq_sock_open(shard, c->type, &c->opts, &watching, c, &c->sock, NULL) == MCQ_OK);
    enum mcq_error err = c->bind != NULL ? mcq_sock_bind(c->sock, c->bind, &detail)
                                         : mcq_sock_connect(c->sock, c->endpoint, &detail);
    if (!CHECK(err == MCQ_OK))
        printf("  %s\n", detail.text);
    if (c->bind != NULL)
        snprintf(c->endpoint, sizeof(c->endpoint), "%s", mcq_sock_endpoint(c->sock));
    atomic_store(&c->ready, 1);
    return 0;
}

static void send_ten(struct mcq_shard *shard, void *arg)
{
    struct cable *c = arg;
    (void)shard;
    for (unsigned i = 0; i < 10; i++) {
        uint32_t n = (uint32_t)atomic_fetch_add(&c->sent, 1);
        CHECK(mcq_send_bytes(c->sock, &n, sizeof(n)) == MCQ_OK);
    }
}

static void look(struct mcq_shard *shard, void *arg)
{
    struct cable *c = arg;
    struct mcq_peer_stats stats;
    (void)shard;
    CHECK(mcq_peer_stats(c->sock, c->story.peer, &stats) == MCQ_OK);
    atomic_store(&c->unacked, stats.unacked_bytes + stats.queued_bytes);
    atomic_fetch_add(&c->looked, 1);
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct cable *c = arg;
    (void)shard;
    mcq_sock_close(c->sock);
}

static void post(struct cable *c, mcq_post_fn *fn)
{
    CHECK(mcq_post(c->shard, fn, c) == MCQ_OK);
}

static struct cable *cable_new(enum mcq_sock_type type)
{
    struct cable *c = calloc(1, sizeof(*c));
    if (c == NULL)
        abort();
    c->type = type;
    c->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    return c;
}

static struct mcq_shard_stats run(const char *name, struct cable *c, void *(*far)(void *))
{
    struct mcq_trial trial = {name, mcq_trial_opts(), start, far, c};
    if (c->bind == NULL)
        far_listen(c);
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(c->closed == 1);
    mcq_diary_end(&c->diary);
    if (c->bind == NULL)
        mcq_raw_close(c->listener);
    return stats;
}

/* Everything sent is with the far side's kernel, and we know it. */
static void await_acked(struct cable *c)
{
    for (unsigned i = 0; i < MCQ_RAW_WAIT_MS; i++) {
        unsigned long before = c->looked;
        post(c, look);
        CHECK(mcq_trial_wait(&c->looked, before + 1));
        if (c->unacked == 0)
            return;
        usleep(1000);
    }
    CHECK(false);
}

/* --- a peer that vanishes --------------------------------------------------------------------- */

static void answer(int fd, const struct mcq_text *ping)
{
    struct mcq_text out = {NULL, 0, 0};
    const size_t head = 7; /* name and time to live */
    CHECK(ping->len >= head && memcmp(ping->ptr, "\4PING", 5) == 0);
    mcq_raw_command(&out, "PONG", ping->ptr + head, ping->len - head);
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    mcq_text_fini(&out);
}

/* Takes messages in order, and answers so many PINGs. */
static void serve(int fd, uint32_t first, uint32_t msgs, unsigned pings)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags = 0;
    uint32_t want = first;
    while (want < first + msgs || pings != 0) {
        uint32_t n = UINT32_MAX;
        if (!CHECK(mcq_raw_next(fd, &flags, &body)))
            break;
        if ((flags & MCQ_RAW_COMMAND) != 0) {
            answer(fd, &body);
            pings -= pings != 0;
        } else {
            CHECK(body.len == sizeof(n));
            memcpy(&n, body.ptr, sizeof(n));
            CHECK(n == want++);
        }
    }
    mcq_text_fini(&body);
}

/* Serves, vanishes, is found out, comes back. If we talk meanwhile, ten messages are on their way:
 * they are reported as lost. What is sent while nobody is there is delivered. */
static void *vanish(void *arg)
{
    struct cable *c = arg;
    bool talks = c->opts.tcp_user_timeout_ms != 0;
    int fd = mcq_raw_accept(c->listener);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&c->diary.cnt[MCQ_EVENT_UP], 1));
    post(c, send_ten);
    serve(fd, 0, 10, c->opts.heartbeat_ms != 0 ? 3 : 0);
    await_acked(c); /* keepalive begins when nothing is on its way */
    CHECK(ip_far("link set mcqv1 down"));
    if (talks)
        post(c, send_ten);
    CHECK(mcq_trial_wait(&c->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    post(c, send_ten);
    CHECK(mcq_trial_wait(&c->diary.cnt[MCQ_EVENT_HANDSHAKE_FAILED], 2));
    CHECK(ip_far("link set mcqv1 up"));
    mcq_raw_close(fd);
    fd = mcq_raw_accept(c->listener);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    serve(fd, talks ? 20 : 10, 10, 0);
    post(c, close_sock);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static void vanished(const char *name, struct cable *c, enum mcq_reason reason, uint64_t lost)
{
    c->opts.connect_timeout_ms = 200;
    run(name, c, vanish);
    unsigned i = mcq_story_find(&c->story, MCQ_EVENT_DISCONNECTED, 0);
    if (CHECK(i < MCQ_STORY_MAX)) {
        CHECK(c->story.events[i].reason == reason);
        CHECK(c->story.events[i].os_errno == (reason == MCQ_REASON_TIMEOUT ? ETIMEDOUT : 0));
    }
    /* A PING on its way is no message. */
    CHECK(c->first.unacked_known &&
          (c->first.unacked_bytes != 0) == (lost != 0 || reason == MCQ_REASON_HEARTBEAT));
    CHECK(c->first.lost_hi == 10 + lost && c->first.lost_lo == 10);
    CHECK(c->diary.cnt[MCQ_EVENT_UP] == 2 && c->diary.dropped == 0);
    mcq_story_end(&c->story, MCQ_REASON_LOCAL);
    free(c);
}

static void unacknowledged(void)
{
    struct cable *c = cable_new(MCQ_PUSH);
    c->opts.tcp_user_timeout_ms = 300;
    vanished("sent data is not acknowledged", c, MCQ_REASON_TIMEOUT, 10);
}

static void kept_alive(void)
{
    struct cable *c = cable_new(MCQ_PUSH);
    c->opts.keepalive_idle_s = 1;
    c->opts.keepalive_interval_s = 1;
    c->opts.keepalive_cnt = 1;
    vanished("keepalive is not answered", c, MCQ_REASON_TIMEOUT, 0);
}

static void heartbeats(void)
{
    struct cable *c = cable_new(MCQ_PUSH);
    c->opts.heartbeat_ms = 100;
    c->opts.heartbeat_timeout_ms = 1500; /* the plug is pulled by then */
    vanished("a PING is not answered", c, MCQ_REASON_HEARTBEAT, 0);
}

/* --- near ends -------------------------------------------------------------------------------- */

static void *greet_and_see(void *arg)
{
    struct cable *c = arg;
    int fd = mcq_raw_accept(c->listener);
    see(c, fd);
    CHECK(mcq_raw_hello(fd, "PULL", NULL));
    CHECK(mcq_trial_wait(&c->diary.cnt[MCQ_EVENT_UP], 1));
    post(c, close_sock);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static void near_end(const char *near, bool v6, const char *device, const char *want)
{
    struct cable *c = cable_new(MCQ_PUSH);
    c->near = near;
    c->v6 = v6;
    c->opts.device = device;
    run("the far side sees the near end", c, greet_and_see);
    CHECK(strcmp(c->seen, want) == 0);
    if (strcmp(c->seen, want) != 0)
        printf("  %s instead of %s\n", c->seen, want);
    free(c);
}

/* --- where a listener is ---------------------------------------------------------------------- */

static int near_connect(const char *host, uint16_t port)
{
    struct sockaddr_storage ss;
    socklen_t len;
    const void *at = &ss;
    address(host, port, &ss, &len);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, at, len) == 0)
        return fd;
    close(fd);
    return -1;
}

/* It is there for the far side, and not on the loopback. */
static void *knock(void *arg)
{
    struct cable *c = arg;
    CHECK(mcq_trial_wait(&c->ready, 1));
    uint16_t port = mcq_raw_port(c->endpoint);
    CHECK(near_connect("127.0.0.1", port) < 0);
    int fd = far_connect("10.77.0.1", port);
    CHECK(fd >= 0 && mcq_raw_hello(fd, "PUSH", NULL));
    CHECK(mcq_trial_wait(&c->diary.cnt[MCQ_EVENT_UP], 1));
    post(c, close_sock);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static void listens_at(const char *endpoint, const char *device, const char *actual)
{
    struct cable *c = cable_new(MCQ_PULL);
    c->bind = endpoint;
    c->opts.device = device;
    run("a listener that is not everywhere", c, knock);
    CHECK(strncmp(c->endpoint, actual, strlen(actual)) == 0);
    free(c);
}

/* --- no way ----------------------------------------------------------------------------------- */

static void *give_up(void *arg)
{
    struct cable *c = arg;
    CHECK(mcq_trial_wait(&c->diary.cnt[MCQ_EVENT_RETRY], 2));
    post(c, close_sock);
    return NULL;
}

static int start_astray(struct mcq_shard *shard, void *arg)
{
    struct cable *c = arg;
    snprintf(c->endpoint, sizeof(c->endpoint), "tcp://10.99.0.1:5555");
    return start(shard, arg);
}

static void unreachable(void)
{
    struct cable *c = cable_new(MCQ_PUSH);
    struct mcq_trial trial = {"no route", mcq_trial_opts(), start_astray, give_up, c};
    mcq_trial_run(&trial);
    CHECK(c->story.events[1].kind == MCQ_EVENT_HANDSHAKE_FAILED);
    CHECK(c->story.events[1].reason == MCQ_REASON_RESET);
    CHECK(c->story.events[1].os_errno == ENETUNREACH);
    mcq_story_end(&c->story, MCQ_REASON_LOCAL);
    free(c);
}

int main(void)
{
    if (!lay_cable()) {
        puts("SKIP cable: network namespaces need root and ip(8)");
        return 77;
    }
    near_end(NULL, false, NULL, "10.77.0.1");
    near_end("10.77.0.9:0;", false, NULL, "10.77.0.9");
    near_end("mcqv0:0;", false, NULL, "10.77.0.1");
    near_end("mcqv0:0;", true, NULL, "fd77::1");
    near_end("[fd77::1]:0;", true, NULL, "fd77::1");
    near_end(NULL, false, "mcqv0", "10.77.0.1");
    listens_at("tcp://mcqv0:*", NULL, "tcp://10.77.0.1:");
    listens_at("tcp://*:*", "mcqv0", "tcp://0.0.0.0:");
    unreachable();
    unacknowledged();
    kept_alive();
    heartbeats();
    return mcq_trial_end();
}
