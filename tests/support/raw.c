#include "tests/support/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    abort();
}

static void set_waits(int fd)
{
    struct timeval tv = {MCQ_RAW_WAIT_MS / 1000, 0};
    int one = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
        die("setsockopt");
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sin;
}

static const struct sockaddr *generic(const void *sin)
{
    return sin;
}

int mcq_raw_listen(uint16_t port, char endpoint[64])
{
    struct sockaddr_in sin = loopback(port);
    socklen_t len = sizeof(sin);
    void *out = &sin;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(fd, generic(&sin), len) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, out, &len) != 0)
        die("listen");
    snprintf(endpoint, 64, "tcp://127.0.0.1:%u", (unsigned)ntohs(sin.sin_port));
    return fd;
}

uint16_t mcq_raw_port(const char *endpoint)
{
    return (uint16_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10);
}

int mcq_raw_accept(int listener)
{
    struct pollfd p = {listener, POLLIN, 0};
    if (poll(&p, 1, MCQ_RAW_WAIT_MS) != 1)
        return -1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        set_waits(fd);
    return fd;
}

int mcq_raw_connect(const char *endpoint, int rcvbuf)
{
    struct sockaddr_in sin = loopback(mcq_raw_port(endpoint));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (rcvbuf != 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)) != 0)
        die("SO_RCVBUF");
    set_waits(fd);
    if (connect(fd, generic(&sin), sizeof(sin)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void mcq_raw_greeting(struct mcq_text *out)
{
    const uint8_t bytes[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1, 'N', 'U', 'L', 'L'};
    mcq_text_add(out, bytes, sizeof(bytes));
}

static void property(struct mcq_text *out, const char *name, const char *value)
{
    uint8_t name_len = (uint8_t)strlen(name);
    const uint8_t len[4] = {0, 0, 0, (uint8_t)strlen(value)};
    mcq_text_add(out, &name_len, 1);
    mcq_text_add(out, name, name_len);
    mcq_text_add(out, len, 4);
    mcq_text_add(out, value, len[3]);
}

void mcq_raw_ready(struct mcq_text *out, const char *type, const char *identity)
{
    struct mcq_text meta = {NULL, 0, 0};
    property(&meta, "Socket-Type", type);
    if (identity != NULL)
        property(&meta, "Identity", identity);
    mcq_raw_command(out, "READY", meta.ptr, meta.len);
    mcq_text_fini(&meta);
}

bool mcq_raw_hello(int fd, const char *type, const char *identity)
{
    struct mcq_text out = {NULL, 0, 0};
    struct mcq_text in = {NULL, 0, 0};
    uint8_t greeting[64];
    unsigned flags = 0;
    mcq_raw_greeting(&out);
    mcq_raw_ready(&out, type, identity);
    bool ok = mcq_raw_write(fd, out.ptr, out.len) && mcq_raw_read(fd, greeting, 64) &&
              mcq_raw_next(fd, &flags, &in) && (flags & MCQ_RAW_COMMAND) != 0 && in.len > 6 &&
              memcmp(in.ptr, "\5READY", 6) == 0;
    mcq_text_fini(&out);
    mcq_text_fini(&in);
    return ok;
}

int mcq_raw_open(const char *endpoint, const char *type)
{
    int fd = mcq_raw_connect(endpoint, 0);
    if (fd < 0 || !mcq_raw_hello(fd, type, NULL))
        die("mcq_raw_open");
    return fd;
}

void mcq_raw_frame(struct mcq_text *out, unsigned flags, const void *body, size_t len)
{
    uint8_t head[9] = {(uint8_t)(len > 255 ? flags | 2u : flags)};
    if (len <= 255) {
        head[1] = (uint8_t)len;
        mcq_text_add(out, head, 2);
    } else {
        for (unsigned i = 0; i < 8; i++)
            head[1 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
        mcq_text_add(out, head, 9);
    }
    if (len != 0)
        mcq_text_add(out, body, len);
}

void mcq_raw_command(struct mcq_text *out, const char *name, const void *data, size_t len)
{
    struct mcq_text body = {NULL, 0, 0};
    uint8_t name_len = (uint8_t)strlen(name);
    mcq_text_add(&body, &name_len, 1);
    mcq_text_add(&body, name, name_len);
    if (len != 0)
        mcq_text_add(&body, data, len);
    mcq_raw_frame(out, MCQ_RAW_COMMAND, body.ptr, body.len);
    mcq_text_fini(&body);
}

bool mcq_raw_write(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len != 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

size_t mcq_raw_write_some(int fd, const void *bytes, size_t len)
{
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? 0 : (size_t)n;
}

size_t mcq_raw_read_some(int fd, void *bytes, size_t len)
{
    ssize_t n = recv(fd, bytes, len, MSG_DONTWAIT);
    return n < 0 ? 0 : (size_t)n;
}

bool mcq_raw_read(int fd, void *bytes, size_t len)
{
    uint8_t *at = bytes;
    while (len != 0) {
        ssize_t n = recv(fd, at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_into(int fd, struct mcq_text *body, uint64_t len)
{
    static __thread uint8_t chunk[65536];
    while (len != 0) {
        size_t n = len < sizeof(chunk) ? (size_t)len : sizeof(chunk);
        if (!mcq_raw_read(fd, chunk, n))
            return false;
        mcq_text_add(body, chunk, n);
        len -= n;
    }
    return true;
}

bool mcq_raw_next(int fd, unsigned *flags, struct mcq_text *body)
{
    uint8_t head[9];
    uint64_t len = 0;
    body->len = 0;
    if (!mcq_raw_read(fd, head, 2))
        return false;
    *flags = head[0];
    len = head[1];
    if ((head[0] & 2u) != 0) {
        if (!mcq_raw_read(fd, head + 2, 7))
            return false;
        len = 0;
        for (unsigned i = 1; i < 9; i++)
            len = len << 8 | head[i];
    }
    return read_into(fd, body, len);
}

bool mcq_raw_next_message(int fd, unsigned *flags, struct mcq_text *body)
{
    do
        if (!mcq_raw_next(fd, flags, body))
            return false;
    while ((*flags & MCQ_RAW_COMMAND) != 0);
    return true;
}

bool mcq_raw_ended(int fd)
{
    uint8_t bytes[4096];
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE)))
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

void mcq_raw_shut(int fd)
{
    shutdown(fd, SHUT_WR);
}

void mcq_raw_reset(int fd)
{
    struct linger l = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    close(fd);
}

void mcq_raw_close(int fd)
{
    close(fd);
}
