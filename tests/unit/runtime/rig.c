#include "rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct rig_mask rig_masks[] = {{""}, {"6.1"}, {"-inc"}, {"-mshot-limit,-mshot-accept,-ring-fd"}};

/* Again with a kernel thread or under a mask of the environment: once, unless there is time. */
size_t rig_masks_used(void)
{
    bool again = getenv("MCQ_RING") != NULL || getenv("MCQ_URING_FEATURES") != NULL;
    return again && getenv("MCQ_TEST_LONG") == NULL ? 1 : sizeof(rig_masks) / sizeof(rig_masks[0]);
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The test's mask, the environment's, and -hot where a test counts on receives that wait. */
static const char *features_of(const struct rig_opts *o, char text[256])
{
    const char *parts[] = {getenv("MCQ_URING_FEATURES"), o->features, o->cold ? "-hot" : NULL};
    text[0] = '\0';
    for (size_t i = 0; i < 3; i++) {
        if (parts[i] == NULL || parts[i][0] == '\0')
            continue;
        if (text[0] != '\0')
            strcat(text, ",");
        strncat(text, parts[i], 100);
    }
    return text;
}

static enum mcq_ring_mode ring_of(const struct rig_opts *o)
{
    const char *env = getenv("MCQ_RING");
    if (o->ring != MCQ_RING_AUTO)
        return o->ring;
    return env != NULL && strcmp(env, "sqpoll") == 0 ? MCQ_RING_SQPOLL : MCQ_RING_DEFER;
}

/* With a kernel thread what is submitted completes a little later: turns wait for it, instead of
 * taking the CPU from it. */
static enum mcq_idle idle_of(const struct rig_opts *o)
{
    if (o->idle != MCQ_IDLE_DEFAULT)
        return o->idle;
    return ring_of(o) == MCQ_RING_SQPOLL ? MCQ_IDLE_BLOCK : MCQ_IDLE_SPIN;
}

void rig_open(struct rig *r, const struct rig_opts *o)
{
    char text[256];
    struct mcq_detail d;
    memset(r, 0, sizeof(*r));
    r->sleep_ns = 5000000;
    r->on_event = rig_record;
    struct mcq_buf_plan plan = {.cnt = {16, 16, o->blocks == 0 ? 64 : o->blocks, 2},
                                .large_bytes = o->large_bytes,
                                .external_cnt = 16};
    struct mcq_loop_opts lo = {
        .idle = idle_of(o),
        .conns_max = o->conns == 0 ? 16 : o->conns,
        .timers_max = 16,
        .rx_blocks_max = o->rx_blocks_max,
        .features = features_of(o, text),
        .ring = ring_of(o),
        .sqpoll_idle_ms = 1,
        .sqpoll_share_fd = o->sqpoll_share_fd,
        .napi_busy_us = o->napi_busy_us,
        .stats = &r->stats,
    };
    size_t len = mcq_buf_heap_footprint(&plan) + mcq_loop_footprint(&lo) + 65536;
    cr_assert_eq(mcq_arena_init(&r->arena, len, MCQ_NODE_ANY, &d), MCQ_OK, "%s", d.text);
    r->heap = mcq_buf_heap_init(&r->arena, &plan, &r->mem);
    cr_assert_not_null(r->heap);
    lo.heap = r->heap;
    enum mcq_error e = mcq_loop_init(&r->arena, &lo, &r->loop, &d);
    cr_assert_eq(e, MCQ_OK, "%s", d.text);
    r->sqpoll = lo.ring == MCQ_RING_SQPOLL;
    if (r->sqpoll)
        r->sleep_ns = 1000000;
    r->shot = strstr(mcq_loop_features(r->loop), "mshot-limit") != NULL;
    mcq_arena_seal(&r->arena, false, &d);
}

void rig_close(struct rig *r)
{
    cr_assert_eq(r->stats.stale, 0);
    cr_assert_eq(r->stats.conns_now, 0);
    mcq_loop_fini(r->loop);
    cr_assert_eq(mcq_buf_heap_in_use(r->heap), 0, "%u blocks lost", mcq_buf_heap_in_use(r->heap));
    mcq_arena_fini(&r->arena);
}

void rig_turn(struct rig *r)
{
    struct mcq_io_event ev[RIG_EVENTS_MAX];
    size_t n;
    bool busy = false;
    mcq_loop_begin(r->loop);
    while ((n = mcq_loop_reap(r->loop, ev, RIG_EVENTS_MAX)) != 0) {
        busy = true;
        for (size_t i = 0; i < n; i++)
            r->on_event(r, &ev[i]);
    }
    if (r->pump != NULL)
        r->pump(r);
    busy |= mcq_timers_expire(mcq_loop_timers(r->loop), mcq_loop_now(r->loop)) != 0;
    mcq_loop_end(r->loop, busy, mcq_loop_now(r->loop) + r->sleep_ns);
}

void rig_until(struct rig *r, rig_cond_fn *cond)
{
    uint64_t end = now_ns() + RIG_DEADLINE_NS;
    while (!cond(r)) {
        cr_assert(now_ns() < end, "what was waited for didn't come");
        rig_turn(r);
    }
}

void rig_turns(struct rig *r, unsigned cnt)
{
    while (cnt-- != 0)
        rig_turn(r);
}

/* --- recording ----------------------------------------------------------------------------- */

void rig_record(struct rig *r, const struct mcq_io_event *ev)
{
    struct rig_record *rec = &r->rec;
    rec->cnt[ev->kind]++;
    rec->last[ev->kind] = *ev;
    if (ev->kind == MCQ_IO_SENT)
        rec->sent += ev->len;
    if (ev->kind != MCQ_IO_RECV || ev->buf == NULL)
        return;
    cr_assert_leq(rec->len + ev->len, RIG_DATA_MAX);
    memcpy(rec->data + rec->len, ev->buf->base + ev->off, ev->len);
    rec->len += ev->len;
    if (rec->into)
        return;
    if (rec->keep && rec->kept_cnt < RIG_KEEP_MAX)
        rec->kept[rec->kept_cnt++] = ev->buf;
    else
        mcq_buf_unref(r->heap, ev->buf);
}

void rig_drop_kept(struct rig *r)
{
    while (r->rec.kept_cnt != 0)
        mcq_buf_unref(r->heap, r->rec.kept[--r->rec.kept_cnt]);
}

static enum mcq_io_kind awaited_kind;
static unsigned awaited_cnt;
static size_t awaited_len;

static bool has_kind(struct rig *r)
{
    return r->rec.cnt[awaited_kind] >= awaited_cnt;
}

static bool has_data(struct rig *r)
{
    return r->rec.len >= awaited_len;
}

void rig_await(struct rig *r, enum mcq_io_kind kind, unsigned cnt)
{
    awaited_kind = kind;
    awaited_cnt = cnt;
    rig_until(r, has_kind);
}

void rig_await_data(struct rig *r, size_t len)
{
    awaited_len = len;
    rig_until(r, has_data);
}

struct mcq_conn *rig_adopt(struct rig *r, int *peer)
{
    static const struct mcq_sockopts so = {.notsent_lowat_bytes = 131072};
    struct mcq_addr addr = rig_tcp4();
    struct mcq_conn *c;
    int listener = rig_plain_listener(&addr);
    *peer = rig_peer(&addr);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    close(listener);
    cr_assert_eq(mcq_conn_adopt(r->loop, fd, &so, NULL, &c), MCQ_OK);
    return c;
}

void rig_write(struct rig *r, int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t end = now_ns() + RIG_DEADLINE_NS;
    while (len != 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        cr_assert(now_ns() < end);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else {
            rig_turn(r);
        }
    }
}

/* --- addresses and plain sockets ----------------------------------------------------------- */

struct mcq_addr rig_tcp4(void)
{
    struct mcq_addr a = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&a.ss;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

struct mcq_addr rig_tcp6(void)
{
    struct mcq_addr a = {.len = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&a.ss;
    in->sin6_family = AF_INET6;
    in->sin6_addr = in6addr_loopback;
    return a;
}

struct mcq_addr rig_unix(const char *name)
{
    struct mcq_addr a = {.len = sizeof(struct sockaddr_un)};
    struct sockaddr_un *un = (struct sockaddr_un *)&a.ss;
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path, sizeof(un->sun_path), "/tmp/mcq-test-%d-%s", (int)getpid(), name);
    return a;
}

int rig_peer(const struct mcq_addr *addr)
{
    int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&addr->ss, addr->len), 0);
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

int rig_plain_listener(struct mcq_addr *addr)
{
    int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&addr->ss, addr->len), 0);
    cr_assert_eq(listen(fd, 64), 0);
    addr->len = sizeof(addr->ss);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr->ss, &addr->len), 0);
    return fd;
}
