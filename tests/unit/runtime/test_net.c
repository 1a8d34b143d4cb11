/* What the kernel is told about a socket: every option on every path, the near end, the device. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "runtime/net.h"
#include "runtime/oserr.h"

static struct rig r;
static const struct mcq_sockopts plain = {0};
static const struct mcq_sockopts all = {
    .notsent_lowat_bytes = 70000,
    .user_timeout_ms = 4321,
    .keepalive_idle_s = 77,
    .keepalive_interval_s = 7,
    .keepalive_cnt = 3,
    .send_buffer_bytes = 30000,
    .recv_buffer_bytes = 8192, /* so small that the window needs no scale */
    .tos = 0x68,
};

static int get(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0, "%d/%d: %s", level, name,
                 strerror(errno));
    return value;
}

static unsigned window_scale(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_rcv_wscale;
}

static void buffers_are_set(int fd)
{
    cr_assert_eq(get(fd, SOL_SOCKET, SO_SNDBUF), 2 * 30000, "the kernel counts its own, too");
    cr_assert_eq(get(fd, SOL_SOCKET, SO_RCVBUF), 2 * 8192);
}

static void all_are_set(int fd, bool v6)
{
    buffers_are_set(fd);
    cr_assert_eq(get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    cr_assert_eq(get(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 70000);
    cr_assert_eq(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 4321);
    cr_assert_eq(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    cr_assert_eq(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    cr_assert_eq(get(fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
    cr_assert_eq(get(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    cr_assert_eq(get(fd, IPPROTO_IP, IP_TOS), 0x68);
    if (v6)
        cr_assert_eq(get(fd, IPPROTO_IPV6, IPV6_TCLASS), 0x68);
}

/* A listener and a connect that meet each other in one loop. */
struct pair {
    struct mcq_conn *listener, *near, *far;
};

static struct pair meet(struct mcq_addr addr, const struct mcq_addr *src,
                        const struct mcq_sockopts *so)
{
    struct pair p = {NULL, NULL, NULL};
    struct mcq_addr bound;
    struct mcq_detail d = {.text = ""};
    cr_assert_eq(mcq_conn_listen(r.loop, &addr, so, 8, NULL, &p.listener, &bound, &d), MCQ_OK, "%s",
                 d.text);
    cr_assert_eq(mcq_conn_connect(r.loop, &bound, src, so, NULL, &p.near, &d), MCQ_OK, "%s",
                 d.text);
    rig_await(&r, MCQ_IO_ACCEPTED, 1);
    rig_await(&r, MCQ_IO_CONNECTED, 1);
    cr_assert_eq(mcq_conn_adopt(r.loop, r.rec.last[MCQ_IO_ACCEPTED].fd, so, NULL, &p.far), MCQ_OK);
    return p;
}

static void part(struct pair p)
{
    mcq_conn_abort(r.loop, p.near);
    mcq_conn_abort(r.loop, p.far);
    mcq_conn_abort(r.loop, p.listener);
    rig_await(&r, MCQ_IO_CLOSED, 3);
    rig_close(&r);
}

static void every_option(struct mcq_addr addr)
{
    bool v6 = addr.ss.ss_family == AF_INET6;
    rig_open(&r, &(struct rig_opts){.features = NULL});
    struct pair p = meet(addr, NULL, &all);
    all_are_set(p.listener->fd, v6);
    all_are_set(p.near->fd, v6);
    all_are_set(p.far->fd, v6);
    cr_assert_eq(window_scale(p.near->fd), 0, "the buffer was set before connect");
    cr_assert_eq(window_scale(p.far->fd), 0, "the buffer was set before listen");
    part(p);
}

Test(net, every_option_on_every_path_of_ipv4)
{
    every_option(rig_tcp4());
}

Test(net, every_option_on_every_path_of_ipv6)
{
    every_option(rig_tcp6());
}

Test(net, a_unix_socket_has_its_buffers)
{
    rig_open(&r, &(struct rig_opts){.features = NULL});
    struct pair p = meet(rig_unix("options"), NULL, &all);
    buffers_are_set(p.near->fd);
    buffers_are_set(p.far->fd);
    uint64_t len = 1;
    cr_assert_not(mcq_conn_unacked(p.near, &len));
    cr_assert_eq(len, 0);
    part(p);
}

Test(net, nothing_is_touched_without_options)
{
    rig_open(&r, &(struct rig_opts){.features = NULL});
    struct pair p = meet(rig_tcp4(), NULL, &plain);
    int fresh = socket(AF_INET, SOCK_STREAM, 0);
    const int fds[] = {p.near->fd, p.far->fd};
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(get(fds[i], IPPROTO_TCP, TCP_NODELAY), 1);
        cr_assert_eq(get(fds[i], SOL_SOCKET, SO_KEEPALIVE), 0);
        cr_assert_eq(get(fds[i], IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
        cr_assert_eq(get(fds[i], IPPROTO_TCP, TCP_KEEPIDLE), get(fresh, IPPROTO_TCP, TCP_KEEPIDLE));
        cr_assert_eq(get(fds[i], IPPROTO_IP, IP_TOS), 0);
        cr_assert_gt(window_scale(fds[i]), 0);
    }
    uint64_t len = 1;
    cr_assert(mcq_conn_unacked(p.near, &len));
    cr_assert_eq(len, 0);
    close(fresh);
    part(p);
}

/* One of the three is enough. */
Test(net, keepalive_with_the_systems_values_for_the_rest)
{
    const struct mcq_sockopts so = {.keepalive_cnt = 5};
    rig_open(&r, &(struct rig_opts){.features = NULL});
    struct pair p = meet(rig_tcp4(), NULL, &so);
    int fresh = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(get(p.near->fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    cr_assert_eq(get(p.near->fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
    cr_assert_eq(get(p.near->fd, IPPROTO_TCP, TCP_KEEPIDLE), get(fresh, IPPROTO_TCP, TCP_KEEPIDLE));
    cr_assert_eq(get(p.far->fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    close(fresh);
    part(p);
}

/* --- the near end ----------------------------------------------------------------------------- */

static struct mcq_addr in4(const char *host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct mcq_addr addr = {.len = sizeof(in)};
    cr_assert_eq(inet_pton(AF_INET, host, &in.sin_addr), 1);
    memcpy(&addr.ss, &in, sizeof(in));
    return addr;
}

static struct sockaddr_in far_of(const struct mcq_conn *c)
{
    struct mcq_addr addr;
    struct sockaddr_in in;
    mcq_conn_peer_addr(c, &addr);
    memcpy(&in, &addr.ss, sizeof(in));
    return in;
}

Test(net, the_near_end_is_what_was_asked_for)
{
    struct mcq_addr src = in4("127.0.0.9", 0);
    rig_open(&r, &(struct rig_opts){.features = NULL});
    struct pair p = meet(rig_tcp4(), &src, &plain);
    struct sockaddr_in in = far_of(p.far);
    cr_assert_eq(in.sin_addr.s_addr, htonl(0x7f000009));
    cr_assert_neq(in.sin_port, 0);
    part(p);
}

/* An address of this process alone: no other one takes a port there between two of our uses. */
static struct mcq_addr own_host(void)
{
    struct mcq_addr addr = rig_tcp4();
    struct sockaddr_in *in = (struct sockaddr_in *)&addr.ss;
    in->sin_addr.s_addr = htonl(0x7f400000 | ((uint32_t)getpid() & 0x3fffff));
    return addr;
}

/* A port may be used towards several far ends, and again right after its connection has ended. */
Test(net, a_near_port_serves_again)
{
    struct mcq_addr probe = own_host(), src, bound[2];
    struct mcq_conn *l[2], *c[2];
    rig_open(&r, &(struct rig_opts){.features = NULL});
    int fd = rig_plain_listener(&probe);
    close(fd);
    src = probe; /* free a moment ago */
    for (unsigned i = 0; i < 2; i++) {
        struct mcq_addr any = rig_tcp4();
        cr_assert_eq(mcq_conn_listen(r.loop, &any, &plain, 8, NULL, &l[i], &bound[i], NULL),
                     MCQ_OK);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct mcq_detail d = {.text = ""};
        cr_assert_eq(mcq_conn_connect(r.loop, &bound[i], &src, &plain, NULL, &c[i], &d), MCQ_OK,
                     "%s", d.text);
        rig_await(&r, MCQ_IO_CONNECTED, i + 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        mcq_conn_abort(r.loop, c[i]);
        mcq_conn_abort(r.loop, l[i]);
    }
    rig_await(&r, MCQ_IO_CLOSED, 4);
    rig_close(&r);
}

static void no_connect(const struct mcq_addr *src, const struct mcq_sockopts *so,
                       enum mcq_error code, int os_errno, const char *says)
{
    struct mcq_addr to = in4("127.0.0.1", 1);
    struct mcq_conn *c;
    struct mcq_detail d = {.text = ""};
    cr_assert_eq(mcq_conn_connect(r.loop, &to, src, so, NULL, &c, &d), code, "%s", d.text);
    cr_assert_eq(d.os_errno, os_errno);
    cr_assert_not_null(strstr(d.text, says), "%s", d.text);
}

Test(net, a_near_end_that_is_none)
{
    struct mcq_addr foreign = in4("192.0.2.1", 0), taken = rig_tcp4();
    rig_open(&r, &(struct rig_opts){.features = NULL});
    int fd = rig_plain_listener(&taken);
    no_connect(&foreign, &plain, MCQ_EADDR, EADDRNOTAVAIL, "near end");
    no_connect(&taken, &plain, MCQ_EADDRINUSE, EADDRINUSE, "near end");
    close(fd);
    rig_close(&r);
}

/* --- the device ------------------------------------------------------------------------------- */

static void device_of(int fd, const char *want)
{
    char name[IFNAMSIZ] = "";
    socklen_t len = sizeof(name);
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
    cr_assert_str_eq(name, want);
}

Test(net, the_device_on_every_path)
{
    const struct mcq_sockopts so = {.device = "lo"};
    rig_open(&r, &(struct rig_opts){.features = NULL});
    struct pair p = meet(rig_tcp4(), NULL, &so);
    device_of(p.listener->fd, "lo");
    device_of(p.near->fd, "lo");
    device_of(p.far->fd, "lo");
    part(p);
}

Test(net, a_device_that_is_none)
{
    const struct mcq_sockopts so = {.device = "no-such-if0"};
    struct mcq_addr addr = rig_tcp4(), bound;
    struct mcq_conn *l;
    struct mcq_detail d = {.text = ""};
    rig_open(&r, &(struct rig_opts){.features = NULL});
    no_connect(NULL, &so, MCQ_EADDR, ENODEV, "'no-such-if0'");
    cr_assert_eq(mcq_conn_listen(r.loop, &addr, &so, 8, NULL, &l, &bound, &d), MCQ_EADDR);
    cr_assert_not_null(strstr(d.text, "'no-such-if0'"), "%s", d.text);
    rig_close(&r);
}

/* A socket that has a device already may not change it without the privilege: the only way to be
 * refused on a kernel that lets everybody choose once. */
Test(net, a_refused_device_names_the_privilege)
{
    struct mcq_detail d = {.text = ""};
    cr_assert_eq(mcq_oserr_device("eth0", EPERM, &d), MCQ_EACCESS);
    cr_assert_not_null(strstr(d.text, "CAP_NET_RAW"));
    cr_assert_not_null(strstr(d.text, "'eth0'"));
}

/* --- claims -------------------------------------------------------------------------------- */

static struct mcq_addr at(const char *host, uint16_t port)
{
    struct mcq_addr addr = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(&addr.ss, &in, sizeof(in));
        return addr;
    }
    cr_assert_eq(inet_pton(AF_INET6, host, &in6.sin6_addr), 1);
    memcpy(&addr.ss, &in6, sizeof(in6));
    addr.len = sizeof(in6);
    return addr;
}

static void claims(const char *first, const char *second, bool exclusive)
{
    enum { PORT = 1 }; /* nobody's: it takes a privilege to bind it */
    struct mcq_addr a = at(first, PORT), b = at(second, PORT), elsewhere = at(second, PORT + 1);
    for (unsigned i = 0; i < 2; i++) {
        int fd = mcq_net_claim(i == 0 ? &a : &b);
        cr_assert_geq(fd, 0, "%s, %s: %d", first, second, fd);
        int rival = mcq_net_claim(i == 0 ? &b : &a), apart = mcq_net_claim(&elsewhere);
        if (exclusive)
            cr_assert_eq(rival, -EADDRINUSE, "%s, %s: %d", first, second, rival);
        else
            cr_assert_geq(rival, 0, "%s, %s: %d", first, second, rival);
        cr_assert_geq(apart, 0);
        mcq_net_close(fd);
        mcq_net_close(rival);
        mcq_net_close(apart);
    }
}

/* An address has one owner, and so have all of a port and each one of them. */
Test(net, claims_exclude_what_overlaps)
{
    claims("127.0.0.1", "127.0.0.1", true);
    claims("0.0.0.0", "127.0.0.1", true);
    claims("::", "::1", true);
    claims("127.0.0.1", "127.0.0.2", false);
    claims("::1", "fe80::1", false);
    claims("0.0.0.0", "::1", false);
    int six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool both = six >= 0 && get(six, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    mcq_net_close(six);
    claims("::", "127.0.0.1", both); /* as this host has it */
    claims("::", "0.0.0.0", both);
}
