/* mcq_run as a program sees it: what it returns and says when something isn't as it should be. */
#include <criterion/criterion.h>
#include <errno.h>
#include <monocoque.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "shards/sock.h"

static struct mcq_opts small(void)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    opts.arena_bytes = 16 << 20;
    opts.large_bytes = 1 << 20;
    opts.cpus = "none";
    opts.idle = MCQ_IDLE_BLOCK;
    opts.no_mlock = true;
    opts.no_signals = true;
    return opts;
}

static enum mcq_error run(int (*start)(struct mcq_shard *, void *), void *arg,
                          struct mcq_detail *detail)
{
    struct mcq_opts opts = small();
    struct mcq_app app = {.start = start};
    *detail = (struct mcq_detail){.text = ""};
    return mcq_run(&opts, &app, arg, detail);
}

TestSuite(app, .timeout = 30);

/* --- a start that refuses -------------------------------------------------------------------- */

static const struct mcq_sock_handlers SILENT = {0};

static int refuse(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    return 1;
}

static int bind_twice(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock *sock;
    (void)arg;
    if (mcq_sock_open(shard, MCQ_PULL, NULL, &SILENT, NULL, &sock, NULL) != MCQ_OK ||
        mcq_sock_bind(sock, "tcp://127.0.0.1:*", NULL) != MCQ_OK)
        return 0;
    return mcq_sock_bind(sock, mcq_sock_endpoint(sock), NULL);
}

static int open_unknown(struct mcq_shard *shard, void *arg)
{
    struct mcq_detail own;
    struct mcq_sock *sock;
    enum mcq_error err =
        mcq_sock_open(shard, (enum mcq_sock_type)99, NULL, &SILENT, NULL, &sock, &own);
    strcpy(arg, own.text);
    return err;
}

static int connect_nowhere(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock *sock;
    (void)arg;
    if (mcq_sock_open(shard, MCQ_PUSH, NULL, &SILENT, NULL, &sock, NULL) != MCQ_OK)
        return 0;
    return mcq_sock_connect(sock, "udp://127.0.0.1:1", NULL);
}

Test(app, a_start_that_refuses_tells_what_failed)
{
    struct mcq_detail detail;
    char own[MCQ_DETAIL_TEXT_LEN] = "";
    cr_assert_eq(run(refuse, NULL, &detail), MCQ_ESTATE);
    cr_assert_str_eq(detail.text, "shard 0: start refused to go on");
    cr_assert_eq(run(bind_twice, NULL, &detail), MCQ_ESTATE);
    cr_assert_eq(detail.os_errno, EADDRINUSE);
    cr_assert_not_null(strstr(detail.text, "go on: tcp://127.0.0.1:"), "%s", detail.text);
    cr_assert_not_null(strstr(detail.text, "listens there already"), "%s", detail.text);
    cr_assert_eq(run(open_unknown, own, &detail), MCQ_ESTATE);
    cr_assert_neq(own[0], '\0');
    cr_assert_not_null(strstr(detail.text, own), "%s", detail.text);
    cr_assert_eq(run(connect_nowhere, NULL, &detail), MCQ_ESTATE);
    cr_assert_not_null(strstr(detail.text, "udp://"), "%s", detail.text);
}

/* --- messages that never came home ----------------------------------------------------------- */

static char memory[64];
static struct mcq_msg kept;

static int keep_one(struct mcq_shard *shard, void *arg)
{
    enum mcq_error err = mcq_msg_from_memory(shard, memory, sizeof(memory), NULL, NULL, &kept);
    if (arg != NULL)
        mcq_msg_drop(shard, &kept);
    return err;
}

Test(app, a_message_not_dropped_is_told_at_the_end)
{
    struct mcq_detail detail;
    bool drop = true;
    cr_assert_eq(run(keep_one, NULL, &detail), MCQ_ESTATE);
    cr_assert_not_null(strstr(detail.text, "1 blocks are not home"), "%s", detail.text);
    cr_assert_eq(run(keep_one, &drop, &detail), MCQ_OK, "%s", detail.text);
}

/* --- counters -------------------------------------------------------------------------------- */

static struct mcq_shard_stats counted;
static unsigned ticks;

static void on_tick(void *ctx, struct mcq_timer *timer)
{
    struct mcq_shard *shard = ctx;
    if (++ticks < 3) {
        mcq_timer_arm(timer, 0);
        return;
    }
    mcq_shard_stats(shard, &counted);
    mcq_stop(shard);
}

static int use_pools_up(struct mcq_shard *shard, void *arg)
{
    struct mcq_timer *first = NULL, *timer;
    struct mcq_sock *sock = NULL, *next;
    (void)arg;
    while (mcq_timer_open(shard, on_tick, shard, &timer) == MCQ_OK)
        first = timer;
    while (mcq_sock_open(shard, MCQ_PUSH, NULL, &SILENT, NULL, &next, NULL) == MCQ_OK)
        sock = next;
    while (mcq_sock_bind(sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK)
        ;
    while (mcq_sock_connect(sock, "ipc:///nobody/is/here", NULL) == MCQ_OK)
        ;
    mcq_timer_arm(first, 0);
    return 0;
}

Test(app, empty_pools_and_timers_are_counted)
{
    struct mcq_detail detail;
    cr_assert_eq(run(use_pools_up, NULL, &detail), MCQ_OK, "%s", detail.text);
    cr_assert_eq(counted.pools.timers_empty, 1);
    cr_assert_eq(counted.pools.socks_empty, 1);
    cr_assert_eq(counted.pools.listeners_empty, 1);
    cr_assert_eq(counted.pools.connects_empty, 1);
    cr_assert_eq(counted.pools.links_empty, 0);
    cr_assert_eq(counted.pools.segments_empty, 0);
    cr_assert_geq(counted.loop.timers_fired, 2); /* those of the turns before this one */
    cr_assert_geq(counted.loop.conns_now, 256);  /* the listeners */
}

struct drop_run {
    unsigned events;
    uint64_t cnt[32];
};

static void on_drop(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct drop_run *r = ctx;
    if (event->kind != MCQ_EVENT_DROPPED)
        return;
    r->events++;
    r->cnt[event->reason] += event->cnt;
    mcq_sock_close(sock);
}

static const struct mcq_sock_handlers DROPPING = {.event = on_drop};
static bool close_at_once;

static int drop_some(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock *sock;
    enum mcq_error err = mcq_sock_open(shard, MCQ_ROUTER, NULL, &DROPPING, arg, &sock, NULL);
    if (err != MCQ_OK)
        return err;
    mcq_sock_up.dropped(sock, NULL, MCQ_REASON_HWM, 2);
    mcq_sock_up.dropped(sock, NULL, MCQ_REASON_PATTERN, 4);
    mcq_sock_up.dropped(sock, NULL, MCQ_REASON_HWM, 1);
    if (close_at_once)
        mcq_sock_close(sock);
    return 0;
}

/* Also those of a socket that closes in the same turn. */
Test(app, drops_are_told_by_their_reason)
{
    for (int i = 0; i < 2; i++) {
        struct drop_run r = {.events = 0};
        struct mcq_detail detail;
        close_at_once = i == 1;
        cr_assert_eq(run(drop_some, &r, &detail), MCQ_OK, "%s", detail.text);
        cr_assert_eq(r.events, 2);
        cr_assert_eq(r.cnt[MCQ_REASON_HWM], 3);
        cr_assert_eq(r.cnt[MCQ_REASON_PATTERN], 4);
    }
}

struct pair_run {
    struct mcq_sock *push, *pull;
    struct mcq_shard_stats stats;
    uint64_t bytes_in, bytes_out;
    unsigned ends;
};

static enum mcq_flow on_pulled(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                               struct mcq_msg *msg)
{
    struct pair_run *r = ctx;
    (void)sock, (void)from, (void)msg;
    mcq_sock_close(r->push);
    return MCQ_CONTINUE;
}

static void on_end(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct pair_run *r = ctx;
    if (event->kind != MCQ_EVENT_DISCONNECTED)
        return;
    r->bytes_in += event->report.bytes_in;
    r->bytes_out += event->report.bytes_out;
    if (++r->ends == 2) {
        mcq_shard_stats(mcq_sock_shard(sock), &r->stats);
        mcq_stop(mcq_sock_shard(sock));
    }
}

static const struct mcq_sock_handlers PAIRED = {.message = on_pulled, .event = on_end};

static int push_to_pull(struct mcq_shard *shard, void *arg)
{
    struct pair_run *r = arg;
    return mcq_sock_open(shard, MCQ_PULL, NULL, &PAIRED, r, &r->pull, NULL) != MCQ_OK ||
           mcq_sock_bind(r->pull, "tcp://127.0.0.1:*", NULL) != MCQ_OK ||
           mcq_sock_open(shard, MCQ_PUSH, NULL, &PAIRED, r, &r->push, NULL) != MCQ_OK ||
           mcq_sock_connect(r->push, mcq_sock_endpoint(r->pull), NULL) != MCQ_OK ||
           mcq_send_bytes(r->push, "once", 4) != MCQ_OK;
}

/* Greeting, READY and the message, each way once. */
Test(app, bytes_of_the_stream_are_counted_once)
{
    struct pair_run r = {.ends = 0};
    struct mcq_detail detail;
    cr_assert_eq(run(push_to_pull, &r, &detail), MCQ_OK, "%s", detail.text);
    cr_assert_eq(r.ends, 2);
    cr_assert_gt(r.bytes_out, 2 * 64);
    cr_assert_eq(r.bytes_out, r.bytes_in);
    cr_assert_eq(r.stats.proto.bytes_out, r.bytes_out);
    cr_assert_eq(r.stats.proto.bytes_in, r.bytes_in);
}

/* --- connects that fail ---------------------------------------------------------------------- */

struct failure {
    enum mcq_reason reason;
    int os_errno;
    char detail[128];
    unsigned cnt;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct failure *f = ctx;
    if (event->kind != MCQ_EVENT_HANDSHAKE_FAILED)
        return;
    f->reason = event->reason;
    f->os_errno = event->os_errno;
    strncpy(f->detail, event->detail, sizeof(f->detail) - 1);
    f->cnt++;
    mcq_sock_close(sock);
}

static const struct mcq_sock_handlers WATCHING = {.event = on_event};

static const char *target;

static int connect_target(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock *sock;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.handshake_ms = 50;
    enum mcq_error err = mcq_sock_open(shard, MCQ_PUSH, &opts, &WATCHING, arg, &sock, NULL);
    return err != MCQ_OK ? err : mcq_sock_connect(sock, target, NULL);
}

static struct failure failure_of(const char *endpoint)
{
    struct failure f = {.detail = ""};
    struct mcq_detail detail;
    target = endpoint;
    cr_assert_eq(run(connect_target, &f, &detail), MCQ_OK, "%s", detail.text);
    cr_assert_eq(f.cnt, 1);
    return f;
}

/* Port 1 is nobody's here, and a path that nobody has bound is none. */
Test(app, a_failed_connect_says_why)
{
    struct failure f = failure_of("tcp://127.0.0.1:1");
    cr_assert_eq(f.reason, MCQ_REASON_RESET);
    cr_assert_eq(f.os_errno, ECONNREFUSED);
    cr_assert_str_eq(f.detail, "Connection refused");
    f = failure_of("ipc:///nobody/is/here");
    cr_assert_eq(f.reason, MCQ_REASON_RESET);
    cr_assert_eq(f.os_errno, ENOENT);
    cr_assert_str_eq(f.detail, "No such file or directory");
}

/* A listener that accepts nobody, and whose queue is full: the kernel drops what knocks. */
Test(app, a_connect_without_an_answer_is_a_timeout)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    char endpoint[64];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(listen(fd, 0), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    for (int i = 0; i < 4; i++) {
        int full = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(full, (struct sockaddr *)&at, len);
    }
    snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    struct failure f = failure_of(endpoint);
    cr_assert_eq(f.reason, MCQ_REASON_TIMEOUT);
    cr_assert_eq(f.os_errno, ETIMEDOUT);
    cr_assert_str_eq(f.detail, "Connection timed out");
}

Test(app, a_host_name_that_is_none_says_why)
{
    struct failure f = failure_of("tcp://no-such-host.invalid:1");
    cr_assert_eq(f.reason, MCQ_REASON_OS);
    cr_assert_not_null(strstr(f.detail, "no-such-host.invalid"), "%s", f.detail);
}
