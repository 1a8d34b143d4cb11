/* Connecting and listening on the simulated machine. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/sim/test_bare.h"

static struct bare a, b;

static void open_both(void)
{
    mcq_sim_open(3, &bare_no_faults);
    bare_open(&a, 0);
    bare_open(&b, 1);
}

TestSuite(socket, .init = open_both, .fini = mcq_sim_close);

static int listen_b(const struct mcq_addr *addr, uint32_t backlog, struct mcq_addr *at)
{
    mcq_sim_select(1);
    return mcq_net_listen(addr, &bare_so, backlog, at);
}

static int connect_a(uint64_t tag, const struct mcq_addr *at)
{
    mcq_sim_select(0);
    int fd = mcq_net_socket(at, NULL, &bare_so);
    mcq_uring_connect(a.u, tag, fd, (const void *)&at->ss, at->len);
    return fd;
}

static int32_t connected_a(const struct mcq_addr *at)
{
    int fd = connect_a(1, at);
    bare_await(&a, 1);
    mcq_net_close(fd);
    return a.last[1].res;
}

Test(socket, who_listens_is_reached)
{
    struct mcq_addr any = bare_tcp4(0), at, to, peer;
    to = bare_tcp4(5000);
    cr_assert_eq(connected_a(&to), -ECONNREFUSED);
    ((struct sockaddr_in *)&any.ss)->sin_addr.s_addr = htonl(INADDR_ANY);
    int listener = listen_b(&any, 8, &at);
    uint16_t port = ntohs(((struct sockaddr_in *)&at.ss)->sin_port);
    cr_assert_geq(port, 32768);
    to = bare_tcp4(port);
    cr_assert_eq(listen_b(&to, 8, &peer), -EADDRINUSE);
    int fd = connect_a(1, &to);
    bare_await(&a, 1);
    cr_assert_eq(a.last[1].res, 0);
    mcq_net_peer(fd, &peer);
    cr_assert_eq(peer.len, to.len);
    cr_assert_eq(memcmp(&peer.ss, &to.ss, to.len), 0);
    cr_assert_not(mcq_net_is_self(fd));
    mcq_sim_select(1);
    mcq_net_close(listener);
    uint8_t got[8];
    cr_assert_eq(bare_recv(&a, fd, got, sizeof(got)), -ECONNRESET, "it was never accepted");
    cr_assert_eq(connected_a(&to), -ECONNREFUSED);
}

Test(socket, a_full_backlog_lets_wait)
{
    struct mcq_addr any = bare_tcp4(0), at;
    int listener = listen_b(&any, 2, &at);
    for (uint64_t i = 0; i < 5; i++)
        (void)connect_a(i, &at);
    bare_settle(&a, 100000000);
    uint32_t up = 0;
    for (uint64_t i = 0; i < 5; i++)
        up += a.cnt[i];
    cr_assert_eq(up, 3, "the backlog and one more");
    mcq_sim_select(1);
    mcq_uring_accept(b.u, 9, listener, true);
    bare_settle(&b, 1000000);
    cr_assert_geq(b.cnt[9], 3);
    cr_assert(b.last[9].flags & MCQ_DONE_MORE);
    bare_settle(&a, 2000000000);
    for (uint64_t i = 0; i < 5; i++)
        cr_assert_eq(a.cnt[i], 1);
    bare_enter(&b);
    cr_assert_eq(b.cnt[9], 5);
}

Test(socket, descriptors_are_reused_lowest_first)
{
    struct mcq_addr at = bare_tcp4(5000);
    mcq_sim_select(0);
    cr_assert_eq(mcq_sim_open_fds(0), 1, "the ring's");
    int fd[4];
    for (unsigned i = 0; i < 4; i++)
        fd[i] = mcq_net_socket(&at, NULL, &bare_so);
    for (unsigned i = 1; i < 4; i++)
        cr_assert_eq(fd[i], fd[0] + (int)i);
    mcq_net_close(fd[2]);
    mcq_net_close(fd[0]);
    cr_assert_eq(mcq_net_socket(&at, NULL, &bare_so), fd[0]);
    cr_assert_eq(mcq_net_socket(&at, NULL, &bare_so), fd[2]);
    cr_assert_eq(mcq_sim_open_fds(0), 5);
}

Test(socket, no_descriptor_is_left)
{
    struct mcq_addr any = bare_tcp4(0), at;
    int listener = listen_b(&any, 8, &at), fd = 0, last = -1;
    for (; fd >= 0; fd = mcq_net_socket(&any, NULL, &bare_so))
        last = fd;
    cr_assert_eq(fd, -EMFILE);
    (void)connect_a(1, &at);
    bare_await(&a, 1);
    mcq_sim_select(1);
    mcq_uring_accept(b.u, 2, listener, true);
    bare_await(&b, 2);
    cr_assert_eq(b.last[2].res, -EMFILE);
    mcq_net_close(last);
    mcq_uring_accept(b.u, 2, listener, true);
    bare_await(&b, 2);
    cr_assert_eq(b.last[2].res, last, "the connection was left in the queue");
}

Test(socket, paths_go_stale)
{
    struct mcq_addr path = bare_unix("/tmp/x"), name = bare_unix("@x"), at;
    cr_assert_eq(connected_a(&path), -ENOENT);
    cr_assert_eq(connected_a(&name), -ECONNREFUSED);
    int listener = listen_b(&path, 8, &at);
    cr_assert_geq(listen_b(&name, 8, &at), 0, "a name of its own");
    cr_assert_eq(listen_b(&path, 8, &at), -EADDRINUSE);
    cr_assert_eq(connected_a(&path), 0);
    mcq_sim_select(1);
    mcq_net_close(listener);
    cr_assert_eq(connected_a(&path), -ECONNREFUSED, "the file is still there");
    listener = listen_b(&path, 8, &at);
    cr_assert_geq(listener, 0);
    mcq_net_close(listener);
    mcq_net_unlink(&path);
    cr_assert_eq(connected_a(&path), -ENOENT);
}

Test(socket, the_near_end_is_chosen)
{
    struct mcq_addr any = bare_tcp4(0), near = bare_tcp4(7000), at, peer;
    int listener = listen_b(&any, 8, &at);
    mcq_sim_select(0);
    cr_assert_eq(mcq_net_socket(&at, &at, &bare_so), -EADDRINUSE);
    int fd = mcq_net_socket(&at, &near, &bare_so);
    mcq_uring_connect(a.u, 1, fd, (const void *)&at.ss, at.len);
    bare_enter(&a);
    mcq_sim_select(1);
    mcq_uring_accept(b.u, 2, listener, false);
    bare_await(&b, 2);
    mcq_net_peer(b.last[2].res, &peer);
    cr_assert_eq(memcmp(&peer.ss, &near.ss, near.len), 0);
}

Test(socket, an_aborted_connect_completes)
{
    struct mcq_sim_faults lost = {.connect_lost = 10000};
    struct mcq_addr any = bare_tcp4(0), at;
    (void)listen_b(&any, 8, &at);
    mcq_sim_set_faults(&lost);
    uint64_t began_ns = mcq_sim_now_ns();
    bare_enter(&b);
    cr_assert_eq(connected_a(&at), -ETIMEDOUT);
    cr_assert_geq(mcq_sim_now_ns() - began_ns, 100000000000);
    int fd = connect_a(1, &at);
    bare_enter(&a);
    cr_assert(mcq_net_shutdown_both(fd));
    bare_enter(&a);
    cr_assert_eq(a.cnt[1], 2);
    cr_assert_eq(a.last[1].res, -ECONNRESET);
    mcq_net_close(fd);
    cr_assert_eq(mcq_sim_in_flight(0), 0);
}
