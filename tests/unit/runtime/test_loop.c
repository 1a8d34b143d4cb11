/* The turn: what it costs in system calls, how it sleeps and what wakes it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

static struct rig r;

/* An idle turn that spins makes no system call. */
RIG_MASKS(loop, idle_spin_is_silent)
{
    rig_open(&r, &(struct rig_opts){.features = m->text, .idle = MCQ_IDLE_SPIN});
    rig_turns(&r, 10);
    uint64_t enters = r.stats.enters, idle = r.stats.turns_idle;
    rig_turns(&r, 5000);
    cr_assert_eq(r.stats.enters, enters);
    cr_assert_eq(r.stats.turns_idle, idle + 5000);
    rig_close(&r);
}

static void echo(struct rig *rig, const struct mcq_io_event *ev)
{
    rig_record(rig, ev);
    if (ev->kind != MCQ_IO_RECV)
        return;
    struct iovec iov = {rig->rec.data, ev->len};
    rig->rec.len = 0;
    cr_assert(mcq_conn_send(rig->loop, ev->conn, &iov, 1));
    mcq_conn_recv(rig->loop, ev->conn, 65536);
}

static void round_trip(int peer)
{
    char bytes[16];
    cr_assert_eq(send(peer, "0123456789abcdef", 16, MSG_NOSIGNAL), 16);
    ssize_t got = 0;
    while (got < 16) {
        ssize_t n = recv(peer, bytes + got, 16 - (size_t)got, 0);
        got += n > 0 ? n : 0;
        rig_turn(&r);
    }
}

static bool is_cold(struct rig *rig)
{
    return !rig->cond_conn->hot;
}

/* A round trip costs two enters when spinning (run what arrived, send the answer) and two when
 * blocking. */
static void count_enters(const char *mask, enum mcq_idle idle)
{
    int peer;
    rig_open(&r, &(struct rig_opts){.features = mask, .idle = idle, .cold = true});
    r.sleep_ns = 200000;
    r.on_event = echo;
    struct mcq_conn *c = rig_adopt(&r, &peer);
    mcq_conn_recv(r.loop, c, 65536);
    for (unsigned i = 0; i < 100; i++)
        round_trip(peer);
    uint64_t enters = r.stats.enters, waits = r.stats.waits, sqes = r.stats.sqes;
    for (unsigned i = 0; i < 1000; i++)
        round_trip(peer);
    enters = r.stats.enters - enters;
    waits = r.stats.waits - waits;
    sqes = r.stats.sqes - sqes;
    if (idle == MCQ_IDLE_SPIN) {
        cr_assert_eq(waits, 0);
        cr_assert_leq(enters, 2100);
    }
    cr_assert_leq(sqes, r.shot ? 1010 : 2010);
    r.on_event = rig_record;
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    close(peer);
    rig_close(&r);
}

RIG_MASKS(loop, round_trip_spinning)
{
    count_enters(m->text, MCQ_IDLE_SPIN);
}

/* It may have cooled by the time one looks: a busy machine holds a test up for longer than that. */
static void warm(const struct mcq_conn *c, int peer)
{
    unsigned trips = 0;
    do
        round_trip(peer);
    while (!c->hot && ++trips < 10000);
    cr_assert(c->hot);
}

/* A hot connection costs an enter a turn, and no wait; it cools when nothing comes. */
RIG_MASKS(loop, hot_and_cold)
{
    int peer;
    rig_open(&r, &(struct rig_opts){.features = m->text, .ring = MCQ_RING_DEFER});
    r.on_event = echo;
    struct mcq_conn *c = rig_adopt(&r, &peer);
    mcq_conn_recv(r.loop, c, 65536);
    warm(c, peer);
    r.cond_conn = c;
    rig_until(&r, is_cold);
    uint64_t enters = r.stats.enters;
    rig_turns(&r, 1000);
    cr_assert_leq(r.stats.enters, enters + 1, "a cold connection is asked");
    warm(c, peer);
    r.on_event = rig_record;
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    close(peer);
    rig_close(&r);
}

RIG_MASKS(loop, round_trip_blocking)
{
    count_enters(m->text, MCQ_IDLE_BLOCK);
}

/* --- sleeping -------------------------------------------------------------------------------- */

struct sleeper {
    bool work; /* found at the last look */
    unsigned announced, woken;
};

static bool on_sleep(void *ctx, bool sleeping)
{
    struct sleeper *s = ctx;
    s->announced += sleeping;
    s->woken += !sleeping;
    return !s->work;
}

Test(loop, looks_again_before_it_sleeps)
{
    struct sleeper s = {.work = true};
    rig_open(&r, &(struct rig_opts){.idle = MCQ_IDLE_BLOCK});
    rig_turns(&r, 5);
    r.sleep_ns = 3600ull * 1000000000u;
    mcq_loop_on_sleep(r.loop, on_sleep, &s);
    uint64_t waits = r.stats.waits;
    rig_turn(&r);
    cr_assert_eq(s.announced, 1);
    cr_assert_eq(r.stats.waits, waits, "it slept although there was work");
    s.work = false;
    r.sleep_ns = 1000000;
    rig_turn(&r);
    cr_assert_eq(s.announced, 2);
    cr_assert_eq(s.woken, 0, "others learn of the end of the sleep when the next turn begins");
    cr_assert_eq(r.stats.waits, waits + 1);
    mcq_loop_begin(r.loop);
    cr_assert_eq(s.woken, 1);
    mcq_loop_begin(r.loop);
    cr_assert_eq(s.woken, 1);
    rig_close(&r);
}

#define WAKES 100u

static unsigned wakes; /* shared */

/* Writes once the previous write has been told, so that no two become one wake. */
static void *waker(void *arg)
{
    int fd = *(int *)arg;
    uint64_t one = 1;
    for (unsigned i = 0; i < WAKES; i++) {
        while (__atomic_load_n(&wakes, __ATOMIC_ACQUIRE) < i)
            usleep(50);
        usleep(200); /* mostly long enough for the loop to be asleep */
        if (write(fd, &one, sizeof(one)) != sizeof(one))
            abort();
    }
    return NULL;
}

static void count_wakes(struct rig *rig, const struct mcq_io_event *ev)
{
    (void)rig;
    cr_assert_eq(ev->kind, MCQ_IO_WAKE);
    cr_assert_null(ev->conn);
    __atomic_fetch_add(&wakes, 1, __ATOMIC_RELEASE);
}

/* Every write from another thread ends a sleep that would last an hour. */
static void wake_from_thread(const char *mask, enum mcq_idle idle)
{
    pthread_t t;
    rig_open(&r, &(struct rig_opts){.features = mask, .idle = idle});
    r.sleep_ns = 3600ull * 1000000000u;
    r.on_event = count_wakes;
    int fd = mcq_loop_wake_fd(r.loop);
    cr_assert_eq(pthread_create(&t, NULL, waker, &fd), 0);
    alarm(200);
    while (wakes < WAKES)
        rig_turn(&r);
    alarm(0);
    pthread_join(t, NULL);
    r.sleep_ns = 1000000;
    rig_turns(&r, 20);
    cr_assert_eq(wakes, WAKES);
    rig_close(&r);
}

RIG_MASKS(loop, wakes_from_block)
{
    wake_from_thread(m->text, MCQ_IDLE_BLOCK);
}

RIG_MASKS(loop, wakes_from_spin_block)
{
    wake_from_thread(m->text, MCQ_IDLE_SPIN_BLOCK);
}

static uint64_t fired_at;

static void on_timer(struct mcq_timer_node *t, uint64_t now_ns)
{
    (void)t;
    fired_at = now_ns;
}

static bool has_fired(struct rig *rig)
{
    (void)rig;
    return fired_at != 0;
}

/* A sleep ends at the first timer, not before and by itself. */
Test(loop, sleeps_until_the_timer)
{
    struct mcq_timer_node t = {.fn = on_timer};
    rig_open(&r, &(struct rig_opts){.idle = MCQ_IDLE_BLOCK});
    rig_turns(&r, 5);
    r.sleep_ns = 3600ull * 1000000000u;
    uint64_t at = mcq_loop_clock(r.loop) + 20000000u, waits = r.stats.waits;
    mcq_timer_node_arm(mcq_loop_timers(r.loop), &t, at);
    alarm(200);
    rig_until(&r, has_fired);
    alarm(0);
    cr_assert_geq(fired_at, at);
    cr_assert_leq(r.stats.waits - waits, 5);
    rig_close(&r);
}

/* More operations than the submission queue holds: they go out in order, none is lost. */
RIG_MASKS(loop, submission_queue_full)
{
    enum { CNT = 300 };
    static struct mcq_conn *c[CNT];
    static int peer[CNT];
    rig_open(&r, &(struct rig_opts){.features = m->text, .conns = CNT, .blocks = 400});
    for (unsigned i = 0; i < CNT; i++)
        c[i] = rig_adopt(&r, &peer[i]);
    rig_turn(&r);
    for (unsigned i = 0; i < CNT; i++) {
        struct iovec iov = {&peer[i], sizeof(peer[i])};
        mcq_conn_recv(r.loop, c[i], 65536);
        cr_assert(mcq_conn_send(r.loop, c[i], &iov, 1));
    }
    cr_assert_gt(r.stats.sq_full, 0);
    for (unsigned i = 0; i < CNT; i++)
        rig_write(&r, peer[i], "xy", 2);
    rig_await(&r, MCQ_IO_SENT, CNT);
    rig_await_data(&r, CNT * 2);
    for (unsigned i = 0; i < CNT; i++) {
        int got = -1;
        cr_assert_eq(recv(peer[i], &got, sizeof(got), 0), sizeof(got));
        cr_assert_eq(got, peer[i]);
        mcq_conn_abort(r.loop, c[i]);
        close(peer[i]);
    }
    rig_await(&r, MCQ_IO_CLOSED, CNT);
    rig_close(&r);
}

Test(loop, bad_mask_is_refused)
{
    struct mcq_detail d = {0};
    struct mcq_loop *loop = NULL;
    struct mcq_arena arena;
    struct mcq_loop_stats stats;
    struct mcq_loop_opts o = {.conns_max = 4, .features = "-warp", .stats = &stats};
    cr_assert_eq(mcq_arena_init(&arena, mcq_loop_footprint(&o) + 4096, MCQ_NODE_ANY, &d), MCQ_OK);
    cr_assert_eq(mcq_loop_init(&arena, &o, &loop, &d), MCQ_EINVAL);
    cr_assert_not_null(strstr(d.text, "-warp"));
    cr_assert_null(loop);
    mcq_arena_fini(&arena);
}
