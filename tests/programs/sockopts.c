/* A socket's options as the kernel has them: on the listener, on both ends of a connection, and on
 * the one that comes after it. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define FDS_MAX 1024

struct opts {
    struct mcq_shard *shard;
    struct mcq_sock *pull, *push;
    const char *at;
    struct mcq_peer peer;
    struct mcq_diary pull_diary, push_diary;
    atomic_ulong ready;
};

static void on_pull(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct opts *o = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_UP)
        o->peer = event->peer;
    mcq_diary_add(&o->pull_diary, event);
}

static void on_push(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct opts *o = ctx;
    (void)sock;
    mcq_diary_add(&o->push_diary, event);
}

static int start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers pull = {.event = on_pull}, push = {.event = on_push};
    struct opts *o = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    o->shard = shard;
    opts.tcp_user_timeout_ms = 54321;
    opts.keepalive_idle_s = 111;
    opts.keepalive_interval_s = 12;
    opts.keepalive_cnt = 4;
    opts.send_buffer_bytes = 40000;
    opts.recv_buffer_bytes = 50000;
    opts.notsent_lowat_bytes = 60000;
    opts.tos = 0xb8;
    opts.reconnect_min_ms = 1;
    CHECK(mcq_sock_open(shard, MCQ_PULL, &opts, &pull, o, &o->pull, NULL) == MCQ_OK);
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &push, o, &o->push, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(o->pull, o->at, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(o->push, mcq_sock_endpoint(o->pull), NULL) == MCQ_OK);
    atomic_store(&o->ready, 1);
    return 0;
}

static void end(struct mcq_shard *shard, void *arg)
{
    struct opts *o = arg;
    (void)shard;
    mcq_sock_close(o->push);
    mcq_sock_close(o->pull);
}

static void kill_peer(struct mcq_shard *shard, void *arg)
{
    struct opts *o = arg;
    (void)shard;
    CHECK(mcq_peer_kill(o->pull, o->peer) == MCQ_OK);
}

static int get(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    (void)getsockopt(fd, level, name, &value, &len);
    return value;
}

static void check_tcp(int fd, int domain)
{
    CHECK(get(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 54321);
    CHECK(get(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 60000);
    CHECK(get(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(get(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 111);
    CHECK(get(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 12);
    CHECK(get(fd, IPPROTO_TCP, TCP_KEEPCNT) == 4);
    CHECK(get(fd, IPPROTO_IP, IP_TOS) == 0xb8);
    CHECK(domain != AF_INET6 || get(fd, IPPROTO_IPV6, IPV6_TCLASS) == 0xb8);
}

/* Every stream socket of this process, but those of the trial itself, which there are none of. */
static void check_all(void)
{
    unsigned listening = 0, connected = 0;
    for (int fd = 3; fd < FDS_MAX; fd++) {
        int domain = get(fd, SOL_SOCKET, SO_DOMAIN);
        if (get(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM)
            continue;
        listening += get(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
        connected += get(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0;
        CHECK(get(fd, SOL_SOCKET, SO_SNDBUF) == 2 * 40000);
        CHECK(get(fd, SOL_SOCKET, SO_RCVBUF) == 2 * 50000);
        if (domain != AF_UNIX)
            check_tcp(fd, domain);
    }
    CHECK(listening == 1 && connected == 2);
}

static void *far(void *arg)
{
    struct opts *o = arg;
    CHECK(mcq_trial_wait(&o->pull_diary.cnt[MCQ_EVENT_UP], 1));
    CHECK(mcq_trial_wait(&o->push_diary.cnt[MCQ_EVENT_UP], 1));
    check_all();
    CHECK(mcq_post(o->shard, kill_peer, o) == MCQ_OK);
    CHECK(mcq_trial_wait(&o->pull_diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    CHECK(mcq_trial_wait(&o->pull_diary.cnt[MCQ_EVENT_UP], 2));
    CHECK(mcq_trial_wait(&o->push_diary.cnt[MCQ_EVENT_UP], 2));
    check_all();
    CHECK(mcq_post(o->shard, end, o) == MCQ_OK);
    return NULL;
}

static void everywhere(const char *at)
{
    struct opts *o = calloc(1, sizeof(*o));
    if (o == NULL)
        abort();
    o->at = at;
    struct mcq_trial trial = {at, mcq_trial_opts(), start, far, o};
    mcq_trial_run(&trial);
    mcq_diary_end(&o->pull_diary);
    mcq_diary_end(&o->push_diary);
    CHECK(o->push_diary.reasons[MCQ_REASON_RESET] + o->push_diary.reasons[MCQ_REASON_PEER_CLOSED] ==
          1);
    free(o);
}

int main(void)
{
    everywhere("tcp://127.0.0.1:*");
    everywhere("tcp://[::1]:*");
    everywhere("ipc://@monocoque-sockopts");
    return mcq_trial_end();
}
