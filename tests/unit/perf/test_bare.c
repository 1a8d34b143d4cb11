/* Nodes of bare sockets beside a plain socket that does what a good peer doesn't: halves messages,
 * leaves in the middle of one, doesn't read. */
#include "perf/peers/peer.h"
#include "perf/peers/tcp.h"
#include "perf/run/clock.h"
#include "perf/run/stamp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE        40u
#define SIZE_LARGE  100003u
#define PATIENCE_NS (20 * PERF_SECOND_NS)
#define LITTLE_NS   (2 * PERF_MS_NS)
#define QUEUED_MAX  ((size_t)64 * 1024 * 1024)
#define AGAIN_BYTES ((size_t)1024 * 1024)
#define FRAGMENTS   3u
#define ROUGH_BYTES ((size_t)16 * 1024 * 1024)

static const char *const bare[] = {"raw", "spin", "epoll", "uring"};
#define BARE_CNT (sizeof bare / sizeof bare[0])

struct world {
    const char *name;
    struct perf_child child;
    struct perf_node node;
    size_t size;
    struct perf_stamper stamper;
    unsigned char *body;
    struct perf_stamp_check in; /* what arrived at the node */
    uint64_t from;              /* the last one's connection */
    uint64_t out_cnt;           /* what the node took */
};

static void on_message(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct world *w = ctx;
    uint64_t number;
    w->from = conn;
    cr_expect(perf_stamp_take(&w->in, data, len, w->size, &number), "%s: a message is wrong",
              w->name);
}

static void world_open(unsigned which, enum perf_role role, size_t size, bool drops,
                       struct world *w)
{
    *w = (struct world){.name = bare[which % BARE_CNT], .size = size, .body = malloc(size)};
    struct perf_node_spec spec = {
        .role = role,
        .binds = true,
        .transport = which / BARE_CNT % 2 == 0 ? PERF_TRANSPORT_TCP : PERF_TRANSPORT_IPC,
        .size = size,
        .conns = 4,
        .hwm = size > SIZE ? 4 : 0,
        .spin = which / BARE_CNT / 2 == 1,
        .drops = drops,
        .arrived = on_message,
        .ctx = w,
    };
    perf_stamper_init(&w->stamper, w->body, size);
    cr_assert(perf_node_open(&w->node, perf_peer_find(w->name)->node, &w->child, &spec), "%s: %s",
              w->name, w->child.reason);
}

static void world_close(struct world *w)
{
    w->node.ops->close(&w->node);
    free(w->body);
}

static void look(struct world *w, uint64_t ns)
{
    cr_assert(w->node.ops->poll(&w->node, perf_clock_ns() + ns), "%s: %s", w->name,
              w->child.reason);
}

static int connection(struct world *w)
{
    uint32_t up_cnt = w->node.up_cnt;
    uint64_t end_ns = perf_clock_ns() + PATIENCE_NS;
    int fd = perf_tcp_connect(&w->child, w->node.endpoint);
    cr_assert_geq(fd, 0, "%s: %s", w->name, w->child.reason);
    while (w->node.up_cnt == up_cnt && perf_clock_ns() < end_ns) {
        look(w, LITTLE_NS);
    }
    cr_assert_eq(w->node.up_cnt, up_cnt + 1, "%s: nobody was accepted", w->name);
    return fd;
}

static enum perf_put node_put(struct world *w, uint64_t conn)
{
    perf_stamp_put(&w->stamper, w->body, w->out_cnt);
    enum perf_put put = w->node.ops->send(&w->node, conn, w->body, w->size);
    w->out_cnt += put == PERF_PUT_OK;
    return put;
}

/* Writes message `number` in pieces, with a look of the node's between any two. */
static void write_pieces(struct world *w, int fd, uint64_t number, size_t piece)
{
    perf_stamp_put(&w->stamper, w->body, number);
    for (size_t at = 0; at < w->size; at += piece) {
        size_t len = w->size - at < piece ? w->size - at : piece;
        cr_assert_eq(send(fd, w->body + at, len, MSG_NOSIGNAL), (ssize_t)len);
        look(w, at % 3 == 0 ? 0 : LITTLE_NS / 100);
    }
}

static void arrived_wait(struct world *w, uint64_t cnt)
{
    uint64_t end_ns = perf_clock_ns() + PATIENCE_NS;
    while (w->in.ok_cnt < cnt && perf_clock_ns() < end_ns) {
        look(w, LITTLE_NS);
    }
    cr_assert_eq(w->in.ok_cnt, cnt, "%s: %llu of %llu came", w->name,
                 (unsigned long long)w->in.ok_cnt, (unsigned long long)cnt);
}

struct reader {
    int fd;
    size_t size, len;
    unsigned char *buffer;
    struct perf_stamp_check check;
};

/* At most one message; whether there was anything. */
static bool read_some(struct reader *r, struct world *w, bool gaps)
{
    ssize_t got = recv(r->fd, r->buffer + r->len, r->size - r->len, MSG_DONTWAIT);
    uint64_t number;
    if (got <= 0) {
        cr_assert(got < 0 && errno == EAGAIN, "%s: the node ended the connection", w->name);
        return false;
    }
    r->len += (size_t)got;
    if (r->len == r->size) {
        r->len = 0;
        bool next = perf_stamp_take(&r->check, r->buffer, r->size, r->size, &number);
        cr_assert(next || (gaps && number != UINT64_MAX), "%s: not the next message, whole",
                  w->name);
    }
    return true;
}

static void read_all(struct reader *r, struct world *w, uint64_t cnt)
{
    uint64_t end_ns = perf_clock_ns() + PATIENCE_NS;
    while (r->check.ok_cnt < cnt && perf_clock_ns() < end_ns) {
        if (!read_some(r, w, false)) {
            look(w, LITTLE_NS);
        }
    }
    cr_assert_eq(r->check.ok_cnt, cnt, "%s: %llu of %llu were sent", w->name,
                 (unsigned long long)r->check.ok_cnt, (unsigned long long)cnt);
}

static struct reader reader_of(const struct world *w, int fd)
{
    return (struct reader){.fd = fd, .size = w->size, .buffer = malloc(w->size)};
}

/* Each peer over each transport, sleeping and spinning. */
#define KINDS ((unsigned)BARE_CNT * 4)

static void halves(unsigned which, size_t size, size_t first_piece)
{
    struct world w;
    uint64_t number = 0;
    world_open(which, PERF_ROLE_SERVER, size, false, &w);
    int fd = connection(&w);
    for (size_t piece = first_piece; piece <= size; piece = piece * 2 + 1) {
        write_pieces(&w, fd, number++, piece);
    }
    arrived_wait(&w, number);
    struct reader r = reader_of(&w, fd);
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(node_put(&w, w.from), PERF_PUT_OK);
    }
    read_all(&r, &w, 3);
    free(r.buffer);
    close(fd);
    world_close(&w);
}

Test(bare, halves_become_messages, .timeout = 100)
{
    for (unsigned which = 0; which < KINDS; which++) {
        halves(which, SIZE, 1);
        halves(which, SIZE_LARGE, 5000);
    }
}

static void gone_wait(struct world *w, uint64_t cnt)
{
    uint64_t end_ns = perf_clock_ns() + PATIENCE_NS;
    while (w->node.gone_cnt < cnt && perf_clock_ns() < end_ns) {
        look(w, LITTLE_NS);
    }
    cr_assert_eq(w->node.gone_cnt, cnt, "%s: an end wasn't seen", w->name);
    cr_assert_eq(w->node.up_cnt, 0u);
}

/* In the middle of a message, and with answers on their way. */
Test(bare, who_goes_is_gone_for_good, .timeout = 100)
{
    for (unsigned which = 0; which < KINDS; which++) {
        struct world w;
        world_open(which, PERF_ROLE_SERVER, SIZE, false, &w);
        int fd = connection(&w);
        write_pieces(&w, fd, 0, SIZE);
        arrived_wait(&w, 1);
        uint64_t old = w.from;
        cr_assert_eq(node_put(&w, old), PERF_PUT_OK);
        cr_assert_eq(send(fd, w.body, SIZE / 2, MSG_NOSIGNAL), (ssize_t)(SIZE / 2));
        close(fd);
        gone_wait(&w, 1);
        cr_assert_eq(node_put(&w, old), PERF_PUT_GONE, "%s", w.name);
        fd = connection(&w);
        write_pieces(&w, fd, 1, SIZE);
        arrived_wait(&w, 2);
        cr_assert_neq(w.from, old, "%s: a token came twice", w.name);
        cr_assert_eq(node_put(&w, old), PERF_PUT_GONE, "%s", w.name);
        w.out_cnt = 0;
        cr_assert_eq(node_put(&w, w.from), PERF_PUT_OK, "%s", w.name);
        struct reader r = reader_of(&w, fd);
        read_all(&r, &w, 1);
        free(r.buffer);
        close(fd);
        world_close(&w);
    }
}

static void fill(struct world *w, uint64_t conn)
{
    while (node_put(w, conn) == PERF_PUT_OK) {
        cr_assert_lt(w->out_cnt * w->size, QUEUED_MAX, "%s: a queue has no end", w->name);
    }
    /* What the kernel takes meanwhile is room. */
    for (unsigned i = 0; i < 50; i++) {
        look(w, LITTLE_NS / 10);
        while (node_put(w, conn) == PERF_PUT_OK) {
            cr_assert_lt(w->out_cnt * w->size, QUEUED_MAX, "%s: a queue has no end", w->name);
        }
    }
}

static void full(unsigned which, size_t size)
{
    struct world w;
    world_open(which, PERF_ROLE_SERVER, size, false, &w);
    int fd = connection(&w);
    write_pieces(&w, fd, 0, size);
    arrived_wait(&w, 1);
    fill(&w, w.from);
    struct reader r = reader_of(&w, fd);
    uint64_t taken = w.out_cnt;
    uint64_t end_ns = perf_clock_ns() + PATIENCE_NS;
    while ((w.out_cnt - taken) * size < AGAIN_BYTES && perf_clock_ns() < end_ns) {
        for (unsigned i = 0; i < 7 * FRAGMENTS && read_some(&r, &w, false); i++) {
        }
        look(&w, 0);
        for (unsigned i = 0; i < 10 && node_put(&w, w.from) == PERF_PUT_OK; i++) {
        }
    }
    cr_assert_geq((w.out_cnt - taken) * size, AGAIN_BYTES, "%s: there is never room again", w.name);
    read_all(&r, &w, w.out_cnt);
    free(r.buffer);
    close(fd);
    world_close(&w);
}

Test(bare, a_full_queue_loses_nothing, .timeout = 100)
{
    for (unsigned which = 0; which < KINDS; which++) {
        full(which, SIZE);
        full(which, SIZE_LARGE);
    }
}

/* One of two subscribers doesn't read. */
Test(bare, a_publisher_waits_unless_it_may_drop, .timeout = 100)
{
    for (unsigned which = 0; which < 2 * KINDS; which++) {
        struct world w;
        bool drops = which >= KINDS, waited = false;
        world_open(which % KINDS, PERF_ROLE_PUB, 4096, drops, &w);
        struct reader good = reader_of(&w, connection(&w));
        struct reader bad = reader_of(&w, connection(&w));
        while (w.out_cnt * w.size < ROUGH_BYTES && !waited) {
            waited = node_put(&w, 0) == PERF_PUT_FULL;
            look(&w, 0);
            read_all(&good, &w, w.out_cnt);
        }
        cr_expect_eq(waited, !drops, "%s", w.name);
        look(&w, LITTLE_NS);
        while (read_some(&bad, &w, drops)) {
            look(&w, 0);
        }
        cr_expect_eq(bad.check.gap_cnt > 0 || bad.check.ok_cnt < w.out_cnt, drops, "%s", w.name);
        cr_expect_eq(bad.check.damaged_cnt, 0u);
        close(good.fd);
        close(bad.fd);
        free(good.buffer);
        free(bad.buffer);
        world_close(&w);
    }
}

static unsigned waiting_ports(const char *endpoint)
{
    char wanted[16], line[512];
    unsigned cnt = 0;
    snprintf(wanted, sizeof wanted, ":%04X ", (unsigned)atoi(strrchr(endpoint, ':') + 1));
    FILE *from = fopen("/proc/net/tcp", "r");
    while (from != NULL && fgets(line, sizeof line, from) != NULL) {
        const char *state = strstr(line, wanted);
        cnt += state != NULL && strstr(line, " 06 ") != NULL;
    }
    if (from != NULL) {
        fclose(from);
    }
    return cnt;
}

Test(bare, closing_leaves_no_port_waiting, .timeout = 60)
{
    for (unsigned which = 0; which < BARE_CNT; which++) {
        struct world w;
        struct perf_node client;
        world_open(which, PERF_ROLE_SERVER, SIZE, false, &w);
        /* Somebody else's, who had this port before. */
        unsigned before = waiting_ports(w.node.endpoint);
        struct perf_node_spec spec = {.role = PERF_ROLE_CLIENT,
                                      .endpoint = w.node.endpoint,
                                      .size = SIZE,
                                      .conns = 50,
                                      .arrived = on_message,
                                      .ctx = &w};
        cr_assert(perf_node_open(&client, w.node.ops, &w.child, &spec), "%s", w.child.reason);
        while (w.node.up_cnt < 50) {
            look(&w, LITTLE_NS);
        }
        client.ops->close(&client);
        gone_wait(&w, 50);
        cr_expect_leq(waiting_ports(w.node.endpoint), before, "%s", w.name);
        world_close(&w);
    }
}

Test(bare, too_few_files_are_told)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max = 300;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (unsigned which = 0; which < BARE_CNT; which++) {
        struct perf_child child = {.cpu = -1};
        struct perf_node node;
        struct perf_node_spec spec = {
            .role = PERF_ROLE_SERVER, .binds = true, .size = SIZE, .conns = 1000};
        cr_expect_not(perf_node_open(&node, perf_peer_find(bare[which])->node, &child, &spec));
        cr_expect_not_null(strstr(child.reason, "hard limit is 300"), "%s", child.reason);
    }
}
