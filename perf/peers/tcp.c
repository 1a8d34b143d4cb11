#include "perf/peers/tcp.h"

#include <arpa/inet.h>
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

static bool tcp_nodelay(int fd)
{
    int on = 1;
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

static int tcp_listen(struct perf_child *child, uint16_t *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        return tcp_fail(child, fd, "listening on 127.0.0.1");
    }
    *port = ntohs(addr.sin_port);
    return fd;
}

int perf_tcp_accept(struct perf_child *child)
{
    uint16_t port = 0;
    int listener = tcp_listen(child, &port);
    if (listener < 0) {
        return -1;
    }
    int fd = -1;
    if (perf_child_give_port(child, port)) {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || !tcp_nodelay(fd)) {
            fd = tcp_fail(child, fd, "accepting a connection");
        }
    }
    close(listener);
    return fd;
}

int perf_tcp_connect(struct perf_child *child)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port = 0;
    if (!perf_child_take_port(child, &port)) {
        return -1;
    }
    addr.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || !tcp_nodelay(fd)) {
        return tcp_fail(child, fd, "connecting to 127.0.0.1");
    }
    return fd;
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
