#include "perf/peers/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int tcp_fail(struct perf_child *child, int fd, const char *what)
{
    perf_child_fail_os(child, what);
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* A unix socket has no such thing to turn off. */
static bool tcp_nodelay(int fd, sa_family_t family)
{
    int on = 1;
    return family != AF_INET || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

int perf_tcp_listen(struct perf_child *child, const char *asked, char *endpoint)
{
    struct sockaddr_storage addr;
    socklen_t len = 0;
    int on = 1;
    if (!perf_endpoint_parse(child, asked, &addr, &len)) {
        return -1;
    }
    int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, SOMAXCONN) != 0) {
        return tcp_fail(child, fd, "listening");
    }
    if (!perf_endpoint_bound(child, fd, asked, endpoint)) {
        close(fd);
        return -1;
    }
    return fd;
}

int perf_tcp_accept(struct perf_child *child, int listener)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    int fd = accept4(listener, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC);
    if (fd < 0 || !tcp_nodelay(fd, addr.ss_family)) {
        return tcp_fail(child, fd, "accepting a connection");
    }
    return fd;
}

int perf_tcp_connect(struct perf_child *child, const char *endpoint)
{
    struct sockaddr_storage addr;
    socklen_t len = 0;
    if (!perf_endpoint_parse(child, endpoint, &addr, &len)) {
        return -1;
    }
    int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, len) != 0 ||
        !tcp_nodelay(fd, addr.ss_family)) {
        return tcp_fail(child, fd, "connecting");
    }
    return fd;
}

int perf_tcp_serve_one(struct perf_child *child, enum perf_transport transport)
{
    char asked[PERF_ENDPOINT_MAX], endpoint[PERF_ENDPOINT_MAX];
    perf_endpoint_own(transport, asked);
    int listener = perf_tcp_listen(child, asked, endpoint);
    if (listener < 0) {
        return -1;
    }
    int fd = perf_child_give_endpoint(child, endpoint) ? perf_tcp_accept(child, listener) : -1;
    close(listener);
    return fd;
}

int perf_tcp_join(struct perf_child *child)
{
    char endpoint[PERF_ENDPOINT_MAX];
    return perf_child_take_endpoint(child, PERF_SERVER, endpoint)
               ? perf_tcp_connect(child, endpoint)
               : -1;
}

bool perf_tcp_spin(struct perf_child *child, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return perf_child_fail_os(child, "making a socket non-blocking");
    }
    return true;
}

static enum perf_tcp_end tcp_error(struct perf_child *child, const char *what)
{
    if (errno == EPIPE || errno == ECONNRESET) {
        perf_child_fail(child, "the other side closed the connection");
        return PERF_TCP_CLOSED;
    }
    perf_child_fail_os(child, what);
    return PERF_TCP_FAILED;
}

static bool tcp_again(ssize_t done)
{
    return done < 0 && (errno == EAGAIN || errno == EINTR);
}

enum perf_tcp_end perf_tcp_send_whole(struct perf_child *child, int fd, const void *data,
                                      size_t len)
{
    const unsigned char *from = data;
    while (len > 0) {
        ssize_t sent = send(fd, from, len, MSG_NOSIGNAL);
        if (sent >= 0) {
            from += sent;
            len -= (size_t)sent;
        } else if (!tcp_again(sent)) {
            return tcp_error(child, "sending");
        }
    }
    return PERF_TCP_OK;
}

enum perf_tcp_end perf_tcp_recv_some(struct perf_child *child, int fd, void *data, size_t len,
                                     size_t *got)
{
    ssize_t done;
    do {
        done = recv(fd, data, len, 0);
    } while (tcp_again(done));
    if (done < 0) {
        return tcp_error(child, "receiving");
    }
    if (done == 0) {
        perf_child_fail(child, "the other side closed the connection");
        return PERF_TCP_CLOSED;
    }
    *got = (size_t)done;
    return PERF_TCP_OK;
}

enum perf_tcp_end perf_tcp_recv_whole(struct perf_child *child, int fd, void *data, size_t len)
{
    unsigned char *to = data;
    while (len > 0) {
        size_t got = 0;
        enum perf_tcp_end end = perf_tcp_recv_some(child, fd, to, len, &got);
        if (end != PERF_TCP_OK) {
            return end;
        }
        to += got;
        len -= got;
    }
    return PERF_TCP_OK;
}
