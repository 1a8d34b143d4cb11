/* RAW: system calls on sockets; sound because each works on a descriptor its caller owns and on
 * addresses whose length it checks; part of the simulation seam, called by conn, conn_close,
 * conn_move, listen, loop_init, napi, ring_choice, uring_probe, the mailbox, and shards/group. */
#include "runtime/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(int fd)
{
    int err = -errno;
    close(fd);
    return err;
}

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static const struct sockaddr *sockaddr_of(const struct mcq_addr *addr)
{
    return (const struct sockaddr *)&addr->ss;
}

static void set_if(int fd, int level, int name, uint32_t value)
{
    if (value != 0)
        set_int(fd, level, name, (int)value);
}

static void apply_tcp(int fd, const struct mcq_sockopts *so)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_if(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, so->notsent_lowat_bytes);
    set_if(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, so->user_timeout_ms);
    if ((so->keepalive_idle_s | so->keepalive_interval_s | so->keepalive_cnt) != 0)
        set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_if(fd, IPPROTO_TCP, TCP_KEEPIDLE, so->keepalive_idle_s);
    set_if(fd, IPPROTO_TCP, TCP_KEEPINTVL, so->keepalive_interval_s);
    set_if(fd, IPPROTO_TCP, TCP_KEEPCNT, so->keepalive_cnt);
}

/* A socket for IPv6 may carry IPv4, with the header's other field. */
static void apply_tos(int fd, int domain, uint32_t tos)
{
    set_if(fd, IPPROTO_IP, IP_TOS, tos);
    if (domain == AF_INET6)
        set_if(fd, IPPROTO_IPV6, IPV6_TCLASS, tos);
}

/* The buffers before connect and listen: they decide the window scale that the handshake tells. */
static void apply(int fd, int domain, const struct mcq_sockopts *so)
{
    set_if(fd, SOL_SOCKET, SO_SNDBUF, so->send_buffer_bytes);
    set_if(fd, SOL_SOCKET, SO_RCVBUF, so->recv_buffer_bytes);
    if (domain == AF_UNIX)
        return;
    apply_tcp(fd, so);
    apply_tos(fd, domain, so->tos);
}

/* Gives a socket with so applied. The device is the one option that may be refused. */
static int open_socket(int domain, const struct mcq_sockopts *so)
{
    int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    apply(fd, domain, so);
    if (so->device != NULL && domain != AF_UNIX &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, so->device, (socklen_t)strlen(so->device)) != 0)
        return fail(fd);
    return fd;
}

/* --- listening ----------------------------------------------------------------------------- */

/* A path in the file system, not an abstract name. */
static const char *unix_path(const struct mcq_addr *addr)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->ss;
    if (addr->ss.ss_family != AF_UNIX || addr->len <= offsetof(struct sockaddr_un, sun_path))
        return NULL;
    return un->sun_path[0] == '\0' ? NULL : un->sun_path;
}

/* Nobody accepts there any more: the file outlived its process. */
static bool is_stale(const struct mcq_addr *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, sockaddr_of(addr), addr->len) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_at(int fd, const struct mcq_addr *addr)
{
    if (bind(fd, sockaddr_of(addr), addr->len) == 0)
        return 0;
    if (errno != EADDRINUSE || unix_path(addr) == NULL || !is_stale(addr)) {
        errno = errno == 0 ? EADDRINUSE : errno;
        return -1;
    }
    mcq_net_unlink(addr);
    return bind(fd, sockaddr_of(addr), addr->len);
}

static int listen_at(int fd, const struct mcq_addr *addr, uint32_t backlog, struct mcq_addr *bound)
{
    int reuse = 1;
    if (addr->ss.ss_family != AF_UNIX &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) != 0)
        return -1;
    if (bind_at(fd, addr) != 0)
        return -1;
    bound->len = sizeof(bound->ss);
    if (listen(fd, backlog > INT32_MAX ? INT32_MAX : (int)backlog) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound->ss, &bound->len) != 0)
        return -1;
    return 0;
}

int mcq_net_listen(const struct mcq_addr *addr, const struct mcq_sockopts *so, uint32_t backlog,
                   struct mcq_addr *bound)
{
    int fd = open_socket(addr->ss.ss_family, so);
    if (fd >= 0 && listen_at(fd, addr, backlog, bound) != 0)
        return fail(fd);
    return fd;
}

int mcq_net_bind(const struct mcq_addr *addr, const struct mcq_sockopts *so, bool shared,
                 struct mcq_addr *bound)
{
    const int on = 1;
    int fd = open_socket(addr->ss.ss_family, so);
    if (fd < 0)
        return fd;
    bound->len = sizeof(bound->ss);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        bind(fd, sockaddr_of(addr), addr->len) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound->ss, &bound->len) != 0)
        return fail(fd);
    return fd;
}

int mcq_net_listen_on(int fd, uint32_t backlog)
{
    return listen(fd, backlog > INT32_MAX ? INT32_MAX : (int)backlog) == 0 ? 0 : -errno;
}

int mcq_net_dup(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

int mcq_net_accept(int fd)
{
    const struct timeval soon = {.tv_usec = 1}; /* whoever shares the queue may be quicker */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 0) != 1 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)) != 0)
        return -EAGAIN;
    int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    return got < 0 ? -errno : got;
}

void mcq_net_deafen(int fd, bool deaf)
{
    enum { FLAGS = 13, SYN = 0x02, ACK = 0x10 }; /* of the TCP header, where the filter begins */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog prog = {.len = MCQ_CNT_OF(code), .filter = code};
    (void)setsockopt(fd, SOL_SOCKET, deaf ? SO_ATTACH_FILTER : SO_DETACH_FILTER, &prog,
                     sizeof(prog));
}

int mcq_net_cpu(int fd)
{
    int cpu = -1;
    socklen_t len = sizeof(cpu);
    return getsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &len) == 0 ? cpu : -1;
}

/* --- connections --------------------------------------------------------------------------- */

/* The near end. A port of its own may be in use towards other hosts, or linger from the last
 * connection; an ephemeral one is chosen by connect, which knows the far end. */
static int bind_near(int fd, const struct mcq_addr *src)
{
    struct sockaddr_in6 any = {0}; /* the port is where sockaddr_in has it */
    memcpy(&any, &src->ss, offsetof(struct sockaddr_in6, sin6_flowinfo));
    if (any.sin6_port == 0)
        set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    else
        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    return bind(fd, sockaddr_of(src), src->len);
}

int mcq_net_socket(const struct mcq_addr *addr, const struct mcq_addr *src,
                   const struct mcq_sockopts *so)
{
    int fd = open_socket(addr->ss.ss_family, so);
    if (fd >= 0 && src != NULL && bind_near(fd, src) != 0)
        return fail(fd);
    return fd;
}

int mcq_net_pair(int fd[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0 ? 0 : -errno;
}

void mcq_net_apply(int fd, const struct mcq_sockopts *so, bool *unix_domain)
{
    int domain = AF_UNSPEC;
    socklen_t len = sizeof(domain);
    (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    *unix_domain = domain == AF_UNIX;
    apply(fd, domain, so);
}

void mcq_net_peer(int fd, struct mcq_addr *addr)
{
    addr->len = sizeof(addr->ss);
    if (fd < 0 || getpeername(fd, (struct sockaddr *)&addr->ss, &addr->len) != 0)
        addr->len = 0;
}

bool mcq_net_is_self(int fd)
{
    struct mcq_addr peer = {0}, own = {.len = sizeof(own.ss)};
    mcq_net_peer(fd, &peer);
    if (getsockname(fd, (struct sockaddr *)&own.ss, &own.len) != 0 || own.len != peer.len)
        return false;
    return own.ss.ss_family != AF_UNIX && own.len != 0 && memcmp(&own.ss, &peer.ss, own.len) == 0;
}

bool mcq_net_shutdown_send(int fd)
{
    return shutdown(fd, SHUT_WR) == 0;
}

bool mcq_net_shutdown_both(int fd)
{
    return shutdown(fd, SHUT_RDWR) == 0;
}

uint64_t mcq_net_unacked(int fd)
{
    int len = 0;
    if (ioctl(fd, SIOCOUTQ, &len) != 0 || len < 0)
        return 0;
    return (uint64_t)len;
}

uint32_t mcq_net_napi_id(int fd)
{
    uint32_t id = 0;
    socklen_t len = sizeof(id);
    return getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &len) == 0 ? id : 0;
}

void mcq_net_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

void mcq_net_unlink(const struct mcq_addr *addr)
{
    const char *path = unix_path(addr);
    if (path != NULL)
        (void)unlink(path);
}

int mcq_net_eventfd(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* The write can only fail because the count is at its maximum, and then it is readable anyway. */
void mcq_net_wake(int fd)
{
    const uint64_t one = 1;
    int saved = errno;
    ssize_t n;
    do
        n = write(fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    errno = saved;
}
