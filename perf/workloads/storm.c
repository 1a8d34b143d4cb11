#include "perf/workloads/storm.h"

#include "perf/peers/endpoint.h"
#include "perf/run/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS        64
#define LOOK_NS       (250 * PERF_MS_NS)
#define FROM_CNT      32u /* addresses */
#define LOOPBACK      0x7f000000u
#define LOOPBACK_BITS 0xff000000u
#define IN_SPARE      1200u /* for a greeting, a READY with metadata, and heads */

struct perf_storm_conn {
    int fd;        /* -1: none */
    uint32_t life; /* how many connections had this place before */
    bool connecting;
    enum perf_wire_phase phase;
    uint64_t began_ns;
    uint64_t owes_ns; /* since when the server owes something; 0: it doesn't */
    unsigned char *in;
    size_t in_len;
};

static bool storm_fail(struct perf_storm *s, const char *what)
{
    if (!s->failed) {
        perf_child_fail(s->child, "%s", what);
    }
    s->failed = true;
    return false;
}

static bool storm_fail_os(struct perf_storm *s, const char *what)
{
    if (!s->failed) {
        perf_child_fail_os(s->child, what);
    }
    s->failed = true;
    return false;
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static bool is_local(const struct sockaddr_storage *to)
{
    const struct sockaddr_in *in = (const void *)to;
    return to->ss_family == AF_INET && (ntohl(in->sin_addr.s_addr) & LOOPBACK_BITS) == LOOPBACK;
}

bool perf_storm_open(struct perf_storm *s, struct perf_child *child,
                     const struct perf_storm_spec *spec)
{
    unsigned char head[PERF_WIRE_HEAD_MAX];
    *s = (struct perf_storm){.spec = *spec, .child = child, .epoll = -1};
    s->head_len = perf_wire_head(spec->wire, spec->size, head);
    s->out = perf_child_alloc(child, s->head_len + spec->size);
    s->conns = calloc(spec->conns, sizeof *s->conns);
    if (s->out == NULL || s->conns == NULL) {
        return storm_fail(s, "no memory for a storm");
    }
    memcpy(s->out, head, s->head_len);
    for (uint32_t i = 0; i < spec->conns; i++) {
        s->conns[i].fd = -1;
    }
    if (!perf_endpoint_parse(child, spec->endpoint, &s->to, &s->to_len)) {
        s->failed = true;
        return false;
    }
    s->local = is_local(&s->to);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    return s->epoll >= 0 || storm_fail_os(s, "epoll");
}

void perf_storm_close(struct perf_storm *s)
{
    for (uint32_t i = 0; s->conns != NULL && i < s->spec.conns; i++) {
        perf_storm_drop(s, i);
    }
    if (s->epoll >= 0) {
        close(s->epoll);
    }
    free(s->conns);
    free(s->out);
}

unsigned char *perf_storm_body(struct perf_storm *s)
{
    return s->out + s->head_len;
}

uint64_t perf_storm_began_ns(const struct perf_storm *s, uint32_t conn)
{
    return s->conns[conn].began_ns;
}

/* --- connections -------------------------------------------------------------------------------
 */

/* The port is chosen when it is known whereto, so that each of the server's can be used with all.
 */
static bool from_bind(struct perf_storm *s, int fd)
{
    int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(LOOPBACK + 1 + s->from++ % FROM_CNT);
    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
           bind(fd, (const void *)&from, sizeof from) == 0;
}

static int socket_new(struct perf_storm *s)
{
    int on = 1;
    const struct linger reset = {.l_onoff = 1};
    int fd = socket(s->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool tcp = s->to.ss_family == AF_INET;
    bool ok =
        fd >= 0 && (!tcp || (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                             setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0));
    if (!ok || (s->local && !from_bind(s, fd))) {
        storm_fail_os(s, "opening a connection");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

enum perf_storm_begun perf_storm_connect(struct perf_storm *s, uint32_t conn)
{
    struct perf_storm_conn *c = &s->conns[conn];
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLET,
    };
    int fd = socket_new(s);
    if (fd < 0) {
        return PERF_STORM_FAILED;
    }
    *c = (struct perf_storm_conn){.fd = fd, .life = c->life, .connecting = true};
    event.data.u64 = (uint64_t)c->life << 32 | conn;
    c->phase = perf_wire_begin(s->spec.wire);
    c->began_ns = c->owes_ns = perf_clock_ns();
    if (connect(fd, (const void *)&s->to, s->to_len) != 0 && errno != EINPROGRESS) {
        bool later = errno == EAGAIN;
        if (!later) {
            storm_fail_os(s, "connecting");
        }
        perf_storm_drop(s, conn);
        return later ? PERF_STORM_LATER : PERF_STORM_FAILED;
    }
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        storm_fail_os(s, "epoll");
        return PERF_STORM_FAILED;
    }
    return PERF_STORM_BEGUN;
}

void perf_storm_drop(struct perf_storm *s, uint32_t conn)
{
    struct perf_storm_conn *c = &s->conns[conn];
    if (c->fd >= 0) {
        close(c->fd);
        s->up_cnt -= !c->connecting && c->phase == PERF_WIRE_UP;
    }
    free(c->in);
    *c = (struct perf_storm_conn){.fd = -1, .life = c->life + 1};
}

/* All of it at once: what a storm says is less than an empty socket takes. */
static bool say(struct perf_storm *s, uint32_t conn, const void *data, size_t len)
{
    ssize_t sent = send(s->conns[conn].fd, data, len, MSG_NOSIGNAL);
    if (sent == (ssize_t)len) {
        return true;
    }
    return sent < 0 && errno != EAGAIN ? storm_fail_os(s, "sending")
                                       : storm_fail(s, "the server doesn't read what it is sent");
}

bool perf_storm_send(struct perf_storm *s, uint32_t conn)
{
    struct perf_storm_conn *c = &s->conns[conn];
    if (c->owes_ns == 0) {
        c->owes_ns = perf_clock_ns();
    }
    return say(s, conn, s->out, s->head_len + s->spec.size);
}

/* --- what comes --------------------------------------------------------------------------------
 */

static void up(struct perf_storm *s, uint32_t conn)
{
    s->conns[conn].owes_ns = 0;
    s->up_cnt++;
    s->spec.up(s->spec.ctx, conn, perf_clock_ns());
}

static bool connected(struct perf_storm *s, uint32_t conn)
{
    struct perf_storm_conn *c = &s->conns[conn];
    unsigned char hello[PERF_WIRE_HEAD_MAX];
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        errno = error;
        return storm_fail_os(s, "connecting");
    }
    c->connecting = false;
    size_t hello_len = perf_wire_hello(s->spec.wire, hello);
    if (hello_len > 0) {
        return say(s, conn, hello, hello_len);
    }
    up(s, conn);
    return true;
}

static bool event_take(struct perf_storm *s, uint32_t conn, enum perf_wire_event event,
                       const unsigned char *body, size_t len)
{
    unsigned char ready[PERF_WIRE_HEAD_MAX];
    switch (event) {
    case PERF_WIRE_MORE:
    case PERF_WIRE_NOTHING:
        return true;
    case PERF_WIRE_SAY:
        return say(s, conn, ready, perf_wire_ready(s->spec.wire, ready));
    case PERF_WIRE_DONE:
        up(s, conn);
        return true;
    case PERF_WIRE_MESSAGE:
        s->conns[conn].owes_ns = 0;
        s->spec.message(s->spec.ctx, conn, perf_clock_ns(), body, len);
        return true;
    case PERF_WIRE_BAD:
        break;
    }
    return storm_fail(s, "the server speaks another protocol");
}

/* Callbacks may drop the connection, and begin another one in its place. */
static bool taken(struct perf_storm *s, uint32_t conn, unsigned char *in, size_t len)
{
    struct perf_storm_conn *c = &s->conns[conn];
    uint32_t life = c->life;
    size_t at = 0, used = 0, body_len = 0;
    const unsigned char *body = NULL;
    enum perf_wire_event event = PERF_WIRE_NOTHING;
    while (event != PERF_WIRE_MORE && at < len && c->life == life) {
        event = perf_wire_take(s->spec.wire, &c->phase, s->spec.size, in + at, len - at, &used,
                               &body, &body_len);
        at += used;
        if (!event_take(s, conn, event, body, body_len)) {
            return false;
        }
    }
    if (c->life == life) {
        memmove(in, in + at, len - at);
        c->in_len = len - at;
    }
    return true;
}

/* Idle ones keep no buffer. */
static void buffer_rest(struct perf_storm_conn *c)
{
    if (c->in_len == 0) {
        free(c->in);
        c->in = NULL;
    }
}

static bool readable(struct perf_storm *s, uint32_t conn)
{
    struct perf_storm_conn *c = &s->conns[conn];
    uint32_t life = c->life;
    size_t cap = s->spec.size + IN_SPARE;
    while (c->life == life) {
        if (c->in == NULL && (c->in = malloc(cap)) == NULL) {
            return storm_fail(s, "no memory for a connection");
        }
        ssize_t got = recv(c->fd, c->in + c->in_len, cap - c->in_len, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            buffer_rest(c);
            return true;
        }
        if (got < 0) {
            return storm_fail_os(s, "receiving");
        }
        if (got == 0) {
            return storm_fail(s, "the server ended a connection");
        }
        if (!taken(s, conn, c->in, c->in_len + (size_t)got)) {
            return false;
        }
    }
    return true;
}

/* --- turns -------------------------------------------------------------------------------------
 */

static bool patience_look(struct perf_storm *s)
{
    uint64_t now_ns = perf_clock_ns();
    if (now_ns < s->look_ns) {
        return true;
    }
    uint64_t patience_ns = s->spec.patience_ns != 0 ? s->spec.patience_ns : PERF_STORM_PATIENCE_NS;
    s->look_ns = now_ns + LOOK_NS;
    for (uint32_t i = 0; i < s->spec.conns; i++) {
        const struct perf_storm_conn *c = &s->conns[i];
        if (c->fd >= 0 && c->owes_ns != 0 && now_ns > c->owes_ns + patience_ns) {
            return storm_fail(s, c->connecting ? "the server accepts no connection any more"
                                 : c->phase != PERF_WIRE_UP
                                     ? "the server doesn't answer a connection's greeting"
                                     : "the server doesn't answer a message");
        }
    }
    return true;
}

static bool ready(struct perf_storm *s, const struct epoll_event *event)
{
    uint32_t conn = (uint32_t)event->data.u64;
    uint32_t life = (uint32_t)(event->data.u64 >> 32);
    if (s->conns[conn].life != life) {
        return true; /* it ended in this turn */
    }
    if (s->conns[conn].connecting && !connected(s, conn)) {
        return false;
    }
    return s->conns[conn].life != life || readable(s, conn);
}

static int events_wait(struct perf_storm *s, uint64_t until_ns, bool spin,
                       struct epoll_event *events)
{
    uint64_t now_ns = perf_clock_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    left_ns = spin ? 0 : left_ns < LOOK_NS ? left_ns : LOOK_NS;
    struct timespec left = {.tv_nsec = (long)left_ns};
    return epoll_pwait2(s->epoll, events, EVENTS, &left, NULL);
}

bool perf_storm_turn(struct perf_storm *s, uint64_t until_ns, bool spin)
{
    struct epoll_event events[EVENTS];
    int cnt;
    do {
        cnt = events_wait(s, until_ns, spin, events);
        if (cnt < 0 && errno != EINTR) {
            return storm_fail_os(s, "waiting");
        }
        if (!patience_look(s)) {
            return false;
        }
    } while (cnt <= 0 && perf_clock_ns() < until_ns);
    for (int i = 0; i < cnt && !s->failed; i++) {
        if (!ready(s, &events[i])) {
            return false;
        }
    }
    return !s->failed;
}
