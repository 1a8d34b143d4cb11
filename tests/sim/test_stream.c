/* Streams of the simulated machine end as those of Linux do. */
#include <errno.h>
#include <string.h>

#include "tests/sim/test_bare.h"

static struct bare a, b;
static int fd[2];
static uint8_t bytes[200000];

static uint64_t seed = 7;

static void open_both(const struct mcq_sim_faults *faults)
{
    mcq_sim_open(seed, faults);
    bare_open(&a, 0);
    bare_open(&b, 1);
    bare_connect(&a, &b, fd);
}

static void select_a(void)
{
    mcq_sim_select(a.process);
}

static void select_b(void)
{
    mcq_sim_select(b.process);
}

TestSuite(stream, .fini = mcq_sim_close);

Test(stream, bytes_and_then_the_end)
{
    uint8_t got[16];
    open_both(&bare_no_faults);
    bare_send(&a, fd[0], "hello", 5);
    select_a();
    cr_assert_eq(mcq_net_unacked(fd[0]), 5, "nothing has moved yet");
    cr_assert(mcq_net_shutdown_send(fd[0]));
    cr_assert_eq(mcq_net_unacked(fd[0]), 6, "a FIN counts one");
    cr_assert_eq(bare_recv(&b, fd[1], got, sizeof(got)), 5);
    cr_assert_eq(memcmp(got, "hello", 5), 0);
    cr_assert_eq(bare_recv(&b, fd[1], got, sizeof(got)), 0);
    cr_assert_eq(bare_recv(&b, fd[1], got, sizeof(got)), 0, "an end stays one");
    bare_settle(&a, 1000000);
    select_a();
    cr_assert_eq(mcq_net_unacked(fd[0]), 0);
    mcq_uring_send(a.u, 1, fd[0], "x", 1);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, -EPIPE);
    select_b();
    mcq_net_close(fd[1]);
    cr_assert_eq(bare_recv(&a, fd[0], got, sizeof(got)), 0);
    select_a();
    cr_assert_not(mcq_net_shutdown_both(fd[0]), "both sides have ended: ENOTCONN");
    mcq_net_close(fd[0]);
    bare_close(&a);
    bare_close(&b);
    cr_assert_eq(mcq_sim_open_fds(0) + mcq_sim_open_fds(1), 0);
}

/* What is taken for lost may have arrived. */
Test(stream, an_acknowledgement_may_come_late)
{
    uint8_t got[16];
    unsigned late = 0;
    for (seed = 0; seed < 100; seed++) {
        open_both(&bare_no_faults);
        bare_send(&a, fd[0], "hello", 5);
        cr_assert_eq(bare_recv(&b, fd[1], got, sizeof(got)), 5);
        select_a();
        late += mcq_net_unacked(fd[0]) == 5;
        bare_settle(&a, 1000000);
        select_a();
        cr_assert_eq(mcq_net_unacked(fd[0]), 0);
        mcq_arena_fini(&a.arena);
        mcq_arena_fini(&b.arena);
    }
    cr_assert(late > 0 && late < 50, "%u", late);
}

Test(stream, closing_over_unread_bytes_resets)
{
    uint8_t got[16];
    open_both(&bare_no_faults);
    bare_send(&a, fd[0], "abc", 3);
    bare_send(&b, fd[1], "defg", 4);
    bare_settle(&a, 1000000);
    select_b();
    mcq_net_close(fd[1]);
    bare_settle(&a, 1000000);
    cr_assert_eq(bare_recv(&a, fd[0], got, sizeof(got)), 4, "what had arrived can be read");
    cr_assert_eq(bare_recv(&a, fd[0], got, sizeof(got)), -ECONNRESET);
    cr_assert_eq(bare_recv(&a, fd[0], got, sizeof(got)), 0, "an error is told once");
    mcq_uring_send(a.u, 1, fd[0], "x", 1);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, -EPIPE);
    struct mcq_addr peer;
    mcq_net_peer(fd[0], &peer);
    cr_assert_eq(peer.len, 0);
}

Test(stream, bytes_for_nobody_reset)
{
    uint8_t got[16];
    open_both(&bare_no_faults);
    select_b();
    mcq_net_close(fd[1]);
    cr_assert_eq(bare_recv(&a, fd[0], got, sizeof(got)), 0);
    bare_send(&a, fd[0], "late", 4);
    bare_settle(&a, 1000000);
    select_a();
    cr_assert_eq(mcq_net_unacked(fd[0]), 4, "nobody has acknowledged them");
    mcq_uring_send(a.u, 1, fd[0], "x", 1);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, -EPIPE);
}

Test(stream, bytes_for_a_socket_shut_both_ways_reset)
{
    uint8_t got[16];
    open_both(&bare_no_faults);
    mcq_uring_recv_into(b.u, 1, fd[1], got, sizeof(got));
    bare_enter(&b);
    select_b();
    cr_assert(mcq_net_shutdown_both(fd[1]));
    bare_enter(&b);
    cr_assert_eq(b.cnt[1], 1, "shutdown ends an armed receive");
    cr_assert_eq(b.last[1].res, 0);
    bare_send(&a, fd[0], "late", 4);
    bare_settle(&a, 1000000);
    cr_assert_eq(bare_recv(&a, fd[0], got, sizeof(got)), 0, "its FIN came first");
    mcq_uring_send(a.u, 1, fd[0], "x", 1);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, -EPIPE);
}

Test(stream, an_operation_keeps_a_closed_socket_alive)
{
    uint8_t got[16], other[16];
    open_both(&bare_no_faults);
    select_b();
    mcq_uring_recv_into(b.u, 1, fd[1], got, sizeof(got));
    mcq_uring_submit(b.u);
    mcq_net_close(fd[1]);
    select_a();
    mcq_uring_recv_into(a.u, 2, fd[0], other, sizeof(other));
    bare_settle(&a, 1000000000);
    cr_assert_eq(a.cnt[2], 0, "no FIN went out");
    bare_send(&a, fd[0], "abc", 3);
    bare_await(&b, 1);
    cr_assert_eq(b.last[1].res, 3);
    bare_await(&a, 2);
    cr_assert_eq(a.last[2].res, 0, "with the operation the socket has ended");
}

Test(stream, takes_what_there_is_room_for)
{
    struct mcq_sim_faults small = {.socket_buffer_bytes = 1000};
    open_both(&small);
    memset(bytes, 'x', sizeof(bytes));
    select_a();
    mcq_uring_send(a.u, 1, fd[0], bytes, 5000);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, 500);
    bare_settle(&a, 1000000);
    mcq_uring_send(a.u, 1, fd[0], bytes, 5000);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, 500, "500 have arrived");
    select_a();
    mcq_uring_send(a.u, 1, fd[0], bytes, 5000);
    bare_settle(&a, 1000000000);
    cr_assert_eq(a.cnt[1], 2, "both buffers are full");
    cr_assert_eq(bare_recv(&b, fd[1], bytes, sizeof(bytes)), 500);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, 500);
}

Test(stream, a_vanished_peer_is_silent_until_patience_ends)
{
    struct mcq_sim_faults half = {.half_open = 10000};
    struct mcq_sockopts so = {.user_timeout_ms = 3000};
    bool is_unix;
    uint8_t got[16];
    open_both(&bare_no_faults);
    mcq_sim_set_faults(&half);
    select_a();
    mcq_net_apply(fd[0], &so, &is_unix);
    cr_assert_not(is_unix);
    bare_send(&a, fd[0], "abc", 3);
    uint64_t sent_ns = mcq_sim_now_ns();
    select_b();
    mcq_uring_recv_into(b.u, 1, fd[1], got, sizeof(got));
    bare_enter(&b);
    cr_assert_eq(bare_recv(&a, fd[0], got, sizeof(got)), -ETIMEDOUT);
    cr_assert_geq(mcq_sim_now_ns() - sent_ns, 2999000000);
    cr_assert_leq(mcq_sim_now_ns() - sent_ns, 3001000000);
    select_a();
    mcq_net_close(fd[0]);
    bare_enter(&a);
    bare_settle(&b, 1000000000000);
    cr_assert_eq(b.cnt[1], 0, "nothing tells the other side");
    cr_assert_eq(mcq_sim_seen()->half_opens, 1);
}

Test(stream, a_reset_of_the_network_tells_both)
{
    struct mcq_sim_faults resets = {.reset = 10000};
    uint8_t got[16];
    open_both(&bare_no_faults);
    mcq_sim_set_faults(&resets);
    bare_send(&a, fd[0], "abc", 3);
    int32_t at_b = bare_recv(&b, fd[1], got, sizeof(got));
    if (at_b > 0)
        at_b = bare_recv(&b, fd[1], got, sizeof(got));
    cr_assert_eq(at_b, -ECONNRESET);
    cr_assert_eq(bare_recv(&a, fd[0], got, sizeof(got)), -ECONNRESET);
}

Test(stream, unix_sockets_end_at_once)
{
    uint8_t got[16];
    int pair[2];
    open_both(&bare_no_faults);
    select_a();
    cr_assert_eq(mcq_net_pair(pair), 0);
    bare_send(&a, pair[0], "abc", 3);
    cr_assert_eq(bare_recv(&a, pair[1], got, sizeof(got)), 3);
    bare_send(&a, pair[0], "unread", 6);
    mcq_net_close(pair[1]);
    cr_assert_eq(bare_recv(&a, pair[0], got, sizeof(got)), -ECONNRESET);
    mcq_uring_send(a.u, 1, pair[0], "x", 1);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, -EPIPE);
    mcq_net_close(pair[0]);

    cr_assert_eq(mcq_net_pair(pair), 0);
    bare_send(&a, pair[0], "abc", 3);
    mcq_net_close(pair[0]);
    cr_assert_eq(bare_recv(&a, pair[1], got, sizeof(got)), 3);
    cr_assert_eq(bare_recv(&a, pair[1], got, sizeof(got)), 0);
    mcq_uring_send(a.u, 1, pair[1], "x", 1);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, -EPIPE, "a close is also the end of our sending");
}
