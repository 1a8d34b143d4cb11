/* The listening side: what becomes of those who come, when nothing is left for them or the listener
 * goes. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define GUESTS 5u
#define EVENTS 128u

struct accepts {
    struct mcq_shard *shard;
    struct mcq_sock *sock, *other;
    struct mcq_diary diary;
    struct rlimit limit;
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    unsigned event_cnt;
    struct mcq_event events[EVENTS];
    char ends[EVENTS][MCQ_ENDPOINT_LEN_MAX]; /* of the events */
    atomic_ulong ready, closed;
    int guest[GUESTS];
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct accepts *a = ctx;
    (void)sock;
    if (CHECK(a->event_cnt < EVENTS)) {
        a->events[a->event_cnt] = *event;
        snprintf(a->ends[a->event_cnt++], sizeof(a->ends[0]), "%s", event->endpoint);
    }
    mcq_diary_add(&a->diary, event);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct accepts *a = ctx;
    (void)sock;
    atomic_fetch_add(&a->closed, 1);
}

static const struct mcq_sock_handlers watching = {.event = on_event, .closed = on_closed};

static int open_at(struct mcq_shard *shard, struct accepts *a, const char *endpoint)
{
    a->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &watching, a, &a->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(a->sock, endpoint, NULL) == MCQ_OK);
    snprintf(a->endpoint, sizeof(a->endpoint), "%s", mcq_sock_endpoint(a->sock));
    atomic_store(&a->ready, 1);
    return 0;
}

static int start(struct mcq_shard *shard, void *arg)
{
    return open_at(shard, arg, "tcp://127.0.0.1:*");
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct accepts *a = arg;
    (void)shard;
    mcq_sock_close(a->sock);
}

static void unbind(struct mcq_shard *shard, void *arg)
{
    struct accepts *a = arg;
    (void)shard;
    CHECK(mcq_sock_unbind(a->sock, a->endpoint, NULL) == MCQ_OK);
}

static void post(struct accepts *a, mcq_post_fn *fn)
{
    CHECK(mcq_post(a->shard, fn, a) == MCQ_OK);
}

static struct accepts *accepts_new(void)
{
    struct accepts *a = calloc(1, sizeof(*a));
    if (a == NULL)
        abort();
    return a;
}

static struct mcq_shard_stats run(const char *name, struct accepts *a,
                                  int (*begin)(struct mcq_shard *, void *), void *(*far)(void *))
{
    struct mcq_trial trial = {name, mcq_trial_opts(), begin, far, a};
    trial.opts.connections_max = 64;
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(a->closed == 1);
    mcq_diary_end(&a->diary);
    return stats;
}

static const struct mcq_event *nth(const struct accepts *a, enum mcq_event_kind kind, unsigned n)
{
    static const struct mcq_event none;
    for (unsigned i = 0; i < a->event_cnt; i++)
        if (a->events[i].kind == kind && n-- == 0)
            return &a->events[i];
    CHECK(false);
    return &none;
}

/* --- no descriptor is left -------------------------------------------------------------------- */

/* The listener gets the last one. */
static int start_with_the_last_descriptor(struct mcq_shard *shard, void *arg)
{
    struct accepts *a = arg;
    a->guest[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a->guest[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int next = dup(0);
    close(next);
    CHECK(getrlimit(RLIMIT_NOFILE, &a->limit) == 0);
    struct rlimit low = {.rlim_cur = (rlim_t)next + 1, .rlim_max = a->limit.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
    return open_at(shard, arg, "tcp://127.0.0.1:*");
}

static void come(struct accepts *a, unsigned i)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(mcq_raw_port(a->endpoint)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const void *at = &in;
    struct timeval tv = {MCQ_RAW_WAIT_MS / 1000, 0};
    CHECK(setsockopt(a->guest[i], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    CHECK(connect(a->guest[i], at, sizeof(in)) == 0);
}

static void *wait_at_the_door(void *arg)
{
    struct accepts *a = arg;
    CHECK(mcq_trial_wait(&a->ready, 1));
    come(a, 0);
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_LISTEN_FAILED], 2));
    CHECK(setrlimit(RLIMIT_NOFILE, &a->limit) == 0);
    come(a, 1);
    for (unsigned i = 0; i < 2; i++)
        CHECK(mcq_raw_hello(a->guest[i], "PUSH", NULL));
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_UP], 2));
    post(a, close_sock);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(mcq_raw_ended(a->guest[i]));
        mcq_raw_close(a->guest[i]);
    }
    return NULL;
}

static void no_descriptor(void)
{
    struct accepts *a = accepts_new();
    run("no descriptor for those who come", a, start_with_the_last_descriptor, wait_at_the_door);
    const struct mcq_event *first = nth(a, MCQ_EVENT_LISTEN_FAILED, 0);
    const struct mcq_event *second = nth(a, MCQ_EVENT_LISTEN_FAILED, 1);
    CHECK(a->events[0].kind == MCQ_EVENT_LISTENING && first == &a->events[1]);
    CHECK(first->os_errno == EMFILE && first->error == MCQ_ELIMIT);
    CHECK(first->reason == MCQ_REASON_LIMIT);
    CHECK(first->retry_ns != 0 && second->retry_ns == 2 * first->retry_ns);
    CHECK(strcmp(a->ends[1], a->endpoint) == 0);
    free(a);
}

/* --- no connection is left -------------------------------------------------------------------- */

static void *come_in_numbers(void *arg)
{
    struct accepts *a = arg;
    int fd[70], cnt = 0;
    CHECK(mcq_trial_wait(&a->ready, 1));
    for (; cnt < 64; cnt++)
        fd[cnt] = mcq_raw_open(a->endpoint, "PUSH");
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_UP], 64));
    for (; cnt < 66; cnt++) {
        fd[cnt] = mcq_raw_connect(a->endpoint, 0);
        CHECK(mcq_raw_ended(fd[cnt]));
    }
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_REFUSED], 2));
    mcq_raw_close(fd[0]);
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    fd[0] = mcq_raw_open(a->endpoint, "PUSH");
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_UP], 65));
    post(a, close_sock);
    for (int i = 0; i < cnt; i++) {
        if (i < 64)
            CHECK(mcq_raw_ended(fd[i]));
        mcq_raw_close(fd[i]);
    }
    return NULL;
}

static void on_few_events(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct accepts *a = ctx;
    if (event->kind == MCQ_EVENT_REFUSED)
        on_event(ctx, sock, event);
    else
        mcq_diary_add(&a->diary, event);
}

static int start_few(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers few = {.event = on_few_events, .closed = on_closed};
    struct accepts *a = arg;
    a->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &few, a, &a->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(a->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(a->endpoint, sizeof(a->endpoint), "%s", mcq_sock_endpoint(a->sock));
    atomic_store(&a->ready, 1);
    return 0;
}

static void no_connection(void)
{
    struct accepts *a = accepts_new();
    struct mcq_shard_stats stats =
        run("no connection for those who come", a, start_few, come_in_numbers);
    CHECK(stats.pattern.peers_refused == 2 && stats.pools.links_empty == 2);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(a->events[i].reason == MCQ_REASON_LIMIT && a->events[i].peer.bits == 0);
        CHECK(strncmp(a->ends[i], "tcp://127.0.0.1:", 16) == 0);
        CHECK(strcmp(a->ends[i], a->endpoint) != 0); /* theirs, not ours */
    }
    CHECK(strcmp(a->ends[0], a->ends[1]) != 0);
    free(a);
}

/* --- the listener goes, or the socket --------------------------------------------------------- */

static void *half_way(struct accepts *a, mcq_post_fn *act)
{
    CHECK(mcq_trial_wait(&a->ready, 1));
    for (unsigned i = 0; i < GUESTS; i++)
        a->guest[i] = mcq_raw_connect(a->endpoint, 0);
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_ACCEPTED], GUESTS));
    post(a, act);
    return NULL;
}

static void *closed_on(void *arg)
{
    struct accepts *a = arg;
    half_way(a, close_sock);
    for (unsigned i = 0; i < GUESTS; i++) {
        CHECK(mcq_raw_ended(a->guest[i]));
        mcq_raw_close(a->guest[i]);
    }
    return NULL;
}

static void closed_in_handshakes(void)
{
    struct accepts *a = accepts_new();
    run("a socket closes while peers shake hands", a, start, closed_on);
    CHECK(a->diary.cnt[MCQ_EVENT_HANDSHAKE_FAILED] == GUESTS);
    CHECK(a->diary.reasons[MCQ_REASON_LOCAL] == GUESTS);
    free(a);
}

static void *unbound_on(void *arg)
{
    struct accepts *a = arg;
    half_way(a, unbind);
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_UNBOUND], 1));
    for (unsigned i = 0; i < GUESTS; i++)
        CHECK(mcq_raw_hello(a->guest[i], "PUSH", NULL));
    CHECK(mcq_trial_wait(&a->diary.cnt[MCQ_EVENT_UP], GUESTS));
    post(a, close_sock);
    for (unsigned i = 0; i < GUESTS; i++) {
        CHECK(mcq_raw_ended(a->guest[i]));
        mcq_raw_close(a->guest[i]);
    }
    return NULL;
}

static void unbound_in_handshakes(void)
{
    struct accepts *a = accepts_new();
    run("a listener goes while peers shake hands", a, start, unbound_on);
    CHECK(a->diary.cnt[MCQ_EVENT_HANDSHAKE_FAILED] == 0);
    free(a);
}

/* Bound and unbound in one turn: told all the same, and in order. */
static int start_for_a_moment(struct mcq_shard *shard, void *arg)
{
    struct accepts *a = arg;
    int err = start(shard, arg);
    unbind(shard, a);
    mcq_sock_close(a->sock);
    return err;
}

static void for_a_moment(void)
{
    struct accepts *a = accepts_new();
    run("bound and unbound at once", a, start_for_a_moment, NULL);
    CHECK(a->event_cnt == 2 && a->events[0].kind == MCQ_EVENT_LISTENING);
    CHECK(a->events[1].kind == MCQ_EVENT_UNBOUND);
    free(a);
}

/* --- unix paths ------------------------------------------------------------------------------- */

static char path[80];

/* Left behind by one that died: a file that nobody serves. */
static void leave_file(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const void *at = &un;
    snprintf(path, sizeof(path), "/tmp/monocoque-accepts-%d", (int)getpid());
    memcpy(un.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, at, sizeof(un)) == 0 && listen(fd, 1) == 0);
    close(fd);
}

static int start_ipc(struct mcq_shard *shard, void *arg)
{
    struct accepts *a = arg;
    struct mcq_detail detail = {.text = ""};
    char endpoint[100];
    snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    leave_file();
    int err = open_at(shard, a, endpoint);
    /* A second one is refused, and leaves the first alone. */
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &watching, a, &a->other, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(a->other, endpoint, &detail) == MCQ_EADDRINUSE && detail.text[0] != '\0');
    CHECK(access(path, F_OK) == 0);
    mcq_sock_close(a->other);
    mcq_sock_close(a->sock);
    return err;
}

static void ipc_files(void)
{
    struct accepts *a = accepts_new();
    struct mcq_trial trial = {"a path that somebody left behind", mcq_trial_opts(), start_ipc, NULL,
                              a};
    snprintf(path, sizeof(path), "/tmp/monocoque-accepts-%d", (int)getpid());
    mcq_trial_run(&trial);
    CHECK(a->closed == 2 && access(path, F_OK) != 0);
    free(a);
}

int main(void)
{
    no_descriptor();
    no_connection();
    closed_in_handshakes();
    unbound_in_handshakes();
    for_a_moment();
    ipc_files();
    return mcq_trial_end();
}
