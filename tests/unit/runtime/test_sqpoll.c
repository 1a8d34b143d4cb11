/* Ring mode sqpoll: the kernel's thread, asleep and awake, shared, pinned; and what auto takes.
 * That every promise of the loop holds in it is shown by the other suites, run with
 * MCQ_RING=sqpoll. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "runtime/ring_choice.h"
#include "runtime/uring.h"

static struct rig r, other;

static const struct rig_opts SQPOLL = {.ring = MCQ_RING_SQPOLL};

static void echo(struct rig *rig, const struct mcq_io_event *ev)
{
    static uint8_t reply[65536];
    size_t before = rig->rec.len;
    rig_record(rig, ev);
    size_t len = rig->rec.len - before;
    if (ev->kind == MCQ_IO_RECV && len != 0) {
        memcpy(reply, rig->rec.data + before, len);
        cr_assert(mcq_conn_send(rig->loop, ev->conn, &(struct iovec){reply, len}, 1));
    }
    rig->rec.len = 0;
    if (ev->conn != NULL && !ev->conn->recv_armed)
        mcq_conn_recv(rig->loop, ev->conn, 65536);
}

static void round_trip(struct rig *rig, int peer)
{
    char bytes[16];
    ssize_t got = 0;
    cr_assert_eq(send(peer, "0123456789abcdef", 16, MSG_NOSIGNAL), 16);
    for (unsigned i = 0; got < 16; i++) {
        cr_assert_lt(i, 1000000);
        ssize_t n = recv(peer, bytes, 16 - (size_t)got, MSG_DONTWAIT);
        got += n > 0 ? n : 0;
        rig_turn(rig);
    }
}

/* The value of a line of the ring's fdinfo, -1 if there is no such line. */
static long fdinfo(const struct rig *rig, const char *name)
{
    char path[64], line[256];
    long value = -1;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mcq_loop_ring_fd(rig->loop));
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    while (value < 0 && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            (void)sscanf(line + strlen(name), ":%ld", &value);
    fclose(f);
    return value;
}

static uint32_t first_cpu(void)
{
    cpu_set_t set;
    uint32_t cpu = 0;
    cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    return cpu;
}

Test(sqpoll, says_what_it_is)
{
    rig_open(&r, &SQPOLL);
    cr_assert_eq(strncmp(mcq_loop_features(r.loop), "sqpoll", 6), 0);
    cr_assert_null(strstr(mcq_loop_features(r.loop), ", hot"));
    cr_assert_str_empty(mcq_loop_ring_why(r.loop));
    cr_assert_gt(fdinfo(&r, "SqThread"), 0);
    rig_close(&r);
}

/* The thread falls asleep between the rounds, and is woken for each: by a loop that waits for the
 * answer, and by one that spins. */
static void wakes_the_thread(enum mcq_idle idle)
{
    int peer;
    rig_open(&r, &(struct rig_opts){.ring = MCQ_RING_SQPOLL, .idle = idle});
    r.on_event = echo;
    struct mcq_conn *c = rig_adopt(&r, &peer);
    mcq_conn_recv(r.loop, c, 65536);
    for (unsigned i = 0; i < 20; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 15000000}, NULL); /* beyond its idle time */
        round_trip(&r, peer);
    }
    r.on_event = rig_record;
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    close(peer);
    rig_close(&r);
}

Test(sqpoll, wakes_the_thread_waiting)
{
    wakes_the_thread(MCQ_IDLE_BLOCK);
}

Test(sqpoll, wakes_the_thread_spinning)
{
    wakes_the_thread(MCQ_IDLE_SPIN);
}

/* More operations than the queue holds, without a turn between them: each waits for room. */
Test(sqpoll, full_queue_waits)
{
    enum { CONNS = 1200 };
    static struct mcq_conn *c[CONNS];
    static int peer[CONNS];
    rig_open(&r, &(struct rig_opts){.ring = MCQ_RING_SQPOLL, .conns = CONNS});
    for (unsigned i = 0; i < CONNS; i++)
        c[i] = rig_adopt(&r, &peer[i]);
    for (unsigned i = 0; i < CONNS; i++) {
        mcq_conn_recv(r.loop, c[i], 1000);
        cr_assert(mcq_conn_send(r.loop, c[i], &(struct iovec){"x", 1}, 1));
    }
    cr_assert_gt(r.stats.sq_full, 0);
    rig_await(&r, MCQ_IO_SENT, CONNS);
    for (unsigned i = 0; i < CONNS; i++) {
        char byte;
        cr_assert_eq(recv(peer[i], &byte, 1, 0), 1);
        mcq_conn_abort(r.loop, c[i]);
    }
    rig_await(&r, MCQ_IO_CLOSED, CONNS);
    for (unsigned i = 0; i < CONNS; i++)
        close(peer[i]);
    rig_close(&r);
}

/* Two loops, one thread; the first may end first. */
Test(sqpoll, shared_thread)
{
    int peer[2];
    rig_open(&r, &SQPOLL);
    rig_open(&other, &(struct rig_opts){.ring = MCQ_RING_SQPOLL,
                                        .sqpoll_share_fd = mcq_loop_ring_fd(r.loop)});
    cr_assert_eq(fdinfo(&r, "SqThread"), fdinfo(&other, "SqThread"));
    r.on_event = echo;
    other.on_event = echo;
    struct mcq_conn *a = rig_adopt(&r, &peer[0]), *b = rig_adopt(&other, &peer[1]);
    mcq_conn_recv(r.loop, a, 65536);
    mcq_conn_recv(other.loop, b, 65536);
    for (unsigned i = 0; i < 50; i++) {
        round_trip(&r, peer[0]);
        round_trip(&other, peer[1]);
    }
    r.on_event = rig_record;
    mcq_conn_abort(r.loop, a);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    rig_close(&r);
    for (unsigned i = 0; i < 50; i++)
        round_trip(&other, peer[1]);
    other.on_event = rig_record;
    mcq_conn_abort(other.loop, b);
    rig_await(&other, MCQ_IO_CLOSED, 1);
    rig_close(&other);
    close(peer[0]);
    close(peer[1]);
}

/* A defer ring wakes an sqpoll one; the other way round nobody could tell, and false says so. */
Test(sqpoll, wake_from_and_to)
{
    rig_open(&r, &(struct rig_opts){.ring = MCQ_RING_DEFER});
    rig_open(&other, &SQPOLL);
    cr_assert_not(mcq_loop_wake_ring(other.loop, mcq_loop_ring_fd(r.loop)));
    if (strstr(mcq_loop_features(r.loop), "msgring") != NULL) {
        cr_assert(mcq_loop_wake_ring(r.loop, mcq_loop_ring_fd(other.loop)));
        rig_await(&other, MCQ_IO_WAKE, 1);
    }
    rig_close(&r);
    rig_close(&other);
}

Test(sqpoll, times)
{
    uint64_t run = 0, work = 0;
    rig_open(&r, &SQPOLL);
    rig_open(&other, &(struct rig_opts){.ring = MCQ_RING_DEFER});
    cr_assert_not(mcq_loop_sq_times(other.loop, &run, &work));
    bool known = mcq_loop_sq_times(r.loop, &run, &work);
    cr_assert_eq(known, fdinfo(&r, "SqTotalTime") >= 0);
    cr_assert(!known || work <= run);
    rig_close(&r);
    rig_close(&other);
}

/* --- setup --------------------------------------------------------------------------------- */

static enum mcq_error open_loop(const struct mcq_loop_opts *o, struct mcq_detail *d,
                                char features[128], char why[256])
{
    static struct mcq_loop_stats stats;
    static struct mcq_mem_stats mem;
    struct mcq_loop_opts lo = *o;
    struct mcq_arena arena;
    struct mcq_loop *loop;
    struct mcq_buf_plan plan = {.cnt = {16, 16, 64, 2}, .external_cnt = 16};
    lo.conns_max = 4;
    lo.timers_max = 4;
    lo.stats = &stats;
    size_t len = mcq_buf_heap_footprint(&plan) + mcq_loop_footprint(&lo) + 65536;
    cr_assert_eq(mcq_arena_init(&arena, len, MCQ_NODE_ANY, d), MCQ_OK, "%s", d->text);
    lo.heap = mcq_buf_heap_init(&arena, &plan, &mem);
    enum mcq_error err = mcq_loop_init(&arena, &lo, &loop, d);
    if (err == MCQ_OK) {
        strcpy(features, mcq_loop_features(loop));
        strcpy(why, mcq_loop_ring_why(loop));
        mcq_loop_fini(loop);
    }
    mcq_arena_fini(&arena);
    return err;
}

static struct mcq_detail detail;
static char features[128], why[256];

Test(sqpoll, pinned)
{
    const struct mcq_loop_opts o = {
        .ring = MCQ_RING_SQPOLL, .sqpoll_pin = true, .sqpoll_cpu = first_cpu()};
    cr_assert_eq(open_loop(&o, &detail, features, why), MCQ_OK, "%s", detail.text);
    cr_assert_eq(strncmp(features, "sqpoll", 6), 0);
}

Test(sqpoll, pinned_to_nowhere)
{
    const struct mcq_loop_opts o = {
        .ring = MCQ_RING_SQPOLL, .sqpoll_pin = true, .sqpoll_cpu = 1023};
    cr_assert_eq(open_loop(&o, &detail, features, why), MCQ_EINVAL);
    cr_assert_not_null(strstr(detail.text, "CPU 1023"), "%s", detail.text);
    cr_assert_not_null(strstr(detail.text, "--sqpoll-cpus"), "%s", detail.text);
}

Test(sqpoll, shared_with_no_such_ring)
{
    int fd = dup(0);
    rig_open(&r, &(struct rig_opts){.ring = MCQ_RING_DEFER});
    const int fds[] = {fd, mcq_loop_ring_fd(r.loop), 1 << 20};
    for (unsigned i = 0; i < 3; i++) {
        const struct mcq_loop_opts o = {.ring = MCQ_RING_SQPOLL, .sqpoll_share_fd = fds[i]};
        cr_assert_neq(open_loop(&o, &detail, features, why), MCQ_OK);
    }
    close(fd);
    rig_close(&r);
}

/* --- auto ------------------------------------------------------------------------------------ */

static void auto_takes(struct mcq_loop_opts o, const char *mode, const char *reason)
{
    o.ring = MCQ_RING_AUTO;
    cr_assert_eq(open_loop(&o, &detail, features, why), MCQ_OK, "%s", detail.text);
    cr_assert_eq(strncmp(features, mode, strlen(mode)), 0, "%s", features);
    cr_assert_not_null(strstr(why, reason), "%s", why);
    cr_assert_not_null(strstr(why, mode), "%s", why);
}

Test(sqpoll, auto_without_a_core)
{
    auto_takes((struct mcq_loop_opts){.idle = MCQ_IDLE_SPIN}, "defer", "no CPU is to spare");
}

Test(sqpoll, auto_that_sleeps)
{
    auto_takes((struct mcq_loop_opts){.idle = MCQ_IDLE_BLOCK, .sqpoll_pin = true}, "defer",
               "needs idle spin");
}

Test(sqpoll, auto_with_a_bad_core)
{
    auto_takes(
        (struct mcq_loop_opts){.idle = MCQ_IDLE_SPIN, .sqpoll_pin = true, .sqpoll_cpu = 1023},
        "defer", "CPU 1023");
}

/* On this thread's own CPU it can't win, and what was measured is said. */
Test(sqpoll, auto_on_the_own_core)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first_cpu(), &one);
    cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    auto_takes((struct mcq_loop_opts){.idle = MCQ_IDLE_SPIN,
                                      .sqpoll_pin = true,
                                      .sqpoll_cpu = first_cpu()},
               "defer", "auto takes defer");
}

Test(sqpoll, auto_by_what_was_measured)
{
    cr_assert(mcq_ring_choice_faster(2000, 1000).sqpoll);
    cr_assert_not(mcq_ring_choice_faster(1000, 2000).sqpoll);
    cr_assert_not(mcq_ring_choice_faster(1000, 950).sqpoll, "not worth a core");
    cr_assert_not(mcq_ring_choice_faster(1000, 0).sqpoll);
    cr_assert_not_null(strstr(mcq_ring_choice_faster(1000, 2000).why, "2000 ns with sqpoll"));
    cr_assert_not_null(strstr(mcq_ring_choice_faster(2000, 1000).why, "takes sqpoll"));
    cr_assert_not_null(strstr(mcq_ring_choice_faster(1000, 0).why, "answered nothing"));
}
